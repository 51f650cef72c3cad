//! Overlay inodes: which real inode answers, and what happens before a change.

use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::{Mutex, RwLock};

use super::{OPAQUE, OverlayFs, PRIVATE_XATTRS};
use crate::Errno;
use crate::task::Current;
use crate::vfs::contents::{DirectoryFile, RegularFile};
use crate::vfs::special::{FifoSlot, open_device};
use crate::vfs::{
    DirEntry, File, FileSystem, FileType, Inode, Location, MapSource, Metadata, NewNode, OpenFlags, Ownership,
    SetAttributes,
};

/// A file of the overlay.
pub struct OverlayInode {
    this: Weak<OverlayInode>,
    fs: Weak<OverlayFs>,
    ino: u64,
    file_type: FileType,
    layers: RwLock<Layers>,
    /// Where it was found: whence it is copied up. `None` for the root, and when that name is gone.
    place: Mutex<Option<(Arc<OverlayInode>, Box<[u8]>)>>,
    /// Names that it has more (or less) than the real inode says.
    extra_links: Mutex<i64>,
    /// Where the lower file system has it, when it has several names there.
    shared: Mutex<Option<(u64, u64)>>,
    /// A directory that was removed.
    removed: AtomicBool,
    fifo: FifoSlot,
}

/// The real inodes behind an overlay inode: at least one. Only directories have both.
#[derive(Clone)]
pub struct Layers {
    pub upper: Option<Arc<dyn Inode>>,
    pub lower: Option<Arc<dyn Inode>>,
}

impl OverlayInode {
    pub(super) fn new(
        fs: &Arc<OverlayFs>,
        ino: u64,
        layers: Layers,
        place: Option<(Arc<OverlayInode>, &[u8])>,
    ) -> Arc<OverlayInode> {
        let file_type =
            layers.upper.as_ref().or(layers.lower.as_ref()).map_or(FileType::Anonymous, |inode| inode.file_type());
        Arc::new_cyclic(|this| OverlayInode {
            this: this.clone(),
            fs: Arc::downgrade(fs),
            ino,
            file_type,
            layers: RwLock::new(layers),
            place: Mutex::new(place.map(|(dir, name)| (dir, name.into()))),
            extra_links: Mutex::new(0),
            shared: Mutex::new(None),
            removed: AtomicBool::new(false),
            fifo: FifoSlot::default(),
        })
    }

    pub(super) fn ino(&self) -> u64 {
        self.ino
    }

    pub(super) fn fs(&self) -> Result<Arc<OverlayFs>, Errno> {
        self.fs.upgrade().ok_or(Errno::EIO)
    }

    pub(super) fn strong(&self) -> Result<Arc<OverlayInode>, Errno> {
        self.this.upgrade().ok_or(Errno::EIO)
    }

    pub(super) fn layers(&self) -> Layers {
        self.layers.read().clone()
    }

    pub(super) fn layers_lock(&self) -> &RwLock<Layers> {
        &self.layers
    }

    pub(super) fn upper(&self) -> Option<Arc<dyn Inode>> {
        self.layers.read().upper.clone()
    }

    /// The real inode that answers for it.
    fn real(&self) -> Result<Arc<dyn Inode>, Errno> {
        let layers = self.layers.read();
        layers.upper.as_ref().or(layers.lower.as_ref()).cloned().ok_or(Errno::EIO)
    }

    /// The same, lent: no counting for what path walks do at each step.
    fn with_real<T>(&self, f: impl FnOnce(&Arc<dyn Inode>) -> Result<T, Errno>) -> Result<T, Errno> {
        let layers = self.layers.read();
        f(layers.upper.as_ref().or(layers.lower.as_ref()).ok_or(Errno::EIO)?)
    }

    pub(super) fn place(&self) -> Option<(Arc<OverlayInode>, Box<[u8]>)> {
        self.place.lock().clone()
    }

    /// Notes a name by which it can be found.
    pub(super) fn set_place(&self, place: Option<(Arc<OverlayInode>, &[u8])>) {
        let old = std::mem::replace(&mut *self.place.lock(), place.map(|(dir, name)| (dir, name.into())));
        // A chain of directories may end here, and with it recursion over a depth that the guest chose.
        drop_chain(old);
    }

    /// The name `name` in `dir` is gone.
    pub(super) fn leave_place(&self, dir: &OverlayInode, name: &[u8]) {
        let mut place = self.place.lock();
        let left = match &*place {
            Some((at, known)) if std::ptr::eq(&**at, dir) && **known == *name => place.take(),
            _ => None,
        };
        drop(place);
        drop_chain(left);
    }

