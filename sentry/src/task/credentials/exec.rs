//! What `execve` does to credentials (`man 7 capabilities`, "Transformation of capabilities during execve").

use super::{Credentials, SecureBits};
use crate::Errno;
use crate::task::capability::CapSet;

/// `security.capability` of a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct FileCapabilities {
    /// Given to the program within the bounding set.
    pub permitted: CapSet,
    /// Given if the task has them inheritable.
    pub inheritable: CapSet,
    /// What is permitted becomes effective; the file does not start where it cannot get all.
    pub effective: bool,
}

impl FileCapabilities {
    /// Reads the attribute (`struct vfs_ns_cap_data`, `man 7 capabilities`, "File capability extended attribute versioning").
    /// `None` for what is not understood, which gives nothing.
    pub fn parse(xattr: &[u8]) -> Option<FileCapabilities> {
        const EFFECTIVE: u32 = 1;
        let mut words = xattr.chunks_exact(4).map(|word| u32::from_le_bytes([word[0], word[1], word[2], word[3]]));
        let magic = words.next()?;
        let pairs = match (magic >> 24, xattr.len()) {
            (1, 12) => 1,
            (2, 20) => 2,
            // The root of another user namespace stands last: there is only one here.
            (3, 24) if xattr[20..] == [0; 4] => 2,
            _ => return None,
        };
        let (mut permitted, mut inheritable) = (0, 0);
        for pair in 0..pairs {
            permitted |= u64::from(words.next()?) << (32 * pair);
            inheritable |= u64::from(words.next()?) << (32 * pair);
        }
        Some(FileCapabilities {
            permitted: CapSet(permitted).and(CapSet::FULL),
            inheritable: CapSet(inheritable).and(CapSet::FULL),
            effective: magic & EFFECTIVE != 0,
        })
    }
}

/// What the executed file gives; all `None` on a mount with `nosuid`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct FilePrivileges {
    /// Owner of a set-user-ID file.
    pub set_uid: Option<u32>,
    /// Group of a set-group-ID file (one that is executable by the group).
    pub set_gid: Option<u32>,
    /// File capabilities.
    pub capabilities: Option<FileCapabilities>,
}

