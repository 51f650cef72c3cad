//! The messages, as plain data, and their encoding (postcard).

use abi::Errno;
use serde::{Deserialize, Serialize};

use crate::attr::{Attr, Time};

/// A file or directory that the gofer knows: slot in its table and generation. An id is never used twice.
///
/// The gofer may have to find the file again by its name; when another one stands there by now the call fails with ESTALE,
/// and the client looks the name up anew.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct NodeId(pub u64);

/// A place in a directory; only what [`Reply::Listed`] gave is valid.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Cursor(pub u64);

/// A file that was found: its node, which the client owns until it forgets it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Found {
    /// For further calls.
    pub node: NodeId,
    /// Its attributes at that moment.
    pub attr: Attr,
    /// The target, of a symbolic link only.
    #[serde(with = "serde_bytes")]
    pub symlink: Option<Vec<u8>>,
}

/// One entry of a directory.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Entry {
    /// Its name.
    #[serde(with = "serde_bytes")]
    pub name: Vec<u8>,
    /// What it names.
    pub found: Found,
}

/// How far a walk came.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Walked {
    /// What each component named, in order. Ends early at a symbolic link, which then is the last one.
    pub found: Vec<Found>,
    /// Why the next component could not be found: [`Errno::ENOENT`], [`Errno::ENOTDIR`], …
    #[serde(with = "errno_option")]
    pub stopped: Option<Errno>,
}

/// What is true of a whole attach point.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AttachInfo {
    /// Every mutation and every open for writing fails with EROFS.
    pub readonly: bool,
    /// The device of its root.
    pub dev: crate::Device,
}

/// Rights of a descriptor.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Access {
    /// `O_RDONLY`
    Read,
    /// `O_WRONLY`
    Write,
    /// `O_RDWR`
    ReadWrite,
}

impl Access {
    /// Whether it includes the right to write.
    pub const fn writes(self) -> bool {
        !matches!(self, Access::Read)
    }
}

/// Which kinds of file a call may open. Device nodes are in none.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Kinds {
    /// Regular files.
    Plain,
    /// FIFOs of the host as well (opened `O_NONBLOCK`).
    PlainOrFifo,
}

/// To whom a new file belongs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Owner {
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

/// What a time stamp is set to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum SetTime {
    /// The host's present time.
    Now,
    /// This moment.
    At(Time),
}

/// Attributes to change; `None` leaves one alone. Applied in the order of the fields.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct SetAttr {
    /// New size, of a regular file.
    pub size: Option<u64>,
    /// New owner.
    pub uid: Option<u32>,
    /// New group.
    pub gid: Option<u32>,
    /// New permission bits (0..=0o7777).
    pub mode: Option<u32>,
    /// New access time.
    pub atime: Option<SetTime>,
    /// New modification time.
    pub mtime: Option<SetTime>,
}

/// What `MakeNode` can make.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum NewNode {
    /// A FIFO.
    Fifo,
    /// A socket's name, with no socket behind it: the sentry keeps that.
    Socket,
    /// An overlay whiteout: a character device 0/0, which nobody can open.
    Whiteout,
}

/// What a sync covers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum SyncKind {
    /// Contents and attributes.
    All,
    /// Contents, and what is needed to find them.
    Data,
}

/// `struct statfs`, what of it crosses.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Statfs {
    /// `f_type`
    pub fs_type: i64,
    /// `f_bsize`
    pub block_size: i64,
    /// `f_frsize`
    pub fragment_size: i64,
    /// `f_blocks`
    pub blocks: u64,
    /// `f_bfree`
    pub blocks_free: u64,
    /// `f_bavail`
    pub blocks_available: u64,
    /// `f_files`
    pub files: u64,
    /// `f_ffree`
    pub files_free: u64,
    /// `f_namelen`
    pub name_len: i64,
    /// `f_flags`
    pub flags: i64,
}

