//! `clone`, `fork`, `vfork`, `clone3`, `execve`, `exit`, `wait4` and their kin.

use abi::signal::{SigInfo, Signal};
use abi::types::CloneArgs;
use zerocopy::IntoBytes;

use super::Args;
use crate::mm::user::PATH_MAX;
use crate::task::clone::{self, CloneFlags, CloneRequest};
use crate::task::current::Exit;
use crate::task::exec::{self, ExecRequest};
use crate::task::wait::{self, Change, Report, WaitOptions, Which};
use crate::task::{Current, pidfd::PidFd};
use crate::{Errno, SysResult};

const AT_FDCWD: i32 = -100;
const AT_SYMLINK_NOFOLLOW: u32 = 0x100;
const AT_EMPTY_PATH: u32 = 0x1000;

/// `man 2 clone`, raw x86-64 order: flags, stack, parent_tid, child_tid, tls.
pub async fn clone(current: &mut Current, args: Args) -> SysResult {
    let bits = args.u64(0);
    let request = CloneRequest {
        flags: CloneFlags::from_bits_retain(bits & !0xff & 0xffff_ffff),
        exit_signal: (bits & 0xff) as u8,
        stack: args.u64(1),
        tls: args.u64(4),
        parent_tid: args.u64(2),
        child_tid: args.u64(3),
        // The legacy call returns the pidfd where the parent's tid would go, so both cannot be asked for.
        pidfd: args.u64(2),
        set_tid: 0,
    };
    if request.flags.contains(CloneFlags::PIDFD | CloneFlags::PARENT_SETTID) {
        return Err(Errno::EINVAL);
    }
    check_exit_signal(request.exit_signal)?;
    clone::clone(current, &request).await.map(|tid| tid as u64)
}

/// `man 2 clone3`
pub async fn clone3(current: &mut Current, args: Args) -> SysResult {
    let given = read_clone_args(current, args.u64(0), args.u64(1))?;
    let known = CloneFlags::all().bits();
    // CSIGNAL bits are not flags here, and CLONE_DETACHED was retired before clone3 came.
    if given.flags & !known != 0 || given.flags & (0xff & !CloneFlags::NEWTIME.bits()) != 0 {
        return Err(Errno::EINVAL);
    }
    let flags = CloneFlags::from_bits_retain(given.flags);
    let stack = match (given.stack, given.stack_size) {
        (0, 0) => 0,
        (0, _) | (_, 0) => return Err(Errno::EINVAL),
        (stack, size) => stack.checked_add(size).ok_or(Errno::EINVAL)?,
    };
    let exit_signal = u8::try_from(given.exit_signal).map_err(|_| Errno::EINVAL)?;
    check_exit_signal(exit_signal)?;
    if flags.contains(CloneFlags::DETACHED)
        || flags.intersects(CloneFlags::THREAD | CloneFlags::PARENT) && exit_signal != 0
        || given.set_tid_size > 32
        || (given.set_tid == 0) != (given.set_tid_size == 0)
    {
        return Err(Errno::EINVAL);
    }
    if flags.contains(CloneFlags::INTO_CGROUP) {
        return Err(Errno::EBADF);
    }
    let set_tid = match given.set_tid_size {
        0 => 0,
        1 => current.read_object::<i32>(given.set_tid)?,
        // More numbers than there are pid namespaces.
        _ => return Err(Errno::EINVAL),
    };
    if given.set_tid_size != 0 && set_tid < 1 {
        return Err(Errno::EINVAL);
    }
    let request = CloneRequest {
        flags,
        exit_signal,
        stack,
        tls: given.tls,
        parent_tid: given.parent_tid,
        child_tid: given.child_tid,
        pidfd: given.pidfd,
        set_tid,
    };
    clone::clone(current, &request).await.map(|tid| tid as u64)
}