impl Credentials {
    /// The credentials after `execve` of a file with these privileges, and whether the program must be careful
    /// (`AT_SECURE`).
    ///
    /// # Errors
    /// EPERM when the file wants capabilities that it cannot get.
    pub fn for_exec(&self, file: &FilePrivileges) -> Result<(Credentials, bool), Errno> {
        let file = if self.no_new_privs { FilePrivileges::default() } else { *file };
        let mut new = self.clone();
        new.euid = file.set_uid.unwrap_or(self.euid);
        new.egid = file.set_gid.unwrap_or(self.egid);
        let (old, bounding) = (&self.capabilities, self.capabilities.bounding);

        let mut effective = false;
        let mut permitted = CapSet::EMPTY;
        if let Some(given) = file.capabilities {
            permitted = bounding.and(given.permitted).or(old.inheritable.and(given.inheritable));
            effective = given.effective;
            if effective && !permitted.includes(given.permitted) {
                return Err(Errno::EPERM);
            }
        }
        if !self.secure_bits.contains(SecureBits::NOROOT) {
            // A file with capabilities of its own gives a user who became root by it no more than those.
            let own_only = file.capabilities.is_some() && self.uid != 0 && new.euid == 0;
            if !own_only && (new.uid == 0 || new.euid == 0) {
                permitted = bounding.or(old.inheritable);
                effective |= new.euid == 0;
            }
        }
        let is_set_id = new.euid != self.uid || new.egid != self.gid;
        (new.suid, new.fsuid) = (new.euid, new.euid);
        (new.sgid, new.fsgid) = (new.egid, new.egid);

        let ambient = if file.capabilities.is_some() || is_set_id { CapSet::EMPTY } else { old.ambient };
        permitted = permitted.or(ambient);
        new.capabilities.ambient = ambient;
        new.capabilities.permitted = permitted;
        new.capabilities.effective = if effective { permitted } else { ambient };
        new.secure_bits.remove(SecureBits::KEEP_CAPS);

        let gains = self.uid != 0 && (effective || !ambient.includes(permitted));
        let is_secure = is_set_id || gains;
        Ok((new, is_secure))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::capability::Capability;

    const PLAIN: FilePrivileges = FilePrivileges { set_uid: None, set_gid: None, capabilities: None };

    fn user() -> Credentials {
        Credentials::new(1000, 1000, Vec::new(), CapSet::CONTAINER)
    }

    #[test]
    fn root_has_the_bounding_set_after_exec_and_a_user_nothing() {
        let (root, secure) = Credentials::new(0, 0, Vec::new(), CapSet::CONTAINER).for_exec(&PLAIN).unwrap();
        assert_eq!((root.capabilities.effective, secure), (CapSet::CONTAINER, false));
        let (user, secure) = user().for_exec(&PLAIN).unwrap();
        assert!(user.capabilities.permitted.is_empty() && !secure);
    }

    #[test]
    fn a_set_user_id_root_file_gives_root_unless_no_new_privileges_are_wanted() {
        let file = FilePrivileges { set_uid: Some(0), ..PLAIN };
        let (new, secure) = user().for_exec(&file).unwrap();
        assert_eq!((new.uid, new.euid, new.suid, secure), (1000, 0, 0, true));
        assert_eq!(new.capabilities.effective, CapSet::CONTAINER);
        let careful = Credentials { no_new_privs: true, ..user() };
        let (new, secure) = careful.for_exec(&file).unwrap();
        assert_eq!((new.euid, secure), (1000, false));
    }

    #[test]
    fn file_capabilities_are_bounded_and_all_or_nothing_when_effective() {
        let wanted = CapSet::of(&[Capability::NET_RAW]);
        let given = FileCapabilities { permitted: wanted, inheritable: CapSet::EMPTY, effective: true };
        let file = FilePrivileges { capabilities: Some(given), ..PLAIN };
        let (new, secure) = user().for_exec(&file).unwrap();
        assert_eq!((new.capabilities.effective, secure), (wanted, true));
        let beyond = FileCapabilities { permitted: CapSet::of(&[Capability::SYS_ADMIN]), ..given };
        let file = FilePrivileges { capabilities: Some(beyond), ..PLAIN };
        assert_eq!(user().for_exec(&file).unwrap_err(), Errno::EPERM);
    }

    #[test]
    fn the_attribute_is_read_in_all_its_versions_and_garbage_gives_nothing() {
        let bytes = |words: &[u32]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>();
        let raw = FileCapabilities::parse(&bytes(&[0x0200_0001, 1 << 13, 0, 0, 0])).unwrap();
        assert_eq!((raw.permitted, raw.effective), (CapSet::of(&[Capability::NET_RAW]), true));
        let high = FileCapabilities::parse(&bytes(&[0x0300_0000, 0, 0, 1 << 6, 0, 0])).unwrap();
        assert_eq!((high.permitted, high.effective), (CapSet::of(&[Capability::PERFMON]), false));
        assert_eq!(FileCapabilities::parse(&bytes(&[0x0300_0000, 1, 0, 0, 0, 1000])), None);
        assert_eq!(FileCapabilities::parse(&bytes(&[0x0200_0000, 1])), None);
        assert_eq!(FileCapabilities::parse(b"x"), None);
    }

    #[test]
    fn ambient_capabilities_survive_ordinary_files() {
        let mut user = user();
        let raw = CapSet::of(&[Capability::NET_RAW]);
        (user.capabilities.ambient, user.capabilities.permitted, user.capabilities.inheritable) = (raw, raw, raw);
        let (new, secure) = user.for_exec(&PLAIN).unwrap();
        assert_eq!((new.capabilities.effective, new.capabilities.permitted, secure), (raw, raw, false));
    }
}
