//! The client: blocking calls, from any number of threads, each an [`Errno`] or a checked answer.

mod calls;

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64};
use std::time::{Duration, Instant};

use abi::Errno;
use host::unix::Blocking;
use parking_lot::Mutex;

use crate::channel::{ClientChannel, MAX_MESSAGE, SLOTS};
use crate::connection::{Connection, Packet, Readiness};
use crate::message::{Cursor, Entry, Reply, Request, decode, encode};
use crate::patience::Patience;
use crate::validate;

/// How long a thread spins for an answer before it sleeps: a wake-up across CPUs costs about this.
const SPIN: Duration = Duration::from_micros(20);
/// How often a sleeping thread looks whether the gofer is still there.
const HEARTBEAT: Duration = Duration::from_millis(50);
/// After this the gofer is given up for dead. Long, because the host's disk may be slow; its death is noticed at once.
const DEADLINE: Duration = Duration::from_secs(60);

/// A file that was opened.
#[derive(Debug)]
pub struct Opened {
    /// The host's descriptor, with no more rights than were asked for.
    pub fd: OwnedFd,
    /// Attributes, taken from the open file itself.
    pub attr: crate::Attr,
}

/// Part of a directory.
#[derive(Debug)]
pub struct Chunk {
    /// Some entries, in the host's order, without `.` and `..`.
    pub entries: Vec<Entry>,
    /// Where to go on; `None`: that was all.
    pub next: Option<Cursor>,
}

/// The sentry's hold on a gofer.
///
/// Once a call was not answered (the gofer died, or its deadline passed) this and every later call is EIO.
pub struct Client {
    connection: Connection,
    channel: Option<ClientChannel>,
    /// A bit for each slot that nobody uses.
    free_slots: AtomicU32,
    numbers: [AtomicU32; SLOTS],
    next_tag: AtomicU64,
    inbox: Mutex<Inbox>,
    patience: Patience,
    dead: AtomicBool,
}

/// What came by the socket for calls other than the one that received it.
#[derive(Default)]
struct Inbox {
    descriptors: HashMap<u64, OwnedFd>,
    buffer: Vec<u8>,
}

impl Client {
    /// A client on its end of a connection.
    ///
    /// # Errors
    /// EINVAL when the shared memory is not what [`Connection::pair`] makes.
    pub fn new(connection: Connection) -> Result<Client, Errno> {
        use std::os::fd::AsFd;
        let channel = connection.memory.as_ref().map(|memory| ClientChannel::new(memory.as_fd())).transpose()?;
        Ok(Client {
            connection,
            channel,
            free_slots: AtomicU32::new((1_u64 << SLOTS).wrapping_sub(1) as u32),
            numbers: Default::default(),
            next_tag: AtomicU64::new(1),
            inbox: Mutex::new(Inbox { descriptors: HashMap::new(), buffer: vec![0; Connection::BUFFER] }),
            patience: Patience::new(SPIN),
            dead: AtomicBool::new(false),
        })
    }

    /// Whether the gofer has been given up.
    pub fn is_dead(&self) -> bool {
        self.dead.load(Relaxed)
    }

    /// Makes one call; the descriptor if the answer brings one.
    fn call(&self, request: &Request<'_>) -> Result<(Reply, Option<OwnedFd>), Errno> {
        if self.is_dead() {
            return Err(Errno::EIO);
        }
        let tag = self.next_tag.fetch_add(1, Relaxed);
        let result = match &self.channel {
            Some(channel) => self.call_by_memory(channel, tag, request),
            None => self.call_by_socket(tag, request),
        };
        let (reply, fd) = result.map_err(|failure| match failure {
            Failure::Local(errno) => errno,
            Failure::Dead => {
                self.dead.store(true, Relaxed);
                Errno::EIO
            }
        })?;
        match (reply, fd) {
            (Reply::Failed(number), None) => Err(validate::errno(number)),
            (reply @ (Reply::Opened(_) | Reply::Created(_)), Some(fd)) => Ok((reply, Some(fd))),
            (Reply::Failed(_) | Reply::Opened(_) | Reply::Created(_), _) | (_, Some(_)) => Err(Errno::EIO),
            (reply, None) => Ok((reply, None)),
        }
    }

