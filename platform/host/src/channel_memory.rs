//! Memory shared by two processes that do not trust each other: a memfd of fixed size, copied in and out, never borrowed.

use std::arch::asm;
use std::ffi::CStr;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use abi::Errno;

use crate::check;

/// A mapping of a sealed memfd.
///
/// The other side may change every byte at every moment: take a copy, check the copy, use the copy.
pub struct ChannelMemory {
    base: NonNull<u8>,
    len: usize,
}

// SAFETY: the mapping belongs to this value, stays until it is dropped, and is only reached through atomics and through
// copies made by `rep movsb` in assembly, which the language does not regard as a data race.
unsafe impl Send for ChannelMemory {}
// SAFETY: as above.
unsafe impl Sync for ChannelMemory {}

impl ChannelMemory {
    /// Makes a memfd of `len` zero bytes whose size nobody can change any more.
    ///
    /// # Errors
    /// EMFILE, ENFILE, ENOMEM (`man 2 memfd_create`).
    pub fn create(name: &CStr, len: usize) -> Result<OwnedFd, Errno> {
        // SAFETY: `name` is a C string that outlives the call.
        let fd =
            check(unsafe { libc::memfd_create(name.as_ptr(), libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING) }.into())?;
        // SAFETY: the kernel has just given us this descriptor.
        let fd = unsafe { OwnedFd::from_raw_fd(fd as i32) };
        let size = i64::try_from(len).map_err(|_| Errno::EINVAL)?;
        // SAFETY: plain numbers.
        check(unsafe { libc::ftruncate(fd.as_raw_fd(), size) }.into())?;
        let seals = libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_SEAL;
        // SAFETY: plain numbers.
        check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_ADD_SEALS, seals) }.into())?;
        Ok(fd)
    }

    /// Maps the first `len` bytes, after checking that they are there and can never go away (a truncated file would be a
    /// SIGBUS in our hands).
    ///
    /// # Errors
    /// EINVAL when the file is too short or not sealed against shrinking.
    pub fn map(fd: BorrowedFd<'_>, len: usize) -> Result<ChannelMemory, Errno> {
        // SAFETY: plain numbers.
        let seals = check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GET_SEALS) }.into())?;
        // SAFETY: plain numbers.
        let size = check(unsafe { libc::lseek(fd.as_raw_fd(), 0, libc::SEEK_END) })?;
        if seals & i64::from(libc::F_SEAL_SHRINK) == 0 || usize::try_from(size).map_or(true, |size| size < len) {
            return Err(Errno::EINVAL);
        }
        // SAFETY: a fresh shared mapping at an address of the kernel's choice.
        let base = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                len,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                fd.as_raw_fd(),
                0,
            )
        };
        if base == libc::MAP_FAILED {
            return Err(crate::errno(nix::Error::last()));
        }
        let base = NonNull::new(base.cast::<u8>()).ok_or(Errno::ENOMEM)?;
        Ok(ChannelMemory { base, len })
    }

    /// The 32-bit word at `offset`.
    ///
    /// # Panics
    /// When `offset` is not aligned or outside; offsets are the caller's constants, never the other side's numbers.
    pub fn word(&self, offset: usize) -> &AtomicU32 {
        assert!(offset.is_multiple_of(4) && offset.checked_add(4).is_some_and(|end| end <= self.len));
        // SAFETY: inside the mapping (checked), aligned (checked; the base is a page), lives as long as `self`; everybody
        // reaches this word through an atomic.
        unsafe { AtomicU32::from_ptr(self.base.as_ptr().add(offset).cast::<u32>()) }
    }

    /// Copies bytes out, starting at `offset`.
    ///
    /// # Panics
    /// When the range is not inside.
    pub fn read(&self, offset: usize, into: &mut [u8]) {
        assert!(offset.checked_add(into.len()).is_some_and(|end| end <= self.len));
        // SAFETY: the source lies inside the mapping (checked), the destination is a slice of that length; the copy is made
        // by one instruction that the compiler knows nothing about, so that a racing writer is no undefined behaviour.
        unsafe {
            asm!("rep movsb", inout("rcx") into.len() => _, inout("rsi") self.base.as_ptr().add(offset) => _,
                 inout("rdi") into.as_mut_ptr() => _, options(nostack, preserves_flags));
        }
    }

    /// Copies bytes in, starting at `offset`.
    ///
    /// # Panics
    /// When the range is not inside.
    pub fn write(&self, offset: usize, from: &[u8]) {
        assert!(offset.checked_add(from.len()).is_some_and(|end| end <= self.len));
        // SAFETY: as in `read`, the other way round.
        unsafe {
            asm!("rep movsb", inout("rcx") from.len() => _, inout("rsi") from.as_ptr() => _,
                 inout("rdi") self.base.as_ptr().add(offset) => _, options(nostack, preserves_flags));
        }
    }

    /// Sleeps while the word at `offset` holds `expected`, at most `timeout`. May return early for no reason.
    pub fn wait(&self, offset: usize, expected: u32, timeout: Duration) {
        let word = self.word(offset);
        let timeout =
            libc::timespec { tv_sec: timeout.as_secs().min(1 << 30) as i64, tv_nsec: timeout.subsec_nanos().into() };
        // SAFETY: the word is mapped for the length of the call; the timeout is a valid timespec on our stack. The futex is
        // shared between processes, hence no PRIVATE flag. Every outcome is the caller's to check by the word itself.
        unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAIT, expected, &raw const timeout) };
    }

    /// Wakes whoever sleeps on the word at `offset`.
    pub fn wake(&self, offset: usize) {
        // SAFETY: the word is mapped for the length of the call.
        unsafe { libc::syscall(libc::SYS_futex, self.word(offset).as_ptr(), libc::FUTEX_WAKE, i32::MAX) };
    }
}

impl Drop for ChannelMemory {
    fn drop(&mut self) {
        // SAFETY: the mapping was made by `map` and no borrow of it outlives `self`.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.len) };
    }
}
