//! The zygote: the small process that stubs are forked from.

use crate::filter;
use crate::layout::{STUB, header_word};
use crate::window::Windows;
use abi::Errno;
use host::memory::{memfd, write_all};
use host::unix::{Blocking, packet_pair, receive, send};
use host::vdso::Vdso;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::ptr;
use systrap_stub::layout::{BOOT_RANGES, Boot, BootRange, TEXT_LEN, header};

const STACK_LEN: u64 = 0x1_0000;

/// The sentry's end.
pub struct Zygote {
    socket: OwnedFd,
    /// Its process, and the process group of all stubs.
    pub pid: i32,
}

/// Forks the zygote. Returns it with the listener of the filter that all stubs inherit.
///
/// The child shares nothing but the three descriptors that it maps and talks through; it unmaps this program before it
/// does anything else.
pub fn start(vdso: Option<Vdso>, doorbell: BorrowedFd<'_>) -> Result<(Zygote, OwnedFd), Errno> {
    if header_word(0) != header::MAGIC || STUB.len() != TEXT_LEN as usize {
        return Err(Errno::ENOEXEC);
    }
    let text = memfd("stub", TEXT_LEN)?;
    write_all(&text, STUB, 0)?;
    let (socket, peer) = packet_pair()?;
    let program = filter::program();
    let mut boot = Boot {
        vdso: [BootRange::default(); BOOT_RANGES],
        temporary: 0,
        temporary_len: TEXT_LEN + STACK_LEN,
        text_fd: text.as_raw_fd() as u64,
        doorbell_fd: doorbell.as_raw_fd() as u64,
        socket_fd: peer.as_raw_fd() as u64,
        filter_len: program.len() as u64,
        filter: [0; 160],
    };
    boot.filter.get_mut(..program.len()).ok_or(Errno::E2BIG)?.copy_from_slice(&program);
    if let Some(vdso) = vdso {
        let (data, code) = (vdso.code - vdso.data, vdso.end - vdso.code);
        boot.vdso = [BootRange { start: vdso.data, len: data }, BootRange { start: vdso.code, len: code }];
    }
    let pid = fork_into(&mut boot, &text)?;
    drop((peer, text));
    let listener = receive(socket.as_fd(), &mut [0; 8], Blocking::Yes)?.fds.into_iter().next().ok_or(Errno::ECHILD)?;
    Ok((Zygote { socket, pid }, listener))
}

/// Makes the child that runs the stub's text from a temporary place.
fn fork_into(boot: &mut Boot, text: &OwnedFd) -> Result<i32, Errno> {
    let len = boot.temporary_len as usize;
    let prot = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: the kernel chooses the place; the second call replaces a part of what the first has made.
    let start = unsafe {
        let start = libc::mmap(ptr::null_mut(), len, prot, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0);
        if start == libc::MAP_FAILED {
            return Err(last());
        }
        let (prot, flags) = (libc::PROT_READ | libc::PROT_EXEC, libc::MAP_PRIVATE | libc::MAP_FIXED);
        if libc::mmap(start, TEXT_LEN as usize, prot, flags, text.as_raw_fd(), 0) == libc::MAP_FAILED {
            return Err(last());
        }
        start.cast::<u8>()
    };
    boot.temporary = start as u64;
    // SAFETY: the stack part of the region, large enough and aligned.
    let target = unsafe {
        let target = start.add(TEXT_LEN as usize).cast::<Boot>();
        target.write(*boot);
        target
    };
    let entry = boot.temporary + u64::from(header_word(header::ZYGOTE_ENTRY));
    let top = boot.temporary + boot.temporary_len;
    unsafe extern "C" {
        static __rseq_offset: isize;
        static __rseq_size: u32;
    }
    // SAFETY: a raw clone without CLONE_VM is a fork; the child calls nothing of this program any more except the two
    // raw system calls that make the kernel forget the thread's registered memory, then leaves for the stub's text.
    let pid = unsafe {
        let pid = libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0);
        if pid == 0 {
            if __rseq_size != 0 {
                const UNREGISTER: i32 = 1;
                const SIGNATURE: u32 = 0x5305_3053;
                let thread: *mut u8;
                std::arch::asm!("mov {}, fs:0", out(reg) thread);
                let area = thread.offset(__rseq_offset);
                libc::syscall(libc::SYS_rseq, area, __rseq_size.max(32), UNREGISTER, SIGNATURE);
            }
            libc::syscall(libc::SYS_set_robust_list, 0, 24);
            std::arch::asm!(
                "mov rsp, {top}", "xor ebp, ebp", "jmp {entry}",
                top = in(reg) top, entry = in(reg) entry, in("rdi") target, options(noreturn)
            );
        }
        libc::munmap(start.cast(), len);
        pid
    };
    if pid < 0 { Err(last()) } else { Ok(pid as i32) }
}

fn last() -> Errno {
    Errno(std::io::Error::last_os_error().raw_os_error().unwrap_or(0) as u16)
}

impl Zygote {
    /// Makes a process that has `windows` mapped; returns its pid and the socket of its set-up.
    pub fn make(&self, windows: &Windows) -> Result<(i32, OwnedFd), Errno> {
        let (socket, peer) = packet_pair()?;
        send(self.socket.as_fd(), &[0; 8], &[windows.fd(), peer.as_fd()], Blocking::Yes)?;
        let mut answer = [0; 8];
        if receive(self.socket.as_fd(), &mut answer, Blocking::Yes)?.len != answer.len() {
            return Err(Errno::ECHILD);
        }
        let pid = Errno::from_return(i64::from_ne_bytes(answer))?;
        Ok((pid as i32, socket))
    }

    /// Ends the zygote: it leaves when its socket is closed.
    pub fn stop(&self) {
        // SAFETY: plain call on an owned descriptor.
        unsafe { libc::shutdown(self.socket.as_raw_fd(), libc::SHUT_RDWR) };
    }
}
