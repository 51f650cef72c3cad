//! New threads and processes (`man 2 clone`).

use std::sync::Arc;
use std::sync::atomic::Ordering;

use abi::signal::Signal;

use super::current::VforkDone;
use super::{Current, Family, Task, TaskState, ThreadGroup, run};
use crate::Errno;
use crate::kernel::wait_queue::Readiness;

bitflags::bitflags! {
    /// `CLONE_*`
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    #[allow(missing_docs, reason = "the names are the manual's")]
    pub struct CloneFlags: u64 {
        const VM = 0x100;
        const FS = 0x200;
        const FILES = 0x400;
        const SIGHAND = 0x800;
        const PIDFD = 0x1000;
        const PTRACE = 0x2000;
        const VFORK = 0x4000;
        const PARENT = 0x8000;
        const THREAD = 0x1_0000;
        const NEWNS = 0x2_0000;
        const SYSVSEM = 0x4_0000;
        const SETTLS = 0x8_0000;
        const PARENT_SETTID = 0x10_0000;
        const CHILD_CLEARTID = 0x20_0000;
        const DETACHED = 0x40_0000;
        const UNTRACED = 0x80_0000;
        const CHILD_SETTID = 0x100_0000;
        const NEWCGROUP = 0x200_0000;
        const NEWUTS = 0x400_0000;
        const NEWIPC = 0x800_0000;
        const NEWUSER = 0x1000_0000;
        const NEWPID = 0x2000_0000;
        const NEWNET = 0x4000_0000;
        const IO = 0x8000_0000;
        const CLEAR_SIGHAND = 0x1_0000_0000;
        const INTO_CGROUP = 0x2_0000_0000;
        const NEWTIME = 0x80;
    }
}

impl CloneFlags {
    /// Flags that ask for a new namespace.
    pub const NAMESPACES: CloneFlags = CloneFlags::NEWNS
        .union(CloneFlags::NEWCGROUP)
        .union(CloneFlags::NEWUTS)
        .union(CloneFlags::NEWIPC)
        .union(CloneFlags::NEWUSER)
        .union(CloneFlags::NEWPID)
        .union(CloneFlags::NEWNET)
        .union(CloneFlags::NEWTIME);
}

/// What `clone`, `clone3`, `fork` and `vfork` ask for, decoded.
#[derive(Clone, Debug)]
pub struct CloneRequest {
    /// `CLONE_*`
    pub flags: CloneFlags,
    /// Signal for the parent when the child exits; 0 for none.
    pub exit_signal: u8,
    /// Stack pointer of the child; 0 keeps the parent's.
    pub stack: u64,
    /// FS base with `SETTLS`.
    pub tls: u64,
    /// Where the parent gets the child's tid (`PARENT_SETTID`).
    pub parent_tid: u64,
    /// Where the child gets its own (`CHILD_SETTID`), and what is cleared when it exits (`CHILD_CLEARTID`).
    pub child_tid: u64,
    /// Where the pidfd goes (`PIDFD`).
    pub pidfd: u64,
    /// The number the child must get; 0 for any.
    pub set_tid: i32,
}

impl CloneRequest {
    /// What plain `fork` asks for.
    pub fn fork() -> CloneRequest {
        CloneRequest {
            flags: CloneFlags::empty(),
            exit_signal: Signal::SIGCHLD.number(),
            stack: 0,
            tls: 0,
            parent_tid: 0,
            child_tid: 0,
            pidfd: 0,
            set_tid: 0,
        }
    }

    fn check(&self) -> Result<(), Errno> {
        let has = |flags| self.flags.contains(flags);
        let invalid = has(CloneFlags::THREAD) && !has(CloneFlags::SIGHAND)
            || has(CloneFlags::SIGHAND) && !has(CloneFlags::VM)
            || has(CloneFlags::SIGHAND) && has(CloneFlags::CLEAR_SIGHAND)
            || has(CloneFlags::THREAD) && self.flags.intersects(CloneFlags::NEWPID | CloneFlags::NEWUSER)
            || has(CloneFlags::FS) && self.flags.intersects(CloneFlags::NEWNS | CloneFlags::NEWUSER)
            || has(CloneFlags::SYSVSEM) && has(CloneFlags::NEWIPC)
            || has(CloneFlags::PIDFD) && has(CloneFlags::DETACHED);
        if invalid {
            return Err(Errno::EINVAL);
        }
        // One namespace of each kind per sandbox so far: asking for another is refused as to a process without the right.
        if self.flags.intersects(CloneFlags::NAMESPACES) { Err(Errno::EPERM) } else { Ok(()) }
    }
}

/// Makes a child of the current task and starts it. Returns its tid, after `vfork` only when the child is done with the memory.
///
/// # Errors
/// EINVAL for flags that do not go together; EAGAIN at a limit; ENOMEM; EPERM for a new namespace; EFAULT.
pub async fn clone(current: &mut Current, request: &CloneRequest) -> Result<i32, Errno> {
    request.check()?;
    let kernel = current.kernel.clone();
    super::rlimit::check_new_process(&kernel, current)?;
    let tid = match request.set_tid {
        0 => kernel.pids.allocate()?,
        wanted => kernel.pids.allocate_exactly(wanted)?,
    };
    let made = make(current, request, tid);
    let (child, vfork_done) = match made {
        Ok(made) => made,
        Err(errno) => {
            kernel.pids.release(tid);
            return Err(errno);
        }
    };
    run::start(&kernel, child);
    if let Some(done) = vfork_done {
        wait_for_vfork(current, &done).await;
    }
    Ok(tid)
}

