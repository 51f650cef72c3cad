//! One guest thread: how it runs, and its hands in its address space.

use crate::{Error, Regs};
use abi::Errno;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::task::{Context as WakeContext, Poll};

/// Protection of a mapping.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Prot {
    /// `PROT_READ`
    pub read: bool,
    /// `PROT_WRITE`
    pub write: bool,
    /// `PROT_EXEC`
    pub exec: bool,
}

impl Prot {
    /// `PROT_NONE`
    pub const NONE: Prot = Prot { read: false, write: false, exec: false };
    /// `PROT_READ`
    pub const READ: Prot = Prot { read: true, write: false, exec: false };
    /// `PROT_READ | PROT_WRITE`
    pub const READ_WRITE: Prot = Prot { read: true, write: true, exec: false };
    /// `PROT_READ | PROT_EXEC`
    pub const READ_EXEC: Prot = Prot { read: true, write: false, exec: true };

    /// From the three low bits of `PROT_*`.
    pub const fn from_bits(bits: u32) -> Prot {
        Prot { read: bits & 1 != 0, write: bits & 2 != 0, exec: bits & 4 != 0 }
    }
    /// As `PROT_*`.
    pub const fn bits(self) -> u32 {
        self.read as u32 | (self.write as u32) << 1 | (self.exec as u32) << 2
    }
}

/// How a file is mapped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sharing {
    /// `MAP_PRIVATE`
    Private,
    /// `MAP_SHARED`
    Shared,
}

/// Why a context stopped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// A system call: number in `rax`, arguments in `rdi rsi rdx r10 r8 r9`, `rip` just after the instruction.
    Syscall,
    /// The same through a 32-bit entry (`int 0x80`), numbers are i386's.
    Syscall32,
    /// The processor raised an exception.
    Fault(Fault),
    /// [`Interrupter::interrupt`] was called.
    Interrupted,
}

/// A processor exception, in the terms of the signal that Linux would send.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fault {
    /// SIGSEGV, SIGBUS, SIGFPE, SIGILL or SIGTRAP.
    pub signal: abi::signal::Signal,
    /// `si_code`.
    pub code: i32,
    /// `si_addr`.
    pub addr: u64,
    /// The exception vector (`uc_mcontext.trapno`).
    pub trapno: u64,
    /// The error code pushed by the processor (`uc_mcontext.err`).
    pub error_code: u64,
}

/// Guest memory could not be reached after `done` bytes (EFAULT), or the context is gone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MemoryFault {
    /// Bytes that were copied before the fault; they lie at the start.
    pub done: usize,
}

/// A guest thread.
///
/// Every method but [`Context::poll_event`] and [`Context::spin_event`] may be called on a stopped context only. All hands
/// check that addresses lie below [`crate::Layout::max`]; what lies above is a fault, never a host access.
pub trait Context: Send {
    /// The registers it stopped with.
    fn regs(&self) -> &Regs;
    /// Registers for the next `resume`.
    fn regs_mut(&mut self) -> &mut Regs;

