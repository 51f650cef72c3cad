//! `ptrace(2)` on seized threads, and waiting for them without reaping.
//!
//! Every request must come from the thread that called [`seize`].

use crate::errno;
use abi::Errno;
use abi::signal::SigInfo;

/// `struct user_regs_struct`.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
#[allow(missing_docs, reason = "the names are the architecture's")]
pub struct UserRegs {
    pub r15: u64,
    pub r14: u64,
    pub r13: u64,
    pub r12: u64,
    pub rbp: u64,
    pub rbx: u64,
    pub r11: u64,
    pub r10: u64,
    pub r9: u64,
    pub r8: u64,
    pub rax: u64,
    pub rcx: u64,
    pub rdx: u64,
    pub rsi: u64,
    pub rdi: u64,
    pub orig_rax: u64,
    pub rip: u64,
    pub cs: u64,
    pub eflags: u64,
    pub rsp: u64,
    pub ss: u64,
    pub fs_base: u64,
    pub gs_base: u64,
    pub ds: u64,
    pub es: u64,
    pub fs: u64,
    pub gs: u64,
}

/// Why a traced thread stands still.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stop {
    /// At a system call.
    Syscall,
    /// A signal is about to be delivered.
    Signal(u8),
    /// A group stop, or what [`interrupt`] asked for.
    Trap,
    /// It has made a process or thread, which this tracer traces too ([`newborn`]).
    Clone,
    /// It is dead and waits to be reaped, or has been.
    Dead,
}

/// What a resumed thread's system calls do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Resume {
    /// They stop the thread and are not executed.
    Emulate,
    /// They are executed by the host.
    Execute,
}

const NT_PRSTATUS: usize = 1;
const NT_X86_XSTATE: usize = 0x202;
const AUDIT_ARCH_X86_64: u32 = 0xc000_003e;

fn request(op: libc::c_uint, tid: i32, addr: usize, data: usize) -> Result<usize, Errno> {
    // SAFETY: callers pass, as `addr` and `data`, what the request `op` expects: numbers, or pointers to live memory of
    // the size that the request reads or writes. The tracee's memory is not ours.
    let result = unsafe { libc::ptrace(op, tid, addr, data) };
    if result < 0 { Err(errno(nix::Error::last())) } else { Ok(result as usize) }
}

/// Becomes the tracer of `tid` and of all that it clones, which die when this thread ends.
pub fn seize(tid: i32) -> Result<(), Errno> {
    let options = libc::PTRACE_O_EXITKILL
        | libc::PTRACE_O_TRACESYSGOOD
        | libc::PTRACE_O_TRACECLONE
        | libc::PTRACE_O_TRACEFORK
        | libc::PTRACE_O_TRACEVFORK;
    request(libc::PTRACE_SEIZE, tid, 0, options as usize).map(drop)
}

/// Stops a seized thread with [`Stop::Trap`].
pub fn interrupt(tid: i32) -> Result<(), Errno> {
    request(libc::PTRACE_INTERRUPT, tid, 0, 0).map(drop)
}

/// What a thread that stands at [`Stop::Clone`] has made.
pub fn newborn(tid: i32) -> Result<i32, Errno> {
    let mut message: libc::c_ulong = 0;
    request(libc::PTRACE_GETEVENTMSG, tid, 0, &raw mut message as usize)?;
    i32::try_from(message).map_err(|_| Errno::ESRCH)
}

/// Gives up a stopped thread, which runs on.
pub fn detach(tid: i32) -> Result<(), Errno> {
    request(libc::PTRACE_DETACH, tid, 0, 0).map(drop)
}

/// Lets a stopped thread run; a signal it was stopped for is dropped.
pub fn resume(tid: i32, how: Resume) -> Result<(), Errno> {
    let op = match how {
        Resume::Emulate => libc::PTRACE_SYSEMU,
        Resume::Execute => libc::PTRACE_CONT,
    };
    request(op, tid, 0, 0).map(drop)
}

