//! The bytes in a pipe: slots of at most a page each, as Linux keeps them, since capacity and atomicity show through.

use std::collections::VecDeque;

use super::PIPE_BUF;
use crate::Errno;

/// Emptied slots kept for the next write, as many as a ping-pong needs.
const SPARE_SLOTS: usize = 2;

pub(super) struct Buffer {
    used: VecDeque<Slot>,
    spare: Vec<Vec<u8>>,
    slots: usize,
    len: usize,
}

struct Slot {
    data: Vec<u8>,
    /// Bytes of `data` already read.
    start: usize,
    /// Written in packet mode: a read takes it alone, and what does not fit is lost.
    packet: bool,
}

impl Buffer {
    pub fn new(slots: usize) -> Buffer {
        Buffer { used: VecDeque::new(), spare: Vec::new(), slots, len: 0 }
    }

    /// Number of slots, used and free.
    pub fn slots(&self) -> usize {
        self.slots
    }

    pub fn set_slots(&mut self, slots: usize) -> Result<(), Errno> {
        if self.used.len() > slots {
            return Err(Errno::EBUSY);
        }
        self.slots = slots;
        Ok(())
    }

    /// Bytes that can be read.
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.used.is_empty()
    }

    pub fn is_full(&self) -> bool {
        self.used.len() >= self.slots
    }

    /// Moves bytes to `buf`; all of it unless they run out or a packet ends.
    pub fn read(&mut self, buf: &mut [u8]) -> usize {
        let mut done = 0;
        while done < buf.len() {
            let Some(slot) = self.used.front_mut() else { break };
            let rest = &slot.data[slot.start..];
            let count = rest.len().min(buf.len() - done);
            buf[done..done + count].copy_from_slice(&rest[..count]);
            done += count;
            slot.start += count;
            let packet = slot.packet;
            self.len -= count;
            if packet || slot.start == slot.data.len() {
                self.len -= slot.data.len() - slot.start;
                self.drop_first();
            }
            if packet {
                break;
            }
        }
        done
    }

    /// Takes bytes from `data`; all of it unless the slots run out. A piece of at most a page never splits.
    pub fn write(&mut self, data: &[u8], packet: bool) -> usize {
        let mut done = 0;
        let odd = data.len() % PIPE_BUF;
        if odd > 0
            && let Some(last) = self.used.back_mut()
            && !last.packet
            && last.data.len() + odd <= PIPE_BUF
        {
            last.data.extend_from_slice(&data[..odd]);
            done = odd;
        }
        while done < data.len() && !self.is_full() {
            let count = (data.len() - done).min(PIPE_BUF);
            let mut slot = self.spare.pop().unwrap_or_default();
            slot.reserve_exact(if count < PIPE_BUF / 8 && slot.capacity() == 0 { 256.max(count) } else { count });
            slot.extend_from_slice(&data[done..done + count]);
            self.used.push_back(Slot { data: slot, start: 0, packet });
            done += count;
        }
        self.len += done;
        done
    }

    /// Puts bytes back at the front.
    pub fn put_back(&mut self, data: &[u8]) {
        for piece in data.rchunks(PIPE_BUF) {
            self.used.push_front(Slot { data: piece.to_vec(), start: 0, packet: false });
        }
        self.len += data.len();
    }

    /// Copies bytes to `buf` without taking them.
    pub fn peek(&self, buf: &mut [u8]) -> usize {
        let mut done = 0;
        for slot in &self.used {
            let rest = &slot.data[slot.start..];
            let count = rest.len().min(buf.len() - done);
            buf[done..done + count].copy_from_slice(&rest[..count]);
            done += count;
        }
        done
    }

    fn drop_first(&mut self) {
        if let Some(slot) = self.used.pop_front()
            && self.spare.len() < SPARE_SLOTS
        {
            let mut data = slot.data;
            data.clear();
            self.spare.push(data);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_writes_share_a_slot_and_a_page_fills_one() {
        let mut buffer = Buffer::new(2);
        assert_eq!(buffer.write(b"ab", false), 2);
        assert_eq!(buffer.write(&[1; PIPE_BUF], false), PIPE_BUF);
        assert!(buffer.is_full());
        assert_eq!(buffer.write(&[2; PIPE_BUF], false), 0);
        assert_eq!(buffer.len(), PIPE_BUF + 2);
        let mut out = [0; 3];
        assert_eq!(buffer.read(&mut out), 3);
        assert_eq!(out, [b'a', b'b', 1]);
        assert!(!buffer.is_full());
    }

    #[test]
    fn a_packet_is_read_alone_and_its_rest_is_lost() {
        let mut buffer = Buffer::new(4);
        buffer.write(b"first", true);
        buffer.write(b"second", true);
        let mut out = [0; 3];
        assert_eq!(buffer.read(&mut out), 3);
        assert_eq!(buffer.len(), 6);
        let mut out = [0; 100];
        assert_eq!(buffer.read(&mut out), 6);
        assert!(buffer.is_empty());
    }

    #[test]
    fn bytes_that_are_put_back_come_first_again() {
        let mut buffer = Buffer::new(4);
        buffer.write(b"abcdef", false);
        let mut out = [0; 3];
        assert_eq!(buffer.read(&mut out), 3);
        buffer.put_back(&out);
        assert_eq!(buffer.len(), 6);
        let mut all = [0; 6];
        assert_eq!(buffer.read(&mut all), 6);
        assert_eq!(&all, b"abcdef");
    }

    #[test]
    fn peeked_bytes_stay() {
        let mut buffer = Buffer::new(4);
        buffer.write(b"abcd", false);
        let mut out = [0; 3];
        assert_eq!(buffer.peek(&mut out), 3);
        assert_eq!(&out, b"abc");
        assert_eq!(buffer.len(), 4);
    }
}
