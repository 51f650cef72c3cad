//! Seccomp user notifications: receiving, answering, handing out descriptors (`man 2 seccomp_unotify`).

use crate::check;
use abi::Errno;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::Duration;

/// A system call that waits for a decision.
#[derive(Clone, Copy, Debug)]
pub struct Notification {
    /// Names it in answers.
    pub id: u64,
    /// The calling thread, in this process's pid namespace.
    pub tid: i32,
    /// The call's number.
    pub number: i32,
    /// Its arguments.
    pub args: [u64; 6],
}

/// Waits until a notification is there; `false` when the time is over.
pub fn poll(listener: BorrowedFd<'_>, timeout: Duration) -> bool {
    let mut entry = libc::pollfd { fd: listener.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    let spec = libc::timespec { tv_sec: timeout.as_secs() as i64, tv_nsec: i64::from(timeout.subsec_nanos()) };
    // SAFETY: one valid entry, a valid timespec.
    unsafe { libc::ppoll(&mut entry, 1, &spec, std::ptr::null()) > 0 }
}

/// Takes the next notification; blocks when there is none.
///
/// # Errors
/// ENOENT when the caller died in between, EINTR.
pub fn receive(listener: BorrowedFd<'_>) -> Result<Notification, Errno> {
    // SAFETY: the structure is plain data for which zero is valid, and which the kernel wants zeroed.
    let mut raw: libc::seccomp_notif = unsafe { std::mem::zeroed() };
    // SAFETY: `raw` is what the request expects.
    check(i64::from(unsafe { libc::ioctl(listener.as_raw_fd(), SECCOMP_IOCTL_NOTIF_RECV, &raw mut raw) }))?;
    Ok(Notification { id: raw.id, tid: raw.pid as i32, number: raw.data.nr, args: raw.data.args })
}

/// Lets the call happen.
///
/// # Errors
/// ENOENT when the caller is gone.
pub fn allow(listener: BorrowedFd<'_>, id: u64) -> Result<(), Errno> {
    const CONTINUE: u32 = 1;
    respond(listener, libc::seccomp_notif_resp { id, val: 0, error: 0, flags: CONTINUE })
}

/// Makes the call fail.
///
/// # Errors
/// ENOENT when the caller is gone.
pub fn refuse(listener: BorrowedFd<'_>, id: u64, errno: Errno) -> Result<(), Errno> {
    respond(listener, libc::seccomp_notif_resp { id, val: 0, error: -i32::from(errno.0), flags: 0 })
}

fn respond(listener: BorrowedFd<'_>, response: libc::seccomp_notif_resp) -> Result<(), Errno> {
    // SAFETY: `response` is what the request expects.
    check(i64::from(unsafe { libc::ioctl(listener.as_raw_fd(), SECCOMP_IOCTL_NOTIF_SEND, &raw const response) }))?;
    Ok(())
}

/// Installs `fd` as descriptor number `target` of the caller.
///
/// # Errors
/// ENOENT when the caller is gone, EBADF when `target` is beyond its limit.
pub fn add_fd(listener: BorrowedFd<'_>, id: u64, fd: BorrowedFd<'_>, target: u32) -> Result<(), Errno> {
    const SETFD: u32 = 1;
    let request =
        libc::seccomp_notif_addfd { id, flags: SETFD, srcfd: fd.as_raw_fd() as u32, newfd: target, newfd_flags: 0 };
    // SAFETY: `request` is what the request expects.
    check(i64::from(unsafe { libc::ioctl(listener.as_raw_fd(), SECCOMP_IOCTL_NOTIF_ADDFD, &raw const request) }))?;
    Ok(())
}

const fn ioctl(direction: u64, number: u64, size: usize) -> u64 {
    direction << 30 | (size as u64) << 16 | (b'!' as u64) << 8 | number
}
const SECCOMP_IOCTL_NOTIF_RECV: u64 = ioctl(3, 0, size_of::<libc::seccomp_notif>());
const SECCOMP_IOCTL_NOTIF_SEND: u64 = ioctl(3, 1, size_of::<libc::seccomp_notif_resp>());
const SECCOMP_IOCTL_NOTIF_ADDFD: u64 = ioctl(1, 3, size_of::<libc::seccomp_notif_addfd>());
