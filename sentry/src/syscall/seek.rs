//! lseek.

use super::Args;
use crate::task::Current;
use crate::vfs::FileType;
use crate::{Errno, SysResult};

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
    if !description.file.is_seekable() {
        return Err(Errno::ESPIPE);
    }
    let mut position = description.position.lock();
    let target = match whence {
        SEEK_SET => offset,
        SEEK_CUR => (*position as i64).checked_add(offset).ok_or(Errno::EOVERFLOW)?,
        // A directory's positions are cookies; only its file system could say which is the last.
        SEEK_END if description.file_type() == FileType::Directory => return Err(Errno::EINVAL),
        SEEK_END => (description.file.size()? as i64).checked_add(offset).ok_or(Errno::EOVERFLOW)?,
        SEEK_DATA | SEEK_HOLE => {
            let from = u64::try_from(offset).map_err(|_| Errno::ENXIO)?;
            description.file.seek_sparse(from, whence == SEEK_HOLE)? as i64
        }
        _ => return Err(Errno::EINVAL),
    };
    *position = u64::try_from(target).map_err(|_| Errno::EINVAL)?;
    Ok(*position)
}
