//! sendfile, splice, tee, vmsplice, copy_file_range: bytes from one open file to another.

use std::sync::Arc;

use super::Args;
use super::read_write::{At, RwFlags, gather_all, read_buffer, read_pipe_to_user, write_buffer};
use crate::kernel::wait_queue::Readiness;
use crate::mm::user::MAX_RW_COUNT;
use crate::task::Current;
use crate::vfs::{FileDescription, FileType, OpenFlags, special};
use crate::{Errno, SysResult};

const CHUNK: usize = 256 << 10;
/// A pipe's usual capacity: no more is moved through one at once.
const PIPE_CHUNK: usize = 64 << 10;

const SPLICE_F_NONBLOCK: u32 = 2;
const SPLICE_F_ALL: u32 = 0xf;

/// An offset given by address: where it is, and what it says.
struct OffsetArgument {
    addr: u64,
    at: At,
}

impl OffsetArgument {
    fn read(current: &mut Current, addr: u64) -> Result<OffsetArgument, Errno> {
        if addr == 0 {
            return Ok(OffsetArgument { addr, at: At::Position });
        }
        let offset: i64 = current.read_object(addr)?;
        let at = u64::try_from(offset).map(At::Offset).map_err(|_| Errno::EINVAL)?;
        Ok(OffsetArgument { addr, at })
    }

    fn write_back(&self, current: &mut Current) -> Result<(), Errno> {
        match self.at {
            At::Offset(offset) => current.write_object(self.addr, &offset),
            At::Position => Ok(()),
        }
    }

    /// Where the next byte is, for a file with a position.
    fn offset(&self, description: &FileDescription) -> u64 {
        match self.at {
            At::Offset(offset) => offset,
            At::Position => *description.position.lock(),
        }
    }

    /// Moves on by `bytes`, the description's own position included.
    fn consume(&mut self, description: &FileDescription, bytes: usize) {
        match &mut self.at {
            At::Offset(offset) => *offset = offset.saturating_add(bytes as u64),
            At::Position => {
                let mut position = description.position.lock();
                *position = position.saturating_add(bytes as u64);
            }
        }
    }
}

pub async fn sendfile(current: &mut Current, args: Args) -> SysResult {
    let output = current.fd(args.i32(0))?;
    let input = current.fd(args.i32(1))?;
    let mut from = OffsetArgument::read(current, args.u64(2))?;
    let count = transfer_count(args.u64(3))?;
    if !input.is_readable() || !output.is_writable() {
        return Err(Errno::EBADF);
    }
    if from.addr != 0 && !input.file.is_seekable() {
        return Err(Errno::ESPIPE);
    }
    if output.flags().contains(OpenFlags::APPEND) || !gives_splices(&input) || !takes_splices(&output) {
        return Err(Errno::EINVAL);
    }
    let done = pump(current, &input, &mut from, &output, &mut At::Position, count, RwFlags::empty()).await?;
    if done > 0 {
        from.write_back(current)?;
    }
    Ok(done)
}

/// A byte count, which must not be negative as `ssize_t`.
fn transfer_count(count: u64) -> Result<usize, Errno> {
    if count > i64::MAX as u64 { Err(Errno::EINVAL) } else { Ok(count.min(MAX_RW_COUNT) as usize) }
}

const MEMORY_DEVICES: u32 = 1;
const NULL_MINOR: u32 = 3;
const FULL_MINOR: u32 = 7;

fn memory_device(description: &FileDescription) -> Option<u32> {
    let rdev = description.metadata().ok().filter(|m| m.file_type == FileType::CharDevice)?.rdev;
    (special::major(rdev) == MEMORY_DEVICES).then(|| special::minor(rdev))
}

/// Whether `sendfile` can read from it: files with a position that have something to give.
fn gives_splices(description: &FileDescription) -> bool {
    description.file.is_seekable()
        && description.file_type() != FileType::Directory
        && memory_device(description) != Some(NULL_MINOR)
}

/// Whether bytes can be spliced into it; anonymous inodes and most memory devices cannot take them.
fn takes_splices(description: &FileDescription) -> bool {
    match description.metadata().map(|m| m.file_type) {
        Ok(FileType::Anonymous | FileType::Directory) | Err(_) => false,
        Ok(FileType::CharDevice) => memory_device(description).is_none_or(|minor| minor != FULL_MINOR),
        Ok(_) => true,
    }
}

/// Whether two descriptors are ends of one pipe.
fn is_same_pipe(a: &FileDescription, b: &FileDescription) -> bool {
    let identity = |description: &FileDescription| description.metadata().map(|m| (m.dev, m.ino)).ok();
    a.file.is_pipe() && b.file.is_pipe() && identity(a) == identity(b)
}

