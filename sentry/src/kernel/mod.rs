//! The kernel as a whole: what exists once per sandbox, and the machinery that runs tasks.

pub mod blocking;
pub mod executor;
pub mod reactor;
pub mod timer;
pub mod wait_queue;

use std::sync::Arc;

use parking_lot::{Condvar, Mutex};

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
    /// Who waits on which futex.
    pub futexes: crate::task::futex::Table,
    /// Most tasks at a time (`--pids`); `None` for no limit but the numbers.
    pub max_tasks: Option<usize>,
    outcome: Outcome,
}

/// How the sandbox ended: set once, by init's exit or a limit.
#[derive(Default)]
struct Outcome {
    status: Mutex<Option<i32>>,
    known: Condvar,
}

impl Kernel {
    /// Init is gone: nothing else may go on, and [`Kernel::wait_for_exit`] returns.
    pub fn init_exited(&self, status: i32) {
        self.outcome.status.lock().get_or_insert(status);
        self.outcome.known.notify_all();
    }

    /// Blocks the calling (non-worker) thread until the sandbox has ended; its wait status.
    pub fn wait_for_exit(&self) -> i32 {
        let mut status = self.outcome.status.lock();
        loop {
            match *status {
                Some(status) => return status,
                None => self.outcome.known.wait(&mut status),
            }
        }
    }
}
