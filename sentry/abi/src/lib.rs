//! The Linux x86-64 ABI as data: numbers, structures, flags, errors and the description of every system call.
//!
//! Constants come from `linux-raw-sys` (generated from the kernel's own headers) and are re-exported under [`uapi`]; this
//! crate adds what that one lacks: a typed [`Errno`], structures that can be copied to and from guest bytes, and the call
//! [`table`]. It has no dependency on the host and no code that can fail.
#![no_std]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub use linux_raw_sys as uapi;

mod errno;
pub mod signal;
pub mod table;
pub mod types;

pub use errno::Errno;

/// System-call numbers, by the kernel's names (`nr::__NR_read`).
pub mod nr {
    pub use linux_raw_sys::general::*;
}

/// Size of a page, and the granularity of every mapping.
pub const PAGE_SIZE: u64 = 4096;

/// Rounds `addr` down to a page boundary.
pub const fn page_down(addr: u64) -> u64 {
    addr & !(PAGE_SIZE - 1)
}

/// Rounds `addr` up to a page boundary; `None` where that does not fit in 64 bits.
pub const fn page_up(addr: u64) -> Option<u64> {
    match addr.checked_add(PAGE_SIZE - 1) {
        Some(a) => Some(page_down(a)),
        None => None,
    }
}
