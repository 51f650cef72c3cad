//! Inodes of the gofer's files.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Weak};

use gofer_proto::{Access, Attr, Client, Device, Found, Kinds, NodeId, Owner, SetAttr, SetTime, SyncKind, Time};
use parking_lot::Mutex;

use super::directory::{Answer, Entries, Listing};
use super::{Caching, GoferFs};
use crate::Errno;
use crate::task::Current;
use crate::vfs::contents::{DirectoryFile, RegularFile};
use crate::vfs::special::{FifoSlot, open_device};
use crate::vfs::{
    DirEntry, File, FileSystem, FileType, Inode, Location, MapSource, Metadata, NewNode, NodeKind, OpenFlags,
    Ownership, SetAttributes, Timestamps,
};

/// A file of the host.
pub struct GoferInode {
    fs: Weak<GoferFs>,
    client: Arc<Client>,
    node: NodeId,
    dev: u64,
    file_type: FileType,
    host_key: (Device, u64),
    symlink: Option<Vec<u8>>,
    fifo: FifoSlot,
    attributes: Mutex<Attributes>,
    descriptors: Mutex<Descriptors>,
    entries: Mutex<Entries>,
}

#[derive(Clone, Copy)]
struct Attributes {
    attr: Attr,
    /// Monotonic nanoseconds; 0 when they must be asked for again.
    fetched_at: u64,
}

/// Open host descriptors, by what they can do.
#[derive(Default)]
struct Descriptors {
    read: Weak<OwnedFd>,
    write: Weak<OwnedFd>,
    read_write: Weak<OwnedFd>,
}

impl Descriptors {
    fn slot(&mut self, access: Access) -> &mut Weak<OwnedFd> {
        match access {
            Access::Read => &mut self.read,
            Access::Write => &mut self.write,
            Access::ReadWrite => &mut self.read_write,
        }
    }
    /// A descriptor that can at least do this.
    fn find(&self, access: Access) -> Option<Arc<OwnedFd>> {
        let exact = match access {
            Access::Read => &self.read,
            Access::Write => &self.write,
            Access::ReadWrite => &self.read_write,
        };
        exact.upgrade().or_else(|| self.read_write.upgrade())
    }
    fn any(&self) -> Option<Arc<OwnedFd>> {
        self.read.upgrade().or_else(|| self.read_write.upgrade()).or_else(|| self.write.upgrade())
    }
}

fn monotonic() -> u64 {
    host::clock::monotonic_ns().max(1)
}

impl GoferInode {
    pub(super) fn new(fs: Weak<GoferFs>, client: Arc<Client>, dev: u64, found: Found) -> Arc<GoferInode> {
        Arc::new(GoferInode {
            fs,
            client,
            node: found.node,
            dev,
            file_type: FileType::from_mode(found.attr.mode),
            host_key: (found.attr.dev, found.attr.ino),
            symlink: found.symlink,
            fifo: FifoSlot::default(),
            attributes: Mutex::new(Attributes { attr: found.attr, fetched_at: monotonic() }),
            descriptors: Mutex::default(),
            entries: Mutex::default(),
        })
    }

    pub(super) fn node(&self) -> NodeId {
        self.node
    }

    /// Whether `attr` is of this very inode, not of a later one with its number.
    pub(super) fn is_same(&self, attr: &Attr) -> bool {
        let mine = self.attributes.lock().attr;
        mine.is_same_inode(attr) && mine.btime == attr.btime
    }

    pub(super) fn update(&self, attr: Attr) {
        *self.attributes.lock() = Attributes { attr, fetched_at: monotonic() };
    }

    fn fs(&self) -> Result<Arc<GoferFs>, Errno> {
        self.fs.upgrade().ok_or(Errno::EIO)
    }

    /// They changed: ask for them when they are needed next.
    fn invalidate(&self) {
        self.attributes.lock().fetched_at = 0;
    }

    fn is_fresh(&self, fetched_at: u64) -> Result<bool, Errno> {
        Ok(match self.fs()?.caching {
            _ if fetched_at == 0 => false,
            Caching::Always => true,
            Caching::For(0) => false,
            Caching::For(ns) => monotonic().saturating_sub(fetched_at) < ns,
        })
    }

