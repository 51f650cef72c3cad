//! Changes of the name space: making, linking, removing and renaming, with all checks that Linux makes.

use std::sync::Arc;

use super::dentry::{RENAME_EXCHANGE, RENAME_NOREPLACE, RENAME_WHITEOUT};
use super::notify::{self, Events};
use super::permission::{self, Access, may, may_create, may_delete, may_link};
use super::walk::{LastName, Origin, Parent, WalkFlags};
use super::{Dentry, FileType, Location, MountFlags, NewNode, NodeKind, Ownership};
use crate::Errno;
use crate::task::{Capability, Credentials};

const SETGID: u32 = 0o2000;

/// Owner, group and bits of a new file in `dir` (`man 2 open`, "mode").
pub fn new_node(credentials: &Credentials, dir: &Ownership, kind: NodeKind, permissions: u32) -> NewNode {
    let mut node = NewNode { kind, permissions, uid: credentials.fsuid, gid: credentials.fsgid };
    if dir.permissions & SETGID != 0 {
        node.gid = dir.gid;
        if matches!(node.kind, NodeKind::Directory) {
            node.permissions |= SETGID;
        } else if permissions & 0o2010 == 0o2010
            && !credentials.in_file_group(node.gid)
            && !credentials.has(Capability::FSETID)
        {
            node.permissions &= !SETGID;
        }
    }
    node
}

/// Makes what `kind` says at `path`: mkdir, mknod, symlink, the name of a bound socket. `mode` is not yet masked.
///
/// # Errors
/// EEXIST, ENOENT, EROFS, EACCES, EPERM for devices, ENOSPC; as the walk.
pub fn make(origin: &Origin, path: &[u8], kind: NodeKind, mode: u32, umask: u32) -> Result<Location, Errno> {
    let parent = origin.find_parent(path, WalkFlags::empty())?;
    let name = parent.normal_name(Errno::EEXIST)?;
    let is_dir = matches!(kind, NodeKind::Directory);
    match parent.dir.dentry.lookup(name) {
        Ok(_) => return Err(Errno::EEXIST),
        Err(Errno::ENOENT) if parent.trailing_slash && !is_dir => return Err(Errno::ENOENT),
        Err(Errno::ENOENT) => {}
        Err(error) => return Err(error),
    }
    if !parent.dir.inode().takes_names() {
        return Err(Errno::ENOENT);
    }
    parent.dir.want_write()?;
    let dir = live_dir(&parent.dir)?;
    may_create(&origin.credentials, &dir)?;
    let is_device = matches!(kind, NodeKind::CharDevice(rdev) if rdev != 0) || matches!(kind, NodeKind::BlockDevice(_));
    if is_device && !origin.credentials.has(Capability::MKNOD) {
        return Err(Errno::EPERM);
    }
    let permissions = match kind {
        NodeKind::Symlink(_) => 0o777,
        NodeKind::Directory => mode & 0o1777 & !umask,
        _ => mode & 0o7777 & !umask,
    };
    let node = new_node(&origin.credentials, &dir, kind, permissions);
    let dentry = parent.dir.dentry.create(name, &node)?;
    notify::at_entry(&parent.dir, name, is_dir, Events::CREATE);
    Ok(Location { mount: parent.dir.mount.clone(), dentry })
}

/// The attributes of a directory that must still be part of the tree.
fn live_dir(dir: &Location) -> Result<Ownership, Errno> {
    if dir.dentry.is_removed() { Err(Errno::ENOENT) } else { dir.inode().ownership() }
}

/// Gives `target` another name.
///
/// # Errors
/// EEXIST, EXDEV, EPERM for directories and protected files, ENOENT, EROFS, EMLINK.
pub fn link(target: &Location, origin: &Origin, path: &[u8]) -> Result<(), Errno> {
    let parent = origin.find_parent(path, WalkFlags::empty())?;
    let name = parent.normal_name(Errno::EEXIST)?;
    match parent.dir.dentry.lookup(name) {
        Ok(_) => return Err(Errno::EEXIST),
        Err(Errno::ENOENT) if parent.trailing_slash => return Err(Errno::ENOENT),
        Err(Errno::ENOENT) => {}
        Err(error) => return Err(error),
    }
    parent.dir.want_write()?;
    if !Arc::ptr_eq(&parent.dir.mount, &target.mount) {
        return Err(Errno::EXDEV);
    }
    let dir = live_dir(&parent.dir)?;
    may_link(&origin.credentials, &target.inode().ownership()?)?;
    may_create(&origin.credentials, &dir)?;
    if target.dentry.is_dir() {
        return Err(Errno::EPERM);
    }
    parent.dir.dentry.link(name, target.inode())?;
    notify::at_file(target, Events::ATTRIB);
    notify::at_entry(&parent.dir, name, false, Events::CREATE);
    Ok(())
}

