//! Child processes: signals, waiting; CPUs.

use crate::check;
use abi::Errno;

/// Which children [`wait`] looks at.
#[derive(Clone, Copy, Debug)]
pub enum Children {
    /// One process.
    Pid(i32),
    /// A process group.
    Group(i32),
}

/// How [`wait`] behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Blocks, and leaves the dead child as it is.
    Peek,
    /// Does not block, and leaves the child as it is.
    TryPeek,
    /// Blocks and reaps.
    Reap,
    /// Reaps if it is dead.
    TryReap,
}

/// `waitid` for the end of a child. `None`: there are such children, but none has ended.
///
/// # Errors
/// ECHILD when there is no such child, EINTR.
pub fn wait(children: Children, how: Wait) -> Result<Option<i32>, Errno> {
    let (kind, id) = match children {
        Children::Pid(pid) => (libc::P_PID, pid),
        Children::Group(group) => (libc::P_PGID, group),
    };
    let options = libc::WEXITED
        | match how {
            Wait::Peek => libc::WNOWAIT,
            Wait::TryPeek => libc::WNOWAIT | libc::WNOHANG,
            Wait::Reap => 0,
            Wait::TryReap => libc::WNOHANG,
        };
    // SAFETY: siginfo_t is plain data; zero is valid.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    // SAFETY: `info` is valid for the call.
    check(i64::from(unsafe { libc::waitid(kind, id as u32, &mut info, options) }))?;
    // SAFETY: `waitid` has filled in the SIGCHLD form, or left it zero.
    let pid = unsafe { info.si_pid() };
    Ok((pid != 0).then_some(pid))
}

/// `kill`
///
/// # Errors
/// ESRCH, EPERM.
pub fn kill(pid: i32, signal: i32) -> Result<(), Errno> {
    // SAFETY: plain call.
    check(i64::from(unsafe { libc::kill(pid, signal) }))?;
    Ok(())
}

/// `tgkill`
///
/// # Errors
/// ESRCH when there is no such thread in that process.
pub fn tgkill(pid: i32, tid: i32, signal: i32) -> Result<(), Errno> {
    // SAFETY: plain call.
    check(unsafe { libc::syscall(libc::SYS_tgkill, pid, tid, signal) })?;
    Ok(())
}

/// The process group of a process.
///
/// # Errors
/// ESRCH
pub fn group(pid: i32) -> Result<i32, Errno> {
    // SAFETY: plain call.
    check(i64::from(unsafe { libc::getpgid(pid) })).map(|group| group as i32)
}

/// CPUs this thread may run on.
pub fn cpus() -> usize {
    // SAFETY: the set is plain data, filled in by the call.
    let count = unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &mut set);
        libc::CPU_COUNT(&set)
    };
    usize::try_from(count).unwrap_or(1).max(1)
}
