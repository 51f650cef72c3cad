//! Another process's memory by `process_vm_readv(2)` and `process_vm_writev(2)`.

use crate::errno;
use abi::Errno;

/// Copies from `tid`'s memory and returns how many bytes came before the first that cannot be read.
///
/// # Errors
/// EFAULT when that is the first one, ESRCH, EPERM.
pub fn read(tid: i32, addr: u64, buf: &mut [u8]) -> Result<usize, Errno> {
    let local = libc::iovec { iov_base: buf.as_mut_ptr().cast(), iov_len: buf.len() };
    let remote = libc::iovec { iov_base: addr as *mut libc::c_void, iov_len: buf.len() };
    // SAFETY: `local` describes `buf`, which is live and writable; `remote` is an address of the other process.
    let done = unsafe { libc::process_vm_readv(tid, &local, 1, &remote, 1, 0) };
    if done < 0 { Err(errno(nix::Error::last())) } else { Ok(done as usize) }
}

/// Copies to `tid`'s memory and returns how many bytes came before the first that cannot be written.
///
/// # Errors
/// EFAULT when that is the first one, ESRCH, EPERM.
pub fn write(tid: i32, addr: u64, data: &[u8]) -> Result<usize, Errno> {
    if is_own_thread(tid) {
        return Err(Errno::EPERM);
    }
    let local = libc::iovec { iov_base: data.as_ptr().cast_mut().cast(), iov_len: data.len() };
    let remote = libc::iovec { iov_base: addr as *mut libc::c_void, iov_len: data.len() };
    // SAFETY: `local` describes `data`, which is live and only read; `remote` is an address of
    // another process, since `tid` is no thread of this one.
    let done = unsafe { libc::process_vm_writev(tid, &local, 1, &remote, 1, 0) };
    if done < 0 { Err(errno(nix::Error::last())) } else { Ok(done as usize) }
}

/// Whether `tid` is a thread of this process, through which [`write`] would change memory under our own feet.
fn is_own_thread(tid: i32) -> bool {
    // SAFETY: signal 0 is only looked up, never sent.
    unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), tid, 0) == 0 }
}
