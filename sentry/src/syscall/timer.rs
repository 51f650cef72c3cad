//! Interval timers and POSIX timers (`man 2 setitimer`, `man 2 timer_create`).

use abi::signal::Signal;
use abi::types::{Itimerspec, Itimerval, Timespec, Timeval};
use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::Args;
use crate::task::Current;
use crate::time::clock::Clock;
use crate::time::itimer::{self, Which};
use crate::time::posix_timer::{self, Notify};
use crate::{Errno, SysResult};

const NS_PER_SEC: u64 = 1_000_000_000;

/// `alarm(seconds)`: the seconds that were left, rounded as Linux does.
pub fn alarm(current: &mut Current, args: Args) -> SysResult {
    let (_, left) = itimer::set(current, Which::Real, u64::from(args.u32(0)) * NS_PER_SEC, 0);
    let (seconds, ns) = (left / NS_PER_SEC, left % NS_PER_SEC);
    let rounds_up = ns >= NS_PER_SEC / 2 || seconds == 0 && ns > 0;
    Ok(seconds + u64::from(rounds_up))
}

/// `getitimer(which, value)`
pub fn getitimer(current: &mut Current, args: Args) -> SysResult {
    let setting = itimer::get(current, Which::parse(args.i32(0))?);
    current.write_object(args.u64(1), &itimerval(setting))?;
    Ok(0)
}

/// `setitimer(which, new, old)`
pub fn setitimer(current: &mut Current, args: Args) -> SysResult {
    let new = match args.u64(1) {
        // As Linux does, though no manual promises it.
        0 => Itimerval::default(),
        addr => current.read_object(addr)?,
    };
    let (value, interval) = (to_ns(new.it_value)?, to_ns(new.it_interval)?);
    let old = itimer::set(current, Which::parse(args.i32(0))?, value, interval);
    if args.u64(2) != 0 {
        current.write_object(args.u64(2), &itimerval(old))?;
    }
    Ok(0)
}

fn to_ns(time: Timeval) -> Result<u64, Errno> {
    if time.tv_sec < 0 || !(0..1_000_000).contains(&time.tv_usec) {
        return Err(Errno::EINVAL);
    }
    Ok((time.tv_sec as u64).saturating_mul(NS_PER_SEC).saturating_add(time.tv_usec as u64 * 1000).min(i64::MAX as u64))
}

fn itimerval((interval, left): (u64, u64)) -> Itimerval {
    // What is less than a microsecond must not read as "disarmed".
    let time = |ns: u64| {
        let us = ns.div_ceil(1000);
        Timeval { tv_sec: (us / 1_000_000) as i64, tv_usec: (us % 1_000_000) as i64 }
    };
    Itimerval { it_interval: time(interval), it_value: time(left) }
}

/// `struct sigevent` as far as the kernel reads it.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
struct SigEvent {
    value: u64,
    signo: i32,
    notify: i32,
    tid: i32,
    rest: [i32; 11],
}

/// `timer_create(clockid, sevp, timerid)`
pub fn timer_create(current: &mut Current, args: Args) -> SysResult {
    let clock = Clock::parse(current, args.i32(0))?;
    let event = match args.u64(1) {
        0 => None,
        addr => Some(current.read_object::<SigEvent>(addr)?),
    };
    if !clock.has_timers() {
        return Err(Errno::EOPNOTSUPP);
    }
    let notify = match event {
        None => Notify::Signal(Signal::SIGALRM, None, None),
        Some(event) => parse_event(current, &event)?,
    };
    let id = posix_timer::create(current, clock, notify)?;
    if let Err(errno) = current.write_object(args.u64(2), &id) {
        let _ = posix_timer::delete(&current.task.group, id);
        return Err(errno);
    }
    Ok(0)
}

fn parse_event(current: &Current, event: &SigEvent) -> Result<Notify, Errno> {
    const SIGEV_SIGNAL: i32 = 0;
    const SIGEV_NONE: i32 = 1;
    const SIGEV_THREAD: i32 = 2;
    const SIGEV_THREAD_ID: i32 = 4;
    let tid = match event.notify {
        SIGEV_NONE => return Ok(Notify::Nobody),
        SIGEV_SIGNAL | SIGEV_THREAD => None,
        SIGEV_THREAD_ID => {
            let is_ours = current.task.group.threads().iter().any(|task| task.tid == event.tid);
            Some(is_ours.then_some(event.tid).ok_or(Errno::EINVAL)?)
        }
        _ => return Err(Errno::EINVAL),
    };
    let signal = u64::try_from(event.signo).ok().and_then(Signal::new).ok_or(Errno::EINVAL)?;
    Ok(Notify::Signal(signal, Some(event.value), tid))
}

/// `timer_settime(timerid, flags, new_value, old_value)`
pub fn timer_settime(current: &mut Current, args: Args) -> SysResult {
    const TIMER_ABSTIME: u32 = 1;
    if args.u64(2) == 0 {
        return Err(Errno::EINVAL);
    }
    let new: Itimerspec = current.read_object(args.u64(2))?;
    if !new.it_value.is_valid() || !new.it_interval.is_valid() {
        return Err(Errno::EINVAL);
    }
    let (value, interval) = (new.it_value.to_ns(), new.it_interval.to_ns() as u64);
    let absolute = args.u32(1) & TIMER_ABSTIME != 0;
    let old = posix_timer::set(&current.task.group, args.i32(0), absolute, value, interval)?;
    if args.u64(3) != 0 {
        current.write_object(args.u64(3), &itimerspec(old))?;
    }
    Ok(0)
}

/// `timer_gettime(timerid, curr_value)`
pub fn timer_gettime(current: &mut Current, args: Args) -> SysResult {
    let setting = posix_timer::get(&current.task.group, args.i32(0))?;
    current.write_object(args.u64(1), &itimerspec(setting))?;
    Ok(0)
}

fn itimerspec((interval, left): (u64, u64)) -> Itimerspec {
    let time = |ns: u64| Timespec::from_ns(ns.min(i64::MAX as u64) as i64);
    Itimerspec { it_interval: time(interval), it_value: time(left) }
}

/// `timer_getoverrun(timerid)`
pub fn timer_getoverrun(current: &mut Current, args: Args) -> SysResult {
    posix_timer::overrun(&current.task.group, args.i32(0)).map(|count| count as u64)
}

/// `timer_delete(timerid)`
pub fn timer_delete(current: &mut Current, args: Args) -> SysResult {
    posix_timer::delete(&current.task.group, args.i32(0))?;
    Ok(0)
}
