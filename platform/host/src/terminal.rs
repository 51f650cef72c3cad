//! A host terminal (`man 2 ioctl_tty`).

use std::os::fd::{AsRawFd, BorrowedFd};

use abi::Errno;
use abi::types::{Termios, Winsize};

use crate::check;

/// When new attributes take effect.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum When {
    /// `TCSETS`
    Now,
    /// `TCSETSW`: after what was written is out.
    Drained,
    /// `TCSETSF`: the same, and input not yet read is dropped.
    Flushed,
}

/// Whether `fd` is a terminal.
pub fn is_terminal(fd: BorrowedFd<'_>) -> bool {
    attributes(fd).is_ok()
}

/// `TCGETS`
///
/// # Errors
/// ENOTTY, EIO.
pub fn attributes(fd: BorrowedFd<'_>) -> Result<Termios, Errno> {
    let mut termios = Termios::default();
    // SAFETY: the kernel's 36-byte structure, which `Termios` is.
    check(unsafe { libc::ioctl(fd.as_raw_fd(), libc::TCGETS, &raw mut termios) }.into())?;
    Ok(termios)
}

/// `TCSETS`, `TCSETSW`, `TCSETSF`
///
/// # Errors
/// ENOTTY, EIO, EINTR.
pub fn set_attributes(fd: BorrowedFd<'_>, when: When, termios: &Termios) -> Result<(), Errno> {
    let command = match when {
        When::Now => libc::TCSETS,
        When::Drained => libc::TCSETSW,
        When::Flushed => libc::TCSETSF,
    };
    // SAFETY: the kernel's 36-byte structure, which `Termios` is; it is only read.
    check(unsafe { libc::ioctl(fd.as_raw_fd(), command, &raw const *termios) }.into()).map(drop)
}

const _: () = assert!(size_of::<Termios>() == 36);

/// `TIOCGWINSZ`
///
/// # Errors
/// ENOTTY, EIO.
pub fn window_size(fd: BorrowedFd<'_>) -> Result<Winsize, Errno> {
    let mut size = Winsize::default();
    // SAFETY: the kernel's 8-byte structure, which `Winsize` is.
    check(unsafe { libc::ioctl(fd.as_raw_fd(), libc::TIOCGWINSZ, &raw mut size) }.into())?;
    Ok(size)
}

/// `TIOCSWINSZ`
///
/// # Errors
/// ENOTTY, EIO.
pub fn set_window_size(fd: BorrowedFd<'_>, size: &Winsize) -> Result<(), Errno> {
    // SAFETY: the kernel's 8-byte structure, which `Winsize` is; it is only read.
    check(unsafe { libc::ioctl(fd.as_raw_fd(), libc::TIOCSWINSZ, &raw const *size) }.into()).map(drop)
}

/// `TIOCOUTQ`: bytes written and not yet out.
///
/// # Errors
/// ENOTTY
pub fn bytes_unsent(fd: BorrowedFd<'_>) -> Result<i32, Errno> {
    read_int(fd, libc::TIOCOUTQ)
}

/// `TCFLSH` with `TCIFLUSH`, `TCOFLUSH` or `TCIOFLUSH`.
///
/// # Errors
/// ENOTTY, EINVAL.
pub fn flush(fd: BorrowedFd<'_>, queue: u64) -> Result<(), Errno> {
    // SAFETY: plain numbers.
    check(unsafe { libc::ioctl(fd.as_raw_fd(), libc::TCFLSH, queue) }.into()).map(drop)
}

/// `TCXONC` with `TCOOFF`, `TCOON`, `TCIOFF` or `TCION`.
///
/// # Errors
/// ENOTTY, EINVAL.
pub fn flow(fd: BorrowedFd<'_>, action: u64) -> Result<(), Errno> {
    // SAFETY: plain numbers.
    check(unsafe { libc::ioctl(fd.as_raw_fd(), libc::TCXONC, action) }.into()).map(drop)
}

/// `TCSBRK`: a break, or for a nonzero `argument` only a wait until all is out.
///
/// # Errors
/// ENOTTY, EINTR.
pub fn send_break(fd: BorrowedFd<'_>, argument: u64) -> Result<(), Errno> {
    // SAFETY: plain numbers.
    check(unsafe { libc::ioctl(fd.as_raw_fd(), libc::TCSBRK, argument) }.into()).map(drop)
}

pub(crate) fn read_int(fd: BorrowedFd<'_>, command: libc::Ioctl) -> Result<i32, Errno> {
    let mut value = 0i32;
    // SAFETY: callers give commands that store one int.
    check(unsafe { libc::ioctl(fd.as_raw_fd(), command, &raw mut value) }.into())?;
    Ok(value)
}
