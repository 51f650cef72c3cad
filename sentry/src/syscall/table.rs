//! Number → handler. Sorted by family, one line a call.
#![allow(non_upper_case_globals, reason = "the numbers bear the kernel's names")]

use abi::nr::*;

use super::rlimit;
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

        // Clocks, timers, sleeping: time.rs, timer.rs
        __NR_clock_gettime => time::clock_gettime(current, args),
        __NR_clock_getres => time::clock_getres(current, args),
        __NR_clock_settime => time::clock_settime(current, args),
        __NR_gettimeofday => time::gettimeofday(current, args),
        __NR_settimeofday => time::settimeofday(current, args),
        __NR_time => time::time(current, args),
        __NR_adjtimex => time::adjtimex(current, args),
        __NR_clock_adjtime => time::clock_adjtime(current, args),
        __NR_times => time::times(current, args),
        __NR_getrusage => time::getrusage(current, args),
        __NR_nanosleep => time::nanosleep(current, args).await,
        __NR_clock_nanosleep => time::clock_nanosleep(current, args).await,
        __NR_restart_syscall => time::restart_syscall(current, args).await,
        __NR_alarm => timer::alarm(current, args),
        __NR_getitimer => timer::getitimer(current, args),
        __NR_setitimer => timer::setitimer(current, args),
        __NR_timer_create => timer::timer_create(current, args),
        __NR_timer_settime => timer::timer_settime(current, args),
        __NR_timer_gettime => timer::timer_gettime(current, args),
        __NR_timer_getoverrun => timer::timer_getoverrun(current, args),
        __NR_timer_delete => timer::timer_delete(current, args),

        // Credentials, sessions, limits: credentials.rs, session.rs, rlimit.rs, prctl.rs
        __NR_getuid => credentials::getuid(current),
        __NR_geteuid => credentials::geteuid(current),
        __NR_getgid => credentials::getgid(current),
        __NR_getegid => credentials::getegid(current),
        __NR_getresuid => credentials::getresuid(current, args),
        __NR_getresgid => credentials::getresgid(current, args),
        __NR_setuid => credentials::setuid(current, args),
        __NR_setgid => credentials::setgid(current, args),
        __NR_setreuid => credentials::setreuid(current, args),
        __NR_setregid => credentials::setregid(current, args),
        __NR_setresuid => credentials::setresuid(current, args),
        __NR_setresgid => credentials::setresgid(current, args),
        __NR_setfsuid => credentials::setfsuid(current, args),
        __NR_setfsgid => credentials::setfsgid(current, args),
        __NR_getgroups => credentials::getgroups(current, args),
        __NR_setgroups => credentials::setgroups(current, args),
        __NR_capget => credentials::capget(current, args),
        __NR_capset => credentials::capset(current, args),
        __NR_getpid => session::getpid(current),
        __NR_gettid => session::gettid(current),
        __NR_getppid => session::getppid(current),
        __NR_getpgrp => session::getpgrp(current),
        __NR_setsid => session::setsid(current),
        __NR_getpgid => session::getpgid(current, args),
        __NR_getsid => session::getsid(current, args),
        __NR_setpgid => session::setpgid(current, args),
        __NR_set_tid_address => session::set_tid_address(current, args),
        __NR_pidfd_open => session::pidfd_open(current, args),
        __NR_pidfd_getfd => session::pidfd_getfd(current, args),
        __NR_getrlimit => rlimit::getrlimit(current, args),
        __NR_setrlimit => rlimit::setrlimit(current, args),
        __NR_prlimit64 => rlimit::prlimit64(current, args),
        __NR_prctl => prctl::prctl(current, args),
        __NR_arch_prctl => prctl::arch_prctl(current, args),

        __NR_kcmp => kcmp::kcmp(current, args),

        // Scheduling: sched.rs
        __NR_sched_setscheduler => sched::sched_setscheduler(current, args),
        __NR_sched_getscheduler => sched::sched_getscheduler(current, args),
        __NR_sched_setparam => sched::sched_setparam(current, args),
        __NR_sched_getparam => sched::sched_getparam(current, args),
        __NR_sched_setattr => sched::sched_setattr(current, args),
        __NR_sched_getattr => sched::sched_getattr(current, args),
        __NR_sched_get_priority_max => sched::sched_get_priority_max(current, args),
        __NR_sched_get_priority_min => sched::sched_get_priority_min(current, args),
        __NR_sched_rr_get_interval => sched::sched_rr_get_interval(current, args),
        __NR_sched_setaffinity => sched::sched_setaffinity(current, args),
        __NR_sched_getaffinity => sched::sched_getaffinity(current, args),
        __NR_getcpu => sched::getcpu(current, args),
        __NR_getpriority => sched::getpriority(current, args),
        __NR_setpriority => sched::setpriority(current, args),
        __NR_ioprio_get => sched::ioprio_get(current, args),
        __NR_ioprio_set => sched::ioprio_set(current, args),
        __NR_sched_yield => Ok(0),

        // The system: system.rs
        __NR_uname => system::uname(current, args),
        __NR_sethostname => system::sethostname(current, args),
        __NR_setdomainname => system::setdomainname(current, args),
        __NR_sysinfo => system::sysinfo(current, args),
        __NR_getrandom => system::getrandom(current, args),
        __NR_personality => system::personality(current, args),
        __NR_syslog => system::syslog(current, args),
        __NR_reboot
        | __NR_acct
        | __NR_swapon
        | __NR_swapoff
        | __NR_init_module
        | __NR_finit_module
        | __NR_delete_module
        | __NR_kexec_load
        | __NR_kexec_file_load
        | __NR_iopl
        | __NR_ioperm
        | __NR_quotactl
        | __NR_quotactl_fd
        | __NR_vhangup
        | __NR_bpf
        | __NR_perf_event_open
        | __NR_fanotify_init
        | __NR_userfaultfd
        | __NR_add_key
        | __NR_request_key
        | __NR_keyctl
        | __NR_open_by_handle_at => system::refused(current),

        // Memory: memory.rs
        __NR_mmap => memory::mmap(current, args),
        __NR_munmap => memory::munmap(current, args),
        __NR_mprotect => memory::mprotect(current, args),
        __NR_mseal => memory::mseal(current, args),
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
        __NR_process_vm_readv => process_vm::process_vm_readv(current, args),
        __NR_process_vm_writev => process_vm::process_vm_writev(current, args),
        __NR_process_madvise => process_vm::process_madvise(current, args),
        __NR_process_mrelease => process_vm::process_mrelease(current, args),
        __NR_remap_file_pages => memory::remap_file_pages(current, args),
        __NR_set_mempolicy_home_node => memory::set_mempolicy_home_node(current, args),
        __NR_mbind => memory::mbind(current, args),

        // Opening and names: open.rs, link.rs, dir.rs, stat.rs, attributes.rs, xattr.rs, mount.rs
        __NR_open => super::open::open(current, args).await,
        __NR_openat => super::open::openat(current, args).await,
        __NR_openat2 => super::open::openat2(current, args).await,
        __NR_creat => super::open::creat(current, args).await,
        __NR_link => super::link::link(current, args),
        __NR_linkat => super::link::linkat(current, args),
        __NR_symlink => super::link::symlink(current, args),
        __NR_symlinkat => super::link::symlinkat(current, args),
        __NR_unlink => super::link::unlink(current, args),
        __NR_unlinkat => super::link::unlinkat(current, args),
        __NR_rmdir => super::link::rmdir(current, args),
        __NR_rename => super::link::rename(current, args),
        __NR_renameat => super::link::renameat(current, args),
        __NR_renameat2 => super::link::renameat2(current, args),
        __NR_mknod => super::link::mknod(current, args),
        __NR_mknodat => super::link::mknodat(current, args),
        __NR_mkdir => super::dir::mkdir(current, args),
        __NR_mkdirat => super::dir::mkdirat(current, args),
        __NR_getdents => super::dir::getdents(current, args),
        __NR_getdents64 => super::dir::getdents64(current, args),
        __NR_getcwd => super::dir::getcwd(current, args),
        __NR_chdir => super::dir::chdir(current, args),
        __NR_fchdir => super::dir::fchdir(current, args),
        __NR_chroot => super::dir::chroot(current, args),
        __NR_umask => super::dir::umask(current, args),
        __NR_stat => super::stat::stat(current, args),
        __NR_lstat => super::stat::lstat(current, args),
        __NR_fstat => super::stat::fstat(current, args),
        __NR_newfstatat => super::stat::newfstatat(current, args),
        __NR_statx => super::stat::statx(current, args),
        __NR_statfs => super::stat::statfs(current, args),
        __NR_fstatfs => super::stat::fstatfs(current, args),
        __NR_access => super::stat::access(current, args),
        __NR_faccessat => super::stat::faccessat(current, args),
        __NR_faccessat2 => super::stat::faccessat2(current, args),
        __NR_readlink => super::stat::readlink(current, args),
        __NR_readlinkat => super::stat::readlinkat(current, args),
        __NR_chmod => super::attributes::chmod(current, args),
        __NR_fchmod => super::attributes::fchmod(current, args),
        __NR_fchmodat => super::attributes::fchmodat(current, args),
        __NR_fchmodat2 => super::attributes::fchmodat2(current, args),
        __NR_chown => super::attributes::chown(current, args),
        __NR_lchown => super::attributes::lchown(current, args),
        __NR_fchown => super::attributes::fchown(current, args),
        __NR_fchownat => super::attributes::fchownat(current, args),
        __NR_utime => super::attributes::utime(current, args),
        __NR_utimes => super::attributes::utimes(current, args),
        __NR_futimesat => super::attributes::futimesat(current, args),
        __NR_utimensat => super::attributes::utimensat(current, args),
        __NR_truncate => super::attributes::truncate(current, args),
        __NR_ftruncate => super::attributes::ftruncate(current, args),
        __NR_getxattr => super::xattr::getxattr(current, args),
        __NR_lgetxattr => super::xattr::lgetxattr(current, args),
        __NR_fgetxattr => super::xattr::fgetxattr(current, args),
        __NR_setxattr => super::xattr::setxattr(current, args),
        __NR_lsetxattr => super::xattr::lsetxattr(current, args),
        __NR_fsetxattr => super::xattr::fsetxattr(current, args),
        __NR_listxattr => super::xattr::listxattr(current, args),
        __NR_llistxattr => super::xattr::llistxattr(current, args),
        __NR_flistxattr => super::xattr::flistxattr(current, args),
        __NR_removexattr => super::xattr::removexattr(current, args),
        __NR_lremovexattr => super::xattr::lremovexattr(current, args),
        __NR_fremovexattr => super::xattr::fremovexattr(current, args),
        __NR_getxattrat => super::xattr::getxattrat(current, args),
        __NR_setxattrat => super::xattr::setxattrat(current, args),
        __NR_listxattrat => super::xattr::listxattrat(current, args),
        __NR_removexattrat => super::xattr::removexattrat(current, args),
        __NR_mount => super::mount::mount(current, args),
        __NR_umount2 => super::mount::umount2(current, args),
        __NR_pivot_root => super::mount::pivot_root(current, args),
        __NR_unshare => super::mount::unshare(current, args),

        // Reading and writing: read_write.rs, seek.rs, allocate.rs, copy.rs
        __NR_read => super::read_write::read(current, args).await,
        __NR_pread64 => super::read_write::pread64(current, args).await,
        __NR_readv => super::read_write::readv(current, args).await,
        __NR_preadv => super::read_write::preadv(current, args).await,
        __NR_preadv2 => super::read_write::preadv2(current, args).await,
        __NR_write => super::read_write::write(current, args).await,
        __NR_pwrite64 => super::read_write::pwrite64(current, args).await,
        __NR_writev => super::read_write::writev(current, args).await,
        __NR_pwritev => super::read_write::pwritev(current, args).await,
        __NR_pwritev2 => super::read_write::pwritev2(current, args).await,
        __NR_lseek => super::seek::lseek(current, args),
        __NR_fallocate => super::allocate::fallocate(current, args),
        __NR_fsync => super::allocate::fsync(current, args).await,
        __NR_fdatasync => super::allocate::fdatasync(current, args).await,
        __NR_sync => super::allocate::sync(current, args).await,
        __NR_syncfs => super::allocate::syncfs(current, args).await,
        __NR_sync_file_range => super::allocate::sync_file_range(current, args).await,
        __NR_fadvise64 => super::allocate::fadvise64(current, args),
        __NR_readahead => super::allocate::readahead(current, args),
        __NR_sendfile => super::copy::sendfile(current, args).await,
        __NR_splice => super::copy::splice(current, args).await,
        __NR_tee => super::copy::tee(current, args).await,
        __NR_vmsplice => super::copy::vmsplice(current, args).await,
        __NR_copy_file_range => super::copy::copy_file_range(current, args).await,

        // Descriptors: fd.rs
        __NR_close => super::fd::close(current, args),
        __NR_close_range => super::fd::close_range(current, args),
        __NR_dup => super::fd::dup(current, args),
        __NR_dup2 => super::fd::dup2(current, args),
        __NR_dup3 => super::fd::dup3(current, args),
        __NR_fcntl => super::fd::fcntl(current, args).await,
        __NR_flock => super::fd::flock(current, args).await,

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
        __NR_inotify_init => inotify::inotify_init(current, args),
        __NR_inotify_init1 => inotify::inotify_init1(current, args),
        __NR_inotify_add_watch => inotify::inotify_add_watch(current, args),
        __NR_inotify_rm_watch => inotify::inotify_rm_watch(current, args),
        __NR_memfd_create => memfd::memfd_create(current, args),
        __NR_signalfd => signalfd::signalfd(current, args),
        __NR_signalfd4 => signalfd::signalfd4(current, args),

        // Sockets: socket.rs
        __NR_socket => socket::socket(current, args),
        __NR_socketpair => socket::socketpair(current, args),
        __NR_bind => socket::bind(current, args),
        __NR_listen => socket::listen(current, args),
        __NR_accept => socket::accept(current, args).await,
        __NR_accept4 => socket::accept4(current, args).await,
        __NR_connect => socket::connect(current, args).await,
        __NR_shutdown => socket::shutdown(current, args),
        __NR_getsockname => socket::getsockname(current, args),
        __NR_getpeername => socket::getpeername(current, args),
        __NR_setsockopt => socket::setsockopt(current, args),
        __NR_getsockopt => socket::getsockopt(current, args),
        __NR_sendto => socket::sendto(current, args).await,
        __NR_sendmsg => socket::sendmsg(current, args).await,
        __NR_sendmmsg => socket::sendmmsg(current, args).await,
        __NR_recvfrom => socket::recvfrom(current, args).await,
        __NR_recvmsg => socket::recvmsg(current, args).await,
        __NR_recvmmsg => socket::recvmmsg(current, args).await,

        // Terminals and other devices: ioctl.rs
        __NR_ioctl => ioctl::ioctl(current, args),

        _ => {
            current.kernel.observe.count_unknown(u64::from(number));
            Err(Errno::ENOSYS)
        }
    }
}
