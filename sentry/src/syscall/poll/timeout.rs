//! How long a call waits for readiness.

use abi::types::{Timespec, Timeval};

use crate::Errno;
use crate::kernel::timer::Deadline;

/// A time-out argument, fixed to the moment of the call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Timeout {
    /// Only look.
    Now,
    /// Until this deadline.
    At(Deadline),
    /// For ever.
    Never,
}

impl Timeout {
    /// From milliseconds; negative is for ever.
    pub fn from_ms(ms: i32) -> Timeout {
        match ms {
            ..0 => Timeout::Never,
            0 => Timeout::Now,
            ms => Timeout::At(Deadline::after_ns(ms as u64 * 1_000_000)),
        }
    }

    /// From a length of time.
    ///
    /// # Errors
    /// EINVAL when it is negative or not normalised.
    pub fn from_timespec(time: Timespec) -> Result<Timeout, Errno> {
        if !time.is_valid() {
            return Err(Errno::EINVAL);
        }
        Ok(match time.to_ns() {
            0 => Timeout::Now,
            ns => Timeout::At(Deadline::after_ns(ns as u64)),
        })
    }

    /// From a length of time; microseconds beyond a second are carried (`select`).
    ///
    /// # Errors
    /// EINVAL when it is negative.
    pub fn from_timeval(time: Timeval) -> Result<Timeout, Errno> {
        let carried = time.tv_sec.checked_add(time.tv_usec / 1_000_000).ok_or(Errno::EINVAL)?;
        Timeout::from_timespec(Timespec { tv_sec: carried, tv_nsec: time.tv_usec % 1_000_000 * 1000 })
    }

    /// When it ends; `None` for never.
    pub fn deadline(self) -> Option<Deadline> {
        match self {
            Timeout::Now => Some(Deadline(0)),
            Timeout::At(deadline) => Some(deadline),
            Timeout::Never => None,
        }
    }

    /// What is left of it.
    pub fn remaining(self) -> Timespec {
        match self {
            Timeout::At(deadline) => {
                Timespec::from_ns(deadline.0.saturating_sub(Deadline::now().0).min(i64::MAX as u64) as i64)
            }
            _ => Timespec::default(),
        }
    }
}
