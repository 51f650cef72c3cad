//! Unix sockets (`man 7 unix`): bytes and descriptors move from one socket's hands into the other's inbox.

mod inbox;
mod names;

use std::collections::VecDeque;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use inbox::{Inbox, Message};
use names::Key;
pub use names::Names;

use super::address::{Address, UnixAddress};
use super::message::{Credentials, Flags, Received, ToSend};
use super::{AF_UNIX, Directions, Kind, Socket, options};
use crate::Errno;
use crate::kernel::Kernel;
use crate::kernel::wait_queue::{Readiness, WaitQueue};
use crate::task::Current;

/// `net.core.somaxconn`
const MAX_BACKLOG: usize = 4096;
/// Most descriptors in one message (`SCM_MAX_FD`).
pub const MAX_RIGHTS: usize = 253;

/// A Unix socket.
pub struct UnixSocket {
    kind: Kind,
    kernel: Arc<Kernel>,
    me: Weak<UnixSocket>,
    state: Mutex<State>,
    inbox: Mutex<Inbox>,
    queue: WaitQueue,
    options: options::Common,
}

struct State {
    local: UnixAddress,
    key: Option<Key>,
    phase: Phase,
    write_shut: bool,
    peer_credentials: Option<Credentials>,
}

enum Phase {
    Fresh,
    Listening {
        backlog: usize,
        pending: VecDeque<Arc<UnixSocket>>,
    },
    Connected {
        /// Gone when the peer was closed.
        peer: Weak<UnixSocket>,
        address: UnixAddress,
    },
}

impl UnixSocket {
    /// An unbound, unconnected socket.
    pub fn new(kernel: &Arc<Kernel>, kind: Kind) -> Arc<UnixSocket> {
        Arc::new_cyclic(|me| UnixSocket {
            kind,
            kernel: kernel.clone(),
            me: me.clone(),
            state: Mutex::new(State {
                local: UnixAddress::Unnamed,
                key: None,
                phase: Phase::Fresh,
                write_shut: false,
                peer_credentials: None,
            }),
            inbox: Mutex::default(),
            queue: WaitQueue::new(),
            options: options::Common::default(),
        })
    }

    /// Two sockets that are connected to each other.
    pub fn pair(current: &Current, kind: Kind) -> (Arc<UnixSocket>, Arc<UnixSocket>) {
        let (a, b) = (UnixSocket::new(&current.kernel, kind), UnixSocket::new(&current.kernel, kind));
        let credentials = Credentials::of(current);
        a.join(&b, UnixAddress::Unnamed, credentials);
        b.join(&a, UnixAddress::Unnamed, credentials);
        (a, b)
    }

    fn join(&self, peer: &Arc<UnixSocket>, address: UnixAddress, credentials: Credentials) {
        let mut state = self.state.lock();
        state.phase = Phase::Connected { peer: Arc::downgrade(peer), address };
        state.peer_credentials = Some(credentials);
    }

    fn peer(&self) -> Result<Arc<UnixSocket>, Errno> {
        match &self.state.lock().phase {
            Phase::Connected { peer, .. } => peer.upgrade().ok_or(Errno::EPIPE),
            _ => Err(Errno::ENOTCONN),
        }
    }

    fn is_connected(&self) -> bool {
        matches!(self.state.lock().phase, Phase::Connected { .. })
    }

    /// Whether the other end of an established connection was closed.
    fn peer_is_gone(&self) -> bool {
        matches!(&self.state.lock().phase, Phase::Connected { peer, .. } if peer.strong_count() == 0)
    }

    fn connect_stream(&self, current: &Current, address: &UnixAddress) -> Result<(), Errno> {
        match self.state.lock().phase {
            Phase::Fresh => {}
            Phase::Connected { .. } => return Err(Errno::EISCONN),
            Phase::Listening { .. } => return Err(Errno::EINVAL),
        }
        let listener = current.kernel.unix_names.find(current, address)?;
        if listener.kind != self.kind {
            return Err(Errno::EPROTOTYPE);
        }
        let me = self.me.upgrade().ok_or(Errno::EINVAL)?;
        let accepted = UnixSocket::new(&self.kernel, self.kind);
        let (listener_address, listener_credentials) = {
            let mut state = listener.state.lock();
            let (local, credentials) = (state.local.clone(), state.peer_credentials);
            match &mut state.phase {
                Phase::Listening { backlog, pending } if pending.len() <= *backlog => {
                    pending.push_back(accepted.clone())
                }
                Phase::Listening { .. } => return Err(Errno::EAGAIN),
                _ => return Err(Errno::ECONNREFUSED),
            }
            (local, credentials)
        };
        accepted.state.lock().local = listener_address.clone();
        let own_address = self.state.lock().local.clone();
        accepted.join(&me, own_address, Credentials::of(current));
        self.join(&accepted, listener_address, listener_credentials.unwrap_or(Credentials::of(current)));
        listener.queue.wake(Readiness::READABLE);
        Ok(())
    }

