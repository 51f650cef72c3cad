//! `execve`: a new program in the same process (`man 2 execve`).

use std::sync::Arc;

use abi::signal::Signal;
use std::sync::atomic::Ordering;

use super::credentials::{FileCapabilities, FilePrivileges, SecureBits};
use super::{Credentials, Current, Task, exit};
use crate::kernel::wait_queue::Readiness;
use crate::loader::{self, Image, LoadError, LoadRequest};
use crate::vfs::open::open_executable;
use crate::vfs::walk::WalkFlags;
use crate::vfs::{FileDescription, MountFlags};
use crate::{Errno, SysResult};

const S_ISUID: u32 = 0o4000;
const S_ISGID: u32 = 0o2000;
const S_IXGRP: u32 = 0o0010;

bitflags::bitflags! {
    /// Flags of `execveat`.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct ExecFlags: u32 {
        /// `AT_EMPTY_PATH`
        const EMPTY_PATH = 1;
        /// `AT_SYMLINK_NOFOLLOW`
        const NO_FOLLOW = 2;
    }
}

/// What is to be run.
#[derive(Clone, Debug)]
pub struct ExecRequest {
    /// Where a relative path starts.
    pub dirfd: i32,
    /// The program.
    pub path: Vec<u8>,
    /// How the path is looked up.
    pub flags: ExecFlags,
    /// Arguments.
    pub argv: Vec<Vec<u8>>,
    /// Environment.
    pub envp: Vec<Vec<u8>>,
}

/// Replaces the program of the current process. On success the task goes on with the new context.
///
/// # Errors
/// ENOENT, EACCES, ENOEXEC, E2BIG, ELOOP, ENOMEM … : the old program goes on. EAGAIN when another thread is faster.
pub async fn execve(current: &mut Current, request: ExecRequest) -> SysResult {
    let mut walk = WalkFlags::empty();
    walk.set(WalkFlags::FOLLOW, !request.flags.contains(ExecFlags::NO_FOLLOW));
    walk.set(WalkFlags::EMPTY_PATH, request.flags.contains(ExecFlags::EMPTY_PATH));
    let program = open_executable(current, request.dirfd, &request.path, walk).await?;
    let load = LoadRequest {
        program,
        path: display_path(&request),
        argv: request.argv,
        envp: request.envp,
        personality: current.task.state.lock().personality,
        credentials: next_credentials,
    };
    let image = match loader::load(current, load).await {
        Ok(image) => image,
        Err(LoadError::Refused(errno)) => return Err(errno),
        Err(LoadError::Fatal(errno)) => {
            current.task.group.exit(exit::status_of_signal(Signal::SIGSEGV, false));
            return Err(errno);
        }
    };
    become_only_thread(current).await?;
    commit(current, image);
    Ok(0)
}

/// The path as `AT_EXECFN` and scripts get it: a name relative to a descriptor goes by `/dev/fd` (`man 2 execveat`).
fn display_path(request: &ExecRequest) -> Vec<u8> {
    const AT_FDCWD: i32 = -100;
    if request.dirfd == AT_FDCWD || request.path.starts_with(b"/") {
        return request.path.clone();
    }
    let mut path = format!("/dev/fd/{}", request.dirfd).into_bytes();
    if !request.path.is_empty() {
        path.push(b'/');
        path.extend_from_slice(&request.path);
    }
    path
}

/// Whom a program runs as (`man 7 capabilities`, "Transformation of capabilities during execve"), and whether it must
/// distrust its caller.
fn next_credentials(current: &Current, program: &FileDescription) -> Result<(Arc<Credentials>, bool), Errno> {
    let old = current.task.credentials();
    let location = program.location.as_ref().ok_or(Errno::EACCES)?;
    let inode = location.inode();
    let file = inode.metadata()?;
    let mut gives = FilePrivileges::default();
    if !location.mount.flags().contains(MountFlags::NOSUID) {
        gives.set_uid = (file.permissions & S_ISUID != 0).then_some(file.uid);
        gives.set_gid = (file.permissions & (S_ISGID | S_IXGRP) == S_ISGID | S_IXGRP).then_some(file.gid);
        // Root has them all anyway, and is spared the look-up.
        let is_root = old.uid == 0 && old.euid == 0 && !old.secure_bits.contains(SecureBits::NOROOT);
        if !is_root && !old.no_new_privs {
            let xattr = inode.get_xattr(b"security.capability").ok();
            gives.capabilities = xattr.and_then(|xattr| FileCapabilities::parse(&xattr));
        }
    }
    let (new, secure) = old.for_exec(&gives)?;
    Ok((Arc::new(new), secure))
}

