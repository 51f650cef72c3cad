//! Changing directories: making, linking, moving and removing names.

use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;

use abi::Errno;
use gofer_proto::{Access, Attr, FileType, Found, NewNode, NodeId, Owner, to_c_string};
use host::file::{self, Resolve};
use host::metadata;

use crate::config::Mutability;
use crate::node::{Identity, O_PATH_NOFOLLOW};
use crate::open::{SAFE_FLAGS, access_flags};
use crate::server::Server;

const PERMISSIONS: u32 = 0o7777;
const RENAME_NOREPLACE: u32 = 1;
const RENAME_EXCHANGE: u32 = 2;
const RENAME_WHITEOUT: u32 = 4;

impl Server {
    /// A directory and a name in it that may be changed.
    fn place_for_change(&mut self, dir: NodeId, name: &[u8]) -> Result<(Rc<OwnedFd>, CString), Errno> {
        let name = to_c_string(name)?;
        let attach = self.attach_of(dir)?;
        if attach.mutability == Mutability::ReadOnly {
            return Err(Errno::EROFS);
        }
        if attach.mask.guards(self.nodes.seen(dir)?, &name) {
            return Err(Errno::EBUSY);
        }
        Ok((self.nodes.real_directory(dir)?, name))
    }

    pub(crate) fn create(
        &mut self,
        dir: NodeId,
        name: &[u8],
        mode: u32,
        owner: Option<Owner>,
        access: Access,
    ) -> Result<(Found, OwnedFd), Errno> {
        const O_CREAT_EXCL: u32 = 0o100 | 0o200;
        let (at, name) = self.place_for_change(dir, name)?;
        let flags = SAFE_FLAGS | O_CREAT_EXCL | access_flags(access);
        let fd = file::open_at(at.as_fd(), &name, flags, mode & PERMISSIONS, Resolve::Beneath)?;
        match self.finish(dir, &at, name, &fd, mode, owner) {
            Ok(found) => Ok((found, fd)),
            Err(errno) => Err(errno),
        }
    }

    pub(crate) fn make_dir(
        &mut self,
        dir: NodeId,
        name: &[u8],
        mode: u32,
        owner: Option<Owner>,
    ) -> Result<Found, Errno> {
        let (at, name) = self.place_for_change(dir, name)?;
        file::make_dir(at.as_fd(), &name, mode & PERMISSIONS)?;
        self.finish_by_name(dir, &at, name, mode, owner)
    }

    pub(crate) fn make_node(
        &mut self,
        dir: NodeId,
        name: &[u8],
        kind: NewNode,
        mode: u32,
        owner: Option<Owner>,
    ) -> Result<Found, Errno> {
        let (at, name) = self.place_for_change(dir, name)?;
        let kind = match kind {
            NewNode::Fifo => 0o010_000,
            NewNode::Socket => 0o140_000,
            // A character device 0/0: the one device that anybody may make (Linux 5.8) and nobody can open.
            NewNode::Whiteout => 0o020_000,
        };
        file::make_node(at.as_fd(), &name, kind | mode & PERMISSIONS, 0)?;
        self.finish_by_name(dir, &at, name, mode, owner)
    }

    pub(crate) fn symlink(
        &mut self,
        dir: NodeId,
        name: &[u8],
        target: &[u8],
        owner: Option<Owner>,
    ) -> Result<Found, Errno> {
        let (at, name) = self.place_for_change(dir, name)?;
        let target = match target.len() {
            0 => return Err(Errno::ENOENT),
            len if len > gofer_proto::PATH_MAX => return Err(Errno::ENAMETOOLONG),
            _ => CString::new(target).map_err(|_| Errno::EINVAL)?,
        };
        file::make_link(&target, at.as_fd(), &name)?;
        self.finish_by_name(dir, &at, name, 0o777, owner)
    }

    fn finish_by_name(
        &mut self,
        dir: NodeId,
        at: &Rc<OwnedFd>,
        name: CString,
        mode: u32,
        owner: Option<Owner>,
    ) -> Result<Found, Errno> {
        let fd = file::open_at(at.as_fd(), &name, O_PATH_NOFOLLOW, 0, Resolve::Beneath)?;
        self.finish(dir, at, name, &fd, mode, owner)
    }

