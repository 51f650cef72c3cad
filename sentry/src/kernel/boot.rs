//! From a platform and a gofer to a kernel with its first program.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use abi::signal::Signal;
use gofer_proto::Client;
use parking_lot::{Condvar, Mutex};
use platform::Platform;

use super::Kernel;
use super::executor::Executor;
use super::reactor::Reactor;
use super::timer::Timers;
use crate::Errno;
use crate::fs;
use crate::fs::devpts::DevPts;
use crate::fs::gofer::{Caching, GoferFs};
use crate::fs::overlay::{self, OverlayFs};
use crate::fs::tmpfs::{self, Tmpfs};
use crate::signal::{GroupSignals, TaskSignals};
use crate::task::capability::CapSet;
use crate::task::exec::{self, ExecFlags, ExecRequest};
use crate::task::{Credentials, Current, Family, Task, TaskState, ThreadGroup, rlimit, run};
use crate::tty::Tty;
use crate::vfs::permission::Access;
use crate::vfs::walk::{Origin, WalkFlags};
use crate::vfs::{FdTable, FileSystem, FsContext, Location, Mount, MountFlags, NodeKind, names};

const AT_FDCWD: i32 = -100;
/// What the host changes is seen after this at the latest: 5 ms.
const SHARED_CACHING: Caching = Caching::For(5_000_000);

/// What a kernel is booted with.
pub struct BootConfig {
    /// How guest code runs.
    pub platform: Arc<dyn Platform>,
    /// Where host files come from.
    pub gofer: Arc<Client>,
    /// The file tree, the root first.
    pub mounts: Vec<MountSpec>,
    /// Arguments, the program's path or name first.
    pub argv: Vec<Vec<u8>>,
    /// Environment.
    pub envp: Vec<Vec<u8>>,
    /// Working directory.
    pub cwd: Vec<u8>,
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// `uname -n`
    pub hostname: Vec<u8>,
    /// The host's standard streams.
    pub stdio: [Arc<OwnedFd>; 3],
    /// Most tasks at a time.
    pub max_tasks: Option<usize>,
    /// Calls to trace.
    pub strace: Option<Vec<String>>,
}

/// A file system at a place.
#[derive(Clone, Debug)]
pub struct MountSpec {
    /// Absolute path; made where it is missing and the file system below can.
    pub target: Vec<u8>,
    /// What is mounted.
    pub kind: MountKind,
}

/// Kinds of file system.
#[derive(Clone, Debug)]
pub enum MountKind {
    /// A directory or file of the host.
    Gofer {
        /// The gofer's attach point.
        attach: u32,
        /// No writes.
        read_only: bool,
        /// Where writes go instead.
        overlay: Upper,
        /// The host may change it under us: nothing is cached for long.
        shared: bool,
    },
    /// Memory.
    Tmpfs {
        /// Permissions of its root.
        permissions: u32,
    },
    /// `/dev`
    Dev,
    /// `/dev/pts`
    Devpts,
    /// `/proc`
    Proc,
    /// `/sys`
    Sys,
}

/// The upper layer of an overlay.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Upper {
    /// No overlay.
    None,
    /// Memory.
    Memory,
    /// Another attach point of the gofer.
    Attach(u32),
}

/// Why a kernel did not come up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BootError {
    /// The host refused something.
    Host(Errno),
    /// This mount failed.
    Mount(String, Errno),
    /// The working directory is not there.
    WorkingDirectory(Errno),
    /// The program cannot be run.
    Program(Errno),
}

/// What every sandbox has mounted over its root.
pub fn standard_mounts() -> Vec<MountSpec> {
    let spec = |target: &str, kind| MountSpec { target: target.into(), kind };
    vec![
        spec("/proc", MountKind::Proc),
        spec("/sys", MountKind::Sys),
        spec("/dev", MountKind::Dev),
        spec("/dev/pts", MountKind::Devpts),
        spec("/dev/shm", MountKind::Tmpfs { permissions: 0o1777 }),
        spec("/tmp", MountKind::Tmpfs { permissions: 0o1777 }),
        spec("/run", MountKind::Tmpfs { permissions: 0o755 }),
    ]
}

