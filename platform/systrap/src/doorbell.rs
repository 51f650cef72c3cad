//! How workers sleep until a stub has something to say.
//!
//! Two pages are mapped in every stub: a count of sleeping workers that stubs can only read, and a futex word that they
//! can write. A stub posts its request, and if its window says that a task waits (`RING`) and the count is not 0, it
//! increments the word and wakes a sleeper.
//!
//! No wake-up is lost, all accesses being sequentially consistent. A worker (1) reads the word, (2) increments the count,
//! (3) scans all waiting windows, (4) sleeps if the word is unchanged. A stub (a) writes its request, (b) reads `RING`, (c)
//! reads the count, (d) increments the word, (e) wakes. If (c) reads 0 it comes before (2), so (a) comes before (3) and the
//! scan finds the request. Otherwise (d) follows (2) and thereby (1), so either (4) finds the word changed or the worker
//! is asleep when (e) comes. A task that begins to wait sets `RING` and then looks at the request again: if (b) missed
//! `RING`, (a) came before that look.
//!
//! Stubs are hostile: one that writes to the word can wake workers for nothing, or undo another's increment. So nobody
//! sleeps longer than [`TICK`] while guest code runs, and an idle sandbox, in which nobody can ring, sleeps for ever.

use crate::core::Core;
use crate::thread::Thread;
use abi::Errno;
use host::futex;
use host::memory::memfd;
use host::shared_mapping::SharedMapping;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{
    AtomicBool, AtomicU32,
    Ordering::{Relaxed, SeqCst},
};
use std::time::Duration;
use systrap_stub::layout::{DOORBELL_LEN, DOORBELL_WORD};
use systrap_stub::window::attention;

/// The longest sleep while guest code runs.
const TICK: Duration = Duration::from_millis(100);

/// The sentry's side of the two pages.
pub struct Doorbell {
    fd: OwnedFd,
    mapping: SharedMapping,
    kicked: AtomicBool,
}

impl Doorbell {
    pub fn new() -> Result<Doorbell, Errno> {
        let fd = memfd("doorbell", DOORBELL_LEN)?;
        let mapping = SharedMapping::new(fd.as_fd(), DOORBELL_LEN as usize)?;
        Ok(Doorbell { fd, mapping, kicked: AtomicBool::new(false) })
    }

    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    fn sleepers(&self) -> &AtomicU32 {
        // SAFETY: the first word of a live mapping, accessed atomically by all.
        unsafe { AtomicU32::from_ptr(self.mapping.start().cast()) }
    }

    fn word(&self) -> &AtomicU32 {
        // SAFETY: within the mapping, aligned, accessed atomically by all.
        unsafe { AtomicU32::from_ptr(self.mapping.start().add(DOORBELL_WORD as usize).cast()) }
    }
}

impl Core {
    /// Wakes the tasks of all waiting threads that have come back or died.
    pub fn poll(&self) -> usize {
        let mut ready = Vec::new();
        {
            let mut waiting = self.waiting.lock();
            waiting.retain(|thread| {
                let back = thread.requested() || thread.space.is_dead();
                if back {
                    ready.extend(thread.waker.lock().take());
                }
                !back
            });
        }
        let count = ready.len();
        // A busy sentry never waits.
        if count == 0 && self.polls.fetch_add(1, Relaxed) % 256 == 255 {
            self.tick();
        }
        for waker in ready {
            waker.wake();
        }
        count
    }

    /// Adds a thread to those that `poll` looks at. The caller must look at the request once more afterwards.
    pub fn add_waiting(&self, thread: &Arc<Thread>) {
        let mut waiting = self.waiting.lock();
        thread.window.attention().swap(attention::RING, SeqCst);
        if !waiting.iter().any(|t| Arc::ptr_eq(t, thread)) {
            waiting.push(thread.clone());
        }
    }

    /// Removes it.
    pub fn remove_waiting(&self, thread: &Arc<Thread>) {
        let mut waiting = self.waiting.lock();
        thread.window.attention().store(0, SeqCst);
        if let Some(i) = waiting.iter().position(|t| Arc::ptr_eq(t, thread)) {
            waiting.swap_remove(i);
        }
    }

    fn anybody_back(&self) -> bool {
        self.waiting.lock().iter().any(|t| t.requested() || t.space.is_dead())
    }

    /// Whether some waiting thread has a CPU of its own, or none waits.
    pub fn anybody_elsewhere(&self) -> bool {
        let waiting = self.waiting.lock();
        waiting.is_empty() || waiting.iter().any(|thread| !thread.shares_cpu())
    }

    pub fn wait(&self, timeout: Option<Duration>) {
        let bell = &self.doorbell;
        let word = bell.word().load(SeqCst);
        bell.sleepers().fetch_add(1, SeqCst);
        if !self.anybody_back() && !bell.kicked.swap(false, SeqCst) {
            let timeout =
                if self.running.load(SeqCst) > 0 { Some(timeout.map_or(TICK, |t| t.min(TICK))) } else { timeout };
            futex::wait(bell.word(), word, timeout);
            bell.kicked.store(false, SeqCst);
        }
        bell.sleepers().fetch_sub(1, SeqCst);
        if self.running.load(SeqCst) > 0 {
            self.tick();
        }
    }

    pub fn kick(&self) {
        self.doorbell.kicked.store(true, SeqCst);
        self.doorbell.word().fetch_add(1, SeqCst);
        if self.doorbell.sleepers().load(SeqCst) != 0 {
            futex::wake(self.doorbell.word(), u32::MAX >> 1);
        }
    }
}
