//! Timerfd (`man 2 timerfd_create`): expirations of a timer as something to read.

use std::sync::Arc;
use std::task::{Wake, Waker};

use abi::types::{Itimerspec, Timespec};
use abi::uapi::general::{CLOCK_BOOTTIME, CLOCK_BOOTTIME_ALARM, CLOCK_REALTIME, CLOCK_REALTIME_ALARM};
use parking_lot::Mutex;

use super::{File, FileDescription, IoPosition, Metadata, OpenFlags, anonymous};
use crate::Errno;
use crate::kernel::timer::{Deadline, TimerHandle, Timers};
use crate::kernel::wait_queue::{Readiness, WaitQueue};
use crate::task::Current;

/// A timerfd. Periods are counted when they are asked for: an idle reader costs no wake-ups.
pub struct TimerFd {
    clock: u32,
    timers: Arc<Timers>,
    queue: WaitQueue,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// First expiration that was not read; `None` when disarmed.
    next: Option<Deadline>,
    /// 0 for a single expiration.
    interval_ns: u64,
    /// `TFD_TIMER_*` of the last `timerfd_settime`.
    flags: u32,
    handle: Option<TimerHandle>,
}

struct QueueWaker(WaitQueue);

impl Wake for QueueWaker {
    fn wake(self: Arc<Self>) {
        self.0.wake(Readiness::READABLE);
    }
}

impl TimerFd {
    /// An open, disarmed timerfd on `clock` (`CLOCK_*`, checked by the caller).
    pub fn open(clock: u32, timers: &Arc<Timers>, flags: OpenFlags) -> Arc<FileDescription> {
        let timerfd = TimerFd { clock, timers: timers.clone(), queue: WaitQueue::new(), state: Mutex::default() };
        FileDescription::new(Arc::new(timerfd), None, flags | OpenFlags::RDWR)
    }

    /// Arms or disarms it (`timerfd_settime`) and gives the old setting. `flags` are `TFD_TIMER_*`; a jump of the realtime
    /// clock is not seen.
    ///
    /// # Errors
    /// EINVAL for times that are not normalised.
    pub fn set(&self, setting: Itimerspec, absolute: bool, flags: u32) -> Result<Itimerspec, Errno> {
        if !setting.it_value.is_valid() || !setting.it_interval.is_valid() {
            return Err(Errno::EINVAL);
        }
        let value_ns = setting.it_value.to_ns() as u64;
        let next = match value_ns {
            0 => None,
            ns if absolute => Some(self.to_monotonic(ns)),
            ns => Some(Deadline::after_ns(ns)),
        };
        let (old, old_handle) = {
            let mut state = self.state.lock();
            let old = state.remaining(Deadline::now());
            let old_handle = state.handle.take();
            *state = State { next, interval_ns: setting.it_interval.to_ns() as u64, flags, handle: None };
            state.handle = next.map(|next| self.timers.arm(next, self.waker()));
            (old, old_handle)
        };
        drop(old_handle);
        Ok(old)
    }

    /// Time to the next expiration, and the interval.
    pub fn get(&self) -> Itimerspec {
        self.state.lock().remaining(Deadline::now())
    }

    fn waker(&self) -> Waker {
        Waker::from(Arc::new(QueueWaker(self.queue.clone())))
    }

    fn to_monotonic(&self, ns: u64) -> Deadline {
        let offset = match self.clock {
            CLOCK_REALTIME | CLOCK_REALTIME_ALARM => host::clock::realtime_ns(),
            CLOCK_BOOTTIME | CLOCK_BOOTTIME_ALARM => host::clock::clock_ns(CLOCK_BOOTTIME as i32),
            _ => return Deadline(ns),
        };
        Deadline::after_ns(ns.saturating_sub(u64::try_from(offset).unwrap_or(0)))
    }
}

impl State {
    fn expirations(&self, now: Deadline) -> u64 {
        match self.next {
            Some(next) if next <= now => (now.0 - next.0).checked_div(self.interval_ns).map_or(1, |more| more + 1),
            _ => 0,
        }
    }

    fn remaining(&self, now: Deadline) -> Itimerspec {
        let left = match self.next {
            None => 0,
            Some(next) if next > now => next.0 - now.0,
            Some(next) if self.interval_ns > 0 => self.interval_ns - (now.0 - next.0) % self.interval_ns,
            Some(_) => 0,
        };
        Itimerspec {
            it_interval: Timespec::from_ns(self.interval_ns as i64),
            it_value: Timespec::from_ns(left.min(i64::MAX as u64) as i64),
        }
    }
}

impl File for TimerFd {
    fn read(&self, _at: IoPosition, buf: &mut [u8], _current: &Current) -> Result<usize, Errno> {
        let out = buf.get_mut(..8).ok_or(Errno::EINVAL)?;
        let (count, old_handle) = {
            let mut state = self.state.lock();
            let count = state.expirations(Deadline::now());
            if count == 0 {
                return Err(Errno::EAGAIN);
            }
            let passed = count.saturating_mul(state.interval_ns);
            state.next = state.next.filter(|_| passed > 0).map(|next| Deadline(next.0.saturating_add(passed)));
            let handle = state.next.map(|next| self.timers.arm(next, self.waker()));
            (count, std::mem::replace(&mut state.handle, handle))
        };
        drop(old_handle);
        out.copy_from_slice(&count.to_ne_bytes());
        Ok(8)
    }

    fn readiness(&self) -> Readiness {
        let expired = self.state.lock().expirations(Deadline::now()) > 0;
        if expired { Readiness::IN } else { Readiness::empty() }
    }

    fn wait_queue(&self) -> Option<WaitQueue> {
        Some(self.queue.clone())
    }

    fn metadata(&self) -> Result<Metadata, Errno> {
        Ok(anonymous::metadata())
    }

    fn description(&self) -> String {
        "anon_inode:[timerfd]".into()
    }

    fn fdinfo(&self) -> String {
        let state = self.state.lock();
        let now = Deadline::now();
        let (ticks, left) = (state.expirations(now), state.remaining(now));
        let pair = |time: Timespec| format!("({}, {})", time.tv_sec, time.tv_nsec);
        format!(
            "clockid: {}\nticks: {ticks}\nsettime flags: {:02o}\nit_value: {}\nit_interval: {}\n",
            self.clock,
            state.flags,
            pair(left.it_value),
            pair(left.it_interval)
        )
    }
}
