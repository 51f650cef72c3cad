//! Eventfd (`man 2 eventfd`): a counter that can be waited for.

use std::sync::Arc;

use parking_lot::Mutex;

use super::{File, FileDescription, IoPosition, Metadata, OpenFlags, anonymous};
use crate::Errno;
use crate::kernel::wait_queue::{Readiness, WaitQueue};
use crate::task::Current;

/// Largest value that `write` may reach.
const MAX: u64 = u64::MAX - 1;

/// An eventfd.
pub struct EventFd {
    count: Mutex<u64>,
    /// `EFD_SEMAPHORE`: a read takes one.
    semaphore: bool,
    queue: WaitQueue,
    id: u64,
}

impl EventFd {
    /// An open eventfd; `flags` may hold `O_NONBLOCK`.
    pub fn open(count: u64, semaphore: bool, flags: OpenFlags) -> Arc<FileDescription> {
        let eventfd =
            EventFd { count: Mutex::new(count), semaphore, queue: WaitQueue::new(), id: anonymous::next_ino() };
        FileDescription::new(Arc::new(eventfd), None, flags | OpenFlags::RDWR)
    }

    /// Adds to the counter from inside the kernel, up to its overflow value.
    pub fn signal(&self, value: u64) {
        {
            let mut count = self.count.lock();
            *count = count.saturating_add(value);
        }
        self.queue.wake(Readiness::READABLE);
    }
}

impl File for EventFd {
    fn read(&self, _at: IoPosition, buf: &mut [u8], _current: &Current) -> Result<usize, Errno> {
        let out = buf.get_mut(..8).ok_or(Errno::EINVAL)?;
        let value = {
            let mut count = self.count.lock();
            if *count == 0 {
                return Err(Errno::EAGAIN);
            }
            let value = if self.semaphore { 1 } else { *count };
            *count -= value;
            value
        };
        out.copy_from_slice(&value.to_ne_bytes());
        self.queue.wake(Readiness::WRITABLE);
        Ok(8)
    }

    fn write(&self, _at: IoPosition, data: &[u8], _current: &Current) -> Result<usize, Errno> {
        let value = u64::from_ne_bytes(data.try_into().map_err(|_| Errno::EINVAL)?);
        if value == u64::MAX {
            return Err(Errno::EINVAL);
        }
        {
            let mut count = self.count.lock();
            *count = count.checked_add(value).filter(|&sum| sum <= MAX).ok_or(Errno::EAGAIN)?;
        }
        self.queue.wake(Readiness::READABLE);
        Ok(8)
    }

    fn readiness(&self) -> Readiness {
        let count = *self.count.lock();
        let mut ready = Readiness::empty();
        ready.set(Readiness::IN, count > 0);
        ready.set(Readiness::ERR, count == u64::MAX);
        ready.set(Readiness::OUT, count < MAX);
        ready
    }

    fn wait_queue(&self) -> Option<WaitQueue> {
        Some(self.queue.clone())
    }

    fn metadata(&self) -> Result<Metadata, Errno> {
        Ok(anonymous::metadata())
    }

    fn description(&self) -> String {
        "anon_inode:[eventfd]".into()
    }

    fn fdinfo(&self) -> String {
        let count = *self.count.lock();
        let semaphore = u8::from(self.semaphore);
        format!("eventfd-count: {count:16x}\neventfd-id: {}\neventfd-semaphore: {semaphore}\n", self.id)
    }
}
