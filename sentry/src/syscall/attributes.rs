//! chmod, chown, utimes, truncate and their relatives.

use abi::signal::Signal;
use abi::types::{Timespec, Timeval};

use super::Args;
use super::read_write::{file_size_limit, send_signal};
use super::stat::{AT_EMPTY_PATH, AT_FDCWD, AT_SYMLINK_NOFOLLOW, subject, walk_flags};
use crate::task::Current;
use crate::vfs::attributes::{self, NewTime};
use crate::vfs::notify::{self, Events};
use crate::vfs::{FileType, Location};
use crate::{Errno, SysResult};

/// What a call on a descriptor is about; `None` for pipes and sockets, whose attributes nobody sees but who ask through the
/// descriptor: changes of them are accepted and forgotten.
fn fd_location(current: &Current, fd: i32) -> Result<Option<Location>, Errno> {
    let description = current.fd(fd)?;
    match &description.location {
        Some(location) => Ok(Some(location.clone())),
        None if description.metadata()?.file_type == FileType::Anonymous => Err(Errno::EOPNOTSUPP),
        None => Ok(None),
    }
}

pub fn chmod(current: &mut Current, args: Args) -> SysResult {
    chmod_path(current, AT_FDCWD, args.u64(0), args.u32(1), 0)
}

pub fn fchmod(current: &mut Current, args: Args) -> SysResult {
    let Some(location) = fd_location(current, args.i32(0))? else { return Ok(0) };
    attributes::chmod(&location, &current.task.credentials(), args.u32(1))?;
    Ok(0)
}

pub fn fchmodat(current: &mut Current, args: Args) -> SysResult {
    chmod_path(current, args.i32(0), args.u64(1), args.u32(2), 0)
}

pub fn fchmodat2(current: &mut Current, args: Args) -> SysResult {
    if args.u32(3) & !(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) != 0 {
        return Err(Errno::EINVAL);
    }
    chmod_path(current, args.i32(0), args.u64(1), args.u32(2), args.u32(3))
}

fn chmod_path(current: &mut Current, dirfd: i32, path: u64, mode: u32, at: u32) -> SysResult {
    let location = subject(current, dirfd, path, at)?.location()?;
    attributes::chmod(&location, &current.task.credentials(), mode)?;
    Ok(0)
}

pub fn chown(current: &mut Current, args: Args) -> SysResult {
    chown_path(current, AT_FDCWD, args.u64(0), (args.u32(1), args.u32(2)), 0)
}

pub fn lchown(current: &mut Current, args: Args) -> SysResult {
    chown_path(current, AT_FDCWD, args.u64(0), (args.u32(1), args.u32(2)), AT_SYMLINK_NOFOLLOW)
}

pub fn fchown(current: &mut Current, args: Args) -> SysResult {
    let Some(location) = fd_location(current, args.i32(0))? else { return Ok(0) };
    set_owner(current, &location, (args.u32(1), args.u32(2)))
}

pub fn fchownat(current: &mut Current, args: Args) -> SysResult {
    if args.u32(4) & !(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) != 0 {
        return Err(Errno::EINVAL);
    }
    chown_path(current, args.i32(0), args.u64(1), (args.u32(2), args.u32(3)), args.u32(4))
}

fn chown_path(current: &mut Current, dirfd: i32, path: u64, ids: (u32, u32), at: u32) -> SysResult {
    let location = subject(current, dirfd, path, at)?.location()?;
    set_owner(current, &location, ids)
}

fn set_owner(current: &mut Current, location: &Location, (uid, gid): (u32, u32)) -> SysResult {
    let given = |id: u32| (id != u32::MAX).then_some(id);
    attributes::chown(location, &current.task.credentials(), given(uid), given(gid))?;
    Ok(0)
}

pub fn utimensat(current: &mut Current, args: Args) -> SysResult {
    let at = args.u32(3);
    if at & !(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) != 0 {
        return Err(Errno::EINVAL);
    }
    let times = match args.u64(2) {
        0 => [NewTime::Now; 2],
        addr => {
            let times: [Timespec; 2] = [current.read_object(addr)?, current.read_object(addr.wrapping_add(16))?];
            [new_time(times[0])?, new_time(times[1])?]
        }
    };
    if times == [NewTime::Keep; 2] {
        return Ok(0);
    }
    let dirfd = args.i32(0);
    // A null path means the descriptor itself: that is futimens.
    let location = match args.u64(1) {
        0 if dirfd == AT_FDCWD => return Err(Errno::EFAULT),
        0 if at & AT_SYMLINK_NOFOLLOW != 0 => return Err(Errno::EINVAL),
        0 => match fd_location(current, dirfd)? {
            Some(location) => location,
            None => return Ok(0),
        },
        path => subject(current, dirfd, path, at)?.location()?,
    };
    attributes::set_times(&location, &current.task.credentials(), times[0], times[1])?;
    Ok(0)
}

