//! The only wrapper of host system calls: safe functions and owned handles, errors as [`abi::Errno`].
//!
//! One file a subject. Whatever is `unsafe` about talking to the host ends here.

pub mod clock;
pub mod event;

/// Turns an errno of `nix` into ours.
pub(crate) fn errno(error: nix::Error) -> abi::Errno {
    abi::Errno(error as i32 as u16)
}
