//! The zygote, and what a fresh stub does before guest code runs. All of it lies in text that is unmapped afterwards.

use crate::entry::{self, start_serving};
use crate::layout::*;
use crate::serve::{self, signal_stack};
use crate::sys;
use crate::window::Control;
use core::ptr;

const PROT_READ: u64 = 1;
const PROT_RW: u64 = 3;
const PROT_RX: u64 = 5;
const SHARED_FIXED: u64 = 0x11;
const PRIVATE_FIXED: u64 = 0x12;
const ANON_NORESERVE: u64 = 0x4032;
const TOP: u64 = 0x7fff_ffff_f000;

#[repr(C)]
struct Message {
    name: u64,
    name_len: u64,
    iov: *const [u64; 2],
    iov_len: u64,
    control: *mut Rights,
    control_len: u64,
    flags: u64,
}

/// `cmsghdr` with `SCM_RIGHTS`.
#[repr(C)]
struct Rights {
    len: u64,
    level: u32,
    kind: u32,
    fds: [u32; 4],
}

/// Does not come back when a step of the set-up fails: the sentry sees its end.
#[unsafe(link_section = ".setup")]
#[inline(never)]
fn must(result: i64, step: u64) -> i64 {
    if result < 0 {
        sys::setup(sys::EXIT_GROUP, [step, 0, 0, 0, 0, 0]);
    }
    result
}

#[unsafe(link_section = ".setup")]
#[inline(never)]
fn unmap(from: u64, to: u64) {
    if from < to {
        must(sys::setup(sys::MUNMAP, [from, to - from, 0, 0, 0, 0]), 10);
    }
}

#[unsafe(link_section = ".setup")]
#[inline(never)]
fn move_pages(mut from: u64, mut len: u64, mut to: u64) {
    let mut part = len;
    while len != 0 {
        if sys::setup(sys::MREMAP, [from, part, part, 3, to, 0]) >= 0 {
            (from, to, len) = (from + part, to + part, len - part);
            part = len;
        } else {
            part -= 0x1000;
            must(if part == 0 { -1 } else { 0 }, 11);
        }
    }
}

/// Unmaps all that the sentry left in this process and puts text, doorbell and stacks where they belong.
#[unsafe(link_section = ".setup")]
pub unsafe extern "C" fn take_over(boot: *mut Boot) {
    // SAFETY: `boot` lies in the temporary region, on whose stack this runs.
    unsafe {
        let temporary = ((*boot).temporary, (*boot).temporary + (*boot).temporary_len);
        let mut vdso = ((*boot).vdso[0].start, (*boot).vdso[0].start);
        let mut i = 0;
        while i < BOOT_RANGES {
            let range = &raw const (*boot).vdso;
            let range = &*range.cast::<BootRange>().add(i);
            if range.len != 0 {
                vdso.1 = range.start + range.len;
            }
            i += 1;
        }
        let (low, high) = if vdso.0 != 0 && vdso.0 < temporary.0 { (vdso, temporary) } else { (temporary, vdso) };
        unmap(0, low.0);
        if high.0 != 0 {
            unmap(low.1, high.0);
            unmap(high.1, TOP);
        } else {
            unmap(low.1, TOP);
        }
        // Before Linux 6.17 one `mremap` moves exactly one mapping, and nobody tells how many there are.
        let target = VDSO_END - (vdso.1 - vdso.0);
        let mut i = 0;
        while i < BOOT_RANGES {
            let range = &raw const (*boot).vdso;
            let range = &*range.cast::<BootRange>().add(i);
            if range.len != 0 && target != vdso.0 {
                move_pages(range.start, range.len, target + (range.start - vdso.0));
            }
            i += 1;
        }
        let map = |address, len, prot, flags, fd| must(sys::setup(sys::MMAP, [address, len, prot, flags, fd, 0]), 12);
        map(TEXT, TEXT_LEN, PROT_RX, PRIVATE_FIXED, (*boot).text_fd);
        map(DOORBELL, DOORBELL_LEN, PROT_RW, SHARED_FIXED, (*boot).doorbell_fd);
        map(DOORBELL, 0x1000, PROT_READ, SHARED_FIXED, (*boot).doorbell_fd);
        map(SETUP_STACK, SETUP_STACK_LEN, PROT_RW, ANON_NORESERVE, u64::MAX);
        map(STACKS, WINDOWS_LEN, PROT_RW, ANON_NORESERVE, u64::MAX);
        let (from, to) = (boot.cast::<u64>(), SETUP_STACK as *mut u64);
        let mut i = 0;
        while i < size_of::<Boot>() / 8 {
            ptr::write_volatile(to.add(i), ptr::read_volatile(from.add(i)));
            i += 1;
        }
    }
}

