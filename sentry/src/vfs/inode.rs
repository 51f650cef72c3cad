//! Inodes: what a file system implements for each of its files.

use std::any::Any;
use std::sync::Arc;

use abi::types::{Stat, Statfs, Timespec};

use super::{File, Location, OpenFlags};
use crate::Errno;
use crate::task::Current;

/// The type bits of `st_mode`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum FileType {
    /// `S_IFREG`
    Regular,
    /// `S_IFDIR`
    Directory,
    /// `S_IFLNK`
    Symlink,
    /// `S_IFIFO`
    Fifo,
    /// `S_IFSOCK`
    Socket,
    /// `S_IFCHR`
    CharDevice,
    /// `S_IFBLK`
    BlockDevice,
    /// No type bits: anonymous inodes (eventfd, epoll …).
    Anonymous,
}

impl FileType {
    /// From `st_mode`; unknown bits are anonymous.
    pub const fn from_mode(mode: u32) -> FileType {
        match mode & 0o170000 {
            0o100000 => FileType::Regular,
            0o040000 => FileType::Directory,
            0o120000 => FileType::Symlink,
            0o010000 => FileType::Fifo,
            0o140000 => FileType::Socket,
            0o020000 => FileType::CharDevice,
            0o060000 => FileType::BlockDevice,
            _ => FileType::Anonymous,
        }
    }
    /// The bits for `st_mode`.
    pub const fn mode_bits(self) -> u32 {
        match self {
            FileType::Regular => 0o100000,
            FileType::Directory => 0o040000,
            FileType::Symlink => 0o120000,
            FileType::Fifo => 0o010000,
            FileType::Socket => 0o140000,
            FileType::CharDevice => 0o020000,
            FileType::BlockDevice => 0o060000,
            FileType::Anonymous => 0,
        }
    }
    /// `DT_*` of `getdents64`.
    pub const fn dirent_type(self) -> u8 {
        (self.mode_bits() >> 12) as u8
    }
}

/// Everything `stat` and `statx` tell.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "fields of struct stat")]
pub struct Metadata {
    pub dev: u64,
    pub ino: u64,
    pub file_type: FileType,
    /// Permission bits, set-id bits and sticky bit: 0..=0o7777.
    pub permissions: u32,
    pub nlink: u64,
    pub uid: u32,
    pub gid: u32,
    pub rdev: u64,
    pub size: u64,
    pub block_size: u64,
    /// In units of 512 bytes.
    pub blocks: u64,
    pub times: Timestamps,
}

/// Times of an inode.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[allow(missing_docs, reason = "fields of struct statx")]
pub struct Timestamps {
    pub accessed: Timespec,
    pub modified: Timespec,
    pub changed: Timespec,
    /// Birth; `None` where the file system keeps none.
    pub created: Option<Timespec>,
}

impl Metadata {
    /// `st_mode`.
    pub fn mode(&self) -> u32 {
        self.file_type.mode_bits() | self.permissions
    }

    /// As `struct stat`.
    pub fn to_stat(&self) -> Stat {
        Stat {
            st_dev: self.dev,
            st_ino: self.ino,
            st_nlink: self.nlink,
            st_mode: self.mode(),
            st_uid: self.uid,
            st_gid: self.gid,
            st_rdev: self.rdev,
            st_size: self.size as i64,
            st_blksize: self.block_size as i64,
            st_blocks: self.blocks as i64,
            st_atim: self.times.accessed,
            st_mtim: self.times.modified,
            st_ctim: self.times.changed,
            ..Stat::default()
        }
    }
}

/// What a permission check needs to know of an inode: cheaper to get than all of [`Metadata`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ownership {
    /// The type.
    pub file_type: FileType,
    /// 0..=0o7777
    pub permissions: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

impl From<&Metadata> for Ownership {
    fn from(m: &Metadata) -> Ownership {
        Ownership { file_type: m.file_type, permissions: m.permissions, uid: m.uid, gid: m.gid }
    }
}

