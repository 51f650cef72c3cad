//! Host files and directories through descriptors: open, read, write, resize, list, make, link, move, remove.
//!
//! Names are looked up in a directory descriptor and never follow a symbolic link.

use std::ffi::CStr;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use abi::Errno;
use abi::types::OpenHow;

use crate::check;

/// How a path is resolved by [`open_at`] (`man 2 openat2`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Resolve {
    /// Stay beneath the directory and follow no link at all; mount points are crossed.
    Beneath,
    /// The same, and fail at a mount point with EXDEV.
    BeneathNoMounts,
    /// As `openat` does. For paths that come from the user who starts us, never for names that come from a guest.
    Anywhere,
}

impl Resolve {
    fn bits(self) -> u64 {
        const NO_XDEV: u64 = 1;
        const NO_MAGICLINKS: u64 = 2;
        const NO_SYMLINKS: u64 = 4;
        const BENEATH: u64 = 8;
        match self {
            Resolve::Beneath => NO_MAGICLINKS | NO_SYMLINKS | BENEATH,
            Resolve::BeneathNoMounts => NO_XDEV | NO_MAGICLINKS | NO_SYMLINKS | BENEATH,
            Resolve::Anywhere => 0,
        }
    }
}

/// `openat2` with `O_CLOEXEC` added. `flags` are `O_*`; `mode` is for `O_CREAT`.
///
/// # Errors
/// ENOENT, ELOOP (a link in the way), EXDEV (it would leave the directory), EAGAIN (a rename raced; try again), EACCES, EMFILE.
pub fn open_at(dir: BorrowedFd<'_>, path: &CStr, flags: u32, mode: u32, resolve: Resolve) -> Result<OwnedFd, Errno> {
    let mode = if flags & (libc::O_CREAT as u32) != 0 || flags & (libc::O_TMPFILE as u32) == libc::O_TMPFILE as u32 {
        u64::from(mode & 0o7777)
    } else {
        0
    };
    let how = OpenHow { flags: u64::from(flags | libc::O_CLOEXEC as u32), mode, resolve: resolve.bits() };
    // SAFETY: a C string and a structure with its true size.
    let fd = check(unsafe {
        libc::syscall(libc::SYS_openat2, dir.as_raw_fd(), path.as_ptr(), &raw const how, size_of::<OpenHow>())
    })?;
    // SAFETY: the kernel has just given us this descriptor.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// Opens a path as the process sees it: absolute, or from its working directory.
///
/// # Errors
/// As `man 2 open`.
pub fn open(path: &CStr, flags: u32) -> Result<OwnedFd, Errno> {
    // SAFETY: AT_FDCWD is always valid.
    open_at(unsafe { BorrowedFd::borrow_raw(libc::AT_FDCWD) }, path, flags, 0, Resolve::Anywhere)
}

/// Reads at `offset`, leaving the file's position alone.
///
/// # Errors
/// EBADF, EISDIR, EIO, EINVAL.
pub fn read_at(fd: BorrowedFd<'_>, into: &mut [u8], offset: u64) -> Result<usize, Errno> {
    let offset = i64::try_from(offset).map_err(|_| Errno::EINVAL)?;
    // SAFETY: a buffer with its true length.
    check(unsafe { libc::pread(fd.as_raw_fd(), into.as_mut_ptr().cast(), into.len(), offset) } as i64)
        .map(|n| n as usize)
}

/// Writes at `offset`, leaving the file's position alone.
///
/// # Errors
/// EBADF, ENOSPC, EFBIG, EDQUOT, EIO, EINVAL.
pub fn write_at(fd: BorrowedFd<'_>, from: &[u8], offset: u64) -> Result<usize, Errno> {
    let offset = i64::try_from(offset).map_err(|_| Errno::EINVAL)?;
    // SAFETY: a buffer with its true length.
    check(unsafe { libc::pwrite(fd.as_raw_fd(), from.as_ptr().cast(), from.len(), offset) } as i64).map(|n| n as usize)
}

/// Reads at `offset` into several buffers.
///
/// # Errors
/// As [`read_at`].
pub fn read_vectored_at(fd: BorrowedFd<'_>, into: &mut [std::io::IoSliceMut<'_>], offset: u64) -> Result<usize, Errno> {
    let offset = i64::try_from(offset).map_err(|_| Errno::EINVAL)?;
    let count = into.len().min(libc::UIO_MAXIOV as usize) as i32;
    // SAFETY: IoSliceMut has the layout of iovec by its documentation, and each names a live buffer.
    check(unsafe { libc::preadv(fd.as_raw_fd(), into.as_mut_ptr().cast(), count, offset) } as i64).map(|n| n as usize)
}

/// Writes at `offset` from several buffers.
///
/// # Errors
/// As [`write_at`].
pub fn write_vectored_at(fd: BorrowedFd<'_>, from: &[std::io::IoSlice<'_>], offset: u64) -> Result<usize, Errno> {
    let offset = i64::try_from(offset).map_err(|_| Errno::EINVAL)?;
    let count = from.len().min(libc::UIO_MAXIOV as usize) as i32;
    // SAFETY: IoSlice has the layout of iovec by its documentation, and each names a live buffer.
    check(unsafe { libc::pwritev(fd.as_raw_fd(), from.as_ptr().cast(), count, offset) } as i64).map(|n| n as usize)
}

