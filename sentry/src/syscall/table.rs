//! Number → handler. Sorted by family, one line a call.
#![allow(non_upper_case_globals, reason = "the numbers bear the kernel's names")]

use abi::nr::*;

use super::futex;
use super::signal;
use super::*;
use super::{Args, memory};
use crate::task::Current;
use crate::{Errno, SysResult};

/// Serves one system call. A call that is not in the table is ENOSYS, counted.
pub async fn dispatch(current: &mut Current, number: u64, args: Args) -> SysResult {
    let Ok(number) = u32::try_from(number) else { return Err(Errno::ENOSYS) };
    match number {
        // Processes and threads: process.rs
        __NR_clone => process::clone(current, args).await,
        __NR_clone3 => process::clone3(current, args).await,
        __NR_fork => process::fork(current).await,
        __NR_vfork => process::vfork(current).await,
        __NR_execve => process::execve(current, args).await,
        __NR_execveat => process::execveat(current, args).await,
        __NR_exit => process::exit(current, args),
        __NR_exit_group => process::exit_group(current, args),
        __NR_wait4 => process::wait4(current, args).await,
        __NR_waitid => process::waitid(current, args).await,

        // Signals: signal.rs
        __NR_rt_sigaction => signal::rt_sigaction(current, args),
        __NR_rt_sigprocmask => signal::rt_sigprocmask(current, args),
        __NR_rt_sigreturn => signal::rt_sigreturn(current, args),
        __NR_rt_sigpending => signal::rt_sigpending(current, args),
        __NR_rt_sigsuspend => signal::rt_sigsuspend(current, args).await,
        __NR_rt_sigtimedwait => signal::rt_sigtimedwait(current, args).await,
        __NR_rt_sigqueueinfo => signal::rt_sigqueueinfo(current, args),
        __NR_rt_tgsigqueueinfo => signal::rt_tgsigqueueinfo(current, args),
        __NR_sigaltstack => signal::sigaltstack(current, args),
        __NR_kill => signal::kill(current, args),
        __NR_tkill => signal::tkill(current, args),
        __NR_tgkill => signal::tgkill(current, args),
        __NR_pidfd_send_signal => signal::pidfd_send_signal(current, args),
        __NR_pause => signal::pause(current, args).await,

        // Futexes: futex.rs
        __NR_futex => futex::futex(current, args).await,
        __NR_futex_waitv => futex::futex_waitv(current, args).await,
        __NR_futex_wait => futex::futex_wait(current, args).await,
        __NR_futex_wake => futex::futex_wake(current, args),
        __NR_futex_requeue => futex::futex_requeue(current, args),
        __NR_set_robust_list => futex::set_robust_list(current, args),
        __NR_get_robust_list => futex::get_robust_list(current, args),

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
        __NR_pipe => pipe::pipe(current, args),
        __NR_pipe2 => pipe::pipe2(current, args),
        __NR_poll => poll::poll(current, args).await,
        __NR_ppoll => poll::ppoll(current, args).await,
        __NR_select => poll::select(current, args).await,
        __NR_pselect6 => poll::pselect6(current, args).await,
        __NR_epoll_create => epoll::epoll_create(current, args),
        __NR_epoll_create1 => epoll::epoll_create1(current, args),
        __NR_epoll_ctl => epoll::epoll_ctl(current, args),
        __NR_epoll_wait => epoll::epoll_wait(current, args).await,
        __NR_epoll_pwait => epoll::epoll_pwait(current, args).await,
        __NR_epoll_pwait2 => epoll::epoll_pwait2(current, args).await,
        __NR_eventfd => eventfd::eventfd(current, args),
        __NR_eventfd2 => eventfd::eventfd2(current, args),
        __NR_timerfd_create => timerfd::timerfd_create(current, args),
        __NR_timerfd_settime => timerfd::timerfd_settime(current, args),
        __NR_timerfd_gettime => timerfd::timerfd_gettime(current, args),
        __NR_signalfd => signalfd::signalfd(current, args),
        __NR_signalfd4 => signalfd::signalfd4(current, args),

        // Terminals and other devices: ioctl.rs
        __NR_ioctl => ioctl::ioctl(current, args),

        _ => {
            current.kernel.observe.count_unknown(u64::from(number));
            Err(Errno::ENOSYS)
        }
    }
}
