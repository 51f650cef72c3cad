//! Open files: behaviour ([`File`]) and the open file description that descriptors share.

use std::any::Any;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use parking_lot::Mutex;
use platform::{Prot, Sharing};

use super::lock::{LockTable, NAMELESS, Owner};
use super::notify::{self, Events};
use super::{FileType, Location, Metadata};
use crate::kernel::wait_queue::{Readiness, WaitQueue};
use crate::task::Current;
use crate::{Errno, SysResult};

bitflags::bitflags! {
    /// `O_*` of `open` (`man 2 open`), x86-64 numbers.
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
    pub struct OpenFlags: u32 {
        /// `O_WRONLY`
        const WRONLY = 0o1;
        /// `O_RDWR`
        const RDWR = 0o2;
        /// `O_CREAT`
        const CREAT = 0o100;
        /// `O_EXCL`
        const EXCL = 0o200;
        /// `O_NOCTTY`
        const NOCTTY = 0o400;
        /// `O_TRUNC`
        const TRUNC = 0o1000;
        /// `O_APPEND`
        const APPEND = 0o2000;
        /// `O_NONBLOCK`
        const NONBLOCK = 0o4000;
        /// `O_DSYNC`
        const DSYNC = 0o10000;
        /// `O_ASYNC`
        const ASYNC = 0o20000;
        /// `O_DIRECT`
        const DIRECT = 0o40000;
        /// `O_LARGEFILE`
        const LARGEFILE = 0o100000;
        /// `O_DIRECTORY`
        const DIRECTORY = 0o200000;
        /// `O_NOFOLLOW`
        const NOFOLLOW = 0o400000;
        /// `O_NOATIME`
        const NOATIME = 0o1000000;
        /// `O_CLOEXEC`
        const CLOEXEC = 0o2000000;
        /// `__O_SYNC`
        const SYNC = 0o4000000;
        /// `O_PATH`
        const PATH = 0o10000000;
        /// `__O_TMPFILE`
        const TMPFILE = 0o20000000;
    }
}

impl OpenFlags {
    /// The access mode asks for reading.
    pub fn reads(self) -> bool {
        self.bits() & 3 != 1 && !self.contains(OpenFlags::PATH)
    }
    /// The access mode asks for writing.
    pub fn writes(self) -> bool {
        self.bits() & 3 != 0 && !self.contains(OpenFlags::PATH)
    }
    /// Those that `fcntl(F_SETFL)` may change.
    pub const SETTABLE: OpenFlags = OpenFlags::APPEND
        .union(OpenFlags::NONBLOCK)
        .union(OpenFlags::ASYNC)
        .union(OpenFlags::DIRECT)
        .union(OpenFlags::NOATIME);
}

/// Where a read or write happens.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IoPosition {
    /// At this offset of a seekable file.
    At(u64),
    /// At the end of a seekable file (`O_APPEND`), atomically.
    End,
    /// The file is a stream.
    Stream,
}

/// One entry that `getdents` gives.
#[derive(Clone, Debug)]
pub struct DirEntry {
    /// Inode number.
    pub ino: u64,
    /// Type, for `d_type`.
    pub file_type: FileType,
    /// The name, without NUL.
    pub name: Vec<u8>,
    /// Position to go on after this entry (`d_off`).
    pub next: u64,
}

/// A host file that stands behind a mapping.
#[derive(Clone)]
pub struct MapSource {
    /// Opened with no more rights than the mapping may ever have.
    pub fd: Arc<OwnedFd>,
    /// Offset in `fd` of the file's byte 0.
    pub offset: u64,
}

/// How an open file behaves. Methods never sleep: what would block is EAGAIN, and [`File::wait_queue`] is woken when it is
/// worth another try. Dropping it is the last close.
pub trait File: Any + Send + Sync {
    /// Whether it has a position (regular files, directories, some devices).
    fn is_seekable(&self) -> bool {
        false
    }

