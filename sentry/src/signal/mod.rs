//! Signals: dispositions, queues, delivery and the x86-64 frame.

use crate::task::Task;

/// A task's own signal state.
#[derive(Default)]
pub struct TaskSignals {}

/// What the threads of a process share.
#[derive(Default)]
pub struct GroupSignals {}

/// Whether a sleeping call of `task` must end: a signal will be delivered, or the task exits or stops.
pub fn is_interrupted(_task: &Task) -> bool {
    true
}
