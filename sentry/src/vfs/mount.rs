//! Mounts: file systems at places of the tree, and the tree they form.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::{Mutex, RwLock};

use super::lock::LockTable;
use super::notify::WatchTable;
use super::{Dentry, FileSystem, Location};
use crate::Errno;

bitflags::bitflags! {
    /// Per-mount flags, in the numbers of `mount(2)`.
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
    pub struct MountFlags: u32 {
        /// `MS_RDONLY`
        const RDONLY = 1;
        /// `MS_NOSUID`
        const NOSUID = 2;
        /// `MS_NODEV`
        const NODEV = 4;
        /// `MS_NOEXEC`
        const NOEXEC = 8;
        /// `MS_NOSYMFOLLOW`
        const NOSYMFOLLOW = 256;
        /// `MS_NOATIME`
        const NOATIME = 1024;
        /// `MS_NODIRATIME`
        const NODIRATIME = 2048;
        /// `MS_RELATIME`
        const RELATIME = 1 << 21;
    }
}

impl MountFlags {
    /// Access times are kept as `relatime` has it unless they are not kept at all.
    fn with_default_access_times(self) -> MountFlags {
        if self.contains(MountFlags::NOATIME) { self } else { self | MountFlags::RELATIME }
    }
}

/// A file system with its dentries and what hangs on its inodes: shared by all its mounts.
pub struct SuperBlock {
    /// What is mounted.
    pub file_system: Arc<dyn FileSystem>,
    /// The dentry of its root directory.
    pub root: Arc<Dentry>,
    /// Record locks and `flock`s by inode number.
    pub locks: LockTable,
    /// inotify watches by inode number.
    pub watches: WatchTable,
}

impl SuperBlock {
    /// Without mounts yet.
    pub fn new(file_system: Arc<dyn FileSystem>) -> Arc<SuperBlock> {
        let root = Dentry::new_root(file_system.root(), b"/");
        Arc::new(SuperBlock { file_system, root, locks: LockTable::default(), watches: WatchTable::default() })
    }

    /// Drops dentries that nobody uses when there are too many of them.
    pub fn shrink(&self) {
        if Dentry::cache_is_full() {
            self.root.prune(false);
        }
    }
}

impl Drop for SuperBlock {
    fn drop(&mut self) {
        self.root.prune(true);
    }
}

/// A file system at a place in the tree.
pub struct Mount {
    /// `/proc/self/mountinfo`, field 1; unique, never reused.
    pub id: u64,
    /// The file system.
    pub superblock: Arc<SuperBlock>,
    /// What is seen at the mount point: the file system's root, or any dentry for a bind mount.
    pub root: Arc<Dentry>,
    /// What `/proc/mounts` shows first.
    pub source: Vec<u8>,
    flags: AtomicU32,
    parent: RwLock<Option<(Weak<Mount>, Arc<Dentry>)>>,
    children: RwLock<Vec<(Arc<Dentry>, Arc<Mount>)>>,
}

/// Serializes changes of the mount tree.
static TREE: Mutex<()> = Mutex::new(());

