//! Opening: from a place in the tree to an open file description (`man 2 open`).

use std::sync::Arc;

use super::notify::{self, Events};
use super::permission::{Access, is_owner_or_capable, may, may_create};
use super::pipe::{self, Pipe};
use super::walk::{Created, Origin, WalkFlags};
use super::{
    Dentry, File, FileDescription, FileType, Location, MountFlags, NodeKind, OpenFlags, SetAttributes, attributes,
    names,
};
use crate::Errno;
use crate::kernel::wait_queue::Readiness;
use crate::task::Current;

/// How to open: checked and brought into one form by [`How::new`].
#[derive(Clone, Copy, Debug)]
pub struct How {
    /// `O_*`
    pub flags: OpenFlags,
    /// Permission bits of a file that is made, not yet masked.
    pub mode: u32,
    /// `RESOLVE_*`
    pub resolve: WalkFlags,
}

/// What only `O_PATH` heeds.
const WITH_PATH: OpenFlags =
    OpenFlags::PATH.union(OpenFlags::DIRECTORY).union(OpenFlags::NOFOLLOW).union(OpenFlags::CLOEXEC);

impl How {
    /// For `open` and `openat`: unknown flags are ignored.
    ///
    /// # Errors
    /// EINVAL for contradictions.
    pub fn new(flags: u32, mode: u32) -> Result<How, Errno> {
        let flags = OpenFlags::from_bits_truncate(flags);
        let mode = if flags.intersects(OpenFlags::CREAT | OpenFlags::TMPFILE) { mode & 0o7777 } else { 0 };
        let flags = if flags.contains(OpenFlags::PATH) { flags & WITH_PATH } else { flags };
        How::checked(flags, mode, WalkFlags::empty())
    }

    /// For `openat2`: everything unknown or useless is an error.
    ///
    /// # Errors
    /// EINVAL; EAGAIN for `RESOLVE_CACHED` with flags that change something.
    pub fn strict(flags: u64, mode: u64, resolve: u64) -> Result<How, Errno> {
        let flags = u32::try_from(flags).ok().and_then(OpenFlags::from_bits).ok_or(Errno::EINVAL)?;
        let resolve = u32::try_from(resolve).ok().and_then(WalkFlags::from_bits).ok_or(Errno::EINVAL)?;
        if resolve.bits() > 0x3f || resolve.contains(WalkFlags::BENEATH | WalkFlags::IN_ROOT) {
            return Err(Errno::EINVAL);
        }
        let makes = flags.intersects(OpenFlags::CREAT | OpenFlags::TMPFILE);
        if mode > 0o7777 || !makes && mode != 0 {
            return Err(Errno::EINVAL);
        }
        if flags.contains(OpenFlags::PATH) && !WITH_PATH.contains(flags) {
            return Err(Errno::EINVAL);
        }
        if resolve.contains(WalkFlags::CACHED) && (makes || flags.contains(OpenFlags::TRUNC)) {
            return Err(Errno::EAGAIN);
        }
        How::checked(flags, mode as u32, resolve)
    }

    fn checked(flags: OpenFlags, mode: u32, resolve: WalkFlags) -> Result<How, Errno> {
        if flags.contains(OpenFlags::CREAT | OpenFlags::DIRECTORY) && !flags.contains(OpenFlags::TMPFILE) {
            return Err(Errno::EINVAL);
        }
        if flags.contains(OpenFlags::TMPFILE) {
            let whole = flags.contains(OpenFlags::DIRECTORY) && !flags.contains(OpenFlags::CREAT);
            if !whole || !flags.writes() {
                return Err(Errno::EINVAL);
            }
        }
        Ok(How { flags, mode, resolve })
    }

    /// What the access mode and the flags ask for.
    fn access(&self) -> Access {
        let mut access = match self.flags.bits() & 3 {
            0 => Access::READ,
            1 => Access::WRITE,
            _ => Access::READ | Access::WRITE,
        };
        if self.flags.contains(OpenFlags::TRUNC) {
            access |= Access::WRITE;
        }
        access
    }
}