/// Copies inside the host, without a buffer of ours. Returns the bytes copied; 0 at the end of the source.
///
/// # Errors
/// EXDEV, EINVAL, EOPNOTSUPP: copy by hand instead.
pub fn copy_range(
    from: BorrowedFd<'_>,
    from_at: u64,
    to: BorrowedFd<'_>,
    to_at: u64,
    len: usize,
) -> Result<usize, Errno> {
    let mut from_at = i64::try_from(from_at).map_err(|_| Errno::EINVAL)?;
    let mut to_at = i64::try_from(to_at).map_err(|_| Errno::EINVAL)?;
    // SAFETY: the two offsets are on our stack.
    check(unsafe { libc::copy_file_range(from.as_raw_fd(), &raw mut from_at, to.as_raw_fd(), &raw mut to_at, len, 0) }
        as i64)
    .map(|n| n as usize)
}

/// Sets the size of a file open for writing.
///
/// # Errors
/// EINVAL, EFBIG, ENOSPC, EPERM.
pub fn truncate(fd: BorrowedFd<'_>, size: u64) -> Result<(), Errno> {
    let size = i64::try_from(size).map_err(|_| Errno::EFBIG)?;
    // SAFETY: plain numbers.
    check(unsafe { libc::ftruncate(fd.as_raw_fd(), size) }.into()).map(drop)
}

/// `fallocate`; `mode` are `FALLOC_FL_*`.
///
/// # Errors
/// EOPNOTSUPP, ENOSPC, EINVAL, EFBIG.
pub fn allocate(fd: BorrowedFd<'_>, mode: i32, offset: u64, len: u64) -> Result<(), Errno> {
    let offset = i64::try_from(offset).map_err(|_| Errno::EFBIG)?;
    let len = i64::try_from(len).map_err(|_| Errno::EFBIG)?;
    // SAFETY: plain numbers.
    check(unsafe { libc::fallocate(fd.as_raw_fd(), mode, offset, len) }.into()).map(drop)
}

/// `lseek`, with `SEEK_DATA` and `SEEK_HOLE` too.
///
/// # Errors
/// ENXIO past the last data, EINVAL, ESPIPE.
pub fn seek(fd: BorrowedFd<'_>, offset: i64, whence: i32) -> Result<u64, Errno> {
    // SAFETY: plain numbers.
    check(unsafe { libc::lseek(fd.as_raw_fd(), offset, whence) }).map(|n| n as u64)
}

/// What a sync covers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SyncKind {
    /// `fsync`: contents and attributes.
    All,
    /// `fdatasync`: contents, and what is needed to find them.
    Data,
}

/// Waits until the file is on its disk.
///
/// # Errors
/// EIO, ENOSPC, EDQUOT, EINVAL.
pub fn sync(fd: BorrowedFd<'_>, kind: SyncKind) -> Result<(), Errno> {
    // SAFETY: plain numbers.
    let done = unsafe {
        match kind {
            SyncKind::All => libc::fsync(fd.as_raw_fd()),
            SyncKind::Data => libc::fdatasync(fd.as_raw_fd()),
        }
    };
    check(done.into()).map(drop)
}

/// The target of the link `name` in `dir`; an empty name means `dir` itself, an `O_PATH` descriptor of a link.
///
/// # Errors
/// EINVAL when it is no link.
pub fn read_link(dir: BorrowedFd<'_>, name: &CStr) -> Result<Vec<u8>, Errno> {
    let mut target = vec![0; libc::PATH_MAX as usize];
    // SAFETY: a C string and a buffer with its true length.
    let len =
        check(unsafe { libc::readlinkat(dir.as_raw_fd(), name.as_ptr(), target.as_mut_ptr().cast(), target.len()) }
            as i64)?;
    target.truncate(len as usize);
    Ok(target)
}

/// `mkdirat`.
///
/// # Errors
/// EEXIST, EACCES, EROFS, ENOSPC, EMLINK.
pub fn make_dir(dir: BorrowedFd<'_>, name: &CStr, mode: u32) -> Result<(), Errno> {
    // SAFETY: a C string and numbers.
    check(unsafe { libc::mkdirat(dir.as_raw_fd(), name.as_ptr(), mode & 0o7777) }.into()).map(drop)
}

/// `mknodat`; `mode` with its type bits.
///
/// # Errors
/// EEXIST, EPERM, EROFS, ENOSPC.
pub fn make_node(dir: BorrowedFd<'_>, name: &CStr, mode: u32, device: u64) -> Result<(), Errno> {
    // SAFETY: a C string and numbers.
    check(unsafe { libc::mknodat(dir.as_raw_fd(), name.as_ptr(), mode, device) }.into()).map(drop)
}