impl Mount {
    /// A mount of `root` in `superblock`, not yet at any place (or the root of a namespace).
    pub fn new(superblock: Arc<SuperBlock>, root: Arc<Dentry>, source: &[u8], flags: MountFlags) -> Arc<Mount> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Arc::new(Mount {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            superblock,
            root,
            source: source.into(),
            flags: AtomicU32::new(flags.with_default_access_times().bits()),
            parent: RwLock::new(None),
            children: RwLock::default(),
        })
    }

    /// A mount of a whole new file system.
    pub fn of(file_system: Arc<dyn FileSystem>, source: &[u8], flags: MountFlags) -> Arc<Mount> {
        let superblock = SuperBlock::new(file_system);
        let root = superblock.root.clone();
        Mount::new(superblock, root, source, flags)
    }

    /// The file system.
    pub fn file_system(&self) -> &Arc<dyn FileSystem> {
        &self.superblock.file_system
    }

    /// Its flags.
    pub fn flags(&self) -> MountFlags {
        MountFlags::from_bits_retain(self.flags.load(Ordering::Relaxed))
    }

    /// Replaces its flags (`MS_REMOUNT|MS_BIND`).
    pub fn set_flags(&self, flags: MountFlags) {
        self.flags.store(flags.with_default_access_times().bits(), Ordering::Relaxed);
    }

    /// The place of its root.
    pub fn root_location(self: &Arc<Self>) -> Location {
        Location { mount: self.clone(), dentry: self.root.clone() }
    }

    /// Where it is mounted; `None` for a root or detached mount.
    pub fn mountpoint(&self) -> Option<Location> {
        let parent = self.parent.read();
        let (mount, dentry) = parent.as_ref()?;
        Some(Location { mount: mount.upgrade()?, dentry: dentry.clone() })
    }

    /// What is mounted in this mount over `dentry`, topmost.
    pub fn mounted_at(&self, dentry: &Arc<Dentry>) -> Option<Arc<Mount>> {
        let children = self.children.read();
        children.iter().rev().find(|(at, _)| Arc::ptr_eq(at, dentry)).map(|(_, mount)| mount.clone())
    }

    /// Mounts directly in this one, in the order in which they were made.
    pub fn children(&self) -> Vec<Arc<Mount>> {
        self.children.read().iter().map(|(_, mount)| mount.clone()).collect()
    }

    /// This mount and all below it, parents first.
    pub fn tree(self: &Arc<Self>) -> Vec<Arc<Mount>> {
        let mut all = vec![self.clone()];
        let mut next = 0;
        while let Some(mount) = all.get(next).cloned() {
            next += 1;
            all.extend(mount.children());
        }
        all
    }

    /// Mounts it over `at`, hiding what is there.
    ///
    /// # Errors
    /// ENOTDIR when one is a directory and the other is not; ENOENT when the place was removed; EBUSY when it is mounted
    /// already.
    pub fn attach(self: &Arc<Self>, at: &Location) -> Result<(), Errno> {
        let _serial = TREE.lock();
        if at.dentry.is_dir() != self.root.is_dir() {
            return Err(Errno::ENOTDIR);
        }
        if at.dentry.is_removed() {
            return Err(Errno::ENOENT);
        }
        let mut parent = self.parent.write();
        if parent.is_some() {
            return Err(Errno::EBUSY);
        }
        *parent = Some((Arc::downgrade(&at.mount), at.dentry.clone()));
        at.dentry.add_mount();
        at.mount.children.write().push((at.dentry.clone(), self.clone()));
        Ok(())
    }

    /// Takes it off its place, with all that is mounted in it when `lazily`.
    ///
    /// # Errors
    /// EINVAL when it is a root or detached already; EBUSY when something is mounted in it, or it is in use.
    pub fn detach(self: &Arc<Self>, lazily: bool) -> Result<(), Errno> {
        let _serial = TREE.lock();
        if !lazily && !self.children.read().is_empty() {
            return Err(Errno::EBUSY);
        }
        let at = self.mountpoint().ok_or(Errno::EINVAL)?;
        // One reference is the parent's, one the caller's.
        if !lazily && Arc::strong_count(self) > 2 {
            return Err(Errno::EBUSY);
        }
        *self.parent.write() = None;
        at.mount.children.write().retain(|(_, mount)| !Arc::ptr_eq(mount, self));
        at.dentry.remove_mount();
        Ok(())
    }

    /// Moves it to another place.
    ///
    /// # Errors
    /// EINVAL when it is a root; ELOOP into itself; as [`Mount::attach`].
    pub fn move_to(self: &Arc<Self>, at: &Location) -> Result<(), Errno> {
        let mut above = Some(at.mount.clone());
        while let Some(mount) = above {
            if Arc::ptr_eq(&mount, self) {
                return Err(Errno::ELOOP);
            }
            above = mount.mountpoint().map(|place| place.mount);
        }
        let old = self.mountpoint().ok_or(Errno::EINVAL)?;
        self.detach(true)?;
        self.attach(at).or_else(|error| self.attach(&old).and(Err(error)))
    }

    /// Copies this mount and those in it, as a new tree seen from `root` on (a bind mount, a new namespace). Gives the copies
    /// beside their originals, the top first.
    pub fn copy_tree(self: &Arc<Self>, root: &Arc<Dentry>, recursive: bool) -> Vec<(Arc<Mount>, Arc<Mount>)> {
        let copy_of = |mount: &Arc<Mount>, root: &Arc<Dentry>| {
            Mount::new(mount.superblock.clone(), root.clone(), &mount.source, mount.flags())
        };
        let mut copies = vec![(self.clone(), copy_of(self, root))];
        let mut next = 0;
        while let Some((original, copy)) = copies.get(next).cloned().filter(|_| recursive) {
            next += 1;
            let children = original.children.read().clone();
            for (at, child) in children.into_iter().filter(|(at, _)| at.is_within(&copy.root)) {
                let child_copy = copy_of(&child, &child.root);
                if child_copy.attach(&Location { mount: copy.clone(), dentry: at }).is_ok() {
                    copies.push((child, child_copy));
                }
            }
        }
        copies
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        for (dentry, child) in self.children.get_mut().drain(..) {
            dentry.remove_mount();
            *child.parent.write() = None;
        }
    }
}
