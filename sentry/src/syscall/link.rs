//! link, symlink, unlink, rename and their `at` forms, mknod.

use super::Args;
use super::stat::{AT_EMPTY_PATH, AT_FDCWD, AT_SYMLINK_FOLLOW};
use crate::task::{Capability, Current};
use crate::vfs::walk::WalkFlags;
use crate::vfs::{NodeKind, names, special};
use crate::{Errno, SysResult};

const AT_REMOVEDIR: u32 = 0x200;

pub fn link(current: &mut Current, args: Args) -> SysResult {
    link_path(current, (AT_FDCWD, args.u64(0)), (AT_FDCWD, args.u64(1)), 0)
}

pub fn linkat(current: &mut Current, args: Args) -> SysResult {
    link_path(current, (args.i32(0), args.u64(1)), (args.i32(2), args.u64(3)), args.u32(4))
}

fn link_path(current: &mut Current, from: (i32, u64), to: (i32, u64), flags: u32) -> SysResult {
    if flags & !(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH) != 0 {
        return Err(Errno::EINVAL);
    }
    let path = current.read_path(from.1)?;
    let new_path = current.read_path(to.1)?;
    let mut walk = WalkFlags::empty();
    if flags & AT_SYMLINK_FOLLOW != 0 {
        walk |= WalkFlags::FOLLOW;
    }
    if flags & AT_EMPTY_PATH != 0 {
        if path.is_empty() && !current.task.credentials().has(Capability::DAC_READ_SEARCH) {
            return Err(Errno::ENOENT);
        }
        walk |= WalkFlags::EMPTY_PATH;
    }
    let target = current.find(from.0, &path, walk)?;
    names::link(&target, &current.origin(to.0, &new_path)?, &new_path)?;
    Ok(0)
}

pub fn symlink(current: &mut Current, args: Args) -> SysResult {
    symlink_path(current, args.u64(0), AT_FDCWD, args.u64(1))
}

pub fn symlinkat(current: &mut Current, args: Args) -> SysResult {
    symlink_path(current, args.u64(0), args.i32(1), args.u64(2))
}

fn symlink_path(current: &mut Current, target: u64, dirfd: i32, path: u64) -> SysResult {
    let target = current.read_path(target)?;
    if target.is_empty() {
        return Err(Errno::ENOENT);
    }
    let path = current.read_path(path)?;
    names::make(&current.origin(dirfd, &path)?, &path, NodeKind::Symlink(target), 0o777, 0)?;
    Ok(0)
}

pub fn unlink(current: &mut Current, args: Args) -> SysResult {
    unlink_path(current, AT_FDCWD, args.u64(0), 0)
}

pub fn unlinkat(current: &mut Current, args: Args) -> SysResult {
    unlink_path(current, args.i32(0), args.u64(1), args.u32(2))
}

pub fn rmdir(current: &mut Current, args: Args) -> SysResult {
    unlink_path(current, AT_FDCWD, args.u64(0), AT_REMOVEDIR)
}

fn unlink_path(current: &mut Current, dirfd: i32, path: u64, flags: u32) -> SysResult {
    if flags & !AT_REMOVEDIR != 0 {
        return Err(Errno::EINVAL);
    }
    let path = current.read_path(path)?;
    let origin = current.origin(dirfd, &path)?;
    if flags & AT_REMOVEDIR != 0 {
        names::rmdir(&origin, &path)?
    } else {
        names::unlink(&origin, &path)?
    }
    Ok(0)
}

pub fn rename(current: &mut Current, args: Args) -> SysResult {
    rename_path(current, (AT_FDCWD, args.u64(0)), (AT_FDCWD, args.u64(1)), 0)
}

pub fn renameat(current: &mut Current, args: Args) -> SysResult {
    rename_path(current, (args.i32(0), args.u64(1)), (args.i32(2), args.u64(3)), 0)
}

pub fn renameat2(current: &mut Current, args: Args) -> SysResult {
    rename_path(current, (args.i32(0), args.u64(1)), (args.i32(2), args.u64(3)), args.u32(4))
}

fn rename_path(current: &mut Current, from: (i32, u64), to: (i32, u64), flags: u32) -> SysResult {
    let path = current.read_path(from.1)?;
    let new_path = current.read_path(to.1)?;
    let (from, to) = (current.origin(from.0, &path)?, current.origin(to.0, &new_path)?);
    names::rename(&from, &path, &to, &new_path, flags)?;
    Ok(0)
}

pub fn mknod(current: &mut Current, args: Args) -> SysResult {
    mknod_path(current, AT_FDCWD, args.u64(0), args.u32(1), args.u32(2))
}

pub fn mknodat(current: &mut Current, args: Args) -> SysResult {
    mknod_path(current, args.i32(0), args.u64(1), args.u32(2), args.u32(3))
}

fn mknod_path(current: &mut Current, dirfd: i32, path: u64, mode: u32, device: u32) -> SysResult {
    let device = device.into();
    // The kernel's own 32-bit form of a device number has the layout of the low half of makedev's.
    let device = special::make_device(special::major(device), special::minor(device));
    let kind = match mode & 0o170000 {
        0 | 0o100000 => NodeKind::File,
        0o010000 => NodeKind::Fifo,
        0o140000 => NodeKind::Socket,
        0o020000 => NodeKind::CharDevice(device),
        0o060000 => NodeKind::BlockDevice(device),
        0o040000 => return Err(Errno::EPERM),
        _ => return Err(Errno::EINVAL),
    };
    let path = current.read_path(path)?;
    let umask = current.task.fs().umask();
    names::make(&current.origin(dirfd, &path)?, &path, kind, mode & 0o7777, umask)?;
    Ok(0)
}
