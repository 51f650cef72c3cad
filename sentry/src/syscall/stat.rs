//! stat, lstat, fstat, newfstatat, statx, statfs, fstatfs, access, faccessat, faccessat2, readlink, readlinkat.

use std::sync::Arc;

use abi::types::{Statfs, Statx, StatxTimestamp, Timespec};

use super::Args;
use crate::task::capability::CapSet;
use crate::task::credentials::SecureBits;
use crate::task::{Credentials, Current};
use crate::vfs::permission::Access;
use crate::vfs::special::{major, minor};
use crate::vfs::walk::WalkFlags;
use crate::vfs::{FileDescription, FileType, Location, Metadata, names};
use crate::{Errno, SysResult};

pub(super) const AT_FDCWD: i32 = -100;
pub(super) const AT_SYMLINK_NOFOLLOW: u32 = 0x100;
pub(super) const AT_EACCESS: u32 = 0x200;
pub(super) const AT_SYMLINK_FOLLOW: u32 = 0x400;
pub(super) const AT_NO_AUTOMOUNT: u32 = 0x800;
pub(super) const AT_EMPTY_PATH: u32 = 0x1000;
const AT_STATX_SYNC_TYPE: u32 = 0x6000;

/// What a call with `AT_EMPTY_PATH` is about: a place in the tree, or an open file that has none.
pub(super) enum Subject {
    /// Found by a walk.
    Location(Location),
    /// The descriptor itself.
    Description(Arc<FileDescription>),
}

impl Subject {
    fn metadata(&self) -> Result<Metadata, Errno> {
        match self {
            Subject::Location(location) => location.inode().metadata(),
            Subject::Description(description) => description.metadata(),
        }
    }

    /// The place in the tree.
    ///
    /// # Errors
    /// EBADF for pipes, sockets and other files without one.
    pub(super) fn location(self) -> Result<Location, Errno> {
        match self {
            Subject::Location(location) => Ok(location),
            Subject::Description(description) => description.location.clone().ok_or(Errno::EBADF),
        }
    }
}

/// The walk flags that `AT_*` flags stand for, for calls that follow links unless told otherwise.
pub(super) fn walk_flags(at: u32) -> WalkFlags {
    let mut flags = WalkFlags::empty();
    if at & AT_SYMLINK_NOFOLLOW == 0 {
        flags |= WalkFlags::FOLLOW;
    }
    if at & AT_EMPTY_PATH != 0 {
        flags |= WalkFlags::EMPTY_PATH;
    }
    flags
}

/// Finds the subject of a call with `dirfd`, `path` (an address; null is allowed with `AT_EMPTY_PATH`) and `AT_*` flags.
pub(super) fn subject(current: &mut Current, dirfd: i32, path: u64, at: u32) -> Result<Subject, Errno> {
    let path = if path == 0 && at & AT_EMPTY_PATH != 0 { Vec::new() } else { current.read_path(path)? };
    if path.is_empty() && at & AT_EMPTY_PATH != 0 && dirfd != AT_FDCWD {
        return Ok(Subject::Description(current.fd_or_path(dirfd)?));
    }
    Ok(Subject::Location(current.find(dirfd, &path, walk_flags(at))?))
}

pub fn stat(current: &mut Current, args: Args) -> SysResult {
    stat_path(current, AT_FDCWD, args.u64(0), args.u64(1), 0)
}

pub fn lstat(current: &mut Current, args: Args) -> SysResult {
    stat_path(current, AT_FDCWD, args.u64(0), args.u64(1), AT_SYMLINK_NOFOLLOW)
}

pub fn fstat(current: &mut Current, args: Args) -> SysResult {
    let stat = current.fd_or_path(args.i32(0))?.metadata()?.to_stat();
    current.return_object(args.u64(1), &stat)?;
    Ok(0)
}

pub fn newfstatat(current: &mut Current, args: Args) -> SysResult {
    let flags = args.u32(3);
    if flags & !(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH | AT_NO_AUTOMOUNT | AT_STATX_SYNC_TYPE) != 0 {
        return Err(Errno::EINVAL);
    }
    stat_path(current, args.i32(0), args.u64(1), args.u64(2), flags)
}