/// `unlink`
///
/// # Errors
/// ENOENT, EISDIR, ENOTDIR, EACCES, EPERM, EBUSY, EROFS.
pub fn unlink(origin: &Origin, path: &[u8]) -> Result<(), Errno> {
    let parent = origin.find_parent(path, WalkFlags::empty())?;
    let name = parent.normal_name(Errno::EISDIR)?;
    parent.dir.want_write()?;
    let victim = parent.dir.dentry.lookup(name)?;
    if parent.trailing_slash {
        return Err(if victim.is_dir() { Errno::EISDIR } else { Errno::ENOTDIR });
    }
    check_delete(origin, &parent.dir, &victim)?;
    if victim.is_dir() {
        return Err(Errno::EISDIR);
    }
    if is_local_mountpoint(&parent.dir, &victim) {
        return Err(Errno::EBUSY);
    }
    parent.dir.dentry.unlink(name, &victim)?;
    announce_removal(&parent.dir, name, victim);
    Ok(())
}

/// `rmdir`
///
/// # Errors
/// ENOENT, ENOTDIR, ENOTEMPTY, EINVAL for `.`, EACCES, EPERM, EBUSY, EROFS.
pub fn rmdir(origin: &Origin, path: &[u8]) -> Result<(), Errno> {
    let parent = origin.find_parent(path, WalkFlags::empty())?;
    let name = match &parent.name {
        LastName::Normal(name) => name,
        LastName::Dot => return Err(Errno::EINVAL),
        LastName::DotDot => return Err(Errno::ENOTEMPTY),
        LastName::Root => return Err(Errno::EBUSY),
    };
    parent.dir.want_write()?;
    let victim = parent.dir.dentry.lookup(name)?;
    check_delete(origin, &parent.dir, &victim)?;
    if !victim.is_dir() {
        return Err(Errno::ENOTDIR);
    }
    if is_local_mountpoint(&parent.dir, &victim) {
        return Err(Errno::EBUSY);
    }
    parent.dir.dentry.rmdir(name, &victim)?;
    announce_removal(&parent.dir, name, victim);
    Ok(())
}

fn check_delete(origin: &Origin, dir: &Location, victim: &Arc<Dentry>) -> Result<(), Errno> {
    may_delete(&origin.credentials, &dir.inode().ownership()?, &victim.inode().ownership()?)
}

fn is_local_mountpoint(dir: &Location, victim: &Arc<Dentry>) -> bool {
    victim.is_mountpoint() && dir.mount.mounted_at(victim).is_some()
}

fn announce_removal(dir: &Location, name: &[u8], victim: Arc<Dentry>) {
    let is_dir = victim.is_dir();
    notify::at_removed(&Location { mount: dir.mount.clone(), dentry: victim });
    notify::at_entry(dir, name, is_dir, Events::DELETE);
}

