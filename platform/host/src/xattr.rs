//! Extended attributes of what a descriptor refers to, `O_PATH` included (`man 7 xattr`).
//!
//! `getxattrat` and its siblings (Linux 6.13) take an `O_PATH` descriptor and need no `/proc`. Before them only a truly
//! open file has attributes for us: the functions then fail with EBADF on `O_PATH`, and the caller opens the file.

use std::ffi::CStr;
use std::os::fd::{AsRawFd, BorrowedFd};

use abi::Errno;

use crate::check;

const SETXATTRAT: i64 = 463;
const GETXATTRAT: i64 = 464;
const LISTXATTRAT: i64 = 465;
const REMOVEXATTRAT: i64 = 466;
const FLAGS: i32 = libc::AT_EMPTY_PATH | libc::AT_SYMLINK_NOFOLLOW;

/// `struct xattr_args`.
#[repr(C)]
struct XattrArgs {
    value: u64,
    size: u32,
    flags: u32,
}

/// Reads attribute `name` into `value`; the length it has. With an empty buffer only the length.
///
/// # Errors
/// ENODATA, ERANGE when the buffer is too small, EOPNOTSUPP.
pub fn get(fd: BorrowedFd<'_>, name: &CStr, value: &mut [u8]) -> Result<usize, Errno> {
    let size = u32::try_from(value.len()).map_err(|_| Errno::E2BIG)?;
    let args = XattrArgs { value: value.as_mut_ptr() as u64, size, flags: 0 };
    // SAFETY: C strings, and a structure that names `value` with its true length; the kernel writes no more than that.
    let got = check(unsafe {
        let args_size = size_of::<XattrArgs>();
        libc::syscall(GETXATTRAT, fd.as_raw_fd(), c"".as_ptr(), FLAGS, name.as_ptr(), &raw const args, args_size)
    });
    match got {
        Err(Errno::ENOSYS) => {
            // SAFETY: a C string and a buffer with its true length.
            check(unsafe { libc::fgetxattr(fd.as_raw_fd(), name.as_ptr(), value.as_mut_ptr().cast(), value.len()) }
                as i64)
        }
        other => other,
    }
    .map(|n| n as usize)
}

/// Reads the names, each with a NUL behind it; their length together. With an empty buffer only the length.
///
/// # Errors
/// ERANGE when the buffer is too small, EOPNOTSUPP.
pub fn list(fd: BorrowedFd<'_>, names: &mut [u8]) -> Result<usize, Errno> {
    // SAFETY: a constant C string and a buffer with its true length.
    let got = check(unsafe {
        libc::syscall(LISTXATTRAT, fd.as_raw_fd(), c"".as_ptr(), FLAGS, names.as_mut_ptr(), names.len())
    });
    match got {
        Err(Errno::ENOSYS) => {
            // SAFETY: a buffer with its true length.
            check(unsafe { libc::flistxattr(fd.as_raw_fd(), names.as_mut_ptr().cast(), names.len()) } as i64)
        }
        other => other,
    }
    .map(|n| n as usize)
}

/// Sets attribute `name`; `flags` are `XATTR_CREATE` or `XATTR_REPLACE`.
///
/// # Errors
/// EEXIST, ENODATA, ENOSPC, EPERM, EROFS, EOPNOTSUPP.
pub fn set(fd: BorrowedFd<'_>, name: &CStr, value: &[u8], flags: u32) -> Result<(), Errno> {
    let size = u32::try_from(value.len()).map_err(|_| Errno::E2BIG)?;
    let args = XattrArgs { value: value.as_ptr() as u64, size, flags };
    // SAFETY: C strings, and a structure that names `value` with its true length; the kernel only reads it.
    let done = check(unsafe {
        let args_size = size_of::<XattrArgs>();
        libc::syscall(SETXATTRAT, fd.as_raw_fd(), c"".as_ptr(), FLAGS, name.as_ptr(), &raw const args, args_size)
    });
    match done {
        // SAFETY: a C string and a buffer with its true length.
        Err(Errno::ENOSYS) => check(
            unsafe { libc::fsetxattr(fd.as_raw_fd(), name.as_ptr(), value.as_ptr().cast(), value.len(), flags as i32) }
                .into(),
        ),
        other => other,
    }
    .map(drop)
}

/// Removes attribute `name`.
///
/// # Errors
/// ENODATA, EPERM, EROFS, EOPNOTSUPP.
pub fn remove(fd: BorrowedFd<'_>, name: &CStr) -> Result<(), Errno> {
    // SAFETY: C strings and numbers.
    let done = check(unsafe { libc::syscall(REMOVEXATTRAT, fd.as_raw_fd(), c"".as_ptr(), FLAGS, name.as_ptr()) });
    match done {
        // SAFETY: a C string.
        Err(Errno::ENOSYS) => check(unsafe { libc::fremovexattr(fd.as_raw_fd(), name.as_ptr()) }.into()),
        other => other,
    }
    .map(drop)
}
