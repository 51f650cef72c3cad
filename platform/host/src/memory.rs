//! Memory files (memfd): what shared anonymous mappings, patched text and tmpfs files live in.

use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use abi::Errno;
use nix::sys::memfd::{MFdFlags, memfd_create};

use crate::{check, errno};

/// A memfd of `len` zero bytes, called `memfd:name` on the host.
///
/// # Errors
/// ENOMEM, EMFILE, ENFILE; EFBIG for a length beyond what files may have.
pub fn memfd(name: &str, len: u64) -> Result<OwnedFd, Errno> {
    create(name, len, MFdFlags::MFD_CLOEXEC)
}

/// The same, ready for seals.
pub(crate) fn sealable_memfd(name: &str, len: u64) -> Result<OwnedFd, Errno> {
    create(name, len, MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING)
}

fn create(name: &str, len: u64, flags: MFdFlags) -> Result<OwnedFd, Errno> {
    let name = CString::new(name).map_err(|_| Errno::EINVAL)?;
    let fd = memfd_create(name.as_c_str(), flags).map_err(errno)?;
    resize(&fd, len)?;
    Ok(fd)
}

/// Sets the length of a memfd.
///
/// # Errors
/// EFBIG, EINVAL, ENOMEM.
pub fn resize(fd: &OwnedFd, len: u64) -> Result<(), Errno> {
    let len = i64::try_from(len).map_err(|_| Errno::EFBIG)?;
    nix::unistd::ftruncate(fd, len).map_err(errno)
}

/// Gives the pages of `offset..offset + len` back; they read as zero afterwards.
///
/// # Errors
/// EINVAL, ENOSYS.
pub fn punch_hole(fd: &OwnedFd, offset: u64, len: u64) -> Result<(), Errno> {
    let (offset, len) = (i64::try_from(offset), i64::try_from(len));
    let (Ok(offset), Ok(len)) = (offset, len) else { return Err(Errno::EINVAL) };
    let mode = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
    // SAFETY: plain numbers on a descriptor that is open for the length of the borrow.
    check(unsafe { libc::fallocate(fd.as_fd().as_raw_fd(), mode, offset, len) }.into()).map(drop)
}

/// Writes all of `data` at `offset`.
///
/// # Errors
/// ENOSPC, ENOMEM, EFBIG.
pub fn write_all(fd: &OwnedFd, mut data: &[u8], mut offset: u64) -> Result<(), Errno> {
    while !data.is_empty() {
        let at = i64::try_from(offset).map_err(|_| Errno::EFBIG)?;
        let written = nix::sys::uio::pwrite(fd, data, at).map_err(errno)?;
        data = &data[written..];
        offset += written as u64;
    }
    Ok(())
}
