//! What has arrived at a Unix socket and was not received yet.

use std::collections::VecDeque;

use crate::Errno;
use crate::socket::address::Address;
use crate::socket::message::{Credentials, Flags, Received, Rights};

/// Most datagrams that wait at a socket (`net.unix.max_dgram_qlen` is 10, and one more while it is not exceeded).
const MAX_DATAGRAMS: usize = 11;

/// A message that waits.
pub struct Message {
    pub data: Vec<u8>,
    /// Bytes that a stream's reader has taken already.
    pub taken: usize,
    pub from: Address,
    pub rights: Rights,
    pub credentials: Credentials,
}

/// The receive queue of a socket.
#[derive(Default)]
pub struct Inbox {
    messages: VecDeque<Message>,
    bytes: usize,
    /// Nobody will send any more: end of file once it is empty.
    pub ended: bool,
    /// The owner does not read any more: senders get EPIPE.
    pub closed: bool,
    /// The peer went away with data of ours unread: the next receive is ECONNRESET, once.
    pub reset: bool,
}

impl Inbox {
    /// Bytes that wait.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Bytes of the first message: what `FIONREAD` gives for datagrams.
    pub fn first_len(&self) -> usize {
        self.messages.front().map_or(0, |message| message.data.len() - message.taken)
    }

    /// Whether a receive would not block.
    pub fn is_readable(&self) -> bool {
        !self.messages.is_empty() || self.ended || self.closed || self.reset
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Bytes of a stream that may be added.
    pub fn room(&self, limit: usize) -> usize {
        limit.saturating_sub(self.bytes)
    }

    /// Whether another datagram of `len` bytes may wait.
    pub fn takes_datagram(&self, len: usize, limit: usize) -> bool {
        self.messages.len() < MAX_DATAGRAMS && (self.messages.is_empty() || self.bytes + len <= limit)
    }

    /// Adds a message.
    pub fn push(&mut self, message: Message) {
        self.bytes += message.data.len();
        self.messages.push_back(message);
    }

    /// Takes one datagram, or looks at it.
    pub fn take_datagram(&mut self, buf: &mut [u8], flags: Flags) -> Result<Received, Errno> {
        if std::mem::take(&mut self.reset) {
            return Err(Errno::ECONNRESET);
        }
        let Some(front) = self.messages.front() else { return self.nothing() };
        let full_len = front.data.len();
        let len = full_len.min(buf.len());
        buf[..len].copy_from_slice(&front.data[..len]);
        let mut received = Received {
            len,
            full_len,
            flags: if len < full_len { Flags::TRUNC } else { Flags::empty() },
            from: Some(front.from.clone()),
            rights: front.rights.clone(),
            credentials: Some(front.credentials),
        };
        if !flags.contains(Flags::PEEK)
            && let Some(message) = self.messages.pop_front()
        {
            self.bytes -= message.data.len();
            received.rights = message.rights;
        }
        Ok(received)
    }

    /// Takes bytes of a stream, or looks at them. Descriptors are a barrier: a receive ends after a message that brings some;
    /// and before one from another sender when `by_sender`.
    pub fn take_stream(&mut self, buf: &mut [u8], flags: Flags, by_sender: bool) -> Result<Received, Errno> {
        if buf.is_empty() {
            return Ok(Received::default());
        }
        let Some(first) = self.messages.front() else {
            return if std::mem::take(&mut self.reset) { Err(Errno::ECONNRESET) } else { self.nothing() };
        };
        let mut received =
            Received { from: Some(first.from.clone()), credentials: Some(first.credentials), ..Received::default() };
        let peek = flags.contains(Flags::PEEK);
        let mut at = 0;
        while received.len < buf.len() {
            let Some(message) = self.messages.get_mut(at) else { break };
            let is_first = received.len == 0;
            if !is_first && by_sender && Some(message.credentials) != received.credentials {
                break;
            }
            let left = &message.data[message.taken..];
            let step = left.len().min(buf.len() - received.len);
            buf[received.len..received.len + step].copy_from_slice(&left[..step]);
            received.len += step;
            let brought_rights = !message.rights.is_empty();
            if peek {
                received.rights.extend(message.rights.iter().cloned());
                at += 1;
            } else {
                received.rights.append(&mut message.rights);
                message.taken += step;
                self.bytes -= step;
                if message.taken == message.data.len() {
                    self.messages.pop_front();
                }
            }
            if brought_rights {
                break;
            }
        }
        received.full_len = received.len;
        Ok(received)
    }

    fn nothing(&self) -> Result<Received, Errno> {
        if self.ended || self.closed { Ok(Received::default()) } else { Err(Errno::EAGAIN) }
    }

    /// Drops everything that waits; the caller lets the messages go outside of locks.
    pub fn drain(&mut self) -> VecDeque<Message> {
        self.bytes = 0;
        std::mem::take(&mut self.messages)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::socket::address::UnixAddress;

    fn message(data: &[u8]) -> Message {
        Message {
            data: data.to_vec(),
            taken: 0,
            from: Address::Unix(UnixAddress::Unnamed),
            rights: Vec::new(),
            credentials: Credentials { pid: 1, uid: 0, gid: 0 },
        }
    }

    #[test]
    fn a_stream_joins_messages_and_splits_them() {
        let mut inbox = Inbox::default();
        inbox.push(message(b"abc"));
        inbox.push(message(b"def"));
        let mut buf = [0; 4];
        assert_eq!(inbox.take_stream(&mut buf, Flags::PEEK, false).unwrap().len, 4);
        assert_eq!(inbox.take_stream(&mut buf, Flags::empty(), false).unwrap().len, 4);
        assert_eq!(&buf, b"abcd");
        assert_eq!(inbox.bytes(), 2);
        assert_eq!(inbox.take_stream(&mut buf, Flags::empty(), false).unwrap().len, 2);
        assert_eq!(inbox.take_stream(&mut buf, Flags::empty(), false).err(), Some(Errno::EAGAIN));
        inbox.ended = true;
        assert_eq!(inbox.take_stream(&mut buf, Flags::empty(), false).unwrap().len, 0);
    }

    #[test]
    fn a_datagram_that_does_not_fit_is_cut() {
        let mut inbox = Inbox::default();
        inbox.push(message(b"abcdef"));
        inbox.push(message(b"x"));
        let mut buf = [0; 4];
        let received = inbox.take_datagram(&mut buf, Flags::empty()).unwrap();
        assert_eq!((received.len, received.full_len, received.flags), (4, 6, Flags::TRUNC));
        assert_eq!(inbox.take_datagram(&mut buf, Flags::empty()).unwrap().len, 1);
    }
}
