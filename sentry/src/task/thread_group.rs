//! A process: the threads that share a pid, and its place among parents, groups and sessions.

use std::sync::atomic::{AtomicBool, AtomicI32};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use super::{Task, rlimit};
use abi::signal::Signal;
use abi::types::{Rusage, Timeval};

use crate::kernel::wait_queue::WaitQueue;
use crate::signal::GroupSignals;
use crate::time::GroupTimers;
use crate::time::cpu::{self, CpuAccount};

/// A process.
pub struct ThreadGroup {
    /// Process id: the leader's thread id.
    pub pid: i32,
    /// When it was made, in nanoseconds of `CLOCK_BOOTTIME`.
    pub started_ns: u64,
    /// `/proc/PID/oom_score_adj`, -1000..=1000.
    pub oom_score_adj: AtomicI32,
    /// Parent, children, group, session, threads, exit.
    pub family: Mutex<Family>,
    /// Dispositions and the shared queue.
    pub signals: Mutex<GroupSignals>,
    /// `setrlimit`
    pub limits: Mutex<rlimit::Limits>,
    /// CPU time used so far.
    pub cpu: CpuAccount,
    /// `setitimer` and `timer_create`. Taken before [`ThreadGroup::family`].
    pub timers: Mutex<GroupTimers>,
    children_usage: Mutex<Rusage>,
    /// `prctl(PR_SET_DUMPABLE)`: others of the same user may look into it.
    pub dumpable: AtomicBool,
    /// `prctl(PR_SET_THP_DISABLE)`: kept and told; the host decides about huge pages.
    pub huge_pages_off: AtomicBool,
    /// Woken when a child changes state (`wait4`).
    pub child_events: WaitQueue,
    /// Woken when this process exits (pidfd).
    pub exit_queue: WaitQueue,
    /// Woken when one of its threads is gone (`execve` waits for that).
    pub thread_queue: WaitQueue,
}

/// See [`ThreadGroup::family`]. Locks of two families are taken parent first.
#[derive(Default)]
pub struct Family {
    /// Living threads, the leader first while it lives.
    pub threads: Vec<Arc<Task>>,
    /// `None` for init and for orphans of it.
    pub parent: Weak<ThreadGroup>,
    /// Children that were not yet reaped.
    pub children: Vec<Arc<ThreadGroup>>,
    /// Real user of the leader, kept beyond its exit.
    pub uid: u32,
    /// Process group.
    pub pgid: i32,
    /// Session.
    pub sid: i32,
    /// Signal for the parent at exit; 0 for none.
    pub exit_signal: u8,
    /// All threads must exit with this wait status.
    pub exiting: Option<i32>,
    /// The wait status, once the last thread is gone (a zombie).
    pub exit_status: Option<i32>,
    /// A thread that calls `execve` and waits until it is the only one; the others exit.
    pub exec_by: Option<i32>,
    /// Stopped by this signal, not yet reported by `wait4(WUNTRACED)`.
    pub stop_report: Option<Signal>,
    /// Continued, not yet reported by `wait4(WCONTINUED)`.
    pub continue_report: bool,
    /// Has called `execve` since it was forked: `setpgid` by the parent is refused.
    pub has_execed: bool,
    /// Adopts orphans among its descendants (`PR_SET_CHILD_SUBREAPER`).
    pub is_subreaper: bool,
}

impl ThreadGroup {
    /// A group without threads yet.
    pub fn new(pid: i32, family: Family, signals: GroupSignals, limits: rlimit::Limits) -> Arc<ThreadGroup> {
        Arc::new(ThreadGroup {
            pid,
            oom_score_adj: AtomicI32::new(0),
            started_ns: host::clock::clock_ns(abi::uapi::general::CLOCK_BOOTTIME as i32) as u64,
            family: Mutex::new(family),
            signals: Mutex::new(signals),
            limits: Mutex::new(limits),
            cpu: CpuAccount::default(),
            timers: Mutex::default(),
            children_usage: Mutex::default(),
            dumpable: AtomicBool::new(true),
            huge_pages_off: AtomicBool::new(false),
            child_events: WaitQueue::new(),
            exit_queue: WaitQueue::new(),
            thread_queue: WaitQueue::new(),
        })
    }

    /// Living threads.
    pub fn threads(&self) -> Vec<Arc<Task>> {
        self.family.lock().threads.clone()
    }

    /// The parent process; `None` for init and when it is gone.
    pub fn parent(&self) -> Option<Arc<ThreadGroup>> {
        self.family.lock().parent.upgrade()
    }

    /// Makes all threads exit with this wait status, unless they already exit with another.
    pub fn exit(&self, status: i32) {
        let threads = {
            let mut family = self.family.lock();
            family.exiting.get_or_insert(status);
            family.threads.clone()
        };
        threads.iter().for_each(|task| task.notify());
    }

    /// Real user of the process, for `siginfo` and accounting.
    pub fn uid(&self) -> u32 {
        self.family.lock().uid
    }

    /// User and system time in clock ticks (100 a second).
    pub fn cpu_ticks(&self) -> (i64, i64) {
        let usage = self.usage();
        let ticks = |time: abi::types::Timeval| time.tv_sec * 100 + time.tv_usec / 10_000;
        (ticks(usage.ru_utime), ticks(usage.ru_stime))
    }

    /// Resource usage of the process itself.
    pub fn usage(&self) -> Rusage {
        cpu::usage(self.cpu.used())
    }

    /// Resource usage of reaped children.
    pub fn children_usage(&self) -> Rusage {
        *self.children_usage.lock()
    }

    /// Counts a reaped child.
    pub fn add_child_usage(&self, child: &ThreadGroup) {
        let (own, below) = (child.usage(), child.children_usage());
        let mut sum = self.children_usage.lock();
        for usage in [own, below] {
            sum.ru_utime = add_times(sum.ru_utime, usage.ru_utime);
            sum.ru_stime = add_times(sum.ru_stime, usage.ru_stime);
            sum.ru_maxrss = sum.ru_maxrss.max(usage.ru_maxrss);
        }
    }

    /// Whether `pid` is in use as this group's process-group or session number.
    pub fn bears(&self, pid: i32) -> bool {
        let family = self.family.lock();
        family.pgid == pid || family.sid == pid
    }
}

fn add_times(a: Timeval, b: Timeval) -> Timeval {
    let us = a.tv_usec + b.tv_usec;
    Timeval { tv_sec: a.tv_sec + b.tv_sec + us / 1_000_000, tv_usec: us % 1_000_000 }
}