    fn connect_datagram(&self, current: &Current, address: &Address) -> Result<(), Errno> {
        let phase = match address {
            Address::Unspecified => Phase::Fresh,
            Address::Unix(address) => {
                let peer = current.kernel.unix_names.find(current, address)?;
                if peer.kind != self.kind {
                    return Err(Errno::EPROTOTYPE);
                }
                Phase::Connected { peer: Arc::downgrade(&peer), address: address.clone() }
            }
            Address::Other(_) => return Err(Errno::EINVAL),
        };
        self.state.lock().phase = phase;
        Ok(())
    }

    fn message(&self, current: &Current, message: &mut ToSend<'_>, len: usize) -> Message {
        Message {
            data: message.data[..len].to_vec(),
            taken: 0,
            from: Address::Unix(self.state.lock().local.clone()),
            rights: std::mem::take(&mut message.rights),
            credentials: message.credentials.unwrap_or_else(|| Credentials::of(current)),
        }
    }

    fn send_connected(&self, current: &Current, message: &mut ToSend<'_>) -> Result<usize, Errno> {
        if message.to.is_some() && self.kind == Kind::Stream {
            return Err(if self.is_connected() { Errno::EISCONN } else { Errno::EOPNOTSUPP });
        }
        if self.state.lock().write_shut {
            return Err(Errno::EPIPE);
        }
        let peer = self.peer()?;
        let limit = self.options.send_buffer();
        let len = {
            let mut inbox = peer.inbox.lock();
            if inbox.closed {
                return Err(Errno::EPIPE);
            }
            let len = match self.kind {
                Kind::Stream if message.data.is_empty() => return Ok(0),
                Kind::Stream => message.data.len().min(inbox.room(limit)),
                _ if message.data.len() > limit => return Err(Errno::EMSGSIZE),
                _ if inbox.bytes() > 0 && inbox.room(limit) < message.data.len() => 0,
                _ => message.data.len(),
            };
            if len == 0 && !message.data.is_empty() {
                return Err(Errno::EAGAIN);
            }
            inbox.push(self.message(current, message, len));
            len
        };
        peer.queue.wake(Readiness::READABLE);
        Ok(len)
    }

    fn send_datagram(&self, current: &Current, message: &mut ToSend<'_>) -> Result<usize, Errno> {
        if self.state.lock().write_shut {
            return Err(Errno::EPIPE);
        }
        let target = self.datagram_target(current, message.to)?;
        let limit = self.options.send_buffer();
        if message.data.len() > limit {
            return Err(Errno::EMSGSIZE);
        }
        {
            let mut inbox = target.inbox.lock();
            if inbox.closed {
                return Err(Errno::EPIPE);
            }
            if !inbox.takes_datagram(message.data.len(), limit) {
                return Err(Errno::EAGAIN);
            }
            inbox.push(self.message(current, message, message.data.len()));
        }
        target.queue.wake(Readiness::READABLE);
        Ok(message.data.len())
    }

    fn datagram_target(&self, current: &Current, to: Option<&Address>) -> Result<Arc<UnixSocket>, Errno> {
        match to {
            None => self.peer().map_err(|errno| if errno == Errno::EPIPE { Errno::ECONNREFUSED } else { errno }),
            Some(Address::Unix(address)) => {
                let target = current.kernel.unix_names.find(current, address)?;
                if target.kind != Kind::Datagram { Err(Errno::EPROTOTYPE) } else { Ok(target) }
            }
            Some(_) => Err(Errno::EINVAL),
        }
    }
}

impl Socket for UnixSocket {
    fn family(&self) -> u16 {
        AF_UNIX
    }

    fn kind(&self) -> Kind {
        self.kind
    }

