//! Wait queues: who wants to know when an object's readiness changes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Waker;

use parking_lot::Mutex;

bitflags::bitflags! {
    /// What an object is ready for, in the numbers of `poll` and `epoll` (`man 2 poll`).
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
    pub struct Readiness: u32 {
        /// `POLLIN`
        const IN = 0x1;
        /// `POLLPRI`
        const PRI = 0x2;
        /// `POLLOUT`
        const OUT = 0x4;
        /// `POLLERR`
        const ERR = 0x8;
        /// `POLLHUP`
        const HUP = 0x10;
        /// `POLLNVAL`
        const NVAL = 0x20;
        /// `POLLRDNORM`
        const RDNORM = 0x40;
        /// `POLLRDBAND`
        const RDBAND = 0x80;
        /// `POLLWRNORM`
        const WRNORM = 0x100;
        /// `POLLWRBAND`
        const WRBAND = 0x200;
        /// `POLLRDHUP`
        const RDHUP = 0x2000;
    }
}

impl Readiness {
    /// Data can be read.
    pub const READABLE: Readiness = Readiness::IN.union(Readiness::RDNORM);
    /// Data can be written.
    pub const WRITABLE: Readiness = Readiness::OUT.union(Readiness::WRNORM);
    /// What is reported whether asked for or not.
    pub const ALWAYS: Readiness = Readiness::ERR.union(Readiness::HUP).union(Readiness::NVAL);
}

/// A queue of wakers, shared by the object and those who wait. Cloning gives another handle to the same queue.
#[derive(Clone, Default)]
pub struct WaitQueue(Arc<Inner>);

#[derive(Default)]
struct Inner {
    count: AtomicUsize,
    entries: Mutex<Entries>,
}

#[derive(Default)]
struct Entries {
    next_id: u64,
    list: Vec<Entry>,
}

struct Entry {
    id: u64,
    interest: Readiness,
    waker: Waker,
}

/// Membership in a queue; ends when dropped.
pub struct Registration {
    queue: WaitQueue,
    id: u64,
}

impl WaitQueue {
    /// An empty queue.
    pub fn new() -> WaitQueue {
        WaitQueue::default()
    }

    /// Calls `waker` at each [`WaitQueue::wake`] that touches `interest`, until the registration is dropped. Look at the
    /// object's state again *after* registering: a change before it goes unnoticed.
    #[must_use = "dropping the registration ends it"]
    pub fn register(&self, interest: Readiness, waker: Waker) -> Registration {
        let mut entries = self.0.entries.lock();
        let id = entries.next_id;
        entries.next_id += 1;
        entries.list.push(Entry { id, interest, waker });
        self.0.count.store(entries.list.len(), Ordering::SeqCst);
        Registration { queue: self.clone(), id }
    }

    /// Wakes everyone whose interest meets `events`. Call it after the state has changed, without the object's lock.
    pub fn wake(&self, events: Readiness) {
        if self.0.count.load(Ordering::SeqCst) == 0 {
            return;
        }
        let wakers: Vec<Waker> = {
            let entries = self.0.entries.lock();
            let matching =
                entries.list.iter().filter(|e| e.interest.intersects(events) || events.intersects(Readiness::ALWAYS));
            matching.map(|e| e.waker.clone()).collect()
        };
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Wakes everyone.
    pub fn wake_all(&self) {
        self.wake(Readiness::all());
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let mut entries = self.queue.0.entries.lock();
        entries.list.retain(|e| e.id != self.id);
        self.queue.0.count.store(entries.list.len(), Ordering::SeqCst);
    }
}
