//! Who may do what with a file (`man 7 path_resolution`, "Permissions"; `man 7 capabilities`).

use super::{FileType, Ownership};
use crate::Errno;
use crate::task::{Capability, Credentials};

bitflags::bitflags! {
    /// What is asked for, in the numbers of `access(2)`.
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
    pub struct Access: u32 {
        /// `X_OK`: execute, or search a directory.
        const EXEC = 1;
        /// `W_OK`
        const WRITE = 2;
        /// `R_OK`
        const READ = 4;
    }
}

/// Whether the file system user owns the file or may act as owner.
pub fn is_owner_or_capable(credentials: &Credentials, file: &Ownership) -> bool {
    credentials.fsuid == file.uid || credentials.has(Capability::FOWNER)
}

/// Checks mode bits, then capabilities.
///
/// # Errors
/// EACCES
pub fn may(credentials: &Credentials, file: &Ownership, want: Access) -> Result<(), Errno> {
    let bits = if credentials.fsuid == file.uid {
        file.permissions >> 6
    } else if credentials.in_file_group(file.gid) {
        file.permissions >> 3
    } else {
        file.permissions
    };
    if Access::from_bits_truncate(bits).contains(want) {
        return Ok(());
    }
    let directory = file.file_type == FileType::Directory;
    let executable = file.permissions & 0o111 != 0;
    if (directory || executable || !want.contains(Access::EXEC)) && credentials.has(Capability::DAC_OVERRIDE) {
        return Ok(());
    }
    let searches = directory && !want.contains(Access::WRITE);
    if (searches || want == Access::READ) && credentials.has(Capability::DAC_READ_SEARCH) {
        return Ok(());
    }
    Err(Errno::EACCES)
}

/// Whether an entry may be made in `dir`.
///
/// # Errors
/// EACCES
pub fn may_create(credentials: &Credentials, dir: &Ownership) -> Result<(), Errno> {
    may(credentials, dir, Access::WRITE | Access::EXEC)
}

/// Whether `victim` may be removed from `dir`.
///
/// # Errors
/// EACCES; EPERM for a foreign file in a sticky directory.
pub fn may_delete(credentials: &Credentials, dir: &Ownership, victim: &Ownership) -> Result<(), Errno> {
    may(credentials, dir, Access::WRITE | Access::EXEC)?;
    const STICKY: u32 = 0o1000;
    let foreign = credentials.fsuid != victim.uid && credentials.fsuid != dir.uid;
    if dir.permissions & STICKY != 0 && foreign && !credentials.has(Capability::FOWNER) {
        return Err(Errno::EPERM);
    }
    Ok(())
}

/// Whether a hard link to `target` may be made, as `fs.protected_hardlinks=1` has it.
///
/// # Errors
/// EPERM
pub fn may_link(credentials: &Credentials, target: &Ownership) -> Result<(), Errno> {
    let set_id = target.permissions & 0o4000 != 0 || target.permissions & 0o2010 == 0o2010;
    let safe = target.file_type == FileType::Regular
        && !set_id
        && may(credentials, target, Access::READ | Access::WRITE).is_ok();
    if safe || is_owner_or_capable(credentials, target) { Ok(()) } else { Err(Errno::EPERM) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::capability::CapSet;

    fn file(permissions: u32, uid: u32, gid: u32, file_type: FileType) -> Ownership {
        Ownership { file_type, permissions, uid, gid }
    }

    fn user(fsuid: u32, groups: &[u32]) -> Credentials {
        Credentials::new(fsuid, fsuid, groups.to_vec(), CapSet::FULL)
    }

    #[test]
    fn the_first_matching_class_decides_even_when_it_gives_less() {
        let denies_owner = file(0o077, 5, 5, FileType::Regular);
        assert_eq!(may(&user(5, &[]), &denies_owner, Access::READ), Err(Errno::EACCES));
        assert_eq!(may(&user(6, &[5]), &denies_owner, Access::READ), Ok(()));
        let denies_group = file(0o707, 5, 5, FileType::Regular);
        assert_eq!(may(&user(6, &[5]), &denies_group, Access::READ), Err(Errno::EACCES));
        assert_eq!(may(&user(6, &[]), &denies_group, Access::READ), Ok(()));
    }

    #[test]
    fn root_executes_only_what_someone_may_execute() {
        let root = user(0, &[]);
        assert_eq!(may(&root, &file(0, 5, 5, FileType::Regular), Access::EXEC), Err(Errno::EACCES));
        assert_eq!(may(&root, &file(0o010, 5, 5, FileType::Regular), Access::EXEC), Ok(()));
        assert_eq!(may(&root, &file(0, 5, 5, FileType::Directory), Access::EXEC), Ok(()));
        assert_eq!(may(&root, &file(0, 5, 5, FileType::Regular), Access::READ | Access::WRITE), Ok(()));
    }

    #[test]
    fn a_sticky_directory_keeps_foreign_files() {
        let tmp = file(0o1777, 0, 0, FileType::Directory);
        assert_eq!(may_delete(&user(5, &[]), &tmp, &file(0o666, 6, 6, FileType::Regular)), Err(Errno::EPERM));
        assert_eq!(may_delete(&user(6, &[]), &tmp, &file(0o666, 6, 6, FileType::Regular)), Ok(()));
        assert_eq!(may_delete(&user(0, &[]), &tmp, &file(0o666, 6, 6, FileType::Regular)), Ok(()));
    }
}
