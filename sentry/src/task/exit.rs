//! The end of tasks and processes, and stops (`man 2 exit`, `man 2 wait`).

use std::sync::{Arc, Weak};

use abi::signal::{SigInfo, Signal};

use super::{Current, Task, ThreadGroup, futex};
use crate::kernel::wait_queue::Readiness;
use crate::kernel::{Ending, Kernel};
use crate::signal;

const CLD_EXITED: i32 = 1;
const CLD_KILLED: i32 = 2;
const CLD_DUMPED: i32 = 3;
const CLD_STOPPED: i32 = 5;
const CLD_CONTINUED: i32 = 6;

/// Why a task ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reason {
    /// Only this thread, with this exit code.
    Thread(u8),
    /// The whole group, with this wait status.
    Group(i32),
}

/// The wait status of a death by `signal`.
pub fn status_of_signal(signal: Signal, core: bool) -> i32 {
    i32::from(signal.number()) | if core { 0x80 } else { 0 }
}

/// Ends the current task: gives its resources back, and ends the process with its last thread.
pub fn exit_task(mut current: Current, reason: Reason) {
    let task = current.task.clone();
    let kernel = current.kernel.clone();
    if let Reason::Group(status) = reason {
        task.group.exit(status);
    }
    leave_memory(&mut current);
    signal::leave(&task);
    let resources = {
        let mut state = task.state.lock();
        (state.mm.take(), state.files.take())
    };
    // The host thread ends, or the stub if it was the space's last; descriptors close with their last table.
    drop(current);
    drop(resources);
    remove(&kernel, &task, reason);
}

/// Takes a task that no longer runs out of all tables; its process ends with the last thread.
pub fn remove(kernel: &Arc<Kernel>, task: &Arc<Task>, reason: Reason) {
    let lineage = kernel.pids.lineage.lock();
    let last = {
        let mut family = task.group.family.lock();
        family.threads.retain(|thread| thread.tid != task.tid);
        if let Reason::Thread(code) = reason
            && family.threads.is_empty()
        {
            family.exiting.get_or_insert(i32::from(code) << 8);
        }
        family.threads.is_empty()
    };
    kernel.pids.remove_task(task.tid);
    task.group.thread_queue.wake_all();
    if last {
        exit_group(kernel, &task.group);
    }
    drop(lineage);
}

/// What a task does when it stops using its address space, by exit or `execve`: robust futexes, the word that joins wait on,
/// and a parent in `vfork`.
pub fn leave_memory(current: &mut Current) {
    futex::exit_robust_list(current);
    current.task.group.cpu.settle();
    // A task that shares its memory with nobody has nobody to tell.
    let (word, shared) = {
        let mut state = current.task.state.lock();
        let shared = state.mm.as_ref().is_some_and(|mm| Arc::strong_count(mm) > 1);
        (std::mem::take(&mut state.clear_child_tid), shared)
    };
    if word != 0 && shared && current.write_object(word, &0u32).is_ok() {
        futex::wake_at(current, word, 1);
    }
    if let Some(done) = current.vfork_done.take() {
        done.complete();
    }
}

/// The last thread is gone: orphans find a new parent, the parent hears of it. Lineage is held.
fn exit_group(kernel: &Arc<Kernel>, group: &Arc<ThreadGroup>) {
    let (children, status, parent, exit_signal) = {
        let mut family = group.family.lock();
        let status = family.exiting.unwrap_or(0);
        (std::mem::take(&mut family.children), status, family.parent.upgrade(), family.exit_signal)
    };
    if kernel.is_main(group.pid) {
        group.family.lock().exit_status = Some(status);
        group.exit_queue.wake_all();
        kernel.end(Ending::Exited(status));
        return;
    }
    if group.family.lock().sid == group.pid {
        crate::tty::session_leader_exits(kernel, group.pid);
    }
    let reaper = find_reaper(kernel, group);
    for child in &children {
        adopt(kernel, reaper.as_ref(), child.clone());
    }
    super::session::hang_up_orphans(kernel, group, &children);
    group.family.lock().exit_status = Some(status);
    group.exit_queue.wake_all();
    let Some(parent) = parent else {
        reap(kernel, None, group);
        return;
    };
    let wants_no_zombie =
        Signal::new(u64::from(exit_signal)) == Some(Signal::SIGCHLD) && signal::discards_children(&parent);
    if let Some(exit_signal) = Signal::new(u64::from(exit_signal)) {
        let info = SigInfo { signo: i32::from(exit_signal.number()), ..child_info(group, status) };
        signal::send_to_group(&parent, info);
    }
    if wants_no_zombie {
        reap(kernel, Some(&parent), group);
    }
    parent.child_events.wake_all();
}