/// Reads the integer registers.
pub fn registers(tid: i32) -> Result<UserRegs, Errno> {
    let mut regs = UserRegs::default();
    request(libc::PTRACE_GETREGS, tid, 0, &raw mut regs as usize)?;
    Ok(regs)
}

/// Sets the integer registers without the bases of FS and GS and the data segments: a guest may have given itself a base
/// (with `wrfsbase`) that the kernel does not take from a tracer.
pub fn set_registers(tid: i32, regs: &UserRegs) -> Result<(), Errno> {
    let iov_base = (&raw const *regs).cast_mut().cast();
    let mut iov = libc::iovec { iov_base, iov_len: std::mem::offset_of!(UserRegs, fs_base) };
    request(libc::PTRACE_SETREGSET, tid, NT_PRSTATUS, &raw mut iov as usize).map(drop)
}

/// Sets the bases of FS and GS.
///
/// # Errors
/// EIO for one outside user space.
pub fn set_bases(tid: i32, fs_base: u64, gs_base: u64) -> Result<(), Errno> {
    let at = |field| std::mem::offset_of!(libc::user, regs) + field;
    request(libc::PTRACE_POKEUSER, tid, at(std::mem::offset_of!(UserRegs, fs_base)), fs_base as usize)?;
    request(libc::PTRACE_POKEUSER, tid, at(std::mem::offset_of!(UserRegs, gs_base)), gs_base as usize).map(drop)
}

/// Reads the extended state in the processor's standard `xsave` form; returns its length.
pub fn xstate(tid: i32, image: &mut [u8]) -> Result<usize, Errno> {
    let mut iov = libc::iovec { iov_base: image.as_mut_ptr().cast(), iov_len: image.len() };
    request(libc::PTRACE_GETREGSET, tid, NT_X86_XSTATE, &raw mut iov as usize)?;
    Ok(iov.iov_len)
}

/// Loads the extended state; the kernel checks the image.
///
/// # Errors
/// EINVAL for components, reserved bits or MXCSR bits that do not exist, EFAULT for a wrong length.
pub fn set_xstate(tid: i32, image: &[u8]) -> Result<(), Errno> {
    let mut iov = libc::iovec { iov_base: image.as_ptr().cast_mut().cast(), iov_len: image.len() };
    request(libc::PTRACE_SETREGSET, tid, NT_X86_XSTATE, &raw mut iov as usize).map(drop)
}

/// What the signal that a thread stopped for carries.
pub fn signal_info(tid: i32) -> Result<SigInfo, Errno> {
    let mut info = SigInfo { signo: 0, errno: 0, code: 0, pad: 0, fields: [0; 112] };
    request(libc::PTRACE_GETSIGINFO, tid, 0, &raw mut info as usize)?;
    Ok(info)
}

/// Whether the system call that a thread stopped at was made through the 64-bit entry.
pub fn is_64_bit_syscall(tid: i32) -> Result<bool, Errno> {
    // The first eight bytes of `struct ptrace_syscall_info`: op, three of padding, arch.
    let mut info = [0u8; 8];
    request(libc::PTRACE_GET_SYSCALL_INFO, tid, info.len(), info.as_mut_ptr() as usize)?;
    Ok(u32::from_ne_bytes([info[4], info[5], info[6], info[7]]) == AUDIT_ARCH_X86_64)
}

/// A thread's registration of restartable sequences.
#[derive(Clone, Copy, Debug)]
pub struct Rseq {
    /// Address of its `struct rseq`, 0 when it has none.
    pub addr: u64,
    /// Its length.
    pub len: u32,
    /// The signature before abort handlers.
    pub signature: u32,
}

