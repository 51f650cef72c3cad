//! Process groups and sessions (`man 2 setpgid`, `man 2 setsid`).

use std::sync::Arc;

use abi::signal::{SigInfo, Signal};

use super::{Family, ThreadGroup};
use crate::kernel::Kernel;
use crate::signal;

/// Whether no member of process group `pgid` has a parent in another group of the same session: nobody could then continue a
/// stopped member (POSIX, 3.264).
pub fn is_orphaned(kernel: &Kernel, pgid: i32) -> bool {
    is_orphaned_without(kernel, pgid, None)
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

struct Place {
    pgid: i32,
    sid: i32,
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
