//! POSIX timers (`man 2 timer_create`).
//!
//! A timer whose signal is pending rests: expirations are counted when the signal is taken ([`on_dequeue`]), so that a short
//! interval costs nothing while the program does not look.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::task::{Wake, Waker};

use abi::signal::{SigInfo, Signal};

use super::clock::Clock;
use super::interval::{Base, IntervalTimer};
use crate::Errno;
use crate::kernel::timer::{Deadline, Timers};
use crate::signal::{self, Sent};
use crate::task::{Current, Task, ThreadGroup, rlimit};

/// The timers of a process by their numbers.
#[derive(Default)]
pub struct PosixTimers {
    next_id: i32,
    timers: BTreeMap<i32, PosixTimer>,
}

struct PosixTimer {
    clock: Clock,
    notify: Notify,
    timer: IntervalTimer,
    kernel_timers: Arc<Timers>,
    /// Changes with each setting: a signal of an older one is thrown away.
    generation: i32,
    /// The signal is queued.
    is_pending: bool,
    overrun: i32,
}

/// Whom an expiration tells.
#[derive(Clone, Copy, Debug)]
pub enum Notify {
    /// `SIGEV_NONE`
    Nobody,
    /// `SIGEV_SIGNAL`, or with a thread id `SIGEV_THREAD_ID`; the value goes into `si_value`.
    Signal(Signal, Option<u64>, Option<i32>),
}

/// `overrun` never exceeds this (`DELAYTIMER_MAX`).
const MAX_OVERRUN: u64 = i32::MAX as u64;

struct Expiry {
    group: Weak<ThreadGroup>,
    id: i32,
    generation: i32,
}

/// Makes a disarmed timer; its number.
///
/// # Errors
/// EAGAIN at the limit of queued signals.
pub fn create(current: &Current, clock: Clock, notify: Notify) -> Result<i32, Errno> {
    let group = &current.task.group;
    let limit = group.limits.lock().get(rlimit::SIGPENDING).cur;
    let base = match &clock {
        Clock::Host(_) | Clock::Alarm => Base::Wall,
        Clock::Cpu(clock) => Base::Cpu(clock.clone()),
    };
    let mut timers = group.timers.lock();
    let posix = &mut timers.posix;
    if posix.timers.len() as u64 >= limit {
        return Err(Errno::EAGAIN);
    }
    let mut id = posix.next_id;
    while posix.timers.contains_key(&id) {
        id = id.wrapping_add(1) & i32::MAX;
    }
    posix.next_id = id.wrapping_add(1) & i32::MAX;
    let timer = PosixTimer {
        clock,
        notify,
        timer: IntervalTimer::new(base),
        kernel_timers: current.kernel.timers.clone(),
        generation: 1,
        is_pending: false,
        overrun: 0,
    };
    posix.timers.insert(id, timer);
    Ok(id)
}

/// Removes a timer.
///
/// # Errors
/// EINVAL when there is none.
pub fn delete(group: &ThreadGroup, id: i32) -> Result<(), Errno> {
    group.timers.lock().posix.timers.remove(&id).map(drop).ok_or(Errno::EINVAL)
}

/// `execve`: the program's timers are gone.
pub fn delete_all(group: &ThreadGroup) {
    let old = std::mem::take(&mut group.timers.lock().posix);
    drop(old);
}

/// Interval and remaining time in nanoseconds.
///
/// # Errors
/// EINVAL when there is no such timer.
pub fn get(group: &ThreadGroup, id: i32) -> Result<(u64, u64), Errno> {
    let timers = group.timers.lock();
    timers.posix.timers.get(&id).map(PosixTimer::remaining).ok_or(Errno::EINVAL)
}

/// How many expirations the last signal stands for beyond the first.
///
/// # Errors
/// EINVAL when there is no such timer.
pub fn overrun(group: &ThreadGroup, id: i32) -> Result<i32, Errno> {
    group.timers.lock().posix.timers.get(&id).map(|timer| timer.overrun).ok_or(Errno::EINVAL)
}

