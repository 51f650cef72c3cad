//! Changes of identity: the `set*id` family (`man 2 setresuid`) and what they do to capabilities (`man 7 capabilities`,
//! "Effect of user ID changes on capabilities").

use super::{Credentials, SecureBits};
use crate::Errno;
use crate::task::capability::{CapSet, Capability};

/// Groups that `setgroups` takes at most (`NGROUPS_MAX`).
pub const MAX_GROUPS: usize = 65536;

impl Credentials {
    /// `setuid`
    ///
    /// # Errors
    /// EPERM
    pub fn set_uid(&self, uid: u32) -> Result<Credentials, Errno> {
        let mut new = self.clone();
        if self.has(Capability::SETUID) {
            (new.uid, new.suid) = (uid, uid);
        } else if uid != self.uid && uid != self.suid {
            return Err(Errno::EPERM);
        }
        (new.euid, new.fsuid) = (uid, uid);
        Ok(new.after_uid_change(self))
    }

    /// `setreuid`; `None` leaves as it is.
    ///
    /// # Errors
    /// EPERM
    pub fn set_re_uid(&self, real: Option<u32>, effective: Option<u32>) -> Result<Credentials, Errno> {
        let privileged = self.has(Capability::SETUID);
        let real_ok = real.is_none_or(|uid| uid == self.uid || uid == self.euid);
        let effective_ok = effective.is_none_or(|uid| [self.uid, self.euid, self.suid].contains(&uid));
        if !(privileged || real_ok && effective_ok) {
            return Err(Errno::EPERM);
        }
        let mut new = self.clone();
        new.uid = real.unwrap_or(self.uid);
        new.euid = effective.unwrap_or(self.euid);
        if real.is_some() || effective.is_some_and(|uid| uid != self.uid) {
            new.suid = new.euid;
        }
        new.fsuid = new.euid;
        Ok(new.after_uid_change(self))
    }

    /// `setresuid`; `None` leaves as it is.
    ///
    /// # Errors
    /// EPERM
    pub fn set_res_uid(&self, uids: [Option<u32>; 3]) -> Result<Credentials, Errno> {
        let own = [self.uid, self.euid, self.suid];
        if !self.has(Capability::SETUID) && !uids.iter().flatten().all(|uid| own.contains(uid)) {
            return Err(Errno::EPERM);
        }
        let mut new = self.clone();
        new.uid = uids[0].unwrap_or(self.uid);
        new.euid = uids[1].unwrap_or(self.euid);
        new.suid = uids[2].unwrap_or(self.suid);
        new.fsuid = new.euid;
        Ok(new.after_uid_change(self))
    }

    /// `setfsuid`; `None` where it is not allowed, which the call does not report.
    pub fn set_fs_uid(&self, uid: u32) -> Option<Credentials> {
        let own = [self.uid, self.euid, self.suid, self.fsuid];
        if !own.contains(&uid) && !self.has(Capability::SETUID) {
            return None;
        }
        let mut new = self.clone();
        new.fsuid = uid;
        if !self.secure_bits.contains(SecureBits::NO_SETUID_FIXUP) {
            let capabilities = &mut new.capabilities;
            if self.fsuid == 0 && uid != 0 {
                capabilities.effective = capabilities.effective.without(CapSet::FILE_SYSTEM);
            } else if self.fsuid != 0 && uid == 0 {
                let regained = capabilities.permitted.and(CapSet::FILE_SYSTEM);
                capabilities.effective = capabilities.effective.or(regained);
            }
        }
        Some(new)
    }

    /// `setgid`
    ///
    /// # Errors
    /// EPERM
    pub fn set_gid(&self, gid: u32) -> Result<Credentials, Errno> {
        let mut new = self.clone();
        if self.has(Capability::SETGID) {
            (new.gid, new.sgid) = (gid, gid);
        } else if gid != self.gid && gid != self.sgid {
            return Err(Errno::EPERM);
        }
        (new.egid, new.fsgid) = (gid, gid);
        Ok(new)
    }

    /// `setregid`; `None` leaves as it is.
    ///
    /// # Errors
    /// EPERM
    pub fn set_re_gid(&self, real: Option<u32>, effective: Option<u32>) -> Result<Credentials, Errno> {
        let privileged = self.has(Capability::SETGID);
        let real_ok = real.is_none_or(|gid| gid == self.gid || gid == self.egid);
        let effective_ok = effective.is_none_or(|gid| [self.gid, self.egid, self.sgid].contains(&gid));
        if !(privileged || real_ok && effective_ok) {
            return Err(Errno::EPERM);
        }
        let mut new = self.clone();
        new.gid = real.unwrap_or(self.gid);
        new.egid = effective.unwrap_or(self.egid);
        if real.is_some() || effective.is_some_and(|gid| gid != self.gid) {
            new.sgid = new.egid;
        }
        new.fsgid = new.egid;
        Ok(new)
    }

