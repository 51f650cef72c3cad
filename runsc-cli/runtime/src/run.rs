//! `sandbox run`: the command's side. Starts gofer and sentry, passes signals in and the result out.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use abi::types::Termios;
use gofer_proto::Connection;
use host::launch::{self, Child, Namespaces, Signals};
use host::terminal;

use crate::control::{Control, ToCommand, ToSentry};
use crate::limits::{self, Cgroups};
use crate::rootfs::{self, View};
use crate::sentry_role::{self, Caller};
use crate::{Error, RunOptions};

const SIGHUP: i32 = 1;
const SIGINT: i32 = 2;
const SIGQUIT: i32 = 3;
const SIGUSR1: i32 = 10;
const SIGUSR2: i32 = 12;
const SIGTERM: i32 = 15;
const SIGCONT: i32 = 18;
const SIGTSTP: i32 = 20;
const SIGWINCH: i32 = 28;

/// Signals that are meant for the program inside.
const FORWARDED: &[i32] = &[SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2, SIGTERM, SIGTSTP, SIGWINCH, SIGCONT];

/// First of the host user ids that sandboxes of root run as; each process id maps to one, so that no two live sandboxes share it.
const FIRST_SANDBOX_ID: u32 = 0x7000_0000;

/// How long after the gofer's end the sentry's is waited for: it may have been the cause.
const GRACE: Duration = Duration::from_millis(50);

/// Runs a program in a sandbox until it ends; what the command exits with.
///
/// # Errors
/// Everything that keeps the program from running, and limits that ended it.
pub fn run(options: &RunOptions) -> Result<u8, Error> {
    let view = rootfs::view(options)?;
    let cgroups = Cgroups::create(options)?;
    let signals = Signals::collect(FORWARDED).map_err(|errno| Error::new(format!("cannot take signals: {errno}")))?;
    let _terminal = SavedTerminal::of_stdin();
    let sandbox = Sandbox::start(options, &view, &cgroups)?;
    let result = sandbox.attend(options, &signals);
    drop(sandbox);
    match result {
        Err(_) | Ok(137) if cgroups.memory_limit_was_reached() => {
            let limit = options.memory.unwrap_or_default();
            Err(Error {
                exit_code: 137,
                ..Error::new(format!("the memory limit of {limit} bytes (--memory) was reached and the run was ended"))
            })
        }
        other => other,
    }
}

/// The processes of a running sandbox. Dropping kills and reaps them.
struct Sandbox {
    gofer: Child,
    sentry: Child,
    control: Control,
    janitor: Option<Child>,
}

