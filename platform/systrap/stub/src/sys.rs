//! System calls of the stub, by number.

use crate::entry::raw_syscall;
use core::arch::asm;

pub const MMAP: u64 = 9;
pub const MUNMAP: u64 = 11;
pub const RT_SIGACTION: u64 = 13;
pub const RT_SIGPROCMASK: u64 = 14;
pub const MREMAP: u64 = 25;
pub const DUP2: u64 = 33;
pub const SENDMSG: u64 = 46;
pub const RECVMSG: u64 = 47;
pub const CLONE: u64 = 56;
pub const EXIT_GROUP: u64 = 231;
pub const CLOSE: u64 = 3;
pub const SETSID: u64 = 112;
pub const SIGALTSTACK: u64 = 131;
pub const PRCTL: u64 = 157;
pub const SETRLIMIT: u64 = 160;
pub const FUTEX: u64 = 202;
pub const SECCOMP: u64 = 317;
pub const CLOSE_RANGE: u64 = 436;

/// A call from the text that stays: the filter decides.
#[inline(always)]
pub fn call(number: u64, args: [u64; 6]) -> i64 {
    // SAFETY: the stub has no state of its own that a system call could break; the arguments are the caller's.
    unsafe { raw_syscall(number, args.as_ptr()) }
}

/// A call from the set-up text: always allowed. Only for functions in section `.setup`.
#[inline(always)]
pub fn setup(number: u64, args: [u64; 6]) -> i64 {
    let result;
    // SAFETY: as above; during set-up no guest code runs. The instruction must lie in the set-up text, and may run before
    // that lies at its final address: hence inline.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number as i64 => result,
            in("rdi") args[0], in("rsi") args[1], in("rdx") args[2],
            in("r10") args[3], in("r8") args[4], in("r9") args[5],
            lateout("rcx") _, lateout("r11") _,
            options(nostack),
        );
    }
    result
}

/// `FUTEX_WAIT` without a timeout.
#[inline(never)]
pub fn futex_wait(word: *const u32, value: u32) {
    call(FUTEX, [word as u64, 0, u64::from(value), 0, 0, 0]);
}

/// `FUTEX_WAKE` of one.
#[inline(never)]
pub fn futex_wake(word: *const u32) {
    call(FUTEX, [word as u64, 1, 1, 0, 0, 0]);
}

/// The CPU that this runs on, from the limit of the segment that Linux keeps for that.
#[inline(always)]
pub fn cpu() -> u32 {
    let limit: u32;
    // SAFETY: reads a descriptor's limit; leaves the register alone where there is no such descriptor.
    unsafe { asm!("lsl {0:e}, {0:e}", inout(reg) 0x7b_u32 => limit, options(nomem, nostack)) }
    limit & 0xfff
}
