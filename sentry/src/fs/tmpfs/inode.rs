//! tmpfs inodes: every kind of file, its attributes and its names.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use abi::types::Timespec;
use parking_lot::{Mutex, RwLock};

use super::content::Content;
use super::directory::Directory;
use super::{BLOCK, Tmpfs, seal};
use crate::Errno;
use crate::task::Current;
use crate::vfs::attributes::now;
use crate::vfs::contents::{DirectoryFile, RegularFile};
use crate::vfs::dentry::{RENAME_EXCHANGE, RENAME_NOREPLACE, RENAME_WHITEOUT};
use crate::vfs::special::{self, FifoSlot};
use crate::vfs::{
    DirEntry, File, FileSystem, FileType, Inode, Location, MapSource, Metadata, NewNode, NodeKind, OpenFlags,
    Ownership, SetAttributes, Timestamps,
};

/// Bytes of extended attributes of one inode.
const XATTRS_MAX: usize = 128 << 10;
const DIRECTORY_ENTRY_SIZE: u64 = 20;

/// A file of any kind.
pub struct TmpfsInode {
    this: Weak<TmpfsInode>,
    fs: Weak<Tmpfs>,
    dev: u64,
    ino: u64,
    counted: bool,
    body: Body,
    attributes: Mutex<Attributes>,
    xattrs: Mutex<BTreeMap<Vec<u8>, Vec<u8>>>,
    /// Seals of a memfd; `F_SEAL_SEAL` for all other files.
    pub(super) seals: Mutex<u32>,
}

/// What differs between kinds of files.
enum Body {
    Regular(RwLock<Content>),
    Directory(RwLock<Directory>),
    Symlink(Box<[u8]>),
    Fifo(FifoSlot),
    Socket,
    CharDevice(u64),
    BlockDevice(u64),
}

#[derive(Clone, Copy)]
struct Attributes {
    permissions: u32,
    uid: u32,
    gid: u32,
    nlink: u32,
    times: Timestamps,
}

