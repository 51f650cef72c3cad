//! A shared, writable mapping of a memory file, accessed through raw pointers.

use crate::check;
use abi::Errno;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::NonNull;

/// The mapping; unmapped on drop.
///
/// Other processes may write it at any time, so there are no references into it: users copy through raw pointers with
/// volatile or atomic accesses. The file must not shrink while this lives.
#[derive(Debug)]
pub struct SharedMapping {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: the mapping is plain memory that stays where it is; access goes through raw pointers, whose users answer for it.
unsafe impl Send for SharedMapping {}
// SAFETY: as above.
unsafe impl Sync for SharedMapping {}

impl SharedMapping {
    /// Maps the first `len` bytes of `fd` anywhere.
    ///
    /// # Errors
    /// ENOMEM, EACCES.
    pub fn new(fd: BorrowedFd<'_>, len: usize) -> Result<SharedMapping, Errno> {
        let prot = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_SHARED | libc::MAP_NORESERVE;
        // SAFETY: the kernel chooses the address, so nothing that exists is replaced.
        let start = check(unsafe { libc::mmap(std::ptr::null_mut(), len, prot, flags, fd.as_raw_fd(), 0) } as i64)?;
        NonNull::new(start as *mut u8).map(|start| SharedMapping { start, len }).ok_or(Errno::ENOMEM)
    }

    /// The first byte.
    pub fn start(&self) -> *mut u8 {
        self.start.as_ptr()
    }
}

impl Drop for SharedMapping {
    fn drop(&mut self) {
        // SAFETY: exactly what `new` mapped; the owner is gone, so no pointer into it is used any more.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.len) };
    }
}