    /// `setresgid`; `None` leaves as it is.
    ///
    /// # Errors
    /// EPERM
    pub fn set_res_gid(&self, gids: [Option<u32>; 3]) -> Result<Credentials, Errno> {
        let own = [self.gid, self.egid, self.sgid];
        if !self.has(Capability::SETGID) && !gids.iter().flatten().all(|gid| own.contains(gid)) {
            return Err(Errno::EPERM);
        }
        let mut new = self.clone();
        new.gid = gids[0].unwrap_or(self.gid);
        new.egid = gids[1].unwrap_or(self.egid);
        new.sgid = gids[2].unwrap_or(self.sgid);
        new.fsgid = new.egid;
        Ok(new)
    }

    /// `setfsgid`; `None` where it is not allowed.
    pub fn set_fs_gid(&self, gid: u32) -> Option<Credentials> {
        let own = [self.gid, self.egid, self.sgid, self.fsgid];
        let allowed = own.contains(&gid) || self.has(Capability::SETGID);
        allowed.then(|| Credentials { fsgid: gid, ..self.clone() })
    }

    /// `setgroups`
    ///
    /// # Errors
    /// EPERM
    pub fn set_groups(&self, mut groups: Vec<u32>) -> Result<Credentials, Errno> {
        if !self.has(Capability::SETGID) {
            return Err(Errno::EPERM);
        }
        groups.sort_unstable();
        Ok(Credentials { groups, ..self.clone() })
    }

    /// Linux's `cap_emulate_setxuid`.
    fn after_uid_change(mut self, old: &Credentials) -> Credentials {
        if self.secure_bits.contains(SecureBits::NO_SETUID_FIXUP) {
            return self;
        }
        let is_root = |c: &Credentials| c.uid == 0 || c.euid == 0 || c.suid == 0;
        let capabilities = &mut self.capabilities;
        let leaves_root = is_root(old) && self.uid != 0 && self.euid != 0 && self.suid != 0;
        if leaves_root {
            if !self.secure_bits.contains(SecureBits::KEEP_CAPS) {
                capabilities.permitted = CapSet::EMPTY;
                capabilities.effective = CapSet::EMPTY;
            }
            capabilities.ambient = CapSet::EMPTY;
        }
        if old.euid == 0 && self.euid != 0 {
            capabilities.effective = CapSet::EMPTY;
        }
        if old.euid != 0 && self.euid == 0 {
            capabilities.effective = capabilities.permitted;
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root() -> Credentials {
        Credentials::new(0, 0, Vec::new(), CapSet::CONTAINER)
    }

    fn user() -> Credentials {
        Credentials::new(1000, 1000, vec![1000], CapSet::CONTAINER)
    }

    #[test]
    fn root_that_becomes_a_user_loses_its_capabilities_for_good() {
        let new = root().set_uid(1000).unwrap();
        assert_eq!([new.uid, new.euid, new.suid, new.fsuid], [1000; 4]);
        assert!(new.capabilities.permitted.is_empty() && new.capabilities.effective.is_empty());
        assert_eq!(new.set_uid(0), Err(Errno::EPERM));
    }

    #[test]
    fn a_temporary_change_of_the_effective_user_can_be_undone() {
        let new = root().set_res_uid([None, Some(1000), None]).unwrap();
        assert!(new.capabilities.effective.is_empty() && !new.capabilities.permitted.is_empty());
        let back = new.set_res_uid([None, Some(0), None]).unwrap();
        assert_eq!(back.capabilities.effective, CapSet::CONTAINER);
    }

    #[test]
    fn keeping_capabilities_keeps_the_permitted_set_only() {
        let keeping = Credentials { secure_bits: SecureBits::KEEP_CAPS, ..root() };
        let new = keeping.set_res_uid([Some(1000); 3]).unwrap();
        assert_eq!((new.capabilities.permitted, new.capabilities.effective), (CapSet::CONTAINER, CapSet::EMPTY));
    }

    #[test]
    fn a_user_may_only_permute_its_own_numbers() {
        let user = Credentials { euid: 7, suid: 8, ..user() };
        assert!(user.set_uid(7).is_err() && user.set_uid(8).is_ok() && user.set_uid(1000).is_ok());
        assert!(user.set_re_uid(Some(8), None).is_err() && user.set_re_uid(Some(7), Some(8)).is_ok());
        assert!(user.set_res_uid([Some(7), Some(8), Some(1000)]).is_ok());
        assert!(user.set_res_uid([Some(9), None, None]).is_err());
        assert!(user.set_fs_uid(8).is_some() && user.set_fs_uid(9).is_none());
        assert!(user.set_gid(5).is_err() && user.set_groups(Vec::new()).is_err());
    }

    #[test]
    fn setreuid_sets_the_saved_user_when_the_real_one_is_given() {
        let new = root().set_re_uid(Some(5), None).unwrap();
        assert_eq!((new.uid, new.euid, new.suid), (5, 0, 0));
        let new = root().set_re_uid(None, Some(6)).unwrap();
        assert_eq!((new.uid, new.euid, new.suid), (0, 6, 6));
    }

    #[test]
    fn the_file_system_user_carries_the_file_capabilities() {
        let new = root().set_fs_uid(5).unwrap();
        assert!(!new.has(Capability::CHOWN) && new.has(Capability::KILL));
        assert!(new.set_fs_uid(0).unwrap().has(Capability::CHOWN));
    }
}
