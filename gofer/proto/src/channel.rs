//! The shared-memory transport: slots of one request and one answer each, and who sleeps on what.
//!
//! A slot's request number goes up by one with each request; the answer is there when the answer's number equals it. Both
//! sides write "I go to sleep" *before* they look a last time, and look at the other's sleep flag *after* they publish,
//! all sequentially consistent: one of the two always sees the other.

use std::os::fd::BorrowedFd;
use std::sync::atomic::Ordering::{Acquire, Relaxed, SeqCst};
use std::time::Duration;

use abi::Errno;
use host::channel_memory::ChannelMemory;

/// Calls that can be under way at the same time.
pub const SLOTS: usize = 16;
/// Bytes of an encoded message at the most: the largest extended attribute, its name, and room for the rest.
pub const MAX_MESSAGE: usize = 72 << 10;

/// In the first page: not zero while the server sleeps in its socket.
const SERVER_ASLEEP: usize = 0;

// All words lie in the first page, so that a look at every slot touches no other; bytes in pages of their own.
const WORDS: usize = 64;
const WORDS_STRIDE: usize = 192;
const BYTES: usize = 4096;
const _: () = assert!(WORDS + SLOTS * WORDS_STRIDE <= BYTES);

// Offsets inside a slot's words.
const REQUEST_NUMBER: usize = 0;
const REQUEST_LEN: usize = 4;
// The answer's words have a cache line of their own: the client spins on them.
const ANSWER_NUMBER: usize = 64;
const ANSWER_LEN: usize = 68;
const CLIENT_ASLEEP: usize = 128;

pub(crate) const MEMORY_LEN: usize = BYTES + SLOTS * 2 * MAX_MESSAGE;

fn words_at(slot: usize) -> usize {
    WORDS + slot * WORDS_STRIDE
}

fn request_at(slot: usize) -> usize {
    BYTES + slot * 2 * MAX_MESSAGE
}

fn answer_at(slot: usize) -> usize {
    request_at(slot) + MAX_MESSAGE
}

/// The client's end. Who calls must own the slot.
pub(crate) struct ClientChannel(ChannelMemory);

impl ClientChannel {
    pub(crate) fn new(memory: BorrowedFd<'_>) -> Result<ClientChannel, Errno> {
        ChannelMemory::map(memory, MEMORY_LEN).map(ClientChannel)
    }

    /// Publishes request `number`; whether the server must be woken.
    pub(crate) fn submit(&self, slot: usize, number: u32, request: &[u8]) -> bool {
        let at = words_at(slot);
        self.0.write(request_at(slot), request);
        self.0.word(at + REQUEST_LEN).store(request.len() as u32, Relaxed);
        self.0.word(at + CLIENT_ASLEEP).store(0, Relaxed);
        self.0.word(at + REQUEST_NUMBER).swap(number, SeqCst);
        self.0.word(SERVER_ASLEEP).load(SeqCst) != 0 && self.0.word(SERVER_ASLEEP).swap(0, SeqCst) != 0
    }

    pub(crate) fn is_answered(&self, slot: usize, number: u32) -> bool {
        self.0.word(words_at(slot) + ANSWER_NUMBER).load(Acquire) == number
    }

    /// Sleeps until the answer may be there, or `timeout`.
    pub(crate) fn sleep(&self, slot: usize, number: u32, timeout: Duration) {
        let at = words_at(slot);
        self.0.word(at + CLIENT_ASLEEP).swap(1, SeqCst);
        let seen = self.0.word(at + ANSWER_NUMBER).load(SeqCst);
        if seen != number {
            self.0.wait(at + ANSWER_NUMBER, seen, timeout);
        }
    }

    /// Copies the answer out.
    pub(crate) fn answer(&self, slot: usize) -> Result<Vec<u8>, Errno> {
        let at = words_at(slot);
        let len = self.0.word(at + ANSWER_LEN).load(Acquire) as usize;
        if len > MAX_MESSAGE {
            return Err(Errno::EIO);
        }
        let mut bytes = vec![0; len];
        self.0.read(answer_at(slot), &mut bytes);
        Ok(bytes)
    }
}

/// The server's end: one thread serves all slots.
pub struct ServerChannel {
    memory: ChannelMemory,
    served: [u32; SLOTS],
    next: usize,
}

impl ServerChannel {
    /// Maps the memory of a connection.
    ///
    /// # Errors
    /// EINVAL when the memory is too small or could be shrunk under us.
    pub fn new(memory: BorrowedFd<'_>) -> Result<ServerChannel, Errno> {
        Ok(ServerChannel { memory: ChannelMemory::map(memory, MEMORY_LEN)?, served: [0; SLOTS], next: 0 })
    }

    /// Takes the next request, round robin: its slot, with the bytes in `request`. A length beyond [`MAX_MESSAGE`] gives no
    /// bytes, which no decoder accepts.
    pub fn take(&mut self, request: &mut Vec<u8>) -> Option<usize> {
        for ahead in 0..SLOTS {
            let slot = (self.next + ahead) % SLOTS;
            let at = words_at(slot);
            let number = self.memory.word(at + REQUEST_NUMBER).load(SeqCst);
            if number == self.served[slot] {
                continue;
            }
            self.served[slot] = number;
            self.next = (slot + 1) % SLOTS;
            let len = self.memory.word(at + REQUEST_LEN).load(Relaxed) as usize;
            request.resize(if len > MAX_MESSAGE { 0 } else { len }, 0);
            self.memory.read(request_at(slot), request);
            return Some(slot);
        }
        None
    }

    /// Publishes the answer to the request last taken from `slot`. An answer longer than [`MAX_MESSAGE`] is cut off.
    pub fn answer(&mut self, slot: usize, answer: &[u8]) {
        let slot = slot % SLOTS;
        let at = words_at(slot);
        let answer = &answer[..answer.len().min(MAX_MESSAGE)];
        self.memory.write(answer_at(slot), answer);
        self.memory.word(at + ANSWER_LEN).store(answer.len() as u32, Relaxed);
        self.memory.word(at + ANSWER_NUMBER).swap(self.served[slot], SeqCst);
        let asleep = self.memory.word(at + CLIENT_ASLEEP);
        if asleep.load(SeqCst) != 0 && asleep.swap(0, SeqCst) != 0 {
            self.memory.wake(at + ANSWER_NUMBER);
        }
    }

    /// Announces that the server goes to sleep in its socket. Look with [`ServerChannel::is_idle`] once more after it.
    pub fn announce_sleep(&self) {
        self.memory.word(SERVER_ASLEEP).swap(1, SeqCst);
    }

    /// Takes the announcement back.
    pub fn announce_awake(&self) {
        self.memory.word(SERVER_ASLEEP).swap(0, SeqCst);
    }

    /// Whether no slot holds a request.
    pub fn is_idle(&self) -> bool {
        (0..SLOTS).all(|slot| self.memory.word(words_at(slot) + REQUEST_NUMBER).load(SeqCst) == self.served[slot])
    }
}
