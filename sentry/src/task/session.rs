//! Process groups and sessions (`man 2 setpgid`, `man 2 setsid`).

use std::sync::Arc;

use abi::signal::{SigInfo, Signal};

use super::{Current, Family, ThreadGroup};
use crate::Errno;
use crate::kernel::Kernel;
use crate::signal;

/// Whether no member of process group `pgid` has a parent in another group of the same session: nobody could then continue a
/// stopped member (POSIX, 3.264).
pub fn is_orphaned(kernel: &Kernel, pgid: i32) -> bool {
    is_orphaned_without(kernel, pgid, None)
}

/// Where the process `pid` belongs; 0 is the caller.
///
/// # Errors
/// ESRCH
pub fn of(current: &Current, pid: i32) -> Result<Place, Errno> {
    let place = place(&find(current, pid)?.family.lock());
    Ok(place)
}

/// `setpgid`; zeros stand for the caller, and for the process's own number.
///
/// # Errors
/// As `man 2 setpgid`: EINVAL, ESRCH, EPERM, EACCES.
pub fn set_process_group(current: &Current, pid: i32, pgid: i32) -> Result<(), Errno> {
    let caller = &current.task.group;
    let pid = if pid == 0 { caller.pid } else { pid };
    let pgid = if pgid == 0 { pid } else { pgid };
    if pgid < 0 {
        return Err(Errno::EINVAL);
    }
    let _lineage = current.kernel.pids.lineage.lock();
    let Some(target) = current.kernel.pids.group(pid) else {
        return Err(if current.kernel.pids.task(pid).is_some() { Errno::EINVAL } else { Errno::ESRCH });
    };
    let own_sid = caller.family.lock().sid;
    let (is_child, theirs, has_execed) = {
        let family = target.family.lock();
        let is_child = family.parent.upgrade().is_some_and(|parent| Arc::ptr_eq(&parent, caller));
        (is_child, place(&family), family.has_execed)
    };
    if is_child {
        if theirs.sid != own_sid {
            return Err(Errno::EPERM);
        }
        if has_execed {
            return Err(Errno::EACCES);
        }
    } else if !Arc::ptr_eq(&target, caller) {
        return Err(Errno::ESRCH);
    }
    if theirs.sid == pid {
        return Err(Errno::EPERM);
    }
    if pgid != pid {
        let exists = Place { pgid, sid: own_sid };
        if !current.kernel.pids.groups().iter().any(|group| place(&group.family.lock()) == exists) {
            return Err(Errno::EPERM);
        }
    }
    target.family.lock().pgid = pgid;
    Ok(())
}

/// `setsid`: the caller leads a new session and a new process group. Its number.
///
/// # Errors
/// EPERM when a process group of that number exists.
pub fn create(current: &Current) -> Result<i32, Errno> {
    let caller = &current.task.group;
    let _lineage = current.kernel.pids.lineage.lock();
    let leads = |group: &Arc<ThreadGroup>| {
        let family = group.family.lock();
        family.pgid == caller.pid
    };
    if caller.family.lock().sid == caller.pid || current.kernel.pids.groups().iter().any(leads) {
        return Err(Errno::EPERM);
    }
    let mut family = caller.family.lock();
    (family.sid, family.pgid) = (caller.pid, caller.pid);
    Ok(caller.pid)
}

fn find(current: &Current, pid: i32) -> Result<Arc<ThreadGroup>, Errno> {
    let pids = &current.kernel.pids;
    match pid {
        0 => Ok(current.task.group.clone()),
        _ => pids.group(pid).or_else(|| Some(pids.task(pid)?.group.clone())).ok_or(Errno::ESRCH),
    }
}

/// Sends SIGHUP and SIGCONT to the process groups that the exit of `leaving` orphans while they have stopped members: its own
/// and those of its `children`, which have been given to another parent (POSIX `_exit`).
pub fn hang_up_orphans(kernel: &Kernel, leaving: &Arc<ThreadGroup>, children: &[Arc<ThreadGroup>]) {
    let (own, parent) = {
        let family = leaving.family.lock();
        (place(&family), family.parent.upgrade())
    };
    // A group may become orphaned only where the link that goes away was between two groups of one session.
    let linked = |other: &Arc<ThreadGroup>| {
        let other = place(&other.family.lock());
        other.sid == own.sid && other.pgid != own.pgid
    };
    let mut groups: Vec<i32> = Vec::new();
    if parent.as_ref().is_some_and(linked) {
        groups.push(own.pgid);
    }
    groups.extend(children.iter().filter(|child| linked(child)).map(|child| child.family.lock().pgid));
    groups.sort_unstable();
    groups.dedup();
    for pgid in groups {
        if is_orphaned_without(kernel, pgid, Some(leaving)) && has_stopped_member(kernel, pgid) {
            signal::send_to_pgrp(kernel, pgid, SigInfo::new(Signal::SIGHUP, SigInfo::SI_KERNEL));
            signal::send_to_pgrp(kernel, pgid, SigInfo::new(Signal::SIGCONT, SigInfo::SI_KERNEL));
        }
    }
}

/// Where a process belongs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    /// Process group.
    pub pgid: i32,
    /// Session.
    pub sid: i32,
}

fn place(family: &Family) -> Place {
    Place { pgid: family.pgid, sid: family.sid }
}

fn is_orphaned_without(kernel: &Kernel, pgid: i32, leaving: Option<&Arc<ThreadGroup>>) -> bool {
    let is_leaving = |group: &Arc<ThreadGroup>| leaving.is_some_and(|leaving| Arc::ptr_eq(leaving, group));
    !kernel.pids.groups().iter().filter(|group| !is_leaving(group)).any(|group| {
        let (member, parent) = {
            let family = group.family.lock();
            if family.pgid != pgid || family.exit_status.is_some() {
                return false;
            }
            (place(&family), family.parent.upgrade())
        };
        let Some(parent) = parent.filter(|parent| !is_leaving(parent)) else { return false };
        let parent = place(&parent.family.lock());
        parent.pgid != member.pgid && parent.sid == member.sid
    })
}

fn has_stopped_member(kernel: &Kernel, pgid: i32) -> bool {
    kernel.pids.groups().iter().any(|group| group.family.lock().pgid == pgid && group.signals.lock().stop.is_stopped())
}