    /// Reads at most `buf.len()` bytes; 0 is end of file.
    ///
    /// # Errors
    /// EAGAIN, EISDIR, EINVAL, EIO.
    fn read(&self, _at: IoPosition, _buf: &mut [u8], _current: &Current) -> Result<usize, Errno> {
        Err(Errno::EINVAL)
    }

    /// Writes some of `data`. For [`IoPosition::End`] the description learns the new position by [`File::size`].
    ///
    /// # Errors
    /// EAGAIN, EPIPE (the caller sends SIGPIPE), ENOSPC, EINVAL.
    fn write(&self, _at: IoPosition, _data: &[u8], _current: &Current) -> Result<usize, Errno> {
        Err(Errno::EINVAL)
    }

    /// Size, for `SEEK_END` and appending.
    ///
    /// # Errors
    /// EIO
    fn size(&self) -> Result<u64, Errno> {
        Ok(0)
    }

    /// `SEEK_DATA` (`hole` false) or `SEEK_HOLE` from `from`.
    ///
    /// # Errors
    /// ENXIO beyond the end.
    fn seek_sparse(&self, from: u64, hole: bool) -> Result<u64, Errno> {
        match self.size()? {
            size if from >= size => Err(Errno::ENXIO),
            size => Ok(if hole { size } else { from }),
        }
    }

    /// What it is ready for now.
    fn readiness(&self) -> Readiness {
        Readiness::READABLE | Readiness::WRITABLE
    }

    /// Woken when readiness may have changed; `None` when it never does (then epoll refuses it with EPERM).
    fn wait_queue(&self) -> Option<WaitQueue> {
        None
    }

    /// `ioctl`; the generic part (FIONBIO, FIOCLEX …) has been served.
    ///
    /// # Errors
    /// ENOTTY for a command that this file does not know.
    fn ioctl(&self, _current: &mut Current, _command: u32, _argument: u64) -> SysResult {
        Err(Errno::ENOTTY)
    }

    /// Gives directory entries from position `from` on, `.` and `..` included, until `sink` says false.
    ///
    /// # Errors
    /// ENOTDIR
    fn read_dir(&self, _from: u64, _sink: &mut dyn FnMut(DirEntry) -> bool) -> Result<(), Errno> {
        Err(Errno::ENOTDIR)
    }

    /// A host file to map for it.
    ///
    /// # Errors
    /// ENODEV when it cannot be mapped.
    fn map(&self, _prot: Prot, _sharing: Sharing) -> Result<MapSource, Errno> {
        Err(Errno::ENODEV)
    }

    /// How long an operation that wants `interest` may sleep, in nanoseconds; `None` for as long as it takes (sockets have
    /// `SO_RCVTIMEO` and `SO_SNDTIMEO`).
    fn time_limit(&self, _interest: Readiness) -> Option<u64> {
        None
    }

    /// Takes back the end of what was just read, because the guest could not be given it. False when it is lost.
    fn unread(&self, _data: &[u8]) -> bool {
        false
    }

    /// Whether a blocking write goes on until all is written (pipes, stream sockets, terminals). Files with a position always do.
    fn writes_fully(&self) -> bool {
        false
    }

    /// Whether a write succeeds without a look at the data (`/dev/null`).
    fn ignores_data(&self) -> bool {
        false
    }

    /// Copies from the front of a pipe without taking it out, for `splice`, `tee` and `sendfile`.
    ///
    /// # Errors
    /// EINVAL when this is not the reading end of a pipe; EAGAIN.
    fn peek(&self, _buf: &mut [u8]) -> Result<usize, Errno> {
        Err(Errno::EINVAL)
    }

    /// Whether it is a pipe or FIFO end (`splice` wants at least one).
    fn is_pipe(&self) -> bool {
        false
    }

    /// `fcntl(F_GETPIPE_SZ)`
    ///
    /// # Errors
    /// EBADF when it is no pipe.
    fn pipe_capacity(&self) -> Result<u32, Errno> {
        Err(Errno::EBADF)
    }

