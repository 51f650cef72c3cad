//! Terminals: job control, the line discipline, pseudo-terminals (`man 4 tty`, `man 7 pty`).
//!
//! A [`Tty`] is what a session has for its controlling terminal: the slave side of a pseudo-terminal, or the host terminal
//! that the sandbox was started on. Job control is the same for both ([`job_control`]); typing and output processing is done by
//! [`line::Line`] for a pseudo-terminal, and by the host for a host terminal.

mod ioctl;
pub mod job_control;
pub mod line;
mod master;
pub mod pty;
mod slave;
pub mod termios;

pub use master::PtyMaster;
pub use slave::PtySlave;

use std::collections::HashMap;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use abi::signal::{SigInfo, Signal};
use parking_lot::Mutex;

use crate::Errno;
use crate::kernel::Kernel;
use crate::kernel::wait_queue::WaitQueue;
use crate::signal;
use crate::vfs::special::make_device;
use pty::{Pty, PtyTable};

/// Major number of pseudo-terminal slaves.
pub const PTS_MAJOR: u32 = 136;
/// `/dev/console`
pub const CONSOLE: u64 = make_device(5, 1);

/// A terminal, as its sessions and users see it.
pub struct Tty {
    /// Device number.
    pub device: u64,
    control: Mutex<Control>,
    /// Number of hang-ups so far: an open file from before one is dead.
    hang_ups: AtomicU64,
    /// The pseudo-terminal; `None` for a host terminal.
    pty: Option<Pty>,
}

/// Who has the terminal.
#[derive(Default)]
struct Control {
    /// The session whose controlling terminal it is.
    session: Option<i32>,
    /// The foreground process group.
    foreground: Option<i32>,
    /// `TIOCEXCL`
    exclusive: bool,
}

/// All terminals of the sandbox.
#[derive(Default)]
pub struct Terminals {
    by_session: Mutex<HashMap<i32, Arc<Tty>>>,
    hosts: Mutex<HashMap<u64, (Arc<Tty>, Arc<OwnedFd>)>>,
    /// Pseudo-terminals by number.
    pub ptys: Arc<PtyTable>,
}

impl Terminals {
    /// The controlling terminal of session `sid`.
    pub fn of_session(&self, sid: i32) -> Option<Arc<Tty>> {
        self.by_session.lock().get(&sid).cloned()
    }

    /// The terminal behind a host descriptor: the same for all descriptors of one host terminal.
    ///
    /// # Errors
    /// The host's errno.
    pub fn host(&self, fd: &Arc<OwnedFd>) -> Result<Arc<Tty>, Errno> {
        let statx = host::metadata::statx(fd.as_fd())?;
        let device = make_device(statx.stx_rdev_major, statx.stx_rdev_minor);
        let mut hosts = self.hosts.lock();
        let (tty, _) = hosts.entry(device).or_insert_with(|| (Arc::new(Tty::new(CONSOLE, None)), fd.clone()));
        Ok(tty.clone())
    }

    /// The host terminal that `/dev/console` stands for, with a descriptor of it.
    pub fn console(&self) -> Option<(Arc<Tty>, Arc<OwnedFd>)> {
        self.hosts.lock().values().next().cloned()
    }
}

impl Tty {
    fn new(device: u64, pty: Option<Pty>) -> Tty {
        Tty { device, control: Mutex::default(), hang_ups: AtomicU64::new(0), pty }
    }

    /// Sends `signal` to the foreground process group: what a key such as `^C` on the host terminal stands for.
    pub fn signal_foreground(&self, kernel: &Kernel, signal: Signal) {
        let foreground = self.control.lock().foreground;
        if let Some(pgid) = foreground {
            signal::send_to_pgrp(kernel, pgid, SigInfo::new(signal, SigInfo::SI_KERNEL));
        }
    }

    /// The terminal is gone for everyone who has it open: reads give end of file, writes EIO. The session loses it, and its
    /// leader (at the leader's own exit: the foreground process group) gets SIGHUP and SIGCONT.
    pub fn hang_up(&self, kernel: &Kernel, leader_exits: bool) {
        let (session, foreground) = {
            let mut control = self.control.lock();
            (control.session.take(), control.foreground.take())
        };
        if let Some(pty) = &self.pty {
            self.hang_ups.fetch_add(1, Ordering::SeqCst);
            pty.wake_all();
        }
        let Some(session) = session else { return };
        kernel.terminals.by_session.lock().remove(&session);
        let continue_after_hang_up = [Signal::SIGHUP, Signal::SIGCONT];
        if let Some(leader) = kernel.pids.group(session) {
            for signal in continue_after_hang_up {
                signal::send_to_group(&leader, SigInfo::new(signal, SigInfo::SI_KERNEL));
            }
        }
        if let Some(pgid) = foreground.filter(|_| leader_exits) {
            for signal in continue_after_hang_up {
                signal::send_to_pgrp(kernel, pgid, SigInfo::new(signal, SigInfo::SI_KERNEL));
            }
        }
    }

    /// The foreground process group.
    pub fn foreground_group(&self) -> Option<i32> {
        self.control.lock().foreground
    }

    /// The pseudo-terminal behind it.
    pub fn pty(&self) -> Option<&Pty> {
        self.pty.as_ref()
    }

    fn hang_ups(&self) -> u64 {
        self.hang_ups.load(Ordering::SeqCst)
    }
}

/// The leader of session `sid` exits: its terminal hangs up.
pub fn session_leader_exits(kernel: &Kernel, sid: i32) {
    if let Some(tty) = kernel.terminals.of_session(sid) {
        tty.hang_up(kernel, true);
    }
}

/// A queue that is never woken, for what has none of its own.
fn silent_queue() -> WaitQueue {
    WaitQueue::new()
}