/// The zygote: takes the filter, sends its listener, then makes stubs until the sentry closes the socket.
#[unsafe(link_section = ".setup")]
pub unsafe extern "C" fn zygote_main(boot: *const Boot) -> ! {
    // SAFETY: `boot` is the copy that `take_over` made at the bottom of this stack.
    unsafe {
        unmap((*boot).temporary, (*boot).temporary + (*boot).temporary_len);
        must(sys::setup(sys::DUP2, [(*boot).socket_fd, SOCKET, 0, 0, 0, 0]), 20);
        must(sys::setup(sys::CLOSE_RANGE, [0, SOCKET - 1, 0, 0, 0, 0]), 21);
        must(sys::setup(sys::CLOSE_RANGE, [SOCKET + 1, 0xffff_ffff, 0, 0, 0, 0]), 22);
        serve::forget_state();
        let default = [0u64; 4];
        let mut signal = 1;
        while signal <= 64 {
            sys::setup(sys::RT_SIGACTION, [signal, default.as_ptr() as u64, 0, 8, 0, 0]);
            signal += 1;
        }
        must(sys::setup(sys::RT_SIGPROCMASK, [2, default.as_ptr() as u64, 0, 8, 0, 0]), 23);
        // A session of its own: terminal signals are not for stubs, and the sentry waits for the process group.
        must(sys::setup(sys::SETSID, [0; 6]), 24);
        must(sys::setup(sys::SETRLIMIT, [4, default.as_ptr() as u64, 0, 0, 0, 0]), 25);
        die_with_sentry();
        sys::setup(sys::PRCTL, [15, c"sandbox-stub".as_ptr() as u64, 0, 0, 0, 0]);
        // PR_SET_DUMPABLE: the sentry has changed its credentials, and its copies could not be read by their like without.
        sys::setup(sys::PRCTL, [4, 1, 0, 0, 0, 0]);
        must(sys::setup(sys::PRCTL, [38, 1, 0, 0, 0, 0]), 26);
        let program = [(*boot).filter_len, (&raw const (*boot).filter) as u64];
        const NEW_LISTENER: u64 = 8;
        const WAIT_KILLABLE_RECV: u64 = 32;
        let args = [1, NEW_LISTENER | WAIT_KILLABLE_RECV, program.as_ptr() as u64, 0, 0, 0];
        let listener = must(sys::setup(sys::SECCOMP, args), 27);
        let mut rights = Rights { len: 20, level: 1, kind: 1, fds: [listener as u32, 0, 0, 0] };
        must(send(0, &mut rights, 24), 28);
        sys::setup(sys::CLOSE, [listener as u64, 0, 0, 0, 0, 0]);
        loop {
            let mut rights = Rights { len: 0, level: 0, kind: 0, fds: [0; 4] };
            if receive(&mut rights, 24) <= 0 {
                sys::setup(sys::EXIT_GROUP, [0; 6]);
            }
            let [windows, socket, ..] = rights.fds;
            const PARENT_AND_SIGCHLD: u64 = 0x8000 | 17;
            let pid = sys::setup(sys::CLONE, [PARENT_AND_SIGCHLD, 0, 0, 0, 0, 0]);
            if pid == 0 {
                fresh(u64::from(windows), u64::from(socket));
            }
            sys::setup(sys::CLOSE, [u64::from(windows), 0, 0, 0, 0, 0]);
            sys::setup(sys::CLOSE, [u64::from(socket), 0, 0, 0, 0, 0]);
            must(send(pid as u64, ptr::null_mut(), 0), 29);
        }
    }
}

