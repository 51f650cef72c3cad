//! read, write and their vectored and positioned forms.
//!
//! Bytes cross in a scratch buffer of the worker thread, never held over an `await`; what a blocked write still has to write
//! is kept in a buffer of its own.

use std::cell::RefCell;
use std::sync::Arc;

use abi::signal::{SigInfo, Signal};

use super::Args;
use crate::kernel::timer::Deadline;
use crate::kernel::wait_queue::Readiness;
use crate::mm::user::{MAX_RW_COUNT, UserSlice};
use crate::task::Current;
use crate::vfs::notify::{self, Events};
use crate::vfs::pipe::PIPE_BUF;
use crate::vfs::{FileDescription, FileType, IoPosition, OpenFlags, attributes};
use crate::{Errno, SysResult};

/// Bytes of a file with a position that cross at once.
const FILE_CHUNK: usize = 256 << 10;
/// Bytes of a stream that cross at once: what one `read` gives at the most.
const STREAM_CHUNK: usize = 1 << 20;

bitflags::bitflags! {
    /// `RWF_*` of `preadv2` and `pwritev2`.
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
    pub(super) struct RwFlags: u32 {
        const HIPRI = 0x1;
        const DSYNC = 0x2;
        const SYNC = 0x4;
        const NOWAIT = 0x8;
        const APPEND = 0x10;
        const NOAPPEND = 0x20;
        const DONTCACHE = 0x80;
        const NOSIGNAL = 0x100;
    }
}

/// Where an operation starts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum At {
    /// At the description's position, which moves.
    Position,
    /// Here; the position stays.
    Offset(u64),
}

impl At {
    fn forward(&mut self, bytes: usize) {
        if let At::Offset(offset) = self {
            *offset = offset.saturating_add(bytes as u64);
        }
    }
}

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Lends the worker's buffer; what is in it is old bytes of anyone, to be overwritten before it is shown.
fn with_scratch<T>(len: usize, f: impl FnOnce(&mut [u8]) -> T) -> T {
    SCRATCH.with_borrow_mut(|scratch| {
        if scratch.len() < len {
            scratch.resize(len.next_power_of_two().max(4096), 0);
        }
        f(&mut scratch[..len])
    })
}

pub async fn read(current: &mut Current, args: Args) -> SysResult {
    let to = [slice(args.u64(1), args.u64(2))?];
    let description = current.fd(args.i32(0))?;
    read_to_user(current, &description, &to, At::Position, RwFlags::empty()).await
}

pub async fn pread64(current: &mut Current, args: Args) -> SysResult {
    let to = [slice(args.u64(1), args.u64(2))?];
    let at = offset(args.i64(3))?;
    let description = current.fd(args.i32(0))?;
    read_to_user(current, &description, &to, at, RwFlags::empty()).await
}

pub async fn readv(current: &mut Current, args: Args) -> SysResult {
    let description = current.fd(args.i32(0))?;
    let to = current.read_iovecs(args.u64(1), args.u64(2))?;
    read_to_user(current, &description, &to, At::Position, RwFlags::empty()).await
}

pub async fn preadv(current: &mut Current, args: Args) -> SysResult {
    let at = offset(args.i64(3))?;
    let description = current.fd(args.i32(0))?;
    let to = current.read_iovecs(args.u64(1), args.u64(2))?;
    read_to_user(current, &description, &to, at, RwFlags::empty()).await
}

pub async fn preadv2(current: &mut Current, args: Args) -> SysResult {
    let at = if args.i64(3) == -1 { At::Position } else { offset(args.i64(3))? };
    let flags = RwFlags::from_bits(args.u32(5)).ok_or(Errno::EOPNOTSUPP)?;
    let description = current.fd(args.i32(0))?;
    let to = current.read_iovecs(args.u64(1), args.u64(2))?;
    read_to_user(current, &description, &to, at, flags).await
}

pub async fn write(current: &mut Current, args: Args) -> SysResult {
    let from = [slice(args.u64(1), args.u64(2))?];
    let description = current.fd(args.i32(0))?;
    write_from_user(current, &description, &from, At::Position, RwFlags::empty()).await
}

pub async fn pwrite64(current: &mut Current, args: Args) -> SysResult {
    let from = [slice(args.u64(1), args.u64(2))?];
    let at = offset(args.i64(3))?;
    let description = current.fd(args.i32(0))?;
    write_from_user(current, &description, &from, at, RwFlags::empty()).await
}

