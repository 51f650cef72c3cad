//! Which word a futex address means: the same word in two address spaces has one key when it is shared memory.

use platform::Sharing;

use super::{MemoryMap, Source};
use crate::Errno;

/// Identity of a futex word.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub enum FutexKey {
    /// A word of one address space ([`MemoryMap::id`]) at an address.
    Private(u64, u64),
    /// A word of [`super::SharedMemory`] by id, at an offset.
    Shared(u64, u64),
    /// A word of a file (device, inode), at an offset.
    File(u64, u64, u64),
}

impl MemoryMap {
    /// The key of the word at `addr`; `private` is `FUTEX_PRIVATE_FLAG` and saves the look-up.
    ///
    /// # Errors
    /// EFAULT when nothing is mapped there; EINVAL when `addr` is not 4-byte aligned.
    pub fn futex_key(&self, addr: u64, private: bool) -> Result<FutexKey, Errno> {
        if !addr.is_multiple_of(4) {
            return Err(Errno::EINVAL);
        }
        if addr >= self.layout.max {
            return Err(Errno::EFAULT);
        }
        let private_key = FutexKey::Private(self.id, addr);
        if private {
            return Ok(private_key);
        }
        let (file, offset) = {
            let state = self.state.lock();
            let vma = state.list.find(addr).ok_or(Errno::EFAULT)?;
            let skipped = addr - vma.start;
            match &vma.source {
                Source::Shared(memory, offset) => return Ok(FutexKey::Shared(memory.id, offset + skipped)),
                Source::File(file, offset) if vma.sharing == Sharing::Shared => (file.clone(), offset + skipped),
                _ => return Ok(private_key),
            }
        };
        let metadata = file.metadata()?;
        Ok(FutexKey::File(metadata.dev, metadata.ino, offset))
    }
}
