//! Who a process is: numbers, process groups, sessions (`man 7 credentials`).

use super::Args;
use crate::task::{Current, session};
use crate::{Errno, SysResult};

/// `getpid()`
pub fn getpid(current: &mut Current) -> SysResult {
    Ok(current.task.group.pid as u64)
}

/// `gettid()`
pub fn gettid(current: &mut Current) -> SysResult {
    Ok(current.task.tid as u64)
}

/// `getppid()`
pub fn getppid(current: &mut Current) -> SysResult {
    Ok(current.task.group.parent().map_or(0, |parent| parent.pid as u64))
}

/// `getpgrp()`
pub fn getpgrp(current: &mut Current) -> SysResult {
    Ok(current.task.group.family.lock().pgid as u64)
}

/// `getpgid(pid)`
pub fn getpgid(current: &mut Current, args: Args) -> SysResult {
    session::of(current, args.i32(0)).map(|place| place.pgid as u64)
}

/// `getsid(pid)`
pub fn getsid(current: &mut Current, args: Args) -> SysResult {
    session::of(current, args.i32(0)).map(|place| place.sid as u64)
}

/// `setpgid(pid, pgid)`
pub fn setpgid(current: &mut Current, args: Args) -> SysResult {
    session::set_process_group(current, args.i32(0), args.i32(1))?;
    Ok(0)
}

/// `setsid()`
pub fn setsid(current: &mut Current) -> SysResult {
    session::create(current).map(|sid| sid as u64)
}

/// `set_tid_address(tidptr)`
pub fn set_tid_address(current: &mut Current, args: Args) -> SysResult {
    current.task.state.lock().clear_child_tid = args.u64(0);
    Ok(current.task.tid as u64)
}

/// `pidfd_open(pid, flags)`
pub fn pidfd_open(current: &mut Current, args: Args) -> SysResult {
    use crate::task::pidfd::PidFd;
    use crate::vfs::{FileDescription, OpenFlags};

    let nonblock = OpenFlags::NONBLOCK.bits();
    if args.u32(1) & !nonblock != 0 || args.i32(0) <= 0 {
        return Err(Errno::EINVAL);
    }
    let pids = &current.kernel.pids;
    let Some(group) = pids.group(args.i32(0)) else {
        // A thread that leads no process.
        return Err(if pids.task(args.i32(0)).is_some() { Errno::ENOENT } else { Errno::ESRCH });
    };
    let flags = OpenFlags::RDWR | OpenFlags::from_bits_truncate(args.u32(1));
    let description = FileDescription::new(PidFd::new(&group), None, flags);
    let limit = crate::task::rlimit::nofile(current);
    current.task.files()?.insert(description, 0, limit, true).map(|fd| fd as u64)
}

/// `pidfd_getfd(pidfd, targetfd, flags)`
pub fn pidfd_getfd(current: &mut Current, args: Args) -> SysResult {
    use crate::task::pidfd::PidFd;

    if args.u32(2) != 0 {
        return Err(Errno::EINVAL);
    }
    let description = current.fd(args.i32(0))?;
    let group = description.downcast::<PidFd>().ok_or(Errno::EBADF)?.group()?;
    let target = group.threads().first().cloned().ok_or(Errno::ESRCH)?;
    if !crate::task::credentials::may_access(current, &target) {
        return Err(Errno::EPERM);
    }
    let taken = target.files()?.get(args.i32(1))?;
    let limit = crate::task::rlimit::nofile(current);
    current.task.files()?.insert(taken, 0, limit, true).map(|fd| fd as u64)
}