pub async fn writev(current: &mut Current, args: Args) -> SysResult {
    let description = current.fd(args.i32(0))?;
    let from = current.read_iovecs(args.u64(1), args.u64(2))?;
    write_from_user(current, &description, &from, At::Position, RwFlags::empty()).await
}

pub async fn pwritev(current: &mut Current, args: Args) -> SysResult {
    let at = offset(args.i64(3))?;
    let description = current.fd(args.i32(0))?;
    let from = current.read_iovecs(args.u64(1), args.u64(2))?;
    write_from_user(current, &description, &from, at, RwFlags::empty()).await
}

pub async fn pwritev2(current: &mut Current, args: Args) -> SysResult {
    let at = if args.i64(3) == -1 { At::Position } else { offset(args.i64(3))? };
    let flags = RwFlags::from_bits(args.u32(5)).ok_or(Errno::EOPNOTSUPP)?;
    if flags.contains(RwFlags::APPEND | RwFlags::NOAPPEND) {
        return Err(Errno::EINVAL);
    }
    let description = current.fd(args.i32(0))?;
    let from = current.read_iovecs(args.u64(1), args.u64(2))?;
    write_from_user(current, &description, &from, at, flags).await
}

fn slice(addr: u64, len: u64) -> Result<UserSlice, Errno> {
    // The whole range must be one that user space can have, although less than that may be transferred.
    const END: u64 = 1 << 47;
    if addr.checked_add(len).is_none_or(|end| end > END) {
        return Err(Errno::EFAULT);
    }
    Ok(UserSlice { addr, len: len.min(MAX_RW_COUNT) })
}

fn offset(offset: i64) -> Result<At, Errno> {
    u64::try_from(offset).map(At::Offset).map_err(|_| Errno::EINVAL)
}

fn total(slices: &[UserSlice]) -> usize {
    slices.iter().map(|slice| slice.len).sum::<u64>().min(MAX_RW_COUNT) as usize
}

/// Whether the operation may not sleep.
fn is_nonblocking(description: &FileDescription, flags: RwFlags) -> bool {
    description.flags().contains(OpenFlags::NONBLOCK) || flags.contains(RwFlags::NOWAIT)
}

fn check_position(description: &FileDescription, at: At) -> Result<(), Errno> {
    if matches!(at, At::Offset(_)) && !description.file.is_seekable() { Err(Errno::ESPIPE) } else { Ok(()) }
}

async fn read_to_user(
    current: &mut Current,
    description: &Arc<FileDescription>,
    to: &[UserSlice],
    mut at: At,
    flags: RwFlags,
) -> SysResult {
    check_position(description, at)?;
    if !description.is_readable() {
        return Err(Errno::EBADF);
    }
    let total = total(to);
    if !description.file.is_seekable() {
        let len = total.min(STREAM_CHUNK);
        let operation = |current: &mut Current| read_chunk(current, description, to, 0, len, at, true);
        let done = blocking(current, description, Readiness::READABLE, flags, operation).await?;
        return Ok(done as u64);
    }
    let mut done = 0;
    loop {
        let len = (total - done).min(FILE_CHUNK);
        match read_chunk(current, description, to, done, len, at, done + len == total) {
            Ok(read) => {
                done += read;
                at.forward(read);
                if read < len || done == total {
                    break;
                }
            }
            // Devices have a position, too, and may have to wait.
            Err(Errno::EAGAIN) if done == 0 && !is_nonblocking(description, flags) => {
                let operation = |current: &mut Current| read_chunk(current, description, to, 0, len, at, true);
                done = blocking(current, description, Readiness::READABLE, flags, operation).await?;
                break;
            }
            Err(error) if done == 0 => return Err(error),
            Err(_) => break,
        }
    }
    if done > 0 {
        notify::at_description(description, Events::ACCESS);
    }
    Ok(done as u64)
}

/// Does an operation, and sleeps for it unless it may not.
async fn blocking<T>(
    current: &mut Current,
    description: &FileDescription,
    interest: Readiness,
    flags: RwFlags,
    mut operation: impl FnMut(&mut Current) -> Result<T, Errno>,
) -> Result<T, Errno> {
    match operation(current) {
        Err(Errno::EAGAIN) if !is_nonblocking(description, flags) => {}
        done => return done,
    }
    let queue = description.file.wait_queue().ok_or(Errno::EAGAIN)?;
    let deadline = description.file.time_limit(interest).map(Deadline::after_ns);
    let result = current.block_on(&queue, interest | Readiness::ALWAYS, deadline, operation).await;
    result.map_err(|errno| of_limited_sleep(errno, deadline))
}

