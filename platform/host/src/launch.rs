//! Starts the sandbox's own processes: a copy of the caller in new namespaces, without exec.

use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::Duration;

use abi::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use crate::errno;

bitflags::bitflags! {
    /// Namespaces that a child gets for its own (`man 7 namespaces`).
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct Namespaces: u64 {
        /// Mounts.
        const MOUNT = libc::CLONE_NEWNS as u64;
        /// Host and domain name.
        const UTS = libc::CLONE_NEWUTS as u64;
        /// System V IPC and POSIX message queues.
        const IPC = libc::CLONE_NEWIPC as u64;
        /// Users.
        const USER = libc::CLONE_NEWUSER as u64;
        /// Processes.
        const PID = libc::CLONE_NEWPID as u64;
        /// Network.
        const NET = libc::CLONE_NEWNET as u64;
    }
}

/// A child process, reaped when dropped.
pub struct Child {
    pid: i32,
    pidfd: OwnedFd,
}

impl Child {
    /// Its process id.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Kills it, whatever it does.
    pub fn kill(&self) {
        // SAFETY: plain system call on an owned descriptor; a null siginfo means that of kill().
        unsafe {
            libc::syscall(
                libc::SYS_pidfd_send_signal,
                std::os::fd::AsRawFd::as_raw_fd(&self.pidfd),
                libc::SIGKILL,
                0,
                0,
            )
        };
    }

    /// Waits for its end; the wait status.
    pub fn wait(&self) -> i32 {
        let mut status = 0;
        loop {
            // SAFETY: `status` outlives the call.
            let result = unsafe { libc::waitpid(self.pid, &raw mut status, libc::__WALL) };
            if result >= 0 || std::io::Error::last_os_error().raw_os_error() != Some(libc::EINTR) {
                return status;
            }
        }
    }
}

impl AsFd for Child {
    /// Readable once the child has ended.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }
}

/// Runs `role` in a copy of this process, which must have one thread only; the child exits with what it returns. It is killed
/// when the calling thread ends.
///
/// # Errors
/// EPERM where the host lets nobody make such namespaces; ENOSPC beyond their limits; EAGAIN, ENOMEM.
pub fn spawn(namespaces: Namespaces, role: impl FnOnce() -> i32) -> Result<Child, Errno> {
    let mut pidfd: i32 = -1;
    let mut arguments: libc::clone_args = zeroed_clone_args();
    arguments.flags = namespaces.bits() | libc::CLONE_PIDFD as u64;
    arguments.pidfd = (&raw mut pidfd) as u64;
    arguments.exit_signal = libc::SIGCHLD as u64;
    // SAFETY: like fork(): no new stack, so both go on here; the process has one thread, so no lock is held by another.
    let pid = unsafe { libc::syscall(libc::SYS_clone3, &raw mut arguments, size_of::<libc::clone_args>()) };
    match pid {
        -1 => Err(errno(nix::Error::last())),
        0 => {
            die_with_parent();
            let code = std::panic::catch_unwind(std::panic::AssertUnwindSafe(role)).unwrap_or(125);
            // SAFETY: ends the child without running the parent's exit handlers a second time.
            unsafe { libc::_exit(code) }
        }
        // SAFETY: the kernel has just stored a new descriptor there.
        pid => Ok(Child { pid: pid as i32, pidfd: unsafe { OwnedFd::from_raw_fd(pidfd) } }),
    }
}

fn zeroed_clone_args() -> libc::clone_args {
    // SAFETY: a plain structure of integers.
    unsafe { std::mem::zeroed() }
}

/// Gives the calling process, which has one thread, namespaces of its own. (Not PID ones: those take effect for children.)
///
/// # Errors
/// EPERM, ENOSPC, ENOMEM.
pub fn unshare(namespaces: Namespaces) -> Result<(), Errno> {
    // SAFETY: plain number.
    crate::check(unsafe { libc::unshare(namespaces.bits() as i32) }.into()).map(drop)
}

/// Asks for SIGKILL when the parent ends. A change of user or group takes that back.
pub fn die_with_parent() {
    let _ = nix::sys::prctl::set_pdeathsig(Signal::SIGKILL);
}

/// Names the calling thread as `ps` shows it.
pub fn set_name(name: &std::ffi::CStr) {
    let _ = nix::sys::prctl::set_name(name);
}

/// Maps user and group 0 of the child's user namespace to `uid` and `gid` of the caller's.
///
/// # Errors
/// EPERM when the caller may not map these.
pub fn map_ids(child: &Child, uid: u32, gid: u32, may_set_groups: bool) -> Result<(), Errno> {
    let write = |file: &str, text: String| {
        std::fs::write(format!("/proc/{}/{file}", child.pid), text)
            .map_err(|error| Errno(error.raw_os_error().unwrap_or(libc::EIO) as u16))
    };
    if !may_set_groups {
        write("setgroups", "deny".into())?;
    }
    write("gid_map", format!("0 {gid} 1"))?;
    write("uid_map", format!("0 {uid} 1"))
}

