//! `pipe` and `pipe2` (`man 2 pipe`).

use abi::uapi::general::{O_CLOEXEC, O_DIRECT, O_NONBLOCK};

use super::Args;
use crate::task::Current;
use crate::vfs::OpenFlags;
use crate::vfs::pipe::Pipe;
use crate::{Errno, SysResult};

/// `man 2 pipe`
pub fn pipe(current: &mut Current, args: Args) -> SysResult {
    make(current, args.u64(0), OpenFlags::empty())
}

/// `man 2 pipe2`
pub fn pipe2(current: &mut Current, args: Args) -> SysResult {
    let flags = args.u32(1);
    // O_NOTIFICATION_PIPE is O_EXCL; watch queues are not built into most kernels either.
    if flags & !(O_CLOEXEC | O_DIRECT | O_NONBLOCK) != 0 {
        return Err(Errno::EINVAL);
    }
    make(current, args.u64(0), OpenFlags::from_bits_retain(flags))
}

fn make(current: &mut Current, addr: u64, flags: OpenFlags) -> SysResult {
    let close_on_exec = flags.contains(OpenFlags::CLOEXEC);
    let (reader, writer) = Pipe::pair(current, flags - OpenFlags::CLOEXEC);
    let read_fd = current.install(reader, close_on_exec)?;
    let files = current.task.files()?;
    let write_fd = match current.install(writer, close_on_exec) {
        Ok(fd) => fd,
        Err(errno) => {
            drop(files.remove(read_fd));
            return Err(errno);
        }
    };
    if let Err(errno) = current.write_object(addr, &[read_fd, write_fd]) {
        drop((files.remove(read_fd), files.remove(write_fd)));
        return Err(errno);
    }
    Ok(0)
}