/// What a sleep that ended early says: at its time limit that it would block; and since a limit cannot be continued,
/// a signal's handler never restarts the call (`man 7 signal`).
pub(super) fn of_limited_sleep(errno: Errno, deadline: Option<Deadline>) -> Errno {
    match errno {
        Errno::ETIMEDOUT if deadline.is_some() => Errno::EAGAIN,
        Errno::ERESTARTSYS if deadline.is_some() => Errno::EINTR,
        other => other,
    }
}

/// Reads at most `len` bytes and copies them to the guest, from byte `skip` of the slices on.
fn read_chunk(
    current: &mut Current,
    description: &FileDescription,
    to: &[UserSlice],
    skip: usize,
    len: usize,
    at: At,
    is_last: bool,
) -> Result<usize, Errno> {
    with_scratch(len, |buf| {
        let read = read_file(current, description, buf, at)?.min(len);
        let copied = scatter(current, to, skip, &buf[..read], is_last || read < len)?;
        if copied < read && at == At::Position && description.file.is_seekable() {
            let mut position = description.position.lock();
            *position = position.saturating_sub((read - copied) as u64);
        }
        // A pipe gives whole slots: what a fault has cut short stays in it.
        if copied < read && description.file.unread(&buf[..read]) {
            return Err(Errno::EFAULT);
        }
        if copied == 0 && read > 0 { Err(Errno::EFAULT) } else { Ok(copied) }
    })
}

/// Reads into a buffer of ours.
fn read_file(current: &Current, description: &FileDescription, buf: &mut [u8], at: At) -> Result<usize, Errno> {
    let file = &description.file;
    if !file.is_seekable() {
        return file.read(IoPosition::Stream, buf, current);
    }
    match at {
        At::Offset(offset) => file.read(IoPosition::At(offset), buf, current),
        At::Position => {
            let mut position = description.position.lock();
            let read = file.read(IoPosition::At(*position), buf, current)?;
            *position = position.saturating_add(read as u64);
            Ok(read)
        }
    }
}

/// Copies `data` to the slices, `skip` bytes into them; how much could be copied. The last copy of a call rides on the return
/// to the guest, unless it may succeed in part.
fn scatter(
    current: &mut Current,
    to: &[UserSlice],
    mut skip: usize,
    mut data: &[u8],
    is_last: bool,
) -> Result<usize, Errno> {
    let all = data.len();
    for slice in to {
        let len = slice.len as usize;
        if skip >= len {
            skip -= len;
            continue;
        }
        let (now, rest) = data.split_at(data.len().min(len - skip));
        let addr = slice.addr.wrapping_add(skip as u64);
        let in_one_page = abi::page_down(addr) == abi::page_down(addr.wrapping_add(now.len() as u64).wrapping_sub(1));
        if rest.is_empty() && is_last && in_one_page && now.len() == all {
            return current.return_bytes(addr, now).map(|()| all);
        }
        if !now.is_empty()
            && let Err(fault) = current.context.write(addr, now)
        {
            return Ok(all - data.len() + fault.done.min(now.len()));
        }
        (data, skip) = (rest, 0);
        if data.is_empty() {
            break;
        }
    }
    Ok(all - data.len())
}

/// Fills `buf` from the slices, `skip` bytes into them; how much was readable.
fn gather(current: &mut Current, from: &[UserSlice], mut skip: usize, buf: &mut [u8]) -> Result<usize, Errno> {
    let mut filled = 0;
    for slice in from {
        let len = slice.len as usize;
        if skip >= len {
            skip -= len;
            continue;
        }
        let now = (len - skip).min(buf.len() - filled);
        if now == 0 {
            break;
        }
        match current.context.read(slice.addr.wrapping_add(skip as u64), &mut buf[filled..filled + now]) {
            Ok(()) => filled += now,
            Err(fault) => {
                filled += fault.done.min(now);
                return if filled == 0 { Err(Errno::EFAULT) } else { Ok(filled) };
            }
        }
        skip = 0;
    }
    Ok(filled)
}

