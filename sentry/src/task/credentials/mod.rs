//! User, group and capability identity (`man 7 credentials`, `man 7 capabilities`).

mod exec;
mod set_id;

pub use exec::{FileCapabilities, FilePrivileges};
pub use set_id::MAX_GROUPS;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::capability::{CapSet, Capabilities, Capability};
use super::{Current, Task};

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

impl SecureBits {
    /// The bits that lock others.
    pub const LOCKS: SecureBits = SecureBits::NOROOT_LOCKED
        .union(SecureBits::NO_SETUID_FIXUP_LOCKED)
        .union(SecureBits::KEEP_CAPS_LOCKED)
        .union(SecureBits::NO_CAP_AMBIENT_RAISE_LOCKED);
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

impl Task {
    /// Replaces the task's credentials. Whoever changes identity or gains capabilities is no longer dumpable, and does not
    /// hear of its parent's death any more (`man 2 prctl`).
    pub fn set_credentials(&self, new: Credentials) {
        let (uid, is_sensitive) = {
            let mut state = self.state.lock();
            let old = std::mem::replace(&mut state.credentials, Arc::new(new));
            let new = &state.credentials;
            let same_identity =
                (old.euid, old.egid, old.fsuid, old.fsgid) == (new.euid, new.egid, new.fsuid, new.fsgid);
            (new.uid, !same_identity || !old.capabilities.permitted.includes(new.capabilities.permitted))
        };
        if is_sensitive {
            self.group.dumpable.store(false, Ordering::Relaxed);
            self.signals.lock().parent_death_signal = None;
        }
        if self.tid == self.group.pid {
            self.group.family.lock().uid = uid;
        }
    }
}

/// Whether the current task may look into `target` (Linux's `ptrace_may_access` with real credentials).
pub fn may_access(current: &Current, target: &Arc<Task>) -> bool {
    if Arc::ptr_eq(&current.task.group, &target.group) {
        return true;
    }
    let (own, theirs) = (current.task.credentials(), target.credentials());
    if own.has(Capability::SYS_PTRACE) {
        return true;
    }
    let same = [theirs.uid, theirs.euid, theirs.suid].iter().all(|&uid| uid == own.uid)
        && [theirs.gid, theirs.egid, theirs.sgid].iter().all(|&gid| gid == own.gid);
    let within = own.capabilities.permitted.includes(theirs.capabilities.permitted);
    same && within && target.group.dumpable.load(Ordering::Relaxed)
}