    fn call_by_memory(
        &self,
        channel: &ClientChannel,
        tag: u64,
        request: &Request<'_>,
    ) -> Result<(Reply, Option<OwnedFd>), Failure> {
        let mut small = [0; 1024];
        let mut large = Vec::new();
        let buffer = if request.is_small() {
            &mut small[..]
        } else {
            large.resize(MAX_MESSAGE, 0);
            &mut large[..]
        };
        let (head, body) = buffer.split_at_mut(8);
        head.copy_from_slice(&tag.to_le_bytes());
        let len = 8 + encode(request, body)?.len();
        let slot = self.take_slot()?;
        let number = self.numbers[slot].fetch_add(1, Relaxed).wrapping_add(1);
        if channel.submit(slot, number, &buffer[..len]) {
            self.connection.ring();
        }
        // A slot whose answer never came is never used again: the gofer could still write to it.
        self.await_answer(channel, slot, number)?;
        let answer = channel.answer(slot);
        self.free_slots.fetch_or(1 << slot, Release);
        let reply: Reply = decode(&answer?).map_err(|_| Failure::Dead)?;
        let fd = match reply {
            Reply::Opened(_) | Reply::Created(_) => Some(self.take_descriptor(tag)?),
            _ => None,
        };
        Ok((reply, fd))
    }

    /// Claims a free slot. There are more of them than a sentry has threads, so that waiting for one is rare and short.
    fn take_slot(&self) -> Result<usize, Failure> {
        let start = Instant::now();
        loop {
            let free = self.free_slots.load(Relaxed);
            if free != 0 {
                let slot = free.trailing_zeros();
                if self.free_slots.fetch_and(!(1 << slot), Acquire) & (1 << slot) != 0 {
                    return Ok(slot as usize);
                }
            } else if self.is_dead() || start.elapsed() > DEADLINE {
                return Err(Failure::Dead);
            } else {
                std::thread::yield_now();
            }
        }
    }

    fn await_answer(&self, channel: &ClientChannel, slot: usize, number: u32) -> Result<(), Failure> {
        if self.patience.spin(|| channel.is_answered(slot, number)) {
            return Ok(());
        }
        let start = Instant::now();
        loop {
            channel.sleep(slot, number, HEARTBEAT);
            if channel.is_answered(slot, number) {
                return Ok(());
            }
            if self.connection.is_hung_up() || start.elapsed() > DEADLINE {
                // It may have answered with its last breath.
                return if channel.is_answered(slot, number) { Ok(()) } else { Err(Failure::Dead) };
            }
        }
    }

    /// The descriptor of call `tag`, which was sent before its answer was published.
    fn take_descriptor(&self, tag: u64) -> Result<OwnedFd, Failure> {
        let mut inbox = self.inbox.lock();
        let Inbox { descriptors, buffer } = &mut *inbox;
        if let Some(fd) = descriptors.remove(&tag) {
            return Ok(fd);
        }
        loop {
            match self.connection.receive(buffer, Blocking::No) {
                Ok(Packet::Message(got, [], Some(fd))) if got == tag => return Ok(fd),
                // More than one a slot cannot be on their way to others.
                Ok(Packet::Message(got, [], Some(fd))) if descriptors.len() < SLOTS => {
                    drop(descriptors.insert(got, fd))
                }
                // Our own table of descriptors is full (the kernel then drops what the packet carried).
                Err(Errno::EPROTO) => return Err(Failure::Local(Errno::EMFILE)),
                _ => return Err(Failure::Dead),
            }
        }
    }

    /// The slow transport: one call at a time.
    fn call_by_socket(&self, tag: u64, request: &Request<'_>) -> Result<(Reply, Option<OwnedFd>), Failure> {
        let mut inbox = self.inbox.lock();
        let buffer = &mut inbox.buffer;
        let mut bytes = vec![0; MAX_MESSAGE];
        let bytes = encode(request, &mut bytes)?;
        self.connection.send(tag, bytes, None, Blocking::Yes).map_err(|_| Failure::Dead)?;
        match self.connection.wait(Some(DEADLINE)) {
            Readiness::Readable => {}
            Readiness::HungUp | Readiness::TimedOut => return Err(Failure::Dead),
        }
        match self.connection.receive(buffer, Blocking::No) {
            Ok(Packet::Message(got, answer, fd)) if got == tag => Ok((decode(answer).map_err(|_| Failure::Dead)?, fd)),
            Err(Errno::EPROTO) => Err(Failure::Local(Errno::EMFILE)),
            _ => Err(Failure::Dead),
        }
    }
}

/// Why there is no answer.
enum Failure {
    /// This call could not be made; others can.
    Local(Errno),
    /// The gofer is gone, hangs, or has broken the protocol.
    Dead,
}

impl From<Errno> for Failure {
    fn from(errno: Errno) -> Failure {
        Failure::Local(errno)
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_client_can_be_shared_between_threads() {
        fn shared<T: Send + Sync>() {}
        shared::<super::Client>();
    }
}
