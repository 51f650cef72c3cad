//! A memory file that holds machine code which other processes execute while it is changed here.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use abi::Errno;

use crate::{check, errno, memory};

/// A memfd of fixed length with one writable mapping, ours. Nobody can write through the descriptor: it is sealed, so that it
/// can be given to other processes for private mappings.
pub struct CodeMemory {
    fd: OwnedFd,
    base: NonNull<u8>,
    len: usize,
}

// SAFETY: the mapping belongs to this value and is reached only by atomics and by system calls that copy into it.
unsafe impl Send for CodeMemory {}
// SAFETY: as above.
unsafe impl Sync for CodeMemory {}

impl CodeMemory {
    /// Memory of `len` bytes (a multiple of the page size), all zero and without pages yet.
    ///
    /// # Errors
    /// ENOMEM, EMFILE, EINVAL.
    pub fn new(name: &str, len: u64) -> Result<CodeMemory, Errno> {
        let fd = memory::sealable_memfd(name, len)?;
        let len = usize::try_from(len).map_err(|_| Errno::ENOMEM)?;
        // SAFETY: a fresh shared mapping at an address of the kernel's choice.
        let base = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                len,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | libc::MAP_NORESERVE,
                fd.as_raw_fd(),
                0,
            )
        };
        if base == libc::MAP_FAILED {
            return Err(errno(nix::Error::last()));
        }
        let base = NonNull::new(base.cast::<u8>()).ok_or(Errno::ENOMEM)?;
        let code = CodeMemory { fd, base, len };
        let seals = libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_FUTURE_WRITE | libc::F_SEAL_SEAL;
        // SAFETY: plain numbers.
        check(unsafe { libc::fcntl(code.fd.as_raw_fd(), libc::F_ADD_SEALS, seals) }.into())?;
        Ok(code)
    }

    /// The descriptor to map it by, privately.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Reads `len` bytes of `file` from `offset` on to `at`; what lies behind the file's end stays zero. Returns how many.
    ///
    /// # Errors
    /// EIO; EINVAL for a range outside.
    pub fn fill(&self, at: u64, file: BorrowedFd<'_>, offset: u64, len: u64) -> Result<u64, Errno> {
        let (at, len) = (usize::try_from(at), usize::try_from(len));
        let (Ok(at), Ok(len)) = (at, len) else { return Err(Errno::EINVAL) };
        if at.checked_add(len).is_none_or(|end| end > self.len) {
            return Err(Errno::EINVAL);
        }
        let mut done = 0;
        while done < len {
            let from = i64::try_from(offset + done as u64).map_err(|_| Errno::EINVAL)?;
            // SAFETY: the destination lies inside the mapping (checked above), which lives as long as `self`; only the
            // kernel writes to it here.
            let got = check(unsafe {
                libc::pread(file.as_raw_fd(), self.base.as_ptr().add(at + done).cast(), len - done, from) as i64
            })?;
            if got == 0 {
                break;
            }
            done += got as usize;
        }
        Ok(done as u64)
    }

    /// The byte at `at`; 0 outside.
    pub fn byte(&self, at: u64) -> u8 {
        usize::try_from(at).ok().filter(|at| *at < self.len).map_or(0, |at| self.byte_cell(at).load(Ordering::Relaxed))
    }

    /// Stores one byte; nothing outside.
    pub fn store_byte(&self, at: u64, value: u8) {
        if let Some(at) = usize::try_from(at).ok().filter(|at| *at < self.len) {
            self.byte_cell(at).store(value, Ordering::SeqCst);
        }
    }

    /// Replaces bytes that lie within one aligned 8-byte word by one store. False when they do not, and nothing is done.
    pub fn store_at_once(&self, at: u64, bytes: &[u8]) -> bool {
        let Ok(at) = usize::try_from(at) else { return false };
        let (word, skip) = (at & !7, at & 7);
        if skip + bytes.len() > 8 || word + 8 > self.len {
            return false;
        }
        // SAFETY: aligned and inside (checked), mapped as long as `self`; all writers of this memory are in this process and
        // use atomics.
        let cell = unsafe { AtomicU64::from_ptr(self.base.as_ptr().add(word).cast::<u64>()) };
        let mut value = cell.load(Ordering::Relaxed).to_le_bytes();
        value[skip..skip + bytes.len()].copy_from_slice(bytes);
        cell.store(u64::from_le_bytes(value), Ordering::SeqCst);
        true
    }

    fn byte_cell(&self, at: usize) -> &AtomicU8 {
        // SAFETY: callers have checked that `at` lies inside; mapped as long as `self`.
        unsafe { AtomicU8::from_ptr(self.base.as_ptr().add(at)) }
    }
}

impl Drop for CodeMemory {
    fn drop(&mut self) {
        // SAFETY: the mapping was made by `new`, and no borrow of it outlives `self`.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.len) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_within_a_word_are_replaced_at_once_and_the_descriptor_cannot_write() {
        let code = CodeMemory::new("test", 4096).unwrap();
        assert!(code.store_at_once(3, &[1, 2, 3, 4, 5]));
        assert!(!code.store_at_once(4, &[1, 2, 3, 4, 5]));
        assert!(!code.store_at_once(4096, &[1]));
        code.store_byte(0, 9);
        assert_eq!((0..9).map(|at| code.byte(at)).collect::<Vec<_>>(), [9, 0, 0, 1, 2, 3, 4, 5, 0]);
        assert!(nix::sys::uio::pwrite(code.fd(), b"x", 0).is_err());
    }
}
