//! POSIX timers (`man 2 timer_create`).

use abi::signal::SigInfo;

use crate::task::Task;

/// Fills in the overrun count of a timer's signal that is about to be delivered, and lets the timer queue another.
pub fn on_dequeue(_task: &Task, _info: &mut SigInfo) {}
