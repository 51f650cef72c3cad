//! Number → handler. Sorted by family, one line a call.
#![allow(non_upper_case_globals, reason = "the numbers bear the kernel's names")]

use abi::nr::*;

use super::Args;
use crate::task::Current;
use crate::{Errno, SysResult};

/// Serves one system call. A call that is not in the table is ENOSYS, counted.
pub async fn dispatch(current: &mut Current, number: u64, args: Args) -> SysResult {
    let Ok(number) = u32::try_from(number) else { return Err(Errno::ENOSYS) };
    let _ = (&current, args);
    match number {
        // Processes and threads: process.rs

        // Signals: signal.rs

        // Futexes: futex.rs

        // Clocks, timers, sleeping: time.rs

        // Credentials, sessions, limits: credentials.rs, session.rs, rlimit.rs

        // Scheduling: sched.rs
        __NR_sched_yield => Ok(0),

        // The system: system.rs

        // Memory: memory.rs

        // Opening and names: open.rs, link.rs, dir.rs, stat.rs, attributes.rs, xattr.rs, mount.rs

        // Reading and writing: read_write.rs, seek.rs, allocate.rs, copy.rs

        // Descriptors: fd.rs

        // Pipes, events, waiting: pipe.rs, eventfd.rs, epoll.rs, poll.rs, timerfd.rs, signalfd.rs, inotify.rs

        // Terminals and other devices: ioctl.rs
        _ => Err(Errno::ENOSYS),
    }
}