/// Finds and opens `path`, from `dirfd` if it is relative.
///
/// # Errors
/// As `man 2 open`; ERESTARTSYS when a FIFO's peer does not come.
pub async fn open(current: &mut Current, dirfd: i32, path: &[u8], how: &How) -> Result<Arc<FileDescription>, Errno> {
    let (location, made) = {
        let origin = current.origin(dirfd, path)?;
        let umask = current.task.fs().umask();
        find_or_make(&origin, path, how, umask)?
    };
    if how.flags.contains(OpenFlags::TMPFILE) {
        return open_unnamed(current, &location, how).await;
    }
    open_location(current, location, how, made).await
}

/// The walk of an opening; whether the file was made by it.
fn find_or_make(origin: &Origin, path: &[u8], how: &How, umask: u32) -> Result<(Location, bool), Errno> {
    let mut walk = how.resolve;
    let creates = how.flags.contains(OpenFlags::CREAT);
    let exclusive = creates && how.flags.contains(OpenFlags::EXCL);
    if !how.flags.contains(OpenFlags::NOFOLLOW) && !exclusive {
        walk |= WalkFlags::FOLLOW;
    }
    if how.flags.contains(OpenFlags::DIRECTORY) {
        walk |= WalkFlags::DIRECTORY;
    }
    if !creates {
        return match origin.find(path, walk) {
            // `O_NOFOLLOW|O_DIRECTORY` at a link is ENOTDIR, which the walk has said already.
            Ok(location) => Ok((location, false)),
            Err(error) => Err(error),
        };
    }
    loop {
        let parent = match origin.find_or_parent(path, walk)? {
            Created::Found(_) if exclusive => return Err(Errno::EEXIST),
            Created::Found(_) if path.ends_with(b"/") => return Err(Errno::EISDIR),
            Created::Found(location) => return Ok((location, false)),
            Created::Missing(parent) => parent,
        };
        if parent.trailing_slash {
            return Err(Errno::EISDIR);
        }
        let name = parent.normal_name(Errno::EISDIR)?;
        parent.dir.want_write()?;
        if parent.dir.dentry.is_removed() {
            return Err(Errno::ENOENT);
        }
        let dir = parent.dir.inode().ownership()?;
        may_create(&origin.credentials, &dir)?;
        let node = names::new_node(&origin.credentials, &dir, NodeKind::File, how.mode & !umask);
        match parent.dir.dentry.create(name, &node) {
            Ok(dentry) => {
                notify::at_entry(&parent.dir, name, false, Events::CREATE);
                return Ok((Location { mount: parent.dir.mount, dentry }, true));
            }
            // Someone else was faster; it exists now.
            Err(Errno::EEXIST) if !exclusive => {}
            Err(error) => return Err(error),
        }
    }
}

/// Opens what is at `location`. `made` says that this call has just made it, so that its mode does not matter.
///
/// # Errors
/// As [`open`].
pub async fn open_location(
    current: &mut Current,
    location: Location,
    how: &How,
    made: bool,
) -> Result<Arc<FileDescription>, Errno> {
    if how.flags.contains(OpenFlags::PATH) {
        return Ok(FileDescription::new(Arc::new(PathOnly), Some(location), how.flags));
    }
    if !made {
        may_open(&location, &current.task.credentials(), how)?;
    }
    let truncates = how.flags.contains(OpenFlags::TRUNC) && !made && location.dentry.file_type() == FileType::Regular;
    if truncates {
        attributes::drop_privileges(&location, &current.task.credentials())?;
    }
    let file = open_file(current, &location, how.flags).await?;
    notify::at_file(&location, Events::OPEN);
    if truncates {
        location.inode().set_attributes(&SetAttributes { size: Some(0), ..SetAttributes::default() })?;
        notify::at_file(&location, Events::MODIFY);
    }
    Ok(FileDescription::new(file, Some(location), how.flags))
}

async fn open_file(current: &mut Current, location: &Location, flags: OpenFlags) -> Result<Arc<dyn File>, Errno> {
    if let Some(pipe) = location.inode().fifo().and_then(|slot| slot.get(|| Pipe::new((0, 0)))) {
        return Ok(pipe::open_fifo(current, &pipe, flags).await?);
    }
    let open = |current: &mut Current| location.inode().clone().open(location, flags, current);
    match open(current) {
        Err(Errno::EAGAIN) if !flags.contains(OpenFlags::NONBLOCK) => {}
        done => return done,
    }
    let queue = location.inode().open_queue().ok_or(Errno::EAGAIN)?;
    current.block_on(&queue, Readiness::all(), None, open).await
}