    fn readiness(&self) -> Readiness {
        let (peer, write_shut) = {
            let state = self.state.lock();
            let peer = match &state.phase {
                Phase::Listening { pending, .. } => {
                    return if pending.is_empty() { Readiness::empty() } else { Readiness::READABLE };
                }
                Phase::Fresh if self.kind.is_connected_kind() => {
                    return Readiness::WRITABLE | Readiness::WRBAND | Readiness::HUP;
                }
                Phase::Fresh => None,
                Phase::Connected { peer, .. } => Some(peer.upgrade()),
            };
            (peer, state.write_shut)
        };
        let mut ready = Readiness::empty();
        {
            let inbox = self.inbox.lock();
            if inbox.is_readable() {
                ready |= Readiness::READABLE;
            }
            let read_ended = inbox.ended || inbox.closed;
            if read_ended {
                ready |= Readiness::RDHUP;
            }
            if self.kind.is_connected_kind() && (matches!(peer, Some(None)) || read_ended && write_shut) {
                ready |= Readiness::HUP | Readiness::READABLE | Readiness::RDHUP;
            }
            if inbox.reset {
                ready |= Readiness::ERR;
            }
        }
        let limit = self.options.send_buffer();
        let writable = match peer {
            Some(Some(peer)) => {
                let inbox = peer.inbox.lock();
                // As Linux: writable while no more than a quarter of the buffer is in transit.
                if self.kind == Kind::Datagram { inbox.takes_datagram(0, limit) } else { inbox.bytes() * 4 <= limit }
            }
            Some(None) | None => true,
        };
        if writable {
            ready |= Readiness::WRITABLE | Readiness::WRBAND;
        }
        ready
    }

    fn queue(&self) -> &WaitQueue {
        &self.queue
    }

    fn bind(&self, current: &Current, address: &Address) -> Result<(), Errno> {
        let Address::Unix(address) = address else { return Err(Errno::EINVAL) };
        if self.state.lock().key.is_some() {
            // As Linux: binding an already named socket automatically is no error.
            return match address {
                UnixAddress::Unnamed => Ok(()),
                // The file is made before the socket is looked at, so a name that is taken is seen first.
                UnixAddress::Path(_) => match current.kernel.unix_names.find(current, address) {
                    Err(Errno::ENOENT) => Err(Errno::EINVAL),
                    _ => Err(Errno::EADDRINUSE),
                },
                _ => Err(Errno::EINVAL),
            };
        }
        let (local, key) = current.kernel.unix_names.bind(current, &self.me, address)?;
        let mut state = self.state.lock();
        state.local = local;
        state.key = Some(key);
        Ok(())
    }

    fn listen(&self, current: &Current, backlog: i32) -> Result<(), Errno> {
        if !self.kind.is_connected_kind() {
            return Err(Errno::EOPNOTSUPP);
        }
        let limit = usize::try_from(backlog).unwrap_or(MAX_BACKLOG).min(MAX_BACKLOG);
        let mut state = self.state.lock();
        if state.key.is_none() {
            return Err(Errno::EINVAL);
        }
        match &mut state.phase {
            Phase::Listening { backlog, .. } => *backlog = limit,
            phase @ Phase::Fresh => *phase = Phase::Listening { backlog: limit, pending: VecDeque::new() },
            Phase::Connected { .. } => return Err(Errno::EINVAL),
        }
        state.peer_credentials = Some(Credentials::of(current));
        Ok(())
    }

    fn accept(&self) -> Result<Arc<dyn Socket>, Errno> {
        if !self.kind.is_connected_kind() {
            return Err(Errno::EOPNOTSUPP);
        }
        let accepted = match &mut self.state.lock().phase {
            Phase::Listening { pending, .. } => pending.pop_front().ok_or(Errno::EAGAIN)?,
            _ => return Err(Errno::EINVAL),
        };
        self.queue.wake(Readiness::WRITABLE);
        Ok(accepted)
    }

    fn connect(&self, current: &Current, address: &Address) -> Result<(), Errno> {
        match (self.kind, address) {
            (Kind::Datagram, address) => self.connect_datagram(current, address),
            (_, Address::Unix(address)) => self.connect_stream(current, address),
            _ => Err(Errno::EINVAL),
        }
    }

    fn connect_queue(&self, current: &Current, address: &Address) -> Option<WaitQueue> {
        let Address::Unix(address) = address else { return None };
        current.kernel.unix_names.find(current, address).ok().map(|listener| listener.queue.clone())
    }