/// `symlinkat`.
///
/// # Errors
/// EEXIST, EROFS, ENOSPC.
pub fn make_link(target: &CStr, dir: BorrowedFd<'_>, name: &CStr) -> Result<(), Errno> {
    // SAFETY: C strings.
    check(unsafe { libc::symlinkat(target.as_ptr(), dir.as_raw_fd(), name.as_ptr()) }.into()).map(drop)
}

/// `linkat`; a symbolic link itself is linked, not what it points at.
///
/// # Errors
/// EEXIST, EXDEV, EPERM, EMLINK, EROFS.
pub fn link(from: BorrowedFd<'_>, from_name: &CStr, to: BorrowedFd<'_>, to_name: &CStr) -> Result<(), Errno> {
    // SAFETY: C strings and numbers.
    check(unsafe { libc::linkat(from.as_raw_fd(), from_name.as_ptr(), to.as_raw_fd(), to_name.as_ptr(), 0) }.into())
        .map(drop)
}

/// Removes a name that is not a directory.
///
/// # Errors
/// ENOENT, EISDIR, EROFS, EPERM.
pub fn unlink(dir: BorrowedFd<'_>, name: &CStr) -> Result<(), Errno> {
    // SAFETY: a C string and numbers.
    check(unsafe { libc::unlinkat(dir.as_raw_fd(), name.as_ptr(), 0) }.into()).map(drop)
}

/// Removes an empty directory.
///
/// # Errors
/// ENOENT, ENOTDIR, ENOTEMPTY, EBUSY, EROFS.
pub fn remove_dir(dir: BorrowedFd<'_>, name: &CStr) -> Result<(), Errno> {
    // SAFETY: a C string and numbers.
    check(unsafe { libc::unlinkat(dir.as_raw_fd(), name.as_ptr(), libc::AT_REMOVEDIR) }.into()).map(drop)
}

/// `renameat2`; `flags` are `RENAME_*`.
///
/// # Errors
/// ENOENT, EEXIST, EXDEV, ENOTEMPTY, EINVAL, EROFS.
pub fn rename(
    from: BorrowedFd<'_>,
    from_name: &CStr,
    to: BorrowedFd<'_>,
    to_name: &CStr,
    flags: u32,
) -> Result<(), Errno> {
    // The system call itself: glibc turns it into renameat where there are no flags, which filters need not know.
    // SAFETY: C strings and numbers.
    check(unsafe {
        libc::syscall(
            libc::SYS_renameat2,
            from.as_raw_fd(),
            from_name.as_ptr(),
            to.as_raw_fd(),
            to_name.as_ptr(),
            flags,
        )
    })
    .map(drop)
}

/// One entry of a directory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DirEntry {
    /// Its name; `.` and `..` are left out.
    pub name: std::ffi::CString,
    /// `d_ino`
    pub ino: u64,
    /// `d_type`
    pub kind: u8,
    /// Where the entry behind this one starts (`d_off`), for `lseek` on the same directory.
    pub next: i64,
}

/// Reads the next entries of an open directory, about `buffer.len()` / 32 of them. An empty answer is the end, except that a
/// buffer which held nothing but `.` and `..` is read again.
///
/// # Errors
/// ENOTDIR, EINVAL when the buffer is too small, ENOENT when the directory has been removed.
pub fn read_dir(dir: BorrowedFd<'_>, buffer: &mut [u8]) -> Result<Vec<DirEntry>, Errno> {
    loop {
        // SAFETY: a buffer with its true length.
        let len =
            check(unsafe { libc::syscall(libc::SYS_getdents64, dir.as_raw_fd(), buffer.as_mut_ptr(), buffer.len()) })?
                as usize;
        let mut rest = buffer.get(..len).ok_or(Errno::EIO)?;
        let mut entries = Vec::new();
        if rest.is_empty() {
            return Ok(entries);
        }
        // struct linux_dirent64 { u64 d_ino; s64 d_off; u16 d_reclen; u8 d_type; char d_name[]; }
        while rest.len() > 19 {
            let (ino, tail) = rest.split_first_chunk::<8>().ok_or(Errno::EIO)?;
            let (next, tail) = tail.split_first_chunk::<8>().ok_or(Errno::EIO)?;
            let (reclen, tail) = tail.split_first_chunk::<2>().ok_or(Errno::EIO)?;
            let (kind, _) = tail.split_first().ok_or(Errno::EIO)?;
            let reclen = usize::from(u16::from_ne_bytes(*reclen));
            let name = rest.get(19..reclen).ok_or(Errno::EIO)?;
            let name = CStr::from_bytes_until_nul(name).map_err(|_| Errno::EIO)?;
            if name != c"." && name != c".." {
                entries.push(DirEntry {
                    name: name.to_owned(),
                    ino: u64::from_ne_bytes(*ino),
                    kind: *kind,
                    next: i64::from_ne_bytes(*next),
                });
            }
            rest = rest.get(reclen..).ok_or(Errno::EIO)?;
        }
        if !entries.is_empty() {
            return Ok(entries);
        }
    }
}
