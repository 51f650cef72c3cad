//! The host system calls that a sentry may make once it has sealed itself, each with its reason.

use abi::{Errno, nr};
use host::seccomp_allow::{Allowed, Argument, allow, allow_when};

const PROT_EXEC: u64 = 4;
const CLONE_THREAD: Argument = Argument { index: 0, mask: 0x1_0000, value: 0x1_0000 };

/// What every sentry needs.
pub const ALWAYS: &[Allowed] = &[
    // Guest files that are host files: opened by the gofer, read and written here.
    allow(nr::__NR_read, "standard streams that know no non-blocking read (terminals); timers"),
    allow(nr::__NR_write, "the same; log lines; wake-ups of the reactor"),
    allow(nr::__NR_writev, "log lines of the standard library"),
    allow(nr::__NR_pread64, "contents of files, memory files and programs"),
    allow(nr::__NR_pwrite64, "contents of files and memory files"),
    allow(nr::__NR_preadv, "the same, into several buffers"),
    allow(nr::__NR_pwritev, "the same, from several buffers"),
    allow(nr::__NR_preadv2, "reads of pipes and sockets among the standard streams that must not block"),
    allow(nr::__NR_pwritev2, "writes to them that must not block"),
    allow(nr::__NR_lseek, "the position of standard streams; holes"),
    allow(nr::__NR_ftruncate, "sizes of files, memory files and windows"),
    allow(nr::__NR_fallocate, "space and holes of files, memory files and windows"),
    allow(nr::__NR_fsync, "fsync"),
    allow(nr::__NR_fdatasync, "fdatasync"),
    allow(nr::__NR_copy_file_range, "copies between host files"),
    allow(nr::__NR_statx, "attributes of open host files"),
    allow(nr::__NR_memfd_create, "memory that guests share, files of tmpfs, windows"),
    allow_when(nr::__NR_fcntl, &[Argument::is(1, 3)], "F_GETFL of standard streams"),
    allow_when(nr::__NR_fcntl, &[Argument::is(1, 1030)], "F_DUPFD_CLOEXEC of descriptors that are passed on"),
    allow_when(nr::__NR_fcntl, &[Argument::is(1, 1034)], "F_GET_SEALS: nobody can truncate the gofer's shared memory"),
    allow_when(nr::__NR_fcntl, &[Argument::is(1, 1033)], "F_ADD_SEALS on memory files"),
    allow_when(
        nr::__NR_fcntl,
        &[Argument::is(1, 1)],
        "a check of the standard library before each close, in debug builds",
    ),
    allow(nr::__NR_close, "descriptors that are done with"),
    allow_when(
        nr::__NR_ioctl,
        &[Argument { index: 1, mask: 0xff00, value: 0x5400 }],
        "terminals among the standard streams",
    ),
    // Talking to the gofer and the command.
    allow(nr::__NR_sendmsg, "requests to the gofer, reports to the command, descriptors for stubs"),
    allow(nr::__NR_recvmsg, "their answers"),
    allow(nr::__NR_recvfrom, "a look whether the gofer is still there; taking descriptors back"),
    // Waiting.
    allow(nr::__NR_poll, "readiness of standard streams; answers of the gofer"),
    allow(nr::__NR_ppoll, "notifications of stubs with a deadline"),
    allow(nr::__NR_epoll_create1, "the reactor, once"),
    allow(nr::__NR_eventfd2, "to wake the reactor, once"),
    allow(nr::__NR_timerfd_create, "the timer of the reactor, once"),
    allow(nr::__NR_epoll_wait, "the reactor"),
    allow(nr::__NR_epoll_ctl, "what the reactor watches"),
    allow(nr::__NR_timerfd_settime, "the earliest deadline of the sandbox"),
    allow(nr::__NR_futex, "locks, and the hand-over between workers and stubs"),
    allow(nr::__NR_clock_gettime, "CPU times of guest processes; the time where the vDSO does not tell it"),
    allow(nr::__NR_clock_nanosleep, "short waits of service threads"),
    allow(nr::__NR_sched_yield, "long spins give way"),
    // Memory and threads of this process.
    allow_when(nr::__NR_mmap, &[Argument::lacks(2, PROT_EXEC)], "the allocator, stacks, windows; never code"),
    allow_when(nr::__NR_mprotect, &[Argument::lacks(2, PROT_EXEC)], "the allocator, guard pages; never code"),
    allow(nr::__NR_munmap, "the same"),
    allow(nr::__NR_mremap, "the allocator"),
    allow(nr::__NR_brk, "the allocator"),
    allow(nr::__NR_madvise, "the allocator gives memory back"),
    allow(
        nr::__NR_clone3,
        "threads; its arguments are out of a filter's reach, but without capabilities and under this filter no child can do more",
    ),
    allow_when(nr::__NR_clone, &[CLONE_THREAD], "threads"),
    allow(nr::__NR_set_robust_list, "the start of a thread"),
    allow(nr::__NR_rseq, "the start of a thread"),
    allow(nr::__NR_sigaltstack, "the runtime's stack for overflows of each thread"),
    allow(nr::__NR_rt_sigprocmask, "the start and end of threads"),
    allow(nr::__NR_rt_sigaction, "the C library's own signal, when the first thread starts"),
    allow(nr::__NR_rt_sigreturn, "the end of a signal handler"),
    allow(nr::__NR_sched_getaffinity, "how many CPUs there are"),
    allow_when(nr::__NR_prctl, &[Argument::is(0, 15)], "names of threads"),
    allow(nr::__NR_gettid, "abort; thread ids in panics"),
    allow(nr::__NR_getpid, "no write goes to the sentry itself; abort"),
    allow(nr::__NR_tgkill, "interrupt a guest thread; abort"),
    allow(nr::__NR_kill, "end a stub; the pid namespace holds nothing else"),
    allow(nr::__NR_waitid, "notice and reap dead stubs"),
    allow(nr::__NR_getrandom, "random bytes for guests; seeds of hash tables"),
    allow(nr::__NR_sysinfo, "free memory, load"),
    allow(nr::__NR_process_vm_readv, "guest memory that no window reaches"),
    allow(nr::__NR_process_vm_writev, "the same"),
    allow(nr::__NR_restart_syscall, "poll and sleep after a stop"),
    allow(nr::__NR_exit, "the end of a thread"),
    allow(nr::__NR_exit_group, "the end"),
];

/// What systrap needs besides.
pub const SYSTRAP: &[Allowed] = &[
    allow_when(
        nr::__NR_ioctl,
        &[Argument { index: 1, mask: 0xff00, value: 0x2100 }],
        "seccomp notifications: receive, answer, hand out a descriptor",
    ),
    allow(nr::__NR_socketpair, "set-up of a stub"),
    allow(nr::__NR_getpgid, "check that a process is a stub"),
];

/// What ptrace needs besides.
pub const PTRACE: &[Allowed] = &[allow(nr::__NR_ptrace, "all of it; only own stubs can be traced")];

/// Calls that libraries try and do without: they are answered as if the kernel or the file were not there.
pub const MISSING: &[(u32, Errno)] = &[(nr::__NR_openat, Errno::ENOENT), (nr::__NR_readlink, Errno::ENOENT)];