    /// `fcntl(F_SETPIPE_SZ)`; returns the capacity it got.
    ///
    /// # Errors
    /// EBADF when it is no pipe; EBUSY, EPERM, EINVAL.
    fn set_pipe_capacity(&self, _capacity: u32, _current: &Current) -> Result<u32, Errno> {
        Err(Errno::EBADF)
    }

    /// `fcntl(F_GET_SEALS)`
    ///
    /// # Errors
    /// EINVAL when it cannot be sealed.
    fn seals(&self) -> Result<u32, Errno> {
        Err(Errno::EINVAL)
    }

    /// `fcntl(F_ADD_SEALS)`; the description was checked to be writable.
    ///
    /// # Errors
    /// EINVAL when it cannot be sealed; EPERM, EBUSY.
    fn add_seals(&self, _seals: u32) -> Result<(), Errno> {
        Err(Errno::EINVAL)
    }

    /// `fcntl(F_SETFL)` is about to change the status flags to `flags`.
    ///
    /// # Errors
    /// EINVAL for a flag that this file cannot have (`O_DIRECT`).
    fn set_flags(&self, _flags: OpenFlags) -> Result<(), Errno> {
        Ok(())
    }

    /// `ftruncate`; the description was checked to be writable.
    ///
    /// # Errors
    /// EINVAL when it has no size to set.
    fn truncate(&self, _size: u64) -> Result<(), Errno> {
        Err(Errno::EINVAL)
    }

    /// `fallocate`
    ///
    /// # Errors
    /// EOPNOTSUPP, ENODEV, ENOSPC.
    fn allocate(&self, _mode: u32, _offset: u64, _len: u64) -> Result<(), Errno> {
        Err(Errno::ENODEV)
    }

    /// `fsync`, `fdatasync`
    ///
    /// # Errors
    /// EINVAL when there is nothing to write to.
    fn sync(&self, _data_only: bool) -> Result<(), Errno> {
        Err(Errno::EINVAL)
    }

    /// Called at each `close` of a descriptor (not only the last).
    fn flush(&self) {}

    /// Attributes for `fstat` of files without a name (pipes, sockets, eventfd). Named files answer by their inode.
    ///
    /// # Errors
    /// EIO
    fn metadata(&self) -> Result<Metadata, Errno> {
        Err(Errno::EBADF)
    }

    /// Opens a file without a name once more, through `/proc/PID/fd/N`.
    ///
    /// # Errors
    /// ENXIO where that cannot be (sockets, eventfds, …).
    fn reopen(&self, _flags: OpenFlags, _current: &mut Current) -> Result<Arc<dyn File>, Errno> {
        Err(Errno::ENXIO)
    }

    /// What `/proc/PID/fd/N` shows for files without a name: `pipe:[12]`, `anon_inode:[eventfd]`.
    fn description(&self) -> String {
        String::new()
    }

    /// Lines for `/proc/PID/fdinfo/N` after pos, flags, mnt_id and ino.
    fn fdinfo(&self) -> String {
        String::new()
    }
}

/// Who is told that I/O became possible (`O_ASYNC`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct AsyncOwner {
    /// `F_OWNER_TID` (0), `F_OWNER_PID` (1), `F_OWNER_PGRP` (2).
    pub kind: i32,
    /// The number; 0 for nobody.
    pub id: i32,
    /// The signal; 0 for SIGIO.
    pub signal: i32,
}

/// An open file description (`man 2 open`): what descriptors made by `dup` and `fork` share.
pub struct FileDescription {
    /// Behaviour.
    pub file: Arc<dyn File>,
    /// The name it was opened by; `None` for pipes, sockets and the like.
    pub location: Option<Location>,
    /// The position of a seekable file; hold the lock over a read or write that moves it.
    pub position: Mutex<u64>,
    flags: AtomicU32,
    /// Who gets SIGIO (`F_SETOWN`, `F_SETSIG`).
    pub async_owner: Mutex<AsyncOwner>,
    /// Set once a lock was taken that belongs to this description.
    pub has_locks: AtomicBool,
    /// Unique in the sandbox, never reused: identifies the owner of record locks and epoll keys.
    pub id: u64,
    /// Epoll instances that watch it and forget it when it goes.
    pub watchers: super::epoll::Watchers,
}

