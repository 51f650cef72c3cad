//! The kernel as a whole: what exists once per sandbox, and the machinery that runs tasks.

pub mod blocking;
pub mod executor;
pub mod reactor;
pub mod timer;
pub mod wait_queue;

use std::sync::Arc;

use crate::task::pid::PidTable;

/// Everything that exists once per sandbox.
pub struct Kernel {
    /// How guest code runs.
    pub platform: Arc<dyn platform::Platform>,
    /// Runs tasks on a few worker threads.
    pub executor: Arc<executor::Executor>,
    /// Wakes tasks at deadlines.
    pub timers: Arc<timer::Timers>,
    /// Waits for host file descriptors.
    pub reactor: Arc<reactor::Reactor>,
    /// Runs host operations that may sleep.
    pub blocking: blocking::Pool,
    /// Tasks, thread groups, process groups and sessions by number.
    pub pids: PidTable,
}
