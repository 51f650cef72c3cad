//! `RLIMIT_CPU` (`man 2 getrlimit`): SIGXCPU at the soft limit and every second beyond it, SIGKILL at the hard one.

use std::sync::{Arc, Weak};
use std::task::{Wake, Waker};

use abi::signal::{SigInfo, Signal};

use super::cpu::{CpuClock, Kind};
use super::interval::{Base, IntervalTimer};
use crate::kernel::timer::Timers;
use crate::signal::{self, Sent};
use crate::task::{ThreadGroup, rlimit};

const NS_PER_SEC: u64 = 1_000_000_000;

/// The watch over a process's CPU time, if it is limited.
#[derive(Default)]
pub struct CpuLimit {
    timer: Option<IntervalTimer>,
}

struct Expiry {
    group: Weak<ThreadGroup>,
    timers: Arc<Timers>,
}

/// Watches the CPU time of `group` from now on as its limit says; call it when the limit was set or inherited.
pub fn watch(group: &Arc<ThreadGroup>, timers: &Arc<Timers>) {
    let limit = group.limits.lock().get(rlimit::CPU);
    let mut state = group.timers.lock();
    if limit.cur == rlimit::INFINITY && limit.max == rlimit::INFINITY {
        state.cpu_limit.timer = None;
        return;
    }
    let base = Base::Cpu(CpuClock::of_group(group, Kind::Total));
    let timer = state.cpu_limit.timer.get_or_insert_with(|| IntervalTimer::new(base));
    // As Linux does, 0 is taken for one second.
    let first = limit.cur.min(limit.max).max(1).saturating_mul(NS_PER_SEC);
    timer.set(Some(first), NS_PER_SEC);
    let expiry = Expiry { group: Arc::downgrade(group), timers: timers.clone() };
    timer.arm(timers, Waker::from(Arc::new(expiry)));
}

impl Wake for Expiry {
    fn wake(self: Arc<Self>) {
        let Some(group) = self.group.upgrade() else { return };
        let limit = group.limits.lock().get(rlimit::CPU);
        let signal = {
            let mut state = group.timers.lock();
            let Some(timer) = state.cpu_limit.timer.as_mut() else { return };
            let used = timer.now();
            if !timer.has_expired() {
                None
            } else if used >= limit.max.saturating_mul(NS_PER_SEC) {
                Some(Signal::SIGKILL)
            } else {
                timer.advance();
                Some(Signal::SIGXCPU)
            }
        };
        if let Some(signal) = signal {
            let sent = signal::send_from_timer(&group, None, &SigInfo::new(signal, SigInfo::SI_KERNEL));
            if sent == Sent::NoTarget || signal == Signal::SIGKILL {
                group.timers.lock().cpu_limit.timer = None;
                return;
            }
        }
        let mut state = group.timers.lock();
        if let Some(timer) = state.cpu_limit.timer.as_mut() {
            timer.arm(&self.timers, Waker::from(self.clone()));
        }
    }
}
