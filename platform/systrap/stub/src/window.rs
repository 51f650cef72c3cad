//! The control page of a window: what stub and sentry write to each other.
//!
//! Both sides count: the stub stores the next number in `request`, the sentry answers by storing the same number in
//! `response`. The sentry trusts nothing here.

/// Registers, in the order of `platform::Regs`.
#[allow(missing_docs)]
pub mod reg {
    pub const RAX: usize = 0;
    pub const RBX: usize = 1;
    pub const RCX: usize = 2;
    pub const RDX: usize = 3;
    pub const RSI: usize = 4;
    pub const RDI: usize = 5;
    pub const RBP: usize = 6;
    pub const RSP: usize = 7;
    pub const R8: usize = 8;
    pub const R9: usize = 9;
    pub const R10: usize = 10;
    pub const R11: usize = 11;
    pub const R12: usize = 12;
    pub const R13: usize = 13;
    pub const R14: usize = 14;
    pub const R15: usize = 15;
    pub const RIP: usize = 16;
    pub const RFLAGS: usize = 17;
    pub const FS_BASE: usize = 18;
    pub const GS_BASE: usize = 19;
    pub const COUNT: usize = 20;
}

/// The first page of a window.
///
/// Every line that changes hands costs a hand-over 50 ns and more, hence the order: what a call brings lies in the first
/// three lines, a whole answer in one, and what both sides look at but hardly ever write apart from both.
#[repr(C, align(128))]
pub struct Control {
    // Written by the stub.
    /// Number of the stub's last request.
    pub request: u32,
    /// One of [`kind`] in the low byte, above it how many ranges were prefetched.
    pub kind: u32,
    /// Result of the last operation.
    pub result: i64,
    /// The guest's registers; the sentry writes them for [`op::RESUME_ALL`].
    pub regs: [u64; reg::COUNT],
    /// Flags as `lahf`/`seto` give them (AH in the upper, OF in the lower byte).
    pub flags: u32,
    /// Leave by `iretq`: flags or a GS base that the fast exit cannot load.
    pub slow_exit: u32,
    /// Host signal behind [`kind::SIGNAL`].
    pub signal: u32,
    /// Its `si_code`.
    pub code: i32,
    /// Its `si_addr`; for SIGSYS the architecture of the call.
    pub fault_addr: u64,
    /// `trapno` of the frame.
    pub trapno: u64,
    /// `err` of the frame.
    pub error_code: u64,
    /// Frame for the slow exit: rip, cs, rflags, rsp, ss.
    pub iret: [u64; 5],

    // Written by the sentry.
    /// Number of the request that is answered, and what to do.
    pub answer: Answer,

    // Rarely written by anybody.
    /// Guest address of this page, and what may interrupt the usual course.
    pub quiet: Quiet,
}

/// What the stub looks at on its way out.
#[repr(C, align(128))]
pub struct Quiet {
    /// Guest address of this page.
    pub own_address: u64,
    /// An interrupt came while the stub's text ran.
    pub interrupted: u32,
    /// Whether the stub sleeps on the response word.
    pub asleep: u32,
    /// One more than the number of the CPU on which the stub last woke up; 0 when it has never slept.
    pub cpu: u32,
}

/// The sentry's part.
#[repr(C, align(128))]
pub struct Answer {
    /// Number of the request that this answers.
    pub response: u32,
    /// One of [`op`].
    pub op: u32,
    /// How often the stub looks for the next answer before it sleeps (lower half), and one more than the CPU that the sentry
    /// answered from (upper half).
    pub spin: u32,
    /// Bits of [`attention`].
    pub attention: u32,
    /// Arguments of the operation.
    pub args: [u64; 8],
}

/// A range that the stub has copied before a hand-over; the list lies at [`crate::layout::PREFETCH`] of the data area.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Prefetched {
    /// Guest address.
    pub address: u64,
    /// Bytes.
    pub len: u32,
    /// Where they lie, from the start of the list.
    pub offset: u32,
}

/// Why the stub made a request.
pub mod kind {
    /// The thread is new and waits for its first answer.
    pub const READY: u32 = 1;
    /// A call through a patched site.
    pub const CALL: u32 = 2;
    /// A host signal: SIGSYS, a fault, or the interrupt.
    pub const SIGNAL: u32 = 3;
    /// An interrupt that came while the stub's text ran.
    pub const INTERRUPTED: u32 = 4;
    /// An operation is done.
    pub const DONE: u32 = 5;
}

/// What the sentry asks for.
pub mod op {
    /// Nothing; the stub posts again.
    pub const NONE: u32 = 0;
    /// Run the guest: `args = [rax, copies]`, other registers as they were.
    pub const RESUME: u32 = 1;
    /// Run the guest with all of `regs`: `args = [-, copies]`.
    pub const RESUME_ALL: u32 = 2;
    /// `args = [to, from, length]`; result: bytes not copied.
    pub const COPY: u32 = 3;
    /// `args = [address, old, new]`; result: what was there, or -EFAULT.
    pub const COMPARE_EXCHANGE: u32 = 4;
    /// `args = [number, six arguments, descriptor to close afterwards or 0]`.
    pub const SYSCALL: u32 = 5;
    /// The same from the set-up text.
    pub const SETUP_SYSCALL: u32 = 6;
    /// An `mmap` from the set-up text, of the descriptor that waits on the set-up socket.
    pub const SETUP_MAP: u32 = 7;
    /// `args = [flags]`: clone of the process; its window is [`crate::layout::FD`].
    pub const FORK: u32 = 8;
    /// `args = [flags, window]`: a new thread that serves `window`.
    pub const THREAD: u32 = 9;
    /// `args = [address, features, size]`: the extended state to memory, then the initial state.
    pub const SAVE_XSTATE: u32 = 10;
    /// `args = [address or 0, features, size]`: the extended state from memory.
    pub const RESTORE_XSTATE: u32 = 11;
    /// As [`SAVE_XSTATE`], without giving the thread the initial state.
    pub const STORE_XSTATE: u32 = 13;
    /// Copies `args[1]` entries of (to, length) at the start of the data area; see [`crate::window::Pending`].
    pub const FLUSH: u32 = 12;
}

/// How the sentry waits for this window.
pub mod attention {
    /// A task waits: ring the doorbell when the sentry sleeps.
    pub const RING: u32 = 1;
    /// A worker sleeps on the request word itself.
    pub const WAKE: u32 = 2;
}

/// One copy that a resume carries, at the start of the data area; the bytes lie at `from` of the data area.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Pending {
    /// Guest address.
    pub to: u64,
    /// Offset in the data area.
    pub from: u32,
    /// Bytes.
    pub len: u32,
}

/// Copies a resume may carry.
pub const PENDING_MAX: usize = 8;
