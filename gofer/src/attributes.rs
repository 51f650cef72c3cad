//! Reading and changing what a file is: attributes, links' targets, extended attributes.

use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;

use abi::Errno;
use abi::types::Timespec;
use gofer_proto::{Attr, FileType, NodeId, SetAttr, SetTime, Statfs, SyncKind};
use host::{file, metadata, xattr};

use crate::config::Mutability;
use crate::mask::View;
use crate::resolve::masked;
use crate::server::Server;

/// `XATTR_SIZE_MAX` and `XATTR_LIST_MAX`.
const XATTR_MAX: usize = 64 << 10;
const XATTR_NAME_MAX: usize = 255;

impl Server {
    pub(crate) fn get_attr(&mut self, node: NodeId) -> Result<Attr, Errno> {
        let fd = self.nodes.descriptor(node)?;
        let attr = Attr::from_statx(&metadata::statx(fd.as_fd())?);
        Ok(if self.nodes.seen(node)?.view == View::Masked { masked(attr) } else { attr })
    }

    pub(crate) fn set_attr(&mut self, node: NodeId, set: SetAttr) -> Result<Attr, Errno> {
        let fd = self.changeable(node)?;
        if let Some(size) = set.size {
            match self.nodes.identity(node)?.kind {
                FileType::Regular => {}
                FileType::Directory => return Err(Errno::EISDIR),
                _ => return Err(Errno::EINVAL),
            }
            let (open, _) = self.open_verified(node, 1)?;
            file::truncate(open.as_fd(), size)?;
        }
        if set.uid.is_some() || set.gid.is_some() {
            metadata::chown(fd.as_fd(), set.uid, set.gid)?;
        }
        if let Some(mode) = set.mode {
            self.chmod(node, &fd, mode)?;
        }
        if set.atime.is_some() || set.mtime.is_some() {
            metadata::set_times(fd.as_fd(), to_host(set.atime), to_host(set.mtime))?;
        }
        self.get_attr(node)
    }

    /// Changes the mode of a node whose descriptor is at hand.
    pub(crate) fn chmod(&mut self, node: NodeId, fd: &OwnedFd, mode: u32) -> Result<(), Errno> {
        match metadata::chmod(fd.as_fd(), mode) {
            // Before Linux 6.6: only through an open file.
            Err(Errno::ENOSYS) => match self.nodes.identity(node)?.kind {
                FileType::Regular | FileType::Directory => {
                    let (open, _) = self.open_verified(node, 0)?;
                    metadata::chmod_open(open.as_fd(), mode)
                }
                _ => Err(Errno::EOPNOTSUPP),
            },
            other => other,
        }
    }

    /// The descriptor of a node that may be changed.
    pub(crate) fn changeable(&mut self, node: NodeId) -> Result<Rc<OwnedFd>, Errno> {
        if self.attach_of(node)?.mutability == Mutability::ReadOnly {
            return Err(Errno::EROFS);
        }
        if self.nodes.seen(node)?.view == View::Masked {
            return Err(Errno::EACCES);
        }
        self.nodes.descriptor(node)
    }

    pub(crate) fn read_link(&mut self, node: NodeId) -> Result<Vec<u8>, Errno> {
        if self.nodes.identity(node)?.kind != FileType::Symlink {
            return Err(Errno::EINVAL);
        }
        file::read_link(self.nodes.descriptor(node)?.as_fd(), c"")
    }

    pub(crate) fn statfs(&mut self, node: NodeId) -> Result<Statfs, Errno> {
        let from = metadata::statfs(self.nodes.descriptor(node)?.as_fd())?;
        Ok(Statfs {
            fs_type: from.f_type,
            block_size: from.f_bsize,
            fragment_size: from.f_frsize,
            blocks: from.f_blocks,
            blocks_free: from.f_bfree,
            blocks_available: from.f_bavail,
            files: from.f_files,
            files_free: from.f_ffree,
            name_len: from.f_namelen,
            flags: from.f_flags,
        })
    }