impl TmpfsInode {
    pub(super) fn new(fs: &Arc<Tmpfs>, node: &NewNode) -> Result<Arc<TmpfsInode>, Errno> {
        let fits = |count: u64| (count < fs.max_inodes).then_some(count + 1);
        fs.inodes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).map_err(|_| Errno::ENOSPC)?;
        let ino = fs.next_ino.fetch_add(1, Ordering::Relaxed);
        Ok(TmpfsInode::make(Arc::downgrade(fs), fs.dev, ino, node, true))
    }

    pub(super) fn new_uncounted(fs: Weak<Tmpfs>, ino: u64, node: &NewNode) -> Arc<TmpfsInode> {
        TmpfsInode::make(fs, 0, ino, node, false)
    }

    fn make(fs: Weak<Tmpfs>, dev: u64, ino: u64, node: &NewNode, counted: bool) -> Arc<TmpfsInode> {
        let now = now();
        let body = match &node.kind {
            NodeKind::File => Body::Regular(RwLock::default()),
            NodeKind::Directory => Body::Directory(RwLock::default()),
            NodeKind::Symlink(target) => Body::Symlink(target.as_slice().into()),
            NodeKind::Fifo => Body::Fifo(FifoSlot::default()),
            NodeKind::Socket => Body::Socket,
            NodeKind::CharDevice(rdev) => Body::CharDevice(*rdev),
            NodeKind::BlockDevice(rdev) => Body::BlockDevice(*rdev),
        };
        let attributes = Attributes {
            permissions: node.permissions,
            uid: node.uid,
            gid: node.gid,
            nlink: if matches!(body, Body::Directory(_)) { 2 } else { 1 },
            times: Timestamps { accessed: now, modified: now, changed: now, created: Some(now) },
        };
        const F_SEAL_SEAL: u32 = 1;
        Arc::new_cyclic(|this| TmpfsInode {
            this: this.clone(),
            fs,
            dev,
            ino,
            counted,
            body,
            attributes: Mutex::new(attributes),
            xattrs: Mutex::default(),
            seals: Mutex::new(F_SEAL_SEAL),
        })
    }

    fn fs(&self) -> Result<Arc<Tmpfs>, Errno> {
        self.fs.upgrade().ok_or(Errno::EIO)
    }

    fn directory(&self) -> Result<&RwLock<Directory>, Errno> {
        match &self.body {
            Body::Directory(directory) => Ok(directory),
            _ => Err(Errno::ENOTDIR),
        }
    }

    fn content(&self) -> Result<&RwLock<Content>, Errno> {
        match &self.body {
            Body::Regular(content) => Ok(content),
            _ => Err(Errno::EINVAL),
        }
    }

    /// A directory's entries, to be changed.
    fn changeable(&self) -> Result<parking_lot::RwLockWriteGuard<'_, Directory>, Errno> {
        let directory = self.directory()?.write();
        if directory.removed { Err(Errno::ENOENT) } else { Ok(directory) }
    }

    /// Contents changed.
    fn touch_modified(&self) {
        let now = now();
        let mut attributes = self.attributes.lock();
        attributes.times.modified = now;
        attributes.times.changed = now;
    }

    /// It has no name and never will.
    pub(super) fn forget_name(&self) {
        self.attributes.lock().nlink = 0;
    }

    /// A name came or went.
    fn change_links(&self, by: i32) {
        let mut attributes = self.attributes.lock();
        attributes.nlink = attributes.nlink.saturating_add_signed(by);
        attributes.times.changed = now();
    }

    fn is_dir(&self) -> bool {
        matches!(self.body, Body::Directory(_))
    }

    fn set_parent(&self, parent: &Weak<TmpfsInode>) {
        if let Body::Directory(directory) = &self.body {
            directory.write().parent = parent.clone();
        }
    }

    /// Adds a name for `inode`, which is counted already.
    fn enter(&self, entries: &mut Directory, name: &[u8], inode: &Arc<TmpfsInode>) {
        entries.insert(name, inode.clone());
        if inode.is_dir() {
            inode.set_parent(&self.this);
            self.attributes.lock().nlink += 1;
        }
        self.touch_modified();
    }

    fn check_replace(&self, old: &TmpfsInode) -> Result<(), Errno> {
        match (&self.body, &old.body) {
            (Body::Directory(_), Body::Directory(entries)) => {
                if entries.read().is_empty() {
                    Ok(())
                } else {
                    Err(Errno::ENOTEMPTY)
                }
            }
            (Body::Directory(_), _) => Err(Errno::ENOTDIR),
            (_, Body::Directory(_)) => Err(Errno::EISDIR),
            _ => Ok(()),
        }
    }

    /// A file lost its last name in a directory (`was_dir`: it was an empty directory of it).
    fn lost(&self, old: &TmpfsInode) {
        if let Body::Directory(entries) = &old.body {
            entries.write().removed = true;
            old.change_links(-2);
            self.attributes.lock().nlink -= 1;
        } else {
            old.change_links(-1);
        }
    }
}

fn as_tmpfs(inode: &Arc<dyn Inode>) -> Result<Arc<TmpfsInode>, Errno> {
    let any: Arc<dyn std::any::Any + Send + Sync> = inode.clone();
    any.downcast().map_err(|_| Errno::EXDEV)
}

impl Inode for TmpfsInode {
    fn file_system(&self) -> Arc<dyn FileSystem> {
        match self.fs.upgrade() {
            Some(fs) => fs,
            // Only an inode that outlived its file system gets here; an empty one answers for it.
            None => Tmpfs::new(super::Options::default()),
        }
    }

    fn file_type(&self) -> FileType {
        match self.body {
            Body::Regular(_) => FileType::Regular,
            Body::Directory(_) => FileType::Directory,
            Body::Symlink(_) => FileType::Symlink,
            Body::Fifo(_) => FileType::Fifo,
            Body::Socket => FileType::Socket,
            Body::CharDevice(_) => FileType::CharDevice,
            Body::BlockDevice(_) => FileType::BlockDevice,
        }
    }