fn stat_path(current: &mut Current, dirfd: i32, path: u64, out: u64, at: u32) -> SysResult {
    let stat = subject(current, dirfd, path, at)?.metadata()?.to_stat();
    current.return_object(out, &stat)?;
    Ok(0)
}

pub fn statx(current: &mut Current, args: Args) -> SysResult {
    let (at, mask) = (args.u32(2), args.u32(3));
    const STATX_RESERVED: u32 = 0x8000_0000;
    if at & !(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH | AT_NO_AUTOMOUNT | AT_STATX_SYNC_TYPE) != 0
        || mask & STATX_RESERVED != 0
        || at & AT_STATX_SYNC_TYPE == AT_STATX_SYNC_TYPE
    {
        return Err(Errno::EINVAL);
    }
    let subject = subject(current, args.i32(0), args.u64(1), at)?;
    let metadata = subject.metadata()?;
    let location = subject.location().ok();
    current.return_object(args.u64(4), &to_statx(&metadata, location.as_ref(), mask))?;
    Ok(0)
}

fn to_statx(metadata: &Metadata, location: Option<&Location>, wanted: u32) -> Statx {
    const BASIC_STATS: u32 = 0x7ff;
    const BTIME: u32 = 0x800;
    const MNT_ID: u32 = 0x1000;
    // Linux gives these two only together and only to those who ask: looking makes their next change finer.
    const CHANGE_TIMES: u32 = 0xc0;
    const ATTR_MOUNT_ROOT: u64 = 0x2000;
    let stamp = |t: Timespec| StatxTimestamp { tv_sec: t.tv_sec, tv_nsec: t.tv_nsec as u32, pad: 0 };
    let with_changes = wanted & CHANGE_TIMES != 0;
    let change_stamp = |t: Timespec| if with_changes { stamp(t) } else { StatxTimestamp::default() };
    let is_mount_root = location.is_some_and(|l| Arc::ptr_eq(&l.dentry, &l.mount.root));
    Statx {
        stx_mask: if with_changes { BASIC_STATS } else { BASIC_STATS & !CHANGE_TIMES }
            | if metadata.times.created.is_some() { BTIME } else { 0 }
            | if location.is_some() { MNT_ID } else { 0 },
        stx_blksize: metadata.block_size as u32,
        stx_attributes: if is_mount_root { ATTR_MOUNT_ROOT } else { 0 },
        stx_attributes_mask: ATTR_MOUNT_ROOT,
        stx_nlink: metadata.nlink as u32,
        stx_uid: metadata.uid,
        stx_gid: metadata.gid,
        stx_mode: metadata.mode() as u16,
        stx_ino: metadata.ino,
        stx_size: metadata.size,
        stx_blocks: metadata.blocks,
        stx_atime: stamp(metadata.times.accessed),
        stx_btime: metadata.times.created.map(stamp).unwrap_or_default(),
        stx_ctime: change_stamp(metadata.times.changed),
        stx_mtime: change_stamp(metadata.times.modified),
        stx_rdev_major: major(metadata.rdev),
        stx_rdev_minor: minor(metadata.rdev),
        stx_dev_major: major(metadata.dev),
        stx_dev_minor: minor(metadata.dev),
        stx_mnt_id: location.map_or(0, |l| l.mount.id),
        ..Statx::default()
    }
}

pub fn statfs(current: &mut Current, args: Args) -> SysResult {
    let path = current.read_path(args.u64(0))?;
    let location = current.find(AT_FDCWD, &path, WalkFlags::FOLLOW)?;
    return_statfs(current, args.u64(1), &location)
}

pub fn fstatfs(current: &mut Current, args: Args) -> SysResult {
    let description = current.fd_or_path(args.i32(0))?;
    match &description.location {
        Some(location) => return_statfs(current, args.u64(1), location),
        None => {
            const PIPEFS_MAGIC: i64 = 0x5049_5045;
            const ANON_INODE_FS_MAGIC: i64 = 0x0904_1934;
            let magic = if description.file.is_pipe() { PIPEFS_MAGIC } else { ANON_INODE_FS_MAGIC };
            let statfs = Statfs { f_type: magic, f_bsize: 4096, f_namelen: 255, f_frsize: 4096, ..Statfs::default() };
            current.return_object(args.u64(1), &statfs)?;
            Ok(0)
        }
    }
}

