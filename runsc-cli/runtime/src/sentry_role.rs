//! The sentry's process and the gofer's: from the fork to the kernel that runs.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use abi::signal::Signal;
use gofer_proto::{Client, Connection};
use host::launch::{self, Child, Namespaces};
use platform::Platform;
use sentry::kernel::boot::{self, BootConfig, MountKind, MountSpec};
use sentry::kernel::{Ending, Kernel, News};

use crate::control::{Control, ToCommand, ToSentry};
use crate::options::{Overlay, PlatformKind};
use crate::rootfs::View;
use crate::{Error, RunOptions, jail, log};

/// Whose rights the sandbox is made with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Caller {
    /// Root's: ids can be mapped to any.
    Root,
    /// Somebody's, or root's who passed `--rootless`: only this user and group can be mapped.
    User {
        /// Of the host.
        uid: u32,
        /// Of the host.
        gid: u32,
    },
}

/// Starts the gofer for `view`; attach point n is export n, the upper layer comes last.
///
/// # Errors
/// EPERM, ENOSPC, EAGAIN, ENOMEM.
pub fn start_gofer(view: &View, connection: Connection, caller: Caller) -> Result<Child, abi::Errno> {
    let (namespaces, identity) = match caller {
        Caller::Root => (Namespaces::PID, gofer::Identity::Caller),
        Caller::User { uid, gid } => (Namespaces::PID | Namespaces::USER, gofer::Identity::MappedRoot { uid, gid }),
    };
    launch::spawn(namespaces, || {
        launch::set_name(c"sandbox-gofer");
        launch::reset_signals();
        let mut config = gofer::Config::new(attach_points(view), connection);
        let served = launch::unshare(gofer::NAMESPACES - Namespaces::PID)
            .map_err(|errno| format!("its namespaces: {errno}"))
            .and_then(|()| gofer::jail(&mut config, identity).map_err(|error| error.to_string()))
            .and_then(|()| {
                launch::die_with_parent();
                gofer::serve(config).map_err(|error| error.to_string())
            });
        match served {
            Ok(()) => 0,
            Err(error) => {
                eprintln!("sandbox: the gofer failed: {error}");
                i32::from(crate::error::EXIT_OURS)
            }
        }
    })
}

fn attach_points(view: &View) -> Vec<gofer::AttachPoint> {
    let upper = view.upper.iter().map(|upper| gofer::AttachPoint::new(upper, gofer::Mutability::Writable));
    view.exports.iter().map(attach_point).chain(upper).collect()
}

fn attach_point(export: &crate::rootfs::Export) -> gofer::AttachPoint {
    let mutability = match export.read_only {
        true => gofer::Mutability::ReadOnly,
        false => gofer::Mutability::Writable,
    };
    gofer::AttachPoint {
        hidden: export.hidden.clone(),
        visible: export.visible.clone(),
        ..gofer::AttachPoint::new(&export.source, mutability)
    }
}

/// The sentry's process: enters the jail, boots the kernel, reports how it ended.
pub fn main(options: &RunOptions, view: &View, connection: Connection, control: Control) -> i32 {
    let outcome = live(options, view, connection, &control);
    match outcome {
        Ok(status) => control.send(&ToCommand::Exited(status)),
        Err(error) => control.send(&ToCommand::Failed(error)),
    }
    0
}

fn live(options: &RunOptions, view: &View, connection: Connection, control: &Control) -> Result<i32, Error> {
    launch::reset_signals();
    let no_jail = |(step, errno): jail::Failure| {
        Error::new(format!("the sentry cannot enter its jail: {step}: {errno}; see `sandbox doctor`"))
    };
    launch::unshare(jail::NAMESPACES).map_err(crate::run::no_namespaces)?;
    let log = log::open(options)?;
    let stdio =
        host::stdio::take().map_err(|errno| Error::new(format!("cannot take over the standard streams: {errno}")))?;
    let Some(ToSentry::Mapped) = control.receive() else {
        return Err(Error::new("the command went away before the sandbox had started"));
    };
    let mut keep: Vec<BorrowedFd<'_>> = stdio.iter().map(AsFd::as_fd).collect();
    keep.extend([control.as_fd(), connection.socket.as_fd()]);
    keep.extend(connection.memory.as_ref().map(AsFd::as_fd));
    keep.extend(log.as_ref().map(AsFd::as_fd));
    jail::enter(&keep).map_err(no_jail)?;
    log::start(options, log);
    let platform = start_platform(options.platform)?;
    jail::seal(options.platform).map_err(no_jail)?;
    let client = Client::new(connection).map_err(|errno| Error::new(format!("no connection to the gofer: {errno}")))?;
    let config = boot_config(options, view, platform, Arc::new(client), stdio);
    let name = String::from_utf8_lossy(&options.command[0]).into_owned();
    let kernel = boot::boot(config).map_err(|error| match error {
        boot::BootError::Program(errno) => Error::program(&name, errno),
        boot::BootError::Mount(target, errno) => Error::new(format!("cannot mount {target} in the sandbox: {errno}")),
        boot::BootError::WorkingDirectory(errno) => Error::new(format!(
            "cannot enter the working directory {:?} in the sandbox: {errno}; choose another with --workdir",
            view.workdir
        )),
        boot::BootError::Host(errno) => Error::new(format!("the sandbox cannot start: the host refused with {errno}")),
    })?;
    control.send(&ToCommand::Started);
    std::thread::scope(|scope| {
        scope.spawn(|| listen(control, &kernel));
        let ending = loop {
            match kernel.wait_for_news() {
                News::Stopped => control.send(&ToCommand::Stopped),
                News::Ended(ending) => break ending,
            }
        };
        warn_of_task_limit(&kernel);
        log_unknown_calls(&kernel);
        match ending {
            Ending::Exited(status) => control.send(&ToCommand::Exited(status)),
            Ending::NotStarted(errno) => control.send(&ToCommand::Failed(Error::program(&name, errno))),
        }
        // Whatever is left dies with the process, whose end the command brings about.
        launch::exit_now(0)
    })
}