/// Copies up to `count` bytes. Nothing of the input is lost when the output takes less than was read.
async fn pump(
    current: &mut Current,
    input: &Arc<FileDescription>,
    from: &mut OffsetArgument,
    output: &Arc<FileDescription>,
    to: &mut At,
    count: usize,
    flags: RwFlags,
) -> SysResult {
    let mut done = 0;
    while done < count {
        let step = pump_once(current, input, from, output, to, (count - done).min(CHUNK), flags).await;
        match step {
            Ok(0) => break,
            Ok(moved) => {
                done += moved;
                // What waits (pipes, sockets) has given what it has.
                if !input.file.is_seekable() {
                    break;
                }
            }
            Err(error) if done == 0 => return Err(error),
            Err(_) => break,
        }
    }
    Ok(done as u64)
}

async fn pump_once(
    current: &mut Current,
    input: &Arc<FileDescription>,
    from: &mut OffsetArgument,
    output: &Arc<FileDescription>,
    to: &mut At,
    len: usize,
    flags: RwFlags,
) -> Result<usize, Errno> {
    let moved = if input.file.is_pipe() {
        let data = peek(current, input, len.min(PIPE_CHUNK), flags).await?;
        if data.is_empty() {
            return Ok(0);
        }
        let written = write_buffer(current, output, &data, *to, flags).await?;
        read_buffer(current, input, written, At::Position, RwFlags::NOWAIT).await?;
        written
    } else if input.file.is_seekable() {
        let at = At::Offset(from.offset(input));
        let data = read_buffer(current, input, len, at, flags).await?;
        if data.is_empty() {
            return Ok(0);
        }
        let written = write_buffer(current, output, &data, *to, flags).await?;
        from.consume(input, written);
        written
    } else {
        // A stream cannot be asked again: wait for room first, then write all of it.
        wait_for_room(current, output, flags).await?;
        let data = read_buffer(current, input, len.min(PIPE_CHUNK), At::Position, flags).await?;
        if data.is_empty() {
            return Ok(0);
        }
        write_buffer(current, output, &data, *to, RwFlags::empty()).await?
    };
    if let At::Offset(offset) = to {
        *offset = offset.saturating_add(moved as u64);
    }
    Ok(moved)
}

/// Looks at the front of a pipe, waiting for bytes if that is allowed; nothing at its end.
async fn peek(
    current: &mut Current,
    pipe: &Arc<FileDescription>,
    len: usize,
    flags: RwFlags,
) -> Result<Vec<u8>, Errno> {
    let operation = |_: &mut Current| {
        let mut data = vec![0; len];
        let got = pipe.file.peek(&mut data)?;
        data.truncate(got);
        Ok(data)
    };
    match operation(current) {
        Err(Errno::EAGAIN) if !flags.contains(RwFlags::NOWAIT) && !pipe.flags().contains(OpenFlags::NONBLOCK) => {}
        done => return done,
    }
    let queue = pipe.file.wait_queue().ok_or(Errno::EAGAIN)?;
    current.block_on(&queue, Readiness::READABLE | Readiness::ALWAYS, None, operation).await
}

async fn wait_for_room(current: &mut Current, output: &Arc<FileDescription>, flags: RwFlags) -> Result<(), Errno> {
    let Some(queue) = output.file.wait_queue() else { return Ok(()) };
    let operation = |_: &mut Current| {
        let ready = output.file.readiness();
        if ready.intersects(Readiness::WRITABLE | Readiness::ALWAYS) { Ok(()) } else { Err(Errno::EAGAIN) }
    };
    match operation(current) {
        Err(Errno::EAGAIN) if !flags.contains(RwFlags::NOWAIT) && !output.flags().contains(OpenFlags::NONBLOCK) => {}
        done => return done,
    }
    current.block_on(&queue, Readiness::WRITABLE | Readiness::ALWAYS, None, operation).await
}

fn splice_flags(flags: u32) -> Result<RwFlags, Errno> {
    if flags & !SPLICE_F_ALL != 0 {
        return Err(Errno::EINVAL);
    }
    Ok(if flags & SPLICE_F_NONBLOCK != 0 { RwFlags::NOWAIT } else { RwFlags::empty() })
}

