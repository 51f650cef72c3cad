//! Wakes tasks at deadlines. One host timerfd, watched by the reactor, stands for the earliest of them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::Waker;

use parking_lot::Mutex;

/// A point on the monotonic clock, in nanoseconds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Deadline(pub u64);

impl Deadline {
    /// Now, on the monotonic clock.
    pub fn now() -> Deadline {
        Deadline(host::clock::monotonic_ns())
    }
    /// `ns` nanoseconds from now, saturating.
    pub fn after_ns(ns: u64) -> Deadline {
        Deadline(Deadline::now().0.saturating_add(ns))
    }
    /// Whether it has passed.
    pub fn has_passed(self) -> bool {
        Deadline::now() >= self
    }
}

/// All armed deadlines.
pub struct Timers {
    timerfd: host::event::Timer,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    next_id: u64,
    armed: BTreeMap<(Deadline, u64), Waker>,
    /// What the timerfd is set to; `None` when it is disarmed.
    set_for: Option<Deadline>,
}

/// An armed deadline; dropping it disarms.
pub struct TimerHandle {
    timers: Arc<Timers>,
    key: (Deadline, u64),
}

impl Timers {
    /// No deadline armed. The caller has the reactor watch [`Timers::host_timer`] and call [`Timers::fire`].
    ///
    /// # Errors
    /// The host's errno when it has no timerfd to give.
    pub fn new() -> Result<Arc<Timers>, abi::Errno> {
        Ok(Arc::new(Timers { timerfd: host::event::Timer::new()?, state: Mutex::default() }))
    }

    /// The host object that becomes readable when a deadline passes.
    pub fn host_timer(&self) -> &host::event::Timer {
        &self.timerfd
    }

    /// Calls `waker` once `deadline` has passed, unless the handle is dropped before.
    #[must_use = "dropping the handle disarms the timer"]
    pub fn arm(self: &Arc<Self>, deadline: Deadline, waker: Waker) -> TimerHandle {
        let mut state = self.state.lock();
        let key = (deadline, state.next_id);
        state.next_id += 1;
        state.armed.insert(key, waker);
        if state.set_for.is_none_or(|set| deadline < set) {
            state.set_for = Some(deadline);
            self.timerfd.set_monotonic(deadline.0);
        }
        TimerHandle { timers: self.clone(), key }
    }

    /// Wakes everything whose deadline has passed and sets the host timer for the next.
    pub fn fire(&self) {
        let mut due = Vec::new();
        {
            let mut state = self.state.lock();
            let now = Deadline::now();
            while let Some(entry) = state.armed.first_entry() {
                if entry.key().0 > now {
                    break;
                }
                due.push(entry.remove());
            }
            state.set_for = state.armed.first_key_value().map(|(key, _)| key.0);
            if let Some(next) = state.set_for {
                self.timerfd.set_monotonic(next.0);
            }
        }
        due.into_iter().for_each(Waker::wake);
    }
}

impl Drop for TimerHandle {
    fn drop(&mut self) {
        // The host timer is left as it is: firing once in vain is cheaper than a host call for every cancelled time-out.
        self.timers.state.lock().armed.remove(&self.key);
    }
}
