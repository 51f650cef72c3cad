//! Resource limits (`man 2 getrlimit`).

use std::sync::Arc;

use abi::types::Rlimit;

use super::Args;
use crate::task::rlimit::{self, Resource};
use crate::task::{Capability, Current, Task};
use crate::vfs::NR_OPEN;
use crate::{Errno, SysResult};

/// `getrlimit(resource, rlim)`
pub fn getrlimit(current: &mut Current, args: Args) -> SysResult {
    let resource = resource(args.u32(0))?;
    let limit = current.task.group.limits.lock().get(resource);
    current.return_object(args.u64(1), &limit)?;
    Ok(0)
}

/// `setrlimit(resource, rlim)`
pub fn setrlimit(current: &mut Current, args: Args) -> SysResult {
    let new: Rlimit = current.read_object(args.u64(1))?;
    let task = current.task.clone();
    set(current, &task, resource(args.u32(0))?, new)?;
    Ok(0)
}

/// `prlimit(pid, resource, new_limit, old_limit)`
pub fn prlimit64(current: &mut Current, args: Args) -> SysResult {
    let new = match args.u64(2) {
        0 => None,
        addr => Some(current.read_object::<Rlimit>(addr)?),
    };
    let resource = resource(args.u32(1));
    let target = match args.i32(0) {
        0 => current.task.clone(),
        pid => current.kernel.pids.task(pid).ok_or(Errno::ESRCH)?,
    };
    check_access(current, &target)?;
    let resource = resource?;
    let old = match new {
        None => target.group.limits.lock().get(resource),
        Some(new) => set(current, &target, resource, new)?,
    };
    if args.u64(3) != 0 {
        current.return_object(args.u64(3), &old)?;
    }
    Ok(0)
}

fn resource(number: u32) -> Result<Resource, Errno> {
    Resource::new(u64::from(number)).ok_or(Errno::EINVAL)
}

fn set(current: &Current, target: &Task, resource: Resource, new: Rlimit) -> Result<Rlimit, Errno> {
    if new.cur > new.max {
        return Err(Errno::EINVAL);
    }
    if resource == rlimit::NOFILE && new.max > NR_OPEN {
        return Err(Errno::EPERM);
    }
    let may_raise = current.task.credentials().has(Capability::SYS_RESOURCE);
    let mut limits = target.group.limits.lock();
    let old = limits.get(resource);
    if new.max > old.max && !may_raise {
        return Err(Errno::EPERM);
    }
    limits.set(resource, new);
    drop(limits);
    if resource == rlimit::CPU {
        crate::time::cpu_limit::watch(&target.group, &current.kernel.timers);
    }
    Ok(old)
}

/// Linux's `check_prlimit_permission`.
fn check_access(current: &Current, target: &Arc<Task>) -> Result<(), Errno> {
    if Arc::ptr_eq(&current.task, target) {
        return Ok(());
    }
    let (own, theirs) = (current.task.credentials(), target.credentials());
    let same = [theirs.uid, theirs.euid, theirs.suid].iter().all(|&uid| uid == own.uid)
        && [theirs.gid, theirs.egid, theirs.sgid].iter().all(|&gid| gid == own.gid);
    if same || own.has(Capability::SYS_RESOURCE) { Ok(()) } else { Err(Errno::EPERM) }
}