/// `siginfo` of SIGCHLD for an exit.
pub fn child_info(group: &ThreadGroup, status: i32) -> SigInfo {
    let (code, value) = match status & 0x7f {
        0 => (CLD_EXITED, status >> 8 & 0xff),
        signal if status & 0x80 != 0 => (CLD_DUMPED, signal),
        signal => (CLD_KILLED, signal),
    };
    let (utime, stime) = group.cpu_ticks();
    SigInfo::from_child(code, group.pid, group.uid(), value, utime, stime)
}

/// Who adopts the children of `group`: the nearest living subreaper, else init.
fn find_reaper(kernel: &Kernel, group: &Arc<ThreadGroup>) -> Option<Arc<ThreadGroup>> {
    let mut ancestor = group.parent();
    while let Some(candidate) = ancestor {
        let family = candidate.family.lock();
        if family.is_subreaper && !family.threads.is_empty() {
            drop(family);
            return Some(candidate);
        }
        let next = family.parent.upgrade();
        drop(family);
        ancestor = next;
    }
    kernel.pids.group(1)
}

fn adopt(kernel: &Arc<Kernel>, reaper: Option<&Arc<ThreadGroup>>, child: Arc<ThreadGroup>) {
    let is_zombie = {
        let mut family = child.family.lock();
        family.parent = reaper.map_or_else(Weak::new, Arc::downgrade);
        family.exit_signal = Signal::SIGCHLD.number();
        family.exit_status.is_some()
    };
    signal::parent_died(&child);
    let Some(reaper) = reaper else {
        if is_zombie {
            reap(kernel, None, &child);
        }
        return;
    };
    reaper.family.lock().children.push(child.clone());
    if is_zombie {
        let status = child.family.lock().exit_status.unwrap_or(0);
        signal::send_to_group(reaper, child_info(&child, status));
        if signal::discards_children(reaper) {
            reap(kernel, Some(reaper), &child);
        }
        reaper.child_events.wake_all();
    }
}

/// Removes a zombie: its number is free again. Lineage is held.
pub fn reap(kernel: &Kernel, parent: Option<&Arc<ThreadGroup>>, group: &Arc<ThreadGroup>) {
    if let Some(parent) = parent {
        parent.family.lock().children.retain(|child| child.pid != group.pid);
        parent.add_child_usage(group);
    }
    kernel.pids.remove_group(group.pid);
}

/// Stops the current task with its group, until SIGCONT or SIGKILL.
pub async fn stop_group(current: &mut Current, signal: Signal) {
    let task = current.task.clone();
    if signal::task_stopped(&task) {
        report_stopped(&task, signal);
        current.kernel.process_stopped(task.group.pid);
    }
    let queue = signal::continue_queue(&task.group);
    // Neither EINTR nor a deadline: only the end of the stop counts, and `has_signal` is true for as long as it lasts.
    let waker = super::current::current_waker().await;
    let _registration = queue.register(Readiness::all(), waker);
    while signal::is_stopped(&task.group) && task.group.family.lock().exiting.is_none() && !current.context.is_gone() {
        current.context.will_block();
        crate::kernel::executor::suspend().await;
    }
}

/// Tells the parent that the group was stopped by `signal`.
pub fn report_stopped(task: &Task, signal: Signal) {
    report_to_parent(task, CLD_STOPPED, signal);
}

/// Tells the parent that the group was continued.
pub fn report_continued(task: &Task) {
    report_to_parent(task, CLD_CONTINUED, Signal::SIGCONT);
}

fn report_to_parent(task: &Task, code: i32, signal: Signal) {
    let group = &task.group;
    let parent = {
        let mut family = group.family.lock();
        match code {
            CLD_STOPPED => {
                family.stop_report = Some(signal);
                family.continue_report = false;
            }
            _ => {
                family.continue_report = true;
                family.stop_report = None;
            }
        }
        family.parent.upgrade()
    };
    let Some(parent) = parent else { return };
    if !signal::ignores_child_stops(&parent) {
        let (utime, stime) = group.cpu_ticks();
        let info = SigInfo::from_child(code, group.pid, group.uid(), i32::from(signal.number()), utime, stime);
        signal::send_to_group(&parent, info);
    }
    parent.child_events.wake_all();
}
