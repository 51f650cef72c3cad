//! Signals: dispositions, masks, waiting, sending (`man 7 signal`).

use std::sync::Arc;

use abi::signal::{SigAction, SigAltStack, SigInfo, SigSet, Signal};
use abi::types::Timespec;
use zerocopy::IntoBytes;

use super::Args;
use crate::kernel::timer::Deadline;
use crate::signal::action::KNOWN_FLAGS;
use crate::signal::{self, altstack};
use crate::task::pidfd::PidFd;
use crate::task::{Credentials, Current, Task, ThreadGroup};
use crate::{Errno, SysResult};

const SIGSET_SIZE: u64 = size_of::<SigSet>() as u64;
/// What Linux reads of a `siginfo` from a program; the rest is zero.
const SIGINFO_READ: usize = 48;

/// `rt_sigaction(signum, act, oldact, sigsetsize)`
pub fn rt_sigaction(current: &mut Current, args: Args) -> SysResult {
    check_size(args.u64(3))?;
    let new = match args.u64(1) {
        0 => None,
        addr => Some(current.read_object::<SigAction>(addr)?),
    };
    let signal = signal_of(args.i32(0))?.ok_or(Errno::EINVAL)?;
    if new.is_some() && SigSet::UNBLOCKABLE.contains(signal) {
        return Err(Errno::EINVAL);
    }
    let actions = current.task.group.signals.lock().actions.clone();
    let old = match new {
        None => actions.get(signal),
        Some(new) => {
            let flags = new.flags & KNOWN_FLAGS.bits();
            let old = actions.set(signal, SigAction { flags, mask: new.mask.without(SigSet::UNBLOCKABLE), ..new });
            if actions.ignores(signal) {
                signal::discard(&current.task.group, SigSet::of(signal));
            }
            old
        }
    };
    if args.u64(2) != 0 {
        current.return_object(args.u64(2), &old)?;
    }
    Ok(0)
}

/// `rt_sigprocmask(how, set, oldset, sigsetsize)`
pub fn rt_sigprocmask(current: &mut Current, args: Args) -> SysResult {
    check_size(args.u64(3))?;
    let old = current.task.signals.lock().mask;
    if args.u64(1) != 0 {
        let set: SigSet = current.read_object(args.u64(1))?;
        let new = match args.i32(0) {
            0 => old.or(set.without(SigSet::UNBLOCKABLE)),
            1 => old.without(set),
            2 => set,
            _ => return Err(Errno::EINVAL),
        };
        signal::set_mask(&current.task, new);
    }
    if args.u64(2) != 0 {
        current.return_object(args.u64(2), &old)?;
    }
    Ok(0)
}

/// `rt_sigpending(set, sigsetsize)`
pub fn rt_sigpending(current: &mut Current, args: Args) -> SysResult {
    if args.u64(1) > SIGSET_SIZE {
        return Err(Errno::EINVAL);
    }
    let mask = current.task.signals.lock().mask;
    let set = signal::pending(&current.task).and(mask);
    current.return_bytes(args.u64(0), &set.as_bytes()[..args.u64(1) as usize])?;
    Ok(0)
}

/// `rt_sigsuspend(mask, sigsetsize)`
pub async fn rt_sigsuspend(current: &mut Current, args: Args) -> SysResult {
    check_size(args.u64(1))?;
    let mask: SigSet = current.read_object(args.u64(0))?;
    signal::set_temporary_mask(&current.task, mask);
    let errno = wait_for_signal(current).await;
    signal::end_temporary_mask(&current.task, true);
    Err(errno)
}

/// `pause()`
pub async fn pause(current: &mut Current, _args: Args) -> SysResult {
    Err(wait_for_signal(current).await)
}

/// `rt_sigtimedwait(set, info, timeout, sigsetsize)`
pub async fn rt_sigtimedwait(current: &mut Current, args: Args) -> SysResult {
    check_size(args.u64(3))?;
    let set: SigSet = current.read_object(args.u64(0))?;
    let timeout = match args.u64(2) {
        0 => None,
        addr => {
            let timeout: Timespec = current.read_object(addr)?;
            Some(if timeout.is_valid() { timeout.to_ns() as u64 } else { return Err(Errno::EINVAL) })
        }
    };
    let set = set.without(SigSet::UNBLOCKABLE);
    let info = match signal::dequeue(&current.task, set) {
        Some(info) => info,
        None if timeout == Some(0) => return Err(Errno::EAGAIN),
        None => {
            current.task.signals.lock().awaited = set;
            let deadline = timeout.map(Deadline::after_ns);
            let attempt = |current: &mut Current| signal::dequeue(&current.task, set).ok_or(Errno::EAGAIN);
            let result = current.block_on_all(&[], deadline, attempt).await;
            current.task.signals.lock().awaited = SigSet::EMPTY;
            result.map_err(|errno| if errno == Errno::ETIMEDOUT { Errno::EAGAIN } else { Errno::EINTR })?
        }
    };
    if args.u64(1) != 0 {
        current.write_object(args.u64(1), &info)?;
    }
    Ok(info.signo as u64)
}