    /// Says that the lower file system has other names for it, by which it may be found again.
    pub(super) fn set_shared(&self, identity: (u64, u64), extra_links: i64) {
        *self.shared.lock() = Some(identity);
        *self.extra_links.lock() = extra_links;
    }

    pub(super) fn shared(&self) -> Option<(u64, u64)> {
        *self.shared.lock()
    }

    pub(super) fn add_links(&self, by: i64) {
        let extra_links = {
            let mut extra_links = self.extra_links.lock();
            *extra_links += by;
            *extra_links
        };
        if let (Some(identity), Ok(fs)) = (self.shared(), self.fs()) {
            fs.shared.lock().entry(identity).or_default().extra_links = extra_links;
        }
    }

    /// The directory was removed.
    pub(super) fn set_removed(&self) {
        self.removed.store(true, Ordering::Relaxed);
    }

    pub(super) fn extra_links(&self) -> i64 {
        *self.extra_links.lock()
    }

    pub(super) fn is_dir(&self) -> bool {
        self.file_type == FileType::Directory
    }
}

fn drop_chain(place: Option<(Arc<OverlayInode>, Box<[u8]>)>) {
    let mut next = place.map(|(dir, _)| dir);
    while let Some(mut inode) = next.and_then(Arc::into_inner) {
        next = inode.place.get_mut().take().map(|(dir, _)| dir);
    }
}

impl Drop for OverlayInode {
    fn drop(&mut self) {
        drop_chain(self.place.get_mut().take());
    }
}

fn is_private(name: &[u8]) -> bool {
    name.starts_with(PRIVATE_XATTRS) || name == OPAQUE
}

impl Inode for OverlayInode {
    fn file_system(&self) -> Arc<dyn FileSystem> {
        match self.fs.upgrade() {
            Some(fs) => fs,
            // Only an inode that outlived its file system gets here; an empty one answers for it.
            None => crate::fs::tmpfs::Tmpfs::new(crate::fs::tmpfs::Options::default()),
        }
    }

    fn file_type(&self) -> FileType {
        self.file_type
    }

    fn metadata(&self) -> Result<Metadata, Errno> {
        let (metadata, is_merged) = {
            let layers = self.layers.read();
            let real = layers.upper.as_ref().or(layers.lower.as_ref()).ok_or(Errno::EIO)?;
            (real.metadata()?, layers.upper.is_some() && layers.lower.is_some())
        };
        let nlink = match (self.is_dir(), is_merged) {
            _ if self.removed.load(Ordering::Relaxed) => 0,
            // As Linux has it: the true number would cost a look at both layers.
            (true, true) => metadata.nlink.min(1),
            (true, false) => metadata.nlink,
            (false, _) => metadata.nlink.saturating_add_signed(self.extra_links()),
        };
        let dev = self.fs()?.dev;
        Ok(Metadata { dev, ino: self.ino, nlink, ..metadata })
    }

    fn ownership(&self) -> Result<Ownership, Errno> {
        self.with_real(|real| real.ownership())
    }

    fn set_attributes(&self, change: &SetAttributes) -> Result<(), Errno> {
        let upper = match change.size {
            // What is cut off need not be copied.
            Some(size) => self.copy_up(Some(size))?,
            None => self.copy_up(None)?,
        };
        upper.set_attributes(change)
    }

    fn lookup(&self, name: &[u8]) -> Result<Arc<dyn Inode>, Errno> {
        Ok(self.find(name)?)
    }

    fn create(&self, name: &[u8], node: &NewNode) -> Result<Arc<dyn Inode>, Errno> {
        Ok(self.make(name, node)?)
    }

    fn create_unnamed(&self, node: &NewNode) -> Result<Arc<dyn Inode>, Errno> {
        let fs = self.fs()?;
        let upper = self.copy_up(None)?.create_unnamed(node)?;
        let ino = upper.metadata()?.ino;
        // The number may have been that of a file which is gone.
        fs.copies.lock().remove(&ino);
        let inode = OverlayInode::new(&fs, fs.upper_ino(ino), Layers { upper: Some(upper), lower: None }, None);
        fs.remember(super::Key::Upper(ino), &inode);
        Ok(inode)
    }

    fn link(&self, name: &[u8], target: &Arc<dyn Inode>) -> Result<(), Errno> {
        self.add_name(name, &as_overlay(target)?)
    }