/// Whether this process may map `id` into a user namespace, and make namespaces of the other kinds without one: it is root, has
/// not been deprived of that right, and is in no user namespace that lacks the id.
pub fn may_map_ids(id: u32) -> bool {
    let text = |file: &str| std::fs::read_to_string(file).unwrap_or_default();
    let number = |field: Option<&str>| field.and_then(|field| field.parse::<u64>().ok());
    nix::unistd::geteuid().is_root()
        && crate::capability::has(crate::capability::SYS_ADMIN)
        && text("/proc/self/uid_map").lines().any(|line| {
            let mut fields = line.split_whitespace();
            let (first, _, count) = (number(fields.next()), fields.next(), number(fields.next()));
            matches!((first, count), (Some(first), Some(count)) if (first..first + count).contains(&id.into()))
        })
}

/// Signals taken as data instead of interrupting the process.
pub struct Signals(SignalFd);

impl Signals {
    /// Blocks `numbers` and collects them.
    ///
    /// # Errors
    /// EMFILE; EINVAL for a number that is not a standard signal.
    pub fn collect(numbers: &[i32]) -> Result<Signals, Errno> {
        let mut set = SigSet::empty();
        for &number in numbers {
            set.add(Signal::try_from(number).map_err(errno)?);
        }
        let mut blocked = set;
        // It may look after the terminal from the background.
        blocked.add(Signal::SIGTTOU);
        sigprocmask(SigmaskHow::SIG_BLOCK, Some(&blocked), None).map_err(errno)?;
        SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK).map(Signals).map_err(errno)
    }

    /// The next signal that has come.
    pub fn next(&self) -> Option<i32> {
        self.0.read_signal().ok().flatten().map(|info| info.ssi_signo as i32)
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Unblocks every signal: what a role starts with. Those for background use of a terminal stay blocked: a role in the background
/// gets EIO for a read then, instead of a stop that nothing inside knows of.
pub fn reset_signals() {
    let mut blocked = SigSet::empty();
    blocked.add(Signal::SIGTTIN);
    blocked.add(Signal::SIGTTOU);
    let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&blocked), None);
}

/// Stops the calling process as `^Z` does, until somebody continues it. Returns at once where nobody could: in an orphaned
/// process group.
pub fn stop_self() {
    let mut stop = SigSet::empty();
    stop.add(Signal::SIGTSTP);
    let _ = nix::sys::signal::raise(Signal::SIGTSTP);
    // It is blocked, to be collected: let it act once.
    let _ = sigprocmask(SigmaskHow::SIG_UNBLOCK, Some(&stop), None);
    let _ = sigprocmask(SigmaskHow::SIG_BLOCK, Some(&stop), None);
}

/// Waits until one of `fds` is readable or hung up, or `timeout` passes; which ones are.
pub fn wait_readable(fds: &[BorrowedFd<'_>], timeout: Option<Duration>) -> Vec<bool> {
    let mut polled: Vec<PollFd<'_>> = fds.iter().map(|fd| PollFd::new(*fd, PollFlags::POLLIN)).collect();
    let timeout = timeout.map_or(PollTimeout::NONE, |t| {
        PollTimeout::try_from(t.as_millis().saturating_add(1).min(i32::MAX as u128) as i32).unwrap_or(PollTimeout::MAX)
    });
    match poll(&mut polled, timeout) {
        Ok(_) => polled.iter().map(|p| p.any().unwrap_or(false)).collect(),
        Err(_) => vec![false; fds.len()],
    }
}

/// Real user and group of the caller.
pub fn ids() -> (u32, u32) {
    (nix::unistd::getuid().as_raw(), nix::unistd::getgid().as_raw())
}

/// Like [`spawn`] without namespaces, for a process that is to outlive its parent: it has a session of its own.
///
/// # Errors
/// EAGAIN, ENOMEM.
pub fn spawn_detached(role: impl FnOnce() -> i32) -> Result<Child, Errno> {
    spawn(Namespaces::empty(), || {
        let _ = nix::unistd::setsid();
        let _ = nix::sys::prctl::set_pdeathsig(None::<Signal>);
        role()
    })
}

/// Blocks until process `pid` is gone.
pub fn wait_for_exit_of(pid: u32) {
    // SAFETY: plain system call; the result is checked before it is owned.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    if fd >= 0 {
        // SAFETY: the kernel has just returned this descriptor to us.
        let pidfd = unsafe { OwnedFd::from_raw_fd(fd as i32) };
        wait_readable(&[pidfd.as_fd()], None);
    }
}

/// Takes user and group 0 of the caller's user namespace, once they are mapped.
///
/// # Errors
/// EINVAL when they are not mapped.
pub fn become_root() -> Result<(), Errno> {
    let (root_user, root_group) = (nix::unistd::Uid::from_raw(0), nix::unistd::Gid::from_raw(0));
    nix::unistd::setresgid(root_group, root_group, root_group).map_err(errno)?;
    nix::unistd::setresuid(root_user, root_user, root_user).map_err(errno)
}

/// Ends the process at once: other threads, destructors and exit handlers included.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: ends the process.
    unsafe { libc::_exit(code) }
}