fn make(current: &mut Current, request: &CloneRequest, tid: i32) -> Result<(Current, Option<Arc<VforkDone>>), Errno> {
    let kernel = current.kernel.clone();
    let has = |flags| request.flags.contains(flags);
    let parent = current.task.clone();
    let shares_memory = has(CloneFlags::VM);
    let pidfd = if has(CloneFlags::PIDFD) { Some(super::pidfd::prepare(current, request.pidfd)?) } else { None };
    if has(CloneFlags::PARENT_SETTID) {
        current.write_object(request.parent_tid, &tid)?;
    }

    let mm = parent.mm()?;
    let (mut context, mm) = if shares_memory {
        (current.context.clone_thread()?, mm)
    } else {
        let (mm, context) = mm.fork(&mut *current.context)?;
        (context, mm)
    };
    let regs = context.regs_mut();
    regs.rax = 0;
    if request.stack != 0 {
        regs.rsp = request.stack;
    }
    if has(CloneFlags::SETTLS) {
        regs.fs_base = request.tls;
    }
    if has(CloneFlags::CHILD_SETTID) {
        // As in Linux, a bad address here is the child's problem and goes unreported.
        let _ = context.write(request.child_tid, &tid.to_ne_bytes());
    }

    let state = child_state(&parent, request, mm)?;
    let signals = parent.signals.lock().for_child(shares_memory && !has(CloneFlags::VFORK));
    let lineage = kernel.pids.lineage.lock();
    if parent.group.family.lock().exiting.is_some() {
        return Err(Errno::ERESTARTNOINTR);
    }
    let group = if has(CloneFlags::THREAD) { parent.group.clone() } else { child_group(current, request, tid) };
    let task = Task::new(tid, group.clone(), state, signals);
    group.family.lock().threads.push(task.clone());
    kernel.pids.add_task(&task);
    if !has(CloneFlags::THREAD) {
        kernel.pids.add_group(&group);
    }
    drop(lineage);
    if let Some(pidfd) = pidfd {
        pidfd.complete(&group);
    }
    let vfork_done = has(CloneFlags::VFORK).then(Arc::<VforkDone>::default);
    let mut child = Current::new(task, kernel, context);
    child.vfork_done.clone_from(&vfork_done);
    Ok((child, vfork_done))
}

fn child_state(parent: &Task, request: &CloneRequest, mm: Arc<crate::mm::MemoryMap>) -> Result<TaskState, Errno> {
    let state = parent.state.lock();
    let files = state.files.as_ref().ok_or(Errno::ESRCH)?;
    let has = |flags| request.flags.contains(flags);
    Ok(TaskState {
        name: state.name.clone(),
        credentials: state.credentials.clone(),
        mm: Some(mm),
        files: Some(if has(CloneFlags::FILES) { files.clone() } else { files.copy() }),
        fs: if has(CloneFlags::FS) { state.fs.clone() } else { state.fs.copy() },
        clear_child_tid: if has(CloneFlags::CHILD_CLEARTID) { request.child_tid } else { 0 },
        robust_list: 0,
        scheduling: state.scheduling.for_child(),
        personality: state.personality,
    })
}

/// A new process. Lineage is held.
fn child_group(current: &Current, request: &CloneRequest, pid: i32) -> Arc<ThreadGroup> {
    let caller = &current.task.group;
    let has = |flags| request.flags.contains(flags);
    let signals = caller.signals.lock().for_child(has(CloneFlags::SIGHAND), has(CloneFlags::CLEAR_SIGHAND));
    let limits = caller.limits.lock().clone();
    let (parent, exit_signal) = match caller.parent().filter(|_| has(CloneFlags::PARENT)) {
        Some(grandparent) => (grandparent, caller.family.lock().exit_signal),
        None => (caller.clone(), request.exit_signal),
    };
    let family = {
        let own = caller.family.lock();
        Family {
            parent: Arc::downgrade(&parent),
            uid: own.uid,
            pgid: own.pgid,
            sid: own.sid,
            exit_signal,
            ..Family::default()
        }
    };
    let group = ThreadGroup::new(pid, family, signals, limits);
    group.dumpable.store(caller.dumpable.load(Ordering::Relaxed), Ordering::Relaxed);
    group.huge_pages_off.store(caller.huge_pages_off.load(Ordering::Relaxed), Ordering::Relaxed);
    if group.limits.lock().get(super::rlimit::CPU).cur != super::rlimit::INFINITY {
        crate::time::cpu_limit::watch(&group, &current.kernel.timers);
    }
    parent.family.lock().children.push(group.clone());
    group
}

/// Waits for the child to exit or call `execve`. Only death ends it early.
async fn wait_for_vfork(current: &mut Current, done: &Arc<VforkDone>) {
    let waker = super::current::current_waker().await;
    let _registration = done.queue.register(Readiness::all(), waker);
    while !done.is_done() && current.task.group.family.lock().exiting.is_none() && !current.context.is_gone() {
        current.context.will_block();
        crate::kernel::executor::suspend().await;
    }
}
