//! Signals: numbers, sets, dispositions and `siginfo` (`man 7 signal`, `asm-generic/siginfo.h`).

use core::fmt;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// A signal number, 1..=64.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Signal(u8);

macro_rules! signals {
    ($($name:ident = $value:expr),* $(,)?) => {
        impl Signal {
            $(#[doc = stringify!($name)] pub const $name: Signal = Signal($value);)*

            /// The symbolic name of a standard signal.
            pub const fn name(self) -> Option<&'static str> {
                match self.0 { $($value => Some(stringify!($name)),)* _ => None }
            }
        }
    };
}

signals! {
    SIGHUP = 1, SIGINT = 2, SIGQUIT = 3, SIGILL = 4, SIGTRAP = 5, SIGABRT = 6, SIGBUS = 7, SIGFPE = 8, SIGKILL = 9,
    SIGUSR1 = 10, SIGSEGV = 11, SIGUSR2 = 12, SIGPIPE = 13, SIGALRM = 14, SIGTERM = 15, SIGSTKFLT = 16, SIGCHLD = 17,
    SIGCONT = 18, SIGSTOP = 19, SIGTSTP = 20, SIGTTIN = 21, SIGTTOU = 22, SIGURG = 23, SIGXCPU = 24, SIGXFSZ = 25,
    SIGVTALRM = 26, SIGPROF = 27, SIGWINCH = 28, SIGIO = 29, SIGPWR = 30, SIGSYS = 31,
}

impl Signal {
    /// The first real-time signal.
    pub const SIGRTMIN: Signal = Signal(32);
    /// The highest signal number.
    pub const MAX: u8 = 64;

    /// A signal by number; `None` outside 1..=64.
    pub const fn new(number: u64) -> Option<Signal> {
        match number {
            1..=64 => Some(Signal(number as u8)),
            _ => None,
        }
    }

    /// The number, 1..=64.
    pub const fn number(self) -> u8 {
        self.0
    }

    /// Whether signals of this number queue rather than merge.
    pub const fn is_realtime(self) -> bool {
        self.0 >= 32
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "SIGRT_{}", self.0 - 32),
        }
    }
}

/// A set of signals, in the kernel's 64-bit `sigset_t` form (bit n-1 is signal n).
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(transparent)]
pub struct SigSet(pub u64);

impl SigSet {
    /// The empty set.
    pub const EMPTY: SigSet = SigSet(0);
    /// SIGKILL and SIGSTOP, which can be neither blocked nor caught.
    pub const UNBLOCKABLE: SigSet = SigSet(1 << 8 | 1 << 18);

    /// The set of one signal.
    pub const fn of(signal: Signal) -> SigSet {
        SigSet(1 << (signal.0 - 1))
    }
    /// Whether `signal` is in the set.
    pub const fn contains(self, signal: Signal) -> bool {
        self.0 & SigSet::of(signal).0 != 0
    }
    /// Adds `signal`.
    pub fn add(&mut self, signal: Signal) {
        self.0 |= SigSet::of(signal).0;
    }
    /// Removes `signal`.
    pub fn remove(&mut self, signal: Signal) {
        self.0 &= !SigSet::of(signal).0;
    }
    /// The lowest signal of the set.
    pub const fn first(self) -> Option<Signal> {
        match self.0 {
            0 => None,
            bits => Some(Signal(bits.trailing_zeros() as u8 + 1)),
        }
    }
    /// Members of both sets.
    pub const fn and(self, other: SigSet) -> SigSet {
        SigSet(self.0 & other.0)
    }
    /// Members of either set.
    pub const fn or(self, other: SigSet) -> SigSet {
        SigSet(self.0 | other.0)
    }
    /// Members of this set that are not in `other`.
    pub const fn without(self, other: SigSet) -> SigSet {
        SigSet(self.0 & !other.0)
    }
    /// Whether no signal is in the set.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// `struct kernel_sigaction` as `rt_sigaction` exchanges it.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct SigAction {
    /// Handler address, or 0 (`SIG_DFL`), or 1 (`SIG_IGN`).
    pub handler: u64,
    /// `SA_*` flags.
    pub flags: u64,
    /// Return trampoline (`SA_RESTORER`).
    pub restorer: u64,
    /// Signals blocked while the handler runs.
    pub mask: SigSet,
}

/// `siginfo_t`: 128 bytes, of which the first three words are common and the rest depends on the origin.
#[derive(Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C, align(8))]
pub struct SigInfo {
    /// The signal number.
    pub signo: i32,
    /// An errno, nearly always 0.
    pub errno: i32,
    /// `SI_*`, `SEGV_*`, `CLD_*` …
    pub code: i32,
    /// Padding on 64-bit machines.
    pub pad: i32,
    /// The union `_sifields`, byte for byte.
    pub fields: [u8; 112],
}

impl SigInfo {
    /// `SI_USER`: sent by `kill`.
    pub const SI_USER: i32 = 0;
    /// `SI_KERNEL`: sent by the kernel.
    pub const SI_KERNEL: i32 = 0x80;
    /// `SI_QUEUE`: sent by `sigqueue`.
    pub const SI_QUEUE: i32 = -1;
    /// `SI_TIMER`: a POSIX timer ran out.
    pub const SI_TIMER: i32 = -2;
    /// `SI_TKILL`: sent by `tkill` or `tgkill`.
    pub const SI_TKILL: i32 = -6;

    /// A record with all fields zero.
    pub const fn new(signal: Signal, code: i32) -> SigInfo {
        SigInfo { signo: signal.0 as i32, errno: 0, code, pad: 0, fields: [0; 112] }
    }

    /// `kill`, `tgkill`, `sigqueue`: who sent it (`si_pid`, `si_uid`).
    pub fn from_sender(signal: Signal, code: i32, pid: i32, uid: u32) -> SigInfo {
        let mut info = SigInfo::new(signal, code);
        info.put(0, &pid.to_ne_bytes());
        info.put(4, &uid.to_ne_bytes());
        info
    }

    /// A hardware fault at `addr` (`si_addr`).
    pub fn from_fault(signal: Signal, code: i32, addr: u64) -> SigInfo {
        let mut info = SigInfo::new(signal, code);
        info.put(0, &addr.to_ne_bytes());
        info
    }

    /// SIGCHLD (`si_pid`, `si_uid`, `si_status`, `si_utime`, `si_stime` in clock ticks).
    pub fn from_child(code: i32, pid: i32, uid: u32, status: i32, utime: i64, stime: i64) -> SigInfo {
        let mut info = SigInfo::from_sender(Signal::SIGCHLD, code, pid, uid);
        info.put(8, &status.to_ne_bytes());
        info.put(16, &utime.to_ne_bytes());
        info.put(24, &stime.to_ne_bytes());
        info
    }

    /// Overwrites bytes of the union from `offset` on.
    pub fn put(&mut self, offset: usize, bytes: &[u8]) {
        self.fields[offset..offset + bytes.len()].copy_from_slice(bytes);
    }
}

impl fmt::Debug for SigInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigInfo {{ signo: {}, code: {} }}", self.signo, self.code)
    }
}

/// `stack_t` of `sigaltstack`.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct SigAltStack {
    /// Lowest address.
    pub sp: u64,
    /// `SS_ONSTACK`, `SS_DISABLE`, `SS_AUTODISARM`.
    pub flags: i32,
    /// Padding.
    pub pad: u32,
    /// Size in bytes.
    pub size: u64,
}