/// Makes all other threads of the process exit and takes the leader's place.
async fn become_only_thread(current: &mut Current) -> Result<(), Errno> {
    let task = current.task.clone();
    let others = {
        let mut family = task.group.family.lock();
        if family.exiting.is_some() || family.exec_by.is_some() {
            return Err(Errno::EAGAIN);
        }
        family.exec_by = Some(task.tid);
        family.threads.clone()
    };
    others.iter().filter(|other| other.tid != task.tid).for_each(|other| other.notify());
    let waker = super::current::current_waker().await;
    let registration = task.group.thread_queue.register(Readiness::all(), waker);
    loop {
        let (threads, exiting) = {
            let family = task.group.family.lock();
            (family.threads.len(), family.exiting.is_some())
        };
        if exiting {
            task.group.family.lock().exec_by = None;
            return Err(Errno::EAGAIN);
        }
        if threads == 1 {
            break;
        }
        crate::kernel::executor::suspend().await;
    }
    drop(registration);
    if task.tid != task.group.pid {
        take_leaders_number(current);
    }
    current.task.group.family.lock().exec_by = None;
    Ok(())
}

/// The thread that calls `execve` gets the number of the process, whoever was the leader.
fn take_leaders_number(current: &mut Current) {
    let old = current.task.clone();
    let lineage = current.kernel.pids.lineage.lock();
    let new = old.renumbered(old.group.pid);
    {
        let mut family = old.group.family.lock();
        family.threads = vec![new.clone()];
        family.exec_by = Some(new.tid);
    }
    current.kernel.pids.remove_task(old.tid);
    current.kernel.pids.add_task(&new);
    current.task = new;
    drop(lineage);
}

/// The point of no return has passed.
fn commit(current: &mut Current, image: Image) {
    exit::leave_memory(current);
    let task = current.task.clone();
    let files = {
        let mut state = task.state.lock();
        state.mm = Some(image.mm);
        state.robust_list = 0;
        state.clear_child_tid = 0;
        state.name = image.name;
        state.credentials = image.credentials;
        // Tables shared by CLONE_FILES are unshared by execve.
        let files = state.files.take().map(|files| if Arc::strong_count(&files) > 1 { files.copy() } else { files });
        state.files = files.clone();
        files
    };
    let closed = files.map(|files| files.remove_where(0..=u32::MAX, |close_on_exec| close_on_exec)).unwrap_or_default();
    closed.iter().for_each(|description| description.file.flush());
    drop(closed);
    let is_same_identity = {
        let own = task.credentials();
        own.uid == own.euid && own.gid == own.egid
    };
    task.group.dumpable.store(is_same_identity, Ordering::Relaxed);
    {
        let mut signals = task.signals.lock();
        signals.reset_for_exec();
        if !is_same_identity {
            signals.parent_death_signal = None;
        }
    }
    crate::time::posix_timer::delete_all(&task.group);
    task.group.signals.lock().reset_for_exec();
    {
        let mut family = task.group.family.lock();
        family.has_execed = true;
    }
    current.restart = None;
    current.orig_rax = None;
    // Dropping the old context ends its host thread, or parks it when a vfork parent's memory lives on.
    current.context = image.context;
    current.publish_context();
}

impl Task {
    /// This task under another number, with the same state and the same ways to reach it.
    fn renumbered(&self, tid: i32) -> Arc<Task> {
        let state = self.state.lock().clone();
        let signals = std::mem::take(&mut *self.signals.lock());
        let task = Task::new(tid, self.group.clone(), state, signals);
        task.wakeup.adopt(&self.wakeup);
        task
    }
}