/// Boots a kernel: its threads run, and so does the program, when this returns.
///
/// # Errors
/// See [`BootError`]; nothing runs then.
pub fn boot(config: BootConfig) -> Result<Arc<Kernel>, BootError> {
    let kernel = make_kernel(&config).map_err(BootError::Host)?;
    fs::dev::register_drivers();
    fs::proc::register();
    fs::sys::register();
    let root = mount_all(&kernel, &config)?;
    let credentials = Arc::new(Credentials::new(config.uid, config.gid, Vec::new(), CapSet::FULL));
    let fs = enter(&root, &config.cwd, &credentials).map_err(BootError::WorkingDirectory)?;
    let (files, terminal) = standard_streams(&kernel, &config, &root).map_err(BootError::Host)?;
    let state = TaskState {
        name: Vec::new(),
        credentials,
        mm: None,
        files: Some(files),
        fs,
        clear_child_tid: 0,
        robust_list: 0,
        personality: 0,
        scheduling: Default::default(),
    };
    let group = first_group(&kernel, &config).map_err(BootError::Host)?;
    if let Some(terminal) = terminal {
        terminal.give_to(&kernel, group.pid, group.pid);
    }
    start_first(&kernel, group, state, config).map_err(BootError::Program)?;
    Ok(kernel)
}

fn make_kernel(config: &BootConfig) -> Result<Arc<Kernel>, Errno> {
    let timers = Timers::new()?;
    let reactor = Reactor::new(timers.clone())?;
    let executor = Executor::new(config.platform.clone());
    let no_threads = |_| Errno::EAGAIN;
    reactor.start().map_err(no_threads)?;
    executor.start(workers()).map_err(no_threads)?;
    let kernel = Kernel::new(config.platform.clone(), executor, timers, reactor, config.max_tasks);
    kernel.uts.set_hostname(&config.hostname);
    kernel.observe.trace(config.strace.as_deref());
    Ok(Arc::new(kernel))
}

/// One worker leads; a second takes over when it is held up. More would only help guests with many busy threads on many CPUs.
fn workers() -> usize {
    (host::system::cpus().count_ones() as usize).clamp(2, 4)
}

fn mount_all(kernel: &Arc<Kernel>, config: &BootConfig) -> Result<Location, BootError> {
    let mut root: Option<Location> = None;
    for spec in &config.mounts {
        let failed = |errno| BootError::Mount(String::from_utf8_lossy(&spec.target).into_owned(), errno);
        let (file_system, source, flags) = file_system(kernel, config, &spec.kind).map_err(failed)?;
        let mount = Mount::of(file_system, source, flags);
        match &root {
            None => root = Some(mount.root_location()),
            Some(root) => {
                let is_dir = mount.root_location().dentry.is_dir();
                let at = mountpoint(root, &spec.target, is_dir).map_err(failed)?;
                mount.attach(&at).map_err(failed)?;
            }
        }
    }
    root.ok_or(BootError::Mount("/".into(), Errno::ENOENT))
}

