//! The three interval timers of a process (`man 2 setitimer`).

use std::sync::{Arc, Weak};
use std::task::{Wake, Waker};

use abi::signal::{SigInfo, Signal};

use super::cpu::{CpuClock, Kind};
use super::interval::{Base, IntervalTimer};
use crate::Errno;
use crate::kernel::timer::Timers;
use crate::signal::{self, Sent};
use crate::task::{Current, ThreadGroup};

/// Which timer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Which {
    /// `ITIMER_REAL`
    Real,
    /// `ITIMER_VIRTUAL`
    Virtual,
    /// `ITIMER_PROF`
    Prof,
}

impl Which {
    /// By number.
    ///
    /// # Errors
    /// EINVAL
    pub fn parse(number: i32) -> Result<Which, Errno> {
        match number {
            0 => Ok(Which::Real),
            1 => Ok(Which::Virtual),
            2 => Ok(Which::Prof),
            _ => Err(Errno::EINVAL),
        }
    }

    fn signal(self) -> Signal {
        match self {
            Which::Real => Signal::SIGALRM,
            Which::Virtual => Signal::SIGVTALRM,
            Which::Prof => Signal::SIGPROF,
        }
    }

    fn base(self, group: &Arc<ThreadGroup>) -> Base {
        match self {
            Which::Real => Base::Wall,
            Which::Virtual => Base::Cpu(CpuClock::of_group(group, Kind::User)),
            Which::Prof => Base::Cpu(CpuClock::of_group(group, Kind::Total)),
        }
    }
}

/// Those that were ever set.
#[derive(Default)]
pub struct IntervalTimers {
    timers: [Option<IntervalTimer>; 3],
}

struct Expiry {
    group: Weak<ThreadGroup>,
    timers: Arc<Timers>,
    which: Which,
}

/// Interval and remaining time of a timer, in nanoseconds.
pub fn get(current: &Current, which: Which) -> (u64, u64) {
    let timers = current.task.group.timers.lock();
    timers.intervals.timers[which as usize].as_ref().map_or((0, 0), IntervalTimer::remaining)
}

/// Sets a timer to expire in `value` nanoseconds (0: never) and then every `interval`; what was set before.
pub fn set(current: &Current, which: Which, value: u64, interval: u64) -> (u64, u64) {
    let group = &current.task.group;
    let base = which.base(group);
    let mut timers = group.timers.lock();
    let timer = timers.intervals.timers[which as usize].get_or_insert_with(|| IntervalTimer::new(base));
    let old = timer.remaining();
    let next = (value != 0).then(|| timer.now().saturating_add(value));
    timer.set(next, interval);
    timer.arm(&current.kernel.timers, waker(group, &current.kernel.timers, which));
    old
}

fn waker(group: &Arc<ThreadGroup>, timers: &Arc<Timers>, which: Which) -> Waker {
    Waker::from(Arc::new(Expiry { group: Arc::downgrade(group), timers: timers.clone(), which }))
}

impl Wake for Expiry {
    fn wake(self: Arc<Self>) {
        let Some(group) = self.group.upgrade() else { return };
        let rearm = |has_fired: bool| {
            let mut timers = group.timers.lock();
            let Some(timer) = timers.intervals.timers[self.which as usize].as_mut() else { return false };
            if has_fired {
                timer.advance();
            } else if timer.has_expired() {
                return true;
            }
            timer.arm(&self.timers, Waker::from(self.clone()));
            false
        };
        if !rearm(false) {
            return;
        }
        let info = SigInfo::new(self.which.signal(), SigInfo::SI_KERNEL);
        // A process without threads is a zombie: its timers are over.
        if signal::send_from_timer(&group, None, &info) == Sent::NoTarget {
            group.timers.lock().intervals.timers[self.which as usize] = None;
            return;
        }
        rearm(true);
    }
}
