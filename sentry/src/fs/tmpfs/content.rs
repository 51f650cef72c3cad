//! The bytes of a regular file: in the heap while it is small, in a memfd once it is large or mapped.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{BLOCK, Tmpfs};
use crate::Errno;

/// Largest file in the heap.
const SMALL: u64 = 64 << 10;

/// The bytes of a file and what they count for.
#[derive(Default)]
pub struct Content {
    data: Data,
    size: u64,
    /// Blocks charged to the file system.
    charged: u64,
    /// Parts of a memfd may be holes: blocks have to be asked for.
    sparse: bool,
}

enum Data {
    /// Exactly `size` bytes.
    Heap(Vec<u8>),
    Host(Arc<OwnedFd>),
}

impl Default for Data {
    fn default() -> Data {
        Data::Heap(Vec::new())
    }
}

fn blocks(bytes: u64) -> u64 {
    bytes.div_ceil(BLOCK)
}

impl Content {
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Blocks in use, of [`BLOCK`] bytes.
    pub fn blocks(&self) -> u64 {
        match &self.data {
            Data::Heap(_) => self.charged,
            Data::Host(fd) => {
                host::metadata::statx(fd.as_fd()).map_or(self.charged, |statx| statx.stx_blocks.div_ceil(BLOCK / 512))
            }
        }
    }

    pub fn read(&self, offset: u64, buf: &mut [u8]) -> Result<usize, Errno> {
        if offset >= self.size {
            return Ok(0);
        }
        let len = buf.len().min(usize::try_from(self.size - offset).unwrap_or(usize::MAX));
        match &self.data {
            Data::Heap(bytes) => {
                let start = offset as usize;
                buf[..len].copy_from_slice(&bytes[start..start + len]);
                Ok(len)
            }
            Data::Host(fd) => host::file::read_at(fd.as_fd(), &mut buf[..len], offset),
        }
    }

    /// Writes some of `data`; less than all when space runs out on the way.
    pub fn write(&mut self, fs: &Tmpfs, offset: u64, data: &[u8]) -> Result<usize, Errno> {
        match self.write_all(fs, offset, data) {
            Err(Errno::ENOSPC) => {}
            done => return done,
        }
        // In a file without holes all blocks left go behind its end; into holes they may go anywhere.
        let left = fs.max_blocks.saturating_sub(fs.blocks.load(Ordering::Relaxed));
        let end = if self.sparse || offset > self.size {
            offset / BLOCK + left.saturating_sub(1)
        } else {
            self.charged + left
        };
        let room = end.saturating_mul(BLOCK).saturating_sub(offset);
        match usize::try_from(room).unwrap_or(usize::MAX).min(data.len()) {
            0 => Err(Errno::ENOSPC),
            fits => self.write_all(fs, offset, &data[..fits]),
        }
    }

    fn write_all(&mut self, fs: &Tmpfs, offset: u64, data: &[u8]) -> Result<usize, Errno> {
        if data.is_empty() {
            return Ok(0);
        }
        let end = offset.checked_add(data.len() as u64).ok_or(Errno::EFBIG)?;
        if end > i64::MAX as u64 {
            return Err(Errno::EFBIG);
        }
        if end > SMALL {
            self.move_to_host()?;
        }
        match &mut self.data {
            Data::Heap(bytes) => {
                let charge = blocks(end).max(self.charged);
                fs.charge(self.charged, charge)?;
                self.charged = charge;
                if end > self.size {
                    bytes.resize(end as usize, 0);
                    self.size = end;
                }
                bytes[offset as usize..end as usize].copy_from_slice(data);
                Ok(data.len())
            }
            Data::Host(fd) => {
                let fd = fd.clone();
                self.sparse |= offset > self.size;
                // At the most these blocks are new; what is settled afterwards is what they came to.
                let most = if self.sparse { self.charged + blocks(data.len() as u64) + 1 } else { blocks(end) };
                let most = most.max(self.charged);
                fs.charge(self.charged, most)?;
                let written = host::file::write_at(fd.as_fd(), data, offset);
                if let Ok(written) = written {
                    self.size = self.size.max(offset + written as u64);
                }
                self.charged = most;
                self.settle(fs);
                written
            }
        }
    }

