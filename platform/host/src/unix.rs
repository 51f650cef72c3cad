//! Unix sockets that carry file descriptors (`man 7 unix`).

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::Duration;

use abi::Errno;

use crate::check;

/// Descriptors that one packet can bring at the most; a packet with more is refused.
pub const MAX_FDS: usize = 4;

/// Whether a call may block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Blocking {
    /// Wait as long as it takes.
    Yes,
    /// EAGAIN instead of waiting.
    No,
}

impl Blocking {
    fn flag(self) -> i32 {
        if self == Blocking::No { libc::MSG_DONTWAIT } else { 0 }
    }
}

/// A connected pair of packet sockets (`SOCK_SEQPACKET`), close-on-exec.
///
/// # Errors
/// EMFILE, ENFILE, ENOBUFS.
pub fn packet_pair() -> Result<(OwnedFd, OwnedFd), Errno> {
    pair(libc::SOCK_SEQPACKET)
}

/// A connected pair of stream sockets, close-on-exec.
///
/// # Errors
/// EMFILE, ENFILE, ENOBUFS.
pub fn stream_pair() -> Result<(OwnedFd, OwnedFd), Errno> {
    pair(libc::SOCK_STREAM)
}

fn pair(kind: i32) -> Result<(OwnedFd, OwnedFd), Errno> {
    let mut fds = [0; 2];
    // SAFETY: `fds` has room for the two numbers.
    check(unsafe { libc::socketpair(libc::AF_UNIX, kind | libc::SOCK_CLOEXEC, 0, fds.as_mut_ptr()) }.into())?;
    // SAFETY: the kernel has just given us these descriptors.
    Ok(unsafe { (OwnedFd::from_raw_fd(fds[0]), OwnedFd::from_raw_fd(fds[1])) })
}

// Room for MAX_FDS descriptors after a cmsghdr, aligned as one.
#[repr(C, align(8))]
struct Control([u8; 48]);

const CONTROL_LEN: usize = (size_of::<libc::cmsghdr>() + MAX_FDS * 4).next_multiple_of(8);
const _: () = assert!(CONTROL_LEN <= size_of::<Control>());

/// Sends one packet (or some bytes of a stream) with descriptors. Returns the bytes sent. Never raises SIGPIPE.
///
/// # Errors
/// EPIPE when the other side is gone, EAGAIN, EINVAL for more than [`MAX_FDS`] descriptors.
pub fn send(socket: BorrowedFd<'_>, bytes: &[u8], fds: &[BorrowedFd<'_>], blocking: Blocking) -> Result<usize, Errno> {
    if fds.len() > MAX_FDS {
        return Err(Errno::EINVAL);
    }
    let mut control = Control([0; 48]);
    let mut iov = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    // SAFETY: msghdr is plain data for which zero is valid.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = &raw mut iov;
    message.msg_iovlen = 1;
    if !fds.is_empty() {
        let payload = fds.len() * 4;
        let header = size_of::<libc::cmsghdr>();
        control.0[0..8].copy_from_slice(&((header + payload) as u64).to_ne_bytes());
        control.0[8..12].copy_from_slice(&libc::SOL_SOCKET.to_ne_bytes());
        control.0[12..16].copy_from_slice(&libc::SCM_RIGHTS.to_ne_bytes());
        for (at, fd) in fds.iter().enumerate() {
            control.0[header + at * 4..header + at * 4 + 4].copy_from_slice(&fd.as_raw_fd().to_ne_bytes());
        }
        message.msg_control = control.0.as_mut_ptr().cast();
        message.msg_controllen = (header + payload).next_multiple_of(8) as _;
    }
    loop {
        // SAFETY: `message` points at buffers that live to the end of this function; the kernel only reads them.
        let sent =
            check(
                unsafe { libc::sendmsg(socket.as_raw_fd(), &raw const message, libc::MSG_NOSIGNAL | blocking.flag()) }
                    as i64,
            );
        match sent {
            Err(Errno::EINTR) => {}
            other => return other.map(|n| n as usize),
        }
    }
}

/// What [`receive`] brought.
#[derive(Debug)]
pub struct Received {
    /// Bytes in the buffer; 0 means that the other side has closed.
    pub len: usize,
    /// The descriptors, close-on-exec.
    pub fds: Vec<OwnedFd>,
}

