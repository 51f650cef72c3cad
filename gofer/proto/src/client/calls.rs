//! The calls, one method each: encode, call, check that the answer is of the right kind and sound.

use abi::Errno;

use super::{Chunk, Client, Opened};
use crate::attr::Attr;
use crate::message::{
    Access, AttachInfo, Cursor, Entry, Found, Kinds, NewNode, NodeId, Owner, Reply, Request, SetAttr, Statfs, SyncKind,
    Walked,
};
use crate::name::{WALK_MAX, components};
use crate::validate;

/// What a wrong kind of answer becomes.
const BROKEN: Errno = Errno::EIO;

/// Entries of one directory that [`Client::list`] gathers before it gives up (a gofer that never ends must not fill memory).
const LIST_MAX: usize = 8 << 20;

/// Ids in one `Forget` message.
const FORGET_BATCH: usize = 4096;

impl Client {
    /// The root of attach point `index`.
    ///
    /// # Errors
    /// ENOENT when there is no such attach point.
    pub fn attach(&self, index: u32) -> Result<(Found, AttachInfo), Errno> {
        match self.call(&Request::Attach { index })?.0 {
            Reply::Attached { root, info } => Ok((validate::found(root)?, info)),
            _ => Err(BROKEN),
        }
    }

    /// Looks one name up. That there is none is `Ok(None)`.
    ///
    /// # Errors
    /// ENOTDIR, EACCES, ENAMETOOLONG, EINVAL for `.` and `..`, ESTALE.
    pub fn lookup(&self, dir: NodeId, name: &[u8]) -> Result<Option<Found>, Errno> {
        match self.call(&Request::Lookup { dir, name })?.0 {
            Reply::Lookup(found) => found.map(validate::found).transpose(),
            _ => Err(BROKEN),
        }
    }

    /// Looks up the components of a relative path, one after the other, until one is a symbolic link or cannot be found.
    ///
    /// # Errors
    /// Those of the first component's directory; what stops it later is in the answer.
    pub fn walk(&self, dir: NodeId, path: &[u8]) -> Result<Walked, Errno> {
        let parts = components(path)?;
        let (mut at, mut whole) = (dir, Walked { found: Vec::new(), stopped: None });
        for batch in parts.chunks(WALK_MAX) {
            let part = match self.call(&Request::Walk { dir: at, path: &batch.join(&b'/') })?.0 {
                Reply::Walked(walked) => validate::walked(walked, batch.len())?,
                _ => return Err(BROKEN),
            };
            let Some(last) = part.found.last() else { return Ok(Walked { stopped: part.stopped, ..whole }) };
            at = last.node;
            let is_over = part.stopped.is_some() || last.symlink.is_some();
            whole.stopped = part.stopped;
            whole.found.extend(part.found);
            if is_over {
                break;
            }
        }
        Ok(whole)
    }

    /// The next part of a directory, from `Cursor::default()` on. Every entry brings a node of its own.
    ///
    /// # Errors
    /// ENOTDIR, EACCES, ESTALE.
    pub fn list_chunk(&self, dir: NodeId, cursor: Cursor) -> Result<Chunk, Errno> {
        match self.call(&Request::List { dir, cursor })?.0 {
            Reply::Listed { entries, next } => {
                let entries: Result<Vec<Entry>, Errno> = entries.into_iter().map(validate::entry).collect();
                Ok(Chunk { entries: entries?, next })
            }
            _ => Err(BROKEN),
        }
    }

    /// A whole directory.
    ///
    /// # Errors
    /// As [`Client::list_chunk`].
    pub fn list(&self, dir: NodeId) -> Result<Vec<Entry>, Errno> {
        let mut chunk = self.list_chunk(dir, Cursor::default())?;
        let mut all = std::mem::take(&mut chunk.entries);
        while let Some(next) = chunk.next {
            chunk = self.list_chunk(dir, next)?;
            if all.len() > LIST_MAX || chunk.next == Some(next) {
                return Err(BROKEN);
            }
            all.append(&mut chunk.entries);
        }
        Ok(all)
    }

