//! A process: the threads that share a pid, and its place among parents, groups and sessions.

use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use super::{Task, rlimit};
use crate::kernel::wait_queue::WaitQueue;
use crate::signal::GroupSignals;

/// A process.
pub struct ThreadGroup {
    /// Process id: the leader's thread id.
    pub pid: i32,
    /// Parent, children, group, session, threads, exit.
    pub family: Mutex<Family>,
    /// Dispositions and the shared queue.
    pub signals: Mutex<GroupSignals>,
    /// `setrlimit`
    pub limits: Mutex<rlimit::Limits>,
    /// Woken when a child changes state (`wait4`).
    pub child_events: WaitQueue,
    /// Woken when this process exits (pidfd).
    pub exit_queue: WaitQueue,
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
}

impl ThreadGroup {
    /// Whether `pid` is in use as this group's process-group or session number.
    pub fn bears(&self, pid: i32) -> bool {
        let family = self.family.lock();
        family.pgid == pid || family.sid == pid
    }
}
