//! Changes of attributes: mode, owner, times, size, extended attributes, with the checks that Linux makes.

use abi::types::Timespec;

use super::notify::{self, Events};
use super::permission::{Access, is_owner_or_capable, may};
use super::{FileType, Location, Ownership, SetAttributes};
use crate::Errno;
use crate::task::{Capability, Credentials};

const SETUID: u32 = 0o4000;
const SETGID: u32 = 0o2000;

/// The wall clock, as inodes are stamped with it.
pub fn now() -> Timespec {
    Timespec::from_ns(host::clock::realtime_ns())
}

fn apply(location: &Location, change: &SetAttributes, events: Events) -> Result<(), Errno> {
    location.inode().set_attributes(change)?;
    notify::at_file(location, events);
    Ok(())
}

/// `chmod`
///
/// # Errors
/// EPERM, EROFS, EOPNOTSUPP for a symbolic link.
pub fn chmod(location: &Location, credentials: &Credentials, mode: u32) -> Result<(), Errno> {
    location.want_write()?;
    let file = location.inode().ownership()?;
    if file.file_type == FileType::Symlink {
        return Err(Errno::EOPNOTSUPP);
    }
    if !is_owner_or_capable(credentials, &file) {
        return Err(Errno::EPERM);
    }
    let mut permissions = mode & 0o7777;
    if !credentials.in_file_group(file.gid) && !credentials.has(Capability::FSETID) {
        permissions &= !SETGID;
    }
    apply(location, &SetAttributes { permissions: Some(permissions), ..SetAttributes::default() }, Events::ATTRIB)
}

/// `chown`; `None` leaves an id as it is. Set-id bits of files go.
///
/// # Errors
/// EPERM, EROFS.
pub fn chown(location: &Location, credentials: &Credentials, uid: Option<u32>, gid: Option<u32>) -> Result<(), Errno> {
    location.want_write()?;
    let file = location.inode().ownership()?;
    let capable = credentials.has(Capability::CHOWN);
    let owner = credentials.fsuid == file.uid;
    let uid_allowed = uid.is_none_or(|uid| capable || owner && uid == file.uid);
    let gid_allowed = gid.is_none_or(|gid| capable || owner && (gid == file.gid || credentials.in_file_group(gid)));
    if !uid_allowed || !gid_allowed {
        return Err(Errno::EPERM);
    }
    let mut change = SetAttributes { uid, gid, ..SetAttributes::default() };
    if file.file_type != FileType::Directory {
        change.permissions = without_set_id(&file);
    }
    apply(location, &change, Events::ATTRIB)
}

/// The bits without set-id, or `None` when there is nothing to take away. Set-gid without group execution is no privilege.
fn without_set_id(file: &Ownership) -> Option<u32> {
    let mut permissions = file.permissions & !SETUID;
    if permissions & 0o010 != 0 {
        permissions &= !SETGID;
    }
    (permissions != file.permissions).then_some(permissions)
}

/// Takes set-id bits away before someone without privilege changes the contents.
///
/// # Errors
/// What the file system says.
pub fn drop_privileges(location: &Location, credentials: &Credentials) -> Result<(), Errno> {
    if credentials.has(Capability::FSETID) {
        return Ok(());
    }
    let file = location.inode().ownership()?;
    match without_set_id(&file).filter(|_| file.file_type == FileType::Regular) {
        Some(permissions) => location
            .inode()
            .set_attributes(&SetAttributes { permissions: Some(permissions), ..SetAttributes::default() }),
        None => Ok(()),
    }
}

/// What a time becomes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NewTime {
    /// `UTIME_OMIT`
    Keep,
    /// `UTIME_NOW`
    Now,
    /// This.
    At(Timespec),
}

/// `utimensat`
///
/// # Errors
/// EPERM, EACCES, EROFS.
pub fn set_times(
    location: &Location,
    credentials: &Credentials,
    accessed: NewTime,
    modified: NewTime,
) -> Result<(), Errno> {
    if accessed == NewTime::Keep && modified == NewTime::Keep {
        return Ok(());
    }
    location.want_write()?;
    let file = location.inode().ownership()?;
    if !is_owner_or_capable(credentials, &file) {
        if accessed != NewTime::Now || modified != NewTime::Now {
            return Err(Errno::EPERM);
        }
        may(credentials, &file, Access::WRITE)?;
    }
    let now = now();
    let resolve = |time| match time {
        NewTime::Keep => None,
        NewTime::Now => Some(now),
        NewTime::At(at) => Some(at),
    };
    let change = SetAttributes { accessed: resolve(accessed), modified: resolve(modified), ..SetAttributes::default() };
    apply(location, &change, Events::ATTRIB)
}

