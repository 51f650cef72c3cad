//! Signals: dispositions, queues, sending, delivery and the x86-64 frame (`man 7 signal`).
//!
//! A signal is *sent* ([`send_to_task`], [`send_to_group`], [`force_signal`]): it is dropped when ignored, else queued for the
//! task or the process, and a task that can take it is notified. It is *delivered* by the task itself ([`deliver`]) before it
//! returns to the guest. Locks: family, then [`GroupSignals`], then [`TaskSignals`], then the action table; functions here
//! take them themselves and must be called with none of them held.

pub mod action;
pub mod altstack;
mod deliver;
mod frame;
mod mask;
mod queue;
mod send;
pub mod stop;

pub use action::ActionTable;
pub use deliver::{Delivery, deliver, force_fault};
pub use frame::sigreturn;
pub use mask::{end_temporary_mask, set_mask, set_temporary_mask};
pub use queue::Pending;
pub use send::{
    Sent, discard, force_signal, may_signal, send_from_timer, send_to_group, send_to_group_from_outside, send_to_pgrp,
    send_to_task, try_send_to_group, try_send_to_task,
};
pub use stop::{continue_queue, is_stopped, task_stopped};

use std::sync::Arc;

use abi::signal::{SigAltStack, SigInfo, SigSet, Signal};

use crate::kernel::wait_queue::{Readiness, WaitQueue};
use crate::task::{Task, ThreadGroup};
use crate::time::posix_timer;
use action::ActionFlags;

/// `SS_DISABLE`
pub const SS_DISABLE: i32 = 2;
/// `SS_ONSTACK`
pub const SS_ONSTACK: i32 = 1;
/// `SS_AUTODISARM`
pub const SS_AUTODISARM: i32 = 1 << 31;

/// A task's own signal state.
pub struct TaskSignals {
    /// Blocked signals.
    pub mask: SigSet,
    /// The mask to go back to after a call with a temporary one (`sigsuspend`, `ppoll`, `pselect6`, `epoll_pwait`).
    pub saved_mask: Option<SigSet>,
    /// Sent to this task alone.
    pub pending: Pending,
    /// `sigaltstack`
    pub altstack: SigAltStack,
    /// Signals that `rt_sigtimedwait` waits for: they wake the task although they are blocked.
    pub awaited: SigSet,
    /// The task takes no more signals.
    pub exiting: bool,
    /// The task takes part in a group stop.
    pub stopped: bool,
    /// `prctl(PR_SET_PDEATHSIG)`
    pub parent_death_signal: Option<Signal>,
}

impl Default for TaskSignals {
    fn default() -> TaskSignals {
        TaskSignals {
            mask: SigSet::EMPTY,
            saved_mask: None,
            pending: Pending::default(),
            altstack: DISABLED_STACK,
            awaited: SigSet::EMPTY,
            exiting: false,
            stopped: false,
            parent_death_signal: None,
        }
    }
}

/// No alternate stack.
pub const DISABLED_STACK: SigAltStack = SigAltStack { sp: 0, flags: SS_DISABLE, pad: 0, size: 0 };

impl TaskSignals {
    /// For a child of `clone`: mask kept, nothing pending; the alternate stack is kept unless memory is shared.
    pub fn for_child(&self, shares_memory: bool) -> TaskSignals {
        let altstack = if shares_memory { DISABLED_STACK } else { self.altstack };
        TaskSignals { mask: self.mask, altstack, ..TaskSignals::default() }
    }

    /// `execve`: the alternate stack is gone.
    pub fn reset_for_exec(&mut self) {
        self.altstack = DISABLED_STACK;
    }
}

/// What the threads of a process share.
#[derive(Default)]
pub struct GroupSignals {
    /// Dispositions; shared between processes by `CLONE_SIGHAND` without `CLONE_THREAD`.
    pub actions: Arc<ActionTable>,
    /// Sent to the process.
    pub pending: Pending,
    /// Whether the process is stopped.
    pub stop: stop::GroupStop,
    /// A signal without handler does not harm this process unless it comes from outside (init of the sandbox).
    pub unkillable: bool,
    /// Woken whenever a signal becomes pending for the process or one of its tasks (`signalfd`, `rt_sigtimedwait`).
    pub arrivals: WaitQueue,
}

impl GroupSignals {
    /// For a new process: dispositions shared (`CLONE_SIGHAND`) or copied (all handlers to default with `CLONE_CLEAR_SIGHAND`).
    pub fn for_child(&self, share: bool, clear: bool) -> GroupSignals {
        let actions = if share { self.actions.clone() } else { Arc::new(self.actions.copy()) };
        if clear {
            actions.reset_handlers();
        }
        GroupSignals { actions, ..GroupSignals::default() }
    }

