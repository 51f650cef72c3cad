//! The seccomp filter of every stub, as classic BPF.
//!
//! Calls from guest text trap. From the stub's text: what a guest could do to itself anyway is allowed when its addresses
//! stay in the guest's part; what needs a decision is notified; the rest fails. From the set-up text everything is allowed:
//! that page is gone before guest code runs.

use abi::nr;
use systrap_stub::layout::{
    self, FD, RANGE_HIGH, RUN_LEN, SETUP_LEN, SETUP_TEXT, TEXT, TEXT_LEN, WINDOWS, WINDOWS_LEN,
};

const ARCH_X86_64: u32 = 0xc000_003e;
const RET_ALLOW: u32 = 0x7fff_0000;
const RET_NOTIFY: u32 = 0x7fc0_0000;
const RET_TRAP: u32 = 0x0003_0000;
const RET_ERRNO: u32 = 0x0005_0000;
const EPERM: u32 = 1;

const LOAD: u16 = 0x20;
const JUMP_EQ: u16 = 0x15;
const JUMP_GE: u16 = 0x35;
const RETURN: u16 = 0x06;
const AND: u16 = 0x54;
const ADD_X: u16 = 0x0c;
const TAX: u16 = 0x07;

const NUMBER: u32 = 0;
const ARCH: u32 = 4;
const IP: u32 = 8;

/// A condition on the arguments.
enum Check {
    /// The whole argument has this value.
    Is(u32, u64),
    /// The argument is below this.
    Below(u32, u32),
    /// The low half is below this; the kernel ignores the high half.
    LowBelow(u32, u32),
    /// The argument without these bits has this value.
    Without(u32, u32, u32),
    /// The argument is none of these.
    Not(u32, u32),
    /// `[arg 0, arg 0 + arg 1)` ends below the platform's region; see `systrap_stub::layout`.
    Range,
}

/// The program, one instruction a word.
pub fn program() -> Vec<u64> {
    let mut p = vec![];
    let high = (TEXT >> 32) as u32;
    let (text, end, setup) = (TEXT as u32, (TEXT + TEXT_LEN) as u32, (TEXT + RUN_LEN) as u32);
    p.extend([op(LOAD, ARCH), jump(JUMP_EQ, ARCH_X86_64, 1, 0), op(RETURN, RET_TRAP)]);
    p.extend([op(LOAD, IP + 4), jump(JUMP_EQ, high, 1, 0), op(RETURN, RET_TRAP)]);
    p.extend([op(LOAD, IP), jump(JUMP_GE, text, 1, 0), op(RETURN, RET_TRAP)]);
    p.extend([jump(JUMP_GE, end, 0, 1), op(RETURN, RET_TRAP)]);
    p.extend([jump(JUMP_GE, setup, 0, 1), op(RETURN, RET_ALLOW)]);

    const ANONYMOUS: u32 = 0x32;
    const NORESERVE: u32 = 0x4000;
    use Check::*;
    // FUTEX_WAIT and FUTEX_WAKE.
    rule(&mut p, nr::__NR_futex, &[LowBelow(1, 2)], RET_ALLOW);
    rule(&mut p, nr::__NR_mmap, &[Without(3, NORESERVE, ANONYMOUS), Below(2, 8), Range], RET_ALLOW);
    rule(&mut p, nr::__NR_munmap, &[Range], RET_ALLOW);
    rule(&mut p, nr::__NR_mprotect, &[Below(2, 8), Range], RET_ALLOW);
    rule(&mut p, nr::__NR_close, &[], RET_ALLOW);
    // Not REMOVE (a hole in a shared file) and no page merging (a channel between sandboxes).
    rule(&mut p, nr::__NR_madvise, &[Below(2, 26), Not(2, 9), Not(2, 12), Not(2, 13), Range], RET_ALLOW);
    // The end of the whole process, which a guest can bring about anyway: a forked child that cannot map its windows.
    rule(&mut p, nr::__NR_exit_group, &[], RET_ALLOW);
    let windows = [Is(0, WINDOWS), Is(1, WINDOWS_LEN), Is(2, 3), Is(3, 0x11), Is(4, FD), Is(5, 0)];
    rule(&mut p, nr::__NR_mmap, &windows, RET_ALLOW);
    rule(&mut p, nr::__NR_prctl, &[Is(0, 1), Is(1, 9)], RET_ALLOW);
    rule(&mut p, nr::__NR_sigaltstack, &[], RET_ALLOW);
    rule(&mut p, nr::__NR_munmap, &[Is(0, SETUP_TEXT), Is(1, SETUP_LEN)], RET_ALLOW);
    for number in NOTIFIED {
        rule(&mut p, number, &[], RET_NOTIFY);
    }
    p.push(op(RETURN, RET_ERRNO | EPERM));
    p
}

/// Calls that the sentry authorises one by one.
const NOTIFIED: [u32; 6] =
    [nr::__NR_mmap, nr::__NR_clone, nr::__NR_mremap, nr::__NR_exit, nr::__NR_mincore, nr::__NR_msync];

const fn arg(index: u32) -> u32 {
    16 + 8 * index
}

const fn op(code: u16, k: u32) -> u64 {
    code as u64 | (k as u64) << 32
}

const fn jump(code: u16, k: u32, yes: u8, no: u8) -> u64 {
    code as u64 | (yes as u64) << 16 | (no as u64) << 24 | (k as u64) << 32
}

/// "If the number is `number` and all checks hold, return `verdict`", else fall through to the next rule.
fn rule(program: &mut Vec<u64>, number: u32, checks: &[Check], verdict: u32) {
    // A jump to u8::MAX means "to the next rule" until the length is known.
    const NEXT: u8 = u8::MAX;
    let need = |k| jump(JUMP_EQ, k, 0, NEXT);
    let refuse_from = |k| jump(JUMP_GE, k, NEXT, 0);
    let mut r = vec![op(LOAD, NUMBER), need(number)];
    for check in checks {
        match *check {
            Check::Is(i, value) => {
                r.extend([op(LOAD, arg(i)), need(value as u32), op(LOAD, arg(i) + 4), need((value >> 32) as u32)])
            }
            Check::Below(i, k) => {
                r.extend([op(LOAD, arg(i)), refuse_from(k), op(LOAD, arg(i) + 4), need(0)]);
            }
            Check::LowBelow(i, k) => r.extend([op(LOAD, arg(i)), refuse_from(k)]),
            Check::Without(i, bits, value) => {
                r.extend([op(LOAD, arg(i)), op(AND, !bits), need(value), op(LOAD, arg(i) + 4), need(0)])
            }
            Check::Not(i, k) => r.extend([op(LOAD, arg(i)), jump(JUMP_EQ, k, NEXT, 0)]),
            // Both halves first, lest their sum wraps.
            Check::Range => r.extend([
                op(LOAD, arg(0) + 4),
                refuse_from(RANGE_HIGH as u32),
                op(TAX, 0),
                op(LOAD, arg(1) + 4),
                refuse_from(RANGE_HIGH as u32),
                op(ADD_X, 0),
                refuse_from(RANGE_HIGH as u32),
            ]),
        }
    }
    r.push(op(RETURN, verdict));
    let len = r.len();
    for (i, instruction) in r.iter_mut().enumerate() {
        let distance = (len - i - 1) as u64;
        for shift in [16, 24] {
            if *instruction >> shift & 0xff == u64::from(NEXT) {
                *instruction = *instruction & !(0xff << shift) | distance << shift;
            }
        }
    }
    program.extend(r);
}

const _: () = assert!(layout::REGION_HIGH > RANGE_HIGH);