    fn metadata(&self) -> Result<Metadata, Errno> {
        let (size, blocks, rdev) = match &self.body {
            Body::Regular(content) => {
                let content = content.read();
                (content.size(), content.blocks(), 0)
            }
            Body::Directory(directory) => (directory.read().len() as u64 * DIRECTORY_ENTRY_SIZE + 40, 0, 0),
            Body::Symlink(target) => (target.len() as u64, 0, 0),
            Body::CharDevice(rdev) | Body::BlockDevice(rdev) => (0, 0, *rdev),
            Body::Fifo(_) | Body::Socket => (0, 0, 0),
        };
        let attributes = *self.attributes.lock();
        Ok(Metadata {
            dev: self.dev,
            ino: self.ino,
            file_type: self.file_type(),
            permissions: attributes.permissions,
            nlink: attributes.nlink.into(),
            uid: attributes.uid,
            gid: attributes.gid,
            rdev,
            size,
            block_size: BLOCK,
            blocks: blocks * (BLOCK / 512),
            times: attributes.times,
        })
    }

    fn ownership(&self) -> Result<Ownership, Errno> {
        let attributes = self.attributes.lock();
        Ok(Ownership {
            file_type: self.file_type(),
            permissions: attributes.permissions,
            uid: attributes.uid,
            gid: attributes.gid,
        })
    }

    fn set_attributes(&self, change: &SetAttributes) -> Result<(), Errno> {
        let resized = match (change.size, &self.body) {
            (Some(size), Body::Regular(content)) => {
                let fs = self.fs()?;
                let mut content = content.write();
                let changed = content.size() != size;
                self.check_resize(content.size(), size)?;
                content.resize(&fs, size)?;
                Some(changed)
            }
            (Some(_), _) => return Err(Errno::EINVAL),
            (None, _) => None,
        };
        let now = now();
        let mut attributes = self.attributes.lock();
        if let Some(permissions) = change.permissions {
            attributes.permissions = permissions;
        }
        if let Some(uid) = change.uid {
            attributes.uid = uid;
        }
        if let Some(gid) = change.gid {
            attributes.gid = gid;
        }
        if resized.is_some() {
            attributes.times.modified = now;
        }
        if let Some(accessed) = change.accessed {
            attributes.times.accessed = accessed;
        }
        if let Some(modified) = change.modified {
            attributes.times.modified = modified;
        }
        attributes.times.changed = now;
        Ok(())
    }

    fn lookup(&self, name: &[u8]) -> Result<Arc<dyn Inode>, Errno> {
        match self.directory()?.read().get(name) {
            Some(inode) => Ok(inode.clone()),
            None => Err(Errno::ENOENT),
        }
    }

    fn create(&self, name: &[u8], node: &NewNode) -> Result<Arc<dyn Inode>, Errno> {
        let mut entries = self.changeable()?;
        if entries.get(name).is_some() {
            return Err(Errno::EEXIST);
        }
        let inode = TmpfsInode::new(&self.fs()?, node)?;
        self.enter(&mut entries, name, &inode);
        Ok(inode)
    }

    fn create_unnamed(&self, node: &NewNode) -> Result<Arc<dyn Inode>, Errno> {
        let inode = TmpfsInode::new(&self.fs()?, node)?;
        inode.forget_name();
        Ok(inode)
    }

    fn link(&self, name: &[u8], target: &Arc<dyn Inode>) -> Result<(), Errno> {
        let target = as_tmpfs(target)?;
        if target.is_dir() {
            return Err(Errno::EPERM);
        }
        let mut entries = self.changeable()?;
        if entries.get(name).is_some() {
            return Err(Errno::EEXIST);
        }
        target.change_links(1);
        self.enter(&mut entries, name, &target);
        Ok(())
    }

