//! `eventfd` and `eventfd2` (`man 2 eventfd`).

use abi::uapi::general::{EFD_SEMAPHORE, O_CLOEXEC, O_NONBLOCK};

use super::Args;
use crate::task::Current;
use crate::vfs::OpenFlags;
use crate::vfs::eventfd::EventFd;
use crate::{Errno, SysResult};

/// `man 2 eventfd`
pub fn eventfd(current: &mut Current, args: Args) -> SysResult {
    make(current, args.u32(0), 0)
}

/// `man 2 eventfd`
pub fn eventfd2(current: &mut Current, args: Args) -> SysResult {
    make(current, args.u32(0), args.u32(1))
}

fn make(current: &mut Current, count: u32, flags: u32) -> SysResult {
    if flags & !(EFD_SEMAPHORE | O_CLOEXEC | O_NONBLOCK) != 0 {
        return Err(Errno::EINVAL);
    }
    let status = OpenFlags::from_bits_retain(flags & O_NONBLOCK);
    let description = EventFd::open(count.into(), flags & EFD_SEMAPHORE != 0, status);
    current.install(description, flags & O_CLOEXEC != 0).map(|fd| fd as u64)
}
