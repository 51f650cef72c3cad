//! Opening a FIFO (`man 7 fifo`): each side waits for the other.

use std::sync::Arc;

use super::{Pipe, PipeFile};
use crate::Errno;
use crate::kernel::wait_queue::Readiness;
use crate::task::Current;
use crate::vfs::OpenFlags;

/// An end that is open, but whose `open` may have to wait for a peer. Giving it up closes the end again.
pub struct Opening {
    file: PipeFile,
    /// The peers' count of opens when this one came; `None` when it need not wait.
    waits_from: Option<u64>,
}

impl Opening {
    /// Opens an end of the FIFO `pipe` without waiting.
    ///
    /// # Errors
    /// ENXIO for a non-blocking open for writing without a reader.
    pub fn new(pipe: &Arc<Pipe>, flags: OpenFlags) -> Result<Opening, Errno> {
        let nonblocking = flags.contains(OpenFlags::NONBLOCK);
        let (no_peer, opens) = {
            let state = pipe.state.lock();
            match (flags.reads(), flags.writes()) {
                (true, false) => (state.writers == 0, state.writer_opens),
                (false, true) => (state.readers == 0, state.reader_opens),
                _ => (false, 0),
            }
        };
        if no_peer && nonblocking && !flags.reads() {
            return Err(Errno::ENXIO);
        }
        let writers_at_open = if no_peer && nonblocking { opens } else { 0 };
        let file = PipeFile::open(pipe, flags, writers_at_open);
        Ok(Opening { file, waits_from: (no_peer && !nonblocking).then_some(opens) })
    }

    /// Whether a peer is there or has been.
    pub fn is_done(&self) -> bool {
        let state = self.file.pipe().state.lock();
        let opens = if self.file.reads { state.writer_opens } else { state.reader_opens };
        self.waits_from.is_none_or(|from| opens != from)
    }
}

/// Opens an end of the FIFO `pipe`, waiting for a peer unless `O_NONBLOCK` is given.
///
/// # Errors
/// ENXIO for a non-blocking open for writing without a reader; ERESTARTSYS.
pub async fn open_fifo(current: &mut Current, pipe: &Arc<Pipe>, flags: OpenFlags) -> Result<Arc<PipeFile>, Errno> {
    let opening = Opening::new(pipe, flags)?;
    let ready = |_: &mut Current| if opening.is_done() { Ok(()) } else { Err(Errno::EAGAIN) };
    current.block_on(pipe.queue(), Readiness::all(), None, ready).await?;
    Ok(Arc::new(opening.file))
}
