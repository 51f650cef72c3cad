//! Structures that cross the system-call boundary, as plain data that converts to and from bytes.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

macro_rules! guest_struct {
    ($(#[$meta:meta])* pub struct $name:ident { $($(#[$fmeta:meta])* pub $field:ident: $ty:ty,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, Default, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
        #[repr(C)]
        #[allow(missing_docs, reason = "fields carry the names of the manual page")]
        pub struct $name { $($(#[$fmeta])* pub $field: $ty,)* }
    };
}

guest_struct! {
    /// `struct timespec` (64-bit), `man 3 timespec`.
    pub struct Timespec { pub tv_sec: i64, pub tv_nsec: i64, }
}
guest_struct! {
    /// `struct timeval`.
    pub struct Timeval { pub tv_sec: i64, pub tv_usec: i64, }
}
guest_struct! {
    /// `struct itimerspec`.
    pub struct Itimerspec { pub it_interval: Timespec, pub it_value: Timespec, }
}
guest_struct! {
    /// `struct itimerval`.
    pub struct Itimerval { pub it_interval: Timeval, pub it_value: Timeval, }
}
guest_struct! {
    /// `struct iovec`: an allegation, not yet checked.
    pub struct Iovec { pub base: u64, pub len: u64, }
}
guest_struct! {
    /// `struct stat`, `man 3type stat`.
    pub struct Stat {
        pub st_dev: u64, pub st_ino: u64, pub st_nlink: u64,
        pub st_mode: u32, pub st_uid: u32, pub st_gid: u32, pub pad0: u32,
        pub st_rdev: u64, pub st_size: i64, pub st_blksize: i64, pub st_blocks: i64,
        pub st_atim: Timespec, pub st_mtim: Timespec, pub st_ctim: Timespec,
        pub unused: [i64; 3],
    }
}
guest_struct! {
    /// `struct statx_timestamp`.
    pub struct StatxTimestamp { pub tv_sec: i64, pub tv_nsec: u32, pub pad: i32, }
}
guest_struct! {
    /// `struct statx`, `man 2 statx`.
    pub struct Statx {
        pub stx_mask: u32, pub stx_blksize: u32, pub stx_attributes: u64,
        pub stx_nlink: u32, pub stx_uid: u32, pub stx_gid: u32, pub stx_mode: u16, pub pad0: u16,
        pub stx_ino: u64, pub stx_size: u64, pub stx_blocks: u64, pub stx_attributes_mask: u64,
        pub stx_atime: StatxTimestamp, pub stx_btime: StatxTimestamp, pub stx_ctime: StatxTimestamp, pub stx_mtime: StatxTimestamp,
        pub stx_rdev_major: u32, pub stx_rdev_minor: u32, pub stx_dev_major: u32, pub stx_dev_minor: u32,
        pub stx_mnt_id: u64, pub stx_dio_mem_align: u32, pub stx_dio_offset_align: u32,
        pub spare: [u64; 12],
    }
}
guest_struct! {
    /// `struct statfs`.
    pub struct Statfs {
        pub f_type: i64, pub f_bsize: i64, pub f_blocks: u64, pub f_bfree: u64, pub f_bavail: u64,
        pub f_files: u64, pub f_ffree: u64, pub f_fsid: [i32; 2], pub f_namelen: i64, pub f_frsize: i64,
        pub f_flags: i64, pub f_spare: [i64; 4],
    }
}
guest_struct! {
    /// `struct rlimit64`.
    pub struct Rlimit { pub cur: u64, pub max: u64, }
}
guest_struct! {
    /// `struct rusage`.
    pub struct Rusage {
        pub ru_utime: Timeval, pub ru_stime: Timeval, pub ru_maxrss: i64, pub ru_ixrss: i64, pub ru_idrss: i64,
        pub ru_isrss: i64, pub ru_minflt: i64, pub ru_majflt: i64, pub ru_nswap: i64, pub ru_inblock: i64,
        pub ru_oublock: i64, pub ru_msgsnd: i64, pub ru_msgrcv: i64, pub ru_nsignals: i64, pub ru_nvcsw: i64, pub ru_nivcsw: i64,
    }
}
guest_struct! {
    /// `struct tms` of `times`, in clock ticks.
    pub struct Tms { pub tms_utime: i64, pub tms_stime: i64, pub tms_cutime: i64, pub tms_cstime: i64, }
}
guest_struct! {
    /// `struct sysinfo`.
    pub struct Sysinfo {
        pub uptime: i64, pub loads: [u64; 3], pub totalram: u64, pub freeram: u64, pub sharedram: u64, pub bufferram: u64,
        pub totalswap: u64, pub freeswap: u64, pub procs: u16, pub pad: [u16; 3], pub totalhigh: u64, pub freehigh: u64,
        pub mem_unit: u32, pub pad2: u32,
    }
}
guest_struct! {
    /// `struct pollfd`.
    pub struct Pollfd { pub fd: i32, pub events: i16, pub revents: i16, }
}
guest_struct! {
    /// `struct winsize`, `man 4 tty_ioctl`.
    pub struct Winsize { pub ws_row: u16, pub ws_col: u16, pub ws_xpixel: u16, pub ws_ypixel: u16, }
}
guest_struct! {
    /// The kernel's `struct termios` (19 control characters).
    pub struct Termios { pub c_iflag: u32, pub c_oflag: u32, pub c_cflag: u32, pub c_lflag: u32, pub c_line: u8, pub c_cc: [u8; 19], }
}
guest_struct! {
    /// `struct flock` of `fcntl`.
    pub struct Flock { pub l_type: i16, pub l_whence: i16, pub pad0: u32, pub l_start: i64, pub l_len: i64, pub l_pid: i32, pub pad1: u32, }
}
guest_struct! {
    /// `struct clone_args`, all of its published fields.
    pub struct CloneArgs {
        pub flags: u64, pub pidfd: u64, pub child_tid: u64, pub parent_tid: u64, pub exit_signal: u64, pub stack: u64,
        pub stack_size: u64, pub tls: u64, pub set_tid: u64, pub set_tid_size: u64, pub cgroup: u64,
    }
}
guest_struct! {
    /// `struct open_how`, `man 2 openat2`.
    pub struct OpenHow { pub flags: u64, pub mode: u64, pub resolve: u64, }
}

/// `struct new_utsname`.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
#[allow(missing_docs, reason = "fields carry the names of the manual page")]
pub struct Utsname {
    pub sysname: [u8; 65],
    pub nodename: [u8; 65],
    pub release: [u8; 65],
    pub version: [u8; 65],
    pub machine: [u8; 65],
    pub domainname: [u8; 65],
}

/// `struct epoll_event`, packed on x86-64.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C, packed)]
#[allow(missing_docs, reason = "fields carry the names of the manual page")]
pub struct EpollEvent {
    pub events: u32,
    pub data: u64,
}

impl Timespec {
    /// From nanoseconds since the epoch of some clock.
    pub const fn from_ns(ns: i64) -> Timespec {
        Timespec { tv_sec: ns.div_euclid(1_000_000_000), tv_nsec: ns.rem_euclid(1_000_000_000) }
    }
    /// In nanoseconds, saturating.
    pub const fn to_ns(self) -> i64 {
        self.tv_sec.saturating_mul(1_000_000_000).saturating_add(self.tv_nsec)
    }
    /// Whether `tv_sec` is not negative and `tv_nsec` lies in 0..1_000_000_000.
    pub const fn is_valid(self) -> bool {
        self.tv_sec >= 0 && 0 <= self.tv_nsec && self.tv_nsec < 1_000_000_000
    }
}
