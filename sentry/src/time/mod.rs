//! Clocks and timers.

pub mod posix_timer;
