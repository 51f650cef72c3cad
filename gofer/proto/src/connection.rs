//! The two ends of a connection, and packets on its socket.
//!
//! A packet begins with the tag of its call (8 bytes, little endian). From the client: tag and request, or one byte, the
//! *doorbell*, which only wakes the server. From the server: tag and answer, or the tag alone with a descriptor that
//! belongs to an answer in the shared memory.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use abi::Errno;
use host::channel_memory::ChannelMemory;
use host::unix::{self, Blocking};

pub use host::unix::Readiness;

use crate::channel::{MAX_MESSAGE, MEMORY_LEN};

const TAG_LEN: usize = 8;

/// One end of a connection: what is handed to a process, and [`crate::Client::new`] or the server then owns.
#[derive(Debug)]
pub struct Connection {
    /// The packet socket.
    pub socket: OwnedFd,
    /// The shared memory; without it everything goes by the socket.
    pub memory: Option<OwnedFd>,
}

/// A packet that came.
#[derive(Debug)]
pub enum Packet<'b> {
    /// Somebody only wanted to wake us.
    Doorbell,
    /// Tag, bytes, and the descriptor if there was one.
    Message(u64, &'b [u8], Option<OwnedFd>),
    /// The other side is gone.
    Closed,
}

impl Connection {
    /// Makes both ends: (client, server).
    ///
    /// # Errors
    /// EMFILE, ENFILE, ENOMEM.
    pub fn pair() -> Result<(Connection, Connection), Errno> {
        let (client, server) = unix::packet_pair()?;
        let memory = ChannelMemory::create(c"gofer", MEMORY_LEN)?;
        let for_server = memory.try_clone().map_err(|_| Errno::EMFILE)?;
        Ok((
            Connection { socket: client, memory: Some(memory) },
            Connection { socket: server, memory: Some(for_server) },
        ))
    }

    /// Both ends without shared memory.
    ///
    /// # Errors
    /// EMFILE, ENFILE.
    pub fn socket_pair() -> Result<(Connection, Connection), Errno> {
        let (client, server) = unix::packet_pair()?;
        Ok((Connection { socket: client, memory: None }, Connection { socket: server, memory: None }))
    }

    /// Sends a message with its tag. Never raises SIGPIPE.
    ///
    /// # Errors
    /// EPIPE, EAGAIN, EMSGSIZE beyond [`MAX_MESSAGE`].
    pub fn send(&self, tag: u64, bytes: &[u8], fd: Option<BorrowedFd<'_>>, blocking: Blocking) -> Result<(), Errno> {
        if bytes.len() > MAX_MESSAGE {
            return Err(Errno::EMSGSIZE);
        }
        let mut packet = Vec::with_capacity(TAG_LEN + bytes.len());
        packet.extend_from_slice(&tag.to_le_bytes());
        packet.extend_from_slice(bytes);
        unix::send(self.socket.as_fd(), &packet, fd.as_slice(), blocking).map(drop)
    }

    /// Wakes the server. That its queue is full will do as well.
    pub fn ring(&self) {
        let _ = unix::send(self.socket.as_fd(), &[0], &[], Blocking::No);
    }

    /// Receives a packet into `buffer`, which must hold [`Connection::BUFFER`] bytes.
    ///
    /// # Errors
    /// EAGAIN; EPROTO for a packet that breaks the rules (it is lost).
    pub fn receive<'b>(&self, buffer: &'b mut [u8], blocking: Blocking) -> Result<Packet<'b>, Errno> {
        let got = match unix::receive(self.socket.as_fd(), buffer, blocking) {
            Err(Errno::ECONNRESET) => return Ok(Packet::Closed),
            Err(Errno::EMSGSIZE) => return Err(Errno::EPROTO),
            other => other?,
        };
        let mut fds = got.fds.into_iter();
        let (fd, more) = (fds.next(), fds.next());
        let bytes = buffer.get(..got.len).ok_or(Errno::EPROTO)?;
        match (bytes.split_first_chunk::<TAG_LEN>(), more) {
            (Some((tag, rest)), None) => Ok(Packet::Message(u64::from_le_bytes(*tag), rest, fd)),
            (None, None) if got.len == 0 && fd.is_none() => Ok(Packet::Closed),
            (None, None) if got.len == 1 && fd.is_none() => Ok(Packet::Doorbell),
            _ => Err(Errno::EPROTO),
        }
    }

    /// Room for the longest packet.
    pub const BUFFER: usize = MAX_MESSAGE + TAG_LEN;

    /// Waits for a packet, for ever where `timeout` is `None`.
    pub fn wait(&self, timeout: Option<Duration>) -> Readiness {
        unix::wait_readable(self.socket.as_fd(), timeout)
    }

    /// Whether the other side is gone.
    pub fn is_hung_up(&self) -> bool {
        unix::is_hung_up(self.socket.as_fd())
    }
}
