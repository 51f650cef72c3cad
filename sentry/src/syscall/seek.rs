//! lseek.

use super::Args;
use crate::task::Current;
use crate::vfs::{FileDescription, FileType, special};
use crate::{Errno, SysResult};

/// The largest file of the usual file system: ext4's 16 TiB with blocks of 4 KiB.
const MAX_FILE_SIZE: u64 = (1 << 44) - 4096;

const SEEK_SET: i32 = 0;
const SEEK_CUR: i32 = 1;
const SEEK_END: i32 = 2;
const SEEK_DATA: i32 = 3;
const SEEK_HOLE: i32 = 4;

pub fn lseek(current: &mut Current, args: Args) -> SysResult {
    let (offset, whence) = (args.i64(1), args.i32(2));
    let description = current.fd(args.i32(0))?;
    if !(SEEK_SET..=SEEK_HOLE).contains(&whence) {
        return Err(Errno::EINVAL);
    }
    if has_no_use_for_positions(&description) {
        return Ok(0);
    }
    if !description.file.is_seekable() {
        return Err(Errno::ESPIPE);
    }
    let mut position = description.position.lock();
    let target = match whence {
        SEEK_SET => offset,
        SEEK_CUR => (*position as i64).checked_add(offset).ok_or(Errno::EINVAL)?,
        // A directory's positions are cookies; only its file system could say which is the last.
        SEEK_END if description.file_type() == FileType::Directory => return Err(Errno::EINVAL),
        SEEK_END => (description.file.size()? as i64).checked_add(offset).ok_or(Errno::EINVAL)?,
        SEEK_DATA | SEEK_HOLE => {
            let from = u64::try_from(offset).map_err(|_| Errno::ENXIO)?;
            description.file.seek_sparse(from, whence == SEEK_HOLE)? as i64
        }
        _ => return Err(Errno::EINVAL),
    };
    let target = u64::try_from(target).map_err(|_| Errno::EINVAL)?;
    if description.file_type() == FileType::Regular && target > MAX_FILE_SIZE {
        return Err(Errno::EINVAL);
    }
    *position = target;
    Ok(target)
}

/// Files that let everyone seek and never move: anonymous inodes and the devices of `man 4 mem`.
fn has_no_use_for_positions(description: &FileDescription) -> bool {
    const MEMORY_DEVICES: u32 = 1;
    match description.file_type() {
        FileType::Anonymous => description.metadata().is_ok_and(|m| m.file_type == FileType::Anonymous),
        FileType::CharDevice => description.metadata().is_ok_and(|m| special::major(m.rdev) == MEMORY_DEVICES),
        _ => false,
    }
}
