//! Job control: whether a process is stopped (`man 7 signal`). What a parent learns of it is in [`crate::task::exit`].

use std::sync::Arc;

use abi::signal::Signal;

use crate::kernel::wait_queue::WaitQueue;
use crate::task::{Task, ThreadGroup, exit};

/// Whether a process is stopped.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum GroupStop {
    /// It runs.
    #[default]
    Running,
    /// Threads are on their way into the stop.
    Stopping(Signal),
    /// Every thread has stopped.
    Stopped(Signal),
}

impl GroupStop {
    /// Whether threads must stop or have stopped.
    pub fn is_stopping(self) -> bool {
        self != GroupStop::Running
    }

    /// Whether all threads have stopped.
    pub fn is_stopped(self) -> bool {
        matches!(self, GroupStop::Stopped(_))
    }

    /// The signal by which it stops.
    pub fn signal(self) -> Option<Signal> {
        match self {
            GroupStop::Running => None,
            GroupStop::Stopping(signal) | GroupStop::Stopped(signal) => Some(signal),
        }
    }

    /// Ends a stop. True when it was complete: the parent is told.
    pub(super) fn resume(&mut self) -> bool {
        std::mem::take(self).is_stopped()
    }
}

/// The signal by which `task` has to stop now.
pub(super) fn pending_stop(task: &Task) -> Option<Signal> {
    task.group.signals.lock().stop.signal()
}

/// Starts a group stop: every thread will find out in its [`super::deliver`].
pub(super) fn start(group: &Arc<ThreadGroup>, signal: Signal) {
    let threads = {
        let family = group.family.lock();
        let mut shared = group.signals.lock();
        if family.exiting.is_some() || shared.stop.is_stopping() {
            return;
        }
        shared.stop = GroupStop::Stopping(signal);
        family.threads.clone()
    };
    threads.iter().for_each(|thread| thread.notify());
}

/// The task obeys a group stop. True for the last thread: the stop is complete and the parent hears of it.
pub fn task_stopped(task: &Arc<Task>) -> bool {
    {
        let group = task.group.signals.lock();
        if !group.stop.is_stopping() {
            return false;
        }
        task.signals.lock().stopped = true;
    }
    complete(&task.group).is_some()
}

/// An exiting task no longer holds up a group stop.
pub(super) fn leave(task: &Arc<Task>) {
    if let Some(signal) = complete(&task.group) {
        exit::report_stopped(task, signal);
    }
}

/// Whether the threads of the group must stay stopped.
pub fn is_stopped(group: &ThreadGroup) -> bool {
    let family = group.family.lock();
    let shared = group.signals.lock();
    let is_killed = |task: &Arc<Task>| task.signals.lock().pending.set().contains(Signal::SIGKILL);
    shared.stop.is_stopping()
        && family.exec_by.is_none()
        && !shared.pending.set().contains(Signal::SIGKILL)
        && !family.threads.iter().any(is_killed)
}

/// Woken when a stop may have ended.
pub fn continue_queue(group: &ThreadGroup) -> WaitQueue {
    group.signals.lock().arrivals.clone()
}

/// Completes a group stop once every living thread takes part; the signal when this call did it.
fn complete(group: &Arc<ThreadGroup>) -> Option<Signal> {
    let family = group.family.lock();
    let mut shared = group.signals.lock();
    let GroupStop::Stopping(signal) = shared.stop else { return None };
    let all = family.threads.iter().all(|thread| {
        let own = thread.signals.lock();
        own.stopped || own.exiting
    });
    // A process that is only leaving does not stop.
    let any = family.threads.iter().any(|thread| thread.signals.lock().stopped);
    if !all || !any {
        return None;
    }
    shared.stop = GroupStop::Stopped(signal);
    Some(signal)
}