impl FileDescription {
    /// A description at position 0. `flags` keep access mode and status flags.
    pub fn new(file: Arc<dyn File>, location: Option<Location>, flags: OpenFlags) -> Arc<FileDescription> {
        static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);
        let kept =
            flags - (OpenFlags::CREAT | OpenFlags::EXCL | OpenFlags::NOCTTY | OpenFlags::TRUNC | OpenFlags::CLOEXEC);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        Arc::new(FileDescription {
            file,
            location,
            position: Mutex::new(0),
            flags: AtomicU32::new(kept.bits()),
            async_owner: Mutex::default(),
            has_locks: AtomicBool::new(false),
            id,
            watchers: super::epoll::Watchers::new(id),
        })
    }

    /// Access mode and status flags.
    pub fn flags(&self) -> OpenFlags {
        OpenFlags::from_bits_retain(self.flags.load(Ordering::Relaxed))
    }

    /// Replaces the status flags that may change.
    pub fn set_status_flags(&self, flags: OpenFlags) {
        let kept = self.flags() - OpenFlags::SETTABLE;
        self.flags.store((kept | (flags & OpenFlags::SETTABLE)).bits(), Ordering::Relaxed);
    }

    /// Whether it is open for reading.
    pub fn is_readable(&self) -> bool {
        self.flags().reads()
    }

    /// Whether it is open for writing.
    pub fn is_writable(&self) -> bool {
        self.flags().writes()
    }

    /// All attributes: of the inode, or of the file itself where it has no name.
    ///
    /// # Errors
    /// As [`super::Inode::metadata`].
    pub fn metadata(&self) -> Result<Metadata, Errno> {
        match &self.location {
            Some(location) => location.inode().metadata(),
            None => self.file.metadata(),
        }
    }

    /// The type of what is open; anonymous for what has no name.
    pub fn file_type(&self) -> FileType {
        self.location.as_ref().map_or(FileType::Anonymous, |location| location.dentry.file_type())
    }

    /// Where its locks are kept.
    pub fn lock_table(&self) -> &LockTable {
        match &self.location {
            Some(location) => &location.mount.superblock.locks,
            None => &NAMELESS,
        }
    }

    /// Its number in [`FileDescription::lock_table`]: of the inode, which both ends of a pipe share.
    ///
    /// # Errors
    /// As [`FileDescription::metadata`].
    pub fn lock_number(&self) -> Result<u64, Errno> {
        match self.metadata()? {
            // All anonymous inodes are one; each description is to be its own here.
            metadata if self.location.is_none() && metadata.file_type == FileType::Anonymous => Ok(self.id << 32),
            metadata => Ok(metadata.ino),
        }
    }

    /// Releases the record locks that `owner` has on this file.
    pub fn release_locks(&self, owner: Owner) {
        let locks = self.lock_table();
        if !locks.is_empty()
            && let Ok(number) = self.lock_number()
        {
            locks.clear_file(number, owner);
        }
    }

    /// The behaviour as a concrete type.
    pub fn downcast<T: File>(&self) -> Option<&T> {
        (&*self.file as &dyn Any).downcast_ref()
    }
}

impl Drop for FileDescription {
    fn drop(&mut self) {
        if *self.has_locks.get_mut() {
            if let Ok(number) = self.lock_number() {
                let _ = self.lock_table().flock(number, self.id, None);
            }
            self.release_locks(Owner::Description(self.id));
        }
        let Some(location) = &self.location else { return };
        if !self.flags().contains(OpenFlags::PATH) {
            let events = if self.is_writable() { Events::CLOSE_WRITE } else { Events::CLOSE_NOWRITE };
            notify::at_file(location, events);
        }
    }
}