    /// Gives what was just made its owner and its exact mode, and a node. If that fails it is removed again.
    fn finish(
        &mut self,
        dir: NodeId,
        at: &Rc<OwnedFd>,
        name: CString,
        fd: &OwnedFd,
        mode: u32,
        owner: Option<Owner>,
    ) -> Result<Found, Errno> {
        let finished = self.give(fd, mode, owner).and_then(|()| {
            let glimpse = self.glimpse(dir, at.as_fd(), &name)?.ok_or(Errno::ENOENT)?;
            self.adopt(dir, name.clone(), glimpse)
        });
        if finished.is_err() {
            let made = Attr::from_statx(&metadata::statx(fd.as_fd())?);
            let _ = match made.file_type() {
                FileType::Directory => file::remove_dir(at.as_fd(), &name),
                _ => file::unlink(at.as_fd(), &name),
            };
        }
        finished
    }

    fn give(&self, fd: &OwnedFd, mode: u32, owner: Option<Owner>) -> Result<(), Errno> {
        let Some(owner) = owner else { return Ok(()) };
        let attr = Attr::from_statx(&metadata::statx(fd.as_fd())?);
        if (attr.uid, attr.gid) != (owner.uid, owner.gid) {
            metadata::chown(fd.as_fd(), Some(owner.uid), Some(owner.gid))?;
            // chown takes set-user-id and set-group-id away.
            if mode & 0o6000 != 0 && attr.file_type() != FileType::Symlink {
                match metadata::chmod(fd.as_fd(), mode) {
                    Err(Errno::ENOSYS) => metadata::chmod_open(fd.as_fd(), mode)?,
                    other => other?,
                }
            }
        }
        Ok(())
    }

    pub(crate) fn link(&mut self, node: NodeId, dir: NodeId, name: &[u8]) -> Result<Found, Errno> {
        let (to, to_name) = self.place_for_change(dir, name)?;
        let identity = self.nodes.identity(node)?;
        if identity.kind == FileType::Directory {
            return Err(Errno::EPERM);
        }
        if self.nodes.attach(node)? != self.nodes.attach(dir)? {
            return Err(Errno::EXDEV);
        }
        let (from, from_name) = self.nodes.place(node)?.ok_or(Errno::EXDEV)?;
        let here = Attr::from_statx(&metadata::statx_at(from.as_fd(), &from_name)?);
        if Identity::of(&here) != identity {
            return Err(Errno::ESTALE);
        }
        file::link(from.as_fd(), &from_name, to.as_fd(), &to_name)?;
        let glimpse = self.glimpse(dir, to.as_fd(), &to_name)?.ok_or(Errno::ENOENT)?;
        if Identity::of(&glimpse.attr) != identity {
            // Another file took the old name at that very moment.
            let _ = file::unlink(to.as_fd(), &to_name);
            return Err(Errno::ESTALE);
        }
        self.adopt(dir, to_name, glimpse)
    }

    pub(crate) fn unlink(&mut self, dir: NodeId, name: &[u8], node: Option<NodeId>) -> Result<(), Errno> {
        let (at, name) = self.place_for_change(dir, name)?;
        if let Some(node) = node {
            self.nodes.pin(node);
        }
        let done = file::unlink(at.as_fd(), &name);
        if let (Err(_), Some(node)) = (&done, node) {
            self.nodes.unpin(node);
        }
        done
    }

    pub(crate) fn remove_dir(&mut self, dir: NodeId, name: &[u8]) -> Result<(), Errno> {
        let (at, name) = self.place_for_change(dir, name)?;
        file::remove_dir(at.as_fd(), &name)
    }

    pub(crate) fn rename(
        &mut self,
        from: (NodeId, &[u8]),
        to: (NodeId, &[u8]),
        flags: u32,
        node: Option<NodeId>,
    ) -> Result<(), Errno> {
        if flags & !(RENAME_NOREPLACE | RENAME_EXCHANGE | RENAME_WHITEOUT) != 0 {
            return Err(Errno::EINVAL);
        }
        let (from_dir, from_name) = self.place_for_change(from.0, from.1)?;
        let (to_dir, to_name) = self.place_for_change(to.0, to.1)?;
        if self.nodes.attach(from.0)? != self.nodes.attach(to.0)? {
            return Err(Errno::EXDEV);
        }
        file::rename(from_dir.as_fd(), &from_name, to_dir.as_fd(), &to_name, flags)?;
        if let Some(node) = node {
            // Only if it is that file; a node that cannot be followed is stale and will be looked up again.
            let there = Attr::from_statx(&metadata::statx_at(to_dir.as_fd(), &to_name)?);
            if self.nodes.identity(node) == Ok(Identity::of(&there))
                && self.nodes.attach(node) == self.nodes.attach(to.0)
            {
                let _ = self.nodes.moved(node, to.0, to_name);
            }
        }
        Ok(())
    }
}
