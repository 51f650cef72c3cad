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

/// What whoever started the sandbox waits for.
#[derive(Default)]
struct Outcome {
    state: Mutex<OutcomeState>,
    known: Condvar,
}

#[derive(Default)]
struct OutcomeState {
    /// Set once, by the first process's exit or a limit.
    ending: Option<Ending>,
    /// The first process was stopped, and nobody has been told yet.
    stopped: bool,
}

/// See [`Kernel::wait_for_news`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum News {
    /// The first process was stopped by a signal (`^Z`).
    Stopped,
    /// The sandbox is over.
    Ended(Ending),
}

/// How a sandbox ended.
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

    /// The sandbox is over: [`Kernel::wait_for_news`] returns it. The first ending counts.
    pub fn end(&self, ending: Ending) {
        self.outcome.state.lock().ending.get_or_insert(ending);
        self.outcome.known.notify_all();
    }

    /// The process `pid` was stopped by a signal; whoever started the sandbox hears of it when it is the first.
    pub fn process_stopped(&self, pid: i32) {
        if self.is_main(pid) {
            self.outcome.state.lock().stopped = true;
            self.outcome.known.notify_all();
        }
    }

    /// Whether `pid` is the first process, or the group it leads.
    pub fn is_main(&self, pid: i32) -> bool {
        pid == self.main_pid.load(Ordering::Relaxed)
    }

    /// A signal that the sandbox gets as a whole: for the foreground of its terminal, or for its first process.
    pub fn signal_from_outside(&self, signal: Signal) {
        match self.terminals.console() {
            Some((terminal, _)) => terminal.signal_foreground(self, signal),
            None => {
                if let Some(group) = self.pids.group(self.main_pid.load(Ordering::Relaxed)) {
                    crate::signal::send_to_group(&group, SigInfo::new(signal, SigInfo::SI_USER));
                }
            }
        }
    }

    /// Blocks the calling (non-worker) thread until the first process stops or the sandbox is over.
    pub fn wait_for_news(&self) -> News {
        let mut state = self.outcome.state.lock();
        loop {
            if let Some(ending) = state.ending {
                return News::Ended(ending);
            }
            if std::mem::take(&mut state.stopped) {
                return News::Stopped;
            }
            self.outcome.known.wait(&mut state);
        }
    }
}
