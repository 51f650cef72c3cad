//! A forked copy of this process that waits, with nothing but one socket and a page of foreign code, to be emptied by a tracer.

use crate::errno;
use abi::{Errno, PAGE_SIZE};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// The process and what was put into it.
#[derive(Debug)]
pub struct Template {
    /// Its pid.
    pub pid: i32,
    /// Where the code page lies; a writable scratch page follows it.
    pub code: u64,
    /// This process's end of the template's socket.
    pub ours: OwnedFd,
    /// The template's end, which is its fd 0 and that of all its forks.
    pub theirs: OwnedFd,
}

/// One past the highest user address with four-level page tables.
pub const TASK_SIZE: u64 = 0x7fff_ffff_f000;

/// Forks the template. Must be called while this process has one thread.
///
/// # Errors
/// What `socketpair`, `mmap` and `fork` say.
pub fn start(code: &[u8]) -> Result<Template, Errno> {
    use nix::sys::socket::{AddressFamily, SockFlag, SockType, recv, setsockopt, socketpair, sockopt::ReceiveTimeout};
    if code.len() as u64 > PAGE_SIZE {
        return Err(Errno::EINVAL);
    }
    let (ours, theirs) =
        socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC).map_err(errno)?;
    let pages = map_pages(code)?;
    // SAFETY: this process has one thread (the caller's duty; where it has not, the child still only makes the
    // async-signal-safe calls below), and the child never returns.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        become_template(theirs.as_raw_fd());
    }
    let forked = if pid < 0 { Err(errno(nix::Error::last())) } else { Ok(pid) };
    // SAFETY: the two pages were mapped above at an address that was free, and nothing refers to them.
    unsafe { libc::munmap(pages as *mut libc::c_void, 2 * PAGE_SIZE as usize) };
    let template = Template { pid: forked?, code: pages, ours, theirs };
    setsockopt(&template.ours, ReceiveTimeout, &nix::sys::time::TimeVal::new(10, 0)).map_err(errno)?;
    let mut ready = [0];
    match recv(template.ours.as_raw_fd(), &mut ready, nix::sys::socket::MsgFlags::empty()).map_err(errno) {
        Ok(1) => Ok(template),
        other => {
            let _ = crate::ptrace::kill(template.pid);
            crate::ptrace::reap(template.pid);
            Err(other.err().unwrap_or(Errno::ESRCH))
        }
    }
}

/// Sends `fd` to whichever fork of the template receives next.
pub fn send_fd(ours: BorrowedFd<'_>, fd: BorrowedFd<'_>) -> Result<(), Errno> {
    use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
    let fds = [fd.as_raw_fd()];
    let iov = [std::io::IoSlice::new(&[0])];
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
    sendmsg::<()>(ours.as_raw_fd(), &iov, &[ControlMessage::ScmRights(&fds)], flags, None).map_err(errno).map(drop)
}

/// Throws away every message that no fork has received.
pub fn drain(theirs: BorrowedFd<'_>) {
    use nix::sys::socket::{MsgFlags, recv};
    // Without room for control data the kernel closes the fd it carries.
    while recv(theirs.as_fd().as_raw_fd(), &mut [0], MsgFlags::MSG_DONTWAIT).is_ok() {}
}

/// Maps the code page and the scratch page as high as they fit.
fn map_pages(code: &[u8]) -> Result<u64, Errno> {
    let len = 2 * PAGE_SIZE as usize;
    // Near the top there may be the stack (without randomisation) or the vDSO.
    for addr in (1..64).map(|i| TASK_SIZE - i * 0x20_0000 + 0x1f_e000).filter(|a| a + len as u64 <= TASK_SIZE) {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED_NOREPLACE;
        let prot = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: MAP_FIXED_NOREPLACE maps nothing over what is there.
        let page = unsafe { libc::mmap(addr as *mut libc::c_void, len, prot, flags, -1, 0) };
        if page == libc::MAP_FAILED {
            continue;
        }
        // SAFETY: `page` is a fresh writable mapping of two pages, and `code` is no longer than one.
        unsafe { std::ptr::copy_nonoverlapping(code.as_ptr(), page.cast(), code.len()) };
        // SAFETY: changes only the fresh mapping, to which no reference exists.
        if unsafe { libc::mprotect(page, PAGE_SIZE as usize, libc::PROT_READ | libc::PROT_EXEC) } < 0 {
            return Err(errno(nix::Error::last()));
        }
        return Ok(page as u64);
    }
    Err(Errno::ENOMEM)
}

/// The child: gives up its fds, says that it is ready, and waits for its tracer.
fn become_template(socket: i32) -> ! {
    // SAFETY: plain system calls on numbers and on one byte of this frame; nothing allocates or takes a lock. The sentry's
    // fds are closed under the feet of objects that this copy of the process never touches again.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        // No terminal shall signal it or its forks.
        libc::setsid();
        // Without it a process that has changed its credentials could not be traced by its like.
        libc::prctl(libc::PR_SET_DUMPABLE, 1);
        if libc::dup2(socket, 0) < 0 || libc::syscall(libc::SYS_close_range, 1u32, u32::MAX, 0u32) < 0 {
            libc::_exit(1);
        }
        if libc::send(0, [1u8].as_ptr().cast(), 1, libc::MSG_NOSIGNAL) != 1 {
            libc::_exit(1);
        }
        loop {
            libc::pause();
        }
    }
}