/// A call. Names are one component, checked by the gofer.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "fields are explained at the client's methods")]
pub enum Request<'a> {
    Attach { index: u32 },
    Lookup { dir: NodeId, name: &'a [u8] },
    Walk { dir: NodeId, path: &'a [u8] },
    List { dir: NodeId, cursor: Cursor },
    Open { node: NodeId, access: Access, kinds: Kinds },
    GetAttr { node: NodeId },
    SetAttr { node: NodeId, set: SetAttr },
    ReadLink { node: NodeId },
    Create { dir: NodeId, name: &'a [u8], mode: u32, owner: Option<Owner>, access: Access },
    MakeDir { dir: NodeId, name: &'a [u8], mode: u32, owner: Option<Owner> },
    MakeNode { dir: NodeId, name: &'a [u8], kind: NewNode, mode: u32, owner: Option<Owner> },
    Symlink { dir: NodeId, name: &'a [u8], target: &'a [u8], owner: Option<Owner> },
    Link { node: NodeId, dir: NodeId, name: &'a [u8] },
    Unlink { dir: NodeId, name: &'a [u8], node: Option<NodeId> },
    RemoveDir { dir: NodeId, name: &'a [u8] },
    Rename { from: NodeId, from_name: &'a [u8], to: NodeId, to_name: &'a [u8], flags: u32, node: Option<NodeId> },
    Statfs { node: NodeId },
    GetXattr { node: NodeId, name: &'a [u8], size: u32 },
    ListXattr { node: NodeId, size: u32 },
    SetXattr { node: NodeId, name: &'a [u8], value: &'a [u8], flags: u32 },
    RemoveXattr { node: NodeId, name: &'a [u8] },
    Sync { node: NodeId, kind: SyncKind },
    Forget { nodes: Vec<NodeId> },
}

impl Request<'_> {
    /// Whether its encoding fits in a kilobyte for sure, so that no large buffer is needed.
    pub(crate) fn is_small(&self) -> bool {
        match self {
            Request::Walk { path, .. } => path.len() <= 512,
            Request::Symlink { target, name, .. } => target.len() + name.len() <= 512,
            Request::SetXattr { name, value, .. } => name.len() + value.len() <= 512,
            Request::Rename { from_name, to_name, .. } => from_name.len() + to_name.len() <= 512,
            Request::Forget { nodes } => nodes.len() <= 64,
            Request::Lookup { name, .. }
            | Request::Create { name, .. }
            | Request::MakeDir { name, .. }
            | Request::MakeNode { name, .. }
            | Request::Link { name, .. }
            | Request::Unlink { name, .. }
            | Request::RemoveDir { name, .. }
            | Request::GetXattr { name, .. }
            | Request::RemoveXattr { name, .. } => name.len() <= 512,
            _ => true,
        }
    }
}

/// An answer; a failure is the errno instead.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "fields are explained at the client's methods")]
pub enum Reply {
    Done,
    Failed(u16),
    Attached {
        root: Found,
        info: AttachInfo,
    },
    /// `None`: there is no such name. A normal answer, to be cached like any other.
    Lookup(Option<Found>),
    Walked(Walked),
    /// With the place to go on from, unless that was all.
    Listed {
        entries: Vec<Entry>,
        next: Option<Cursor>,
    },
    /// A descriptor comes with it.
    Opened(Attr),
    /// A descriptor comes with it.
    Created(Found),
    Made(Found),
    Attr(Attr),
    Bytes(#[serde(with = "serde_bytes")] Vec<u8>),
    Statfs(Statfs),
}

/// Encodes into `buffer`; the part of it that was written.
///
/// # Errors
/// EMSGSIZE when it does not fit.
pub fn encode<'b, T: Serialize>(message: &T, buffer: &'b mut [u8]) -> Result<&'b [u8], Errno> {
    postcard::to_slice(message, buffer).map(|written| &*written).map_err(|_| Errno::EMSGSIZE)
}

/// Decodes a whole message.
///
/// # Errors
/// EPROTO when the bytes are no such message, or more follow.
pub fn decode<'b, T: Deserialize<'b>>(bytes: &'b [u8]) -> Result<T, Errno> {
    match postcard::take_from_bytes(bytes) {
        Ok((message, [])) => Ok(message),
        _ => Err(Errno::EPROTO),
    }
}

mod errno_option {
    use abi::Errno;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<S: Serializer>(errno: &Option<Errno>, to: S) -> Result<S::Ok, S::Error> {
        errno.map_or(0, |e| e.0).serialize(to)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Errno>, D::Error> {
        let number = u16::deserialize(from)?;
        Ok((number != 0).then_some(Errno(number)))
    }
}
