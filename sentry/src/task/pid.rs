//! Numbers for tasks, thread groups, process groups and sessions.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use super::{Task, ThreadGroup};
use crate::Errno;

/// `/proc/sys/kernel/pid_max`
pub const PID_MAX: i32 = 32768;

/// All numbers in use. A number stays taken until its task is reaped and no process group or session bears it.
#[derive(Default)]
pub struct PidTable {
    /// Held over every change of who is whose parent, thread, group or session: `clone`, exit, `wait4`, `setpgid`. Taken before
    /// any [`ThreadGroup::family`].
    pub lineage: Mutex<()>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    last: i32,
    tasks: BTreeMap<i32, Weak<Task>>,
    groups: BTreeMap<i32, Arc<ThreadGroup>>,
}

impl PidTable {
    /// Takes the next free number.
    ///
    /// # Errors
    /// EAGAIN when all are in use.
    pub fn allocate(&self) -> Result<i32, Errno> {
        let mut state = self.state.lock();
        for _ in 0..PID_MAX {
            state.last = if state.last + 1 >= PID_MAX { 2 } else { state.last + 1 };
            let candidate = state.last;
            let taken = state.tasks.contains_key(&candidate)
                || state.groups.contains_key(&candidate)
                || state.groups.values().any(|group| group.bears(candidate));
            if !taken {
                state.tasks.insert(candidate, Weak::new());
                return Ok(candidate);
            }
        }
        Err(Errno::EAGAIN)
    }

    /// Takes this number (`clone3` with `set_tid`).
    ///
    /// # Errors
    /// EINVAL outside 1..[`PID_MAX`]; EEXIST when it is in use.
    pub fn allocate_exactly(&self, pid: i32) -> Result<i32, Errno> {
        if !(1..PID_MAX).contains(&pid) {
            return Err(Errno::EINVAL);
        }
        let mut state = self.state.lock();
        if state.tasks.contains_key(&pid) || state.groups.contains_key(&pid) {
            return Err(Errno::EEXIST);
        }
        state.tasks.insert(pid, Weak::new());
        Ok(pid)
    }

    /// Gives a number back that no task came to bear.
    pub fn release(&self, pid: i32) {
        self.state.lock().tasks.remove(&pid);
    }

    /// Enters a task under its allocated number.
    pub fn add_task(&self, task: &Arc<Task>) {
        self.state.lock().tasks.insert(task.tid, Arc::downgrade(task));
    }

    /// Removes an exited task's number (a leader's number stays with its group).
    pub fn remove_task(&self, tid: i32) {
        self.state.lock().tasks.remove(&tid);
    }

    /// Enters a thread group.
    pub fn add_group(&self, group: &Arc<ThreadGroup>) {
        self.state.lock().groups.insert(group.pid, group.clone());
    }

    /// Removes a reaped thread group.
    pub fn remove_group(&self, pid: i32) {
        self.state.lock().groups.remove(&pid);
    }

    /// A living task by thread id.
    pub fn task(&self, tid: i32) -> Option<Arc<Task>> {
        self.state.lock().tasks.get(&tid)?.upgrade()
    }

    /// A thread group by process id, zombies included.
    pub fn group(&self, pid: i32) -> Option<Arc<ThreadGroup>> {
        self.state.lock().groups.get(&pid).cloned()
    }

    /// All thread groups in order of their numbers, zombies included.
    pub fn groups(&self) -> Vec<Arc<ThreadGroup>> {
        self.state.lock().groups.values().cloned().collect()
    }

    /// Number of tasks (threads) alive.
    pub fn task_count(&self) -> usize {
        self.state.lock().tasks.values().filter(|task| task.strong_count() > 0).count()
    }

    /// The number given out last (`/proc/loadavg`).
    pub fn last(&self) -> i32 {
        self.state.lock().last
    }
}