fn return_statfs(current: &mut Current, out: u64, location: &Location) -> SysResult {
    const ST_VALID: i64 = 0x20;
    let mut statfs = location.mount.file_system().statfs()?;
    let flags = location.mount.flags();
    // The low four bits agree with ST_RDONLY, ST_NOSUID, ST_NODEV, ST_NOEXEC; so do ST_NOATIME and ST_NODIRATIME.
    statfs.f_flags = ST_VALID | i64::from(flags.bits() & 0xf | flags.bits() & 0xc00);
    if flags.contains(crate::vfs::MountFlags::RELATIME) {
        statfs.f_flags |= 0x1000;
    }
    if location.want_write().is_err() {
        statfs.f_flags |= 1;
    }
    current.return_object(out, &statfs)?;
    Ok(0)
}

pub fn access(current: &mut Current, args: Args) -> SysResult {
    check_access(current, AT_FDCWD, args.u64(0), args.u32(1), 0)
}

pub fn faccessat(current: &mut Current, args: Args) -> SysResult {
    check_access(current, args.i32(0), args.u64(1), args.u32(2), 0)
}

pub fn faccessat2(current: &mut Current, args: Args) -> SysResult {
    check_access(current, args.i32(0), args.u64(1), args.u32(2), args.u32(3))
}

fn check_access(current: &mut Current, dirfd: i32, path: u64, mode: u32, at: u32) -> SysResult {
    let want = Access::from_bits(mode).ok_or(Errno::EINVAL)?;
    if at & !(AT_EACCESS | AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) != 0 {
        return Err(Errno::EINVAL);
    }
    let path = if path == 0 && at & AT_EMPTY_PATH != 0 { Vec::new() } else { current.read_path(path)? };
    if path.is_empty() && at & AT_EMPTY_PATH != 0 && dirfd != AT_FDCWD {
        let description = current.fd_or_path(dirfd)?;
        let Some(location) = description.location.clone() else { return Ok(0) };
        let credentials = access_credentials(&current.task.credentials(), at);
        return names::check_access(&location, &credentials, want).map(|()| 0);
    }
    let mut origin = current.origin(dirfd, &path)?;
    origin.credentials = access_credentials(&origin.credentials, at);
    let location = origin.find(&path, walk_flags(at))?;
    if want.is_empty() {
        return Ok(0);
    }
    names::check_access(&location, &origin.credentials, want)?;
    Ok(0)
}

/// `access` asks for the real user, unless told otherwise.
fn access_credentials(credentials: &Arc<Credentials>, at: u32) -> Arc<Credentials> {
    if at & AT_EACCESS != 0 || credentials.fsuid == credentials.uid && credentials.fsgid == credentials.gid {
        return credentials.clone();
    }
    let mut real = (**credentials).clone();
    (real.fsuid, real.fsgid) = (credentials.uid, credentials.gid);
    if !real.secure_bits.contains(SecureBits::NO_SETUID_FIXUP) {
        real.capabilities.effective = if real.uid == 0 { real.capabilities.permitted } else { CapSet::EMPTY };
    }
    Arc::new(real)
}

pub fn readlink(current: &mut Current, args: Args) -> SysResult {
    read_link(current, AT_FDCWD, args.u64(0), args.u64(1), args.i32(2))
}

pub fn readlinkat(current: &mut Current, args: Args) -> SysResult {
    read_link(current, args.i32(0), args.u64(1), args.u64(2), args.i32(3))
}

fn read_link(current: &mut Current, dirfd: i32, path: u64, out: u64, size: i32) -> SysResult {
    let size = usize::try_from(size).ok().filter(|&size| size > 0).ok_or(Errno::EINVAL)?;
    let path = current.read_path(path)?;
    let location = current.find(dirfd, &path, WalkFlags::EMPTY_PATH)?;
    if path.is_empty() && (dirfd == AT_FDCWD || location.dentry.file_type() != FileType::Symlink) {
        return Err(Errno::ENOENT);
    }
    if location.dentry.file_type() != FileType::Symlink {
        return Err(Errno::EINVAL);
    }
    let mut target = location.inode().read_link_for(current)?;
    target.truncate(size);
    current.return_bytes(out, &target)?;
    Ok(target.len() as u64)
}