    /// Lets the guest run with the present registers.
    fn resume(&mut self);
    /// The event it stopped with; `Pending` registers the waker, which [`crate::Platform::poll`] will wake.
    ///
    /// # Errors
    /// [`Error::Gone`]
    fn poll_event(&mut self, cx: &mut WakeContext<'_>) -> Poll<Result<Event, Error>>;
    /// The same by looking at most `spins` times (some nanoseconds each), for a worker with nothing else to do.
    fn spin_event(&mut self, spins: u32) -> Option<Result<Event, Error>>;
    /// Whether looking for the event in a loop can help: not when the guest's host thread needs the caller's CPU.
    fn spinning_pays(&self) -> bool {
        true
    }
    /// Whether the present [`Event::Syscall`] came by a trap, that is from a call site that could be patched to jump to
    /// [`crate::Layout::syscall_entry`]; false when it came through that entry already.
    fn entered_by_trap(&self) -> bool {
        false
    }
    /// Tells the stopped guest thread's host thread that its call will block for long, so that it gives up its CPU at once.
    fn will_block(&mut self) {}
    /// Whether the host process behind it is dead: the next `resume` ends with [`Error::Gone`]. For calls that sleep.
    fn is_gone(&self) -> bool;
    /// Has `waker` called when the host process dies while the context is stopped (instead of the one named before).
    fn on_gone(&self, waker: std::task::Waker);
    /// A handle by which other threads stop this one while it runs guest code.
    fn interrupter(&self) -> Arc<dyn Interrupter>;

    /// Copies guest memory to `buf`.
    ///
    /// # Errors
    /// [`MemoryFault`] with the count of bytes before the first that could not be read.
    fn read(&mut self, addr: u64, buf: &mut [u8]) -> Result<(), MemoryFault>;
    /// Copies `data` to guest memory.
    ///
    /// # Errors
    /// [`MemoryFault`] with the count of bytes before the first that could not be written.
    fn write(&mut self, addr: u64, data: &[u8]) -> Result<(), MemoryFault>;
    /// Copies `data` to guest memory as part of the next `resume`; when that faults, the guest finds `-EFAULT` in `rax`.
    /// Any other hand or a further `write_on_resume` that does not fit makes it happen before.
    ///
    /// # Errors
    /// [`MemoryFault`] when the copy had to happen now and failed, or the range is above the guest's part.
    fn write_on_resume(&mut self, addr: u64, data: &[u8]) -> Result<(), MemoryFault> {
        self.write(addr, data)
    }
    /// Atomically: if the 4-byte aligned word at `addr` is `old`, stores `new`. Returns what was there.
    ///
    /// # Errors
    /// [`MemoryFault`] where the word is not mapped writable.
    fn compare_exchange(&mut self, addr: u64, old: u32, new: u32) -> Result<u32, MemoryFault>;

    /// Maps private anonymous memory over whatever is there (`MAP_FIXED`).
    ///
    /// # Errors
    /// The host's errno: ENOMEM, EINVAL …
    fn map_anonymous(&mut self, addr: u64, len: u64, prot: Prot, noreserve: bool) -> Result<(), Errno>;
    /// Maps a host file over whatever is there. `fd` must have been opened with no more rights than the mapping may ever get.
    ///
    /// # Errors
    /// The host's errno.
    fn map_file(
        &mut self,
        addr: u64,
        len: u64,
        prot: Prot,
        sharing: Sharing,
        fd: BorrowedFd<'_>,
        offset: u64,
    ) -> Result<(), Errno>;
    /// `munmap`
    ///
    /// # Errors
    /// The host's errno.
    fn unmap(&mut self, addr: u64, len: u64) -> Result<(), Errno>;
    /// `mprotect`
    ///
    /// # Errors
    /// The host's errno.
    fn protect(&mut self, addr: u64, len: u64, prot: Prot) -> Result<(), Errno>;
    /// `mremap` to exactly `new_addr`, over whatever is there (or in place when `new_addr == addr`); `keep_old` is
    /// `MREMAP_DONTUNMAP`.
    ///
    /// # Errors
    /// The host's errno.
    fn remap(&mut self, addr: u64, len: u64, new_addr: u64, new_len: u64, keep_old: bool) -> Result<(), Errno>;
    /// `madvise` with advice that only concerns the caller's own memory (`DONTNEED FREE WILLNEED HUGEPAGE …`).
    ///
    /// # Errors
    /// The host's errno; EINVAL for advice that a guest may not give.
    fn advise(&mut self, addr: u64, len: u64, advice: u32) -> Result<(), Errno>;
    /// `mincore` for `len` bytes: one byte a page.
    ///
    /// # Errors
    /// The host's errno.
    fn resident(&mut self, addr: u64, len: u64) -> Result<Vec<u8>, Errno>;
    /// `msync`
    ///
    /// # Errors
    /// The host's errno.
    fn sync(&mut self, addr: u64, len: u64, flags: u32) -> Result<(), Errno>;

    /// Makes another context in the same address space. It is stopped, has this context's registers (extended state too)
    /// and waits for its first `resume`.
    ///
    /// # Errors
    /// The host's errno: EAGAIN, ENOMEM.
    fn clone_thread(&mut self) -> Result<Box<dyn Context>, Errno>;
    /// Copies the address space (copy-on-write) with one context that has this context's registers and extended state.
    ///
    /// # Errors
    /// The host's errno: EAGAIN, ENOMEM.
    fn fork(&mut self) -> Result<Box<dyn Context>, Errno>;

    /// Bytes that [`Context::save_xstate`] writes, a multiple of 64 except for the trailing magic word.
    fn xstate_size(&self) -> usize;
    /// Writes the guest's extended state to guest memory at `addr` (64-byte aligned) in signal-frame form: `fxsave`/`xsave`
    /// image, `sw_reserved` filled in, `FP_XSTATE_MAGIC2` at its end; and gives the guest the initial state.
    ///
    /// # Errors
    /// [`MemoryFault`]
    fn save_xstate(&mut self, addr: u64) -> Result<(), MemoryFault>;
    /// Loads the extended state from a signal frame's image at `addr`; 0 loads the initial state. What the image claims is
    /// checked.
    ///
    /// # Errors
    /// [`MemoryFault`], also for an image that the processor would refuse.
    fn restore_xstate(&mut self, addr: u64) -> Result<(), MemoryFault>;

    /// CPU time that this thread has used, in nanoseconds; `None` where the platform cannot tell one thread's from others'.
    fn cpu_time_ns(&mut self) -> Option<u64> {
        None
    }

    /// Reaches the address space when no context of it is stopped.
    fn space(&self) -> Arc<dyn SpaceHandle>;
}

/// Stops a context that runs guest code.
pub trait Interrupter: Send + Sync {
    /// Makes the context stop soon with [`Event::Interrupted`] (or with another event that comes first). Without effect on
    /// a context that is stopped, except that its next `resume` may stop at once.
    fn interrupt(&self);
}

/// An address space seen from outside (`process_vm_readv`, `/proc/PID/mem`, CPU time).
pub trait SpaceHandle: Send + Sync {
    /// Identity: equal for contexts of one space.
    fn id(&self) -> u64;
    /// Copies memory out of the space.
    ///
    /// # Errors
    /// [`MemoryFault`]
    fn read(&self, addr: u64, buf: &mut [u8]) -> Result<(), MemoryFault>;
    /// Copies memory into the space.
    ///
    /// # Errors
    /// [`MemoryFault`]
    fn write(&self, addr: u64, data: &[u8]) -> Result<(), MemoryFault>;
    /// Host process that holds the memory, for accounting (`/proc/PID/statm`), `None` when it is gone.
    fn host_pid(&self) -> Option<i32>;
    /// Kills the host process: every context of the space is gone.
    fn kill(&self);
}