    /// Brings the charge in line with what is in use.
    fn settle(&mut self, fs: &Tmpfs) {
        let used = if self.sparse { self.blocks() } else { blocks(self.size) };
        if used <= self.charged || fs.charge(self.charged, used).is_ok() {
            if used < self.charged {
                let _ = fs.charge(self.charged, used);
            }
            self.charged = used;
        }
    }

    pub fn resize(&mut self, fs: &Tmpfs, size: u64) -> Result<(), Errno> {
        if size > i64::MAX as u64 {
            return Err(Errno::EFBIG);
        }
        if size > SMALL {
            self.move_to_host()?;
        }
        match &mut self.data {
            Data::Heap(bytes) => {
                fs.charge(self.charged, blocks(size))?;
                self.charged = blocks(size);
                bytes.resize(size as usize, 0);
                bytes.shrink_to_fit();
                self.size = size;
            }
            Data::Host(fd) => {
                host::file::truncate(fd.as_fd(), size)?;
                self.sparse |= size > self.size;
                self.size = size;
                self.settle(fs);
            }
        }
        Ok(())
    }

    pub fn seek(&self, from: u64, hole: bool) -> Result<u64, Errno> {
        const SEEK_DATA: i32 = 3;
        const SEEK_HOLE: i32 = 4;
        if from >= self.size {
            return Err(Errno::ENXIO);
        }
        match &self.data {
            Data::Heap(_) => Ok(if hole { self.size } else { from }),
            Data::Host(fd) => {
                let from = i64::try_from(from).map_err(|_| Errno::ENXIO)?;
                host::file::seek(fd.as_fd(), from, if hole { SEEK_HOLE } else { SEEK_DATA })
            }
        }
    }

    /// `fallocate` as tmpfs has it: allocation and punching only.
    pub fn allocate(&mut self, fs: &Tmpfs, mode: u32, offset: u64, len: u64) -> Result<(), Errno> {
        const KEEP_SIZE: u32 = 1;
        const PUNCH_HOLE: u32 = 2;
        if mode & !(KEEP_SIZE | PUNCH_HOLE) != 0 {
            return Err(Errno::EOPNOTSUPP);
        }
        let end = offset.checked_add(len).ok_or(Errno::EFBIG)?;
        if mode & PUNCH_HOLE == 0 && self.charged + blocks(len) > fs.max_blocks {
            return Err(Errno::ENOSPC);
        }
        let fd = self.move_to_host()?;
        let before = self.charged;
        if mode & PUNCH_HOLE == 0 {
            fs.charge(before, before + blocks(len) + 1)?;
            self.charged = before + blocks(len) + 1;
        }
        self.sparse = true;
        let done = host::file::allocate(fd.as_fd(), mode as i32, offset, len);
        if done.is_ok() && mode & KEEP_SIZE == 0 {
            self.size = self.size.max(end);
        }
        self.settle(fs);
        done
    }

    /// The memfd; a file in the heap moves into one.
    pub fn move_to_host(&mut self) -> Result<Arc<OwnedFd>, Errno> {
        match &self.data {
            Data::Host(fd) => Ok(fd.clone()),
            Data::Heap(bytes) => {
                let fd = host::memory::memfd("tmpfs", self.size)?;
                host::memory::write_all(&fd, bytes, 0)?;
                let fd = Arc::new(fd);
                self.data = Data::Host(fd.clone());
                Ok(fd)
            }
        }
    }

    /// Whether someone maps the file at this moment.
    pub fn is_mapped(&self) -> bool {
        matches!(&self.data, Data::Host(fd) if Arc::strong_count(fd) > 1)
    }

    /// Gives up what the contents count for.
    pub fn release(&mut self, fs: &Tmpfs) {
        let _ = fs.charge(self.charged, 0);
        self.charged = 0;
    }
}