    /// `execve`: handlers are reset in a table of its own.
    pub fn reset_for_exec(&mut self) {
        if Arc::strong_count(&self.actions) > 1 {
            self.actions = Arc::new(self.actions.copy());
        }
        self.actions.reset_handlers();
    }

    /// Whether sending `signal` to a task with `mask` has no effect at all (Linux's `sig_ignored`).
    fn drops(&self, signal: Signal, mask: SigSet, from_outside: bool) -> bool {
        // What is blocked is kept: the disposition may be another when it is unblocked.
        !mask.contains(signal) && (self.is_harmless(signal, from_outside) || self.actions.ignores(signal))
    }

    fn is_harmless(&self, signal: Signal, from_outside: bool) -> bool {
        let forced = from_outside && SigSet::UNBLOCKABLE.contains(signal);
        self.unkillable && self.actions.get(signal).handler == action::SIG_DFL && !forced
    }
}

/// Whether a sleeping call of `task` must end: a signal will be delivered, or the task exits or stops.
pub fn is_interrupted(task: &Task) -> bool {
    {
        let family = task.group.family.lock();
        if family.exiting.is_some() || family.exec_by.is_some_and(|tid| tid != task.tid) {
            return true;
        }
    }
    let group = task.group.signals.lock();
    let own = task.signals.lock();
    if group.stop.is_stopping() && !own.exiting {
        return true;
    }
    let mut ready = own.pending.set().or(group.pending.set()).without(own.mask);
    while let Some(signal) = ready.first() {
        if SigSet::UNBLOCKABLE.contains(signal) || !group.drops(signal, SigSet::EMPTY, false) {
            return true;
        }
        ready.remove(signal);
    }
    false
}

/// All signals that are pending for `task`, in its own queue and its process's.
pub fn pending(task: &Task) -> SigSet {
    let group = task.group.signals.lock();
    let own = task.signals.lock();
    own.pending.set().or(group.pending.set())
}

/// Takes a pending signal of `set` for `rt_sigtimedwait` and `signalfd`, whether blocked or not.
pub fn dequeue(task: &Task, set: SigSet) -> Option<SigInfo> {
    let blocked = SigSet(!set.without(SigSet::UNBLOCKABLE).0);
    take_next(task, blocked)
}

/// Takes the next signal that is not in `blocked`: from the task's own queue first.
fn take_next(task: &Task, blocked: SigSet) -> Option<SigInfo> {
    loop {
        let mut info = {
            let mut group = task.group.signals.lock();
            let mut own = task.signals.lock();
            let own = &mut own.pending;
            match own.next_synchronous(blocked).or_else(|| own.next(blocked)) {
                Some(signal) => own.take(signal),
                None => group.pending.next(blocked).and_then(|signal| group.pending.take(signal)),
            }
        }?;
        if info.code != SigInfo::SI_TIMER || posix_timer::on_dequeue(task, &mut info) {
            return Some(info);
        }
    }
}

/// The task exits and takes no more signals: others of its process take what it would have taken, and a group stop no longer
/// waits for it.
pub fn leave(task: &Arc<Task>) {
    let released = {
        let mut own = task.signals.lock();
        own.exiting = true;
        SigSet(!own.mask.0)
    };
    mask::retarget(task, released);
    stop::leave(task);
}

/// Children of `parent` leave no zombie: SIGCHLD is ignored or `SA_NOCLDWAIT` is set.
pub fn discards_children(parent: &ThreadGroup) -> bool {
    let action = parent.signals.lock().actions.get(Signal::SIGCHLD);
    action.handler == action::SIG_IGN || action.flags & ActionFlags::NOCLDWAIT.bits() != 0
}

/// `parent` has `SA_NOCLDSTOP` set or ignores SIGCHLD.
pub fn ignores_child_stops(parent: &ThreadGroup) -> bool {
    let action = parent.signals.lock().actions.get(Signal::SIGCHLD);
    action.handler == action::SIG_IGN || action.flags & ActionFlags::NOCLDSTOP.bits() != 0
}

/// The parent of `child` exited: sends the signal that threads of it asked for with `PR_SET_PDEATHSIG`.
pub fn parent_died(child: &Arc<ThreadGroup>) {
    for thread in child.threads() {
        let signal = thread.signals.lock().parent_death_signal;
        if let Some(signal) = signal {
            send_to_group(child, SigInfo::from_sender(signal, SigInfo::SI_USER, 0, 0));
        }
    }
}

fn announce(queue: &WaitQueue) {
    queue.wake(Readiness::READABLE);
}