async fn write_from_user(
    current: &mut Current,
    description: &Arc<FileDescription>,
    from: &[UserSlice],
    mut at: At,
    flags: RwFlags,
) -> SysResult {
    check_position(description, at)?;
    if !description.is_writable() {
        return Err(Errno::EBADF);
    }
    let total = total(from);
    if let At::Offset(offset) = at
        && offset.checked_add(total as u64).is_none_or(|end| end > i64::MAX as u64)
    {
        return Err(Errno::EINVAL);
    }
    if flags.contains(RwFlags::NOWAIT) && description.file_type() == FileType::Regular {
        return Err(Errno::EOPNOTSUPP);
    }
    if description.file.ignores_data() {
        return Ok(total as u64);
    }
    let chunk = if description.file.is_seekable() { FILE_CHUNK } else { STREAM_CHUNK };
    let mut done = 0;
    loop {
        let len = (total - done).min(chunk);
        let (written, gathered) = match write_chunk(current, description, from, done, len, at, flags).await {
            Ok(counts) => counts,
            Err(_) if done > 0 => break,
            Err(error) => return Err(error),
        };
        done += written;
        at.forward(written);
        let goes_on = description.file.is_seekable() || description.file.writes_fully();
        if written < len || gathered < len || done == total || !goes_on {
            break;
        }
    }
    finish_write(current, description, done, flags).await?;
    Ok(done as u64)
}

/// Writes one chunk; how much was written, and how much could be read from the guest.
async fn write_chunk(
    current: &mut Current,
    description: &Arc<FileDescription>,
    from: &[UserSlice],
    skip: usize,
    len: usize,
    at: At,
    flags: RwFlags,
) -> Result<(usize, usize), Errno> {
    // The common case needs no buffer of its own: the scratch is free again before anything sleeps.
    let (gathered, result, rest) = with_scratch(len, |buf| {
        let mut gathered = gather(current, from, skip, buf)?;
        if gathered < len && description.file.is_pipe() {
            // A pipe takes whole slots of a page.
            gathered -= gathered % PIPE_BUF;
            if gathered == 0 {
                return Err(Errno::EFAULT);
            }
        }
        let data = &buf[..gathered];
        let result = write_file(current, description, data, at, flags);
        let written = *result.as_ref().unwrap_or(&0);
        let rest =
            if must_go_on(description, &result, gathered, flags) { data[written..].to_vec() } else { Vec::new() };
        Ok::<_, Errno>((gathered, result, rest))
    })?;
    if must_go_on(description, &result, gathered, flags) {
        let written = result.unwrap_or(0);
        return match write_rest(current, description, &rest, at, flags).await {
            Ok(more) => Ok((written + more, gathered)),
            Err(error) if written == 0 => Err(error),
            Err(_) => Ok((written, gathered)),
        };
    }
    Ok((result?, gathered))
}

/// Whether a first attempt left something that the call has to wait for.
fn must_go_on(description: &FileDescription, result: &Result<usize, Errno>, len: usize, flags: RwFlags) -> bool {
    if is_nonblocking(description, flags) || description.file.wait_queue().is_none() {
        return false;
    }
    match result {
        Ok(written) => *written < len && description.file.writes_fully(),
        Err(error) => *error == Errno::EAGAIN,
    }
}

/// Writes all of `data`, sleeping where needed. A signal ends it early.
async fn write_rest(
    current: &mut Current,
    description: &Arc<FileDescription>,
    data: &[u8],
    at: At,
    flags: RwFlags,
) -> Result<usize, Errno> {
    let queue = description.file.wait_queue().ok_or(Errno::EAGAIN)?;
    let interest = Readiness::WRITABLE | Readiness::ALWAYS;
    let deadline = description.file.time_limit(interest).map(Deadline::after_ns);
    let mut done = 0;
    loop {
        let operation = |current: &mut Current| write_file(current, description, &data[done..], at, flags);
        match current.block_on(&queue, interest, deadline, operation).await {
            Ok(written) => done += written,
            Err(error) if done == 0 => return Err(of_limited_sleep(error, deadline)),
            Err(_) => return Ok(done),
        }
        if done >= data.len() || !description.file.writes_fully() {
            return Ok(done);
        }
    }
}

/// One attempt to write a buffer of ours, with the limits and signals that belong to it.
fn write_file(
    current: &mut Current,
    description: &FileDescription,
    data: &[u8],
    at: At,
    flags: RwFlags,
) -> Result<usize, Errno> {
    let file = &description.file;
    if !file.is_seekable() {
        return file.write(IoPosition::Stream, data, current).inspect_err(|error| {
            if *error == Errno::EPIPE && file.writes_fully() && !flags.contains(RwFlags::NOSIGNAL) {
                send_signal(current, Signal::SIGPIPE);
            }
        });
    }
    let append = description.flags().contains(OpenFlags::APPEND) && !flags.contains(RwFlags::NOAPPEND)
        || flags.contains(RwFlags::APPEND);
    let is_regular = description.file_type() == FileType::Regular;
    if is_regular
        && !data.is_empty()
        && let Some(location) = &description.location
    {
        attributes::drop_privileges(location, &current.task.credentials())?;
    }
    let mut moving = matches!(at, At::Position).then(|| description.position.lock());
    let start = match (append, at, &moving) {
        (true, _, _) => file.size()?,
        (_, At::Offset(offset), _) => offset,
        (_, At::Position, position) => position.as_ref().map_or(0, |position| **position),
    };
    let data = if is_regular { limit_size(current, data, start)? } else { data };
    let written = file.write(if append { IoPosition::End } else { IoPosition::At(start) }, data, current)?;
    if let Some(position) = moving.as_deref_mut() {
        *position = if append { file.size()? } else { start.saturating_add(written as u64) };
    }
    Ok(written)
}

