//! What the host machine is: processors, memory, load, limits of the invoker.

use nix::sched::{CpuSet, sched_getaffinity};
use nix::sys::sysinfo::sysinfo;
use nix::unistd::Pid;

/// The processors that the calling process may use, bit n is CPU n; those above 63 are left out.
pub fn cpus() -> u64 {
    let Ok(set) = sched_getaffinity(Pid::from_raw(0)) else { return 1 };
    let bits = (0..CpuSet::count().min(64)).filter(|&n| set.is_set(n) == Ok(true)).fold(0, |bits, n| bits | 1 << n);
    if bits == 0 { 1 } else { bits }
}

/// Bytes of a processor mask as the kernel gives it (`sched_getaffinity`, raw).
pub fn cpu_mask_len() -> usize {
    let mut mask = [0u64; 128];
    // SAFETY: the kernel stores at most the given number of bytes, all of them in `mask`.
    let len = unsafe { libc::syscall(libc::SYS_sched_getaffinity, 0, size_of_val(&mask), mask.as_mut_ptr()) };
    usize::try_from(len).unwrap_or(8)
}

/// Memory and load of the machine, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Memory {
    /// All of it.
    pub total: u64,
    /// Unused.
    pub free: u64,
    /// Swap.
    pub swap_total: u64,
    /// Unused swap.
    pub swap_free: u64,
    /// Load averages over 1, 5 and 15 minutes.
    pub load: [f64; 3],
}

/// Asks the host.
pub fn memory() -> Memory {
    let Ok(info) = sysinfo() else { return Memory::default() };
    let (one, five, fifteen) = info.load_average();
    Memory {
        total: info.ram_total(),
        free: info.ram_unused(),
        swap_total: info.swap_total(),
        swap_free: info.swap_free(),
        load: [one, five, fifteen],
    }
}
