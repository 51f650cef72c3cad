//! Host clocks.

use nix::time::{ClockId, clock_gettime};

/// `CLOCK_MONOTONIC` in nanoseconds; what the guest's vDSO shows it, too.
pub fn monotonic_ns() -> u64 {
    clock_ns(libc::CLOCK_MONOTONIC) as u64
}

/// `CLOCK_REALTIME` in nanoseconds since the epoch.
pub fn realtime_ns() -> i64 {
    clock_ns(libc::CLOCK_REALTIME)
}

/// Any host clock by number, in nanoseconds; 0 for one that the host does not know.
pub fn clock_ns(clock: i32) -> i64 {
    clock_gettime(ClockId::from_raw(clock)).map_or(0, |t| t.tv_sec() * 1_000_000_000 + t.tv_nsec())
}
