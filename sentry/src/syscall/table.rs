//! Number → handler. Sorted by family, one line a call.
#![allow(non_upper_case_globals, reason = "the numbers bear the kernel's names")]

use abi::nr::*;

use super::{Args, memory};
use crate::task::Current;
use crate::{Errno, SysResult};

/// Serves one system call. A call that is not in the table is ENOSYS, counted.
pub async fn dispatch(current: &mut Current, number: u64, args: Args) -> SysResult {
    let Ok(number) = u32::try_from(number) else { return Err(Errno::ENOSYS) };
    let _ = (&current, args);
    match number {
        // Processes and threads: process.rs

        // Signals: signal.rs

        // Futexes: futex.rs

        // Clocks, timers, sleeping: time.rs

        // Credentials, sessions, limits: credentials.rs, session.rs, rlimit.rs

        // Scheduling: sched.rs
        __NR_sched_yield => Ok(0),

        // The system: system.rs

        // Memory: memory.rs
        __NR_mmap => memory::mmap(current, args),
        __NR_munmap => memory::munmap(current, args),
        __NR_mprotect => memory::mprotect(current, args),
        __NR_pkey_mprotect => memory::pkey_mprotect(current, args),
        __NR_pkey_alloc => memory::pkey_alloc(current, args),
        __NR_pkey_free => memory::pkey_free(current, args),
        __NR_mremap => memory::mremap(current, args),
        __NR_brk => memory::brk(current, args),
        __NR_madvise => memory::madvise(current, args),
        __NR_mincore => memory::mincore(current, args),
        __NR_msync => memory::msync(current, args),
        __NR_mlock => memory::mlock(current, args),
        __NR_mlock2 => memory::mlock2(current, args),
        __NR_munlock => memory::munlock(current, args),
        __NR_mlockall => memory::mlockall(current, args),
        __NR_munlockall => memory::munlockall(current, args),
        __NR_membarrier => memory::membarrier(current, args),
        __NR_get_mempolicy => memory::get_mempolicy(current, args),
        __NR_set_mempolicy => memory::set_mempolicy(current, args),
        __NR_mbind => memory::mbind(current, args),

        // Opening and names: open.rs, link.rs, dir.rs, stat.rs, attributes.rs, xattr.rs, mount.rs

        // Reading and writing: read_write.rs, seek.rs, allocate.rs, copy.rs

        // Descriptors: fd.rs

        // Pipes, events, waiting: pipe.rs, eventfd.rs, epoll.rs, poll.rs, timerfd.rs, signalfd.rs, inotify.rs

        // Terminals and other devices: ioctl.rs
        _ => Err(Errno::ENOSYS),
    }
}
