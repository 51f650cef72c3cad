//! Capabilities (`man 7 capabilities`).

/// A capability, by its number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Capability(u8);

macro_rules! capabilities {
    ($($name:ident = $value:expr),* $(,)?) => {
        impl Capability {
            $(#[doc = concat!("`CAP_", stringify!($name), "`")] pub const $name: Capability = Capability($value);)*
        }
    };
}

capabilities! {
    CHOWN = 0, DAC_OVERRIDE = 1, DAC_READ_SEARCH = 2, FOWNER = 3, FSETID = 4, KILL = 5, SETGID = 6, SETUID = 7,
    SETPCAP = 8, LINUX_IMMUTABLE = 9, NET_BIND_SERVICE = 10, NET_BROADCAST = 11, NET_ADMIN = 12, NET_RAW = 13,
    IPC_LOCK = 14, IPC_OWNER = 15, SYS_MODULE = 16, SYS_RAWIO = 17, SYS_CHROOT = 18, SYS_PTRACE = 19, SYS_PACCT = 20,
    SYS_ADMIN = 21, SYS_BOOT = 22, SYS_NICE = 23, SYS_RESOURCE = 24, SYS_TIME = 25, SYS_TTY_CONFIG = 26, MKNOD = 27,
    LEASE = 28, AUDIT_WRITE = 29, AUDIT_CONTROL = 30, SETFCAP = 31, MAC_OVERRIDE = 32, MAC_ADMIN = 33, SYSLOG = 34,
    WAKE_ALARM = 35, BLOCK_SUSPEND = 36, AUDIT_READ = 37, PERFMON = 38, BPF = 39, CHECKPOINT_RESTORE = 40,
}

impl Capability {
    /// The highest capability (`/proc/sys/kernel/cap_last_cap`).
    pub const LAST: u8 = 40;

    /// A capability by number.
    pub const fn new(number: u64) -> Option<Capability> {
        if number <= Capability::LAST as u64 { Some(Capability(number as u8)) } else { None }
    }

    /// The number.
    pub const fn number(self) -> u8 {
        self.0
    }
}

/// A set of capabilities: bit n is capability n.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct CapSet(pub u64);

impl CapSet {
    /// No capability.
    pub const EMPTY: CapSet = CapSet(0);
    /// Every capability there is.
    pub const FULL: CapSet = CapSet((1 << (Capability::LAST + 1)) - 1);
    /// What Docker gives a container by default, which is also what a sandbox's root gets without a configuration.
    pub const CONTAINER: CapSet = CapSet::of(&[
        Capability::CHOWN,
        Capability::DAC_OVERRIDE,
        Capability::FSETID,
        Capability::FOWNER,
        Capability::MKNOD,
        Capability::NET_RAW,
        Capability::SETGID,
        Capability::SETUID,
        Capability::SETFCAP,
        Capability::SETPCAP,
        Capability::NET_BIND_SERVICE,
        Capability::SYS_CHROOT,
        Capability::KILL,
        Capability::AUDIT_WRITE,
    ]);
    /// Capabilities over files, which follow the file-system user (`setfsuid`): Linux's `CAP_FS_MASK`.
    pub const FILE_SYSTEM: CapSet = CapSet::of(&[
        Capability::CHOWN,
        Capability::MKNOD,
        Capability::DAC_OVERRIDE,
        Capability::DAC_READ_SEARCH,
        Capability::FOWNER,
        Capability::FSETID,
        Capability::LINUX_IMMUTABLE,
        Capability::MAC_OVERRIDE,
    ]);

    /// The set of `members`.
    pub const fn of(members: &[Capability]) -> CapSet {
        let mut bits = 0;
        let mut n = 0;
        while n < members.len() {
            bits |= 1 << members[n].0;
            n += 1;
        }
        CapSet(bits)
    }
    /// Whether `capability` is a member.
    pub const fn contains(self, capability: Capability) -> bool {
        self.0 & (1 << capability.0) != 0
    }
    /// Whether all of `other` is in this set.
    pub const fn includes(self, other: CapSet) -> bool {
        other.0 & !self.0 == 0
    }
    /// Members of both.
    pub const fn and(self, other: CapSet) -> CapSet {
        CapSet(self.0 & other.0)
    }
    /// Members of either.
    pub const fn or(self, other: CapSet) -> CapSet {
        CapSet(self.0 | other.0)
    }
    /// Members that are not in `other`.
    pub const fn without(self, other: CapSet) -> CapSet {
        CapSet(self.0 & !other.0)
    }
    /// Whether there is no member.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// The five capability sets of a thread.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Capabilities {
    /// Checked for privilege.
    pub effective: CapSet,
    /// What may be made effective.
    pub permitted: CapSet,
    /// Kept over `execve` where the file allows it.
    pub inheritable: CapSet,
    /// Upper bound of what `execve` may give.
    pub bounding: CapSet,
    /// Kept over `execve` of ordinary files.
    pub ambient: CapSet,
}

impl Capabilities {
    /// Of a user without privilege, within `bounding`.
    pub const fn none(bounding: CapSet) -> Capabilities {
        Capabilities {
            effective: CapSet::EMPTY,
            permitted: CapSet::EMPTY,
            inheritable: CapSet::EMPTY,
            bounding,
            ambient: CapSet::EMPTY,
        }
    }

    /// Of root with all that `bounding` allows.
    pub const fn root(bounding: CapSet) -> Capabilities {
        Capabilities { effective: bounding, permitted: bounding, ..Capabilities::none(bounding) }
    }

    /// Takes from the ambient set what is no longer both permitted and inheritable.
    pub fn trim_ambient(&mut self) {
        self.ambient = self.ambient.and(self.permitted).and(self.inheritable);
    }
}