/// A change of attributes; `None` leaves one as it is.
#[derive(Clone, Copy, Default, Debug)]
pub struct SetAttributes {
    /// New permission bits, 0..=0o7777.
    pub permissions: Option<u32>,
    /// New owner.
    pub uid: Option<u32>,
    /// New group.
    pub gid: Option<u32>,
    /// New size.
    pub size: Option<u64>,
    /// New access time.
    pub accessed: Option<Timespec>,
    /// New modification time.
    pub modified: Option<Timespec>,
}

/// What to make.
#[derive(Clone, Debug)]
pub enum NodeKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link to this text.
    Symlink(Vec<u8>),
    /// A named pipe.
    Fifo,
    /// A bound Unix socket.
    Socket,
    /// A character device (`makedev` number).
    CharDevice(u64),
    /// A block device.
    BlockDevice(u64),
}

/// A new directory entry.
#[derive(Clone, Debug)]
pub struct NewNode {
    /// What it is.
    pub kind: NodeKind,
    /// Permission bits, umask already applied.
    pub permissions: u32,
    /// Owner.
    pub uid: u32,
    /// Group (set-gid directories already considered).
    pub gid: u32,
}

/// Where a symbolic link leads.
pub enum LinkTarget {
    /// To a path, resolved from the link's directory.
    Path(Vec<u8>),
    /// Straight to an object (`/proc/PID/fd/N`, `/proc/PID/exe`, `/proc/PID/cwd`).
    Jump(Location),
}

/// A file of a file system. Methods never sleep; permission checks are the caller's.
///
/// Names are single components, never empty, `.`, `..`, or with a slash. The default answers are those of a file that is
/// not a directory and cannot be changed.
pub trait Inode: Any + Send + Sync {
    /// Its file system.
    fn file_system(&self) -> Arc<dyn FileSystem>;

    /// The type; constant over an inode's life.
    fn file_type(&self) -> FileType;

    /// All attributes.
    ///
    /// # Errors
    /// EIO when the source of the file is gone.
    fn metadata(&self) -> Result<Metadata, Errno>;

    /// The part of the attributes that permission checks need, at each step of a path walk: worth an answer of its own.
    ///
    /// # Errors
    /// As [`Inode::metadata`].
    fn ownership(&self) -> Result<Ownership, Errno> {
        Ok(Ownership::from(&self.metadata()?))
    }

    /// Changes attributes; the caller has checked rights. `ctime` follows.
    ///
    /// # Errors
    /// EROFS, EPERM, EFBIG, ENOSPC.
    fn set_attributes(&self, _change: &SetAttributes) -> Result<(), Errno> {
        Err(Errno::EPERM)
    }

    /// The entry `name` of a directory.
    ///
    /// # Errors
    /// ENOENT, ENOTDIR.
    fn lookup(&self, _name: &[u8]) -> Result<Arc<dyn Inode>, Errno> {
        Err(Errno::ENOTDIR)
    }

    /// Whether the dentry cache may keep what [`Inode::lookup`] answered (positive or negative) for `name`. Volatile file
    /// systems (`/proc`) say no.
    fn may_cache(&self, _name: &[u8]) -> bool {
        true
    }

    /// Whether a cached answer for `name` still holds: `None` for a name that was not there. Asked at each use of the dentry
    /// cache, so that directories which others change (shared volumes) can be cached, too.
    fn revalidate(&self, _name: &[u8], _cached: Option<&Arc<dyn Inode>>) -> bool {
        true
    }

    /// Makes an entry.
    ///
    /// # Errors
    /// EEXIST, ENOTDIR, EROFS, ENOSPC, EPERM.
    fn create(&self, _name: &[u8], _node: &NewNode) -> Result<Arc<dyn Inode>, Errno> {
        Err(if self.file_type() == FileType::Directory { Errno::EPERM } else { Errno::ENOTDIR })
    }

    /// Whether names could ever be added to this directory. Where none can, not even the attempt is checked for rights, and
    /// is ENOENT.
    fn takes_names(&self) -> bool {
        true
    }

    /// Makes an unnamed regular file in this directory (`O_TMPFILE`).
    ///
    /// # Errors
    /// EOPNOTSUPP, EROFS.
    fn create_unnamed(&self, _node: &NewNode) -> Result<Arc<dyn Inode>, Errno> {
        Err(Errno::EOPNOTSUPP)
    }

