//! Scheduling (`man 7 sched`): kept and told; the host schedules.

use std::sync::Arc;

use abi::types::Timespec;
use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::Args;
use crate::task::scheduling::{DEADLINE, FIFO, RR, Scheduling, priority_range};
use crate::task::{Capability, Current, Task, rlimit};
use crate::{Errno, SysResult};

const RESET_ON_FORK: u32 = 0x4000_0000;
const MASK_SIZE: u64 = 8;

fn target(current: &Current, pid: i32) -> Result<Arc<Task>, Errno> {
    match pid {
        0 => Ok(current.task.clone()),
        pid if pid < 0 => Err(Errno::EINVAL),
        pid => current.kernel.pids.task(pid).ok_or(Errno::ESRCH),
    }
}

/// `sched_setscheduler(pid, policy, param)`
pub fn sched_setscheduler(current: &mut Current, args: Args) -> SysResult {
    if args.i32(1) < 0 || args.u64(2) == 0 {
        return Err(Errno::EINVAL);
    }
    let priority: i32 = current.read_object(args.u64(2))?;
    let task = target(current, args.i32(0))?;
    let (policy, reset_on_fork) = (args.u32(1) & !RESET_ON_FORK, args.u32(1) & RESET_ON_FORK != 0);
    set(current, &task, |old| Scheduling { policy, priority, reset_on_fork, ..*old })
}

/// `sched_setparam(pid, param)`
pub fn sched_setparam(current: &mut Current, args: Args) -> SysResult {
    if args.u64(1) == 0 {
        return Err(Errno::EINVAL);
    }
    let priority: i32 = current.read_object(args.u64(1))?;
    let task = target(current, args.i32(0))?;
    set(current, &task, |old| Scheduling { priority, ..*old })
}

/// `sched_getscheduler(pid)`
pub fn sched_getscheduler(current: &mut Current, args: Args) -> SysResult {
    let scheduling = target(current, args.i32(0))?.state.lock().scheduling;
    Ok(u64::from(scheduling.policy | if scheduling.reset_on_fork { RESET_ON_FORK } else { 0 }))
}

/// `sched_getparam(pid, param)`
pub fn sched_getparam(current: &mut Current, args: Args) -> SysResult {
    if args.u64(1) == 0 {
        return Err(Errno::EINVAL);
    }
    let priority = target(current, args.i32(0))?.state.lock().scheduling.priority;
    current.write_object(args.u64(1), &priority)?;
    Ok(0)
}

/// `struct sched_attr`
#[derive(Clone, Copy, Default, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
struct Attributes {
    size: u32,
    policy: u32,
    flags: u64,
    nice: i32,
    priority: u32,
    runtime: u64,
    deadline: u64,
    period: u64,
    util_min: u32,
    util_max: u32,
}

const ATTRIBUTES_FIRST_SIZE: u32 = 48;
const ATTRIBUTES_SIZE: u32 = size_of::<Attributes>() as u32;

/// `sched_setattr(pid, attr, flags)`
pub fn sched_setattr(current: &mut Current, args: Args) -> SysResult {
    const FLAG_RESET_ON_FORK: u64 = 1;
    const KNOWN_FLAGS: u64 = 0x7f;
    if args.u64(1) == 0 || args.i32(0) < 0 || args.u32(2) != 0 {
        return Err(Errno::EINVAL);
    }
    let attributes = read_attributes(current, args.u64(1))?;
    if attributes.flags & !KNOWN_FLAGS != 0 {
        return Err(Errno::EINVAL);
    }
    let task = target(current, args.i32(0))?;
    let priority = i32::try_from(attributes.priority).map_err(|_| Errno::EINVAL)?;
    let is_realtime = matches!(attributes.policy, FIFO | RR);
    set(current, &task, |old| Scheduling {
        policy: attributes.policy,
        priority,
        nice: if is_realtime { old.nice } else { attributes.nice.clamp(-20, 19) },
        reset_on_fork: attributes.flags & FLAG_RESET_ON_FORK != 0,
        ..*old
    })
}

fn read_attributes(current: &mut Current, addr: u64) -> Result<Attributes, Errno> {
    let size = match current.read_object::<u32>(addr)? {
        0 => ATTRIBUTES_FIRST_SIZE,
        size => size,
    };
    let mut attributes = Attributes::default();
    let mut bytes = vec![0; size.min(abi::PAGE_SIZE as u32) as usize];
    let known = bytes.len().min(ATTRIBUTES_SIZE as usize);
    if !(ATTRIBUTES_FIRST_SIZE..=abi::PAGE_SIZE as u32).contains(&size) {
        current.write_object(addr, &ATTRIBUTES_SIZE)?;
        return Err(Errno::E2BIG);
    }
    current.read_bytes(addr, &mut bytes)?;
    if bytes[known..].iter().any(|&byte| byte != 0) {
        current.write_object(addr, &ATTRIBUTES_SIZE)?;
        return Err(Errno::E2BIG);
    }
    attributes.as_mut_bytes()[..known].copy_from_slice(&bytes[..known]);
    Ok(attributes)
}

