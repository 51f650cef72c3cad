//! One open end of a pipe or FIFO.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use abi::uapi::ioctl::FIONREAD;

use super::Pipe;
use crate::kernel::wait_queue::{Readiness, WaitQueue};
use crate::task::{Capability, Current};
use crate::vfs::{File, IoPosition, Metadata, OpenFlags};
use crate::{Errno, SysResult};

/// An open end. Dropping it closes the end.
pub struct PipeFile {
    pipe: Arc<Pipe>,
    pub(super) reads: bool,
    writes: bool,
    /// `O_DIRECT`: each write is a packet.
    packets: AtomicBool,
    /// Writers' opens at the time of a non-blocking open for reading without a writer: no hang-up is shown until one came.
    writers_at_open: u64,
}

impl PipeFile {
    /// Opens an end by the access mode of `flags`, and counts it in. `writers_at_open`: see the field; 0 for pipes.
    pub(super) fn open(pipe: &Arc<Pipe>, flags: OpenFlags, writers_at_open: u64) -> PipeFile {
        let file = PipeFile {
            pipe: pipe.clone(),
            reads: flags.reads(),
            writes: flags.writes(),
            packets: AtomicBool::new(flags.contains(OpenFlags::DIRECT)),
            writers_at_open,
        };
        pipe.enter(file.reads, file.writes);
        file
    }

    /// The pipe behind it.
    pub fn pipe(&self) -> &Arc<Pipe> {
        &self.pipe
    }
}

impl File for PipeFile {
    fn read(&self, _at: IoPosition, buf: &mut [u8], _current: &Current) -> Result<usize, Errno> {
        if !self.reads {
            return Err(Errno::EBADF);
        }
        if buf.is_empty() {
            return Ok(0);
        }
        let (count, has_room_now) = {
            let mut state = self.pipe.state.lock();
            if state.buffer.is_empty() {
                return if state.writers == 0 { Ok(0) } else { Err(Errno::EAGAIN) };
            }
            let was_full = state.buffer.is_full();
            (state.buffer.read(buf), was_full && !state.buffer.is_full())
        };
        if has_room_now {
            self.pipe.queue.wake(Readiness::WRITABLE);
        }
        Ok(count)
    }

    fn write(&self, _at: IoPosition, data: &[u8], _current: &Current) -> Result<usize, Errno> {
        if !self.writes {
            return Err(Errno::EBADF);
        }
        if data.is_empty() {
            return Ok(0);
        }
        let count = {
            let mut state = self.pipe.state.lock();
            if state.readers == 0 {
                return Err(Errno::EPIPE);
            }
            state.buffer.write(data, self.packets.load(Ordering::Relaxed))
        };
        if count == 0 {
            return Err(Errno::EAGAIN);
        }
        self.pipe.queue.wake(Readiness::READABLE);
        Ok(count)
    }

    fn readiness(&self) -> Readiness {
        let state = self.pipe.state.lock();
        let mut ready = Readiness::empty();
        if self.reads {
            ready.set(Readiness::READABLE, !state.buffer.is_empty());
            ready.set(Readiness::HUP, state.writers == 0 && state.writer_opens != self.writers_at_open);
        }
        if self.writes {
            ready.set(Readiness::WRITABLE, !state.buffer.is_full());
            ready.set(Readiness::ERR, state.readers == 0);
        }
        ready
    }

    fn wait_queue(&self) -> Option<WaitQueue> {
        Some(self.pipe.queue.clone())
    }

    fn unread(&self, data: &[u8]) -> bool {
        self.pipe.state.lock().buffer.put_back(data);
        self.pipe.queue.wake(Readiness::READABLE);
        true
    }

    fn writes_fully(&self) -> bool {
        true
    }

    fn is_pipe(&self) -> bool {
        true
    }

    fn peek(&self, buf: &mut [u8]) -> Result<usize, Errno> {
        if !self.reads {
            return Err(Errno::EINVAL);
        }
        let state = self.pipe.state.lock();
        if state.buffer.is_empty() && state.writers > 0 { Err(Errno::EAGAIN) } else { Ok(state.buffer.peek(buf)) }
    }

    fn pipe_capacity(&self) -> Result<u32, Errno> {
        Ok(self.pipe.capacity() as u32)
    }

    fn set_pipe_capacity(&self, capacity: u32, current: &Current) -> Result<u32, Errno> {
        let may_exceed = current.task.credentials().has(Capability::SYS_RESOURCE);
        self.pipe.set_capacity(capacity.into(), may_exceed).map(|size| size as u32)
    }

    fn set_flags(&self, flags: OpenFlags) -> Result<(), Errno> {
        self.packets.store(flags.contains(OpenFlags::DIRECT), Ordering::Relaxed);
        Ok(())
    }

    fn ioctl(&self, current: &mut Current, command: u32, argument: u64) -> SysResult {
        match command {
            FIONREAD => {
                let len = self.pipe.state.lock().buffer.len();
                current.return_object(argument, &i32::try_from(len).unwrap_or(i32::MAX))?;
                Ok(0)
            }
            _ => Err(Errno::ENOTTY),
        }
    }

    fn reopen(&self, flags: OpenFlags, _current: &mut Current) -> Result<Arc<dyn File>, Errno> {
        Ok(Arc::new(PipeFile::open(&self.pipe, flags, 0)))
    }

    fn metadata(&self) -> Result<Metadata, Errno> {
        Ok(self.pipe.metadata())
    }

    fn description(&self) -> String {
        format!("pipe:[{}]", self.pipe.ino)
    }
}

impl Drop for PipeFile {
    fn drop(&mut self) {
        self.pipe.leave(self.reads, self.writes);
    }
}
