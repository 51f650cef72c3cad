//! close, close_range, dup, dup2, dup3, fcntl, flock.

use std::sync::Arc;

use abi::types::Flock;

use super::Args;
use super::lock;
use crate::task::{Current, rlimit};
use crate::vfs::permission::is_owner_or_capable;
use crate::vfs::{AsyncOwner, FileDescription, FileType, OpenFlags};
use crate::{Errno, SysResult};

pub fn close(current: &mut Current, args: Args) -> SysResult {
    drop(current.task.files()?.remove(args.i32(0))?);
    Ok(0)
}

pub fn close_range(current: &mut Current, args: Args) -> SysResult {
    const CLOSE_RANGE_UNSHARE: u32 = 2;
    const CLOSE_RANGE_CLOEXEC: u32 = 4;
    let (first, last, flags) = (args.u32(0), args.u32(1), args.u32(2));
    if flags & !(CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC) != 0 || first > last {
        return Err(Errno::EINVAL);
    }
    let mut files = current.task.files()?;
    if flags & CLOSE_RANGE_UNSHARE != 0 {
        files = files.copy();
        let old = current.task.state.lock().files.replace(files.clone());
        drop(old);
    }
    if flags & CLOSE_RANGE_CLOEXEC != 0 {
        files.set_close_on_exec_in(first..=last);
    } else {
        drop(files.remove_where(first..=last, |_| true));
    }
    Ok(0)
}

pub fn dup(current: &mut Current, args: Args) -> SysResult {
    let description = current.fd_or_path(args.i32(0))?;
    let fd = current.task.files()?.insert(description, 0, rlimit::nofile(current), false)?;
    Ok(fd as u64)
}

pub fn dup2(current: &mut Current, args: Args) -> SysResult {
    let (old, new) = (args.i32(0), args.i32(1));
    if old == new {
        current.fd_or_path(old)?;
        return Ok(new as u64);
    }
    replace(current, old, new, false)
}

pub fn dup3(current: &mut Current, args: Args) -> SysResult {
    let flags = OpenFlags::from_bits_retain(args.u32(2));
    if !OpenFlags::CLOEXEC.contains(flags) || args.i32(0) == args.i32(1) {
        return Err(Errno::EINVAL);
    }
    replace(current, args.i32(0), args.i32(1), !flags.is_empty())
}

fn replace(current: &mut Current, old: i32, new: i32, close_on_exec: bool) -> SysResult {
    let limit = rlimit::nofile(current);
    if u64::try_from(new).is_ok_and(|new| new >= limit) {
        return Err(Errno::EBADF);
    }
    let description = current.fd_or_path(old)?;
    drop(current.task.files()?.replace(new, description, limit, close_on_exec)?);
    Ok(new as u64)
}

