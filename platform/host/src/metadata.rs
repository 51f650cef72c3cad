//! What the host says about a file: `statx`, `statfs`, and changing it (mode, owner, times).

use std::ffi::CStr;
use std::os::fd::{AsRawFd, BorrowedFd};

use abi::Errno;
use abi::types::{Statfs, Statx, Timespec};
use zerocopy::FromZeros;
use zerocopy::IntoBytes;

use crate::check;

/// What a file is, from the type bits of its mode.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
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
}

impl FileType {
    /// From `st_mode`; `None` for type bits that Linux does not define.
    pub const fn from_mode(mode: u32) -> Option<FileType> {
        match mode & libc::S_IFMT {
            libc::S_IFREG => Some(FileType::Regular),
            libc::S_IFDIR => Some(FileType::Directory),
            libc::S_IFLNK => Some(FileType::Symlink),
            libc::S_IFIFO => Some(FileType::Fifo),
            libc::S_IFSOCK => Some(FileType::Socket),
            libc::S_IFCHR => Some(FileType::CharDevice),
            libc::S_IFBLK => Some(FileType::BlockDevice),
            _ => None,
        }
    }
}

// STATX_BASIC_STATS | STATX_BTIME | STATX_MNT_ID
const STATX_MASK: u32 = 0x7ff | 0x800 | 0x1000;

/// `statx` of `name` in `dir`, never following a link or an automount. An empty name means `dir` itself.
///
/// # Errors
/// ENOENT, ENOTDIR, EACCES (`man 2 statx`).
pub fn statx_at(dir: BorrowedFd<'_>, name: &CStr) -> Result<Statx, Errno> {
    let mut out = Statx::new_zeroed();
    let flags = libc::AT_SYMLINK_NOFOLLOW | libc::AT_NO_AUTOMOUNT | libc::AT_EMPTY_PATH;
    // SAFETY: `name` is a C string; `out` is plain data with the kernel's layout of 256 bytes (checked below).
    check(unsafe {
        libc::syscall(
            libc::SYS_statx,
            dir.as_raw_fd(),
            name.as_ptr(),
            flags,
            STATX_MASK,
            (&raw mut out).cast::<libc::statx>(),
        )
    })?;
    Ok(out)
}

const _: () = assert!(size_of::<Statx>() == size_of::<libc::statx>());

/// `statx` of what `fd` refers to.
///
/// # Errors
/// EBADF, EACCES.
pub fn statx(fd: BorrowedFd<'_>) -> Result<Statx, Errno> {
    statx_at(fd, c"")
}

/// `fstatfs`.
///
/// # Errors
/// ENOSYS where the file system has none.
pub fn statfs(fd: BorrowedFd<'_>) -> Result<Statfs, Errno> {
    let mut out = Statfs::new_zeroed();
    // SAFETY: `out` is plain data with the kernel's layout of 120 bytes (checked below).
    check(unsafe { libc::syscall(libc::SYS_fstatfs, fd.as_raw_fd(), out.as_mut_bytes().as_mut_ptr()) })?;
    Ok(out)
}

const _: () = assert!(size_of::<Statfs>() == size_of::<libc::statfs>());

/// Sets the permission bits of what `fd` refers to (an `O_PATH` descriptor will do; `fchmodat2`, Linux 6.6).
///
/// # Errors
/// EPERM, EROFS, ENOSYS on an older kernel, EOPNOTSUPP for a symbolic link.
pub fn chmod(fd: BorrowedFd<'_>, mode: u32) -> Result<(), Errno> {
    // SAFETY: a constant C string and numbers.
    check(unsafe {
        libc::syscall(libc::SYS_fchmodat2, fd.as_raw_fd(), c"".as_ptr(), mode & 0o7777, libc::AT_EMPTY_PATH)
    })?;
    Ok(())
}

/// `fchmod` of an open (not `O_PATH`) descriptor: what is left on kernels before 6.6.
///
/// # Errors
/// EPERM, EROFS, EBADF for `O_PATH`.
pub fn chmod_open(fd: BorrowedFd<'_>, mode: u32) -> Result<(), Errno> {
    // SAFETY: plain numbers.
    check(unsafe { libc::fchmod(fd.as_raw_fd(), mode & 0o7777) }.into()).map(drop)
}

/// Sets the owner or the group, or both, of what `fd` refers to (`O_PATH` will do).
///
/// # Errors
/// EPERM, EROFS, EINVAL for an id that this user namespace does not map.
pub fn chown(fd: BorrowedFd<'_>, uid: Option<u32>, gid: Option<u32>) -> Result<(), Errno> {
    // SAFETY: a constant C string and numbers.
    check(
        unsafe {
            libc::fchownat(
                fd.as_raw_fd(),
                c"".as_ptr(),
                uid.unwrap_or(u32::MAX),
                gid.unwrap_or(u32::MAX),
                libc::AT_EMPTY_PATH | libc::AT_SYMLINK_NOFOLLOW,
            )
        }
        .into(),
    )
    .map(drop)
}

/// What a time stamp is set to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SetTime {
    /// `UTIME_OMIT`
    Keep,
    /// `UTIME_NOW`
    Now,
    /// This moment.
    At(Timespec),
}

impl SetTime {
    fn to_host(self) -> Result<libc::timespec, Errno> {
        Ok(match self {
            SetTime::Keep => libc::timespec { tv_sec: 0, tv_nsec: libc::UTIME_OMIT },
            SetTime::Now => libc::timespec { tv_sec: 0, tv_nsec: libc::UTIME_NOW },
            SetTime::At(at) if (0..1_000_000_000).contains(&at.tv_nsec) => {
                libc::timespec { tv_sec: at.tv_sec, tv_nsec: at.tv_nsec }
            }
            SetTime::At(_) => return Err(Errno::EINVAL),
        })
    }
}

/// Sets access and modification time of what `fd` refers to (`O_PATH` will do, Linux 5.8).
///
/// # Errors
/// EPERM, EACCES, EROFS, EINVAL.
pub fn set_times(fd: BorrowedFd<'_>, access: SetTime, modification: SetTime) -> Result<(), Errno> {
    let times = [access.to_host()?, modification.to_host()?];
    // The system call itself: glibc refuses an empty path with flags it does not know.
    // SAFETY: a constant C string and two valid timespecs.
    check(unsafe {
        libc::syscall(
            libc::SYS_utimensat,
            fd.as_raw_fd(),
            c"".as_ptr(),
            times.as_ptr(),
            libc::AT_EMPTY_PATH | libc::AT_SYMLINK_NOFOLLOW,
        )
    })
    .map(drop)
}