    pub(crate) fn sync(&mut self, node: NodeId, kind: SyncKind) -> Result<(), Errno> {
        let kind = match kind {
            SyncKind::All => file::SyncKind::All,
            SyncKind::Data => file::SyncKind::Data,
        };
        match self.nodes.identity(node)?.kind {
            FileType::Regular => file::sync(self.open_verified(node, 0)?.0.as_fd(), kind),
            FileType::Directory => file::sync(self.open_directory(node)?.as_fd(), kind),
            _ => Err(Errno::EINVAL),
        }
    }

    fn open_directory(&mut self, node: NodeId) -> Result<OwnedFd, Errno> {
        const O_DIRECTORY: u32 = 0o200_000;
        file::open_at(self.nodes.real_directory(node)?.as_fd(), c".", O_DIRECTORY, 0, file::Resolve::Beneath)
    }

    pub(crate) fn get_xattr(&mut self, node: NodeId, name: &[u8], size: u32) -> Result<Vec<u8>, Errno> {
        let name = xattr_name(name)?;
        if self.nodes.seen(node)?.view == View::Masked {
            return Err(Errno::ENODATA);
        }
        let fd = self.nodes.descriptor(node)?;
        let mut value = vec![0; (size as usize).min(XATTR_MAX)];
        let len = match xattr::get(fd.as_fd(), &name, &mut value) {
            Err(Errno::EBADF) => xattr::get(self.open_for_xattr(node)?.as_fd(), &name, &mut value)?,
            other => other?,
        };
        value.truncate(len);
        Ok(value)
    }

    pub(crate) fn list_xattr(&mut self, node: NodeId, size: u32) -> Result<Vec<u8>, Errno> {
        if self.nodes.seen(node)?.view == View::Masked {
            return Ok(Vec::new());
        }
        let fd = self.nodes.descriptor(node)?;
        let mut names = vec![0; (size as usize).min(XATTR_MAX)];
        let len = match xattr::list(fd.as_fd(), &mut names) {
            Err(Errno::EBADF) => xattr::list(self.open_for_xattr(node)?.as_fd(), &mut names)?,
            other => other?,
        };
        names.truncate(len);
        Ok(names)
    }

    pub(crate) fn set_xattr(&mut self, node: NodeId, name: &[u8], value: &[u8], flags: u32) -> Result<(), Errno> {
        let name = user_xattr_name(name)?;
        if value.len() > XATTR_MAX {
            return Err(Errno::E2BIG);
        }
        let fd = self.changeable(node)?;
        match xattr::set(fd.as_fd(), &name, value, flags) {
            Err(Errno::EBADF) => xattr::set(self.open_for_xattr(node)?.as_fd(), &name, value, flags),
            other => other,
        }
    }

    pub(crate) fn remove_xattr(&mut self, node: NodeId, name: &[u8]) -> Result<(), Errno> {
        let name = user_xattr_name(name)?;
        let fd = self.changeable(node)?;
        match xattr::remove(fd.as_fd(), &name) {
            Err(Errno::EBADF) => xattr::remove(self.open_for_xattr(node)?.as_fd(), &name),
            other => other,
        }
    }

    /// Before Linux 6.13 only an open file shows its extended attributes.
    fn open_for_xattr(&mut self, node: NodeId) -> Result<OwnedFd, Errno> {
        match self.nodes.identity(node)?.kind {
            FileType::Regular => Ok(self.open_verified(node, 0)?.0),
            FileType::Directory => self.open_directory(node),
            _ => Err(Errno::EOPNOTSUPP),
        }
    }
}

fn to_host(time: Option<SetTime>) -> metadata::SetTime {
    match time {
        None => metadata::SetTime::Keep,
        Some(SetTime::Now) => metadata::SetTime::Now,
        Some(SetTime::At(at)) => metadata::SetTime::At(Timespec::from(at)),
    }
}

fn xattr_name(name: &[u8]) -> Result<CString, Errno> {
    if name.is_empty() || name.len() > XATTR_NAME_MAX {
        return Err(Errno::ERANGE);
    }
    CString::new(name).map_err(|_| Errno::EINVAL)
}

/// The guest may change `user.` attributes only: the others mean something to the host (file capabilities, labels, ACLs).
fn user_xattr_name(name: &[u8]) -> Result<CString, Errno> {
    if name.starts_with(b"user.") { xattr_name(name) } else { Err(Errno::EPERM) }
}