    fn shutdown(&self, directions: Directions) -> Result<(), Errno> {
        if self.kind.is_connected_kind() && !self.is_connected() {
            return Err(Errno::ENOTCONN);
        }
        let peer = self.peer().ok();
        if directions.read {
            self.inbox.lock().closed = true;
        }
        if directions.write {
            self.state.lock().write_shut = true;
            if let Some(peer) = peer.as_ref().filter(|_| self.kind.is_connected_kind()) {
                peer.inbox.lock().ended = true;
            }
        }
        self.queue.wake_all();
        if let Some(peer) = peer {
            peer.queue.wake_all();
        }
        Ok(())
    }

    fn send(&self, current: &Current, message: &mut ToSend<'_>) -> Result<usize, Errno> {
        if message.flags.contains(Flags::OOB) {
            return Err(Errno::EOPNOTSUPP);
        }
        match self.kind {
            Kind::Datagram => self.send_datagram(current, message),
            Kind::Stream | Kind::SeqPacket => self.send_connected(current, message),
        }
    }

    fn send_queue(&self, current: &Current, to: Option<&Address>) -> WaitQueue {
        // Room is made by the receiver, who wakes its senders' queues for streams; a datagram's receiver may have many.
        match self.kind {
            Kind::Datagram => {
                self.datagram_target(current, to).map_or_else(|_| self.queue.clone(), |target| target.queue.clone())
            }
            _ => self.queue.clone(),
        }
    }

    fn receive(&self, _current: &Current, buf: &mut [u8], flags: Flags) -> Result<Received, Errno> {
        if flags.contains(Flags::OOB) {
            return Err(Errno::EINVAL);
        }
        if self.kind.is_connected_kind() && !self.is_connected() {
            return Err(if self.kind == Kind::Stream { Errno::EINVAL } else { Errno::ENOTCONN });
        }
        let result = {
            let mut inbox = self.inbox.lock();
            match self.kind {
                Kind::Stream => inbox.take_stream(buf, flags, self.options.passes_credentials()),
                _ => inbox.take_datagram(buf, flags),
            }
        };
        let received = match result {
            Err(Errno::EAGAIN) if self.kind.is_connected_kind() && self.peer_is_gone() => {
                return Ok(Received::default());
            }
            other => other?,
        };
        if !flags.contains(Flags::PEEK) {
            match self.kind {
                Kind::Datagram => self.queue.wake(Readiness::WRITABLE),
                _ => {
                    if let Ok(peer) = self.peer() {
                        peer.queue.wake(Readiness::WRITABLE);
                    }
                }
            }
        }
        Ok(received)
    }

    fn local_address(&self) -> Address {
        Address::Unix(self.state.lock().local.clone())
    }

    fn peer_address(&self) -> Result<Address, Errno> {
        match &self.state.lock().phase {
            Phase::Connected { address, .. } => Ok(Address::Unix(address.clone())),
            _ => Err(Errno::ENOTCONN),
        }
    }

    fn readable_bytes(&self) -> usize {
        let inbox = self.inbox.lock();
        if self.kind == Kind::Stream { inbox.bytes() } else { inbox.first_len() }
    }

    fn unread_by_peer(&self) -> usize {
        self.peer().map_or(0, |peer| peer.inbox.lock().bytes())
    }

    fn options(&self) -> &options::Common {
        &self.options
    }

    fn peer_credentials(&self) -> Option<Credentials> {
        let state = self.state.lock();
        state.peer_credentials
    }

    fn is_listening(&self) -> bool {
        matches!(self.state.lock().phase, Phase::Listening { .. })
    }
}

impl Drop for UnixSocket {
    fn drop(&mut self) {
        let state = self.state.get_mut();
        if let Some(key) = &state.key {
            self.kernel.unix_names.remove(key);
        }
        let unread = !self.inbox.get_mut().is_empty();
        let abandoned = self.inbox.get_mut().drain();
        match &mut state.phase {
            Phase::Connected { peer, .. } if self.kind.is_connected_kind() => {
                if let Some(peer) = peer.upgrade() {
                    {
                        let mut inbox = peer.inbox.lock();
                        inbox.ended = true;
                        inbox.reset |= unread;
                    }
                    peer.queue.wake_all();
                }
            }
            Phase::Listening { pending, .. } => drop(std::mem::take(pending)),
            _ => {}
        }
        drop(abandoned);
    }
}