    fn unlink(&self, name: &[u8]) -> Result<(), Errno> {
        self.remove_name(name)
    }

    fn rmdir(&self, name: &[u8]) -> Result<(), Errno> {
        self.remove_directory(name)
    }

    fn rename(&self, name: &[u8], new_dir: &Arc<dyn Inode>, new_name: &[u8], flags: u32) -> Result<(), Errno> {
        self.move_name(name, &as_overlay(new_dir)?, new_name, flags)
    }

    fn read_link(&self) -> Result<Vec<u8>, Errno> {
        self.with_real(|real| real.read_link())
    }

    fn fifo(&self) -> Option<&FifoSlot> {
        (self.file_type == FileType::Fifo).then_some(&self.fifo)
    }

    fn open(
        self: Arc<Self>,
        location: &Location,
        flags: OpenFlags,
        current: &mut Current,
    ) -> Result<Arc<dyn File>, Errno> {
        match self.file_type {
            FileType::Regular => RegularFile::open(self, location, flags),
            FileType::Directory => Ok(DirectoryFile::snapshot(self, location, flags)),
            FileType::Symlink => Err(Errno::ELOOP),
            FileType::CharDevice | FileType::BlockDevice => {
                let rdev = self.metadata()?.rdev;
                open_device(self.file_type, rdev, location, flags, current)
            }
            _ => Err(Errno::ENXIO),
        }
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize, Errno> {
        let real = self.real()?;
        real.read_at(offset, buf)
    }

    fn write_at(&self, offset: Option<u64>, data: &[u8]) -> Result<usize, Errno> {
        self.copy_up(None)?.write_at(offset, data)
    }

    fn size(&self) -> Result<u64, Errno> {
        self.with_real(|real| real.size())
    }

    fn seek_sparse(&self, from: u64, hole: bool) -> Result<u64, Errno> {
        self.real()?.seek_sparse(from, hole)
    }

    fn allocate(&self, mode: u32, offset: u64, len: u64) -> Result<(), Errno> {
        self.copy_up(None)?.allocate(mode, offset, len)
    }

    fn map(&self, writes: bool) -> Result<MapSource, Errno> {
        if writes {
            return self.copy_up(None)?.map(true);
        }
        self.real()?.map(false)
    }

    fn sync(&self, data_only: bool) -> Result<(), Errno> {
        match self.upper() {
            Some(upper) => upper.sync(data_only),
            None => Ok(()),
        }
    }

    fn pin(&self, flags: OpenFlags) -> Result<Vec<Arc<OwnedFd>>, Errno> {
        if flags.writes() {
            let upper = self.copy_up(flags.contains(OpenFlags::TRUNC).then_some(0))?;
            return upper.pin(flags);
        }
        self.real()?.pin(flags)
    }

    fn touch_accessed(&self) {
        // The lower file system never changes, not even in this.
        if let Some(upper) = self.upper() {
            upper.touch_accessed();
        }
    }

    fn read_dir(&self, from: u64, sink: &mut dyn FnMut(DirEntry) -> bool) -> Result<(), Errno> {
        let entries = self.merged_entries()?;
        let from = usize::try_from(from).unwrap_or(usize::MAX);
        let _all_seen = entries.into_iter().skip(from).all(sink);
        Ok(())
    }

    fn get_xattr(&self, name: &[u8]) -> Result<Vec<u8>, Errno> {
        if is_private(name) {
            return Err(Errno::ENODATA);
        }
        self.real()?.get_xattr(name)
    }

    fn set_xattr(&self, name: &[u8], value: &[u8], flags: u32) -> Result<(), Errno> {
        if is_private(name) {
            return Err(Errno::EPERM);
        }
        self.copy_up(None)?.set_xattr(name, value, flags)
    }

    fn list_xattrs(&self) -> Result<Vec<Vec<u8>>, Errno> {
        let mut names = self.real()?.list_xattrs()?;
        names.retain(|name| !is_private(name));
        Ok(names)
    }

    fn remove_xattr(&self, name: &[u8]) -> Result<(), Errno> {
        if is_private(name) {
            return Err(Errno::ENODATA);
        }
        self.real()?.get_xattr(name)?;
        self.copy_up(None)?.remove_xattr(name)
    }
}

pub(super) fn as_overlay(inode: &Arc<dyn Inode>) -> Result<Arc<OverlayInode>, Errno> {
    let any: Arc<dyn std::any::Any + Send + Sync> = inode.clone();
    any.downcast().map_err(|_| Errno::EXDEV)
}