pub async fn fcntl(current: &mut Current, args: Args) -> SysResult {
    const F_DUPFD: i32 = 0;
    const F_GETFD: i32 = 1;
    const F_SETFD: i32 = 2;
    const F_GETFL: i32 = 3;
    const F_SETFL: i32 = 4;
    const F_GETLK: i32 = 5;
    const F_SETLK: i32 = 6;
    const F_SETLKW: i32 = 7;
    const F_OFD_GETLK: i32 = 36;
    const F_OFD_SETLK: i32 = 37;
    const F_OFD_SETLKW: i32 = 38;
    const F_DUPFD_QUERY: i32 = 1027;
    const F_CREATED_QUERY: i32 = 1028;
    const F_DUPFD_CLOEXEC: i32 = 1030;
    let (fd, command, argument) = (args.i32(0), args.i32(1), args.u64(2));
    let description = current.fd_or_path(fd)?;
    let on_path = matches!(command, F_DUPFD | F_DUPFD_CLOEXEC | F_GETFD | F_SETFD | F_GETFL | F_DUPFD_QUERY);
    if description.flags().contains(OpenFlags::PATH) && !on_path {
        return Err(Errno::EBADF);
    }
    match command {
        F_DUPFD | F_DUPFD_CLOEXEC => {
            let limit = rlimit::nofile(current);
            let from = u64::from(args.u32(2));
            if from >= limit {
                return Err(Errno::EINVAL);
            }
            let fd = current.task.files()?.insert(description, from, limit, command == F_DUPFD_CLOEXEC)?;
            Ok(fd as u64)
        }
        F_GETFD => Ok(current.task.files()?.get_with_flag(fd)?.1.into()),
        F_SETFD => current.task.files()?.set_close_on_exec(fd, argument & 1 != 0).map(|()| 0),
        F_GETFL => Ok((description.flags() | large_file(&description)).bits().into()),
        F_SETFL => set_flags(current, &description, args.u32(2)),
        F_GETLK | F_OFD_GETLK => {
            let request: Flock = current.read_object(argument)?;
            let answer = lock::test(current, &description, request, command == F_OFD_GETLK)?;
            current.write_object(argument, &answer)?;
            Ok(0)
        }
        F_SETLK | F_SETLKW | F_OFD_SETLK | F_OFD_SETLKW => {
            let request: Flock = current.read_object(argument)?;
            let waits = matches!(command, F_SETLKW | F_OFD_SETLKW);
            let of_description = matches!(command, F_OFD_SETLK | F_OFD_SETLKW);
            lock::set(current, fd, &description, request, of_description, waits).await?;
            Ok(0)
        }
        F_DUPFD_QUERY => Ok(Arc::ptr_eq(&description, &current.fd_or_path(args.i32(2))?).into()),
        F_CREATED_QUERY => Ok(0),
        _ => fcntl_object(current, &description, command, args),
    }
}

/// Commands that concern the object: pipes, seals, asynchronous I/O, leases.
fn fcntl_object(current: &mut Current, description: &FileDescription, command: i32, args: Args) -> SysResult {
    const F_SETOWN: i32 = 8;
    const F_GETOWN: i32 = 9;
    const F_SETSIG: i32 = 10;
    const F_GETSIG: i32 = 11;
    const F_SETOWN_EX: i32 = 15;
    const F_GETOWN_EX: i32 = 16;
    const F_GETOWNER_UIDS: i32 = 17;
    const F_SETLEASE: i32 = 1024;
    const F_GETLEASE: i32 = 1025;
    const F_NOTIFY: i32 = 1026;
    const F_SETPIPE_SZ: i32 = 1031;
    const F_GETPIPE_SZ: i32 = 1032;
    const F_ADD_SEALS: i32 = 1033;
    const F_GET_SEALS: i32 = 1034;
    const F_GET_RW_HINT: i32 = 1035;
    const F_SET_RW_HINT: i32 = 1036;
    const F_OWNER_PID: i32 = 1;
    const F_OWNER_PGRP: i32 = 2;
    const F_UNLCK: u64 = 2;
    let argument = args.u64(2);
    match command {
        F_SETOWN => {
            let id = args.i32(2);
            let kind = if id < 0 { F_OWNER_PGRP } else { F_OWNER_PID };
            let id = id.checked_abs().ok_or(Errno::EINVAL)?;
            check_owner(current, kind, id)?;
            let mut owner = description.async_owner.lock();
            *owner = AsyncOwner { kind, id, ..*owner };
            Ok(0)
        }
        F_GETOWN => {
            let owner = *description.async_owner.lock();
            let id = if owner.kind == F_OWNER_PGRP { -owner.id } else { owner.id };
            Ok(i64::from(id) as u64)
        }
        F_SETOWN_EX => {
            let [kind, id]: [i32; 2] = current.read_object(argument)?;
            if !(0..=F_OWNER_PGRP).contains(&kind) {
                return Err(Errno::EINVAL);
            }
            check_owner(current, kind, id)?;
            let mut owner = description.async_owner.lock();
            *owner = AsyncOwner { kind, id, ..*owner };
            Ok(0)
        }
        F_GETOWN_EX => {
            let owner = *description.async_owner.lock();
            current.write_object(argument, &[owner.kind, owner.id])?;
            Ok(0)
        }
        F_SETSIG => {
            if argument > u64::from(abi::signal::Signal::MAX) {
                return Err(Errno::EINVAL);
            }
            description.async_owner.lock().signal = args.i32(2);
            Ok(0)
        }
        F_GETSIG => Ok(description.async_owner.lock().signal as u64),
        // Linux rounds up to a page, also nothing at all.
        F_SETPIPE_SZ if argument as u32 == 0 => Ok(description.file.set_pipe_capacity(4096, current)?.into()),
        F_SETPIPE_SZ => Ok(description.file.set_pipe_capacity(args.u32(2), current)?.into()),
        F_GETPIPE_SZ => Ok(description.file.pipe_capacity()?.into()),
        F_ADD_SEALS => {
            if !description.is_writable() {
                return Err(Errno::EPERM);
            }
            description.file.add_seals(args.u32(2)).map(|()| 0)
        }
        F_GET_SEALS => Ok(description.file.seals()?.into()),
        F_GETOWNER_UIDS => {
            let credentials = current.task.credentials();
            current.write_object(argument, &[credentials.uid, credentials.euid])?;
            Ok(0)
        }
        // No lease is ever held, and none can be: what opens would have to break it.
        F_GETLEASE => Ok(F_UNLCK),
        F_SETLEASE => match description.file_type() {
            FileType::Regular if argument <= F_UNLCK => Err(Errno::EAGAIN),
            _ => Err(Errno::EINVAL),
        },
        F_NOTIFY if argument == 0 => Ok(0),
        F_NOTIFY if description.file_type() == FileType::Directory => Err(Errno::EINVAL),
        F_NOTIFY => Err(Errno::ENOTDIR),
        F_GET_RW_HINT => {
            current.write_object(argument, &0_u64)?;
            Ok(0)
        }
        F_SET_RW_HINT => {
            const RWH_WRITE_LIFE_EXTREME: u64 = 5;
            let hint: u64 = current.read_object(argument)?;
            if hint > RWH_WRITE_LIFE_EXTREME { Err(Errno::EINVAL) } else { Ok(0) }
        }
        _ => Err(Errno::EINVAL),
    }
}