/// `truncate` by name.
///
/// # Errors
/// EISDIR, EINVAL, EACCES, EROFS; what the file system says. The caller checks `RLIMIT_FSIZE`.
pub fn truncate(location: &Location, credentials: &Credentials, size: u64) -> Result<(), Errno> {
    match location.dentry.file_type() {
        FileType::Regular => {}
        FileType::Directory => return Err(Errno::EISDIR),
        _ => return Err(Errno::EINVAL),
    }
    location.want_write()?;
    may(credentials, &location.inode().ownership()?, Access::WRITE)?;
    drop_privileges(location, credentials)?;
    apply(location, &SetAttributes { size: Some(size), ..SetAttributes::default() }, Events::MODIFY)
}

/// Name spaces of extended attributes (`man 7 xattr`), and who may touch them.
enum XattrAccess {
    Read,
    Write,
}

fn check_xattr(location: &Location, credentials: &Credentials, name: &[u8], access: XattrAccess) -> Result<(), Errno> {
    let writes = matches!(access, XattrAccess::Write);
    if writes {
        location.want_write()?;
    }
    let file = location.inode().ownership()?;
    let admin = credentials.has(Capability::SYS_ADMIN);
    if name.starts_with(b"trusted.") {
        return match (admin, writes) {
            (true, _) => Ok(()),
            (false, true) => Err(Errno::EPERM),
            (false, false) => Err(Errno::ENODATA),
        };
    }
    if name.starts_with(b"security.") {
        return if writes && !admin { Err(Errno::EPERM) } else { Ok(()) };
    }
    if name.starts_with(b"system.posix_acl_") {
        return Err(Errno::EOPNOTSUPP);
    }
    if name.starts_with(b"user.") {
        let fits = matches!(file.file_type, FileType::Regular | FileType::Directory);
        if !fits {
            return Err(if writes { Errno::EPERM } else { Errno::ENODATA });
        }
        let sticky_dir = file.file_type == FileType::Directory && file.permissions & 0o1000 != 0;
        if sticky_dir && writes && !is_owner_or_capable(credentials, &file) {
            return Err(Errno::EPERM);
        }
        return may(credentials, &file, if writes { Access::WRITE } else { Access::READ });
    }
    Err(Errno::EOPNOTSUPP)
}

/// `getxattr`
///
/// # Errors
/// ENODATA, EOPNOTSUPP, EACCES.
pub fn get_xattr(location: &Location, credentials: &Credentials, name: &[u8]) -> Result<Vec<u8>, Errno> {
    check_xattr(location, credentials, name, XattrAccess::Read)?;
    location.inode().get_xattr(name)
}

/// `setxattr`
///
/// # Errors
/// EEXIST, ENODATA, EOPNOTSUPP, EPERM, EACCES, EROFS, ENOSPC.
pub fn set_xattr(
    location: &Location,
    credentials: &Credentials,
    name: &[u8],
    value: &[u8],
    flags: u32,
) -> Result<(), Errno> {
    check_xattr(location, credentials, name, XattrAccess::Write)?;
    location.inode().set_xattr(name, value, flags)?;
    notify::at_file(location, Events::ATTRIB);
    Ok(())
}

/// `removexattr`
///
/// # Errors
/// ENODATA, EOPNOTSUPP, EPERM, EACCES, EROFS.
pub fn remove_xattr(location: &Location, credentials: &Credentials, name: &[u8]) -> Result<(), Errno> {
    check_xattr(location, credentials, name, XattrAccess::Write)?;
    location.inode().remove_xattr(name)?;
    notify::at_file(location, Events::ATTRIB);
    Ok(())
}

/// `listxattr`, without what the caller may not know of.
///
/// # Errors
/// EOPNOTSUPP
pub fn list_xattrs(location: &Location, credentials: &Credentials) -> Result<Vec<Vec<u8>>, Errno> {
    let mut names = match location.inode().list_xattrs() {
        // A file system without attributes has an empty list of them.
        Err(Errno::EOPNOTSUPP | Errno::EPERM) => Vec::new(),
        names => names?,
    };
    if !credentials.has(Capability::SYS_ADMIN) {
        names.retain(|name| !name.starts_with(b"trusted."));
    }
    Ok(names)
}