pub async fn splice(current: &mut Current, args: Args) -> SysResult {
    let flags = splice_flags(args.u32(5))?;
    if args.u64(4) == 0 {
        return Ok(0);
    }
    let input = current.fd(args.i32(0))?;
    let output = current.fd(args.i32(2))?;
    if args.u64(1) != 0 && input.file.is_pipe() || args.u64(3) != 0 && output.file.is_pipe() {
        return Err(Errno::ESPIPE);
    }
    if !input.is_readable() || !output.is_writable() {
        return Err(Errno::EBADF);
    }
    let seekable = |description: &FileDescription| description.file.is_seekable();
    let no_position = args.u64(1) != 0 && !seekable(&input) || args.u64(3) != 0 && !seekable(&output);
    let no_pipe = !input.file.is_pipe() && !output.file.is_pipe();
    let append = output.flags().contains(OpenFlags::APPEND) && seekable(&output);
    if no_position || no_pipe || append || is_same_pipe(&input, &output) || !takes_splices(&output) {
        return Err(Errno::EINVAL);
    }
    let count = transfer_count(args.u64(4))?;
    let mut from = OffsetArgument::read(current, args.u64(1))?;
    let mut to = OffsetArgument::read(current, args.u64(3))?;
    if output.file.is_pipe() {
        wait_for_room(current, &output, flags).await?;
    }
    if let At::Offset(offset) = to.at
        && offset.checked_add(count as u64).is_none_or(|end| end > i64::MAX as u64)
    {
        return Err(Errno::EFBIG);
    }
    let done = pump(current, &input, &mut from, &output, &mut to.at, count.min(PIPE_CHUNK), flags).await?;
    if done > 0 {
        from.write_back(current)?;
        to.write_back(current)?;
    }
    Ok(done)
}

pub async fn tee(current: &mut Current, args: Args) -> SysResult {
    let flags = splice_flags(args.u32(3))?;
    let count = args.u64(2).min(PIPE_CHUNK as u64) as usize;
    let input = current.fd(args.i32(0))?;
    let output = current.fd(args.i32(1))?;
    if !input.is_readable() || !output.is_writable() {
        return Err(Errno::EBADF);
    }
    if !input.file.is_pipe() || !output.file.is_pipe() || is_same_pipe(&input, &output) {
        return Err(Errno::EINVAL);
    }
    if count == 0 {
        return Ok(0);
    }
    wait_for_room(current, &output, flags).await?;
    let data = peek(current, &input, count, flags).await?;
    if data.is_empty() {
        return Ok(0);
    }
    Ok(write_buffer(current, &output, &data, At::Position, RwFlags::NOWAIT).await? as u64)
}

pub async fn vmsplice(current: &mut Current, args: Args) -> SysResult {
    let flags = splice_flags(args.u32(3))?;
    let pipe = current.fd(args.i32(0))?;
    if !pipe.file.is_pipe() {
        return Err(Errno::EBADF);
    }
    let vectors = current.read_iovecs(args.u64(1), args.u64(2))?;
    if vectors.iter().all(|vector| vector.len == 0) {
        return Ok(0);
    }
    if !pipe.is_writable() {
        return read_pipe_to_user(current, &pipe, &vectors, flags).await;
    }
    let data = gather_all(current, &vectors, CHUNK * 4)?;
    Ok(write_buffer(current, &pipe, &data, At::Position, flags).await? as u64)
}

pub async fn copy_file_range(current: &mut Current, args: Args) -> SysResult {
    let input = current.fd(args.i32(0))?;
    let output = current.fd(args.i32(2))?;
    let mut from = OffsetArgument::read(current, args.u64(1))?;
    let mut to = OffsetArgument::read(current, args.u64(3))?;
    if args.u32(5) != 0 {
        return Err(Errno::EINVAL);
    }
    for description in [&input, &output] {
        match description.file_type() {
            FileType::Regular => {}
            FileType::Directory => return Err(Errno::EISDIR),
            _ => return Err(Errno::EINVAL),
        }
    }
    if !input.is_readable() || !output.is_writable() || output.flags().contains(OpenFlags::APPEND) {
        return Err(Errno::EBADF);
    }
    let (start, target) = (from.offset(&input), to.offset(&output));
    let count = args.u64(4);
    let end = start.checked_add(count).filter(|end| *end <= i64::MAX as u64).ok_or(Errno::EOVERFLOW)?;
    let target_end = target.checked_add(count).filter(|end| *end <= i64::MAX as u64).ok_or(Errno::EOVERFLOW)?;
    let (Some(source), Some(sink)) = (&input.location, &output.location) else { return Err(Errno::EINVAL) };
    if !Arc::ptr_eq(&source.mount.superblock, &sink.mount.superblock) {
        return Err(Errno::EXDEV);
    }
    let same = Arc::ptr_eq(source.inode(), sink.inode());
    if same && start < target_end && target < end {
        return Err(Errno::EINVAL);
    }
    let count = count.min(MAX_RW_COUNT) as usize;
    let done = pump(current, &input, &mut from, &output, &mut to.at, count, RwFlags::empty()).await?;
    if done > 0 {
        from.write_back(current)?;
        to.write_back(current)?;
    }
    Ok(done)
}