#[unsafe(link_section = ".setup")]
#[inline(never)]
fn die_with_sentry() {
    must(sys::setup(sys::PRCTL, [1, 9, 0, 0, 0, 0]), 30);
}

#[unsafe(link_section = ".setup")]
#[inline(never)]
fn send(word: u64, rights: *mut Rights, control_len: u64) -> i64 {
    let iov = [(&raw const word) as u64, 8];
    let message = Message { name: 0, name_len: 0, iov: &iov, iov_len: 1, control: rights, control_len, flags: 0 };
    sys::setup(sys::SENDMSG, [SOCKET, (&raw const message) as u64, 0x4000, 0, 0, 0])
}

#[unsafe(link_section = ".setup")]
#[inline(never)]
fn receive(rights: *mut Rights, control_len: u64) -> i64 {
    let mut word = 0u64;
    let iov = [(&raw mut word) as u64, 8];
    let message = Message { name: 0, name_len: 0, iov: &iov, iov_len: 1, control: rights, control_len, flags: 0 };
    sys::setup(sys::RECVMSG, [SOCKET, (&raw const message) as u64, 0, 0, 0, 0])
}

/// A system call in the sentry's name.
#[unsafe(link_section = ".setup")]
#[inline(never)]
pub fn call(number: u64, args: [u64; 6]) -> i64 {
    sys::setup(number, args)
}

/// An `mmap` of the descriptor that waits on the set-up socket, which is closed afterwards.
#[unsafe(link_section = ".setup")]
#[inline(never)]
pub fn map_received(mut args: [u64; 6]) -> i64 {
    const EBADF: i64 = -9;
    let mut rights = Rights { len: 0, level: 0, kind: 0, fds: [0; 4] };
    if receive(&mut rights, 24) <= 0 || rights.len < 20 {
        return EBADF;
    }
    let fd = u64::from(rights.fds[0]);
    args[4] = fd;
    let result = sys::setup(sys::MMAP, args);
    sys::setup(sys::CLOSE, [fd, 0, 0, 0, 0, 0]);
    result
}

/// A new stub: windows, signal handlers, then the first request.
#[unsafe(link_section = ".setup")]
unsafe fn fresh(windows: u64, socket: u64) -> ! {
    // SAFETY: this process has just been made, and runs nothing but this.
    unsafe {
        must(sys::setup(sys::MMAP, [WINDOWS, WINDOWS_LEN, PROT_RW, SHARED_FIXED, windows, 0]), 40);
        must(sys::setup(sys::DUP2, [socket, SOCKET, 0, 0, 0, 0]), 41);
        must(sys::setup(sys::CLOSE_RANGE, [0, SOCKET - 1, 0, 0, 0, 0]), 42);
        must(sys::setup(sys::CLOSE_RANGE, [SOCKET + 1, 0xffff_ffff, 0, 0, 0, 0]), 42);
        let w = WINDOWS as *mut Control;
        ptr::write_volatile(&raw mut (*w).quiet.own_address, WINDOWS);
        let stack = signal_stack(WINDOWS);
        must(sys::setup(sys::SIGALTSTACK, [stack.as_ptr() as u64, 0, 0, 0, 0, 0]), 44);
        const ONSTACK: u64 = 0x0800_0000;
        const NODEFER: u64 = 0x4000_0000;
        const RESTORER: u64 = 0x0400_0000;
        // An interrupt that hits a thread between a notified call and the sentry's look at it must not fail the call.
        const RESTART: u64 = 0x1000_0000;
        const SIGINFO: u64 = 4;
        // The kernel insists on a restorer; the handler never uses it.
        let handler = crate::signal::on_signal as *const () as u64;
        let action =
            [handler, ONSTACK | NODEFER | RESTART | RESTORER | SIGINFO, entry::nested_return as *const () as u64, 0];
        for signal in [31, 11, 7, 4, 8, 5, INTERRUPT as u64] {
            must(sys::setup(sys::RT_SIGACTION, [signal, action.as_ptr() as u64, 0, 8, 0, 0]), 43);
        }
        die_with_sentry();
        start_serving(WINDOWS)
    }
}
