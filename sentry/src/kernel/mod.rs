//! The kernel as a whole: what exists once per sandbox, and the machinery that runs tasks.

pub mod blocking;
pub mod boot;
pub mod executor;
pub mod reactor;
pub mod timer;
pub mod uts;
pub mod wait_queue;

use std::sync::Arc;

use std::sync::atomic::{AtomicI32, Ordering};

use abi::signal::{SigInfo, Signal};
use parking_lot::{Condvar, Mutex};

use crate::Errno;
use crate::observe::Observe;

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
    /// Host and domain name.
    pub uts: uts::Uts,
    /// Traces and counters.
    pub observe: Observe,
    /// The process whose end is the sandbox's.
    pub main_pid: AtomicI32,
    /// Terminals: pseudo-terminals, and whose controlling terminal is which.
    pub terminals: crate::tty::Terminals,
    /// Bound Unix sockets.
    pub unix_names: crate::socket::unix::Names,
    outcome: Outcome,
}

/// How the sandbox ended: set once, by init's exit or a limit.
#[derive(Default)]
struct Outcome {
    ending: Mutex<Option<Ending>>,
    known: Condvar,
}

/// See [`Kernel::wait_for_end`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ending {
    /// The first program could not be started.
    NotStarted(Errno),
    /// It ended with this wait status.
    Exited(i32),
}

impl Kernel {
    /// A kernel without tasks and files; see [`boot`].
    pub fn new(
        platform: Arc<dyn platform::Platform>,
        executor: Arc<executor::Executor>,
        timers: Arc<timer::Timers>,
        reactor: Arc<reactor::Reactor>,
        max_tasks: Option<usize>,
    ) -> Kernel {
        Kernel {
            platform,
            executor,
            timers,
            reactor,
            blocking: blocking::Pool::default(),
            pids: PidTable::default(),
            max_tasks,
            uts: uts::Uts::default(),
            observe: Observe::default(),
            main_pid: AtomicI32::new(1),
            futexes: crate::task::futex::Table::default(),
            terminals: crate::tty::Terminals::default(),
            unix_names: crate::socket::unix::Names::default(),
            outcome: Outcome::default(),
        }
    }

    /// The sandbox is over: [`Kernel::wait_for_end`] returns. The first ending counts.
    pub fn end(&self, ending: Ending) {
        self.outcome.ending.lock().get_or_insert(ending);
        self.outcome.known.notify_all();
    }

    /// A signal that the sandbox gets as a whole: for the foreground of its terminal, or for its first process.
    pub fn signal_from_outside(&self, signal: Signal) {
        match self.terminals.console() {
            Some((terminal, _)) => terminal.signal_foreground(self, signal),
            None => {
                if let Some(group) = self.pids.group(self.main_pid.load(Ordering::Relaxed)) {
                    let _ = crate::signal::send_to_group(&group, SigInfo::new(signal, SigInfo::SI_USER));
                }
            }
        }
    }

    /// Blocks the calling (non-worker) thread until the sandbox is over.
    pub fn wait_for_end(&self) -> Ending {
        let mut ending = self.outcome.ending.lock();
        loop {
            match *ending {
                Some(ending) => return ending,
                None => self.outcome.known.wait(&mut ending),
            }
        }
    }
}
