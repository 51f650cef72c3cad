//! Clocks and timers.

pub mod posix_timer;

use crate::kernel::timer::Deadline;

/// When the realtime clock will show `ns`, unless it is set meanwhile.
pub fn realtime_deadline(ns: i64) -> Deadline {
    let ahead = ns.saturating_sub(host::clock::realtime_ns());
    Deadline(host::clock::monotonic_ns().saturating_add_signed(ahead))
}