    fn attr(&self) -> Result<Attr, Errno> {
        let known = *self.attributes.lock();
        if self.is_fresh(known.fetched_at)? {
            return Ok(known.attr);
        }
        // An open descriptor answers without the gofer.
        let open = self.descriptors.lock().any();
        let attr = match open {
            Some(fd) => Attr::from_statx(&host::metadata::statx(fd.as_fd())?),
            None => match self.client.get_attr(self.node) {
                // Its name is gone, and nobody has it open: that is all that can still be said of it.
                Err(Errno::ESTALE) => Attr { nlink: 0, ..known.attr },
                attr => attr?,
            },
        };
        self.update(attr);
        Ok(attr)
    }

    fn descriptor(&self, access: Access) -> Result<Arc<OwnedFd>, Errno> {
        if let Some(fd) = self.descriptors.lock().find(access) {
            return Ok(fd);
        }
        let opened = self.client.open(self.node, access, Kinds::Plain)?;
        let fd = Arc::new(opened.fd);
        *self.descriptors.lock().slot(access) = Arc::downgrade(&fd);
        if access == Access::Read {
            self.fs()?.keep(fd.clone());
        }
        self.update(opened.attr);
        Ok(fd)
    }

    fn check_writable(&self) -> Result<Arc<GoferFs>, Errno> {
        let fs = self.fs()?;
        if fs.read_only { Err(Errno::EROFS) } else { Ok(fs) }
    }

    /// An entry came or went.
    fn entries_changed(&self, fs: &GoferFs) {
        fs.note_change();
        self.invalidate();
        let unused = self.entries.lock().replace(None);
        unused.into_iter().for_each(|node| fs.forget(node));
    }

    fn know(&self, name: &[u8], inode: &Arc<GoferInode>) {
        const PRUNE_AT: usize = 1024;
        let mut entries = self.entries.lock();
        let known = &mut entries.known;
        if known.len() >= PRUNE_AT && known.len() == known.capacity() {
            known.retain(|_, inode| inode.strong_count() > 0);
        }
        known.insert(name.into(), Arc::downgrade(inode));
    }

    fn known(&self, name: &[u8]) -> Option<Arc<GoferInode>> {
        self.entries.lock().known.remove(name)?.upgrade()
    }

    /// Fetches the whole directory unless it is here and good.
    fn list(&self, fs: &GoferFs) -> Result<(), Errno> {
        let fetched_at = self.entries.lock().listing().map_or(0, |listing| listing.fetched_at);
        if self.is_fresh(fetched_at)? {
            return Ok(());
        }
        let listing = Listing::new(self.client.list(self.node)?, monotonic());
        let unused = self.entries.lock().replace(Some(listing));
        unused.into_iter().for_each(|node| fs.forget(node));
        Ok(())
    }

    fn lookup_one(&self, fs: &GoferFs, name: &[u8]) -> Result<Arc<GoferInode>, Errno> {
        let found = self.client.lookup(self.node, name)?.ok_or(Errno::ENOENT)?;
        Ok(fs.inode(found))
    }

    fn find(&self, name: &[u8]) -> Result<Arc<GoferInode>, Errno> {
        let fs = self.fs()?;
        if fs.caching != Caching::Always {
            return self.lookup_one(&fs, name);
        }
        let (has_listing, should_list) = {
            let mut entries = self.entries.lock();
            let has_listing = entries.listing().is_some();
            (has_listing, !has_listing && entries.should_list())
        };
        if should_list {
            self.list(&fs)?;
        } else if !has_listing {
            return self.lookup_one(&fs, name);
        }
        let answer = self.entries.lock().ask(name);
        let inode = match answer {
            Some(Answer::Known(inode)) => return Ok(inode),
            Some(Answer::Missing) => return Err(Errno::ENOENT),
            Some(Answer::New(found)) => fs.inode(*found),
            Some(Answer::Gone) | None => self.lookup_one(&fs, name)?,
        };
        self.entries.lock().set(name, &inode);
        Ok(inode)
    }

    /// Makes something and gives it to its owner, or to the gofer's user where that is not allowed (rootless).
    fn made(&self, node: &NewNode, make: impl Fn(Option<Owner>) -> Result<Found, Errno>) -> Result<Found, Errno> {
        match make(Some(Owner { uid: node.uid, gid: node.gid })) {
            Err(Errno::EPERM | Errno::EINVAL) => make(None),
            done => done,
        }
    }
}

