//! Calls on another process's memory: `process_vm_readv`, `process_vm_writev`, `process_madvise`, `process_mrelease`.

use std::sync::Arc;

use super::Args;
use crate::mm::MemoryMap;
use crate::mm::user::{UIO_MAXIOV, UserSlice};
use crate::task::capability::Capability;
use crate::task::credentials::may_access;
use crate::task::pidfd::PidFd;
use crate::task::{Current, Task};
use crate::{Errno, SysResult};

/// Bytes that are held at a time.
const STEP: u64 = 64 << 10;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    FromRemote,
    ToRemote,
}

/// `process_vm_readv(pid, local_iov, liovcnt, remote_iov, riovcnt, flags)`
pub fn process_vm_readv(current: &mut Current, args: Args) -> SysResult {
    transfer(current, args, Direction::FromRemote)
}

/// `process_vm_writev(pid, local_iov, liovcnt, remote_iov, riovcnt, flags)`
pub fn process_vm_writev(current: &mut Current, args: Args) -> SysResult {
    transfer(current, args, Direction::ToRemote)
}

fn transfer(current: &mut Current, args: Args, direction: Direction) -> SysResult {
    if args.u64(5) != 0 {
        return Err(Errno::EINVAL);
    }
    // The kernel takes the first count for an `unsigned int`, the second one whole.
    if args.u64(4) > UIO_MAXIOV {
        return Err(Errno::EINVAL);
    }
    let local = current.read_iovecs(args.u64(1), u64::from(args.u32(2)))?;
    let remote = current.read_iovecs(args.u64(3), args.u64(4))?;
    let total: u64 = local.iter().map(|slice| slice.len).sum();
    if total == 0 {
        return Ok(0);
    }
    let target = current.kernel.pids.task(args.i32(0)).ok_or(Errno::ESRCH)?;
    let mm = target.mm()?;
    if !may_access(current, &target) {
        return Err(Errno::EPERM);
    }
    let mut done = 0;
    let mut remote = Pieces::new(&remote);
    let mut local = Pieces::new(&local);
    loop {
        let len = STEP.min(local.left()).min(remote.left());
        if len == 0 {
            return Ok(done);
        }
        let copied = copy(current, &mm, local.take(len), remote.take(len), direction);
        done += copied;
        if copied < len {
            return if done > 0 { Ok(done) } else { Err(Errno::EFAULT) };
        }
    }
}

/// Copies one piece and tells how much of it.
fn copy(current: &mut Current, mm: &Arc<MemoryMap>, local: UserSlice, remote: UserSlice, direction: Direction) -> u64 {
    if remote.addr.checked_add(remote.len).is_none() {
        return 0;
    }
    if current.task.mm().is_ok_and(|own| Arc::ptr_eq(&own, mm)) {
        let (from, to) = match direction {
            Direction::FromRemote => (remote, local),
            Direction::ToRemote => (local, remote),
        };
        return copy_within(current, mm, from, to);
    }
    let Some(space) = mm.space() else { return 0 };
    let mut bytes = vec![0; local.len as usize];
    match direction {
        Direction::FromRemote => {
            let readable = space.read(remote.addr, &mut bytes).map_or_else(|fault| fault.done, |()| bytes.len());
            bytes.truncate(readable);
            mm.show_originals(remote.addr, &mut bytes);
            current.context.write(local.addr, &bytes).map_or_else(|fault| fault.done as u64, |()| bytes.len() as u64)
        }
        Direction::ToRemote => {
            let readable =
                current.context.read(local.addr, &mut bytes).map_or_else(|fault| fault.done, |()| bytes.len());
            bytes.truncate(readable);
            space.write(remote.addr, &bytes).map_or_else(|fault| fault.done as u64, |()| bytes.len() as u64)
        }
    }
}

