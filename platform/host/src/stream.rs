//! Streams that others hold, too (standard input and output): reading and writing without waiting, and without setting
//! `O_NONBLOCK`, which would show in every process that shares the description.

use std::os::fd::{AsRawFd, BorrowedFd};

use abi::Errno;

use crate::check;

/// Longest piece written to a file that cannot say "not now": a pipe that polls writable takes this much at once.
const CAREFUL_WRITE: usize = 4096;

/// What `fd` is ready for now, of `events` (`POLL*` bits) and errors.
pub fn ready(fd: BorrowedFd<'_>, events: u32) -> u32 {
    let mut pollfd = libc::pollfd { fd: fd.as_raw_fd(), events: events as i16, revents: 0 };
    // SAFETY: one pollfd on our stack; no waiting.
    match unsafe { libc::poll(&raw mut pollfd, 1, 0) } {
        0.. => pollfd.revents as u16 as u32,
        _ => 0,
    }
}

/// Reads what is there.
///
/// # Errors
/// EAGAIN when nothing is; EIO.
pub fn read_now(fd: BorrowedFd<'_>, into: &mut [u8]) -> Result<usize, Errno> {
    let vector = libc::iovec { iov_base: into.as_mut_ptr().cast(), iov_len: into.len() };
    // SAFETY: one vector that names a live buffer; the offset -1 stands for the file's position.
    match check(unsafe { libc::preadv2(fd.as_raw_fd(), &raw const vector, 1, -1, libc::RWF_NOWAIT) } as i64) {
        Err(Errno::EOPNOTSUPP) => {}
        done => return done.map(|n| n as usize),
    }
    // A terminal, say. Another reader may take the bytes in between, and then this call waits: no file of this kind is
    // usually shared by readers.
    if ready(fd, libc::POLLIN as u32) == 0 {
        return Err(Errno::EAGAIN);
    }
    // SAFETY: a buffer with its true length.
    check(unsafe { libc::read(fd.as_raw_fd(), into.as_mut_ptr().cast(), into.len()) } as i64).map(|n| n as usize)
}

/// Writes as much as goes at once.
///
/// # Errors
/// EAGAIN when nothing does; EPIPE, ENOSPC, EIO.
pub fn write_now(fd: BorrowedFd<'_>, from: &[u8]) -> Result<usize, Errno> {
    let vector = libc::iovec { iov_base: from.as_ptr().cast_mut().cast(), iov_len: from.len() };
    // SAFETY: one vector that names a live buffer, which is only read; -1 stands for the file's position.
    match check(unsafe { libc::pwritev2(fd.as_raw_fd(), &raw const vector, 1, -1, libc::RWF_NOWAIT) } as i64) {
        Err(Errno::EOPNOTSUPP) => {}
        done => return done.map(|n| n as usize),
    }
    if ready(fd, libc::POLLOUT as u32) == 0 {
        return Err(Errno::EAGAIN);
    }
    let from = &from[..from.len().min(CAREFUL_WRITE)];
    // SAFETY: a buffer with its true length.
    check(unsafe { libc::write(fd.as_raw_fd(), from.as_ptr().cast(), from.len()) } as i64).map(|n| n as usize)
}

/// Access mode and status flags (`fcntl(F_GETFL)`).
///
/// # Errors
/// EBADF
pub fn status_flags(fd: BorrowedFd<'_>) -> Result<u32, Errno> {
    // SAFETY: plain numbers.
    check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) }.into()).map(|flags| flags as u32)
}

/// Bytes that can be read at once (`FIONREAD`).
///
/// # Errors
/// ENOTTY where the file does not know.
pub fn bytes_to_read(fd: BorrowedFd<'_>) -> Result<i32, Errno> {
    crate::terminal::read_int(fd, libc::FIONREAD)
}
