//! mount, umount2, pivot_root, unshare.

use std::sync::Arc;

use super::Args;
use super::stat::AT_FDCWD;
use crate::fs;
use crate::mm::user::PATH_MAX;
use crate::task::{Capability, Current};
use crate::vfs::walk::WalkFlags;
use crate::vfs::{Location, Mount, MountFlags};
use crate::{Errno, SysResult};

const MS_REMOUNT: u64 = 32;
const MS_BIND: u64 = 4096;
const MS_MOVE: u64 = 8192;
const MS_REC: u64 = 16384;
const MS_PROPAGATION: u64 = 0xf << 17;
/// The magic number that old programs put into the high half.
const MS_MGC_VAL: u64 = 0xc0ed_0000;

fn check_admin(current: &Current) -> Result<(), Errno> {
    if current.task.credentials().has(Capability::SYS_ADMIN) { Ok(()) } else { Err(Errno::EPERM) }
}

pub fn mount(current: &mut Current, args: Args) -> SysResult {
    let optional = |current: &mut Current, addr: u64| match addr {
        0 => Ok(Vec::new()),
        addr => current.read_cstr(addr, PATH_MAX),
    };
    let source = optional(current, args.u64(0))?;
    let target = current.read_path(args.u64(1))?;
    let file_system = optional(current, args.u64(2))?;
    let mut flags = args.u64(3);
    if flags & 0xffff_0000 == MS_MGC_VAL {
        flags &= 0xffff;
    }
    let data = optional(current, args.u64(4))?;
    let at = current.find(AT_FDCWD, &target, WalkFlags::FOLLOW)?;
    check_admin(current)?;
    let mount_flags = MountFlags::from_bits_truncate(flags as u32);
    if flags & MS_REMOUNT != 0 {
        return remount(&at, mount_flags);
    }
    if flags & MS_BIND != 0 {
        let from = current.find(AT_FDCWD, &source, WalkFlags::FOLLOW)?;
        let copies = from.mount.copy_tree(&from.dentry, flags & MS_REC != 0);
        let (_, top) = copies.first().ok_or(Errno::EINVAL)?;
        top.attach(&at)?;
        return Ok(0);
    }
    if flags & MS_PROPAGATION != 0 {
        // All mounts are private: what is asked for is accepted, and nothing propagates.
        let one = (flags & MS_PROPAGATION).is_power_of_two();
        return if one && is_mount_root(&at) { Ok(0) } else { Err(Errno::EINVAL) };
    }
    if flags & MS_MOVE != 0 {
        let from = current.find(AT_FDCWD, &source, WalkFlags::FOLLOW)?;
        if !is_mount_root(&from) {
            return Err(Errno::EINVAL);
        }
        from.mount.move_to(&at)?;
        return Ok(0);
    }
    if file_system.is_empty() {
        return Err(Errno::EINVAL);
    }
    let file_system = fs::make(&file_system, &source, &data, current)?;
    Mount::of(file_system, &source, mount_flags).attach(&at)?;
    Ok(0)
}

fn remount(at: &Location, flags: MountFlags) -> SysResult {
    if !is_mount_root(at) {
        return Err(Errno::EINVAL);
    }
    at.mount.set_flags(flags);
    Ok(0)
}

fn is_mount_root(at: &Location) -> bool {
    Arc::ptr_eq(&at.dentry, &at.mount.root)
}

pub fn umount2(current: &mut Current, args: Args) -> SysResult {
    const MNT_FORCE: u32 = 1;
    const MNT_DETACH: u32 = 2;
    const MNT_EXPIRE: u32 = 4;
    const UMOUNT_NOFOLLOW: u32 = 8;
    let flags = args.u32(1);
    if flags & !(MNT_FORCE | MNT_DETACH | MNT_EXPIRE | UMOUNT_NOFOLLOW) != 0 {
        return Err(Errno::EINVAL);
    }
    let path = current.read_path(args.u64(0))?;
    let walk = if flags & UMOUNT_NOFOLLOW != 0 { WalkFlags::empty() } else { WalkFlags::FOLLOW };
    let Location { mount, dentry } = current.find(AT_FDCWD, &path, walk)?;
    check_admin(current)?;
    if !Arc::ptr_eq(&dentry, &mount.root) {
        return Err(Errno::EINVAL);
    }
    drop(dentry);
    mount.detach(flags & MNT_DETACH != 0)?;
    Ok(0)
}

pub fn pivot_root(current: &mut Current, args: Args) -> SysResult {
    let new_path = current.read_path(args.u64(0))?;
    let old_path = current.read_path(args.u64(1))?;
    check_admin(current)?;
    let new_root = current.find(AT_FDCWD, &new_path, WalkFlags::FOLLOW | WalkFlags::DIRECTORY)?;
    let put_old = current.find(AT_FDCWD, &old_path, WalkFlags::FOLLOW | WalkFlags::DIRECTORY)?;
    let old_root = current.task.fs().root();
    if Arc::ptr_eq(&new_root.mount, &old_root.mount) || Arc::ptr_eq(&put_old.mount, &old_root.mount) {
        return Err(Errno::EBUSY);
    }
    // The old root must be the top of all mounts, the new one a mount somewhere below, and the old one's place within that.
    let (_, within) = put_old.path_from(&new_root);
    if !is_mount_root(&new_root) || !is_mount_root(&old_root) || old_root.mount.mountpoint().is_some() || !within {
        return Err(Errno::EINVAL);
    }
    new_root.mount.detach(true)?;
    old_root.mount.attach(&put_old)?;
    for group in current.kernel.pids.groups() {
        let threads = group.family.lock().threads.clone();
        threads.iter().for_each(|task| task.fs().move_root(&old_root, &new_root));
    }
    Ok(0)
}

pub fn unshare(current: &mut Current, args: Args) -> SysResult {
    const CLONE_FS: u64 = 0x200;
    const CLONE_FILES: u64 = 0x400;
    const CLONE_NEWNS: u64 = 0x2_0000;
    const CLONE_SYSVSEM: u64 = 0x4_0000;
    /// Threads of one process cannot take these back.
    const SHARED_BY_THREADS: u64 = 0x100 | 0x800 | 0x1_0000;
    const OTHER_NAMESPACES: u64 = 0x80 | 0x200_0000 | 0x400_0000 | 0x800_0000 | 0x1000_0000 | 0x2000_0000 | 0x4000_0000;
    let flags = args.u64(0);
    let known = CLONE_FS | CLONE_FILES | CLONE_NEWNS | CLONE_SYSVSEM | SHARED_BY_THREADS | OTHER_NAMESPACES;
    if flags & !known != 0 {
        return Err(Errno::EINVAL);
    }
    if flags & SHARED_BY_THREADS != 0 && current.task.group.family.lock().threads.len() > 1 {
        return Err(Errno::EINVAL);
    }
    if flags & OTHER_NAMESPACES != 0 {
        return Err(Errno::EPERM);
    }
    if flags & CLONE_NEWNS != 0 {
        check_admin(current)?;
    }
    if flags & (CLONE_FS | CLONE_NEWNS) != 0 {
        let fs = current.task.fs();
        let copy = if flags & CLONE_NEWNS != 0 { fs.copy_with_mounts() } else { fs.copy() };
        let old = std::mem::replace(&mut current.task.state.lock().fs, copy);
        drop(old);
    }
    if flags & CLONE_FILES != 0 {
        let files = current.task.files()?.copy();
        let old = current.task.state.lock().files.replace(files);
        drop(old);
    }
    Ok(0)
}
