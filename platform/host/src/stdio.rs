//! The standard streams that a process was started with.

use std::os::fd::{AsFd, FromRawFd, OwnedFd};

use abi::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl, open};
use nix::sys::stat::Mode;

use crate::errno;

/// Duplicates of descriptors 0, 1 and 2, close-on-exec; `/dev/null` for one that is closed.
///
/// # Errors
/// EMFILE.
pub fn take() -> Result<[OwnedFd; 3], Errno> {
    Ok([duplicate(0)?, duplicate(1)?, duplicate(2)?])
}

fn duplicate(number: i32) -> Result<OwnedFd, Errno> {
    // SAFETY: only borrowed for the duration of the call; a closed number makes it fail with EBADF.
    let borrowed = unsafe { std::os::fd::BorrowedFd::borrow_raw(number) };
    match fcntl(borrowed.as_fd(), FcntlArg::F_DUPFD_CLOEXEC(3)) {
        // SAFETY: the kernel has just returned this descriptor to us.
        Ok(fd) => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
        Err(nix::Error::EBADF) => open("/dev/null", OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty()).map_err(errno),
        Err(other) => Err(errno(other)),
    }
}
