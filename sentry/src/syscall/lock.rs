//! The lock commands of fcntl, and flock: from arguments to [`crate::vfs::lock`].

use std::sync::Arc;
use std::sync::atomic::Ordering;

use abi::types::Flock;

use crate::Errno;
use crate::kernel::wait_queue::Readiness;
use crate::task::Current;
use crate::vfs::FileDescription;
use crate::vfs::lock::{LockKind, Owner, Range, RecordLock, Waiting};

const F_RDLCK: i16 = 0;
const F_WRLCK: i16 = 1;
const F_UNLCK: i16 = 2;

/// The range of a request, and its kind: `None` to unlock.
fn decode(description: &FileDescription, request: &Flock) -> Result<(Option<LockKind>, Range), Errno> {
    let base = match request.l_whence {
        0 => 0,
        1 => *description.position.lock() as i64,
        2 => description.file.size()? as i64,
        _ => return Err(Errno::EINVAL),
    };
    let start = base.checked_add(request.l_start).ok_or(Errno::EOVERFLOW)?;
    // A negative length counts backwards from the start.
    let (start, end) = match request.l_len {
        0 => (start, i64::MAX),
        len if len > 0 => (start, start.checked_add(len - 1).ok_or(Errno::EOVERFLOW)?),
        len => (start.checked_add(len).ok_or(Errno::EINVAL)?, start - 1),
    };
    let start = u64::try_from(start).map_err(|_| Errno::EINVAL)?;
    let end = u64::try_from(end).map_err(|_| Errno::EINVAL)?;
    let kind = match request.l_type {
        F_RDLCK => Some(LockKind::Shared),
        F_WRLCK => Some(LockKind::Exclusive),
        F_UNLCK => None,
        _ => return Err(Errno::EINVAL),
    };
    Ok((kind, Range { start, end }))
}

fn owner(
    current: &Current,
    description: &FileDescription,
    request: &Flock,
    of_description: bool,
) -> Result<(Owner, i32), Errno> {
    if !of_description {
        return Ok((current.task.files()?.lock_owner(), current.task.group.pid));
    }
    if request.l_pid != 0 { Err(Errno::EINVAL) } else { Ok((Owner::Description(description.id), -1)) }
}

/// `F_GETLK`: the request, changed into what stands in its way or into "unlocked".
pub(super) fn test(
    current: &Current,
    description: &FileDescription,
    request: Flock,
    of_description: bool,
) -> Result<Flock, Errno> {
    let (kind, range) = decode(description, &request)?;
    let kind = match kind {
        Some(kind) => kind,
        // Since Linux 6.8: whether an open file description lock of any kind is there.
        None if of_description => LockKind::Exclusive,
        None => return Err(Errno::EINVAL),
    };
    let (owner, pid) = owner(current, description, &request, of_description)?;
    let ino = description.lock_number()?;
    let wanted = RecordLock { owner, pid, kind, range };
    Ok(match description.lock_table().conflict(ino, &wanted) {
        None => Flock { l_type: F_UNLCK, ..request },
        Some(held) => Flock {
            l_type: if held.kind == LockKind::Shared { F_RDLCK } else { F_WRLCK },
            l_whence: 0,
            l_start: held.range.start as i64,
            l_len: if held.range.end == i64::MAX as u64 { 0 } else { (held.range.end - held.range.start + 1) as i64 },
            l_pid: held.pid,
            ..request
        },
    })
}

/// `F_SETLK`, `F_SETLKW` and their open-file-description forms.
pub(super) async fn set(
    current: &mut Current,
    fd: i32,
    description: &Arc<FileDescription>,
    request: Flock,
    of_description: bool,
    waits: bool,
) -> Result<(), Errno> {
    let (kind, range) = decode(description, &request)?;
    let (owner, pid) = owner(current, description, &request, of_description)?;
    let ino = description.lock_number()?;
    let table = description.lock_table();
    let Some(kind) = kind else {
        table.clear(ino, owner, range);
        return Ok(());
    };
    let allowed = match kind {
        LockKind::Shared => description.is_readable(),
        LockKind::Exclusive => description.is_writable(),
    };
    if !allowed {
        return Err(Errno::EBADF);
    }
    if of_description {
        description.has_locks.store(true, Ordering::Relaxed);
    }
    let wanted = RecordLock { owner, pid, kind, range };
    if !waits {
        table.set(ino, wanted).map_err(|_| Errno::EAGAIN)?;
    } else {
        let waiting = Waiting::new(owner);
        let operation = |_: &mut Current| match table.set(ino, wanted) {
            Ok(()) => Ok(()),
            Err(held) if of_description => {
                let _ = held;
                Err(Errno::EAGAIN)
            }
            Err(held) => waiting.on(held.owner).and(Err(Errno::EAGAIN)),
        };
        current.block_on(table.queue(), Readiness::all(), None, operation).await?;
    }
    // Another thread may have closed the descriptor meanwhile: then nobody would ever release the lock.
    let still_open = current.fd(fd).is_ok_and(|now| Arc::ptr_eq(&now, description));
    if !of_description && !still_open {
        table.clear_file(ino, owner);
        return Err(Errno::EBADF);
    }
    Ok(())
}

/// `flock`
pub(super) async fn flock(
    current: &mut Current,
    description: &Arc<FileDescription>,
    operation: i32,
) -> Result<(), Errno> {
    const LOCK_SH: i32 = 1;
    const LOCK_EX: i32 = 2;
    const LOCK_NB: i32 = 4;
    const LOCK_UN: i32 = 8;
    /// Once `LOCK_MAND`, now without effect.
    const LOCK_MANDATORY: i32 = 32;
    if operation & LOCK_MANDATORY != 0 {
        return Ok(());
    }
    let kind = match operation & !LOCK_NB {
        LOCK_SH => Some(LockKind::Shared),
        LOCK_EX => Some(LockKind::Exclusive),
        LOCK_UN => None,
        _ => return Err(Errno::EINVAL),
    };
    let ino = description.lock_number()?;
    let table = description.lock_table();
    description.has_locks.store(true, Ordering::Relaxed);
    let attempt = |_: &mut Current| table.flock(ino, description.id, kind);
    if operation & LOCK_NB != 0 {
        return attempt(current);
    }
    current.block_on(table.queue(), Readiness::all(), None, attempt).await
}
