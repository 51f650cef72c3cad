//! Sockets. An address family implements [`Socket`]; the file behind a descriptor is a [`SocketFile`].
//!
//! Locks: a socket's own state, then its receive queue. Two sockets' states are never held together.

pub mod address;
pub mod message;
pub mod options;
pub mod unix;

use std::sync::Arc;

use address::Address;
use message::{Flags, Received, ToSend};

use crate::kernel::wait_queue::{Readiness, WaitQueue};
use crate::task::Current;
use crate::vfs::{File, FileDescription, FileType, IoPosition, Metadata, OpenFlags, Timestamps, anonymous};
use crate::{Errno, SysResult};

/// `st_dev` of sockets.
const SOCKET_DEV: u64 = 8;

/// `AF_UNIX`
pub const AF_UNIX: u16 = 1;

/// The type of a socket (`SOCK_*`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// `SOCK_STREAM`
    Stream,
    /// `SOCK_DGRAM`
    Datagram,
    /// `SOCK_SEQPACKET`
    SeqPacket,
}

impl Kind {
    /// By number; `None` for one that no family here has.
    pub fn new(number: u32) -> Option<Kind> {
        match number {
            1 => Some(Kind::Stream),
            2 => Some(Kind::Datagram),
            5 => Some(Kind::SeqPacket),
            _ => None,
        }
    }
    /// `SO_TYPE`
    pub const fn number(self) -> u32 {
        match self {
            Kind::Stream => 1,
            Kind::Datagram => 2,
            Kind::SeqPacket => 5,
        }
    }
    /// Whether it has to be connected to carry data.
    pub const fn is_connected_kind(self) -> bool {
        !matches!(self, Kind::Datagram)
    }
}

/// Which direction of a connection ends (`shutdown`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Directions {
    /// `SHUT_RD`
    pub read: bool,
    /// `SHUT_WR`
    pub write: bool,
}

