//! One stub process: the guest's address space.

use crate::core::Core;
use crate::window::Windows;
use abi::Errno;
use host::{process, process_memory};
use parking_lot::{Mutex, RwLock};
use platform::{Error, MemoryFault, SpaceHandle};
use std::collections::{HashMap, HashSet};
use std::os::fd::OwnedFd;
use std::sync::Weak;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::task::Waker;
use systrap_stub::layout::{GUEST_MAX, SLOTS};

static NEXT_ID: AtomicU64 = AtomicU64::new(1);
const SIGKILL: i32 = 9;

/// A stub process and what the sentry knows about it.
pub struct Space {
    id: u64,
    pid: i32,
    core: Weak<Core>,
    windows: Option<Windows>,
    dead: AtomicBool,
    /// Contexts that exist.
    pub contexts: AtomicUsize,
    /// Held while a descriptor is installed in the process, and while it is forked.
    pub descriptors: Mutex<()>,
    /// The process has been reaped: its pid may be somebody else's. Held for reading while the pid is used.
    reaped: RwLock<bool>,
    /// Whether the windows may serve another process later.
    recyclable: bool,
    pub state: Mutex<State>,
}

/// The mutable part.
#[derive(Default)]
pub struct State {
    /// Slots in use, parked ones included.
    used: HashSet<usize>,
    /// More slots than this were never used.
    pub high: usize,
    /// Host threads.
    pub tids: HashSet<i32>,
    /// Host threads that wait for a new context.
    pub parked: Vec<Parked>,
    /// The socket of set-up, until that is over.
    pub setup: Option<OwnedFd>,
    /// Whom to tell of the process's death, by the slot of the context that waits stopped.
    mourners: HashMap<usize, Waker>,
}

/// A host thread without a context.
pub struct Parked {
    pub slot: usize,
    pub tid: i32,
    pub seen: u32,
}

impl Space {
    /// The process `pid`, either in set-up (with the socket of that) or made by `fork`, with one thread at `slot`.
    pub fn new(core: Weak<Core>, pid: i32, windows: Windows, setup: Option<OwnedFd>, slot: usize) -> Space {
        let recyclable = setup.is_some();
        let state = State {
            used: HashSet::from([slot]),
            high: slot + 1,
            tids: HashSet::from([pid]),
            setup,
            ..State::default()
        };
        Space {
            id: NEXT_ID.fetch_add(1, SeqCst),
            pid,
            core,
            windows: Some(windows),
            dead: AtomicBool::new(false),
            contexts: AtomicUsize::new(1),
            descriptors: Mutex::new(()),
            reaped: RwLock::new(false),
            // The windows of a forked child were open in its parent for a moment, whose other threads may have mapped them.
            recyclable,
            state: Mutex::new(state),
        }
    }

    pub fn pid(&self) -> i32 {
        self.pid
    }

    pub fn windows(&self) -> &Windows {
        self.windows.as_ref().expect("windows leave in drop only")
    }

    pub fn is_dead(&self) -> bool {
        self.dead.load(SeqCst)
    }

    /// The process has broken the protocol: it dies.
    pub fn violated(&self, what: &str) -> Error {
        if !self.is_dead() {
            tracing::warn!(pid = self.pid, what, "a stub broke the protocol");
        }
        self.kill();
        Error::Gone
    }

    /// Sends a signal to one of the threads, unless the process is gone.
    pub fn signal(&self, tid: i32, signal: i32) {
        let reaped = self.reaped.read();
        if !*reaped && tid > 0 {
            // A thread that has just died needs no signal.
            let _ = process::tgkill(self.pid, tid, signal);
        }
    }

    /// Called by the reaper when the process is a zombie: from now on its pid is not used, then it is reaped.
    pub fn reap(&self) {
        self.dead.store(true, SeqCst);
        {
            let mut reaped = self.reaped.write();
            *reaped = true;
            let _ = process::wait(process::Children::Pid(self.pid), process::Wait::Reap);
        }
        self.announce_death();
    }

