//! mkdir, getdents, getcwd, chdir, fchdir, chroot, umask.

use super::Args;
use super::stat::AT_FDCWD;
use crate::mm::user::PATH_MAX;
use crate::task::{Capability, Current};
use crate::vfs::walk::WalkFlags;
use crate::vfs::{DirEntry, Location, NodeKind, names};
use crate::{Errno, SysResult};

pub fn mkdir(current: &mut Current, args: Args) -> SysResult {
    mkdir_path(current, AT_FDCWD, args.u64(0), args.u32(1))
}

pub fn mkdirat(current: &mut Current, args: Args) -> SysResult {
    mkdir_path(current, args.i32(0), args.u64(1), args.u32(2))
}

fn mkdir_path(current: &mut Current, dirfd: i32, path: u64, mode: u32) -> SysResult {
    let path = current.read_path(path)?;
    let umask = current.task.fs().umask();
    names::make(&current.origin(dirfd, &path)?, &path, NodeKind::Directory, mode, umask)?;
    Ok(0)
}

/// Appends an entry to a `getdents` buffer.
type Encode = fn(&DirEntry, &mut Vec<u8>);

pub fn getdents64(current: &mut Current, args: Args) -> SysResult {
    // struct linux_dirent64 { u64 ino; s64 off; u16 reclen; u8 type; char name[]; }
    list(current, args, |entry, out| {
        let start = out.len();
        let len = (19 + entry.name.len() + 1).next_multiple_of(8);
        out.extend_from_slice(&entry.ino.to_ne_bytes());
        out.extend_from_slice(&entry.next.to_ne_bytes());
        out.extend_from_slice(&(len as u16).to_ne_bytes());
        out.push(entry.file_type.dirent_type());
        out.extend_from_slice(&entry.name);
        out.resize(start + len, 0);
    })
}

pub fn getdents(current: &mut Current, args: Args) -> SysResult {
    // struct linux_dirent { u64 ino; u64 off; u16 reclen; char name[]; … char type; }
    list(current, args, |entry, out| {
        let start = out.len();
        let len = (18 + entry.name.len() + 2).next_multiple_of(8);
        out.extend_from_slice(&entry.ino.to_ne_bytes());
        out.extend_from_slice(&entry.next.to_ne_bytes());
        out.extend_from_slice(&(len as u16).to_ne_bytes());
        out.extend_from_slice(&entry.name);
        out.resize(start + len - 1, 0);
        out.push(entry.file_type.dirent_type());
    })
}

fn list(current: &mut Current, args: Args, encode: Encode) -> SysResult {
    let description = current.fd(args.i32(0))?;
    // More than a megabyte at a time serves nobody.
    let size = usize::try_from(args.i32(2)).map_err(|_| Errno::EINVAL)?.min(1 << 20);
    if description.location.as_ref().is_some_and(|l| l.dentry.is_dir() && l.dentry.is_removed()) {
        return Err(Errno::ENOENT);
    }
    let mut out = Vec::with_capacity(size.min(32 << 10));
    let mut full = false;
    {
        let mut position = description.position.lock();
        let mut reached = *position;
        description.file.read_dir(reached, &mut |entry| {
            let before = out.len();
            encode(&entry, &mut out);
            full = out.len() > size;
            if full {
                out.truncate(before);
            } else {
                reached = entry.next;
            }
            !full
        })?;
        *position = reached;
    }
    if out.is_empty() && full {
        return Err(Errno::EINVAL);
    }
    current.return_bytes(args.u64(1), &out)?;
    Ok(out.len() as u64)
}

pub fn getcwd(current: &mut Current, args: Args) -> SysResult {
    let fs = current.task.fs();
    let (root, cwd) = {
        let state = fs.state.lock();
        (state.root.clone(), state.cwd.clone())
    };
    if cwd.dentry.is_removed() {
        return Err(Errno::ENOENT);
    }
    let (mut path, reachable) = cwd.path_from(&root);
    if !reachable {
        path.splice(0..0, *b"(unreachable)");
    }
    path.push(0);
    if path.len() > PATH_MAX {
        return Err(Errno::ENAMETOOLONG);
    }
    if path.len() as u64 > args.u64(1) {
        return Err(Errno::ERANGE);
    }
    current.return_bytes(args.u64(0), &path)?;
    Ok(path.len() as u64)
}

pub fn chdir(current: &mut Current, args: Args) -> SysResult {
    let location = find_dir(current, args.u64(0))?;
    set_cwd(current, location)
}

pub fn fchdir(current: &mut Current, args: Args) -> SysResult {
    let location = current.fd_or_path(args.i32(0))?.location.clone().ok_or(Errno::ENOTDIR)?;
    set_cwd(current, location)
}

fn find_dir(current: &mut Current, path: u64) -> Result<Location, Errno> {
    let path = current.read_path(path)?;
    current.find(AT_FDCWD, &path, WalkFlags::FOLLOW | WalkFlags::DIRECTORY)
}

fn set_cwd(current: &mut Current, location: Location) -> SysResult {
    names::check_enter(&location, &current.task.credentials())?;
    let fs = current.task.fs();
    let old = std::mem::replace(&mut fs.state.lock().cwd, location);
    drop(old);
    Ok(0)
}

pub fn chroot(current: &mut Current, args: Args) -> SysResult {
    let location = find_dir(current, args.u64(0))?;
    let credentials = current.task.credentials();
    names::check_enter(&location, &credentials)?;
    if !credentials.has(Capability::SYS_CHROOT) {
        return Err(Errno::EPERM);
    }
    let fs = current.task.fs();
    let old = std::mem::replace(&mut fs.state.lock().root, location);
    drop(old);
    Ok(0)
}

pub fn umask(current: &mut Current, args: Args) -> SysResult {
    let fs = current.task.fs();
    let old = std::mem::replace(&mut fs.state.lock().umask, args.u32(0) & 0o777);
    Ok(old.into())
}
