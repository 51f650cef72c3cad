//! Waiting for children (`man 2 wait4`, `man 2 waitid`).

use std::sync::Arc;

use abi::signal::Signal;
use abi::types::Rusage;

use super::{Current, ThreadGroup, exit};
use crate::Errno;

bitflags::bitflags! {
    /// Options of `wait4` and `waitid`.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct WaitOptions: u32 {
        /// `WNOHANG`
        const NOHANG = 1;
        /// `WUNTRACED`, `WSTOPPED`
        const STOPPED = 2;
        /// `WEXITED`
        const EXITED = 4;
        /// `WCONTINUED`
        const CONTINUED = 8;
        /// `WNOWAIT`
        const NOWAIT = 0x0100_0000;
        /// `__WNOTHREAD`
        const NOTHREAD = 0x2000_0000;
        /// `__WALL`
        const ALL = 0x4000_0000;
        /// `__WCLONE`
        const CLONE = 0x8000_0000;
    }
}

/// Which children are waited for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Which {
    /// Any.
    Any,
    /// The one with this pid.
    Pid(i32),
    /// Members of this process group.
    Group(i32),
}

/// What a child did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Change {
    /// Exited, with this wait status.
    Exited(i32),
    /// Stopped by a signal.
    Stopped(Signal),
    /// Continued.
    Continued,
}

/// A child that changed state.
#[derive(Clone, Debug)]
pub struct Report {
    /// Its pid.
    pub pid: i32,
    /// Its real user.
    pub uid: u32,
    /// What it did.
    pub change: Change,
    /// Its resource usage.
    pub usage: Rusage,
}

impl Change {
    /// The word that `wait4` stores.
    pub fn wait_status(self) -> i32 {
        match self {
            Change::Exited(status) => status,
            Change::Stopped(signal) => i32::from(signal.number()) << 8 | 0x7f,
            Change::Continued => 0xffff,
        }
    }
}

/// Waits until a child of `which` changes state. `None` with `NOHANG` when none has.
///
/// # Errors
/// ECHILD when there is no such child; ERESTARTSYS.
pub async fn wait(current: &mut Current, which: Which, options: WaitOptions) -> Result<Option<Report>, Errno> {
    let group = current.task.group.clone();
    let attempt = |current: &mut Current| match look(current, which, options) {
        Ok(None) if options.contains(WaitOptions::NOHANG) => Ok(None),
        Ok(None) => Err(Errno::EAGAIN),
        other => other,
    };
    current.block_on(&group.child_events, crate::kernel::wait_queue::Readiness::all(), None, attempt).await
}

fn look(current: &Current, which: Which, options: WaitOptions) -> Result<Option<Report>, Errno> {
    let group = &current.task.group;
    let _lineage = current.kernel.pids.lineage.lock();
    let children = group.family.lock().children.clone();
    let mut any = false;
    for child in children.iter().filter(|child| matches(child, which, options)) {
        any = true;
        let Some(change) = change_of(child, options) else { continue };
        let report = Report { pid: child.pid, uid: child.uid(), change, usage: child.usage() };
        if matches!(change, Change::Exited(_)) && !options.contains(WaitOptions::NOWAIT) {
            exit::reap(&current.kernel, Some(group), child);
        }
        return Ok(Some(report));
    }
    if any { Ok(None) } else { Err(Errno::ECHILD) }
}

fn matches(child: &Arc<ThreadGroup>, which: Which, options: WaitOptions) -> bool {
    let family = child.family.lock();
    let is_clone = family.exit_signal != Signal::SIGCHLD.number();
    if !options.contains(WaitOptions::ALL) && is_clone != options.contains(WaitOptions::CLONE) {
        return false;
    }
    match which {
        Which::Any => true,
        Which::Pid(pid) => child.pid == pid,
        Which::Group(pgid) => family.pgid == pgid,
    }
}

fn change_of(child: &ThreadGroup, options: WaitOptions) -> Option<Change> {
    let mut family = child.family.lock();
    let consume = !options.contains(WaitOptions::NOWAIT);
    if let Some(status) = family.exit_status {
        return options.contains(WaitOptions::EXITED).then_some(Change::Exited(status));
    }
    if let Some(signal) = family.stop_report.filter(|_| options.contains(WaitOptions::STOPPED)) {
        if consume {
            family.stop_report = None;
        }
        return Some(Change::Stopped(signal));
    }
    if family.continue_report && options.contains(WaitOptions::CONTINUED) {
        if consume {
            family.continue_report = false;
        }
        return Some(Change::Continued);
    }
    None
}