/// Sets a timer: first at or in `value_ns` (0: never), then every `interval_ns`; what was set before.
///
/// # Errors
/// EINVAL when there is no such timer.
pub fn set(
    group: &Arc<ThreadGroup>,
    id: i32,
    absolute: bool,
    value_ns: i64,
    interval_ns: u64,
) -> Result<(u64, u64), Errno> {
    let mut timers = group.timers.lock();
    let timer = timers.posix.timers.get_mut(&id).ok_or(Errno::EINVAL)?;
    let old = timer.remaining();
    let next = match (value_ns, &timer.clock) {
        (0, _) => None,
        (ns, Clock::Host(_) | Clock::Alarm) if absolute => Some(timer.clock.deadline(ns).0),
        (ns, Clock::Cpu(_)) if absolute => Some(ns as u64),
        (ns, _) => Some(timer.timer.now().saturating_add(ns as u64)),
    };
    timer.generation = timer.generation.wrapping_add(1).max(1);
    timer.is_pending = false;
    timer.overrun = 0;
    timer.timer.set(next, interval_ns);
    timer.arm(group, id);
    Ok(old)
}

impl PosixTimer {
    fn remaining(&self) -> (u64, u64) {
        match self.notify {
            Notify::Nobody => self.timer.remaining_silent(),
            // Its signal waits: it will go on from there.
            Notify::Signal(..) if self.is_pending => {
                let (interval, left) = self.timer.remaining_silent();
                (interval, if interval > 0 { left.max(1) } else { 0 })
            }
            Notify::Signal(..) => self.timer.remaining(),
        }
    }

    fn arm(&mut self, group: &Arc<ThreadGroup>, id: i32) {
        if matches!(self.notify, Notify::Nobody) {
            return;
        }
        let expiry = Expiry { group: Arc::downgrade(group), id, generation: self.generation };
        self.timer.arm(&self.kernel_timers, Waker::from(Arc::new(expiry)));
    }

    fn info(&self, id: i32) -> Option<(SigInfo, Option<i32>)> {
        let Notify::Signal(signal, value, tid) = self.notify else { return None };
        let mut info = SigInfo::new(signal, SigInfo::SI_TIMER);
        info.put(0, &id.to_ne_bytes());
        info.put(8, &value.unwrap_or(id as u64).to_ne_bytes());
        // Marks it as ours in a place that no program can fill.
        info.pad = self.generation;
        Some((info, tid))
    }
}

impl Wake for Expiry {
    fn wake(self: Arc<Self>) {
        let Some(group) = self.group.upgrade() else { return };
        let (info, tid) = {
            let mut timers = group.timers.lock();
            let Some(timer) = timers.posix.timers.get_mut(&self.id) else { return };
            if timer.generation != self.generation || timer.is_pending {
                return;
            }
            if !timer.timer.has_expired() {
                timer.arm(&group, self.id);
                return;
            }
            let Some(told) = timer.info(self.id) else { return };
            timer.is_pending = true;
            told
        };
        let target = tid.and_then(|tid| group.threads().into_iter().find(|task| task.tid == tid));
        let sent = match (tid, &target) {
            (Some(_), None) => Sent::NoTarget,
            _ => signal::send_from_timer(&group, target.as_ref(), &info),
        };
        if sent == Sent::Queued {
            return;
        }
        let mut timers = group.timers.lock();
        let Some(timer) = timers.posix.timers.get_mut(&self.id) else { return };
        if timer.generation != self.generation {
            return;
        }
        timer.is_pending = false;
        if sent == Sent::NoTarget {
            timer.timer.disarm();
        } else {
            timer.timer.advance();
            timer.arm(&group, self.id);
        }
    }
}

/// Fills in the overrun count of a timer's signal that is about to be taken, and lets the timer go on. False for the signal
/// of a setting that is no more: it is thrown away.
pub fn on_dequeue(task: &Task, info: &mut SigInfo) -> bool {
    let generation = std::mem::take(&mut info.pad);
    if generation == 0 {
        return true;
    }
    let id = i32::from_ne_bytes([info.fields[0], info.fields[1], info.fields[2], info.fields[3]]);
    let mut timers = task.group.timers.lock();
    let Some(timer) = timers.posix.timers.get_mut(&id).filter(|timer| timer.generation == generation) else {
        return false;
    };
    timer.is_pending = false;
    timer.overrun = timer.timer.advance().min(MAX_OVERRUN) as i32;
    info.put(4, &timer.overrun.to_ne_bytes());
    timer.arm(&task.group, id);
    true
}

/// A deadline from a clock's time, for sleeping.
pub fn sleep_deadline(clock: &Clock, absolute: bool, ns: i64) -> Deadline {
    if absolute { clock.deadline(ns) } else { Deadline::after_ns(ns.max(0) as u64) }
}
