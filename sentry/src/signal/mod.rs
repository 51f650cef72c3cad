//! Signals: dispositions, queues, delivery and the x86-64 frame.

use std::sync::Arc;

use abi::signal::{SigInfo, Signal};
use platform::Fault;

use crate::kernel::Kernel;
use crate::kernel::wait_queue::WaitQueue;
use crate::task::{Current, Task, ThreadGroup};

/// A task's own signal state.
#[derive(Default)]
pub struct TaskSignals {}

/// What the threads of a process share.
#[derive(Default)]
pub struct GroupSignals {}

/// What the task loop does after signals were looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Delivery {
    /// Back to the guest (perhaps into a handler).
    Continue,
    /// The task stops with its group.
    Stop(Signal),
    /// The process dies of this signal.
    Exit {
        /// Which.
        signal: Signal,
        /// Its default action is a core dump.
        core: bool,
    },
}

impl TaskSignals {
    /// For a child of `clone`: mask kept, nothing pending; the alternate stack is kept unless memory is shared.
    pub fn for_child(&self, _shares_memory: bool) -> TaskSignals {
        TaskSignals::default()
    }
}

impl GroupSignals {
    /// For a new process: dispositions shared (`CLONE_SIGHAND`) or copied (all handlers to default with `CLONE_CLEAR_SIGHAND`).
    pub fn for_child(&self, _share: bool, _clear: bool) -> GroupSignals {
        GroupSignals::default()
    }
    /// For `execve`: handlers back to default, ignored signals stay ignored; dispositions are no longer shared.
    pub fn reset_for_exec(&mut self) {}
}

/// Whether a sleeping call of `task` must end: a signal will be delivered, or the task exits or stops.
pub fn is_interrupted(_task: &Task) -> bool {
    true
}

/// Looks at pending signals before the return to the guest; also restarts an interrupted call (`rax` holds a restart code and
/// `current.orig_rax` is set).
pub fn deliver(_current: &mut Current) -> Delivery {
    Delivery::Continue
}

/// A processor exception: forces its signal on the current task.
pub fn force_fault(_current: &mut Current, _fault: &Fault) {}

/// Sends to a process.
pub fn send_to_group(_group: &Arc<ThreadGroup>, _info: SigInfo) {}

/// The task exits: its pending group signals go to another thread, a group stop no longer waits for it.
pub fn leave(_task: &Arc<Task>) {}

/// Children of `parent` leave no zombie: SIGCHLD is ignored or SA_NOCLDWAIT is set.
pub fn discards_children(_parent: &ThreadGroup) -> bool {
    false
}

/// `parent` has SA_NOCLDSTOP set or ignores SIGCHLD.
pub fn ignores_child_stops(_parent: &ThreadGroup) -> bool {
    false
}

/// `group` exits: process groups that become orphaned and have stopped members get SIGHUP and SIGCONT.
pub fn orphan_process_groups(_kernel: &Kernel, _group: &Arc<ThreadGroup>) {}

/// The parent of `child` exited: sends its PR_SET_PDEATHSIG.
pub fn parent_died(_child: &Arc<ThreadGroup>) {}

/// The task obeys a group stop. True for the last thread: the stop is complete and the parent hears of it.
pub fn task_stopped(_task: &Arc<Task>) -> bool {
    true
}

/// Whether the group is stopped.
pub fn is_stopped(_group: &ThreadGroup) -> bool {
    false
}

/// Woken when a stop ends.
pub fn continue_queue(_group: &ThreadGroup) -> WaitQueue {
    WaitQueue::new()
}
