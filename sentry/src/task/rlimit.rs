//! Resource limits (`man 2 getrlimit`).

use abi::types::Rlimit;

use super::Current;
use crate::Errno;
use crate::kernel::Kernel;

/// Number of resources.
pub const COUNT: usize = 16;

/// The limits of a process, indexed by `RLIMIT_*`.
#[derive(Clone, Debug, Default)]
pub struct Limits(pub [Rlimit; COUNT]);

/// Whether the current task may make another (`RLIMIT_NPROC`, the sandbox's own limit of tasks).
///
/// # Errors
/// EAGAIN
pub fn check_new_process(kernel: &Kernel, _current: &Current) -> Result<(), Errno> {
    match kernel.max_tasks {
        Some(max) if kernel.pids.task_count() >= max => Err(Errno::EAGAIN),
        _ => Ok(()),
    }
}

/// `RLIMIT_NOFILE` of the current process: one more than the highest descriptor it may get.
pub fn nofile(current: &Current) -> u64 {
    current.task.group.limits.lock().0[abi::uapi::general::RLIMIT_NOFILE as usize].cur
}