/// `kill(pid, sig)`
pub fn kill(current: &mut Current, args: Args) -> SysResult {
    let (pid, number) = (args.i32(0), args.i32(1));
    let info = sender_info(current, number, SigInfo::SI_USER);
    match pid {
        1.. => send_to_pid(current, pid, number, &info)?,
        i32::MIN => return Err(Errno::ESRCH),
        -1 => send_to_all(current, number, &info)?,
        _ => {
            let pgid = if pid == 0 { current.task.group.family.lock().pgid } else { -pid };
            let members = current.kernel.pids.groups().into_iter().filter(|group| group.family.lock().pgid == pgid);
            let results: Vec<_> = members.map(|group| send_checked(current, &group, number, &info)).collect();
            if !results.iter().any(Result::is_ok) {
                results.last().copied().unwrap_or(Err(Errno::ESRCH))?;
            }
        }
    }
    Ok(0)
}

/// `tkill(tid, sig)`
pub fn tkill(current: &mut Current, args: Args) -> SysResult {
    send_to_thread(current, None, args.i32(0), args.i32(1))
}

/// `tgkill(tgid, tid, sig)`
pub fn tgkill(current: &mut Current, args: Args) -> SysResult {
    if args.i32(0) <= 0 {
        return Err(Errno::EINVAL);
    }
    send_to_thread(current, Some(args.i32(0)), args.i32(1), args.i32(2))
}

/// `rt_sigqueueinfo(tgid, sig, info)`
pub fn rt_sigqueueinfo(current: &mut Current, args: Args) -> SysResult {
    let info = read_info(current, args.u64(2), args.i32(1))?;
    if claims_kernel(&info) && current.task.group.pid != args.i32(0) {
        return Err(Errno::EPERM);
    }
    send_to_pid(current, args.i32(0), args.i32(1), &info)?;
    Ok(0)
}

/// `rt_tgsigqueueinfo(tgid, tid, sig, info)`
pub fn rt_tgsigqueueinfo(current: &mut Current, args: Args) -> SysResult {
    let info = read_info(current, args.u64(3), args.i32(2))?;
    if args.i32(0) <= 0 || args.i32(1) <= 0 {
        return Err(Errno::EINVAL);
    }
    if claims_kernel(&info) && current.task.tid != args.i32(1) {
        return Err(Errno::EPERM);
    }
    let target = thread(current, Some(args.i32(0)), args.i32(1))?;
    if let Some(signal) = check_permission(current, &target.group, Some(&target), args.i32(2), &info)? {
        signal::try_send_to_task(&target, with_number(&info, signal))?;
    }
    Ok(0)
}

/// `pidfd_send_signal(pidfd, sig, info, flags)`
pub fn pidfd_send_signal(current: &mut Current, args: Args) -> SysResult {
    /// `PIDFD_SIGNAL_THREAD_GROUP`
    const THREAD_GROUP: u32 = 2;
    let flags = args.u32(3);
    // A thread's pidfd (PIDFD_THREAD) does not exist here, nor do signals to a group by pidfd.
    if flags & !THREAD_GROUP != 0 {
        return Err(Errno::EINVAL);
    }
    let description = current.fd(args.i32(0))?;
    let group = description.downcast::<PidFd>().ok_or(Errno::EBADF)?.group()?;
    let number = args.i32(1);
    let info = match args.u64(2) {
        0 => sender_info(current, number, SigInfo::SI_USER),
        addr => {
            let mut bytes = SigInfo::new(Signal::SIGHUP, 0);
            current.read_bytes(addr, &mut bytes.as_mut_bytes()[..SIGINFO_READ])?;
            bytes.pad = 0;
            if bytes.signo != number {
                return Err(Errno::EINVAL);
            }
            if claims_kernel(&bytes) && !Arc::ptr_eq(&group, &current.task.group) {
                return Err(Errno::EPERM);
            }
            bytes
        }
    };
    if group.family.lock().exit_status.is_some() && current.kernel.pids.group(group.pid).is_none() {
        return Err(Errno::ESRCH);
    }
    send_checked(current, &group, number, &info)?;
    Ok(0)
}

/// `sigaltstack(ss, old_ss)`
pub fn sigaltstack(current: &mut Current, args: Args) -> SysResult {
    let new = match args.u64(0) {
        0 => None,
        addr => Some(current.read_object::<SigAltStack>(addr)?),
    };
    let old = altstack::describe(current);
    if let Some(new) = new {
        altstack::set(current, &new)?;
    }
    if args.u64(1) != 0 {
        current.return_object(args.u64(1), &old)?;
    }
    Ok(0)
}

/// `rt_sigreturn()`
pub fn rt_sigreturn(current: &mut Current, _args: Args) -> SysResult {
    signal::sigreturn(current)
}

