//! Extended attributes: get, set, list, remove; by path, link and descriptor.

use super::Args;
use super::stat::AT_FDCWD;
use crate::task::Current;
use crate::vfs::walk::WalkFlags;
use crate::vfs::{Location, attributes};
use crate::{Errno, SysResult};

/// `XATTR_NAME_MAX` and the NUL.
const NAME_SIZE: usize = 256;
/// `XATTR_SIZE_MAX`
const VALUE_MAX: u64 = 64 << 10;

fn at_path(current: &mut Current, path: u64) -> Result<Location, Errno> {
    let path = current.read_path(path)?;
    current.find(AT_FDCWD, &path, WalkFlags::FOLLOW)
}

fn at_link(current: &mut Current, path: u64) -> Result<Location, Errno> {
    let path = current.read_path(path)?;
    current.find(AT_FDCWD, &path, WalkFlags::empty())
}

fn at_fd(current: &mut Current, fd: u64) -> Result<Location, Errno> {
    current.fd(fd as i32)?.location.clone().ok_or(Errno::EOPNOTSUPP)
}

/// How the first argument names the file.
type Find = fn(&mut Current, u64) -> Result<Location, Errno>;

pub fn getxattr(current: &mut Current, args: Args) -> SysResult {
    get(current, args, at_path)
}
pub fn lgetxattr(current: &mut Current, args: Args) -> SysResult {
    get(current, args, at_link)
}
pub fn fgetxattr(current: &mut Current, args: Args) -> SysResult {
    get(current, args, at_fd)
}
pub fn setxattr(current: &mut Current, args: Args) -> SysResult {
    set(current, args, at_path)
}
pub fn lsetxattr(current: &mut Current, args: Args) -> SysResult {
    set(current, args, at_link)
}
pub fn fsetxattr(current: &mut Current, args: Args) -> SysResult {
    set(current, args, at_fd)
}
pub fn listxattr(current: &mut Current, args: Args) -> SysResult {
    list(current, args, at_path)
}
pub fn llistxattr(current: &mut Current, args: Args) -> SysResult {
    list(current, args, at_link)
}
pub fn flistxattr(current: &mut Current, args: Args) -> SysResult {
    list(current, args, at_fd)
}
pub fn removexattr(current: &mut Current, args: Args) -> SysResult {
    remove(current, args, at_path)
}
pub fn lremovexattr(current: &mut Current, args: Args) -> SysResult {
    remove(current, args, at_link)
}
pub fn fremovexattr(current: &mut Current, args: Args) -> SysResult {
    remove(current, args, at_fd)
}

fn read_name(current: &mut Current, addr: u64) -> Result<Vec<u8>, Errno> {
    match current.read_cstr(addr, NAME_SIZE) {
        Ok(name) if !name.is_empty() => Ok(name),
        Ok(_) | Err(Errno::ENAMETOOLONG) => Err(Errno::ERANGE),
        Err(error) => Err(error),
    }
}

/// Gives `bytes` back unless the caller only asks for the size.
fn give(current: &mut Current, addr: u64, size: u64, bytes: &[u8]) -> SysResult {
    let len = bytes.len() as u64;
    if size != 0 {
        if len > size {
            return Err(Errno::ERANGE);
        }
        current.return_bytes(addr, bytes)?;
    }
    Ok(len)
}

fn get(current: &mut Current, args: Args, find: Find) -> SysResult {
    let name = read_name(current, args.u64(1))?;
    let location = find(current, args.u64(0))?;
    let value = attributes::get_xattr(&location, &current.task.credentials(), &name)?;
    give(current, args.u64(2), args.u64(3), &value)
}

fn set(current: &mut Current, args: Args, find: Find) -> SysResult {
    let (size, flags) = (args.u64(3), args.u32(4));
    if flags > 3 {
        return Err(Errno::EINVAL);
    }
    let name = read_name(current, args.u64(1))?;
    if size > VALUE_MAX {
        return Err(Errno::E2BIG);
    }
    let mut value = vec![0; size as usize];
    current.read_bytes(args.u64(2), &mut value)?;
    let location = find(current, args.u64(0))?;
    attributes::set_xattr(&location, &current.task.credentials(), &name, &value, flags)?;
    Ok(0)
}

fn list(current: &mut Current, args: Args, find: Find) -> SysResult {
    let location = find(current, args.u64(0))?;
    let names = attributes::list_xattrs(&location, &current.task.credentials())?;
    let bytes: Vec<u8> = names.into_iter().flat_map(|name| name.into_iter().chain([0])).collect();
    give(current, args.u64(1), args.u64(2), &bytes)
}

fn remove(current: &mut Current, args: Args, find: Find) -> SysResult {
    let name = read_name(current, args.u64(1))?;
    let location = find(current, args.u64(0))?;
    attributes::remove_xattr(&location, &current.task.credentials(), &name)?;
    Ok(0)
}
