//! `timerfd_create`, `timerfd_settime`, `timerfd_gettime` (`man 2 timerfd_create`).

use abi::types::Itimerspec;
use abi::uapi::general::{
    CLOCK_BOOTTIME, CLOCK_BOOTTIME_ALARM, CLOCK_MONOTONIC, CLOCK_REALTIME, CLOCK_REALTIME_ALARM, O_CLOEXEC, O_NONBLOCK,
    TFD_TIMER_ABSTIME, TFD_TIMER_CANCEL_ON_SET,
};

use super::Args;
use crate::task::{Capability, Current};
use crate::vfs::OpenFlags;
use crate::vfs::timerfd::TimerFd;
use crate::{Errno, SysResult};

/// `man 2 timerfd_create`
pub fn timerfd_create(current: &mut Current, args: Args) -> SysResult {
    let (clock, flags) = (args.u32(0), args.u32(1));
    if flags & !(O_CLOEXEC | O_NONBLOCK) != 0 {
        return Err(Errno::EINVAL);
    }
    match clock {
        CLOCK_REALTIME | CLOCK_MONOTONIC | CLOCK_BOOTTIME => {}
        CLOCK_REALTIME_ALARM | CLOCK_BOOTTIME_ALARM => {
            if !current.task.credentials().has(Capability::WAKE_ALARM) {
                return Err(Errno::EPERM);
            }
        }
        _ => return Err(Errno::EINVAL),
    }
    let status = OpenFlags::from_bits_retain(flags & O_NONBLOCK);
    let description = TimerFd::open(clock, &current.kernel.timers, status);
    current.install(description, flags & O_CLOEXEC != 0).map(|fd| fd as u64)
}

/// `man 2 timerfd_settime`
pub fn timerfd_settime(current: &mut Current, args: Args) -> SysResult {
    let (flags, old_addr) = (args.u32(1), args.u64(3));
    let setting = current.read_object::<Itimerspec>(args.u64(2))?;
    if flags & !(TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET) != 0 {
        return Err(Errno::EINVAL);
    }
    let description = current.fd(args.i32(0))?;
    let timerfd = description.downcast::<TimerFd>().ok_or(Errno::EINVAL)?;
    let old = timerfd.set(setting, flags & TFD_TIMER_ABSTIME != 0, flags)?;
    if old_addr != 0 {
        current.return_object(old_addr, &old)?;
    }
    Ok(0)
}

/// `man 2 timerfd_gettime`
pub fn timerfd_gettime(current: &mut Current, args: Args) -> SysResult {
    let description = current.fd(args.i32(0))?;
    let setting = description.downcast::<TimerFd>().ok_or(Errno::EINVAL)?.get();
    current.return_object(args.u64(1), &setting)?;
    Ok(0)
}
