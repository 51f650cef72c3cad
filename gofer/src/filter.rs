//! The system calls that a jailed gofer may make, each with its reason.

use abi::nr;
use host::seccomp_allow::{Allowed, Argument, allow, allow_when};

const PROT_EXEC: u64 = 4;
const F_GETFD: u64 = 1;
const F_GET_SEALS: u64 = 1034;
const STDERR: u64 = 2;

/// What every gofer needs.
pub(crate) const ALWAYS: &[Allowed] = &[
    // The connection.
    allow(nr::__NR_recvmsg, "requests by the socket, and doorbells"),
    allow(nr::__NR_recvfrom, "a look whether the client's queue is empty"),
    allow(nr::__NR_sendmsg, "answers by the socket, and descriptors"),
    allow(nr::__NR_poll, "sleep until the client rings"),
    allow(nr::__NR_futex, "wake a client that sleeps on its answer; locks of the allocator"),
    // Looking at files.
    allow(nr::__NR_openat2, "every lookup of a name; it alone can promise to stay beneath a directory"),
    allow(nr::__NR_close, "nodes that are closed or forgotten"),
    allow(nr::__NR_statx, "attributes"),
    allow(nr::__NR_fstatfs, "statfs, and to recognise pseudo file systems"),
    allow(nr::__NR_readlinkat, "targets of links"),
    allow(nr::__NR_getdents64, "listing directories"),
    allow(nr::__NR_lseek, "going on with a listing"),
    allow(nr::__NR_getxattrat, "extended attributes (Linux 6.13)"),
    allow(nr::__NR_listxattrat, "extended attributes (Linux 6.13)"),
    allow(nr::__NR_fgetxattr, "extended attributes before that"),
    allow(nr::__NR_flistxattr, "extended attributes before that"),
    allow(nr::__NR_fsync, "the client's fsync without a descriptor"),
    allow(nr::__NR_fdatasync, "the same"),
    allow(nr::__NR_umask, "once at the start: new files get exactly the mode that is asked for"),
    allow_when(
        nr::__NR_prlimit64,
        &[Argument::is(0, 0)],
        "once at the start: as many open files as the hard limit allows",
    ),
    allow_when(
        nr::__NR_fcntl,
        &[Argument::is(1, F_GET_SEALS)],
        "once at the start: nobody can truncate the shared memory",
    ),
    allow_when(
        nr::__NR_fcntl,
        &[Argument::is(1, F_GETFD)],
        "a check of the standard library before each close, in debug builds",
    ),
    // Memory and the end of the process.
    allow(nr::__NR_brk, "the allocator"),
    allow_when(nr::__NR_mmap, &[Argument::lacks(2, PROT_EXEC)], "the allocator; never code"),
    allow_when(nr::__NR_mprotect, &[Argument::lacks(2, PROT_EXEC)], "the allocator; never code"),
    allow(nr::__NR_munmap, "the allocator"),
    allow(nr::__NR_mremap, "the allocator"),
    allow(nr::__NR_madvise, "the allocator"),
    allow(nr::__NR_getrandom, "seeds of hash tables"),
    allow(nr::__NR_clock_gettime, "where the vDSO cannot tell the time"),
    allow(nr::__NR_rt_sigreturn, "end of a signal handler (the runtime's, for stack overflows)"),
    allow(nr::__NR_rt_sigprocmask, "abort"),
    allow(nr::__NR_sigaltstack, "the runtime takes its signal stack down at the end"),
    allow(nr::__NR_restart_syscall, "poll and futex after a stop"),
    allow_when(nr::__NR_write, &[Argument::is(0, STDERR)], "the message of a panic"),
    allow(nr::__NR_exit, "the end"),
    allow(nr::__NR_exit_group, "the end"),
];

/// What a gofer with a writable attach point needs besides.
pub(crate) const WRITABLE: &[Allowed] = &[
    allow(nr::__NR_mkdirat, "mkdir"),
    allow(nr::__NR_mknodat, "FIFOs, places of sockets, whiteouts; real devices need a capability it has not got"),
    allow(nr::__NR_symlinkat, "symlink"),
    allow(nr::__NR_linkat, "link"),
    allow(nr::__NR_unlinkat, "unlink and rmdir"),
    allow(nr::__NR_renameat2, "rename"),
    allow(nr::__NR_ftruncate, "truncate"),
    allow(nr::__NR_fchownat, "chown, and the owner of new files"),
    allow(nr::__NR_fchmodat2, "chmod (Linux 6.6)"),
    allow(nr::__NR_fchmod, "chmod before that"),
    allow(nr::__NR_utimensat, "utimes"),
    allow(nr::__NR_setxattrat, "extended attributes (Linux 6.13)"),
    allow(nr::__NR_removexattrat, "extended attributes (Linux 6.13)"),
    allow(nr::__NR_fsetxattr, "extended attributes before that"),
    allow(nr::__NR_fremovexattr, "extended attributes before that"),
];