type Mounted = (Arc<dyn FileSystem>, &'static [u8], MountFlags);

fn file_system(kernel: &Arc<Kernel>, config: &BootConfig, kind: &MountKind) -> Result<Mounted, Errno> {
    let guarded = MountFlags::NOSUID | MountFlags::NODEV;
    Ok(match kind {
        MountKind::Gofer { attach, read_only, overlay: upper, shared } => {
            let caching = if *shared { SHARED_CACHING } else { Caching::Always };
            let lower = GoferFs::attach(config.gofer.clone(), *attach, caching)?;
            let flags = if *read_only { MountFlags::RDONLY } else { MountFlags::empty() };
            let file_system: Arc<dyn FileSystem> = match upper {
                Upper::None => lower,
                Upper::Memory => {
                    let upper = Tmpfs::new(tmpfs::Options::default());
                    OverlayFs::new(lower, upper, overlay::Upper::Temporary)?
                }
                Upper::Attach(upper) => {
                    let upper = GoferFs::attach(config.gofer.clone(), *upper, Caching::Always)?;
                    OverlayFs::new(lower, upper, overlay::Upper::Persistent)?
                }
            };
            (file_system, b"host", flags)
        }
        MountKind::Tmpfs { permissions } => {
            (Tmpfs::new(tmpfs::Options { mode: *permissions, ..tmpfs::Options::default() }), b"tmpfs", guarded)
        }
        MountKind::Dev => {
            let dev = Tmpfs::new(tmpfs::Options { mode: 0o755, ..tmpfs::Options::default() });
            fs::dev::populate(&*dev.root())?;
            (dev, b"tmpfs", MountFlags::NOSUID)
        }
        MountKind::Devpts => (
            DevPts::new(kernel.terminals.ptys.clone(), "gid=5,mode=620,ptmxmode=666")?,
            b"devpts",
            MountFlags::NOSUID | MountFlags::NOEXEC,
        ),
        MountKind::Sys => (fs::sys::Sys::new(), b"sysfs", guarded | MountFlags::NOEXEC),
        MountKind::Proc => (fs::proc::Proc::new(kernel), b"proc", guarded | MountFlags::NOEXEC),
    })
}

/// The place for a mount; directories (and, for a file, an empty file) are made where they are missing.
fn mountpoint(root: &Location, target: &[u8], is_dir: bool) -> Result<Location, Errno> {
    let origin = Origin { root: root.clone(), start: root.clone(), credentials: root_credentials(), current: None };
    let mut path = Vec::new();
    let names: Vec<&[u8]> = target.split(|&byte| byte == b'/').filter(|name| !name.is_empty()).collect();
    for (n, name) in names.iter().enumerate() {
        path.push(b'/');
        path.extend_from_slice(name);
        match origin.find(&path, WalkFlags::FOLLOW) {
            Err(Errno::ENOENT) => {
                let kind = if is_dir || n + 1 < names.len() { NodeKind::Directory } else { NodeKind::File };
                let mode = if matches!(kind, NodeKind::Directory) { 0o755 } else { 0o644 };
                names::make(&origin, &path, kind, mode, 0)?;
            }
            other => drop(other?),
        }
    }
    origin.find(&path, WalkFlags::FOLLOW)
}

fn root_credentials() -> Arc<Credentials> {
    Arc::new(Credentials::new(0, 0, Vec::new(), CapSet::FULL))
}

fn enter(root: &Location, cwd: &[u8], credentials: &Arc<Credentials>) -> Result<Arc<FsContext>, Errno> {
    let context = FsContext::new(root.clone());
    let origin = Origin { root: root.clone(), start: root.clone(), credentials: credentials.clone(), current: None };
    let place = origin.find(cwd, WalkFlags::FOLLOW | WalkFlags::DIRECTORY)?;
    names::check_enter(&place, credentials)?;
    context.state.lock().cwd = place;
    Ok(context)
}

fn standard_streams(
    kernel: &Arc<Kernel>,
    config: &BootConfig,
    root: &Location,
) -> Result<(Arc<FdTable>, Option<Arc<Tty>>), Errno> {
    let files = FdTable::new();
    // The name that `ttyname` finds for a host terminal.
    let origin = Origin { root: root.clone(), start: root.clone(), credentials: root_credentials(), current: None };
    let console = origin.find(b"/dev/console", WalkFlags::empty()).ok();
    let mut terminal = None;
    for fd in &config.stdio {
        let own = fd.try_clone().map_err(|_| Errno::EMFILE)?;
        let (description, tty) = fs::host::open_stream(kernel, own, console.clone())?;
        terminal = terminal.or(tty);
        files.insert(description, 0, rlimit::INFINITY, false)?;
    }
    Ok((files, terminal))
}

/// The first process. Number 1 is the kernel's own, which adopts orphans; so the program is killed by signals as anywhere else.
fn first_group(kernel: &Arc<Kernel>, config: &BootConfig) -> Result<Arc<ThreadGroup>, Errno> {
    const KERNEL_PID: i32 = 1;
    kernel.pids.allocate_exactly(KERNEL_PID)?;
    let pid = kernel.pids.allocate()?;
    kernel.main_pid.store(pid, Ordering::Relaxed);
    let family =
        Family { pgid: pid, sid: pid, uid: config.uid, exit_signal: Signal::SIGCHLD.number(), ..Family::default() };
    let group = ThreadGroup::new(pid, family, GroupSignals::default(), rlimit::Limits::default());
    kernel.pids.add_group(&group);
    Ok(group)
}

/// Makes the first task and waits until it has its program.
fn start_first(
    kernel: &Arc<Kernel>,
    group: Arc<ThreadGroup>,
    state: TaskState,
    config: BootConfig,
) -> Result<(), Errno> {
    let task = Task::new(group.pid, group.clone(), state, TaskSignals::default());
    group.family.lock().threads.push(task.clone());
    kernel.pids.add_task(&task);
    let mut current = Current::new(task, kernel.clone(), Box::new(platform::Vacant::default()));
    let started: Arc<(Mutex<Option<Result<(), Errno>>>, Condvar)> = Arc::default();
    let answer = started.clone();
    kernel.executor.spawn(move |waker| {
        current.publish(waker);
        Box::pin(async move {
            let request = first_request(&current, config);
            let result = match request {
                Ok(request) => exec::execve(&mut current, request).await.map(drop),
                Err(errno) => Err(errno),
            };
            // A program that dies while it is being loaded has started, as far as anyone can tell.
            let dies = current.task.group.family.lock().exiting.is_some();
            let result = if dies { Ok(()) } else { result };
            *answer.0.lock() = Some(result);
            answer.1.notify_all();
            if result.is_ok() {
                run::main(current).await;
            }
        })
    });
    let mut result = started.0.lock();
    loop {
        match *result {
            Some(result) => return result,
            None => started.1.wait(&mut result),
        }
    }
}

/// A name without a slash is looked for in the PATH of the program's environment, as a shell does.
fn first_request(current: &Current, config: BootConfig) -> Result<ExecRequest, Errno> {
    let name = config.argv.first().ok_or(Errno::ENOENT)?.clone();
    let path = if name.contains(&b'/') { name } else { search(current, &name, &config.envp)? };
    Ok(ExecRequest { dirfd: AT_FDCWD, path, flags: ExecFlags::empty(), argv: config.argv, envp: config.envp })
}

fn search(current: &Current, name: &[u8], envp: &[Vec<u8>]) -> Result<Vec<u8>, Errno> {
    const DEFAULT_PATH: &[u8] = b"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    let variable = envp.iter().find_map(|entry| entry.strip_prefix(b"PATH="));
    let mut refusal = Errno::ENOENT;
    for directory in variable.unwrap_or(DEFAULT_PATH).split(|&byte| byte == b':') {
        let directory = if directory.is_empty() { b"." } else { directory };
        let candidate = [directory, name].join(&b'/');
        let found = current
            .origin(AT_FDCWD, &candidate)
            .and_then(|origin| origin.find(&candidate, WalkFlags::FOLLOW))
            .and_then(|location| {
                names::check_access(&location, &current.task.credentials(), Access::EXEC).map(|()| location)
            });
        match found {
            Ok(location) if !location.dentry.is_dir() => return Ok(candidate),
            Ok(_) | Err(Errno::EACCES) => refusal = Errno::EACCES,
            Err(_) => {}
        }
    }
    Err(refusal)
}
