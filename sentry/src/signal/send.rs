//! Sending: who may, what is dropped, which thread takes it.

use std::sync::Arc;

use abi::signal::{SigInfo, SigSet, Signal};

use super::action::{DefaultAction, SIG_DFL, STOP_SIGNALS, default_action};
use super::queue::Pushed;
use super::{GroupSignals, TaskSignals, announce};
use crate::Errno;
use crate::kernel::Kernel;
use crate::task::{Capability, Credentials, Family, Task, ThreadGroup, exit, rlimit};

/// What became of a signal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sent {
    /// It is pending.
    Queued,
    /// It is ignored.
    Ignored,
    /// Nobody is left to take it.
    NoTarget,
}

/// Where a signal comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Origin {
    Inside,
    /// From the kernel or from outside the sandbox: SIGKILL and SIGSTOP reach init, too.
    Outside,
    /// From a timer, which has a record of its own to queue.
    Timer,
}

/// Sends a timer's signal to a process or, with a target, to a thread of it.
pub fn send_from_timer(group: &Arc<ThreadGroup>, target: Option<&Arc<Task>>, info: &SigInfo) -> Sent {
    send(group, target, info, Origin::Timer).unwrap_or(Sent::NoTarget)
}

/// Sends to one task (SIGPIPE and the like).
pub fn send_to_task(task: &Arc<Task>, info: SigInfo) {
    let _ = try_send_to_task(task, info);
}

/// Sends to a process; one of its threads will take it.
pub fn send_to_group(group: &Arc<ThreadGroup>, info: SigInfo) {
    let _ = try_send_to_group(group, info);
}

/// Sends to one task for a caller who learns that the queue is full (`rt_tgsigqueueinfo`).
///
/// # Errors
/// EAGAIN when a real-time signal finds its queue full.
pub fn try_send_to_task(task: &Arc<Task>, info: SigInfo) -> Result<(), Errno> {
    send(&task.group, Some(task), &info, Origin::Inside).map(drop)
}

/// Sends to a process for a caller who learns that the queue is full (`rt_sigqueueinfo`).
///
/// # Errors
/// EAGAIN when a real-time signal finds its queue full.
pub fn try_send_to_group(group: &Arc<ThreadGroup>, info: SigInfo) -> Result<(), Errno> {
    send(group, None, &info, Origin::Inside).map(drop)
}

/// Sends to a process from outside the sandbox: SIGKILL and SIGSTOP reach init, too.
///
/// # Errors
/// EAGAIN when a real-time signal finds its queue full.
pub fn send_to_group_from_outside(group: &Arc<ThreadGroup>, info: SigInfo) -> Result<(), Errno> {
    send(group, None, &info, Origin::Outside).map(drop)
}

/// Sends to every process of a process group. Returns how many there are.
pub fn send_to_pgrp(kernel: &Kernel, pgid: i32, info: SigInfo) -> usize {
    let members = kernel.pids.groups().into_iter().filter(|group| group.family.lock().pgid == pgid);
    members.map(|group| send_to_group(&group, info)).count()
}

/// Sends a signal that the task cannot escape (a fault): when it is blocked or ignored, its action becomes the default one
/// (Linux's `force_sig_info`).
pub fn force_signal(task: &Arc<Task>, info: SigInfo) {
    force(task, info, false);
}

/// [`force_signal`] whose default action is certain to happen (Linux's `force_fatal_sig`).
pub(super) fn force_fatal_signal(task: &Arc<Task>, info: SigInfo) {
    force(task, info, true);
}

fn force(task: &Arc<Task>, info: SigInfo, fatal: bool) {
    let Some(signal) = Signal::new(info.signo as u64) else { return };
    {
        let mut group = task.group.signals.lock();
        let mut own = task.signals.lock();
        let mut action = group.actions.get(signal);
        let escapes = own.mask.contains(signal) || action.handler == super::action::SIG_IGN;
        if escapes || fatal {
            action.handler = SIG_DFL;
            group.actions.set(signal, action);
            own.mask.remove(signal);
        }
        if action.handler == SIG_DFL {
            group.unkillable = false;
        }
    }
    let _ = send(&task.group, Some(task), &info, Origin::Outside);
}

/// Whether one who acts as `sender` in session `sender_sid` may send `signal` (0: none) to `target` (`man 2 kill`).
pub fn may_signal(sender: &Credentials, sender_sid: i32, signal: u64, target: &Credentials, target_sid: i32) -> bool {
    let same_user = [target.suid, target.uid].iter().any(|&uid| uid == sender.euid || uid == sender.uid);
    let continues = signal == u64::from(Signal::SIGCONT.number()) && sender_sid == target_sid;
    same_user || continues || sender.has(Capability::KILL)
}

