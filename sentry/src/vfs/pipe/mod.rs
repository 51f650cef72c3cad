//! Pipes and FIFOs (`man 7 pipe`): a ring of page-sized slots between readers and writers.

mod buffer;
mod file;
mod open;

pub use file::PipeFile;
pub use open::{Opening, open_fifo};

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use parking_lot::Mutex;

use self::buffer::Buffer;
use super::anonymous;
use super::{FileDescription, FileType, Metadata, OpenFlags, Timestamps};
use crate::Errno;
use crate::kernel::wait_queue::{Readiness, WaitQueue};
use crate::task::Current;

/// Largest write that is atomic (`PIPE_BUF`), and the size of a slot.
pub const PIPE_BUF: usize = 4096;
/// Slots of a fresh pipe: 64 KiB.
const DEFAULT_SLOTS: usize = 16;

/// `/proc/sys/fs/pipe-max-size`, in bytes.
pub static MAX_SIZE: AtomicU32 = AtomicU32::new(1 << 20);

/// A pipe or FIFO, shared by its open files.
pub struct Pipe {
    state: Mutex<State>,
    queue: WaitQueue,
    /// Attributes of a pipe made by `pipe`; a FIFO answers by its inode.
    ino: u64,
    owner: (u32, u32),
    times: Timestamps,
}

struct State {
    buffer: Buffer,
    readers: usize,
    writers: usize,
    /// Opens for reading and writing so far: an opener that waits for a peer waits for these to change, so that a peer that
    /// comes and goes at once is not missed.
    reader_opens: u64,
    writer_opens: u64,
}

impl Pipe {
    /// A pipe with no end open; `owner` is the (user, group) that `fstat` shows.
    pub fn new(owner: (u32, u32)) -> Arc<Pipe> {
        Arc::new(Pipe {
            state: Mutex::new(State {
                buffer: Buffer::new(DEFAULT_SLOTS),
                readers: 0,
                writers: 0,
                reader_opens: 0,
                writer_opens: 0,
            }),
            queue: WaitQueue::new(),
            ino: anonymous::next_ino(),
            owner,
            times: anonymous::times_now(),
        })
    }

    /// The two ends of a fresh pipe: for reading, for writing. `flags` may hold `O_NONBLOCK` and `O_DIRECT`.
    pub fn pair(current: &Current, flags: OpenFlags) -> (Arc<FileDescription>, Arc<FileDescription>) {
        let credentials = current.task.credentials();
        let pipe = Pipe::new((credentials.fsuid, credentials.fsgid));
        let reader = PipeFile::open(&pipe, flags - OpenFlags::DIRECT, 0);
        let writer = PipeFile::open(&pipe, flags | OpenFlags::WRONLY, 0);
        (
            FileDescription::new(Arc::new(reader), None, flags - OpenFlags::DIRECT),
            FileDescription::new(Arc::new(writer), None, flags | OpenFlags::WRONLY),
        )
    }

    /// Woken when either end's readiness changes.
    pub fn queue(&self) -> &WaitQueue {
        &self.queue
    }

    /// Capacity in bytes (`F_GETPIPE_SZ`).
    pub fn capacity(&self) -> usize {
        self.state.lock().buffer.slots() * PIPE_BUF
    }

    /// Changes the capacity (`F_SETPIPE_SZ`) to `bytes` rounded up to a power-of-two number of pages; gives the new one.
    ///
    /// # Errors
    /// EINVAL for more than 2 GiB, EPERM above [`MAX_SIZE`] unless `may_exceed`, EBUSY when more is in the pipe.
    pub fn set_capacity(&self, bytes: u64, may_exceed: bool) -> Result<usize, Errno> {
        if bytes > 1 << 31 {
            return Err(Errno::EINVAL);
        }
        let size = bytes.max(PIPE_BUF as u64).next_power_of_two();
        let slots = size as usize / PIPE_BUF;
        let grown = {
            let mut state = self.state.lock();
            if slots > state.buffer.slots() && size > u64::from(MAX_SIZE.load(Ordering::Relaxed)) && !may_exceed {
                return Err(Errno::EPERM);
            }
            let grown = slots > state.buffer.slots();
            state.buffer.set_slots(slots)?;
            grown
        };
        if grown {
            self.queue.wake(Readiness::WRITABLE);
        }
        Ok(slots * PIPE_BUF)
    }

    fn metadata(&self) -> Metadata {
        Metadata {
            dev: anonymous::PIPE_DEV,
            ino: self.ino,
            file_type: FileType::Fifo,
            permissions: 0o600,
            nlink: 1,
            uid: self.owner.0,
            gid: self.owner.1,
            rdev: 0,
            size: 0,
            block_size: PIPE_BUF as u64,
            blocks: 0,
            times: self.times,
        }
    }

    /// Counts an end in; wakes who waits for it.
    fn enter(&self, reads: bool, writes: bool) -> (u64, u64) {
        let seen = {
            let mut state = self.state.lock();
            if reads {
                state.readers += 1;
                state.reader_opens += 1;
            }
            if writes {
                state.writers += 1;
                state.writer_opens += 1;
            }
            (state.reader_opens, state.writer_opens)
        };
        self.queue.wake_all();
        seen
    }

    /// Counts an end out; the other side sees it hang up.
    fn leave(&self, reads: bool, writes: bool) {
        {
            let mut state = self.state.lock();
            state.readers -= usize::from(reads);
            state.writers -= usize::from(writes);
            if state.readers == 0 && state.writers == 0 {
                state.buffer = Buffer::new(DEFAULT_SLOTS);
            }
        }
        self.queue.wake(Readiness::READABLE | Readiness::WRITABLE | Readiness::ERR | Readiness::HUP);
    }
}