    /// Has `waker` called when the process dies.
    pub fn mourn(&self, slot: usize, waker: Waker) {
        // Dropped without the lock: a waker may be the last to hold a task.
        let old = self.state.lock().mourners.insert(slot, waker);
        drop(old);
        // It may have died just before: whoever comes late is told at once.
        if self.is_dead() {
            self.announce_death();
        }
    }

    /// The context at `slot` does not ask any more.
    pub fn forget_mourner(&self, slot: usize) {
        let waker = self.state.lock().mourners.remove(&slot);
        drop(waker);
    }

    fn announce_death(&self) {
        let mourners = std::mem::take(&mut self.state.lock().mourners);
        mourners.into_values().for_each(Waker::wake);
    }

    /// A free slot.
    pub fn take_slot(&self) -> Result<usize, Errno> {
        let mut state = self.state.lock();
        let slot = (0..SLOTS).find(|slot| !state.used.contains(slot)).ok_or(Errno::EAGAIN)?;
        state.used.insert(slot);
        state.high = state.high.max(slot + 1);
        Ok(slot)
    }

    /// Gives a slot back whose host thread is gone.
    pub fn give_slot(&self, slot: usize) {
        self.state.lock().used.remove(&slot);
    }

    /// Takes a new host thread's id into the books if it really is a new thread of this process.
    pub fn adopt(&self, tid: i32) -> bool {
        let reaped = self.reaped.read();
        let mut state = self.state.lock();
        !*reaped && tid > 0 && process::tgkill(self.pid, tid, 0).is_ok() && state.tids.insert(tid)
    }
}

impl SpaceHandle for Space {
    fn id(&self) -> u64 {
        self.id
    }

    fn read(&self, addr: u64, buf: &mut [u8]) -> Result<(), MemoryFault> {
        check_range(addr, buf.len())?;
        let mut done = 0;
        while done < buf.len() {
            let reaped = self.reaped.read();
            if *reaped || self.is_dead() {
                return Err(MemoryFault { done });
            }
            match process_memory::read(self.pid, addr + done as u64, &mut buf[done..]) {
                Ok(n) if n > 0 => done += n,
                _ => return Err(MemoryFault { done }),
            }
        }
        Ok(())
    }

    fn write(&self, addr: u64, data: &[u8]) -> Result<(), MemoryFault> {
        check_range(addr, data.len())?;
        let mut done = 0;
        while done < data.len() {
            let reaped = self.reaped.read();
            if *reaped || self.is_dead() {
                return Err(MemoryFault { done });
            }
            match process_memory::write(self.pid, addr + done as u64, &data[done..]) {
                Ok(n) if n > 0 => done += n,
                _ => return Err(MemoryFault { done }),
            }
        }
        Ok(())
    }

    fn host_pid(&self) -> Option<i32> {
        (!self.is_dead()).then_some(self.pid)
    }

    fn kill(&self) {
        self.dead.store(true, SeqCst);
        let reaped = self.reaped.read();
        if !*reaped {
            let _ = process::kill(self.pid, SIGKILL);
        }
        drop(reaped);
        self.announce_death();
        if let Some(core) = self.core.upgrade() {
            core.kick();
        }
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        let high = self.state.get_mut().high;
        if let (Some(windows), Some(core)) = (self.windows.take(), self.core.upgrade())
            && self.recyclable
        {
            core.recycle(windows, high);
        }
    }
}

/// Whether `addr..addr + len` is the guest's.
///
/// # Errors
/// [`MemoryFault`] with nothing done when the start is not, or with what lies below the end.
pub fn check_range(addr: u64, len: usize) -> Result<(), MemoryFault> {
    match addr.checked_add(len as u64) {
        Some(end) if end <= GUEST_MAX => Ok(()),
        _ => Err(MemoryFault { done: 0 }),
    }
}
