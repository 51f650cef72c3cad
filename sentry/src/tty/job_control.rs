//! Job control: whose terminal it is, and who may use it (`man 4 tty_ioctl`, `man 3 tcsetpgrp`, POSIX chapter 11).

use std::sync::Arc;

use abi::signal::{SigInfo, Signal};
use abi::uapi::ioctl::{TIOCGPGRP, TIOCGSID, TIOCNOTTY, TIOCSCTTY, TIOCSPGRP};

use super::Tty;
use crate::kernel::Kernel;
use crate::signal;
use crate::task::session::is_orphaned;
use crate::task::{Capability, Current};
use crate::{Errno, SysResult};

struct Place {
    pid: i32,
    pgid: i32,
    sid: i32,
}

impl Place {
    fn of(current: &Current) -> Place {
        let family = current.task.group.family.lock();
        Place { pid: current.task.group.pid, pgid: family.pgid, sid: family.sid }
    }

    fn is_session_leader(&self) -> bool {
        self.pid == self.sid
    }
}

impl Tty {
    /// Stops a background process that uses its controlling terminal: with SIGTTIN for reading, SIGTTOU for changing it.
    ///
    /// # Errors
    /// ERESTARTSYS when the process group was sent the signal; EIO when that would have no effect.
    pub fn check_foreground(&self, current: &Current, signal: Signal) -> Result<(), Errno> {
        if !self.is_background(current) {
            return Ok(());
        }
        let place = Place::of(current);
        let ignored = {
            let group = current.task.group.signals.lock();
            let own = current.task.signals.lock();
            own.mask.contains(signal) || group.actions.ignores(signal)
        };
        if ignored {
            return if signal == Signal::SIGTTIN { Err(Errno::EIO) } else { Ok(()) };
        }
        if is_orphaned(&current.kernel, place.pgid) {
            return Err(Errno::EIO);
        }
        signal::send_to_pgrp(&current.kernel, place.pgid, SigInfo::new(signal, SigInfo::SI_KERNEL));
        Err(Errno::ERESTARTSYS)
    }

    /// Whether the current process is in a background process group of this, its controlling terminal.
    pub fn is_background(&self, current: &Current) -> bool {
        let place = Place::of(current);
        let control = self.control.lock();
        control.session == Some(place.sid) && control.foreground.is_some_and(|pgid| pgid != place.pgid)
    }

    /// Opening by a session leader without a terminal makes it the controlling one (unless `O_NOCTTY`, which is the caller's
    /// to look at).
    pub fn adopt_on_open(self: &Arc<Self>, current: &Current) {
        let place = Place::of(current);
        if place.is_session_leader() && current.kernel.terminals.of_session(place.sid).is_none() {
            let free = self.control.lock().session.is_none();
            if free {
                self.give_to(&current.kernel, place.sid, place.pgid);
            }
        }
    }

    /// Makes it the controlling terminal of session `sid` with `pgid` in the foreground.
    pub fn give_to(self: &Arc<Self>, kernel: &Kernel, sid: i32, pgid: i32) {
        {
            let mut control = self.control.lock();
            control.session = Some(sid);
            control.foreground = Some(pgid);
        }
        kernel.terminals.by_session.lock().insert(sid, self.clone());
    }

    /// Serves the commands of job control. `is_master`: asked at the other side of a pseudo-terminal, where nothing of this
    /// is the caller's own; `readable`: the file is open for reading. `None` for other commands.
    pub fn job_control(
        self: &Arc<Self>,
        current: &mut Current,
        command: u32,
        argument: u64,
        is_master: bool,
        readable: bool,
    ) -> Option<SysResult> {
        Some(match command {
            TIOCSCTTY if is_master => Err(Errno::EPERM),
            TIOCNOTTY if is_master => Err(Errno::ENOTTY),
            TIOCSCTTY => self.acquire(current, argument == 1, readable),
            TIOCNOTTY => self.give_up(current),
            TIOCGPGRP => self.foreground(current, argument, is_master),
            TIOCSPGRP => self.set_foreground(current, argument),
            TIOCGSID => self.session(current, argument, is_master),
            _ => return None,
        })
    }