/// Receives one packet (or some bytes of a stream) with its descriptors.
///
/// # Errors
/// EAGAIN, ECONNRESET; EMSGSIZE when the packet was longer than `buffer` or brought too many descriptors (it is lost then).
pub fn receive(socket: BorrowedFd<'_>, buffer: &mut [u8], blocking: Blocking) -> Result<Received, Errno> {
    let mut control = Control([0; 48]);
    let mut iov = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    // SAFETY: msghdr is plain data for which zero is valid.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = &raw mut iov;
    message.msg_iovlen = 1;
    message.msg_control = control.0.as_mut_ptr().cast();
    message.msg_controllen = CONTROL_LEN as _;
    let len = loop {
        // SAFETY: `message` points at buffers that live to the end of this function, with their true lengths.
        let got = check(unsafe {
            libc::recvmsg(socket.as_raw_fd(), &raw mut message, libc::MSG_CMSG_CLOEXEC | blocking.flag())
        } as i64);
        match got {
            Err(Errno::EINTR) => {}
            other => break other? as usize,
        }
    };
    let mut fds = Vec::new();
    // SAFETY: the kernel has filled `control` up to msg_controllen; the CMSG functions walk inside that.
    let mut header = unsafe { libc::CMSG_FIRSTHDR(&raw const message) };
    while !header.is_null() {
        // SAFETY: CMSG_FIRSTHDR/NXTHDR return null or a whole header inside `control`, which is aligned for it.
        let head = unsafe { *header };
        if head.cmsg_level == libc::SOL_SOCKET && head.cmsg_type == libc::SCM_RIGHTS {
            let count = (head.cmsg_len as usize).saturating_sub(size_of::<libc::cmsghdr>()) / 4;
            for at in 0..count.min(MAX_FDS) {
                // SAFETY: the kernel has put `count` descriptors behind the header, and they are ours from now on.
                fds.push(unsafe {
                    OwnedFd::from_raw_fd(libc::CMSG_DATA(header).cast::<i32>().add(at).read_unaligned())
                });
            }
        }
        // SAFETY: as for CMSG_FIRSTHDR.
        header = unsafe { libc::CMSG_NXTHDR(&raw const message, header) };
    }
    if message.msg_flags & (libc::MSG_TRUNC | libc::MSG_CTRUNC) != 0 {
        return Err(Errno::EMSGSIZE);
    }
    Ok(Received { len, fds })
}

/// What [`wait_readable`] saw.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Readiness {
    /// Bytes wait to be received (the other side may be gone as well).
    Readable,
    /// The other side has closed and nothing is left to receive.
    HungUp,
    /// Nothing happened in time.
    TimedOut,
}

/// Waits until `socket` can be received from, for ever where `timeout` is `None`.
pub fn wait_readable(socket: BorrowedFd<'_>, timeout: Option<Duration>) -> Readiness {
    let mut poll = libc::pollfd { fd: socket.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    let timeout = timeout.map_or(-1, |t| i32::try_from(t.as_millis()).unwrap_or(i32::MAX));
    // SAFETY: one valid pollfd on our stack.
    let ready = unsafe { libc::poll(&raw mut poll, 1, timeout) };
    match ready {
        1 if poll.revents & libc::POLLIN != 0 && poll.revents & libc::POLLHUP == 0 => Readiness::Readable,
        1 if poll.revents & libc::POLLIN != 0 => {
            // A hung-up socket is readable for ever; ask whether a byte is left.
            let mut byte = 0_u8;
            // SAFETY: one byte of room; MSG_PEEK leaves the packet and its descriptors in the queue.
            let left = unsafe {
                libc::recv(socket.as_raw_fd(), (&raw mut byte).cast(), 1, libc::MSG_PEEK | libc::MSG_DONTWAIT)
            };
            if left > 0 { Readiness::Readable } else { Readiness::HungUp }
        }
        1 => Readiness::HungUp,
        _ => Readiness::TimedOut,
    }
}

/// Whether the other side of `socket` is gone, whatever may still lie in the queue.
pub fn is_hung_up(socket: BorrowedFd<'_>) -> bool {
    let mut poll = libc::pollfd { fd: socket.as_raw_fd(), events: 0, revents: 0 };
    // SAFETY: one valid pollfd on our stack.
    unsafe { libc::poll(&raw mut poll, 1, 0) == 1 && poll.revents & (libc::POLLHUP | libc::POLLERR) != 0 }
}
