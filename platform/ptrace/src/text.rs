//! The stub's code page: the few instructions through which the tracer acts inside a guest's process.
//!
//! It lies above [`platform::Layout::max`] and is mapped read-execute, so no hand changes it. A guest may jump to it, with
//! no other effect than from a copy of the bytes in its own memory: its system calls are emulated wherever they are.

/// `syscall; int3`
const CALL: &[u8] = &[0x0f, 0x05, 0xcc];
/// `lock cmpxchg %edx,(%rdi); int3`
const COMPARE_EXCHANGE: &[u8] = &[0xf0, 0x0f, 0xb1, 0x17, 0xcc];
/// `syscall; test %eax,%eax; jz 1f; int3; 1: mov $__NR_pause,%eax; syscall; jmp 1b`: the new thread, which nobody traces
/// yet, waits here for its tracer.
const CLONE: &[u8] = &[0x0f, 0x05, 0x85, 0xc0, 0x74, 0x01, 0xcc, 0xb8, 0x22, 0, 0, 0, 0x0f, 0x05, 0xeb, 0xf7];

const COMPARE_EXCHANGE_AT: usize = 16;
const CLONE_AT: usize = 32;

/// Where to enter the code page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Entry {
    /// Makes the system call that the registers describe.
    Call,
    /// Compares `eax` with the word at `rdi` and stores `edx` when equal; the old word is in `eax`.
    CompareExchange,
    /// As `Call`, for `clone`.
    Clone,
}

impl Entry {
    /// Offset of the first instruction.
    pub const fn start(self) -> u64 {
        match self {
            Entry::Call => 0,
            Entry::CompareExchange => COMPARE_EXCHANGE_AT as u64,
            Entry::Clone => CLONE_AT as u64,
        }
    }

    /// Offset just after its `int3`, where it stops when all went well.
    pub const fn end(self) -> u64 {
        match self {
            Entry::Call => CALL.len() as u64,
            Entry::CompareExchange => (COMPARE_EXCHANGE_AT + COMPARE_EXCHANGE.len()) as u64,
            Entry::Clone => CLONE_AT as u64 + 7,
        }
    }
}

/// The page's content.
pub fn code() -> [u8; 64] {
    let mut page = [0xcc; 64];
    for (at, code) in [(0, CALL), (COMPARE_EXCHANGE_AT, COMPARE_EXCHANGE), (CLONE_AT, CLONE)] {
        page[at..at + code.len()].copy_from_slice(code);
    }
    page
}