/// Cuts a write at the size limits of the process and of files as such.
fn limit_size<'a>(current: &Current, data: &'a [u8], start: u64) -> Result<&'a [u8], Errno> {
    let limit = file_size_limit(current);
    if data.is_empty() {
        return Ok(data);
    }
    if start >= limit {
        send_signal(current, Signal::SIGXFSZ);
        return Err(Errno::EFBIG);
    }
    if start >= i64::MAX as u64 {
        return Err(Errno::EFBIG);
    }
    let room = limit.min(i64::MAX as u64) - start;
    Ok(&data[..data.len().min(usize::try_from(room).unwrap_or(usize::MAX))])
}

/// `RLIMIT_FSIZE`
pub(super) fn file_size_limit(current: &Current) -> u64 {
    current.task.group.limits.lock().0[abi::uapi::general::RLIMIT_FSIZE as usize].cur
}

/// Sends the current task a signal that its own call caused.
pub(super) fn send_signal(current: &Current, signal: Signal) {
    crate::signal::send_to_task(&current.task, SigInfo::new(signal, SigInfo::SI_KERNEL));
}

/// What follows a write: synchronization where it was asked for, and the news of it.
async fn finish_write(
    current: &mut Current,
    description: &Arc<FileDescription>,
    done: usize,
    flags: RwFlags,
) -> Result<(), Errno> {
    if done == 0 {
        return Ok(());
    }
    notify::at_description(description, Events::MODIFY);
    let open = description.flags();
    let all = open.contains(OpenFlags::SYNC) || flags.contains(RwFlags::SYNC);
    if (all || open.contains(OpenFlags::DSYNC) || flags.contains(RwFlags::DSYNC)) && description.file.is_seekable() {
        let file = description.file.clone();
        current.kernel.blocking.run(move || file.sync(!all)).await?;
    }
    Ok(())
}

/// Reads at most `len` bytes into a buffer of ours, sleeping where the description allows it (`sendfile`, `splice`).
pub(super) async fn read_buffer(
    current: &mut Current,
    description: &Arc<FileDescription>,
    len: usize,
    at: At,
    flags: RwFlags,
) -> Result<Vec<u8>, Errno> {
    let operation = |current: &mut Current| {
        let mut data = vec![0; len];
        let read = read_file(current, description, &mut data, at)?;
        data.truncate(read);
        Ok(data)
    };
    blocking(current, description, Readiness::READABLE, flags, operation).await
}

/// Writes `data`, as `write` would (`sendfile`, `splice`).
pub(super) async fn write_buffer(
    current: &mut Current,
    description: &Arc<FileDescription>,
    data: &[u8],
    at: At,
    flags: RwFlags,
) -> Result<usize, Errno> {
    let result = write_file(current, description, data, at, flags);
    let written = if must_go_on(description, &result, data.len(), flags) {
        let first = result.unwrap_or(0);
        match write_rest(current, description, &data[first..], at, flags).await {
            Ok(more) => first + more,
            Err(error) if first == 0 => return Err(error),
            Err(_) => first,
        }
    } else {
        result?
    };
    finish_write(current, description, written, flags).await?;
    Ok(written)
}

/// Reads guest bytes into a buffer of ours, for `vmsplice`.
pub(super) fn gather_all(current: &mut Current, from: &[UserSlice], max: usize) -> Result<Vec<u8>, Errno> {
    let mut data = vec![0; total(from).min(max)];
    let filled = gather(current, from, 0, &mut data)?;
    data.truncate(filled);
    Ok(data)
}

/// Reads from a description to guest memory, for `vmsplice`.
pub(super) async fn read_pipe_to_user(
    current: &mut Current,
    description: &Arc<FileDescription>,
    to: &[UserSlice],
    flags: RwFlags,
) -> SysResult {
    read_to_user(current, description, to, At::Position, flags).await
}
