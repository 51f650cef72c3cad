//! Extended attributes: get, set, list, remove; by path, link and descriptor.

use super::Args;
use super::stat::{AT_EMPTY_PATH, AT_FDCWD, AT_SYMLINK_NOFOLLOW, Subject, subject};
use crate::task::Current;
use crate::vfs::walk::WalkFlags;
use crate::vfs::{Location, OpenFlags, attributes, nameless};
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

/// The working directory is a descriptor here, too; files without a place have attributes like those of a special file.
fn at_fd(current: &mut Current, fd: u64) -> Result<Location, Errno> {
    if fd as i32 == AT_FDCWD {
        return Ok(current.task.fs().cwd());
    }
    nameless::location_of(&current.fd(fd as i32)?)
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

/// Where the `at` forms find their file.
fn at(current: &mut Current, args: Args) -> Result<Location, Errno> {
    let flags = args.u32(2);
    if flags & !(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) != 0 {
        return Err(Errno::EINVAL);
    }
    match subject(current, args.i32(0), args.u64(1), flags)? {
        Subject::Location(location) => Ok(location),
        Subject::Description(description) if description.flags().contains(OpenFlags::PATH) => Err(Errno::EBADF),
        Subject::Description(description) => nameless::location_of(&description),
    }
}

/// `struct xattr_args`: where the value is, its size, flags. It may grow as `struct open_how` does.
fn read_arguments(current: &mut Current, addr: u64, size: u64) -> Result<(u64, u64, u32), Errno> {
    const SIZE: usize = 16;
    if size < SIZE as u64 {
        return Err(Errno::EINVAL);
    }
    if size > abi::PAGE_SIZE {
        return Err(Errno::E2BIG);
    }
    let mut bytes = vec![0; size as usize];
    current.read_bytes(addr, &mut bytes)?;
    let (known, rest) = bytes.split_at(SIZE);
    if rest.iter().any(|&byte| byte != 0) {
        return Err(Errno::E2BIG);
    }
    let word = |at: usize| u32::from_ne_bytes([known[at], known[at + 1], known[at + 2], known[at + 3]]);
    Ok((u64::from(word(0)) | u64::from(word(4)) << 32, word(8).into(), word(12)))
}

pub fn getxattrat(current: &mut Current, args: Args) -> SysResult {
    let (value, size, flags) = read_arguments(current, args.u64(4), args.u64(5))?;
    if flags != 0 {
        return Err(Errno::EINVAL);
    }
    let name = read_name(current, args.u64(3))?;
    let location = at(current, args)?;
    let found = attributes::get_xattr(&location, &current.task.credentials(), &name)?;
    give(current, value, size, &found)
}

pub fn setxattrat(current: &mut Current, args: Args) -> SysResult {
    let (value, size, flags) = read_arguments(current, args.u64(4), args.u64(5))?;
    let (name, value) = read_change(current, args.u64(3), value, size, flags)?;
    let location = at(current, args)?;
    attributes::set_xattr(&location, &current.task.credentials(), &name, &value, flags)?;
    Ok(0)
}

pub fn listxattrat(current: &mut Current, args: Args) -> SysResult {
    let location = at(current, args)?;
    give_names(current, &location, args.u64(3), args.u64(4))
}

pub fn removexattrat(current: &mut Current, args: Args) -> SysResult {
    let name = read_name(current, args.u64(3))?;
    let location = at(current, args)?;
    attributes::remove_xattr(&location, &current.task.credentials(), &name)?;
    Ok(0)
}

/// Name and value of a change.
fn read_change(
    current: &mut Current,
    name: u64,
    value: u64,
    size: u64,
    flags: u32,
) -> Result<(Vec<u8>, Vec<u8>), Errno> {
    if flags > 3 {
        return Err(Errno::EINVAL);
    }
    let name = read_name(current, name)?;
    if size > VALUE_MAX {
        return Err(Errno::E2BIG);
    }
    let mut bytes = vec![0; size as usize];
    current.read_bytes(value, &mut bytes)?;
    Ok((name, bytes))
}

fn set(current: &mut Current, args: Args, find: Find) -> SysResult {
    let flags = args.u32(4);
    let (name, value) = read_change(current, args.u64(1), args.u64(2), args.u64(3), flags)?;
    let location = find(current, args.u64(0))?;
    attributes::set_xattr(&location, &current.task.credentials(), &name, &value, flags)?;
    Ok(0)
}

fn list(current: &mut Current, args: Args, find: Find) -> SysResult {
    let location = find(current, args.u64(0))?;
    give_names(current, &location, args.u64(1), args.u64(2))
}

fn give_names(current: &mut Current, location: &Location, addr: u64, size: u64) -> SysResult {
    let names = attributes::list_xattrs(location, &current.task.credentials())?;
    let bytes: Vec<u8> = names.into_iter().flat_map(|name| name.into_iter().chain([0])).collect();
    give(current, addr, size, &bytes)
}

fn remove(current: &mut Current, args: Args, find: Find) -> SysResult {
    let name = read_name(current, args.u64(1))?;
    let location = find(current, args.u64(0))?;
    attributes::remove_xattr(&location, &current.task.credentials(), &name)?;
    Ok(0)
}
