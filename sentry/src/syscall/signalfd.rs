//! `signalfd` and `signalfd4` (`man 2 signalfd`).

use abi::signal::SigSet;
use abi::uapi::general::{O_CLOEXEC, O_NONBLOCK};

use super::Args;
use crate::task::Current;
use crate::vfs::OpenFlags;
use crate::vfs::signalfd::SignalFd;
use crate::{Errno, SysResult};

/// `man 2 signalfd`
pub fn signalfd(current: &mut Current, args: Args) -> SysResult {
    make(current, args, 0)
}

/// `man 2 signalfd`
pub fn signalfd4(current: &mut Current, args: Args) -> SysResult {
    make(current, args, args.u32(3))
}

fn make(current: &mut Current, args: Args, flags: u32) -> SysResult {
    if args.u64(2) != size_of::<SigSet>() as u64 {
        return Err(Errno::EINVAL);
    }
    let mask = current.read_object::<SigSet>(args.u64(1))?;
    if flags & !(O_CLOEXEC | O_NONBLOCK) != 0 {
        return Err(Errno::EINVAL);
    }
    let fd = args.i32(0);
    if fd != -1 {
        let description = current.fd(fd)?;
        description.downcast::<SignalFd>().ok_or(Errno::EINVAL)?.set_mask(mask);
        return Ok(fd as u64);
    }
    let status = OpenFlags::from_bits_retain(flags & O_NONBLOCK);
    let description = SignalFd::open(current, mask, status);
    current.install(description, flags & O_CLOEXEC != 0).map(|fd| fd as u64)
}
