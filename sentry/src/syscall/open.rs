//! open, openat, openat2, creat.

use abi::types::OpenHow;

use super::Args;
use crate::task::{Current, rlimit};
use crate::vfs::OpenFlags;
use crate::vfs::open::{self, How};
use crate::{Errno, SysResult};

const AT_FDCWD: i32 = -100;

pub async fn open(current: &mut Current, args: Args) -> SysResult {
    let how = How::new(args.u32(1), args.u32(2))?;
    open_path(current, AT_FDCWD, args.u64(0), &how).await
}

pub async fn creat(current: &mut Current, args: Args) -> SysResult {
    let flags = OpenFlags::CREAT | OpenFlags::WRONLY | OpenFlags::TRUNC;
    open_path(current, AT_FDCWD, args.u64(0), &How::new(flags.bits(), args.u32(1))?).await
}

pub async fn openat(current: &mut Current, args: Args) -> SysResult {
    let how = How::new(args.u32(2), args.u32(3))?;
    open_path(current, args.i32(0), args.u64(1), &how).await
}

pub async fn openat2(current: &mut Current, args: Args) -> SysResult {
    let how: OpenHow = read_extensible(current, args.u64(2), args.u64(3))?;
    let how = How::strict(how.flags, how.mode, how.resolve)?;
    open_path(current, args.i32(0), args.u64(1), &how).await
}

async fn open_path(current: &mut Current, dirfd: i32, path: u64, how: &How) -> SysResult {
    let path = current.read_path(path)?;
    let limit = rlimit::nofile(current);
    let files = current.task.files()?;
    files.check_room(limit)?;
    let description = open::open(current, dirfd, &path, how).await?;
    let fd = files.insert(description, 0, limit, how.flags.contains(OpenFlags::CLOEXEC))?;
    Ok(fd as u64)
}

/// Copies a structure that grows over time: a shorter one is filled up with zeros, a longer one must be zero beyond what is
/// known (`copy_struct_from_user`).
pub(super) fn read_extensible(current: &mut Current, addr: u64, size: u64) -> Result<OpenHow, Errno> {
    use zerocopy::{FromZeros, IntoBytes};
    let known = size_of::<OpenHow>();
    let size = usize::try_from(size).map_err(|_| Errno::E2BIG)?;
    if size < known {
        return Err(Errno::EINVAL);
    }
    if size as u64 > abi::PAGE_SIZE {
        return Err(Errno::E2BIG);
    }
    let mut bytes = vec![0; size];
    current.read_bytes(addr, &mut bytes)?;
    if bytes[known..].iter().any(|&b| b != 0) {
        return Err(Errno::E2BIG);
    }
    let mut how = OpenHow::new_zeroed();
    how.as_mut_bytes().copy_from_slice(&bytes[..known]);
    Ok(how)
}
