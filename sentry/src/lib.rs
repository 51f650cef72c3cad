//! The sentry: a Linux kernel in user space.
//!
//! A guest thread is an async [`task`]: it lets its [`platform::Context`] run, receives an event (system call, fault,
//! interruption) and serves it. System calls enter at [`syscall`], which decodes arguments and calls one method of a
//! subsystem: [`task`], [`signal`], [`mm`], [`vfs`] with the file systems of [`fs`], [`time`]. Only the system-call layer is
//! async; everything below is plain synchronous objects that answer `EAGAIN` and have a [`kernel::wait_queue::WaitQueue`].
//!
//! # Lock order
//! Take locks in this order, and hold none over an `await` or while guest memory is copied:
//! 1. `task::pid` tables, 2. thread-group state (family before signals), 3. a task's own state, 4. `mm` map, 5. fd table,
//! 6. mount table, dentry, inode, 7. file description (position), object (pipe, epoll, …), 8. wait queues, 9. executor and timers.
#![forbid(unsafe_code)]

pub mod fs;
pub mod kernel;
pub mod loader;
pub mod mm;
pub mod observe;
pub mod signal;
pub mod socket;
pub mod syscall;
pub mod task;
pub mod time;
pub mod tty;
pub mod vfs;

pub use abi::Errno;

/// What a system call gives back: the value for `rax`, or an error.
pub type SysResult = Result<u64, Errno>;