/// `renameat2`
///
/// # Errors
/// As `man 2 rename`.
pub fn rename(from: &Origin, path: &[u8], to: &Origin, new_path: &[u8], flags: u32) -> Result<(), Errno> {
    check_rename_flags(&from.credentials, flags)?;
    let exchange = flags & RENAME_EXCHANGE != 0;
    let old = from.find_parent(path, WalkFlags::empty())?;
    let new = to.find_parent(new_path, WalkFlags::empty())?;
    if !Arc::ptr_eq(&old.dir.mount, &new.dir.mount) {
        return Err(Errno::EXDEV);
    }
    let name = old.normal_name(Errno::EBUSY)?;
    let new_name = new.normal_name(if flags & RENAME_NOREPLACE != 0 { Errno::EEXIST } else { Errno::EBUSY })?;
    old.dir.want_write()?;
    let source = old.dir.dentry.lookup(name)?;
    let target = match new.dir.dentry.lookup(new_name) {
        Ok(_) if flags & RENAME_NOREPLACE != 0 => return Err(Errno::EEXIST),
        Ok(target) => Some(target),
        Err(Errno::ENOENT) if exchange => return Err(Errno::ENOENT),
        Err(Errno::ENOENT) => None,
        Err(error) => return Err(error),
    };
    check_trailing_slashes(&old, &source, &new, target.as_ref(), exchange)?;
    if new.dir.dentry.is_within(&source) {
        return Err(Errno::EINVAL);
    }
    if let Some(target) = target.as_ref().filter(|target| old.dir.dentry.is_within(target)) {
        let _ = target;
        return Err(if exchange { Errno::EINVAL } else { Errno::ENOTEMPTY });
    }
    if target.as_ref().is_some_and(|target| Arc::ptr_eq(target.inode(), source.inode())) {
        return Ok(());
    }
    check_delete(from, &old.dir, &source)?;
    let new_dir = live_dir(&new.dir)?;
    match &target {
        None => may_create(&to.credentials, &new_dir)?,
        Some(target) => {
            check_delete(to, &new.dir, target)?;
            match (source.is_dir(), target.is_dir()) {
                (true, false) if !exchange => return Err(Errno::ENOTDIR),
                (false, true) if !exchange => return Err(Errno::EISDIR),
                _ => {}
            }
        }
    }
    if !Arc::ptr_eq(&old.dir.dentry, &new.dir.dentry) {
        // A directory that changes its parent changes its `..`.
        let moved = [Some(&source), target.as_ref().filter(|_| exchange)];
        for dentry in moved.into_iter().flatten().filter(|dentry| dentry.is_dir()) {
            may(&from.credentials, &dentry.inode().ownership()?, Access::WRITE)?;
        }
    }
    let busy = |dentry: &Arc<Dentry>| is_local_mountpoint(&old.dir, dentry);
    if busy(&source) || target.as_ref().is_some_and(busy) {
        return Err(Errno::EBUSY);
    }
    old.dir.dentry.rename(name, &source, &new.dir.dentry, new_name, target.as_ref(), flags)?;
    notify::at_rename(&old.dir, name, &new.dir, new_name, &source);
    match target {
        Some(target) if exchange => notify::at_rename(&new.dir, new_name, &old.dir, name, &target),
        Some(target) => notify::at_removed(&Location { mount: new.dir.mount.clone(), dentry: target }),
        None => {}
    }
    Ok(())
}

fn check_rename_flags(credentials: &Credentials, flags: u32) -> Result<(), Errno> {
    if flags & !(RENAME_NOREPLACE | RENAME_EXCHANGE | RENAME_WHITEOUT) != 0
        || flags & RENAME_EXCHANGE != 0 && flags & (RENAME_NOREPLACE | RENAME_WHITEOUT) != 0
    {
        return Err(Errno::EINVAL);
    }
    if flags & RENAME_WHITEOUT != 0 && !credentials.has(Capability::MKNOD) {
        return Err(Errno::EPERM);
    }
    Ok(())
}

fn check_trailing_slashes(
    old: &Parent,
    source: &Dentry,
    new: &Parent,
    target: Option<&Arc<Dentry>>,
    exchange: bool,
) -> Result<(), Errno> {
    if exchange && new.trailing_slash && target.is_some_and(|target| !target.is_dir()) {
        return Err(Errno::ENOTDIR);
    }
    if !source.is_dir() && (old.trailing_slash || !exchange && new.trailing_slash) {
        return Err(Errno::ENOTDIR);
    }
    Ok(())
}

/// Whether `location` may be the root or working directory: a directory that may be searched.
///
/// # Errors
/// ENOTDIR, EACCES.
pub fn check_enter(location: &Location, credentials: &Credentials) -> Result<(), Errno> {
    if !location.dentry.is_dir() {
        return Err(Errno::ENOTDIR);
    }
    may(credentials, &location.inode().ownership()?, Access::EXEC)
}

/// `access`: whether `credentials` may do `want` with what is at `location`.
///
/// # Errors
/// EACCES, EROFS.
pub fn check_access(location: &Location, credentials: &Credentials, want: Access) -> Result<(), Errno> {
    let file = location.inode().ownership()?;
    if want.contains(Access::EXEC)
        && file.file_type == FileType::Regular
        && location.mount.flags().contains(MountFlags::NOEXEC)
    {
        return Err(Errno::EACCES);
    }
    let writable_kind = matches!(file.file_type, FileType::Regular | FileType::Directory | FileType::Symlink);
    if want.contains(Access::WRITE) && writable_kind && location.mount.file_system().is_read_only() {
        return Err(Errno::EROFS);
    }
    permission::may(credentials, &file, want)?;
    if want.contains(Access::WRITE) && writable_kind {
        location.want_write()?;
    }
    Ok(())
}