async fn wait_for_signal(current: &mut Current) -> Errno {
    let never = |_: &mut Current| Err::<(), _>(Errno::EAGAIN);
    let _ = current.block_on_all(&[], None, never).await;
    Errno::ERESTARTNOHAND
}

fn check_size(size: u64) -> Result<(), Errno> {
    if size == SIGSET_SIZE { Ok(()) } else { Err(Errno::EINVAL) }
}

/// A signal number from the program; `None` for 0.
fn signal_of(number: i32) -> Result<Option<Signal>, Errno> {
    match number {
        0 => Ok(None),
        _ => Signal::new(u64::try_from(number).map_err(|_| Errno::EINVAL)?).map(Some).ok_or(Errno::EINVAL),
    }
}

fn sender_info(current: &Current, number: i32, code: i32) -> SigInfo {
    let uid = current.task.credentials().uid;
    let info = SigInfo::from_sender(Signal::SIGHUP, code, current.task.group.pid, uid);
    SigInfo { signo: number, ..info }
}

fn read_info(current: &mut Current, addr: u64, number: i32) -> Result<SigInfo, Errno> {
    let mut info = SigInfo::new(Signal::SIGHUP, 0);
    current.read_bytes(addr, &mut info.as_mut_bytes()[..SIGINFO_READ])?;
    info.signo = number;
    info.pad = 0;
    Ok(info)
}

/// Only the kernel, or the process itself, may say that a signal is of the kernel or of `kill`.
fn claims_kernel(info: &SigInfo) -> bool {
    info.code >= 0 || info.code == SigInfo::SI_TKILL
}

fn with_number(info: &SigInfo, signal: Signal) -> SigInfo {
    SigInfo { signo: i32::from(signal.number()), ..*info }
}

fn send_to_pid(current: &Current, pid: i32, number: i32, info: &SigInfo) -> Result<(), Errno> {
    let pids = &current.kernel.pids;
    let group = pids.group(pid).or_else(|| Some(pids.task(pid)?.group.clone())).ok_or(Errno::ESRCH)?;
    send_checked(current, &group, number, info)
}

fn send_to_all(current: &Current, number: i32, info: &SigInfo) -> Result<(), Errno> {
    let mut result = Err(Errno::ESRCH);
    for group in current.kernel.pids.groups() {
        if group.pid == 1 || Arc::ptr_eq(&group, &current.task.group) {
            continue;
        }
        match send_checked(current, &group, number, info) {
            Err(Errno::EPERM) if result.is_err() => result = Ok(()),
            Err(Errno::EPERM) => {}
            other => result = other,
        }
    }
    result
}

fn send_checked(current: &Current, group: &Arc<ThreadGroup>, number: i32, info: &SigInfo) -> Result<(), Errno> {
    match check_permission(current, group, None, number, info)? {
        Some(signal) => signal::try_send_to_group(group, with_number(info, signal)),
        None => Ok(()),
    }
}

fn send_to_thread(current: &Current, tgid: Option<i32>, tid: i32, number: i32) -> SysResult {
    if tid <= 0 {
        return Err(Errno::EINVAL);
    }
    let target = thread(current, tgid, tid)?;
    let info = sender_info(current, number, SigInfo::SI_TKILL);
    if let Some(signal) = check_permission(current, &target.group, Some(&target), number, &info)? {
        signal::try_send_to_task(&target, with_number(&info, signal))?;
    }
    Ok(0)
}

fn thread(current: &Current, tgid: Option<i32>, tid: i32) -> Result<Arc<Task>, Errno> {
    let task = current.kernel.pids.task(tid).ok_or(Errno::ESRCH)?;
    if tgid.is_some_and(|tgid| tgid != task.group.pid) { Err(Errno::ESRCH) } else { Ok(task) }
}

/// Checks number and permission; the signal to send, `None` for the probe 0.
fn check_permission(
    current: &Current,
    group: &Arc<ThreadGroup>,
    target: Option<&Arc<Task>>,
    number: i32,
    info: &SigInfo,
) -> Result<Option<Signal>, Errno> {
    let signal = signal_of(number)?;
    let from_kernel = info.code > SigInfo::SI_USER;
    if from_kernel || Arc::ptr_eq(group, &current.task.group) {
        return Ok(signal);
    }
    let (leader, sid, uid) = {
        let family = group.family.lock();
        (family.threads.first().cloned(), family.sid, family.uid)
    };
    let theirs = match target.or(leader.as_ref()) {
        Some(task) => task.credentials(),
        None => Arc::new(Credentials { uid, suid: uid, ..Credentials::default() }),
    };
    let own_sid = current.task.group.family.lock().sid;
    let number = signal.map_or(0, |signal| u64::from(signal.number()));
    if signal::may_signal(&current.task.credentials(), own_sid, number, &theirs, sid) {
        Ok(signal)
    } else {
        Err(Errno::EPERM)
    }
}
