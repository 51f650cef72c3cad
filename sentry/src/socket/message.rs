//! What travels: bytes, descriptors, credentials.

use std::sync::Arc;

use crate::task::Current;
use crate::vfs::FileDescription;

use super::address::Address;

bitflags::bitflags! {
    /// `MSG_*`
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
    #[allow(missing_docs, reason = "the names are the manual's")]
    pub struct Flags: u32 {
        const OOB = 0x1;
        const PEEK = 0x2;
        const DONTROUTE = 0x4;
        const CTRUNC = 0x8;
        const TRUNC = 0x20;
        const DONTWAIT = 0x40;
        const EOR = 0x80;
        const WAITALL = 0x100;
        const CONFIRM = 0x800;
        const ERRQUEUE = 0x2000;
        const NOSIGNAL = 0x4000;
        const MORE = 0x8000;
        const WAITFORONE = 0x10000;
        const CMSG_CLOEXEC = 0x4000_0000;
    }
}

/// `struct ucred`
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Credentials {
    /// Process.
    pub pid: i32,
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

impl Credentials {
    /// Those of the calling task.
    pub fn of(current: &Current) -> Credentials {
        let credentials = current.task.credentials();
        Credentials { pid: current.task.group.pid, uid: credentials.euid, gid: credentials.egid }
    }
}

/// Descriptors in transit.
pub type Rights = Vec<Arc<FileDescription>>;

/// A message on its way in.
pub struct ToSend<'a> {
    /// The bytes.
    pub data: &'a [u8],
    /// Where to, for unconnected sockets.
    pub to: Option<&'a Address>,
    /// Descriptors; taken by the send that succeeds.
    pub rights: Rights,
    /// Given by `SCM_CREDENTIALS`; `None` for those of the sender.
    pub credentials: Option<Credentials>,
    /// `MSG_*`
    pub flags: Flags,
}

impl<'a> ToSend<'a> {
    /// Only bytes, to the peer.
    pub fn plain(data: &'a [u8]) -> ToSend<'a> {
        ToSend { data, to: None, rights: Vec::new(), credentials: None, flags: Flags::empty() }
    }
}

/// A message that came out.
#[derive(Default)]
pub struct Received {
    /// Bytes in the buffer.
    pub len: usize,
    /// Bytes of the whole datagram.
    pub full_len: usize,
    /// `MSG_TRUNC`, `MSG_EOR`.
    pub flags: Flags,
    /// Who sent it.
    pub from: Option<Address>,
    /// Descriptors.
    pub rights: Rights,
    /// The sender's credentials.
    pub credentials: Option<Credentials>,
}
