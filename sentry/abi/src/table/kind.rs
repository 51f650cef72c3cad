//! What an argument of a system call can be, and what a call can return.

use super::FlagSet;

/// What one argument is. An index (`Arg(2)`) counts the call's arguments from 0.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// A file descriptor.
    Fd,
    /// A directory's file descriptor, or `AT_FDCWD`.
    DirFd,
    /// A signed 32-bit number.
    Int,
    /// An unsigned 32-bit number.
    UInt,
    /// A signed 64-bit number.
    Long,
    /// An unsigned 64-bit number: a size, a count.
    Size,
    /// A signed file offset.
    Offset,
    /// Permission bits and file type.
    Mode,
    /// A device number.
    Dev,
    /// A combination of named bits.
    Flags(&'static FlagSet),
    /// One of several named values.
    Choice(&'static FlagSet),
    /// A signal number.
    Signal,
    /// A process or thread id.
    Pid,
    /// A user id.
    Uid,
    /// A group id.
    Gid,
    /// A clock id.
    Clock,
    /// An address that the call does not read or write through.
    Addr,
    /// Memory which the call uses in a way that depends on other arguments (`ioctl`, `fcntl`, `prctl`).
    Ptr,
    /// A file name, zero-terminated, resolved from a directory.
    Path,
    /// Another zero-terminated string (an attribute's name, a file-system type).
    CStr,
    /// A zero-ended array of pointers to strings (`argv`, `envp`).
    StrVec,
    /// A structure that the call reads.
    StructIn(Struct),
    /// A structure that the call writes.
    StructOut(Struct),
    /// A structure that the call reads and writes.
    StructInOut(Struct),
    /// Bytes that the call reads.
    BufIn(Length),
    /// Bytes that the call writes.
    BufOut(Length),
    /// Bytes that the call reads and writes.
    BufInOut(Length),
    /// An array of structures that the call reads; its count is an argument.
    ArrayIn(Struct, u8),
    /// An array of structures that the call writes.
    ArrayOut(Struct, u8),
    /// An array of structures that the call reads and writes.
    ArrayInOut(Struct, u8),
    /// An array of `iovec`s whose buffers the call reads; its count is an argument.
    IovIn(u8),
    /// An array of `iovec`s whose buffers the call writes.
    IovOut(u8),
    /// A `msghdr` to send from.
    MsgIn,
    /// A `msghdr` to receive into.
    MsgOut,
    /// A 32-bit word that threads share (futex).
    Word,
}

/// Where the length of a buffer stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Length {
    /// In an argument; all of it is used.
    Arg(u8),
    /// In an argument, as the most; the return value says how much was used.
    Returned(u8),
    /// In the 32-bit word that an argument points at (`accept`'s `addrlen`).
    AtArg(u8),
    /// One bit a unit, counted by an argument (`select`'s sets).
    Bits(u8),
}

/// What a return value outside -4095..=-1 means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Returns {
    /// Only 0.
    Zero,
    /// A number.
    Number,
    /// A new file descriptor.
    Fd,
    /// A count of bytes.
    Bytes,
    /// A file offset.
    Offset,
    /// An address.
    Addr,
    /// A process or thread id.
    Pid,
    /// A user or group id.
    Id,
    /// Permission bits.
    Mode,
    /// The call does not return to its caller.
    Never,
}

macro_rules! structs {
    ($($name:ident $c:literal $size:literal,)*) => {
        /// A structure of the ABI, by the manual's name.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[allow(missing_docs, reason = "variants carry the names of the manual page")]
        pub enum Struct { $($name,)* }

        impl Struct {
            /// The name in C.
            pub const fn name(self) -> &'static str {
                match self { $(Struct::$name => $c,)* }
            }

            /// Its size in bytes on x86-64.
            pub const fn size(self) -> u16 {
                match self { $(Struct::$name => $size,)* }
            }
        }
    };
}

structs! {
    Int "int" 4, Long "long" 8, Fds "int[2]" 8, Time "time_t" 8, OffsetT "off_t" 8,
    Timespec "timespec" 16, Timespecs "timespec[2]" 32, Timeval "timeval" 16, Timevals "timeval[2]" 32, Timezone "timezone" 8,
    Itimerval "itimerval" 32, Itimerspec "itimerspec" 32, Utimbuf "utimbuf" 16, Timex "timex" 208,
    Stat "stat" 144, Statx "statx" 256, Statfs "statfs" 120, Ustat "ustat" 32, OpenHow "open_how" 24,
    Sigaction "sigaction" 32, SigSet "sigset_t" 8, SigInfo "siginfo_t" 128, StackT "stack_t" 24, SigEvent "sigevent" 64,
    PselectMask "pselect mask" 16, Pollfd "pollfd" 8, EpollEvent "epoll_event" 12,
    Rlimit "rlimit" 16, Rusage "rusage" 144, Tms "tms" 32, Sysinfo "sysinfo" 112, Utsname "utsname" 390,
    SchedParam "sched_param" 4, UserCapHeader "cap_user_header_t" 8, UserCapData "cap_user_data_t[2]" 24,
    MqAttr "mq_attr" 64, Sembuf "sembuf" 6, UserDesc "user_desc" 16, RobustHead "robust_list_head" 24,
    FutexWaitv "futex_waitv" 24, Mmsghdr "mmsghdr" 64, IoEvent "io_event" 32, UringParams "io_uring_params" 120,
    FileHandle "file_handle" 8, CachestatRange "cachestat_range" 16, Cachestat "cachestat" 32, Pointer "void *" 8,
    KexecSegment "kexec_segment" 32, MntIdReq "mnt_id_req" 24, CpuCache "getcpu_cache" 128,
}
