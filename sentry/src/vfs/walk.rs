//! Path walk: from a path to a place in the tree (`man 7 path_resolution`, `man 2 openat2`).

use std::borrow::Cow;
use std::sync::Arc;

use super::permission::{Access, may};
use super::{Dentry, FileType, LinkTarget, Location, MountFlags};
use crate::Errno;
use crate::task::{Credentials, Current};

/// Longest name of one component (`NAME_MAX`).
pub const NAME_MAX: usize = 255;
/// Symbolic links followed in one walk (`MAXSYMLINKS`).
pub const MAX_LINKS: u32 = 40;

bitflags::bitflags! {
    /// How a path is walked. The low bits are `RESOLVE_*` of `openat2`.
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
    pub struct WalkFlags: u32 {
        /// `RESOLVE_NO_XDEV`: stay in the mount.
        const NO_XDEV = 0x1;
        /// `RESOLVE_NO_MAGICLINKS`
        const NO_MAGICLINKS = 0x2;
        /// `RESOLVE_NO_SYMLINKS`
        const NO_SYMLINKS = 0x4;
        /// `RESOLVE_BENEATH`: never leave the start.
        const BENEATH = 0x8;
        /// `RESOLVE_IN_ROOT`: the start is the root.
        const IN_ROOT = 0x10;
        /// `RESOLVE_CACHED`: EAGAIN where the dentry cache does not know.
        const CACHED = 0x20;
        /// Follow a symbolic link in the last component.
        const FOLLOW = 0x1000;
        /// The empty path is the start itself (`AT_EMPTY_PATH`).
        const EMPTY_PATH = 0x2000;
        /// What is found must be a directory.
        const DIRECTORY = 0x4000;
    }
}

/// Where walks start, and in whose name.
pub struct Origin<'a> {
    /// `/`
    pub root: Location,
    /// Where a relative path starts.
    pub start: Location,
    /// For search permission.
    pub credentials: Arc<Credentials>,
    /// Whom magic links are followed for; without one they are followed by their text.
    pub current: Option<&'a Current>,
}

/// The last component of a path.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LastName {
    /// A proper name.
    Normal(Vec<u8>),
    /// `.`
    Dot,
    /// `..`
    DotDot,
    /// The path is `/`.
    Root,
}

/// A place for a name: what a walk to the parent finds.
pub struct Parent {
    /// The directory, searchable by the walker.
    pub dir: Location,
    /// The name in it, not looked up.
    pub name: LastName,
    /// A slash follows the name.
    pub trailing_slash: bool,
}

impl Parent {
    /// The name when it is a proper one.
    ///
    /// # Errors
    /// `otherwise`
    pub fn normal_name(&self, otherwise: Errno) -> Result<&[u8], Errno> {
        match &self.name {
            LastName::Normal(name) => Ok(name),
            _ => Err(otherwise),
        }
    }
}

/// What a walk for `O_CREAT` finds.
pub enum Created {
    /// It exists.
    Found(Location),
    /// It does not; it would be here.
    Missing(Parent),
}

enum Goal {
    Find,
    Parent,
    Create,
}

enum Outcome {
    Found(Location),
    Parent(Parent),
}