/// Copies a `clone_args` of any published or future size: what we do not know must be zero.
fn read_clone_args(current: &mut Current, addr: u64, size: u64) -> Result<CloneArgs, Errno> {
    const FIRST_SIZE: u64 = 64;
    if size > abi::PAGE_SIZE {
        return Err(Errno::E2BIG);
    }
    if size < FIRST_SIZE {
        return Err(Errno::EINVAL);
    }
    let mut bytes = vec![0; size as usize];
    current.read_bytes(addr, &mut bytes)?;
    let mut given = CloneArgs::default();
    let known = size_of::<CloneArgs>().min(bytes.len());
    if bytes[known..].iter().any(|&byte| byte != 0) {
        return Err(Errno::E2BIG);
    }
    given.as_mut_bytes()[..known].copy_from_slice(&bytes[..known]);
    Ok(given)
}

fn check_exit_signal(number: u8) -> Result<(), Errno> {
    if number <= Signal::MAX { Ok(()) } else { Err(Errno::EINVAL) }
}

/// `man 2 fork`
pub async fn fork(current: &mut Current) -> SysResult {
    clone::clone(current, &CloneRequest::fork()).await.map(|tid| tid as u64)
}

/// `man 2 vfork`
pub async fn vfork(current: &mut Current) -> SysResult {
    let request = CloneRequest { flags: CloneFlags::VM | CloneFlags::VFORK, ..CloneRequest::fork() };
    clone::clone(current, &request).await.map(|tid| tid as u64)
}

/// `man 2 execve`
pub async fn execve(current: &mut Current, args: Args) -> SysResult {
    let path = current.read_path(args.u64(0))?;
    let (argv, envp) = (read_strings(current, args.u64(1))?, read_strings(current, args.u64(2))?);
    exec::execve(current, ExecRequest { dirfd: AT_FDCWD, path, flags: exec::ExecFlags::empty(), argv, envp }).await
}

/// `man 2 execveat`
pub async fn execveat(current: &mut Current, args: Args) -> SysResult {
    let bits = args.u32(4);
    if bits & !(AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) != 0 {
        return Err(Errno::EINVAL);
    }
    let mut flags = exec::ExecFlags::empty();
    flags.set(exec::ExecFlags::EMPTY_PATH, bits & AT_EMPTY_PATH != 0);
    flags.set(exec::ExecFlags::NO_FOLLOW, bits & AT_SYMLINK_NOFOLLOW != 0);
    let path = current.read_path(args.u64(1))?;
    let (argv, envp) = (read_strings(current, args.u64(2))?, read_strings(current, args.u64(3))?);
    exec::execve(current, ExecRequest { dirfd: args.i32(0), path, flags, argv, envp }).await
}

/// A NULL-terminated array of strings; a null array is empty.
fn read_strings(current: &mut Current, mut addr: u64) -> Result<Vec<Vec<u8>>, Errno> {
    /// `MAX_ARG_STRLEN`: 32 pages for one string.
    const MAX_STRING: usize = 32 * PATH_MAX;
    /// Linux allows a quarter of the stack limit and at most 6 MiB; the loader applies that, this bounds what is buffered.
    const MAX_TOTAL: usize = 6 << 20;
    let mut strings = Vec::new();
    let mut total = 0;
    while addr != 0 {
        let pointer: u64 = current.read_object(addr)?;
        if pointer == 0 {
            break;
        }
        let string = current.read_cstr(pointer, MAX_STRING).map_err(|errno| match errno {
            Errno::ENAMETOOLONG => Errno::E2BIG,
            other => other,
        })?;
        total += string.len() + 1 + size_of::<u64>();
        if total > MAX_TOTAL {
            return Err(Errno::E2BIG);
        }
        strings.push(string);
        addr = addr.checked_add(8).ok_or(Errno::EFAULT)?;
    }
    Ok(strings)
}

/// `man 2 _exit`: the calling thread only.
pub fn exit(current: &mut Current, args: Args) -> SysResult {
    current.exit = Some(Exit::Thread(args.u32(0) as u8));
    Ok(0)
}

/// `man 2 exit_group`
pub fn exit_group(current: &mut Current, args: Args) -> SysResult {
    current.exit = Some(Exit::Group(args.u32(0) as u8));
    Ok(0)
}

