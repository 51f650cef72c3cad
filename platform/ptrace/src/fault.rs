//! A fault from the signal that the host would have sent: `ptrace` does not show the exception itself.
//!
//! The vector and the error code are derived. Exact are: signal, code, address, and the vector of everything but floating
//! point exceptions. The write bit of a page fault is known only where the page can be read; on unmapped memory it is 0.

use abi::signal::{SigInfo, Signal};
use platform::Fault;

const SI_KERNEL: i32 = 0x80;
const SEGV_ACCERR: i32 = 2;
const BUS_ADRALN: i32 = 1;
const FPE_INTDIV: i32 = 1;
const FPE_INTOVF: i32 = 2;

const VECTOR_DIVIDE: u64 = 0;
const VECTOR_DEBUG: u64 = 1;
const VECTOR_BREAKPOINT: u64 = 3;
const VECTOR_OVERFLOW: u64 = 4;
const VECTOR_INVALID_OPCODE: u64 = 6;
const VECTOR_STACK_SEGMENT: u64 = 12;
const VECTOR_GENERAL_PROTECTION: u64 = 13;
const VECTOR_PAGE_FAULT: u64 = 14;
const VECTOR_ALIGNMENT: u64 = 17;
const VECTOR_SIMD: u64 = 19;

const ERROR_PRESENT: u64 = 1;
const ERROR_WRITE: u64 = 2;
const ERROR_USER: u64 = 4;
const ERROR_FETCH: u64 = 16;

/// Builds the fault, or `None` for a signal that no exception raised. `is_readable` tells whether a byte can be read.
pub fn from_signal(info: &SigInfo, rip: u64, is_readable: impl FnOnce(u64) -> bool) -> Option<Fault> {
    let signal = Signal::new(u64::try_from(info.signo).ok()?)?;
    // What another process sends has a code of 0 or less.
    if info.code <= 0 {
        return None;
    }
    let mut addr = u64::from_le_bytes(info.fields[..8].try_into().ok()?);
    if info.code == SI_KERNEL {
        addr = 0;
    }
    let (trapno, error_code) = match signal {
        Signal::SIGSEGV if info.code == SI_KERNEL => (VECTOR_GENERAL_PROTECTION, 0),
        Signal::SIGSEGV => (VECTOR_PAGE_FAULT, page_fault_error(info.code, addr, rip, is_readable)),
        Signal::SIGBUS if info.code == SI_KERNEL => (VECTOR_STACK_SEGMENT, 0),
        Signal::SIGBUS if info.code == BUS_ADRALN => (VECTOR_ALIGNMENT, 0),
        Signal::SIGBUS => (VECTOR_PAGE_FAULT, ERROR_USER),
        Signal::SIGILL => (VECTOR_INVALID_OPCODE, 0),
        Signal::SIGFPE if info.code == FPE_INTDIV => (VECTOR_DIVIDE, 0),
        Signal::SIGFPE if info.code == FPE_INTOVF => (VECTOR_OVERFLOW, 0),
        Signal::SIGFPE => (VECTOR_SIMD, 0),
        Signal::SIGTRAP if info.code == SI_KERNEL => (VECTOR_BREAKPOINT, 0),
        Signal::SIGTRAP => (VECTOR_DEBUG, 0),
        _ => return None,
    };
    Some(Fault { signal, code: info.code, addr, trapno, error_code })
}

fn page_fault_error(code: i32, addr: u64, rip: u64, is_readable: impl FnOnce(u64) -> bool) -> u64 {
    if code != SEGV_ACCERR {
        return if addr == rip { ERROR_USER | ERROR_FETCH } else { ERROR_USER };
    }
    match (addr == rip, is_readable(addr)) {
        (true, _) => ERROR_USER | ERROR_PRESENT | ERROR_FETCH,
        (false, true) => ERROR_USER | ERROR_PRESENT | ERROR_WRITE,
        (false, false) => ERROR_USER | ERROR_PRESENT,
    }
}