impl Origin<'_> {
    /// Finds what `path` names.
    ///
    /// # Errors
    /// ENOENT, ENOTDIR, EACCES, ELOOP, ENAMETOOLONG; EXDEV and EAGAIN with `RESOLVE_*` flags.
    pub fn find(&self, path: &[u8], flags: WalkFlags) -> Result<Location, Errno> {
        match self.walk(path, flags, Goal::Find)? {
            Outcome::Found(location) => Ok(location),
            Outcome::Parent(parent) => Ok(parent.dir),
        }
    }

    /// Finds the directory in which the last component of `path` is or would be.
    ///
    /// # Errors
    /// As [`Origin::find`].
    pub fn find_parent(&self, path: &[u8], flags: WalkFlags) -> Result<Parent, Errno> {
        match self.walk(path, flags, Goal::Parent)? {
            Outcome::Parent(parent) => Ok(parent),
            Outcome::Found(dir) => Ok(Parent { dir, name: LastName::Root, trailing_slash: true }),
        }
    }

    /// Finds what `path` names, or where it would be made; a dangling link in the last component is followed.
    ///
    /// # Errors
    /// As [`Origin::find`]; EISDIR where the path can only name a directory.
    pub fn find_or_parent(&self, path: &[u8], flags: WalkFlags) -> Result<Created, Errno> {
        match self.walk(path, flags, Goal::Create)? {
            Outcome::Found(location) => Ok(Created::Found(location)),
            Outcome::Parent(parent) => Ok(Created::Missing(parent)),
        }
    }

    fn walk(&self, path: &[u8], flags: WalkFlags, goal: Goal) -> Result<Outcome, Errno> {
        let confined = flags.intersects(WalkFlags::BENEATH | WalkFlags::IN_ROOT);
        let root = if flags.contains(WalkFlags::IN_ROOT) { &self.start } else { &self.root };
        let mut text = Cow::Borrowed(path);
        let mut at = self.start.clone();
        let mut links = 0;
        let mut next = 0;
        if path.is_empty() {
            let allowed = flags.contains(WalkFlags::EMPTY_PATH);
            return if allowed { Ok(Outcome::Found(at)) } else { Err(Errno::ENOENT) };
        }
        if path[0] == b'/' {
            // The path itself may lead to another mount; its links may not.
            at = self.restart(&at, root, flags - WalkFlags::NO_XDEV)?;
        }
        loop {
            let slashes = text[next..].iter().take_while(|&&b| b == b'/').count();
            let start = next + slashes;
            if start == text.len() {
                // Only slashes are left: the path was `/`, or a link led to it.
                if !at.dentry.is_dir() {
                    return Err(Errno::ENOTDIR);
                }
                return Ok(Outcome::Found(at));
            }
            let len = text[start..].iter().position(|&b| b == b'/').unwrap_or(text.len() - start);
            let end = start + len;
            let rest = end + text[end..].iter().take_while(|&&b| b == b'/').count();
            let is_last = rest == text.len();
            let trailing_slash = is_last && rest > end;
            if !at.dentry.is_dir() {
                return Err(Errno::ENOTDIR);
            }
            may(&self.credentials, &at.inode().ownership()?, Access::EXEC)?;
            let name = &text[start..end];
            let special = match name {
                b"." => Some(LastName::Dot),
                b".." => Some(LastName::DotDot),
                _ => None,
            };
            if let Some(special) = special {
                if is_last && matches!(goal, Goal::Parent) {
                    return Ok(Outcome::Parent(Parent { dir: at, name: special, trailing_slash }));
                }
                if special == LastName::DotDot {
                    if flags.contains(WalkFlags::BENEATH) && at == self.start {
                        return Err(Errno::EXDEV);
                    }
                    let above = at.up(root);
                    if flags.contains(WalkFlags::NO_XDEV) && !Arc::ptr_eq(&above.mount, &at.mount) {
                        return Err(Errno::EXDEV);
                    }
                    at = above;
                }
            } else {
                if name.len() > NAME_MAX {
                    return Err(Errno::ENAMETOOLONG);
                }
                if is_last && matches!(goal, Goal::Parent) {
                    let name = LastName::Normal(name.to_vec());
                    return Ok(Outcome::Parent(Parent { dir: at, name, trailing_slash }));
                }
                if trailing_slash && matches!(goal, Goal::Create) {
                    return Err(Errno::EISDIR);
                }
                let dentry = match step(&at, name, flags) {
                    Err(Errno::ENOENT) if is_last && matches!(goal, Goal::Create) => {
                        let name = LastName::Normal(name.to_vec());
                        return Ok(Outcome::Parent(Parent { dir: at, name, trailing_slash }));
                    }
                    found => found?,
                };
                if dentry.file_type() == FileType::Symlink
                    && (!is_last || trailing_slash || flags.contains(WalkFlags::FOLLOW))
                {
                    links += 1;
                    if links > MAX_LINKS
                        || flags.contains(WalkFlags::NO_SYMLINKS)
                        || at.mount.flags().contains(MountFlags::NOSYMFOLLOW)
                    {
                        return Err(Errno::ELOOP);
                    }
                    match self.follow(&dentry)? {
                        LinkTarget::Path(target) => {
                            if target.is_empty() {
                                return Err(Errno::ENOENT);
                            }
                            if target[0] == b'/' {
                                at = self.restart(&at, root, flags)?;
                            }
                            let mut spliced = target;
                            spliced.extend_from_slice(&text[end..]);
                            text = Cow::Owned(spliced);
                            next = 0;
                            continue;
                        }
                        LinkTarget::Jump(target) => {
                            if flags.contains(WalkFlags::NO_MAGICLINKS) {
                                return Err(Errno::ELOOP);
                            }
                            if confined || flags.contains(WalkFlags::NO_XDEV) && !Arc::ptr_eq(&target.mount, &at.mount)
                            {
                                return Err(Errno::EXDEV);
                            }
                            at = target;
                        }
                    }
                } else {
                    at.dentry = dentry;
                    if at.dentry.is_mountpoint() {
                        let crossed = at.clone().cross_mounts();
                        if flags.contains(WalkFlags::NO_XDEV) && !Arc::ptr_eq(&crossed.mount, &at.mount) {
                            return Err(Errno::EXDEV);
                        }
                        at = crossed;
                    }
                }
            }
            if is_last {
                if (trailing_slash || flags.contains(WalkFlags::DIRECTORY)) && !at.dentry.is_dir() {
                    return Err(Errno::ENOTDIR);
                }
                return Ok(Outcome::Found(at));
            }
            next = end;
        }
    }

    /// The start of an absolute path.
    fn restart(&self, at: &Location, root: &Location, flags: WalkFlags) -> Result<Location, Errno> {
        if flags.contains(WalkFlags::BENEATH)
            || flags.contains(WalkFlags::NO_XDEV) && !Arc::ptr_eq(&at.mount, &root.mount)
        {
            return Err(Errno::EXDEV);
        }
        Ok(root.clone())
    }

    fn follow(&self, link: &Arc<Dentry>) -> Result<LinkTarget, Errno> {
        match self.current {
            Some(current) => link.inode().follow_link(current),
            None => link.inode().read_link().map(LinkTarget::Path),
        }
    }
}

fn step(at: &Location, name: &[u8], flags: WalkFlags) -> Result<Arc<Dentry>, Errno> {
    if let Some(known) = at.dentry.cached(name) {
        return known.ok_or(Errno::ENOENT);
    }
    if flags.contains(WalkFlags::CACHED) {
        return Err(Errno::EAGAIN);
    }
    at.mount.superblock.shrink();
    at.dentry.lookup(name)
}
