//! The default platform: guest code runs natively in *stub* processes, and its system calls come back as signals or, from
//! patched call sites, as plain jumps.
//!
//! A guest address space is the memory of one stub process; each guest thread is a host thread of it with a *window*, a
//! page of registers and requests plus a data area, shared with this process. A trip: the guest enters the stub, the stub
//! stores the registers in its window and increments the window's request word; a worker sees that, serves the call, and
//! answers in the response word. While a thread is stopped its stub acts for the sentry in the guest's memory (the
//! *hands*). Stubs come from the *zygote*, a process forked while this one was small; it carries the one seccomp filter
//! and its listener.
//!
//! Everything in a window is written by hostile code: each field is read once, checked, and a window that breaks the
//! protocol costs its process its life.
//!
//! Lock order: `Space::descriptors` → `Core::authority` → `Core::spaces` → `Space::state` → `Core::waiting` → `Core::keeper`. Wakers are called
//! with no lock held.
#![warn(missing_docs)]

mod authority;
mod clone;
mod contention;
mod context;
mod core;
mod doorbell;
mod filter;
mod hands;
mod keeper;
mod layout;
mod space;
mod thread;
mod window;
mod zygote;

pub use self::core::{Config, Systrap};
pub use self::layout::host_syscalls;
