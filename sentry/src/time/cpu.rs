//! CPU time of guest processes: that of the host processes in which they run.

use std::sync::{Arc, Weak};

use abi::types::{Rusage, Timeval};
use host::clock::CpuTime;
use parking_lot::Mutex;
use platform::SpaceHandle;

use crate::task::{Task, ThreadGroup};

/// What a process has used so far. Its host process changes with `execve`, and is another's during `vfork`.
#[derive(Default)]
pub struct CpuAccount(Mutex<Account>);

#[derive(Default)]
struct Account {
    space: Option<Arc<dyn SpaceHandle>>,
    /// What the host process had used before it was ours.
    before: CpuTime,
    /// Used in former host processes.
    done: CpuTime,
    /// The last sum: what is gone keeps it, and clocks never run backwards.
    last: CpuTime,
}

impl CpuAccount {
    /// The process runs in `space` from now on.
    pub fn attach(&self, space: Arc<dyn SpaceHandle>) {
        let mut account = self.0.lock();
        if account.space.as_ref().is_some_and(|old| old.id() == space.id()) {
            return;
        }
        account.settle();
        account.before = sample(&*space).unwrap_or_default();
        account.space = Some(space);
    }

    /// Takes a last look at a host process that may soon be gone.
    pub fn settle(&self) {
        self.0.lock().settle();
    }

    /// CPU time used so far.
    pub fn used(&self) -> CpuTime {
        self.0.lock().used()
    }
}

impl Account {
    fn used(&mut self) -> CpuTime {
        if let Some(now) = self.space.as_ref().and_then(|space| sample(&**space)) {
            let sum = |done: u64, now: u64, before: u64| done + now.saturating_sub(before);
            let total_ns = sum(self.done.total_ns, now.total_ns, self.before.total_ns).max(self.last.total_ns);
            let user_ns = sum(self.done.user_ns, now.user_ns, self.before.user_ns).max(self.last.user_ns);
            self.last = CpuTime { total_ns, user_ns: user_ns.min(total_ns) };
        }
        self.last
    }

    fn settle(&mut self) {
        self.done = self.used();
        if let Some(space) = &self.space {
            self.before = sample(&**space).unwrap_or(self.before);
        }
    }
}

fn sample(space: &dyn SpaceHandle) -> Option<CpuTime> {
    host::clock::process_cpu_time(space.host_pid()?)
}

/// Which CPU time is meant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// All.
    Total,
    /// In the program, not in the kernel for it.
    User,
}

/// The clock of a process's or thread's CPU time.
#[derive(Clone, Debug)]
pub struct CpuClock {
    group: Weak<ThreadGroup>,
    /// The thread; `None` for the whole process.
    tid: Option<i32>,
    kind: Kind,
}

impl CpuClock {
    /// Of a whole process.
    pub fn of_group(group: &Arc<ThreadGroup>, kind: Kind) -> CpuClock {
        CpuClock { group: Arc::downgrade(group), tid: None, kind }
    }

    /// Of one thread.
    pub fn of_task(task: &Arc<Task>, kind: Kind) -> CpuClock {
        CpuClock { tid: Some(task.tid), ..CpuClock::of_group(&task.group, kind) }
    }

    /// Whether it is the clock of the thread `task`.
    pub fn is_task(&self, task: &Task) -> bool {
        self.tid == Some(task.tid) && self.kind == Kind::Total
    }

    /// What it shows in nanoseconds; `None` when the process is gone. From outside a thread's time is not to be had, and its
    /// process's stands for it.
    pub fn now(&self) -> Option<u64> {
        let used = self.group.upgrade()?.cpu.used();
        Some(match self.kind {
            Kind::Total => used.total_ns,
            Kind::User => used.user_ns,
        })
    }

    /// How fast it can run at most: how many threads it counts.
    pub fn speed(&self) -> u64 {
        match (self.tid, self.group.upgrade()) {
            (None, Some(group)) => group.family.lock().threads.len().max(1) as u64,
            _ => 1,
        }
    }
}

/// CPU time as `getrusage` tells it. The rest of the record is the host's business and reads zero.
pub fn usage(used: CpuTime) -> Rusage {
    Rusage {
        ru_utime: timeval(used.user_ns),
        ru_stime: timeval(used.total_ns.saturating_sub(used.user_ns)),
        ..Rusage::default()
    }
}

fn timeval(ns: u64) -> Timeval {
    Timeval { tv_sec: (ns / 1_000_000_000) as i64, tv_usec: (ns % 1_000_000_000 / 1000) as i64 }
}
