//! The resource limits that memory calls obey.

use abi::uapi::general::{RLIMIT_AS, RLIMIT_DATA, RLIMIT_MEMLOCK, RLIMIT_STACK};

use crate::task::Current;
use crate::task::capability::Capability;

/// The limits of a process at the time of a call, in bytes; `u64::MAX` is infinity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MapLimits {
    /// `RLIMIT_AS`
    pub address_space: u64,
    /// `RLIMIT_DATA`
    pub data: u64,
    /// `RLIMIT_STACK`
    pub stack: u64,
    /// `RLIMIT_MEMLOCK`; infinite with `CAP_IPC_LOCK`.
    pub locked: u64,
}

impl MapLimits {
    /// No limits.
    pub const NONE: MapLimits =
        MapLimits { address_space: u64::MAX, data: u64::MAX, stack: u64::MAX, locked: u64::MAX };

    /// The limits of the calling process.
    pub fn of(current: &Current) -> MapLimits {
        let limits = current.task.group.limits.lock();
        let soft = |resource: u32| limits.0.get(resource as usize).map_or(u64::MAX, |limit| limit.cur);
        let may_lock = current.task.credentials().has(Capability::IPC_LOCK);
        MapLimits {
            address_space: soft(RLIMIT_AS),
            data: soft(RLIMIT_DATA),
            stack: soft(RLIMIT_STACK),
            locked: if may_lock { u64::MAX } else { soft(RLIMIT_MEMLOCK) },
        }
    }
}
