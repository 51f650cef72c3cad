//! Names: dentries, mounts, and the place of a task in the tree.

use std::sync::Arc;

use parking_lot::Mutex;

use super::{FileSystem, Inode};

/// A name in a directory, and the inode behind it.
pub struct Dentry {
    inode: Arc<dyn Inode>,
}

/// A file system at a place in the tree.
pub struct Mount {
    /// What is mounted.
    pub file_system: Arc<dyn FileSystem>,
}

/// A name as seen through a mount: what a path walk finds.
#[derive(Clone)]
pub struct Location {
    /// The mount it lies in.
    pub mount: Arc<Mount>,
    /// The name.
    pub dentry: Arc<Dentry>,
}

impl Location {
    /// The inode behind the name.
    pub fn inode(&self) -> &Arc<dyn Inode> {
        &self.dentry.inode
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
    /// A copy for a child without `CLONE_FS`.
    pub fn copy(&self) -> Arc<FsContext> {
        Arc::new(FsContext { state: Mutex::new(self.state.lock().clone()) })
    }
}
