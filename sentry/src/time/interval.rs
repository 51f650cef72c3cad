//! A timer that expires once or again and again, on a wall clock or on CPU time.

use std::sync::Arc;
use std::task::Waker;

use super::cpu::CpuClock;
use crate::kernel::timer::{Deadline, TimerHandle, Timers};

/// What a timer counts.
#[derive(Clone, Debug)]
pub enum Base {
    /// The monotonic clock.
    Wall,
    /// CPU time.
    Cpu(CpuClock),
}

/// The shortest time after which CPU time is looked at again: a tick of a Linux with 250 of them a second.
const CPU_TICK_NS: u64 = 4_000_000;
/// The longest, for a process that does not run: it must not keep the machine awake.
const CPU_IDLE_NS: u64 = 1_000_000_000;

/// Its setting and state. Times are nanoseconds of the base.
pub struct IntervalTimer {
    base: Base,
    next: Option<u64>,
    interval: u64,
    handle: Option<TimerHandle>,
    /// CPU time at the last look, and the pause until the next: it doubles while the process does not run.
    looked: (u64, u64),
}

impl IntervalTimer {
    /// Disarmed.
    pub fn new(base: Base) -> IntervalTimer {
        IntervalTimer { base, next: None, interval: 0, handle: None, looked: (0, CPU_TICK_NS) }
    }

    /// What the base shows.
    pub fn now(&self) -> u64 {
        match &self.base {
            Base::Wall => Deadline::now().0,
            Base::Cpu(clock) => clock.now().unwrap_or(0),
        }
    }

    /// Expires at `next`, then every `interval` unless that is 0. [`IntervalTimer::arm`] makes it so.
    pub fn set(&mut self, next: Option<u64>, interval: u64) {
        (self.next, self.interval) = (next, interval);
        self.handle = None;
        self.looked = (self.now(), CPU_TICK_NS);
    }

    /// The interval, and the time to the next expiration; 0 when disarmed, at least 1 otherwise.
    pub fn remaining(&self) -> (u64, u64) {
        let left = self.next.map_or(0, |next| next.saturating_sub(self.now()).max(1));
        (self.interval, left)
    }

    /// The interval, and the time to the next expiration of one that makes no signal and was never looked at.
    pub fn remaining_silent(&self) -> (u64, u64) {
        let now = self.now();
        let left = match self.next {
            None => 0,
            Some(next) if next > now => next - now,
            Some(next) if self.interval > 0 => self.interval - (now - next) % self.interval,
            Some(_) => 0,
        };
        (self.interval, left)
    }

    /// Has `waker` called when it should be looked at; dropped by the next setting.
    pub fn arm(&mut self, timers: &Arc<Timers>, waker: Waker) {
        let Some(next) = self.next else { return };
        let at = match &self.base {
            Base::Wall => Deadline(next),
            Base::Cpu(clock) => {
                let now = self.now();
                let (before, pause) = self.looked;
                let pause = if now == before { (pause * 2).min(CPU_IDLE_NS) } else { CPU_TICK_NS };
                self.looked = (now, pause);
                let earliest = next.saturating_sub(now) / clock.speed();
                Deadline::after_ns(earliest.max(pause))
            }
        };
        self.handle = Some(timers.arm(at, waker));
    }

    /// Whether its time has come. It is disarmed then, until [`IntervalTimer::advance`].
    pub fn has_expired(&mut self) -> bool {
        self.next.is_some_and(|next| next <= self.now())
    }

    /// Goes on to the next expiration after now. How many were passed, the one that is being handled not counted.
    pub fn advance(&mut self) -> u64 {
        let Some(next) = self.next else { return 0 };
        let now = self.now();
        if self.interval == 0 {
            self.next = None;
            return 0;
        }
        let passed = now.saturating_sub(next) / self.interval;
        self.next = Some(next.saturating_add((passed + 1).saturating_mul(self.interval)));
        passed
    }

    /// Makes no more expirations.
    pub fn disarm(&mut self) {
        self.next = None;
        self.handle = None;
    }

    /// Whether it is armed.
    pub fn is_armed(&self) -> bool {
        self.next.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expirations_that_nobody_took_are_counted_once_and_skipped() {
        let mut timer = IntervalTimer::new(Base::Wall);
        let start = timer.now() - 1_000_000_000;
        timer.set(Some(start), 300_000_000);
        assert!(timer.has_expired());
        assert_eq!(timer.advance(), 3);
        assert!(!timer.has_expired() && timer.remaining().1 <= 200_000_000);
    }

    #[test]
    fn a_single_expiration_disarms() {
        let mut timer = IntervalTimer::new(Base::Wall);
        timer.set(Some(1), 0);
        assert!(timer.has_expired());
        assert_eq!((timer.advance(), timer.is_armed(), timer.remaining()), (0, false, (0, 0)));
    }
}