fn new_time(time: Timespec) -> Result<NewTime, Errno> {
    const UTIME_NOW: i64 = (1 << 30) - 1;
    const UTIME_OMIT: i64 = (1 << 30) - 2;
    match time.tv_nsec {
        UTIME_NOW => Ok(NewTime::Now),
        UTIME_OMIT => Ok(NewTime::Keep),
        0..1_000_000_000 => Ok(NewTime::At(time)),
        _ => Err(Errno::EINVAL),
    }
}

pub fn utimes(current: &mut Current, args: Args) -> SysResult {
    let times = read_timevals(current, args.u64(1))?;
    set_times_at(current, AT_FDCWD, args.u64(0), times)
}

pub fn futimesat(current: &mut Current, args: Args) -> SysResult {
    let times = read_timevals(current, args.u64(2))?;
    if args.u64(1) == 0 {
        if args.i32(0) == AT_FDCWD {
            return Err(Errno::EFAULT);
        }
        let Some(location) = fd_location(current, args.i32(0))? else { return Ok(0) };
        attributes::set_times(&location, &current.task.credentials(), times[0], times[1])?;
        return Ok(0);
    }
    set_times_at(current, args.i32(0), args.u64(1), times)
}

pub fn utime(current: &mut Current, args: Args) -> SysResult {
    let times = match args.u64(1) {
        0 => [NewTime::Now; 2],
        addr => {
            let [accessed, modified]: [i64; 2] = current.read_object(addr)?;
            [accessed, modified].map(|tv_sec| NewTime::At(Timespec { tv_sec, tv_nsec: 0 }))
        }
    };
    set_times_at(current, AT_FDCWD, args.u64(0), times)
}

fn read_timevals(current: &mut Current, addr: u64) -> Result<[NewTime; 2], Errno> {
    if addr == 0 {
        return Ok([NewTime::Now; 2]);
    }
    let convert = |time: Timeval| match time.tv_usec {
        0..1_000_000 => Ok(NewTime::At(Timespec { tv_sec: time.tv_sec, tv_nsec: time.tv_usec * 1000 })),
        _ => Err(Errno::EINVAL),
    };
    let accessed = convert(current.read_object(addr)?)?;
    let modified = convert(current.read_object(addr.wrapping_add(16))?)?;
    Ok([accessed, modified])
}

fn set_times_at(current: &mut Current, dirfd: i32, path: u64, times: [NewTime; 2]) -> SysResult {
    let path = current.read_path(path)?;
    let location = current.find(dirfd, &path, walk_flags(0))?;
    attributes::set_times(&location, &current.task.credentials(), times[0], times[1])?;
    Ok(0)
}

pub fn truncate(current: &mut Current, args: Args) -> SysResult {
    let size = u64::try_from(args.i64(1)).map_err(|_| Errno::EINVAL)?;
    let path = current.read_path(args.u64(0))?;
    let location = current.find(AT_FDCWD, &path, walk_flags(0))?;
    if location.dentry.file_type() == FileType::Regular {
        check_size(current, size)?;
    }
    attributes::truncate(&location, &current.task.credentials(), size)?;
    Ok(0)
}

pub fn ftruncate(current: &mut Current, args: Args) -> SysResult {
    let size = u64::try_from(args.i64(1)).map_err(|_| Errno::EINVAL)?;
    let description = current.fd(args.i32(0))?;
    if !description.is_writable() {
        return Err(Errno::EINVAL);
    }
    check_size(current, size)?;
    if let Some(location) = &description.location {
        attributes::drop_privileges(location, &current.task.credentials())?;
    }
    description.file.truncate(size)?;
    notify::at_description(&description, Events::MODIFY);
    Ok(0)
}

/// `RLIMIT_FSIZE` for a new size.
fn check_size(current: &mut Current, size: u64) -> Result<(), Errno> {
    if size > file_size_limit(current) {
        send_signal(current, Signal::SIGXFSZ);
        return Err(Errno::EFBIG);
    }
    Ok(())
}
