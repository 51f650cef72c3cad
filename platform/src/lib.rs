//! What a platform is: the way guest code runs, and the way the sentry reaches its memory.
//!
//! Data flows like this: the sentry makes an [`AddressSpace`]'s first [`Context`] with [`Platform::spawn`], maps a program
//! into it with the context's *hands*, sets its [`Regs`] and calls [`Context::resume`]. The guest runs until it makes a
//! system call, faults or is interrupted; then [`Context::poll_event`] hands out an [`Event`] and the context is *stopped*
//! until the next `resume`. Hands (`read`, `write`, `map_file`, `fork`, …) work on a stopped context only, and act in its
//! address space. A context whose host process died answers [`Error::Gone`] to everything.
//!
//! An address space lives as long as a context runs in it. There is no separate object for it here: whichever context is
//! stopped lends its hands; [`SpaceHandle`] reaches a space from outside, slowly, when none is.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod context;
mod regs;
mod vacant;

pub use context::*;
pub use regs::Regs;
pub use vacant::Vacant;

use std::sync::Arc;
use std::time::Duration;

/// A way to run guest code.
pub trait Platform: Send + Sync {
    /// `systrap`, `ptrace` or `kvm`.
    fn name(&self) -> &'static str;

    /// What guest addresses may be used, and what the platform has put there.
    fn layout(&self) -> &Layout;

    /// Takes a fresh, empty address space with one stopped context (from a pool where there is one: `execve` waits for it).
    ///
    /// The context is in *set-up*: its hands are cheap and trusted until the first `resume`, which ends that for good.
    ///
    /// # Errors
    /// [`Error::Host`] when the host has no more processes or memory.
    fn spawn(&self) -> Result<Box<dyn Context>, Error>;

    /// Looks once at every context that runs guest code and wakes those that have come back. Returns how many.
    ///
    /// Cheap enough to be called in a loop; any number of threads may call it.
    fn poll(&self) -> usize;

    /// Blocks until a context may have come back, [`Platform::kick`] was called since the last `wait`, or `timeout` passed.
    /// A spurious return is allowed, a missed wake-up is not.
    fn wait(&self, timeout: Option<Duration>);

    /// Makes one present or the next [`Platform::wait`] return.
    fn kick(&self);

    /// How many contexts run guest code at this moment (a hint for the spin policy).
    fn running(&self) -> usize;

    /// Whether a worker that waits for guest code should look for it in a loop, rather than sleep: not while other work on
    /// the machine wants the CPUs.
    fn spinning_pays(&self) -> bool {
        true
    }

    /// Kills every host process of the platform; every context is gone afterwards.
    fn shutdown(&self);
}

/// The addresses of a guest address space.
#[derive(Clone, Debug)]
pub struct Layout {
    /// Lowest address that may be mapped.
    pub min: u64,
    /// One past the highest address that may be mapped; everything above belongs to the platform.
    pub max: u64,
    /// Ranges that are mapped in every fresh space: the host's vDSO and its data pages.
    pub fixed: Vec<FixedMapping>,
    /// Address of the vDSO's ELF header (`AT_SYSINFO_EHDR`); 0 where there is none.
    pub vdso: u64,
    /// Where a patched call site jumps to, with the return address in rcx and the number in rax; `None` where the platform
    /// needs no patching.
    pub syscall_entry: Option<u64>,
    /// Bytes of extended state in a signal frame at the most (`AT_MINSIGSTKSZ` is derived from it).
    pub xstate_size: usize,
}

/// A mapping that a fresh address space comes with.
#[derive(Clone, Debug)]
pub struct FixedMapping {
    /// First byte.
    pub start: u64,
    /// One past the last byte.
    pub end: u64,
    /// `PROT_*`.
    pub prot: Prot,
    /// As `/proc/PID/maps` shows it: `[vdso]`, `[vvar]`.
    pub name: &'static str,
}

/// What went wrong in a platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The host process or thread behind the context is dead, or was killed because it broke the protocol.
    #[error("the guest's host process is gone")]
    Gone,
    /// The host refused.
    #[error("the host refused: {0}")]
    Host(abi::Errno),
}

/// A shared platform.
pub type SharedPlatform = Arc<dyn Platform>;