    /// Adds `name` for `target`, an inode of the same file system.
    ///
    /// # Errors
    /// EEXIST, EPERM, EROFS, EMLINK.
    fn link(&self, _name: &[u8], _target: &Arc<dyn Inode>) -> Result<(), Errno> {
        Err(Errno::EPERM)
    }

    /// Removes an entry that is not a directory.
    ///
    /// # Errors
    /// ENOENT, EISDIR, EROFS, EPERM.
    fn unlink(&self, _name: &[u8]) -> Result<(), Errno> {
        Err(Errno::EPERM)
    }

    /// Removes an empty directory.
    ///
    /// # Errors
    /// ENOENT, ENOTDIR, ENOTEMPTY, EROFS.
    fn rmdir(&self, _name: &[u8]) -> Result<(), Errno> {
        Err(Errno::EPERM)
    }

    /// Moves the entry `name` to `new_name` in `new_dir`, of the same file system; `flags` are `RENAME_*`.
    ///
    /// # Errors
    /// ENOENT, EEXIST, ENOTEMPTY, EISDIR, ENOTDIR, EXDEV, EROFS, EINVAL.
    fn rename(&self, _name: &[u8], _new_dir: &Arc<dyn Inode>, _new_name: &[u8], _flags: u32) -> Result<(), Errno> {
        Err(Errno::EPERM)
    }

    /// The text of a symbolic link.
    ///
    /// # Errors
    /// EINVAL for other files.
    fn read_link(&self) -> Result<Vec<u8>, Errno> {
        Err(Errno::EINVAL)
    }

    /// The text of a symbolic link as `current` sees it (`/proc/self`, `/proc/PID/cwd`).
    ///
    /// # Errors
    /// As [`Inode::read_link`].
    fn read_link_for(&self, _current: &Current) -> Result<Vec<u8>, Errno> {
        self.read_link()
    }

    /// Where following the link leads.
    ///
    /// # Errors
    /// As [`Inode::read_link`].
    fn follow_link(&self, _current: &Current) -> Result<LinkTarget, Errno> {
        self.read_link().map(LinkTarget::Path)
    }

    /// The place for the pipe of a FIFO, which is opened without asking [`Inode::open`].
    fn fifo(&self) -> Option<&super::special::FifoSlot> {
        None
    }

    /// Opens it. `location` is the name by which it was found. Devices and FIFOs may answer EAGAIN to be asked again when
    /// [`Inode::open_queue`] is woken (a FIFO without a peer).
    ///
    /// # Errors
    /// ENXIO, EROFS, ENODEV, EAGAIN.
    fn open(
        self: Arc<Self>,
        location: &Location,
        flags: OpenFlags,
        current: &mut Current,
    ) -> Result<Arc<dyn File>, Errno>;

    /// See [`Inode::open`].
    fn open_queue(&self) -> Option<crate::kernel::wait_queue::WaitQueue> {
        None
    }

    /// Reads contents of a regular file: what [`super::contents::RegularFile`] and the kernel itself use.
    ///
    /// # Errors
    /// EIO, EISDIR.
    fn read_at(&self, _offset: u64, _buf: &mut [u8]) -> Result<usize, Errno> {
        Err(Errno::EINVAL)
    }

    /// Writes contents of a regular file, some of `data` at least; `None` is at its end, atomically.
    ///
    /// # Errors
    /// ENOSPC, EFBIG, EROFS, EIO, EPERM for a sealed file.
    fn write_at(&self, _offset: Option<u64>, _data: &[u8]) -> Result<usize, Errno> {
        Err(Errno::EINVAL)
    }

    /// Bytes of contents.
    ///
    /// # Errors
    /// As [`Inode::metadata`].
    fn size(&self) -> Result<u64, Errno> {
        Ok(self.metadata()?.size)
    }

    /// `SEEK_DATA` or `SEEK_HOLE` in a regular file.
    ///
    /// # Errors
    /// ENXIO beyond the end.
    fn seek_sparse(&self, from: u64, hole: bool) -> Result<u64, Errno> {
        match self.size()? {
            size if from >= size => Err(Errno::ENXIO),
            size => Ok(if hole { size } else { from }),
        }
    }

