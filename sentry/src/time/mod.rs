//! Clocks and timers.
//!
//! All that waits for a wall clock waits for a [`Deadline`] on the monotonic one: the sandbox cannot set its clocks, and a
//! jump of the host's realtime clock is not followed. CPU time is that of the host processes which hold the guest's memory.

pub mod clock;
pub mod cpu;
pub mod cpu_limit;
pub mod interval;
pub mod itimer;
pub mod posix_timer;

use crate::kernel::timer::Deadline;

/// When the realtime clock will show `ns`, unless it is set meanwhile.
pub fn realtime_deadline(ns: i64) -> Deadline {
    let ahead = ns.saturating_sub(host::clock::realtime_ns());
    Deadline(host::clock::monotonic_ns().saturating_add_signed(ahead))
}

/// The timers of a process.
#[derive(Default)]
pub struct GroupTimers {
    /// `setitimer`
    pub(crate) intervals: itimer::IntervalTimers,
    /// `RLIMIT_CPU`
    pub(crate) cpu_limit: cpu_limit::CpuLimit,
    /// `timer_create`
    pub(crate) posix: posix_timer::PosixTimers,
}
