//! Guest threads and processes: tasks, thread groups, process groups, sessions, and their life.

pub mod capability;
pub mod clone;
pub mod credentials;
pub mod current;
pub mod exec;
pub mod exit;
pub mod futex;
pub mod pid;
pub mod pidfd;
pub mod rlimit;
pub mod run;
pub mod scheduling;
pub mod session;
mod thread_group;
pub mod wait;

pub use capability::{Capabilities, Capability};
pub use credentials::Credentials;
pub use current::Current;
pub use thread_group::{Family, ThreadGroup};

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::Waker;

use parking_lot::Mutex;
use platform::{Interrupter, SpaceHandle};

use crate::Errno;
use crate::mm::MemoryMap;
use crate::signal::TaskSignals;
use crate::vfs::{FdTable, FsContext};

/// A guest thread, as other tasks see it. What only the thread itself touches is in [`Current`].
pub struct Task {
    /// Thread id.
    pub tid: i32,
    /// Its process.
    pub group: Arc<ThreadGroup>,
    /// Mask, private queue, alternate stack.
    pub signals: Mutex<TaskSignals>,
    /// Name, resources: what `clone` shares or copies.
    pub state: Mutex<TaskState>,
    wakeup: Wakeup,
}

/// The part of a task that others may look at and change, under its lock.
#[derive(Clone)]
pub struct TaskState {
    /// `comm`: at most 15 bytes.
    pub name: Vec<u8>,
    /// Who it acts as.
    pub credentials: Arc<Credentials>,
    /// Address space; `None` once the task has exited.
    pub mm: Option<Arc<MemoryMap>>,
    /// Descriptors; `None` once the task has exited.
    pub files: Option<Arc<FdTable>>,
    /// Root, working directory, umask.
    pub fs: Arc<FsContext>,
    /// `set_tid_address`: cleared and futex-woken at exit; 0 for none.
    pub clear_child_tid: u64,
    /// `set_robust_list`: head; 0 for none.
    pub robust_list: u64,
    /// How it wants to be scheduled.
    pub scheduling: scheduling::Scheduling,
    /// `man 2 personality`
    pub personality: u32,
}

/// How others reach a task that runs guest code or sleeps.
#[derive(Default)]
struct Wakeup {
    /// Set when something has to be looked at before the task returns to the guest: a signal, a stop, an exit.
    work: AtomicBool,
    in_guest: AtomicBool,
    waker: OnceLock<Waker>,
    interrupter: Mutex<Option<Arc<dyn Interrupter>>>,
    space: Mutex<Option<Arc<dyn SpaceHandle>>>,
}

impl Wakeup {
    /// Takes over how `other` is reached.
    fn adopt(&self, other: &Wakeup) {
        *self.interrupter.lock() = other.interrupter.lock().clone();
        *self.space.lock() = other.space.lock().clone();
        if let Some(waker) = other.waker.get() {
            let _ = self.waker.set(waker.clone());
        }
        self.work.store(other.work.load(Ordering::SeqCst), Ordering::SeqCst);
    }
}

impl Task {
    /// Makes a task that is not yet scheduled.
    pub fn new(tid: i32, group: Arc<ThreadGroup>, state: TaskState, signals: TaskSignals) -> Arc<Task> {
        Arc::new(Task { tid, group, signals: Mutex::new(signals), state: Mutex::new(state), wakeup: Wakeup::default() })
    }

    /// Its credentials at this moment.
    pub fn credentials(&self) -> Arc<Credentials> {
        self.state.lock().credentials.clone()
    }

    /// Its descriptor table.
    ///
    /// # Errors
    /// ESRCH when it has exited.
    pub fn files(&self) -> Result<Arc<FdTable>, Errno> {
        self.state.lock().files.clone().ok_or(Errno::ESRCH)
    }

    /// Its address space.
    ///
    /// # Errors
    /// ESRCH when it has exited.
    pub fn mm(&self) -> Result<Arc<MemoryMap>, Errno> {
        self.state.lock().mm.clone().ok_or(Errno::ESRCH)
    }

    /// Its memory as it is reached from outside.
    ///
    /// # Errors
    /// ESRCH when it has exited or not yet started.
    pub fn space(&self) -> Result<Arc<dyn SpaceHandle>, Errno> {
        self.mm()?;
        self.wakeup.space.lock().clone().ok_or(Errno::ESRCH)
    }

    /// Whether it runs guest code at this moment.
    pub fn is_in_guest(&self) -> bool {
        self.wakeup.in_guest.load(Ordering::SeqCst)
    }

    /// Its place in the file tree.
    pub fn fs(&self) -> Arc<FsContext> {
        self.state.lock().fs.clone()
    }

    /// Makes the task look at its signals and other pending work soon: wakes it if it sleeps, stops it if it runs guest code.
    pub fn notify(&self) {
        self.wakeup.work.store(true, Ordering::SeqCst);
        if self.wakeup.in_guest.load(Ordering::SeqCst)
            && let Some(interrupter) = self.wakeup.interrupter.lock().clone()
        {
            interrupter.interrupt();
        }
        if let Some(waker) = self.wakeup.waker.get() {
            waker.wake_by_ref();
        }
    }

    /// Whether [`Task::notify`] was called since the last [`Task::take_work`].
    pub fn has_work(&self) -> bool {
        self.wakeup.work.load(Ordering::SeqCst)
    }

    /// Clears the flag; the caller then looks at signals, stops and exits.
    pub fn take_work(&self) -> bool {
        self.wakeup.work.swap(false, Ordering::SeqCst)
    }

    /// Wakes the task without giving it work (its wait may be over).
    pub fn wake(&self) {
        if let Some(waker) = self.wakeup.waker.get() {
            waker.wake_by_ref();
        }
    }
}
