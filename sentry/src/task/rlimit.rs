//! Resource limits (`man 2 getrlimit`).

use abi::types::Rlimit;

/// Number of resources.
pub const COUNT: usize = 16;

/// The limits of a process, indexed by `RLIMIT_*`.
#[derive(Clone, Debug, Default)]
pub struct Limits(pub [Rlimit; COUNT]);