    fn acquire(self: &Arc<Self>, current: &Current, steal: bool, readable: bool) -> SysResult {
        let place = Place::of(current);
        let holder = self.control.lock().session;
        if place.is_session_leader() && holder == Some(place.sid) {
            return Ok(0);
        }
        if !place.is_session_leader() || current.kernel.terminals.of_session(place.sid).is_some() {
            return Err(Errno::EPERM);
        }
        let is_admin = current.task.credentials().has(Capability::SYS_ADMIN);
        if let Some(holder) = holder {
            if !steal || !is_admin {
                return Err(Errno::EPERM);
            }
            current.kernel.terminals.by_session.lock().remove(&holder);
        }
        if !readable && !is_admin {
            return Err(Errno::EPERM);
        }
        self.give_to(&current.kernel, place.sid, place.pgid);
        Ok(0)
    }

    /// The session loses it; when the leader says so, the foreground process group hears of it. A process cannot leave alone:
    /// what Linux keeps for each process is kept for the session here.
    fn give_up(&self, current: &Current) -> SysResult {
        let place = Place::of(current);
        let foreground = {
            let mut control = self.control.lock();
            if control.session != Some(place.sid) {
                return Err(Errno::ENOTTY);
            }
            if !place.is_session_leader() {
                return Ok(0);
            }
            control.session = None;
            control.foreground.take()
        };
        current.kernel.terminals.by_session.lock().remove(&place.sid);
        if let Some(pgid) = foreground {
            for signal in [Signal::SIGHUP, Signal::SIGCONT] {
                signal::send_to_pgrp(&current.kernel, pgid, SigInfo::new(signal, SigInfo::SI_KERNEL));
            }
        }
        Ok(0)
    }

    fn foreground(&self, current: &mut Current, argument: u64, is_master: bool) -> SysResult {
        let place = Place::of(current);
        let pgid = {
            let control = self.control.lock();
            if !is_master && control.session != Some(place.sid) {
                return Err(Errno::ENOTTY);
            }
            control.foreground.unwrap_or(0)
        };
        current.write_object(argument, &pgid)?;
        Ok(0)
    }

    fn set_foreground(&self, current: &mut Current, argument: u64) -> SysResult {
        match self.check_foreground(current, Signal::SIGTTOU) {
            Err(Errno::EIO) => return Err(Errno::ENOTTY),
            done => done?,
        }
        let pgid = current.read_object::<i32>(argument)?;
        if pgid < 0 {
            return Err(Errno::EINVAL);
        }
        let place = Place::of(current);
        if self.control.lock().session != Some(place.sid) {
            return Err(Errno::ENOTTY);
        }
        let mut member_session = None;
        for group in current.kernel.pids.groups() {
            let family = group.family.lock();
            if family.pgid == pgid {
                member_session = Some(family.sid);
                break;
            }
        }
        if member_session.ok_or(Errno::ESRCH)? != place.sid {
            return Err(Errno::EPERM);
        }
        self.control.lock().foreground = Some(pgid);
        Ok(0)
    }

    fn session(&self, current: &mut Current, argument: u64, is_master: bool) -> SysResult {
        let place = Place::of(current);
        let holder = self.control.lock().session;
        let sid = holder.filter(|&sid| is_master || sid == place.sid).ok_or(Errno::ENOTTY)?;
        current.write_object(argument, &sid)?;
        Ok(0)
    }

    /// `TIOCEXCL`, `TIOCNXCL`
    pub fn set_exclusive(&self, on: bool) {
        self.control.lock().exclusive = on;
    }

    /// `TIOCGEXCL`
    pub fn is_exclusive(&self) -> bool {
        self.control.lock().exclusive
    }
}