    fn unlink(&self, name: &[u8]) -> Result<(), Errno> {
        let mut entries = self.changeable()?;
        let victim = entries.get(name).ok_or(Errno::ENOENT)?;
        if victim.is_dir() {
            return Err(Errno::EISDIR);
        }
        if let Some(victim) = entries.remove(name) {
            self.touch_modified();
            self.lost(&victim);
        }
        Ok(())
    }

    fn rmdir(&self, name: &[u8]) -> Result<(), Errno> {
        let fs = self.fs()?;
        let _serial = fs.tree.lock();
        let mut entries = self.changeable()?;
        let victim = entries.get(name).ok_or(Errno::ENOENT)?;
        if !victim.directory()?.read().is_empty() {
            return Err(Errno::ENOTEMPTY);
        }
        if let Some(victim) = entries.remove(name) {
            self.touch_modified();
            self.lost(&victim);
        }
        Ok(())
    }

    fn rename(&self, name: &[u8], new_dir: &Arc<dyn Inode>, new_name: &[u8], flags: u32) -> Result<(), Errno> {
        let new_dir = as_tmpfs(new_dir)?;
        let fs = self.fs()?;
        let _serial = fs.tree.lock();
        if self.directory()?.read().removed || new_dir.directory()?.read().removed {
            return Err(Errno::ENOENT);
        }
        // Renames are serialized, and whoever else changes one of the two directories is kept out by the dentries' locks; so
        // each can be locked by itself.
        let source = self.directory()?.read().get(name).cloned().ok_or(Errno::ENOENT)?;
        let target = new_dir.directory()?.read().get(new_name).cloned();
        match &target {
            Some(_) if flags & RENAME_NOREPLACE != 0 => return Err(Errno::EEXIST),
            Some(target) if Arc::ptr_eq(target, &source) => return Ok(()),
            Some(target) if flags & RENAME_EXCHANGE == 0 => source.check_replace(target)?,
            None if flags & RENAME_EXCHANGE != 0 => return Err(Errno::ENOENT),
            _ => {}
        }
        let whiteout = match flags & RENAME_WHITEOUT {
            0 => None,
            _ => Some(TmpfsInode::new(&fs, &whiteout_node())?),
        };
        let take = |dir: &TmpfsInode, name: &[u8]| -> Result<(), Errno> {
            let taken = dir.directory()?.write().remove(name);
            if taken.is_some_and(|inode| inode.is_dir()) {
                dir.attributes.lock().nlink -= 1;
            }
            dir.touch_modified();
            Ok(())
        };
        let put = |dir: &TmpfsInode, name: &[u8], inode: &Arc<TmpfsInode>| -> Result<(), Errno> {
            dir.enter(&mut dir.directory()?.write(), name, inode);
            Ok(())
        };
        take(self, name)?;
        if let Some(target) = &target {
            if flags & RENAME_EXCHANGE != 0 {
                take(&new_dir, new_name)?;
                put(self, name, target)?;
                target.change_links(0);
            } else {
                new_dir.directory()?.write().remove(new_name);
                new_dir.lost(target);
            }
        }
        put(&new_dir, new_name, &source)?;
        if let Some(whiteout) = &whiteout {
            put(self, name, whiteout)?;
        }
        source.change_links(0);
        Ok(())
    }

    fn read_link(&self) -> Result<Vec<u8>, Errno> {
        match &self.body {
            Body::Symlink(target) => Ok(target.to_vec()),
            _ => Err(Errno::EINVAL),
        }
    }

    fn fifo(&self) -> Option<&FifoSlot> {
        match &self.body {
            Body::Fifo(slot) => Some(slot),
            _ => None,
        }
    }

