//! fallocate, fsync, fdatasync, sync, syncfs, sync_file_range, fadvise64, readahead.

use super::Args;
use super::read_write::{file_size_limit, send_signal};
use crate::task::Current;
use crate::vfs::notify::{self, Events};
use crate::vfs::{FileType, attributes};
use crate::{Errno, SysResult};

const FALLOC_FL_KEEP_SIZE: u32 = 1;
const FALLOC_FL_PUNCH_HOLE: u32 = 2;
const FALLOC_FL_COLLAPSE_RANGE: u32 = 8;
const FALLOC_FL_ZERO_RANGE: u32 = 0x10;
const FALLOC_FL_INSERT_RANGE: u32 = 0x20;
const FALLOC_FL_UNSHARE_RANGE: u32 = 0x40;

pub fn fallocate(current: &mut Current, args: Args) -> SysResult {
    let (mode, offset, len) = (args.u32(1), args.i64(2), args.i64(3));
    let description = current.fd(args.i32(0))?;
    if offset < 0 || len <= 0 {
        return Err(Errno::EINVAL);
    }
    let exclusive = mode & !FALLOC_FL_KEEP_SIZE;
    let known = FALLOC_FL_PUNCH_HOLE
        | FALLOC_FL_COLLAPSE_RANGE
        | FALLOC_FL_ZERO_RANGE
        | FALLOC_FL_INSERT_RANGE
        | FALLOC_FL_UNSHARE_RANGE;
    if exclusive & !known != 0 || exclusive.count_ones() > 1 {
        return Err(Errno::EOPNOTSUPP);
    }
    if exclusive == FALLOC_FL_PUNCH_HOLE && mode & FALLOC_FL_KEEP_SIZE == 0 {
        return Err(Errno::EOPNOTSUPP);
    }
    if exclusive & (FALLOC_FL_COLLAPSE_RANGE | FALLOC_FL_INSERT_RANGE) != 0 && mode & FALLOC_FL_KEEP_SIZE != 0 {
        return Err(Errno::EINVAL);
    }
    if !description.is_writable() {
        return Err(Errno::EBADF);
    }
    match description.file_type() {
        FileType::Regular => {}
        FileType::Directory => return Err(Errno::EISDIR),
        _ if description.file.is_pipe() => return Err(Errno::ESPIPE),
        _ => return Err(Errno::ENODEV),
    }
    let end = offset.checked_add(len).ok_or(Errno::EFBIG)? as u64;
    if mode & FALLOC_FL_KEEP_SIZE == 0 && end > file_size_limit(current) {
        send_signal(current, abi::signal::Signal::SIGXFSZ);
        return Err(Errno::EFBIG);
    }
    if let Some(location) = &description.location {
        attributes::drop_privileges(location, &current.task.credentials())?;
    }
    description.file.allocate(mode, offset as u64, len as u64)?;
    notify::at_description(&description, Events::MODIFY);
    Ok(0)
}

pub async fn fsync(current: &mut Current, args: Args) -> SysResult {
    sync_file(current, args.i32(0), false).await
}

pub async fn fdatasync(current: &mut Current, args: Args) -> SysResult {
    sync_file(current, args.i32(0), true).await
}

async fn sync_file(current: &mut Current, fd: i32, data_only: bool) -> SysResult {
    let description = current.fd(fd)?;
    current.kernel.blocking.run(move || description.file.sync(data_only)).await?;
    Ok(0)
}

pub async fn sync(current: &mut Current, _args: Args) -> SysResult {
    let root = current.task.fs().root();
    let mounts = root.mount.tree();
    let sync = move || mounts.iter().filter(|mount| mount.file_system().sync().is_err()).count();
    let failed = current.kernel.blocking.run(sync).await;
    if failed > 0 {
        tracing::warn!(failed, "file systems that could not be synchronized");
    }
    Ok(0)
}

pub async fn syncfs(current: &mut Current, args: Args) -> SysResult {
    let description = current.fd(args.i32(0))?;
    let sync = move || description.location.as_ref().map_or(Ok(()), |l| l.mount.file_system().sync());
    current.kernel.blocking.run(sync).await?;
    Ok(0)
}

pub async fn sync_file_range(current: &mut Current, args: Args) -> SysResult {
    let description = current.fd(args.i32(0))?;
    let (offset, len, flags) = (args.i64(1), args.i64(2), args.u32(3));
    if flags & !7 != 0 || offset < 0 || len < 0 || offset.checked_add(len).is_none() {
        return Err(Errno::EINVAL);
    }
    match description.file_type() {
        FileType::Regular | FileType::BlockDevice | FileType::Directory => {}
        _ => return Err(Errno::ESPIPE),
    }
    if flags == 0 {
        return Ok(0);
    }
    current.kernel.blocking.run(move || description.file.sync(true)).await?;
    Ok(0)
}

pub fn fadvise64(current: &mut Current, args: Args) -> SysResult {
    const POSIX_FADV_NOREUSE: i32 = 5;
    let description = current.fd(args.i32(0))?;
    if description.file.is_pipe() {
        return Err(Errno::ESPIPE);
    }
    if args.i64(2) < 0 || !(0..=POSIX_FADV_NOREUSE).contains(&args.i32(3)) {
        return Err(Errno::EINVAL);
    }
    Ok(0)
}

pub fn readahead(current: &mut Current, args: Args) -> SysResult {
    let description = current.fd(args.i32(0))?;
    if !description.is_readable() {
        return Err(Errno::EBADF);
    }
    if args.i64(2) < 0 {
        return Err(Errno::EINVAL);
    }
    match description.file_type() {
        FileType::Regular | FileType::BlockDevice => Ok(0),
        _ => Err(Errno::EINVAL),
    }
}