    /// Opens a regular file (`O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY`). Directories are never opened: `..` leads
    /// from a directory's descriptor around everything that is hidden.
    ///
    /// # Errors
    /// EROFS for writing on a read-only attach point, EISDIR, ELOOP for a symbolic link, ENXIO for sockets and devices,
    /// EACCES, ETXTBSY, ESTALE, EMFILE.
    pub fn open(&self, node: NodeId, access: Access, kinds: Kinds) -> Result<Opened, Errno> {
        match self.call(&Request::Open { node, access, kinds })? {
            (Reply::Opened(attr), Some(fd)) => Ok(Opened { fd, attr: validate::attr(attr)? }),
            _ => Err(BROKEN),
        }
    }

    /// Present attributes.
    ///
    /// # Errors
    /// ESTALE.
    pub fn get_attr(&self, node: NodeId) -> Result<Attr, Errno> {
        self.attr(&Request::GetAttr { node })
    }

    /// Changes attributes; the attributes after that.
    ///
    /// # Errors
    /// EROFS, EPERM, EISDIR, EINVAL, ESTALE.
    pub fn set_attr(&self, node: NodeId, set: SetAttr) -> Result<Attr, Errno> {
        self.attr(&Request::SetAttr { node, set })
    }

    fn attr(&self, request: &Request<'_>) -> Result<Attr, Errno> {
        match self.call(request)?.0 {
            Reply::Attr(attr) => validate::attr(attr),
            _ => Err(BROKEN),
        }
    }

    /// A link's target.
    ///
    /// # Errors
    /// EINVAL when it is none, ESTALE.
    pub fn read_link(&self, node: NodeId) -> Result<Vec<u8>, Errno> {
        self.bytes(&Request::ReadLink { node }, crate::name::PATH_MAX)
    }

    /// Makes and opens a regular file that must not exist yet. Without `owner` it belongs to the gofer's user.
    ///
    /// # Errors
    /// EEXIST, EROFS, EACCES, ENOSPC, EPERM when it cannot be given to `owner` (it is removed again).
    pub fn create(
        &self,
        dir: NodeId,
        name: &[u8],
        mode: u32,
        owner: Option<Owner>,
        access: Access,
    ) -> Result<(Found, Opened), Errno> {
        match self.call(&Request::Create { dir, name, mode, owner, access })? {
            (Reply::Created(found), Some(fd)) => {
                let found = validate::found(found)?;
                let attr = found.attr;
                Ok((found, Opened { fd, attr }))
            }
            _ => Err(BROKEN),
        }
    }

    /// Makes a directory.
    ///
    /// # Errors
    /// As [`Client::create`].
    pub fn make_dir(&self, dir: NodeId, name: &[u8], mode: u32, owner: Option<Owner>) -> Result<Found, Errno> {
        self.made(&Request::MakeDir { dir, name, mode, owner })
    }

    /// Makes a FIFO, a socket's place or a whiteout.
    ///
    /// # Errors
    /// As [`Client::create`].
    pub fn make_node(
        &self,
        dir: NodeId,
        name: &[u8],
        kind: NewNode,
        mode: u32,
        owner: Option<Owner>,
    ) -> Result<Found, Errno> {
        self.made(&Request::MakeNode { dir, name, kind, mode, owner })
    }

    /// Makes a symbolic link.
    ///
    /// # Errors
    /// As [`Client::create`].
    pub fn symlink(&self, dir: NodeId, name: &[u8], target: &[u8], owner: Option<Owner>) -> Result<Found, Errno> {
        self.made(&Request::Symlink { dir, name, target, owner })
    }

    /// Gives a file another name.
    ///
    /// # Errors
    /// EEXIST, EXDEV between attach points, EPERM for a directory, EMLINK, EROFS, ESTALE.
    pub fn link(&self, node: NodeId, dir: NodeId, name: &[u8]) -> Result<Found, Errno> {
        self.made(&Request::Link { node, dir, name })
    }

    fn made(&self, request: &Request<'_>) -> Result<Found, Errno> {
        match self.call(request)?.0 {
            Reply::Made(found) => validate::found(found),
            _ => Err(BROKEN),
        }
    }

    /// Removes a name. `node`, if given, is the file it names: that stays usable until it is forgotten.
    ///
    /// # Errors
    /// ENOENT, EISDIR, EROFS, EACCES, EPERM, EBUSY.
    pub fn unlink(&self, dir: NodeId, name: &[u8], node: Option<NodeId>) -> Result<(), Errno> {
        self.done(&Request::Unlink { dir, name, node })
    }