/// `sched_getattr(pid, attr, size, flags)`
pub fn sched_getattr(current: &mut Current, args: Args) -> SysResult {
    let size = args.u32(2);
    let is_odd = !(ATTRIBUTES_FIRST_SIZE..=abi::PAGE_SIZE as u32).contains(&size) || args.u32(3) != 0;
    if args.u64(1) == 0 || args.i32(0) < 0 || is_odd {
        return Err(Errno::EINVAL);
    }
    let scheduling = target(current, args.i32(0))?.state.lock().scheduling;
    let is_realtime = matches!(scheduling.policy, FIFO | RR);
    let attributes = Attributes {
        size: size.min(ATTRIBUTES_SIZE),
        policy: scheduling.policy,
        flags: u64::from(scheduling.reset_on_fork),
        nice: if is_realtime { 0 } else { scheduling.nice },
        priority: scheduling.priority as u32,
        util_max: 1024,
        ..Attributes::default()
    };
    current.write_bytes(args.u64(1), &attributes.as_bytes()[..attributes.size as usize])?;
    Ok(0)
}

fn set(current: &Current, task: &Arc<Task>, next: impl FnOnce(&Scheduling) -> Scheduling) -> SysResult {
    let own = current.task.credentials();
    let theirs = task.credentials();
    let limits = task.group.limits.lock().clone();
    let mut state = task.state.lock();
    let old = state.scheduling;
    let new = next(&old);
    let (min, max) = priority_range(new.policy)?;
    // SCHED_DEADLINE needs admission control, which no host thread here can promise.
    if new.policy == DEADLINE || !(min..=max).contains(&new.priority) {
        return Err(Errno::EINVAL);
    }
    if !own.has(Capability::SYS_NICE) {
        let rt_limit = limits.get(rlimit::RTPRIO).cur;
        let is_realtime = matches!(new.policy, FIFO | RR);
        let raises = new.priority > old.priority && new.priority as u64 > rt_limit;
        if is_realtime && (raises || new.policy != old.policy && rt_limit == 0)
            || new.nice < old.nice && !may_be_nice(limits.get(rlimit::NICE).cur, new.nice)
            || own.euid != theirs.euid && own.euid != theirs.uid
            || old.reset_on_fork && !new.reset_on_fork
        {
            return Err(Errno::EPERM);
        }
    }
    state.scheduling = new;
    Ok(0)
}

fn may_be_nice(limit: u64, nice: i32) -> bool {
    u64::try_from(20 - nice).is_ok_and(|wanted| wanted <= limit)
}

/// `sched_get_priority_max(policy)`
pub fn sched_get_priority_max(_current: &mut Current, args: Args) -> SysResult {
    priority_range(args.u32(0)).map(|(_, max)| max as u64)
}

/// `sched_get_priority_min(policy)`
pub fn sched_get_priority_min(_current: &mut Current, args: Args) -> SysResult {
    priority_range(args.u32(0)).map(|(min, _)| min as u64)
}

/// `sched_rr_get_interval(pid, tp)`
pub fn sched_rr_get_interval(current: &mut Current, args: Args) -> SysResult {
    const RR_SLICE_NS: i64 = 100_000_000;
    const FAIR_SLICE_NS: i64 = 2_800_000;
    let scheduling = target(current, args.i32(0))?.state.lock().scheduling;
    let ns = match scheduling.policy {
        RR => RR_SLICE_NS,
        FIFO => 0,
        _ => FAIR_SLICE_NS,
    };
    current.write_object(args.u64(1), &Timespec::from_ns(ns))?;
    Ok(0)
}

/// `sched_setaffinity(pid, cpusetsize, mask)`
pub fn sched_setaffinity(current: &mut Current, args: Args) -> SysResult {
    let mut bytes = [0; MASK_SIZE as usize];
    let len = u64::from(args.u32(1)).min(MASK_SIZE) as usize;
    current.read_bytes(args.u64(2), &mut bytes[..len])?;
    let task = target(current, args.i32(0)).map_err(|_| Errno::ESRCH)?;
    let (own, theirs) = (current.task.credentials(), task.credentials());
    if own.euid != theirs.euid && own.euid != theirs.uid && !own.has(Capability::SYS_NICE) {
        return Err(Errno::EPERM);
    }
    let mask = u64::from_le_bytes(bytes) & host::system::cpus();
    if mask == 0 {
        return Err(Errno::EINVAL);
    }
    task.state.lock().scheduling.affinity = mask;
    Ok(0)
}