/// In the caller's own memory its hands are the faster way.
fn copy_within(current: &mut Current, mm: &MemoryMap, from: UserSlice, to: UserSlice) -> u64 {
    let mut bytes = vec![0; from.len as usize];
    let readable = current.context.read(from.addr, &mut bytes).map_or_else(|fault| fault.done, |()| bytes.len());
    bytes.truncate(readable);
    mm.show_originals(from.addr, &mut bytes);
    current.context.write(to.addr, &bytes).map_or_else(|fault| fault.done as u64, |()| bytes.len() as u64)
}

/// `process_madvise(pidfd, vec, n, advice, flags)`
///
/// For another process only advice that changes nothing it could see is allowed; without its hands that is accepted and
/// not passed on.
pub fn process_madvise(current: &mut Current, args: Args) -> SysResult {
    use abi::uapi::general::{MADV_COLD, MADV_COLLAPSE, MADV_HWPOISON, MADV_PAGEOUT, MADV_SOFT_OFFLINE, MADV_WILLNEED};
    if args.u32(4) != 0 {
        return Err(Errno::EINVAL);
    }
    let slices = current.read_iovecs(args.u64(1), u64::from(args.u32(2)))?;
    let (target, mm) = process(current, args.i32(0))?;
    let advice = args.u32(3);
    let own = current.task.mm().is_ok_and(|own| Arc::ptr_eq(&own, &mm));
    if matches!(advice, MADV_HWPOISON | MADV_SOFT_OFFLINE) {
        return Err(Errno::EINVAL);
    }
    if !own {
        if !matches!(advice, MADV_COLD | MADV_PAGEOUT | MADV_WILLNEED | MADV_COLLAPSE) {
            return Err(Errno::EINVAL);
        }
        if !may_access(current, &target) || !current.task.credentials().has(Capability::SYS_NICE) {
            return Err(Errno::EPERM);
        }
    }
    let mut done = 0;
    for slice in slices {
        if own {
            match mm.advise(&mut *current.context, slice.addr, slice.len, advice) {
                Ok(()) => {}
                Err(_) if done > 0 => break,
                Err(error) => return Err(error),
            }
        }
        done += slice.len;
    }
    Ok(done)
}

/// `process_mrelease(pidfd, flags)`: a dying process's memory goes with its host process, at once.
pub fn process_mrelease(current: &mut Current, args: Args) -> SysResult {
    if args.u32(1) != 0 {
        return Err(Errno::EINVAL);
    }
    let description = current.fd(args.i32(0))?;
    let group = description.downcast::<PidFd>().ok_or(Errno::EBADF)?.group()?;
    let exiting = {
        let family = group.family.lock();
        family.exiting.is_some() || family.exit_status.is_some()
    };
    if exiting { Ok(0) } else { Err(Errno::EINVAL) }
}

/// A living task of the process that a pidfd refers to, and its memory.
fn process(current: &Current, fd: i32) -> Result<(Arc<Task>, Arc<MemoryMap>), Errno> {
    let description = current.fd(fd)?;
    let group = description.downcast::<PidFd>().ok_or(Errno::EBADF)?.group()?;
    let threads = group.family.lock().threads.clone();
    let living = threads.into_iter().find_map(|task| task.mm().ok().map(|mm| (task, mm)));
    living.ok_or(Errno::ESRCH)
}

/// A list of slices, eaten from the front.
struct Pieces<'a> {
    slices: &'a [UserSlice],
    eaten: u64,
}

impl<'a> Pieces<'a> {
    fn new(slices: &'a [UserSlice]) -> Pieces<'a> {
        Pieces { slices, eaten: 0 }
    }

    /// What is left of the first slice that is not eaten; 0 at the end.
    fn left(&mut self) -> u64 {
        while let Some(first) = self.slices.first() {
            if first.len > self.eaten {
                return first.len - self.eaten;
            }
            self.slices = &self.slices[1..];
            self.eaten = 0;
        }
        0
    }

    /// Eats `len` bytes, at most [`Pieces::left`].
    fn take(&mut self, len: u64) -> UserSlice {
        let addr = self.slices.first().map_or(0, |first| first.addr.wrapping_add(self.eaten));
        self.eaten += len;
        UserSlice { addr, len }
    }
}
