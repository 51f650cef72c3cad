//! Says which system call a process's own seccomp filter did not allow, and ends the process.

use abi::Errno;

use crate::check;

/// What the process exits with then.
pub const EXIT_CODE: i32 = 125;

/// Installs the handler for `SECCOMP_RET_TRAP`.
///
/// # Errors
/// None that a present kernel has.
pub fn report() -> Result<(), Errno> {
    // SAFETY: plain data for which zero is valid.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = on_violation as *const () as usize;
    action.sa_flags = libc::SA_SIGINFO;
    // SAFETY: `action` is complete, and the handler does only what a handler may do.
    check(unsafe { libc::sigaction(libc::SIGSYS, &raw const action, std::ptr::null_mut()) }.into()).map(drop)
}

extern "C" fn on_violation(_signal: i32, info: *const libc::siginfo_t, _context: *mut libc::c_void) {
    const SI_SYSCALL_OFFSET: usize = 24;
    // SAFETY: for SIGSYS the kernel stores the call's number there, inside the structure.
    let mut number = unsafe { info.byte_add(SI_SYSCALL_OFFSET).cast::<u32>().read_unaligned() };
    let mut message =
        *b"sandbox: host system call      is not in the list of this process of the sandbox, which ends (a bug)\n";
    let mut at = b"sandbox: host system call    ".len();
    loop {
        message[at] = b'0' + (number % 10) as u8;
        number /= 10;
        at -= 1;
        if number == 0 || message[at] != b' ' {
            break;
        }
    }
    // SAFETY: async-signal-safe calls on a buffer of this frame.
    unsafe {
        libc::write(2, message.as_ptr().cast(), message.len());
        libc::_exit(EXIT_CODE);
    }
}