/// `sched_getaffinity(pid, cpusetsize, mask)`: the number of bytes stored.
pub fn sched_getaffinity(current: &mut Current, args: Args) -> SysResult {
    let len = args.u32(1);
    if u64::from(len) < MASK_SIZE || u64::from(len) % MASK_SIZE != 0 {
        return Err(Errno::EINVAL);
    }
    let task = target(current, args.i32(0)).map_err(|_| Errno::ESRCH)?;
    let cpus = host::system::cpus();
    let mask = match task.state.lock().scheduling.affinity {
        0 => cpus,
        affinity => affinity & cpus,
    };
    // As long as the host's masks are, as far as there is room.
    let mut bytes = vec![0; host::system::cpu_mask_len().max(MASK_SIZE as usize).min(len as usize)];
    bytes[..MASK_SIZE as usize].copy_from_slice(&mask.to_le_bytes());
    current.write_bytes(args.u64(2), &bytes)?;
    Ok(bytes.len() as u64)
}

/// `getcpu(cpu, node, unused)`
pub fn getcpu(current: &mut Current, args: Args) -> SysResult {
    for addr in [args.u64(0), args.u64(1)] {
        if addr != 0 {
            current.write_object(addr, &0u32)?;
        }
    }
    Ok(0)
}

const PRIO_PROCESS: i32 = 0;
const PRIO_PGRP: i32 = 1;
const PRIO_USER: i32 = 2;

fn priority_targets(current: &Current, which: i32, who: i32) -> Result<Vec<Arc<Task>>, Errno> {
    let pids = &current.kernel.pids;
    let all = || pids.groups().into_iter();
    match which {
        PRIO_PROCESS => Ok(target(current, who).into_iter().collect()),
        PRIO_PGRP => {
            let pgid = if who == 0 { current.task.group.family.lock().pgid } else { who };
            Ok(all().filter(|group| group.family.lock().pgid == pgid).flat_map(|group| group.threads()).collect())
        }
        PRIO_USER => {
            let uid = if who == 0 { current.task.credentials().uid } else { who as u32 };
            let threads = all().flat_map(|group| group.threads());
            Ok(threads.filter(|task| task.credentials().uid == uid).collect())
        }
        _ => Err(Errno::EINVAL),
    }
}

/// `getpriority(which, who)`: 20 - nice, so that it is never negative.
pub fn getpriority(current: &mut Current, args: Args) -> SysResult {
    let tasks = priority_targets(current, args.i32(0), args.i32(1))?;
    let highest = tasks.iter().map(|task| 20 - task.state.lock().scheduling.nice).max();
    highest.map(|priority| priority as u64).ok_or(Errno::ESRCH)
}

/// `setpriority(which, who, prio)`
pub fn setpriority(current: &mut Current, args: Args) -> SysResult {
    let tasks = priority_targets(current, args.i32(0), args.i32(1))?;
    let nice = args.i32(2).clamp(-20, 19);
    let own = current.task.credentials();
    let privileged = own.has(Capability::SYS_NICE);
    let mut result = Err(Errno::ESRCH);
    for task in tasks {
        let theirs = task.credentials();
        let limit = task.group.limits.lock().get(rlimit::NICE).cur;
        let mut state = task.state.lock();
        if theirs.uid != own.euid && theirs.euid != own.euid && !privileged {
            result = Err(Errno::EPERM);
        } else if nice < state.scheduling.nice && !privileged && !may_be_nice(limit, nice) {
            result = Err(Errno::EACCES);
        } else {
            state.scheduling.nice = nice;
            if result == Err(Errno::ESRCH) {
                result = Ok(0);
            }
        }
    }
    result
}

/// `ioprio_get(which, who)`
pub fn ioprio_get(current: &mut Current, args: Args) -> SysResult {
    // Which is one more than with getpriority.
    let tasks = priority_targets(current, args.i32(0).wrapping_sub(1), args.i32(1))?;
    let task = tasks.first().ok_or(Errno::ESRCH)?;
    let priority = task.state.lock().scheduling.io_priority;
    Ok(u64::from(priority))
}

/// `ioprio_set(which, who, ioprio)`
pub fn ioprio_set(current: &mut Current, args: Args) -> SysResult {
    const CLASS_REALTIME: u32 = 1;
    let (class, level) = (args.u32(2) >> 13, args.u32(2) & 7);
    match class {
        0 if level != 0 => return Err(Errno::EINVAL),
        CLASS_REALTIME if !current.task.credentials().has(Capability::SYS_NICE) => return Err(Errno::EPERM),
        0..=3 => {}
        _ => return Err(Errno::EINVAL),
    }
    let tasks = priority_targets(current, args.i32(0).wrapping_sub(1), args.i32(1))?;
    if tasks.is_empty() {
        return Err(Errno::ESRCH);
    }
    tasks.iter().for_each(|task| task.state.lock().scheduling.io_priority = args.u32(2));
    Ok(0)
}