fn may_open(location: &Location, credentials: &crate::task::Credentials, how: &How) -> Result<(), Errno> {
    let access = how.access();
    let file = location.inode().ownership()?;
    let writes = access.contains(Access::WRITE);
    match file.file_type {
        FileType::Symlink => return Err(Errno::ELOOP),
        FileType::Directory if writes || how.flags.contains(OpenFlags::CREAT) => return Err(Errno::EISDIR),
        FileType::Regular if writes => location.want_write()?,
        FileType::CharDevice | FileType::BlockDevice if location.mount.flags().contains(MountFlags::NODEV) => {
            return Err(Errno::EACCES);
        }
        _ => {}
    }
    may(credentials, &file, access)?;
    if how.flags.contains(OpenFlags::NOATIME) && !is_owner_or_capable(credentials, &file) {
        return Err(Errno::EPERM);
    }
    Ok(())
}

/// `O_TMPFILE`: a file in the file system of `dir`, without a name.
async fn open_unnamed(current: &mut Current, dir: &Location, how: &How) -> Result<Arc<FileDescription>, Errno> {
    let credentials = current.task.credentials();
    dir.want_write()?;
    let owner = dir.inode().ownership()?;
    may_create(&credentials, &owner)?;
    let umask = current.task.fs().umask();
    let node = names::new_node(&credentials, &owner, NodeKind::File, how.mode & !umask);
    let inode = dir.inode().create_unnamed(&node)?;
    let name = format!("#{}", inode.metadata()?.ino);
    let dentry = Dentry::new_unnamed(inode, &dir.dentry, name.as_bytes());
    let location = Location { mount: dir.mount.clone(), dentry };
    let file = location.inode().clone().open(&location, how.flags, current)?;
    Ok(FileDescription::new(file, Some(location), how.flags))
}

/// Opens a program for `execve`: a regular file that `current` may execute.
///
/// # Errors
/// EACCES for anything else; as the walk.
pub async fn open_executable(
    current: &mut Current,
    dirfd: i32,
    path: &[u8],
    walk: WalkFlags,
) -> Result<Arc<FileDescription>, Errno> {
    let location = current.origin(dirfd, path)?.find(path, walk)?;
    let file = location.inode().ownership()?;
    if file.file_type == FileType::Symlink {
        return Err(Errno::ELOOP);
    }
    if file.file_type != FileType::Regular || location.mount.flags().contains(MountFlags::NOEXEC) {
        return Err(Errno::EACCES);
    }
    may(&current.task.credentials(), &file, Access::EXEC)?;
    let file = open_file(current, &location, OpenFlags::empty()).await?;
    Ok(FileDescription::new(file, Some(location), OpenFlags::empty()))
}

/// Behind an `O_PATH` descriptor: nothing can be done with it.
struct PathOnly;

impl File for PathOnly {}

impl Current {
    /// Where a walk of `path` starts for the current task: the root, its working directory (`AT_FDCWD`) or `dirfd`.
    ///
    /// # Errors
    /// EBADF; ENOTDIR for a descriptor without a place in the tree.
    pub fn origin(&self, dirfd: i32, path: &[u8]) -> Result<Origin<'_>, Errno> {
        const AT_FDCWD: i32 = -100;
        let fs = self.task.fs();
        let (root, cwd) = {
            let state = fs.state.lock();
            (state.root.clone(), (dirfd == AT_FDCWD).then(|| state.cwd.clone()))
        };
        let start = match cwd {
            Some(cwd) => cwd,
            None if path.first() == Some(&b'/') => match self.fd_or_path(dirfd) {
                Ok(description) => description.location.clone().unwrap_or_else(|| root.clone()),
                Err(_) => root.clone(),
            },
            None => {
                let location = self.fd_or_path(dirfd)?.location.clone().ok_or(Errno::ENOTDIR)?;
                if !path.is_empty() && !location.dentry.is_dir() {
                    return Err(Errno::ENOTDIR);
                }
                location
            }
        };
        Ok(Origin { root, start, credentials: self.task.credentials(), current: Some(self) })
    }

    /// Finds what a path names for the current task.
    ///
    /// # Errors
    /// As [`Origin::find`] and [`Current::origin`].
    pub fn find(&self, dirfd: i32, path: &[u8], flags: WalkFlags) -> Result<Location, Errno> {
        self.origin(dirfd, path)?.find(path, flags)
    }
}