fn send(group: &Arc<ThreadGroup>, target: Option<&Arc<Task>>, info: &SigInfo, origin: Origin) -> Result<Sent, Errno> {
    let Some(signal) = Signal::new(info.signo as u64) else { return Ok(Sent::Ignored) };
    let limit = group.limits.lock().get(rlimit::SIGPENDING).cur;
    let mut to_notify: Vec<Arc<Task>> = Vec::new();
    let mut sent = Sent::Ignored;
    let mut continued = None;
    let arrivals;
    {
        let family = group.family.lock();
        let mut shared = group.signals.lock();
        if family.threads.is_empty() || family.exiting.is_some() {
            return Ok(Sent::NoTarget);
        }
        if STOP_SIGNALS.contains(signal) {
            flush(&family, &mut shared, SigSet::of(Signal::SIGCONT));
        } else if signal == Signal::SIGCONT {
            flush(&family, &mut shared, STOP_SIGNALS);
            if shared.stop.resume() {
                continued = family.threads.first().cloned();
            }
            let stopped = |thread: &&Arc<Task>| std::mem::take(&mut thread.signals.lock().stopped);
            to_notify.extend(family.threads.iter().filter(stopped).cloned());
        }
        let probe = target.or(family.threads.first());
        let mask = probe.map_or(SigSet::EMPTY, |task| task.signals.lock().mask);
        arrivals = shared.arrivals.clone();
        if !shared.drops(signal, mask, origin == Origin::Outside) {
            sent = Sent::Queued;
            queue(&mut shared, target, signal, info, origin, limit)?;
            match target {
                Some(task) => {
                    if wants(&shared, &task.signals.lock(), signal) {
                        to_notify.push(task.clone());
                    }
                }
                None => choose(&family, &shared, signal, &mut to_notify),
            }
        }
    }
    to_notify.iter().for_each(|task| task.notify());
    announce(&arrivals);
    if let Some(thread) = continued {
        exit::report_continued(&thread);
    }
    Ok(sent)
}

/// Throws away pending signals of a process (they are ignored from now on).
pub fn discard(group: &ThreadGroup, set: SigSet) {
    let family = group.family.lock();
    flush(&family, &mut group.signals.lock(), set);
}

fn flush(family: &Family, shared: &mut GroupSignals, set: SigSet) {
    shared.pending.flush(set);
    family.threads.iter().for_each(|thread| thread.signals.lock().pending.flush(set));
}

fn queue(
    shared: &mut GroupSignals,
    target: Option<&Arc<Task>>,
    signal: Signal,
    info: &SigInfo,
    origin: Origin,
    limit: u64,
) -> Result<(), Errno> {
    // Standard signals of `kill` and of the kernel always get a record, as there is at most one of each.
    let is_certain = !signal.is_realtime() && info.code >= 0;
    let mut own = target.map(|task| task.signals.lock());
    if origin == Origin::Timer {
        own.as_mut().map_or(&mut shared.pending, |own| &mut own.pending).push_of_timer(signal, info);
        return Ok(());
    }
    let queued = shared.pending.len() + own.as_ref().map_or(0, |own| own.pending.len());
    let has_room = is_certain || (queued as u64) < limit;
    if !has_room && signal.is_realtime() && info.code != SigInfo::SI_USER {
        return Err(Errno::EAGAIN);
    }
    let pushed = match own {
        Some(mut own) => own.pending.push(signal, info, has_room),
        None => shared.pending.push(signal, info, has_room),
    };
    if pushed == Pushed::Bare {
        tracing::debug!(?signal, "the signal queue is full");
    }
    Ok(())
}

/// Picks the thread that takes a signal sent to the process: the leader if it can, else any that can (Linux's
/// `complete_signal`). Where none can, whoever unblocks it takes it.
fn choose(family: &Family, shared: &GroupSignals, signal: Signal, to_notify: &mut Vec<Arc<Task>>) {
    if signal == Signal::SIGKILL {
        to_notify.extend(family.threads.iter().cloned());
        return;
    }
    let takes = |thread: &&Arc<Task>| wants(shared, &thread.signals.lock(), signal);
    let is_idle = |thread: &&Arc<Task>| {
        let own = thread.signals.lock();
        wants(shared, &own, signal) && own.pending.set().without(own.mask).is_empty()
    };
    let fatal = !matches!(default_action(signal), DefaultAction::Ignore | DefaultAction::Stop);
    let chosen = match family.threads.first().filter(takes) {
        Some(leader) => Some(leader),
        None if fatal => family.threads.iter().find(takes),
        None => family.threads.iter().find(is_idle).or_else(|| family.threads.iter().find(takes)),
    };
    to_notify.extend(chosen.cloned());
}

/// Whether the thread can take `signal` now (Linux's `wants_signal`).
fn wants(shared: &GroupSignals, own: &TaskSignals, signal: Signal) -> bool {
    if own.exiting {
        return false;
    }
    if signal == Signal::SIGKILL {
        return true;
    }
    !(own.mask.without(own.awaited).contains(signal) || own.stopped && shared.stop.is_stopping())
}
