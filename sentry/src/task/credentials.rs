//! User, group and capability identity (`man 7 credentials`, `man 7 capabilities`).

use super::capability::{CapSet, Capabilities, Capability};

bitflags::bitflags! {
    /// `SECBIT_*` (`man 7 capabilities`).
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
    pub struct SecureBits: u32 {
        /// Root has no privilege by its number.
        const NOROOT = 0x1;
        /// Locks the former.
        const NOROOT_LOCKED = 0x2;
        /// Changes of user leave capabilities alone.
        const NO_SETUID_FIXUP = 0x4;
        /// Locks the former.
        const NO_SETUID_FIXUP_LOCKED = 0x8;
        /// Leaving root keeps the permitted set.
        const KEEP_CAPS = 0x10;
        /// Locks the former.
        const KEEP_CAPS_LOCKED = 0x20;
        /// The ambient set cannot grow.
        const NO_CAP_AMBIENT_RAISE = 0x40;
        /// Locks the former.
        const NO_CAP_AMBIENT_RAISE_LOCKED = 0x80;
    }
}

/// An immutable set of credentials; tasks share and replace it whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Credentials {
    /// Real user.
    pub uid: u32,
    /// Effective user.
    pub euid: u32,
    /// Saved user.
    pub suid: u32,
    /// User for file access.
    pub fsuid: u32,
    /// Real group.
    pub gid: u32,
    /// Effective group.
    pub egid: u32,
    /// Saved group.
    pub sgid: u32,
    /// Group for file access.
    pub fsgid: u32,
    /// Supplementary groups.
    pub groups: Vec<u32>,
    /// Capabilities.
    pub capabilities: Capabilities,
    /// `prctl(PR_SET_SECUREBITS)`
    pub secure_bits: SecureBits,
    /// `prctl(PR_SET_NO_NEW_PRIVS)`: `execve` gives nothing.
    pub no_new_privs: bool,
}

impl Credentials {
    /// All four users `uid`, all four groups `gid`; root gets what `bounding` allows.
    pub fn new(uid: u32, gid: u32, groups: Vec<u32>, bounding: CapSet) -> Credentials {
        let capabilities = if uid == 0 { Capabilities::root(bounding) } else { Capabilities::none(bounding) };
        Credentials {
            uid,
            euid: uid,
            suid: uid,
            fsuid: uid,
            gid,
            egid: gid,
            sgid: gid,
            fsgid: gid,
            groups,
            capabilities,
            ..Credentials::default()
        }
    }

    /// Whether `capability` is effective.
    pub fn has(&self, capability: Capability) -> bool {
        self.capabilities.effective.contains(capability)
    }

    /// Whether `gid` is the effective group or a supplementary one.
    pub fn in_effective_group(&self, gid: u32) -> bool {
        self.egid == gid || self.groups.contains(&gid)
    }

    /// Whether `gid` is the group for file access or a supplementary one.
    pub fn in_file_group(&self, gid: u32) -> bool {
        self.fsgid == gid || self.groups.contains(&gid)
    }
}
