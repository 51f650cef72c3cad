//! The only wrapper of host system calls: safe functions and owned handles, errors as [`abi::Errno`].
//!
//! One file a subject. Whatever is `unsafe` about talking to the host ends here.

pub mod capability;
pub mod channel_memory;
pub mod clock;
pub mod code_memory;
pub mod cpu;
pub mod cpu_identity;
pub mod event;
pub mod file;
pub mod futex;
pub mod launch;
pub mod limits;
pub mod memory;
pub mod metadata;
pub mod namespace;
pub mod probe;
pub mod process;
pub mod process_memory;
pub mod ptrace;
pub mod random;
pub mod seccomp;
pub mod seccomp_allow;
pub mod shared_mapping;
pub mod stdio;
pub mod stream;
pub mod system;
pub mod template;
pub mod terminal;
pub mod unix;
pub mod vdso;
pub mod violation;
pub mod xattr;

/// Turns an errno of `nix` into ours.
pub(crate) fn errno(error: nix::Error) -> abi::Errno {
    abi::Errno(error as i32 as u16)
}

/// Turns the result of a libc call (-1 and `errno`) into ours.
pub(crate) fn check(result: i64) -> Result<i64, abi::Errno> {
    if result < 0 { Err(errno(nix::Error::last())) } else { Ok(result) }
}