/// Whether someone bears the number.
fn check_owner(current: &Current, kind: i32, id: i32) -> Result<(), Errno> {
    const F_OWNER_TID: i32 = 0;
    const F_OWNER_PID: i32 = 1;
    let pids = &current.kernel.pids;
    let exists = match kind {
        _ if id == 0 => true,
        F_OWNER_TID => pids.task(id).is_some(),
        F_OWNER_PID => pids.group(id).is_some(),
        _ => pids.groups().iter().any(|group| group.family.lock().pgid == id),
    };
    if exists { Ok(()) } else { Err(Errno::ESRCH) }
}

/// 64-bit programs open everything with this flag, said or not.
fn large_file(description: &FileDescription) -> OpenFlags {
    let named = description.location.is_some() && !description.flags().contains(OpenFlags::PATH);
    if named { OpenFlags::LARGEFILE } else { OpenFlags::empty() }
}

fn set_flags(current: &Current, description: &FileDescription, flags: u32) -> SysResult {
    let flags = OpenFlags::from_bits_truncate(flags);
    if let Some(location) = &description.location {
        let wants = flags.contains(OpenFlags::NOATIME) && !description.flags().contains(OpenFlags::NOATIME);
        if wants && !is_owner_or_capable(&current.task.credentials(), &location.inode().ownership()?) {
            return Err(Errno::EPERM);
        }
    }
    description.file.set_flags(flags)?;
    description.set_status_flags(flags);
    Ok(0)
}

pub async fn flock(current: &mut Current, args: Args) -> SysResult {
    let description = current.fd(args.i32(0))?;
    lock::flock(current, &description, args.i32(1)).await?;
    Ok(0)
}