    fn open(
        self: Arc<Self>,
        location: &Location,
        flags: OpenFlags,
        current: &mut Current,
    ) -> Result<Arc<dyn File>, Errno> {
        match &self.body {
            Body::Regular(_) => RegularFile::open(self, location, flags),
            Body::Directory(_) => Ok(DirectoryFile::live(self, location, flags)),
            Body::Symlink(_) => Err(Errno::ELOOP),
            Body::Fifo(_) | Body::Socket => Err(Errno::ENXIO),
            Body::CharDevice(rdev) | Body::BlockDevice(rdev) => {
                special::open_device(self.file_type(), *rdev, location, flags, current)
            }
        }
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize, Errno> {
        self.content()?.read().read(offset, buf)
    }

    fn write_at(&self, offset: Option<u64>, data: &[u8]) -> Result<usize, Errno> {
        let seals = *self.seals.lock();
        if seals & (seal::WRITE | seal::FUTURE_WRITE) != 0 {
            return Err(Errno::EPERM);
        }
        let fs = self.fs()?;
        let mut content = self.content()?.write();
        let offset = offset.unwrap_or(content.size());
        let mut data = data;
        if seals & seal::GROW != 0 {
            // Page by page: what would grow the file fails as a whole page.
            let end = offset.saturating_add(data.len() as u64);
            let room = match content.size() {
                size if end <= size => end - offset,
                size => abi::page_down(size).saturating_sub(offset),
            };
            if room == 0 && !data.is_empty() {
                return Err(Errno::EPERM);
            }
            data = &data[..data.len().min(usize::try_from(room).unwrap_or(usize::MAX))];
        }
        let written = content.write(&fs, offset, data)?;
        drop(content);
        self.touch_modified();
        Ok(written)
    }

    fn size(&self) -> Result<u64, Errno> {
        match &self.body {
            Body::Regular(content) => Ok(content.read().size()),
            _ => Ok(self.metadata()?.size),
        }
    }

    fn seek_sparse(&self, from: u64, hole: bool) -> Result<u64, Errno> {
        self.content()?.read().seek(from, hole)
    }

    fn allocate(&self, mode: u32, offset: u64, len: u64) -> Result<(), Errno> {
        const KEEP_SIZE: u32 = 1;
        const PUNCH_HOLE: u32 = 2;
        let fs = self.fs()?;
        let mut content = self.content()?.write();
        if mode & PUNCH_HOLE != 0 {
            if *self.seals.lock() & (seal::WRITE | seal::FUTURE_WRITE) != 0 {
                return Err(Errno::EPERM);
            }
        } else if mode & KEEP_SIZE == 0 {
            let end = offset.checked_add(len).ok_or(Errno::EFBIG)?;
            self.check_resize(content.size(), content.size().max(end))?;
        }
        content.allocate(&fs, mode, offset, len)?;
        drop(content);
        self.touch_modified();
        Ok(())
    }

    fn map(&self, writes: bool) -> Result<MapSource, Errno> {
        if writes && *self.seals.lock() & (seal::WRITE | seal::FUTURE_WRITE) != 0 {
            return Err(Errno::EPERM);
        }
        Ok(MapSource { fd: self.content()?.write().move_to_host()?, offset: 0 })
    }

    /// The access time follows as `relatime` has it.
    fn touch_accessed(&self) {
        const DAY: i64 = 24 * 3600;
        let later = |a: Timespec, b: Timespec| (a.tv_sec, a.tv_nsec) > (b.tv_sec, b.tv_nsec);
        let now = now();
        let mut attributes = self.attributes.lock();
        let times = &mut attributes.times;
        if !later(times.accessed, times.modified)
            || !later(times.accessed, times.changed)
            || now.tv_sec - times.accessed.tv_sec >= DAY
        {
            times.accessed = now;
        }
    }

    fn read_dir(&self, from: u64, sink: &mut dyn FnMut(DirEntry) -> bool) -> Result<(), Errno> {
        let directory = self.directory()?.read();
        let parent = directory.parent.upgrade().map_or(self.ino, |parent| parent.ino);
        let dots = [(0, b".".as_slice(), self.ino), (1, b"..".as_slice(), parent)];
        for (position, name, ino) in dots.into_iter().filter(|(position, ..)| *position >= from) {
            let entry = DirEntry { ino, file_type: FileType::Directory, name: name.to_vec(), next: position + 1 };
            if !sink(entry) {
                return Ok(());
            }
        }
        for (position, name, inode) in directory.from(from) {
            let file_type = inode.file_type();
            if !sink(DirEntry { ino: inode.ino, file_type, name: name.to_vec(), next: position + 1 }) {
                break;
            }
        }
        Ok(())
    }

    fn seals(&self) -> Result<u32, Errno> {
        Ok(*self.seals.lock())
    }

    fn add_seals(&self, seals: u32) -> Result<(), Errno> {
        if seals & !seal::ALL != 0 {
            return Err(Errno::EINVAL);
        }
        // The contents' lock keeps writers out while it is decided.
        let content = self.content()?.write();
        let mut held = self.seals.lock();
        if *held & seal::SEAL != 0 {
            return Err(Errno::EPERM);
        }
        if seals & seal::WRITE != 0 && *held & seal::WRITE == 0 && content.is_mapped() {
            return Err(Errno::EBUSY);
        }
        *held |= seals;
        Ok(())
    }

    fn get_xattr(&self, name: &[u8]) -> Result<Vec<u8>, Errno> {
        self.xattrs.lock().get(name).cloned().ok_or(Errno::ENODATA)
    }

    fn set_xattr(&self, name: &[u8], value: &[u8], flags: u32) -> Result<(), Errno> {
        const XATTR_CREATE: u32 = 1;
        const XATTR_REPLACE: u32 = 2;
        let mut xattrs = self.xattrs.lock();
        match xattrs.contains_key(name) {
            true if flags & XATTR_CREATE != 0 => return Err(Errno::EEXIST),
            false if flags & XATTR_REPLACE != 0 => return Err(Errno::ENODATA),
            _ => {}
        }
        let used: usize =
            xattrs.iter().filter(|(key, _)| *key != name).map(|(key, value)| key.len() + value.len()).sum();
        if used + name.len() + value.len() > XATTRS_MAX {
            return Err(Errno::ENOSPC);
        }
        xattrs.insert(name.to_vec(), value.to_vec());
        drop(xattrs);
        self.change_links(0);
        Ok(())
    }

    fn list_xattrs(&self) -> Result<Vec<Vec<u8>>, Errno> {
        Ok(self.xattrs.lock().keys().cloned().collect())
    }

    fn remove_xattr(&self, name: &[u8]) -> Result<(), Errno> {
        self.xattrs.lock().remove(name).ok_or(Errno::ENODATA)?;
        self.change_links(0);
        Ok(())
    }
}

/// What overlayfs takes for a removed name.
fn whiteout_node() -> NewNode {
    NewNode { kind: NodeKind::CharDevice(0), permissions: 0, uid: 0, gid: 0 }
}

impl TmpfsInode {
    /// Whether seals allow a new size.
    fn check_resize(&self, old: u64, new: u64) -> Result<(), Errno> {
        const F_SEAL_SHRINK: u32 = 2;
        const F_SEAL_GROW: u32 = 4;
        let seals = *self.seals.lock();
        if new < old && seals & F_SEAL_SHRINK != 0 || new > old && seals & F_SEAL_GROW != 0 {
            return Err(Errno::EPERM);
        }
        Ok(())
    }
}

impl Drop for TmpfsInode {
    fn drop(&mut self) {
        if let Some(fs) = self.fs.upgrade().filter(|_| self.counted) {
            fs.inodes.fetch_sub(1, Ordering::Relaxed);
            if let Body::Regular(content) = &mut self.body {
                content.get_mut().release(&fs);
            }
        }
        // The guest chooses how deep a tree is: no recursion along it.
        let Body::Directory(directory) = &mut self.body else { return };
        let mut rest = directory.get_mut().take_all();
        while let Some(inode) = rest.pop() {
            if let Some(mut inode) = Arc::into_inner(inode)
                && let Body::Directory(directory) = &mut inode.body
            {
                rest.append(&mut directory.get_mut().take_all());
            }
        }
    }
}
