//! How a task wants to be scheduled (`man 7 sched`). The host schedules the threads: what is set here is kept and told, and
//! the nice value and policy are not carried out.

use crate::Errno;

/// `SCHED_OTHER`
pub const OTHER: u32 = 0;
/// `SCHED_FIFO`
pub const FIFO: u32 = 1;
/// `SCHED_RR`
pub const RR: u32 = 2;
/// `SCHED_BATCH`
pub const BATCH: u32 = 3;
/// `SCHED_IDLE`
pub const IDLE: u32 = 5;
/// `SCHED_DEADLINE`
pub const DEADLINE: u32 = 6;

/// The scheduling parameters of a task.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Scheduling {
    /// -20..=19
    pub nice: i32,
    /// One of the policies above.
    pub policy: u32,
    /// Priority with `SCHED_FIFO` and `SCHED_RR`, 1..=99; else 0.
    pub priority: i32,
    /// `SCHED_RESET_ON_FORK`
    pub reset_on_fork: bool,
    /// Which CPUs it may run on; bit n is CPU n. 0 stands for all.
    pub affinity: u64,
    /// `prctl(PR_SET_TIMERSLACK)`
    pub timer_slack_ns: u64,
    /// `ioprio_set`
    pub io_priority: u32,
}

impl Default for Scheduling {
    fn default() -> Scheduling {
        Scheduling {
            nice: 0,
            policy: OTHER,
            priority: 0,
            reset_on_fork: false,
            affinity: 0,
            timer_slack_ns: 50_000,
            io_priority: 0,
        }
    }
}

impl Scheduling {
    /// What a child starts with.
    pub fn for_child(&self) -> Scheduling {
        if !self.reset_on_fork {
            return *self;
        }
        let realtime = matches!(self.policy, FIFO | RR | DEADLINE);
        Scheduling {
            policy: if realtime { OTHER } else { self.policy },
            priority: 0,
            nice: if realtime || self.nice < 0 { 0 } else { self.nice },
            reset_on_fork: false,
            ..*self
        }
    }
}

/// Lowest and highest priority of a policy (`sched_get_priority_min`, `sched_get_priority_max`).
///
/// # Errors
/// EINVAL for an unknown policy.
pub fn priority_range(policy: u32) -> Result<(i32, i32), Errno> {
    match policy {
        FIFO | RR => Ok((1, 99)),
        OTHER | BATCH | IDLE | DEADLINE => Ok((0, 0)),
        _ => Err(Errno::EINVAL),
    }
}