/// What an address family implements. Nothing here sleeps: what would block is EAGAIN, and [`Socket::queue`] is woken.
pub trait Socket: Send + Sync {
    /// `SO_DOMAIN`
    fn family(&self) -> u16;
    /// `SO_TYPE`
    fn kind(&self) -> Kind;
    /// What it is ready for.
    fn readiness(&self) -> Readiness;
    /// Woken when readiness may have changed.
    fn queue(&self) -> &WaitQueue;
    /// `bind`
    ///
    /// # Errors
    /// EADDRINUSE, EINVAL, EACCES …
    fn bind(&self, current: &Current, address: &Address) -> Result<(), Errno>;
    /// `listen`
    ///
    /// # Errors
    /// EINVAL, EOPNOTSUPP.
    fn listen(&self, current: &Current, backlog: i32) -> Result<(), Errno>;
    /// `accept`: a connected socket.
    ///
    /// # Errors
    /// EAGAIN, EINVAL, EOPNOTSUPP.
    fn accept(&self) -> Result<Arc<dyn Socket>, Errno>;
    /// `connect`
    ///
    /// # Errors
    /// ECONNREFUSED, EISCONN, EAGAIN when the listener's backlog is full …
    fn connect(&self, current: &Current, address: &Address) -> Result<(), Errno>;
    /// Woken when a `connect` that answered EAGAIN is worth another try.
    fn connect_queue(&self, current: &Current, address: &Address) -> Option<WaitQueue>;
    /// `shutdown`
    ///
    /// # Errors
    /// ENOTCONN
    fn shutdown(&self, directions: Directions) -> Result<(), Errno>;
    /// Sends what fits; the number of bytes.
    ///
    /// # Errors
    /// EAGAIN, EPIPE, ENOTCONN, EMSGSIZE, ECONNREFUSED …
    fn send(&self, current: &Current, message: &mut ToSend<'_>) -> Result<usize, Errno>;
    /// Woken when a `send` to `to` that answered EAGAIN is worth another try (a datagram's receiver has its own queue).
    fn send_queue(&self, current: &Current, to: Option<&Address>) -> WaitQueue;
    /// Receives into `buf`.
    ///
    /// # Errors
    /// EAGAIN, ENOTCONN, ECONNRESET, EINVAL.
    fn receive(&self, current: &Current, buf: &mut [u8], flags: Flags) -> Result<Received, Errno>;
    /// `getsockname`
    fn local_address(&self) -> Address;
    /// `getpeername`
    ///
    /// # Errors
    /// ENOTCONN
    fn peer_address(&self) -> Result<Address, Errno>;
    /// Bytes that can be read now (`FIONREAD`).
    fn readable_bytes(&self) -> usize;
    /// Bytes that the peer has not read yet (`TIOCOUTQ`).
    fn unread_by_peer(&self) -> usize;
    /// Options that all families share.
    fn options(&self) -> &options::Common;
    /// `SO_PEERCRED`: pid, uid, gid of the peer at the time of the connection.
    fn peer_credentials(&self) -> Option<message::Credentials> {
        None
    }
    /// `SO_ACCEPTCONN`
    fn is_listening(&self) -> bool;
}

/// The file behind a socket's descriptor.
pub struct SocketFile {
    /// The socket.
    pub socket: Arc<dyn Socket>,
    ino: u64,
    owner: (u32, u32),
    times: Timestamps,
}

impl SocketFile {
    /// A description for `socket`; `flags` may hold `O_NONBLOCK`.
    pub fn open(current: &Current, socket: Arc<dyn Socket>, flags: OpenFlags) -> Arc<FileDescription> {
        let credentials = current.task.credentials();
        let file = SocketFile {
            socket,
            ino: anonymous::next_ino(),
            owner: (credentials.fsuid, credentials.fsgid),
            times: anonymous::times_now(),
        };
        FileDescription::new(Arc::new(file), None, (flags & OpenFlags::NONBLOCK) | OpenFlags::RDWR)
    }
}

impl Current {
    /// The socket behind a descriptor, with its description.
    ///
    /// # Errors
    /// EBADF, ENOTSOCK.
    pub fn socket(&self, fd: i32) -> Result<(Arc<FileDescription>, Arc<dyn Socket>), Errno> {
        let description = self.fd(fd)?;
        let socket = description.downcast::<SocketFile>().ok_or(Errno::ENOTSOCK)?.socket.clone();
        Ok((description, socket))
    }
}

impl File for SocketFile {
    fn read(&self, _at: IoPosition, buf: &mut [u8], current: &Current) -> Result<usize, Errno> {
        self.socket.receive(current, buf, Flags::empty()).map(|received| received.len)
    }

    fn write(&self, _at: IoPosition, data: &[u8], current: &Current) -> Result<usize, Errno> {
        self.socket.send(current, &mut ToSend::plain(data))
    }

    fn time_limit(&self, interest: Readiness) -> Option<u64> {
        let options = self.socket.options();
        if interest.contains(Readiness::OUT) { options.send_timeout() } else { options.receive_timeout() }
    }

    fn writes_fully(&self) -> bool {
        self.socket.kind() == Kind::Stream
    }

    fn readiness(&self) -> Readiness {
        self.socket.readiness()
    }

    fn wait_queue(&self) -> Option<WaitQueue> {
        Some(self.socket.queue().clone())
    }

    fn ioctl(&self, current: &mut Current, command: u32, argument: u64) -> SysResult {
        const FIONREAD: u32 = 0x541b;
        const TIOCOUTQ: u32 = 0x5411;
        let value = match command {
            FIONREAD if self.socket.is_listening() => return Err(Errno::EINVAL),
            FIONREAD => self.socket.readable_bytes(),
            TIOCOUTQ => self.socket.unread_by_peer(),
            _ => return Err(Errno::ENOTTY),
        };
        current.return_object(argument, &i32::try_from(value).unwrap_or(i32::MAX))?;
        Ok(0)
    }

    fn metadata(&self) -> Result<Metadata, Errno> {
        Ok(Metadata {
            dev: SOCKET_DEV,
            ino: self.ino,
            file_type: FileType::Socket,
            permissions: 0o777,
            nlink: 1,
            uid: self.owner.0,
            gid: self.owner.1,
            rdev: 0,
            size: 0,
            block_size: 4096,
            blocks: 0,
            times: self.times,
        })
    }

    fn description(&self) -> String {
        format!("socket:[{}]", self.ino)
    }
}
