//! `process_vm_readv`, `process_vm_writev`: bytes from one process to another (`man 2 process_vm_readv`).

use std::sync::Arc;

use super::Args;
use crate::mm::MemoryMap;
use crate::mm::user::UserSlice;
use crate::task::Current;
use crate::task::credentials::may_access;
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
    let local = current.read_iovecs(args.u64(1), args.u64(2))?;
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
    let Some(space) = mm.space().filter(|_| remote.addr.checked_add(remote.len).is_some()) else { return 0 };
    let mut bytes = vec![0; local.len as usize];
    match direction {
        Direction::FromRemote => {
            let readable = space.read(remote.addr, &mut bytes).map_or_else(|fault| fault.done, |()| bytes.len());
            bytes.truncate(readable);
            mm.show_originals(remote.addr, &mut bytes);
            current.context.write(local.addr, &bytes).map_or_else(|fault| fault.done as u64, |()| bytes.len() as u64)
        }
        Direction::ToRemote => {
            let readable = current.context.read(local.addr, &mut bytes).map_or_else(|fault| fault.done, |()| bytes.len());
            bytes.truncate(readable);
            space.write(remote.addr, &bytes).map_or_else(|fault| fault.done as u64, |()| bytes.len() as u64)
        }
    }
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