fn warn_of_task_limit(kernel: &Kernel) {
    let refused = kernel.observe.refused_tasks();
    if let (Some(limit), 1..) = (kernel.max_tasks, refused) {
        tracing::warn!("the limit of {limit} tasks (--pids) was reached: {refused} calls failed with EAGAIN");
    }
}

/// The last line of every log: what programs asked for and did not get.
fn log_unknown_calls(kernel: &Kernel) {
    let calls = kernel.observe.unknown_calls();
    if !calls.is_empty() {
        let list: Vec<String> = calls.iter().map(|(name, count)| format!("{name} ({count})")).collect();
        tracing::info!("system calls that were asked for and are not there: {}", list.join(", "));
    }
}

/// Obeys the command until it goes away.
fn listen(control: &Control, kernel: &Arc<Kernel>) {
    loop {
        match control.receive() {
            Some(ToSentry::Signal(number)) => {
                if let Some(signal) = u64::try_from(number).ok().and_then(Signal::new) {
                    kernel.signal_from_outside(signal);
                }
            }
            Some(ToSentry::Kill) | None => return kernel.end(Ending::Exited(Signal::SIGKILL.number().into())),
            Some(ToSentry::Mapped) => {}
        }
    }
}

fn start_platform(kind: PlatformKind) -> Result<Arc<dyn Platform>, Error> {
    let failed = |name: &str, error: platform::Error| {
        Error::new(format!("the {name} platform cannot start: {error}; see `sandbox doctor`"))
    };
    match kind {
        PlatformKind::Systrap => {
            systrap::Systrap::new(systrap::Config::default()).map(|p| p as _).map_err(|e| failed("systrap", e))
        }
        PlatformKind::Ptrace => ptrace::Ptrace::new().map(|p| p as _).map_err(|e| failed("ptrace", e)),
    }
}

fn boot_config(
    options: &RunOptions,
    view: &View,
    platform: Arc<dyn Platform>,
    client: Arc<Client>,
    stdio: [OwnedFd; 3],
) -> BootConfig {
    let bytes = |path: &std::path::Path| std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str()).to_vec();
    let upper = (options.overlay != Overlay::None && view.upper.is_some()).then_some(view.exports.len() as u32);
    let mut mounts: Vec<MountSpec> = Vec::new();
    for (index, export) in view.exports.iter().enumerate() {
        let overlay = match (index, upper) {
            (0, Some(upper)) => boot::Upper::Attach(upper),
            _ if export.memory_overlay => boot::Upper::Memory,
            _ => boot::Upper::None,
        };
        let kind = MountKind::Gofer {
            attach: index as u32,
            // What lies below an overlay is not written to, but the mount is.
            read_only: export.read_only && overlay == boot::Upper::None,
            overlay,
            shared: !export.read_only,
        };
        mounts.push(MountSpec { target: bytes(&export.target), kind });
        if index == 0 {
            mounts.extend(boot::standard_mounts());
        }
    }
    let (uid, gid) = options.user.unwrap_or((0, 0));
    BootConfig {
        platform,
        gofer: client,
        mounts,
        argv: options.command.clone(),
        envp: options.environment.clone(),
        cwd: bytes(&view.workdir),
        uid,
        gid,
        hostname: options.hostname.clone().unwrap_or_else(|| "sandbox".into()).into_bytes(),
        stdio: stdio.map(Arc::new),
        max_tasks: options.pids,
        strace: options.strace.clone(),
    }
}
