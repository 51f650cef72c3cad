//! Questions about what the host kernel can do.

use std::path::Path;

use nix::unistd::{AccessFlags, access};

/// Bit of `AT_HWCAP2` by which Linux says that user code may use RDFSBASE and its kin (`asm/hwcap2.h`).
const HWCAP2_FSGSBASE: u64 = 2;

/// Whether user code may read and write its FS and GS base.
pub fn has_fsgsbase() -> bool {
    // SAFETY: getauxval reads the process's own auxiliary vector.
    unsafe { libc::getauxval(libc::AT_HWCAP2) & HWCAP2_FSGSBASE != 0 }
}

/// Whether seccomp knows the action `name`, as `/proc/sys/kernel/seccomp/actions_avail` spells it.
pub fn seccomp_action(name: &str) -> bool {
    let known = std::fs::read_to_string("/proc/sys/kernel/seccomp/actions_avail").unwrap_or_default();
    known.split_whitespace().any(|action| action == name)
}

/// The version of Landlock's ABI; `None` when it is not there or switched off.
pub fn landlock_abi() -> Option<u32> {
    const LANDLOCK_CREATE_RULESET_VERSION: u32 = 1;
    // SAFETY: with this flag and no attributes the call only returns a number.
    let version = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, 0, 0, LANDLOCK_CREATE_RULESET_VERSION) };
    u32::try_from(version).ok().filter(|&version| version > 0)
}

/// Whether the caller may write `path`.
pub fn is_writable(path: &Path) -> bool {
    access(path, AccessFlags::W_OK).is_ok()
}
