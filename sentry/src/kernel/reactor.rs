//! One thread that waits for host file descriptors (standard streams, terminals, the network device, the timer).

use std::collections::HashMap;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use abi::Errno;
use parking_lot::Mutex;

use super::timer::Timers;
use super::wait_queue::{Readiness, WaitQueue};
use host::event::{Epoll, Notifier};

const TIMER: u64 = 0;
const STOP: u64 = 1;
const FIRST_WATCH: u64 = 2;

/// The reactor; its thread runs until [`Reactor::stop`].
pub struct Reactor {
    epoll: Epoll,
    stop: Notifier,
    timers: Arc<Timers>,
    watches: Mutex<Watches>,
}

struct Watches {
    next: u64,
    queues: HashMap<u64, WaitQueue>,
}

/// A watched host fd: its queue is woken when the host says that readiness has changed. Ends when dropped.
pub struct Watch {
    reactor: Arc<Reactor>,
    key: u64,
    fd: Arc<OwnedFd>,
    queue: WaitQueue,
}

impl Reactor {
    /// A reactor that watches `timers`; [`Reactor::start`] starts its thread.
    ///
    /// # Errors
    /// The host's errno when it has no epoll or eventfd to give.
    pub fn new(timers: Arc<Timers>) -> Result<Arc<Reactor>, Errno> {
        let epoll = Epoll::new()?;
        let stop = Notifier::new()?;
        epoll.add_level(timers.host_timer().as_fd(), TIMER)?;
        epoll.add_level(stop.as_fd(), STOP)?;
        let watches = Mutex::new(Watches { next: FIRST_WATCH, queues: HashMap::new() });
        Ok(Arc::new(Reactor { epoll, stop, timers, watches }))
    }

    /// Starts the thread.
    ///
    /// # Errors
    /// When the host has no more threads.
    pub fn start(self: &Arc<Self>) -> std::io::Result<std::thread::JoinHandle<()>> {
        let reactor = self.clone();
        std::thread::Builder::new().name("reactor".into()).spawn(move || reactor.serve())
    }

    /// Ends the thread.
    pub fn stop(&self) {
        self.stop.notify();
    }

    /// Watches `fd` for every change of readiness (edge-triggered): look at its state after each wake.
    ///
    /// # Errors
    /// EPERM for a file that cannot be polled (a regular file): it is always ready.
    pub fn watch(self: &Arc<Self>, fd: Arc<OwnedFd>) -> Result<Watch, Errno> {
        let queue = WaitQueue::new();
        let key = {
            let mut watches = self.watches.lock();
            let key = watches.next;
            watches.next += 1;
            watches.queues.insert(key, queue.clone());
            key
        };
        if let Err(errno) = self.epoll.add_edge(fd.as_fd(), key) {
            self.watches.lock().queues.remove(&key);
            return Err(errno);
        }
        Ok(Watch { reactor: self.clone(), key, fd, queue })
    }

    fn serve(&self) {
        loop {
            for (key, events) in self.epoll.wait() {
                match key {
                    TIMER => {
                        self.timers.host_timer().acknowledge();
                        self.timers.fire();
                    }
                    STOP => return,
                    _ => {
                        let queue = self.watches.lock().queues.get(&key).cloned();
                        if let Some(queue) = queue {
                            queue.wake(Readiness::from_bits_truncate(events));
                        }
                    }
                }
            }
        }
    }
}

impl Watch {
    /// The queue that is woken.
    pub fn queue(&self) -> &WaitQueue {
        &self.queue
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.reactor.epoll.remove(self.fd.as_fd());
        self.reactor.watches.lock().queues.remove(&self.key);
    }
}