impl Sandbox {
    fn start(options: &RunOptions, view: &View, cgroups: &Cgroups) -> Result<Sandbox, Error> {
        let failed = |what: &'static str| {
            move |errno: abi::Errno| Error::new(format!("cannot start the sandbox: {what}: {errno}"))
        };
        // First, so that it inherits no end of a socket.
        let janitor = start_janitor(cgroups).map_err(failed("no janitor process"))?;
        let (client, server) = Connection::pair().map_err(failed("no socket for the gofer"))?;
        let (control, sentry_control) = Control::pair().map_err(failed("no control socket"))?;
        let (uid, gid) = launch::ids();
        let caller = match !options.rootless && launch::may_map_ids(FIRST_SANDBOX_ID) {
            true => Caller::Root,
            false => Caller::User { uid, gid },
        };
        // Both make the rest of their namespaces themselves, at the same time.
        let sentry = launch::spawn(Namespaces::USER | Namespaces::PID, || {
            launch::set_name(c"sandbox-sentry");
            sentry_role::main(options, view, client, sentry_control)
        })
        .map_err(no_namespaces)?;
        let gofer = sentry_role::start_gofer(view, server, caller).map_err(no_namespaces)?;
        let mapped = match caller {
            Caller::Root => {
                let id = FIRST_SANDBOX_ID + sentry.pid() as u32;
                launch::map_ids(&sentry, id, id, true)
            }
            Caller::User { uid, gid } => launch::map_ids(&sentry, uid, gid, false),
        };
        mapped.map_err(failed("user namespace"))?;
        cgroups.add(sentry.pid())?;
        cgroups.add(gofer.pid())?;
        control.send(&ToSentry::Mapped);
        Ok(Sandbox { gofer, sentry, control, janitor })
    }

    fn forward(&self, signals: &Signals, is_meant: impl Fn(i32) -> bool) {
        while let Some(signal) = signals.next() {
            if is_meant(signal) {
                self.control.send(&ToSentry::Signal(signal));
            }
        }
    }

    fn sentry_died(&self) -> Error {
        self.sentry.kill();
        let how = match self.sentry.wait() {
            status if status & 0x7f == 0 => format!("it exited with {}", status >> 8),
            status => format!("it was killed by signal {}", status & 0x7f),
        };
        Error::new(format!("the sentry died: {how}; run with --log FILE to see its last words"))
    }

    /// Waits for the end.
    fn attend(&self, options: &RunOptions, signals: &Signals) -> Result<u8, Error> {
        let deadline = options.timeout.map(|timeout| Instant::now() + timeout);
        loop {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                let seconds = options.timeout.unwrap_or_default().as_secs_f64();
                self.control.send(&ToSentry::Kill);
                return Err(Error {
                    exit_code: 124,
                    ..Error::new(format!("the time limit of {seconds} s (--timeout) was reached and the run was ended"))
                });
            }
            let sources = [self.control.as_fd(), signals.as_fd(), self.gofer.as_fd(), self.sentry.as_fd()];
            let ready = launch::wait_readable(&sources, left);
            let somebody_died = ready[2] || ready[3];
            if ready[1] {
                self.forward(signals, |_| true);
            }
            // The gofer ends with the sentry: what the sentry said before counts, also when only an end was seen yet.
            let has_message =
                ready[0] || somebody_died && launch::wait_readable(&[self.control.as_fd()], Some(Duration::ZERO))[0];
            if has_message {
                match self.control.receive() {
                    Some(ToCommand::Started) => {}
                    Some(ToCommand::Exited(status)) => return Ok(exit_code(status)),
                    Some(ToCommand::Stopped) => {
                        launch::stop_self();
                        // Whoever continued this process meant the program.
                        self.forward(signals, |signal| signal != SIGCONT);
                        self.control.send(&ToSentry::Signal(SIGCONT));
                    }
                    Some(ToCommand::Failed(error)) => return Err(error),
                    None => return Err(self.sentry_died()),
                }
            } else if ready[3] || ready[2] && launch::wait_readable(&[self.sentry.as_fd()], Some(GRACE))[0] {
                return Err(self.sentry_died());
            } else if ready[2] {
                return Err(Error::new("the gofer died, so the sandbox has lost its files; the run was ended"));
            }
        }
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.sentry.kill();
        self.gofer.kill();
        self.sentry.wait();
        self.gofer.wait();
        if let Some(janitor) = &self.janitor {
            janitor.kill();
            janitor.wait();
        }
    }
}

/// Programs may change the terminal and be killed before they change it back.
struct SavedTerminal(Option<Termios>);

impl SavedTerminal {
    fn of_stdin() -> SavedTerminal {
        SavedTerminal(terminal::attributes(std::io::stdin().as_fd()).ok())
    }
}

impl Drop for SavedTerminal {
    fn drop(&mut self) {
        let stdin = std::io::stdin();
        if let Some(termios) = &self.0
            && terminal::attributes(stdin.as_fd()).is_ok_and(|now| now != *termios)
        {
            let _ = terminal::set_attributes(stdin.as_fd(), terminal::When::Drained, termios);
        }
    }
}

/// What a shell reports for a wait status.
fn exit_code(status: i32) -> u8 {
    match status & 0x7f {
        0 => (status >> 8) as u8,
        signal => 128 + signal as u8,
    }
}

pub(crate) fn no_namespaces(errno: abi::Errno) -> Error {
    use abi::Errno;
    let advice = match errno {
        Errno::EPERM => {
            "user namespaces are switched off on this host (sysctl kernel.unprivileged_userns_clone=1, kernel.apparmor_restrict_unprivileged_userns=0), or run as root"
        }
        Errno::ENOSPC => "the host's limit of namespaces is reached (sysctl user.max_user_namespaces)",
        Errno::EINVAL | Errno::ENOSYS => "the kernel is too old or was built without namespaces; see `sandbox doctor`",
        _ => "see `sandbox doctor`",
    };
    Error::new(format!("cannot make namespaces for the sandbox: {errno}: {advice}"))
}

/// A process that outlives this one when it is killed, to remove its cgroups.
fn start_janitor(cgroups: &Cgroups) -> Result<Option<Child>, abi::Errno> {
    if cgroups.directories().is_empty() {
        return Ok(None);
    }
    let parent = std::process::id();
    let directories = cgroups.directories().to_vec();
    launch::spawn_detached(move || {
        launch::set_name(c"sandbox-janitor");
        let _ = host::namespace::close_all_but(&[]);
        launch::wait_for_exit_of(parent);
        limits::remove(&directories);
        0
    })
    .map(Some)
}