    /// `fallocate` on a regular file.
    ///
    /// # Errors
    /// EOPNOTSUPP, ENOSPC, EFBIG.
    fn allocate(&self, _mode: u32, _offset: u64, _len: u64) -> Result<(), Errno> {
        Err(Errno::EOPNOTSUPP)
    }

    /// A host file with the contents of a regular file; `writes` when it may be written through the mapping.
    ///
    /// # Errors
    /// ENODEV, EPERM for a sealed file.
    fn map(&self, _writes: bool) -> Result<super::MapSource, Errno> {
        Err(Errno::ENODEV)
    }

    /// `fsync`, `fdatasync`.
    ///
    /// # Errors
    /// EIO, ENOSPC.
    fn sync(&self, _data_only: bool) -> Result<(), Errno> {
        Ok(())
    }

    /// Host descriptors that an open file holds so that reading and writing need no new ones.
    ///
    /// # Errors
    /// Those of opening: EACCES, EROFS, EMFILE.
    fn pin(&self, _flags: OpenFlags) -> Result<Vec<Arc<std::os::fd::OwnedFd>>, Errno> {
        Ok(Vec::new())
    }

    /// Contents were read by someone who did not ask to keep the access time.
    fn touch_accessed(&self) {}

    /// Entries of a directory from position `from` on, `.` and `..` included, until `sink` says false.
    ///
    /// # Errors
    /// ENOTDIR, EIO.
    fn read_dir(&self, _from: u64, _sink: &mut dyn FnMut(super::DirEntry) -> bool) -> Result<(), Errno> {
        Err(Errno::ENOTDIR)
    }

    /// `fcntl(F_GET_SEALS)`
    ///
    /// # Errors
    /// EINVAL when it cannot be sealed.
    fn seals(&self) -> Result<u32, Errno> {
        Err(Errno::EINVAL)
    }

    /// `fcntl(F_ADD_SEALS)`
    ///
    /// # Errors
    /// EINVAL when it cannot be sealed; EPERM, EBUSY.
    fn add_seals(&self, _seals: u32) -> Result<(), Errno> {
        Err(Errno::EINVAL)
    }

    /// Reads an extended attribute.
    ///
    /// # Errors
    /// ENODATA, EOPNOTSUPP.
    fn get_xattr(&self, _name: &[u8]) -> Result<Vec<u8>, Errno> {
        Err(Errno::EOPNOTSUPP)
    }
    /// Sets an extended attribute; `flags` are `XATTR_CREATE` and `XATTR_REPLACE`.
    ///
    /// # Errors
    /// EEXIST, ENODATA, EOPNOTSUPP, EROFS, ENOSPC.
    fn set_xattr(&self, _name: &[u8], _value: &[u8], _flags: u32) -> Result<(), Errno> {
        Err(Errno::EOPNOTSUPP)
    }
    /// Names of all extended attributes.
    ///
    /// # Errors
    /// EOPNOTSUPP.
    fn list_xattrs(&self) -> Result<Vec<Vec<u8>>, Errno> {
        Err(Errno::EOPNOTSUPP)
    }
    /// Removes an extended attribute.
    ///
    /// # Errors
    /// ENODATA, EOPNOTSUPP, EROFS.
    fn remove_xattr(&self, _name: &[u8]) -> Result<(), Errno> {
        Err(Errno::EOPNOTSUPP)
    }
}

/// A mounted file system.
pub trait FileSystem: Any + Send + Sync {
    /// As in `/proc/mounts`: `tmpfs`, `proc`, `overlay` …
    fn name(&self) -> &'static str;
    /// `statfs`.
    ///
    /// # Errors
    /// EIO.
    fn statfs(&self) -> Result<Statfs, Errno>;
    /// The root directory.
    fn root(&self) -> Arc<dyn Inode>;
    /// Options for `/proc/mounts`, without ro/rw.
    fn options(&self) -> String {
        String::new()
    }
    /// Whether it can never be written to, however it is mounted.
    fn is_read_only(&self) -> bool {
        false
    }
    /// `syncfs`.
    ///
    /// # Errors
    /// EIO, ENOSPC.
    fn sync(&self) -> Result<(), Errno> {
        Ok(())
    }
}
