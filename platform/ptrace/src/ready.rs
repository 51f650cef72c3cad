//! What [`platform::Platform::wait`] sleeps on: events that nobody has polled yet, and kicks.

use parking_lot::{Condvar, Mutex};
use std::time::{Duration, Instant};

#[derive(Default)]
struct Pending {
    events: usize,
    kicked: bool,
}

/// Counts what workers have not seen yet.
#[derive(Default)]
pub struct Ready {
    pending: Mutex<Pending>,
    changed: Condvar,
}

impl Ready {
    /// A context has come back.
    pub fn event(&self) {
        self.pending.lock().events += 1;
        self.changed.notify_one();
    }

    /// Ends one wait.
    pub fn kick(&self) {
        self.pending.lock().kicked = true;
        self.changed.notify_one();
    }

    /// Events since the last call.
    pub fn take(&self) -> usize {
        std::mem::take(&mut self.pending.lock().events)
    }

    /// Sleeps until there is an event that [`Ready::take`] has not returned, or a kick, or the timeout has passed.
    pub fn wait(&self, timeout: Option<Duration>) {
        let deadline = timeout.and_then(|t| Instant::now().checked_add(t));
        let mut pending = self.pending.lock();
        while pending.events == 0 && !pending.kicked {
            match deadline {
                Some(deadline) => {
                    if self.changed.wait_until(&mut pending, deadline).timed_out() {
                        break;
                    }
                }
                None => self.changed.wait(&mut pending),
            }
        }
        pending.kicked = false;
    }
}