/// Asks for a stopped thread's `rseq` registration (Linux 5.13).
pub fn rseq(tid: i32) -> Result<Rseq, Errno> {
    let mut config = [0u32; 6];
    request(libc::PTRACE_GET_RSEQ_CONFIGURATION, tid, size_of_val(&config), config.as_mut_ptr() as usize)?;
    Ok(Rseq { addr: u64::from(config[0]) | u64::from(config[1]) << 32, len: config[2], signature: config[3] })
}

/// Blocks until `tid` stops or dies. A dead thread keeps its id until [`reap`].
pub fn wait(tid: i32) -> Stop {
    wait_for(libc::P_PID, tid, libc::__WALL).map_or(Stop::Dead, |(_, stop)| stop)
}

/// The same for any thread that the calling thread traces; `None` when there is none.
pub fn wait_any() -> Option<(i32, Stop)> {
    wait_for(libc::P_ALL, 0, libc::__WALL | libc::__WNOTHREAD)
}

/// Whether `tid`, traced by any thread of this process, is dead and waits to be reaped.
pub fn is_dead(tid: i32) -> bool {
    wait_for(libc::P_PID, tid, libc::__WALL | libc::WNOHANG).is_none_or(|(_, stop)| stop == Stop::Dead)
}

/// `waitid`; with WNOHANG, a thread that has nothing to tell is told as [`Stop::Trap`] of 0.
fn wait_for(what: libc::idtype_t, id: i32, flags: i32) -> Option<(i32, Stop)> {
    let options = libc::WEXITED | libc::WSTOPPED | libc::WNOWAIT | flags;
    loop {
        // SAFETY: all-zero is a valid siginfo_t.
        let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
        // SAFETY: `info` is live and writable for the call.
        if unsafe { libc::waitid(what, id as libc::id_t, &raw mut info, options) } < 0 {
            match nix::Error::last() {
                nix::Error::EINTR => continue,
                _ => return None,
            }
        }
        // SAFETY: a successful waitid has filled in the SIGCHLD fields, or left them 0.
        let (pid, status) = unsafe { (info.si_pid(), info.si_status()) };
        let stop = match (info.si_code, status >> 8) {
            (libc::CLD_TRAPPED, 0) if status == libc::SIGTRAP | 0x80 => Stop::Syscall,
            (libc::CLD_TRAPPED, 0) => Stop::Signal(status as u8),
            (libc::CLD_TRAPPED, libc::PTRACE_EVENT_FORK | libc::PTRACE_EVENT_VFORK | libc::PTRACE_EVENT_CLONE) => {
                Stop::Clone
            }
            (libc::CLD_EXITED | libc::CLD_KILLED | libc::CLD_DUMPED, _) => Stop::Dead,
            _ => Stop::Trap,
        };
        return Some((pid, stop));
    }
}

/// Reaps a thread that [`wait`] found dead (or waits for that).
pub fn reap(tid: i32) {
    loop {
        // SAFETY: no pointer but NULL is passed.
        let result =
            unsafe { libc::waitid(libc::P_PID, tid as libc::id_t, std::ptr::null_mut(), libc::WEXITED | libc::__WALL) };
        if result == 0 || nix::Error::last() != nix::Error::EINTR {
            return;
        }
    }
}

/// Sends `signal` to one thread of the thread group `tgid`.
pub fn signal_thread(tgid: i32, tid: i32, signal: abi::signal::Signal) -> Result<(), Errno> {
    // SAFETY: takes only numbers.
    let result = unsafe { libc::syscall(libc::SYS_tgkill, tgid, tid, i32::from(signal.number())) };
    if result < 0 { Err(errno(nix::Error::last())) } else { Ok(()) }
}

/// Kills a whole thread group.
pub fn kill(tgid: i32) -> Result<(), Errno> {
    if tgid <= 1 {
        return Err(Errno::ESRCH);
    }
    // SAFETY: takes only numbers, and a positive pid names one process.
    let result = unsafe { libc::kill(tgid, libc::SIGKILL) };
    if result < 0 { Err(errno(nix::Error::last())) } else { Ok(()) }
}
