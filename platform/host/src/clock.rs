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

/// Resolution of a host clock in nanoseconds; 1 for one that the host does not know.
pub fn resolution_ns(clock: i32) -> i64 {
    nix::time::clock_getres(ClockId::from_raw(clock)).map_or(1, |t| t.tv_sec() * 1_000_000_000 + t.tv_nsec())
}

/// CPU time that a host process has used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CpuTime {
    /// All of it, in nanoseconds.
    pub total_ns: u64,
    /// The part outside of the host kernel.
    pub user_ns: u64,
}

/// CPU time of the host process `pid`; `None` when it is gone.
pub fn process_cpu_time(pid: i32) -> Option<CpuTime> {
    /// `CPUCLOCK_VIRT` and `CPUCLOCK_SCHED` of the kernel's encoding of process clocks (`posix-timers.h`).
    const VIRTUAL: i32 = 1;
    const SCHEDULED: i32 = 2;
    let read = |kind: i32| {
        let time = clock_gettime(ClockId::from_raw(!pid << 3 | kind)).ok()?;
        u64::try_from(time.tv_sec() * 1_000_000_000 + time.tv_nsec()).ok()
    };
    let total_ns = read(SCHEDULED)?;
    Some(CpuTime { total_ns, user_ns: read(VIRTUAL)?.min(total_ns) })
}
