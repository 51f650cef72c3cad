//! Opening files for the client.

use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;

use abi::Errno;
use gofer_proto::{Access, Attr, FileType, Kinds, NodeId};
use host::file::{self, Resolve};
use host::metadata;

use crate::config::Mutability;
use crate::node::Identity;
use crate::server::Server;

/// `O_NOFOLLOW | O_NONBLOCK | O_NOCTTY`: never a link, never a wait for a FIFO's other end or a lease, never a terminal.
pub(crate) const SAFE_FLAGS: u32 = 0o400_000 | 0o4_000 | 0o400;

/// `O_ACCMODE` part of the flags.
pub(crate) fn access_flags(access: Access) -> u32 {
    match access {
        Access::Read => 0,
        Access::Write => 1,
        Access::ReadWrite => 2,
    }
}

impl Server {
    /// Opens a regular file, or a FIFO where the call says so.
    ///
    /// Never a directory: `..` leads from its descriptor to everything on the mount. Never a device: opening one can
    /// already do things.
    pub(crate) fn open(&mut self, node: NodeId, access: Access, kinds: Kinds) -> Result<(OwnedFd, Attr), Errno> {
        match (self.nodes.identity(node)?.kind, kinds) {
            (FileType::Regular, _) | (FileType::Fifo, Kinds::PlainOrFifo) => {}
            (FileType::Directory, _) => return Err(Errno::EISDIR),
            (FileType::Symlink, _) => return Err(Errno::ELOOP),
            (FileType::Fifo, Kinds::Plain) => return Err(Errno::EACCES),
            (FileType::Socket | FileType::CharDevice | FileType::BlockDevice, _) => return Err(Errno::ENXIO),
        }
        if access.writes() && self.attach_of(node)?.mutability == Mutability::ReadOnly {
            return Err(Errno::EROFS);
        }
        self.open_verified(node, access_flags(access))
    }

    /// Opens a node by its name and insists that it is still the same inode. (An `O_PATH` descriptor cannot be opened
    /// itself without `/proc`, which the jail does not have.) The jail's mounts are `nodev`, so that not even a device
    /// node put there in between is opened.
    pub(crate) fn open_verified(&mut self, node: NodeId, flags: u32) -> Result<(OwnedFd, Attr), Errno> {
        let (dir, name) = match self.nodes.place(node)? {
            Some(place) => place,
            None => {
                // The root of an attach point that is a file.
                let attach = self.attach_of(node)?;
                let (dir, name) = attach.file_root.as_ref().ok_or(Errno::EISDIR)?;
                (Rc::clone(dir), name.clone())
            }
        };
        let fd = match file::open_at(dir.as_fd(), &name, SAFE_FLAGS | flags, 0, Resolve::Beneath) {
            Err(Errno::ENOENT | Errno::ELOOP | Errno::ENOTDIR) => return Err(Errno::ESTALE),
            other => other?,
        };
        let attr = Attr::from_statx(&metadata::statx(fd.as_fd())?);
        if Identity::of(&attr) != self.nodes.identity(node)? {
            return Err(Errno::ESTALE);
        }
        Ok((fd, attr))
    }
}
