//! `epoll_create`, `epoll_ctl`, `epoll_wait` and their siblings (`man 7 epoll`).

use abi::types::{EpollEvent, Timespec};
use abi::uapi::general::{EPOLL_CLOEXEC, EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD};
use zerocopy::IntoBytes;

use super::Args;
use super::poll::{Timeout, end_temporary_mask, set_temporary_mask};
use crate::kernel::wait_queue::Readiness;
use crate::task::Current;
use crate::vfs::epoll::Epoll;
use crate::{Errno, SysResult};

/// `man 2 epoll_create`
pub fn epoll_create(current: &mut Current, args: Args) -> SysResult {
    if args.i32(0) <= 0 {
        return Err(Errno::EINVAL);
    }
    create(current, false)
}

/// `man 2 epoll_create1`
pub fn epoll_create1(current: &mut Current, args: Args) -> SysResult {
    let flags = args.u32(0);
    if flags & !EPOLL_CLOEXEC != 0 {
        return Err(Errno::EINVAL);
    }
    create(current, flags & EPOLL_CLOEXEC != 0)
}

fn create(current: &mut Current, close_on_exec: bool) -> SysResult {
    current.install(Epoll::open(), close_on_exec).map(|fd| fd as u64)
}

/// `man 2 epoll_ctl`
pub fn epoll_ctl(current: &mut Current, args: Args) -> SysResult {
    let (operation, fd) = (args.u32(1), args.i32(2));
    let event = if operation == EPOLL_CTL_DEL { EpollEvent::default() } else { current.read_object(args.u64(3))? };
    let outer = current.fd(args.i32(0))?;
    let target = current.fd(fd)?;
    if target.file.wait_queue().is_none() {
        return Err(Errno::EPERM);
    }
    let epoll = outer.downcast::<Epoll>().filter(|_| outer.id != target.id).ok_or(Errno::EINVAL)?;
    match operation {
        EPOLL_CTL_ADD => epoll.add(fd, &target, event)?,
        EPOLL_CTL_MOD => epoll.modify(fd, &target, event)?,
        EPOLL_CTL_DEL => epoll.delete(fd, &target)?,
        _ => return Err(Errno::EINVAL),
    }
    Ok(0)
}

/// `man 2 epoll_wait`
pub async fn epoll_wait(current: &mut Current, args: Args) -> SysResult {
    let timeout = Timeout::from_ms(args.i32(3));
    wait(current, args, timeout).await
}

/// `man 2 epoll_pwait`
pub async fn epoll_pwait(current: &mut Current, args: Args) -> SysResult {
    set_temporary_mask(current, args.u64(4), args.u64(5))?;
    let result = wait(current, args, Timeout::from_ms(args.i32(3))).await;
    end_temporary_mask(current, result)
}

/// `man 2 epoll_pwait2`
pub async fn epoll_pwait2(current: &mut Current, args: Args) -> SysResult {
    let timeout = match args.u64(3) {
        0 => Timeout::Never,
        addr => Timeout::from_timespec(current.read_object::<Timespec>(addr)?)?,
    };
    set_temporary_mask(current, args.u64(4), args.u64(5))?;
    let result = wait(current, args, timeout).await;
    end_temporary_mask(current, result)
}

async fn wait(current: &mut Current, args: Args, timeout: Timeout) -> SysResult {
    let max = args.i32(2);
    if max <= 0 || max as usize > i32::MAX as usize / size_of::<EpollEvent>() {
        return Err(Errno::EINVAL);
    }
    let description = current.fd(args.i32(0))?;
    let epoll = description.downcast::<Epoll>().ok_or(Errno::EINVAL)?;
    let collect = |_: &mut Current| match epoll.collect(max as usize) {
        events if events.is_empty() => Err(Errno::EAGAIN),
        events => Ok(events),
    };
    let collected = match timeout {
        Timeout::Now => collect(current),
        _ => current.block_on(epoll.queue(), Readiness::READABLE, timeout.deadline(), collect).await,
    };
    let events = match collected {
        Ok(events) => events,
        Err(Errno::EAGAIN | Errno::ETIMEDOUT) => return Ok(0),
        Err(Errno::ERESTARTSYS) => return Err(Errno::EINTR),
        Err(errno) => return Err(errno),
    };
    if let Err(errno) = current.write_bytes(args.u64(1), events.as_bytes()) {
        epoll.restore();
        return Err(errno);
    }
    Ok(events.len() as u64)
}
