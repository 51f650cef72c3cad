//! Clocks by number (`man 2 clock_gettime`).

use std::sync::Arc;

use abi::uapi::general::{
    CLOCK_BOOTTIME, CLOCK_BOOTTIME_ALARM, CLOCK_MONOTONIC, CLOCK_MONOTONIC_COARSE, CLOCK_MONOTONIC_RAW,
    CLOCK_PROCESS_CPUTIME_ID, CLOCK_REALTIME, CLOCK_REALTIME_ALARM, CLOCK_REALTIME_COARSE, CLOCK_TAI,
    CLOCK_THREAD_CPUTIME_ID,
};

use super::cpu::{self, CpuClock, Kind};
use crate::Errno;
use crate::kernel::timer::Deadline;
use crate::task::Current;

/// A clock that programs may name.
#[derive(Clone, Debug)]
pub enum Clock {
    /// One of the host's, by its number.
    Host(u32),
    /// CPU time of a process or thread.
    Cpu(CpuClock),
    /// A clock that could wake a sleeping machine: known, but nothing can be done with it without such hardware.
    Alarm,
}

impl Clock {
    /// The clock of this number.
    ///
    /// # Errors
    /// EINVAL for one that there is not.
    pub fn parse(current: &Current, id: i32) -> Result<Clock, Errno> {
        if id < 0 {
            return parse_dynamic(current, id);
        }
        match id as u32 {
            CLOCK_PROCESS_CPUTIME_ID => Ok(Clock::Cpu(CpuClock::of_group(&current.task.group, Kind::Total))),
            CLOCK_THREAD_CPUTIME_ID => Ok(Clock::Cpu(CpuClock::of_task(&current.task, Kind::Total))),
            id @ (CLOCK_REALTIME
            | CLOCK_MONOTONIC
            | CLOCK_MONOTONIC_RAW
            | CLOCK_REALTIME_COARSE
            | CLOCK_MONOTONIC_COARSE
            | CLOCK_BOOTTIME
            | CLOCK_TAI) => Ok(Clock::Host(id)),
            CLOCK_REALTIME_ALARM | CLOCK_BOOTTIME_ALARM => Ok(Clock::Alarm),
            _ => Err(Errno::EINVAL),
        }
    }

    /// What it shows, in nanoseconds.
    ///
    /// # Errors
    /// EINVAL for an alarm clock.
    pub fn now(&self, current: &mut Current) -> Result<i64, Errno> {
        match self {
            Clock::Host(id) => Ok(host::clock::clock_ns(*id as i32)),
            Clock::Cpu(clock) => Ok(match current.context.cpu_time_ns() {
                Some(ns) if clock.is_task(&current.task) => ns as i64,
                _ => clock.now().unwrap_or(0) as i64,
            }),
            Clock::Alarm => Err(Errno::EINVAL),
        }
    }

    /// Its resolution in nanoseconds.
    ///
    /// # Errors
    /// EINVAL for an alarm clock.
    pub fn resolution(&self) -> Result<i64, Errno> {
        match self {
            Clock::Host(id) => Ok(host::clock::resolution_ns(*id as i32)),
            Clock::Cpu(_) => Ok(1),
            Clock::Alarm => Err(Errno::EINVAL),
        }
    }

    /// Whether one can sleep by it and set timers on it.
    pub fn has_timers(&self) -> bool {
        !matches!(
            self,
            Clock::Alarm | Clock::Host(CLOCK_MONOTONIC_RAW | CLOCK_REALTIME_COARSE | CLOCK_MONOTONIC_COARSE)
        )
    }

    /// When a wall clock will show `ns`.
    pub fn deadline(&self, ns: i64) -> Deadline {
        match self {
            Clock::Host(CLOCK_MONOTONIC) | Clock::Cpu(_) | Clock::Alarm => Deadline(ns.max(0) as u64),
            Clock::Host(id) => {
                let ahead = ns.saturating_sub(host::clock::clock_ns(*id as i32));
                Deadline(host::clock::monotonic_ns().saturating_add_signed(ahead))
            }
        }
    }
}

/// CPU clocks of others (`clock_getcpuclockid`): the complement of the id, and three bits.
fn parse_dynamic(current: &Current, id: i32) -> Result<Clock, Errno> {
    const PER_THREAD: i32 = 4;
    let pid = !(id >> 3);
    let kind = match id & 3 {
        0 | 2 => Kind::Total,
        1 => Kind::User,
        _ => return Err(Errno::EINVAL),
    };
    let pids = &current.kernel.pids;
    if id & PER_THREAD != 0 {
        let task = if pid == 0 { Some(current.task.clone()) } else { pids.task(pid) };
        let task = task.filter(|task| Arc::ptr_eq(&task.group, &current.task.group)).ok_or(Errno::EINVAL)?;
        return Ok(Clock::Cpu(CpuClock::of_task(&task, kind)));
    }
    let group = if pid == 0 { Some(current.task.group.clone()) } else { pids.group(pid) };
    Ok(Clock::Cpu(cpu::CpuClock::of_group(&group.ok_or(Errno::EINVAL)?, kind)))
}
