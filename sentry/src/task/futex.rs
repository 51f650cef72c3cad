//! Futexes (`man 2 futex`).

use super::Current;

/// Marks the robust futexes that the task holds as owned by a dead one and wakes a waiter of each.
pub fn exit_robust_list(_current: &mut Current) {}

/// Wakes at most `count` waiters on a word of the current task's memory, shared or private.
pub fn wake_at(_current: &mut Current, _addr: u64, _count: u32) -> u32 {
    0
}
