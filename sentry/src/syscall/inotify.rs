//! `inotify_init`, `inotify_add_watch`, `inotify_rm_watch` (`man 7 inotify`).

use abi::uapi::general::{
    AT_FDCWD, IN_ALL_EVENTS, IN_DONT_FOLLOW, IN_EXCL_UNLINK, IN_IGNORED, IN_ISDIR, IN_MASK_ADD, IN_MASK_CREATE,
    IN_ONESHOT, IN_ONLYDIR, IN_Q_OVERFLOW, IN_UNMOUNT, O_CLOEXEC, O_NONBLOCK,
};

use super::Args;
use crate::task::Current;
use crate::vfs::OpenFlags;
use crate::vfs::inotify::Inotify;
use crate::vfs::permission::{Access, may};
use crate::vfs::walk::WalkFlags;
use crate::{Errno, SysResult};

/// All bits that a mask may have.
const KNOWN: u32 = IN_ALL_EVENTS
    | IN_UNMOUNT
    | IN_Q_OVERFLOW
    | IN_IGNORED
    | IN_ONLYDIR
    | IN_DONT_FOLLOW
    | IN_EXCL_UNLINK
    | IN_MASK_ADD
    | IN_MASK_CREATE
    | IN_ISDIR
    | IN_ONESHOT;

/// `man 2 inotify_init`
pub fn inotify_init(current: &mut Current, _args: Args) -> SysResult {
    current.install(Inotify::open(OpenFlags::empty()), false).map(|fd| fd as u64)
}

/// `man 2 inotify_init1`
pub fn inotify_init1(current: &mut Current, args: Args) -> SysResult {
    let flags = args.u32(0);
    if flags & !(O_CLOEXEC | O_NONBLOCK) != 0 {
        return Err(Errno::EINVAL);
    }
    let description = Inotify::open(OpenFlags::from_bits_retain(flags & O_NONBLOCK));
    current.install(description, flags & O_CLOEXEC != 0).map(|fd| fd as u64)
}

/// `man 2 inotify_add_watch`
pub fn inotify_add_watch(current: &mut Current, args: Args) -> SysResult {
    let mask = args.u32(2);
    if mask & KNOWN == 0 || mask & IN_MASK_ADD != 0 && mask & IN_MASK_CREATE != 0 {
        return Err(Errno::EINVAL);
    }
    let description = current.fd(args.i32(0))?;
    let inotify = description.downcast::<Inotify>().ok_or(Errno::EINVAL)?;
    let path = current.read_path(args.u64(1))?;
    let mut walk = WalkFlags::empty();
    walk.set(WalkFlags::FOLLOW, mask & IN_DONT_FOLLOW == 0);
    walk.set(WalkFlags::DIRECTORY, mask & IN_ONLYDIR != 0);
    let location = current.find(AT_FDCWD, &path, walk)?;
    may(&current.task.credentials(), &location.inode().ownership()?, Access::READ)?;
    inotify.add(&location, mask).map(|descriptor| descriptor as u64)
}

/// `man 2 inotify_rm_watch`
pub fn inotify_rm_watch(current: &mut Current, args: Args) -> SysResult {
    let description = current.fd(args.i32(0))?;
    description.downcast::<Inotify>().ok_or(Errno::EINVAL)?.remove(args.i32(1))?;
    Ok(0)
}
