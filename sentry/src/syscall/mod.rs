//! The system-call layer: one small file a call family (decode, call the object, encode) and the dispatch table.

mod allocate;
mod attributes;
mod copy;
pub mod credentials;
mod dir;
mod epoll;
mod eventfd;
mod fd;
pub mod futex;
mod inotify;
mod ioctl;
mod kcmp;
mod link;
mod lock;
mod memfd;
pub mod memory;
mod mount;
mod open;
mod pipe;
pub mod poll;
pub mod prctl;
mod process;
mod process_vm;
mod read_write;
pub mod rlimit;
pub mod sched;
mod seek;
pub mod session;
pub mod signal;
mod signalfd;
mod socket;
mod stat;
pub mod system;
mod table;
pub mod time;
pub mod timer;
mod timerfd;
mod xattr;

pub use table::dispatch;

/// The six argument registers of a call, not yet checked.
#[derive(Clone, Copy, Debug)]
pub struct Args(pub [u64; 6]);

impl Args {
    /// Argument `n` as an unsigned 64-bit value.
    pub fn u64(&self, n: usize) -> u64 {
        self.0[n]
    }
    /// Argument `n` as `int`.
    pub fn i32(&self, n: usize) -> i32 {
        self.0[n] as i32
    }
    /// Argument `n` as `unsigned int`.
    pub fn u32(&self, n: usize) -> u32 {
        self.0[n] as u32
    }
    /// Argument `n` as `long`.
    pub fn i64(&self, n: usize) -> i64 {
        self.0[n] as i64
    }
}