/// `man 2 wait4`
pub async fn wait4(current: &mut Current, args: Args) -> SysResult {
    let allowed = WaitOptions::NOHANG
        | WaitOptions::STOPPED
        | WaitOptions::CONTINUED
        | WaitOptions::NOTHREAD
        | WaitOptions::ALL
        | WaitOptions::CLONE;
    let options = WaitOptions::from_bits_retain(args.u32(2));
    if !allowed.contains(options) {
        return Err(Errno::EINVAL);
    }
    let which = match args.i32(0) {
        i32::MIN => return Err(Errno::ESRCH),
        -1 => Which::Any,
        0 => Which::Group(current.task.group.family.lock().pgid),
        pid if pid < 0 => Which::Group(-pid),
        pid => Which::Pid(pid),
    };
    let Some(report) = wait::wait(current, which, options | WaitOptions::EXITED).await? else { return Ok(0) };
    if args.u64(1) != 0 {
        current.write_object(args.u64(1), &report.change.wait_status())?;
    }
    if args.u64(3) != 0 {
        current.write_object(args.u64(3), &report.usage)?;
    }
    Ok(report.pid as u64)
}

/// `man 2 waitid`
pub async fn waitid(current: &mut Current, args: Args) -> SysResult {
    let options = WaitOptions::from_bits_retain(args.u32(3));
    let changes = WaitOptions::EXITED | WaitOptions::STOPPED | WaitOptions::CONTINUED;
    if !WaitOptions::all().contains(options) || !options.intersects(changes) {
        return Err(Errno::EINVAL);
    }
    let asked = options;
    let (which, options) = waitid_target(current, args.i32(0), args.i32(1), options)?;
    let report = wait::wait(current, which, options).await?;
    // A non-blocking pidfd says so in its own way.
    if report.is_none() && !asked.contains(WaitOptions::NOHANG) {
        return Err(Errno::EAGAIN);
    }
    if args.u64(2) != 0 {
        // Linux stores signo, errno, code, pid, uid and status only; the rest of the 128 bytes stays as it was.
        let info = report.as_ref().map_or_else(empty_info, info_of);
        let fields = &info.as_bytes()[..28];
        current.write_bytes(args.u64(2), &fields[..12])?;
        current.write_bytes(args.u64(2).wrapping_add(16), &fields[16..])?;
    }
    if let Some(report) = report.filter(|_| args.u64(4) != 0) {
        current.write_object(args.u64(4), &report.usage)?;
    }
    Ok(0)
}

fn waitid_target(
    current: &Current,
    kind: i32,
    id: i32,
    mut options: WaitOptions,
) -> Result<(Which, WaitOptions), Errno> {
    const P_ALL: i32 = 0;
    const P_PID: i32 = 1;
    const P_PGID: i32 = 2;
    const P_PIDFD: i32 = 3;
    let which = match kind {
        P_ALL => Which::Any,
        P_PID if id > 0 => Which::Pid(id),
        P_PGID if id == 0 => Which::Group(current.task.group.family.lock().pgid),
        P_PGID if id > 0 => Which::Group(id),
        P_PIDFD if id >= 0 => {
            let description = current.fd(id)?;
            let group = description.downcast::<PidFd>().ok_or(Errno::EBADF)?.group().map_err(|_| Errno::ECHILD)?;
            if description.flags().contains(crate::vfs::OpenFlags::NONBLOCK) {
                options |= WaitOptions::NOHANG;
            }
            Which::Pid(group.pid)
        }
        _ => return Err(Errno::EINVAL),
    };
    Ok((which, options))
}

fn empty_info() -> SigInfo {
    SigInfo { signo: 0, ..SigInfo::new(Signal::SIGCHLD, 0) }
}

fn info_of(report: &Report) -> SigInfo {
    let (code, status) = match report.change {
        Change::Exited(status) if status & 0x7f == 0 => (1, status >> 8 & 0xff),
        Change::Exited(status) if status & 0x80 != 0 => (3, status & 0x7f),
        Change::Exited(status) => (2, status & 0x7f),
        Change::Stopped(signal) => (5, i32::from(signal.number())),
        Change::Continued => (6, i32::from(Signal::SIGCONT.number())),
    };
    SigInfo::from_child(code, report.pid, report.uid, status, 0, 0)
}