    /// Removes an empty directory.
    ///
    /// # Errors
    /// ENOENT, ENOTDIR, ENOTEMPTY, EROFS, EBUSY.
    pub fn remove_dir(&self, dir: NodeId, name: &[u8]) -> Result<(), Errno> {
        self.done(&Request::RemoveDir { dir, name })
    }

    /// Renames; `flags` are `RENAME_*`. `node`, if given, is what is moved: the gofer then knows its new name.
    ///
    /// # Errors
    /// ENOENT, EEXIST, EXDEV between attach points, ENOTEMPTY, EINVAL, EROFS, EBUSY above a hidden path.
    pub fn rename(
        &self,
        (from, from_name): (NodeId, &[u8]),
        (to, to_name): (NodeId, &[u8]),
        flags: u32,
        node: Option<NodeId>,
    ) -> Result<(), Errno> {
        self.done(&Request::Rename { from, from_name, to, to_name, flags, node })
    }

    /// `statfs` of the file system that holds `node`.
    ///
    /// # Errors
    /// ESTALE.
    pub fn statfs(&self, node: NodeId) -> Result<Statfs, Errno> {
        match self.call(&Request::Statfs { node })?.0 {
            Reply::Statfs(statfs) => Ok(statfs),
            _ => Err(BROKEN),
        }
    }

    /// The value of an extended attribute.
    ///
    /// # Errors
    /// ENODATA, EOPNOTSUPP, EPERM for namespaces other than `user.`.
    pub fn get_xattr(&self, node: NodeId, name: &[u8]) -> Result<Vec<u8>, Errno> {
        const XATTR_SIZE_MAX: u32 = 64 << 10;
        self.bytes(&Request::GetXattr { node, name, size: XATTR_SIZE_MAX }, XATTR_SIZE_MAX as usize)
    }

    /// The names of the extended attributes, each with a NUL behind it.
    ///
    /// # Errors
    /// EOPNOTSUPP.
    pub fn list_xattr(&self, node: NodeId) -> Result<Vec<u8>, Errno> {
        const XATTR_LIST_MAX: u32 = 64 << 10;
        self.bytes(&Request::ListXattr { node, size: XATTR_LIST_MAX }, XATTR_LIST_MAX as usize)
    }

    fn bytes(&self, request: &Request<'_>, max: usize) -> Result<Vec<u8>, Errno> {
        match self.call(request)?.0 {
            Reply::Bytes(bytes) if bytes.len() <= max => Ok(bytes),
            _ => Err(BROKEN),
        }
    }

    /// Sets an extended attribute; `flags` are `XATTR_CREATE` or `XATTR_REPLACE`.
    ///
    /// # Errors
    /// EEXIST, ENODATA, ENOSPC, EOPNOTSUPP, EROFS, EPERM for namespaces other than `user.`.
    pub fn set_xattr(&self, node: NodeId, name: &[u8], value: &[u8], flags: u32) -> Result<(), Errno> {
        self.done(&Request::SetXattr { node, name, value, flags })
    }

    /// Removes an extended attribute.
    ///
    /// # Errors
    /// ENODATA, EOPNOTSUPP, EROFS, EPERM for namespaces other than `user.`.
    pub fn remove_xattr(&self, node: NodeId, name: &[u8]) -> Result<(), Errno> {
        self.done(&Request::RemoveXattr { node, name })
    }

    /// Waits until a file or directory is on its disk. With a descriptor at hand `fsync` it instead.
    ///
    /// # Errors
    /// EIO, ENOSPC, ESTALE.
    pub fn sync(&self, node: NodeId, kind: SyncKind) -> Result<(), Errno> {
        self.done(&Request::Sync { node, kind })
    }

    /// Gives nodes back. Roots stay. What is already forgotten is ignored.
    ///
    /// # Errors
    /// EIO when the gofer is gone, and with it all nodes.
    pub fn forget(&self, nodes: &[NodeId]) -> Result<(), Errno> {
        nodes.chunks(FORGET_BATCH).try_for_each(|batch| self.done(&Request::Forget { nodes: batch.to_vec() }))
    }

    fn done(&self, request: &Request<'_>) -> Result<(), Errno> {
        match self.call(request)?.0 {
            Reply::Done => Ok(()),
            _ => Err(BROKEN),
        }
    }
}
