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
    // With our own pid this would write through `addr`, which nothing here says is ours to change.
    if tid == nix::unistd::getpid().as_raw() || tid == nix::unistd::gettid().as_raw() {
        return Err(Errno::EPERM);
    }
    let local = libc::iovec { iov_base: data.as_ptr().cast_mut().cast(), iov_len: data.len() };
    let remote = libc::iovec { iov_base: addr as *mut libc::c_void, iov_len: data.len() };
    // SAFETY: `local` describes `data`, which is live and only read; `remote` is an address of the other process.
    let done = unsafe { libc::process_vm_writev(tid, &local, 1, &remote, 1, 0) };
    if done < 0 { Err(errno(nix::Error::last())) } else { Ok(done as usize) }
}