fn as_gofer(inode: &Arc<dyn Inode>) -> Result<Arc<GoferInode>, Errno> {
    let any: Arc<dyn std::any::Any + Send + Sync> = inode.clone();
    any.downcast().map_err(|_| Errno::EXDEV)
}

fn set_time(time: Option<abi::types::Timespec>) -> Option<SetTime> {
    time.map(|at| SetTime::At(Time { sec: at.tv_sec, nsec: u32::try_from(at.tv_nsec).unwrap_or(0) }))
}

impl Inode for GoferInode {
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
        let attr = self.attr()?;
        Ok(Metadata {
            dev: self.dev,
            ino: attr.ino,
            file_type: self.file_type,
            permissions: attr.mode & 0o7777,
            nlink: attr.nlink.into(),
            uid: attr.uid,
            gid: attr.gid,
            rdev: attr.rdev.encode(),
            size: attr.size,
            block_size: attr.blksize.into(),
            blocks: attr.blocks,
            times: Timestamps {
                accessed: attr.atime.into(),
                modified: attr.mtime.into(),
                changed: attr.ctime.into(),
                created: attr.btime.map(Into::into),
            },
        })
    }

    fn ownership(&self) -> Result<Ownership, Errno> {
        let attr = self.attr()?;
        Ok(Ownership { file_type: self.file_type, permissions: attr.mode & 0o7777, uid: attr.uid, gid: attr.gid })
    }

    fn set_attributes(&self, change: &SetAttributes) -> Result<(), Errno> {
        self.check_writable()?;
        // A descriptor that may write may also cut; the gofer is not needed for it.
        let writer = self.descriptors.lock().find(Access::Write);
        let mut size = change.size;
        if let (Some(new), Some(fd)) = (size, writer) {
            host::file::truncate(fd.as_fd(), new)?;
            self.invalidate();
            size = None;
        }
        let set = SetAttr {
            size,
            uid: change.uid,
            gid: change.gid,
            mode: change.permissions,
            atime: set_time(change.accessed),
            mtime: set_time(change.modified),
        };
        if set != SetAttr::default() {
            let attr = self.client.set_attr(self.node, set)?;
            self.update(attr);
        }
        Ok(())
    }

    fn lookup(&self, name: &[u8]) -> Result<Arc<dyn Inode>, Errno> {
        if self.file_type != FileType::Directory {
            return Err(Errno::ENOTDIR);
        }
        let inode = self.find(name)?;
        if !self.fs()?.read_only {
            self.know(name, &inode);
        }
        Ok(inode)
    }

    fn revalidate(&self, name: &[u8], cached: Option<&Arc<dyn Inode>>) -> bool {
        let Some(fs) = self.fs.upgrade() else { return true };
        let Caching::For(ns) = fs.caching else { return true };
        // What is cached holds as long as the attributes of what was found, or of the directory, are fresh.
        let fresh = |at: u64| at != 0 && ns != 0 && monotonic().saturating_sub(at) < ns;
        match cached.map(as_gofer) {
            Some(Ok(inode)) => {
                if fresh(inode.attributes.lock().fetched_at) {
                    return true;
                }
                match self.client.lookup(self.node, name) {
                    Ok(Some(found)) => {
                        let same = inode.is_same(&found.attr);
                        if found.node != inode.node {
                            fs.forget(found.node);
                        }
                        if same {
                            inode.update(found.attr);
                        }
                        same
                    }
                    Ok(None) => false,
                    // The gofer is gone: what was known is all that is left.
                    Err(_) => true,
                }
            }
            Some(Err(_)) => true,
            None => false,
        }
    }

    fn create(&self, name: &[u8], node: &NewNode) -> Result<Arc<dyn Inode>, Errno> {
        let fs = self.check_writable()?;
        let (client, dir, mode) = (&self.client, self.node, node.permissions);
        let mut opened = None;
        let found = match &node.kind {
            NodeKind::File => {
                let owner = Some(Owner { uid: node.uid, gid: node.gid });
                let made = match client.create(dir, name, mode, owner, Access::ReadWrite) {
                    Err(Errno::EPERM | Errno::EINVAL) => client.create(dir, name, mode, None, Access::ReadWrite),
                    done => done,
                };
                let (found, file) = made?;
                opened = Some(Arc::new(file.fd));
                found
            }
            NodeKind::Directory => self.made(node, |owner| client.make_dir(dir, name, mode, owner))?,
            NodeKind::Symlink(target) => self.made(node, |owner| client.symlink(dir, name, target, owner))?,
            kind => {
                let kind = match kind {
                    NodeKind::Fifo => gofer_proto::NewNode::Fifo,
                    NodeKind::Socket => gofer_proto::NewNode::Socket,
                    NodeKind::CharDevice(0) => gofer_proto::NewNode::Whiteout,
                    _ => return Err(Errno::EPERM),
                };
                self.made(node, |owner| client.make_node(dir, name, kind, mode, owner))?
            }
        };
        let inode = fs.inode(found);
        if let Some(fd) = opened {
            inode.descriptors.lock().read_write = Arc::downgrade(&fd);
            // It will be opened in a moment.
            fs.keep(fd);
        }
        self.entries_changed(&fs);
        self.know(name, &inode);
        Ok(inode)
    }

    fn create_unnamed(&self, node: &NewNode) -> Result<Arc<dyn Inode>, Errno> {
        let name = self.fs()?.unnamed_name();
        let inode = self.create(&name, node)?;
        let made = as_gofer(&inode)?;
        // Its descriptor keeps it alive, as long as it has not been crowded out by others: opening follows at once.
        self.client.unlink(self.node, &name, Some(made.node))?;
        made.invalidate();
        self.entries_changed(&*self.fs()?);
        Ok(inode)
    }

    fn link(&self, name: &[u8], target: &Arc<dyn Inode>) -> Result<(), Errno> {
        let fs = self.check_writable()?;
        let target = as_gofer(target)?;
        let found = self.client.link(target.node, self.node, name)?;
        target.update(found.attr);
        if found.node != target.node {
            fs.forget(found.node);
        }
        self.entries_changed(&fs);
        self.know(name, &target);
        Ok(())
    }

    fn unlink(&self, name: &[u8]) -> Result<(), Errno> {
        let fs = self.check_writable()?;
        let victim = self.known(name);
        self.client.unlink(self.node, name, victim.as_ref().map(|inode| inode.node))?;
        if let Some(victim) = victim {
            victim.invalidate();
        }
        self.entries_changed(&fs);
        Ok(())
    }

    fn rmdir(&self, name: &[u8]) -> Result<(), Errno> {
        let fs = self.check_writable()?;
        self.client.remove_dir(self.node, name)?;
        if let Some(victim) = self.known(name) {
            let mut attributes = victim.attributes.lock();
            attributes.attr.nlink = 0;
        }
        self.entries_changed(&fs);
        Ok(())
    }

    fn rename(&self, name: &[u8], new_dir: &Arc<dyn Inode>, new_name: &[u8], flags: u32) -> Result<(), Errno> {
        let fs = self.check_writable()?;
        let new_dir = as_gofer(new_dir)?;
        let source = self.known(name);
        let target = new_dir.known(new_name);
        let node = source.as_ref().map(|inode| inode.node);
        self.client.rename((self.node, name), (new_dir.node, new_name), flags, node)?;
        self.entries_changed(&fs);
        new_dir.entries_changed(&fs);
        if let Some(source) = source {
            source.invalidate();
            new_dir.know(new_name, &source);
        }
        if let Some(target) = target {
            target.invalidate();
            if flags & crate::vfs::dentry::RENAME_EXCHANGE != 0 {
                self.know(name, &target);
            }
        }
        Ok(())
    }

    fn read_link(&self) -> Result<Vec<u8>, Errno> {
        match &self.symlink {
            Some(target) => Ok(target.clone()),
            None if self.file_type == FileType::Symlink => self.client.read_link(self.node),
            None => Err(Errno::EINVAL),
        }
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
                let rdev = self.attr()?.rdev.encode();
                open_device(self.file_type, rdev, location, flags, current)
            }
            _ => Err(Errno::ENXIO),
        }
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize, Errno> {
        host::file::read_at(self.descriptor(Access::Read)?.as_fd(), buf, offset)
    }

    fn write_at(&self, offset: Option<u64>, data: &[u8]) -> Result<usize, Errno> {
        let fd = self.descriptor(Access::Write)?;
        let offset = match offset {
            Some(offset) => offset,
            None => host::metadata::statx(fd.as_fd())?.stx_size,
        };
        let written = host::file::write_at(fd.as_fd(), data, offset)?;
        self.invalidate();
        Ok(written)
    }

    fn seek_sparse(&self, from: u64, hole: bool) -> Result<u64, Errno> {
        const SEEK_DATA: i32 = 3;
        const SEEK_HOLE: i32 = 4;
        let from = i64::try_from(from).map_err(|_| Errno::ENXIO)?;
        let fd = self.descriptor(Access::Read)?;
        host::file::seek(fd.as_fd(), from, if hole { SEEK_HOLE } else { SEEK_DATA })
    }

    fn allocate(&self, mode: u32, offset: u64, len: u64) -> Result<(), Errno> {
        let fd = self.descriptor(Access::Write)?;
        host::file::allocate(fd.as_fd(), mode as i32, offset, len)?;
        self.invalidate();
        Ok(())
    }

    fn map(&self, writes: bool) -> Result<MapSource, Errno> {
        let fd = if writes {
            self.invalidate();
            self.descriptor(Access::ReadWrite)?
        } else {
            self.descriptor(Access::Read)?
        };
        Ok(MapSource { fd, offset: 0 })
    }

    fn sync(&self, data_only: bool) -> Result<(), Errno> {
        let kind = if data_only { host::file::SyncKind::Data } else { host::file::SyncKind::All };
        let open = self.descriptors.lock().any();
        match open {
            Some(fd) => host::file::sync(fd.as_fd(), kind),
            None if self.fs()?.read_only => Ok(()),
            None => self.client.sync(self.node, if data_only { SyncKind::Data } else { SyncKind::All }),
        }
    }

    fn pin(&self, flags: OpenFlags) -> Result<Vec<Arc<OwnedFd>>, Errno> {
        let access = match (flags.reads(), flags.writes()) {
            (true, true) => Access::ReadWrite,
            (false, true) => Access::Write,
            _ => Access::Read,
        };
        Ok(vec![self.descriptor(access)?])
    }

    fn read_dir(&self, from: u64, sink: &mut dyn FnMut(DirEntry) -> bool) -> Result<(), Errno> {
        let fs = self.fs()?;
        self.list(&fs)?;
        let ino = self.host_key.1;
        let dot = |name: &[u8], next| DirEntry { ino, file_type: FileType::Directory, name: name.to_vec(), next };
        if from == 0 && !sink(dot(b".", 1)) || from <= 1 && !sink(dot(b"..", 2)) {
            return Ok(());
        }
        let entries = self.entries.lock();
        let Some(listing) = entries.listing() else { return Ok(()) };
        let skip = usize::try_from(from.saturating_sub(2)).unwrap_or(usize::MAX);
        for (index, listed) in listing.entries().iter().enumerate().skip(skip) {
            let entry = DirEntry {
                ino: listed.ino,
                file_type: FileType::from_mode(listed.mode),
                name: listed.name.to_vec(),
                next: index as u64 + 3,
            };
            if !sink(entry) {
                break;
            }
        }
        Ok(())
    }

    fn get_xattr(&self, name: &[u8]) -> Result<Vec<u8>, Errno> {
        match self.client.get_xattr(self.node, name) {
            // The gofer gives no access to other name spaces: for the guest they are empty.
            Err(Errno::EPERM) => Err(Errno::ENODATA),
            answer => answer,
        }
    }

    fn set_xattr(&self, name: &[u8], value: &[u8], flags: u32) -> Result<(), Errno> {
        self.check_writable()?;
        self.client.set_xattr(self.node, name, value, flags)?;
        self.invalidate();
        Ok(())
    }

    fn list_xattrs(&self) -> Result<Vec<Vec<u8>>, Errno> {
        let names = self.client.list_xattr(self.node)?;
        Ok(names.split(|&b| b == 0).filter(|name| !name.is_empty()).map(<[u8]>::to_vec).collect())
    }

    fn remove_xattr(&self, name: &[u8]) -> Result<(), Errno> {
        self.check_writable()?;
        self.client.remove_xattr(self.node, name)?;
        self.invalidate();
        Ok(())
    }
}

impl Drop for GoferInode {
    fn drop(&mut self) {
        let Some(fs) = self.fs.upgrade() else { return };
        let unused = self.entries.get_mut().replace(None);
        unused.into_iter().for_each(|node| fs.forget(node));
        fs.forget_inode(self.host_key, self.node);
    }
}
