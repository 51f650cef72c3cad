//! Places in the tree, and the paths that lead to them.

use std::sync::Arc;

use parking_lot::Mutex;

use super::{Dentry, Inode, Mount, MountFlags};
use crate::Errno;

/// A name as seen through a mount: what a path walk finds.
#[derive(Clone)]
pub struct Location {
    /// The mount it lies in.
    pub mount: Arc<Mount>,
    /// The name.
    pub dentry: Arc<Dentry>,
}

impl PartialEq for Location {
    fn eq(&self, other: &Location) -> bool {
        Arc::ptr_eq(&self.dentry, &other.dentry) && Arc::ptr_eq(&self.mount, &other.mount)
    }
}

impl Location {
    /// The inode behind the name.
    pub fn inode(&self) -> &Arc<dyn Inode> {
        self.dentry.inode()
    }

    /// Follows mounts over this place down to what is seen there.
    pub fn cross_mounts(mut self) -> Location {
        while self.dentry.is_mountpoint() {
            let Some(mount) = self.mount.mounted_at(&self.dentry) else { break };
            let dentry = mount.root.clone();
            self = Location { mount, dentry };
        }
        self
    }

    /// The directory above, not beyond `root`: `..`.
    pub fn up(&self, root: &Location) -> Location {
        let mut at = self.clone();
        loop {
            if at == *root {
                return at;
            }
            if !Arc::ptr_eq(&at.dentry, &at.mount.root) {
                break;
            }
            match at.mount.mountpoint() {
                Some(below) => at = below,
                None => return at,
            }
        }
        match at.dentry.parent() {
            Some(parent) => Location { mount: at.mount, dentry: parent }.cross_mounts(),
            None => at,
        }
    }

    /// Refuses changes where mount or file system are read-only.
    ///
    /// # Errors
    /// EROFS
    pub fn want_write(&self) -> Result<(), Errno> {
        if self.mount.flags().contains(MountFlags::RDONLY) || self.mount.file_system().is_read_only() {
            return Err(Errno::EROFS);
        }
        Ok(())
    }

    /// The path from `root`, and whether it leads there (a place outside of the root, or in a detached mount, is not
    /// reachable; its path then starts at the top of its own tree).
    pub fn path_from(&self, root: &Location) -> (Vec<u8>, bool) {
        let mut names: Vec<Arc<[u8]>> = Vec::new();
        let mut at = self.clone();
        let reachable = loop {
            if at == *root {
                break true;
            }
            if Arc::ptr_eq(&at.dentry, &at.mount.root) {
                match at.mount.mountpoint() {
                    Some(below) => at = below,
                    None => break false,
                }
                continue;
            }
            match at.dentry.place() {
                (Some(parent), name) => {
                    names.push(name);
                    at.dentry = parent;
                }
                (None, name) => {
                    names.push(name);
                    break false;
                }
            }
        };
        let mut path = Vec::new();
        for name in names.iter().rev() {
            path.push(b'/');
            path.extend_from_slice(name);
        }
        if path.is_empty() {
            path.push(b'/');
        }
        (path, reachable)
    }

    /// The path as `/proc/PID/fd/N`, `maps` and `exe` show it, with ` (deleted)` where that is so.
    pub fn display_path(&self, root: &Location) -> Vec<u8> {
        let (mut path, _) = self.path_from(root);
        if self.dentry.is_removed() {
            path.extend_from_slice(b" (deleted)");
        }
        path
    }
}

/// Root, working directory and umask, shared by tasks with `CLONE_FS`.
pub struct FsContext {
    /// What `chroot` and `chdir` change.
    pub state: Mutex<FsState>,
}

/// See [`FsContext`].
#[derive(Clone)]
pub struct FsState {
    /// `/`
    pub root: Location,
    /// `.`
    pub cwd: Location,
    /// 0..=0o777
    pub umask: u32,
}

impl FsContext {
    /// A context at `root` with umask 022.
    pub fn new(root: Location) -> Arc<FsContext> {
        Arc::new(FsContext { state: Mutex::new(FsState { cwd: root.clone(), root, umask: 0o022 }) })
    }

    /// A copy for `clone` without `CLONE_FS`.
    pub fn copy(&self) -> Arc<FsContext> {
        Arc::new(FsContext { state: Mutex::new(self.state.lock().clone()) })
    }

    /// A copy that has mounts of its own (`CLONE_NEWNS`): the whole tree is copied, and the places move to their copies.
    pub fn copy_with_mounts(&self) -> Arc<FsContext> {
        let mut state = self.state.lock().clone();
        let mut top = state.root.mount.clone();
        while let Some(below) = top.mountpoint() {
            top = below.mount;
        }
        let copies = top.copy_tree(&top.root, true);
        for place in [&mut state.root, &mut state.cwd] {
            let copy = copies.iter().find(|(original, _)| Arc::ptr_eq(original, &place.mount));
            // A place in a detached mount stays where it is.
            if let Some((_, copy)) = copy {
                place.mount = copy.clone();
            }
        }
        Arc::new(FsContext { state: Mutex::new(state) })
    }

    /// Those at `old` are at `new` from now on (`pivot_root`).
    pub fn move_root(&self, old: &Location, new: &Location) {
        let mut state = self.state.lock();
        let state = &mut *state;
        for place in [&mut state.root, &mut state.cwd] {
            if place == old {
                *place = new.clone();
            }
        }
    }

    /// `/`
    pub fn root(&self) -> Location {
        self.state.lock().root.clone()
    }

    /// `.`
    pub fn cwd(&self) -> Location {
        self.state.lock().cwd.clone()
    }

    /// The file mode creation mask.
    pub fn umask(&self) -> u32 {
        self.state.lock().umask
    }
}
