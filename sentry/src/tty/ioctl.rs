//! `ioctl` on pseudo-terminals, from either side (`man 2 ioctl_tty`).

use std::sync::Arc;

use abi::signal::Signal;
use abi::types::{Termios, Winsize};
use abi::uapi::general::{
    TCIFLUSH, TCIOFF, TCIOFLUSH, TCION, TCOFLUSH, TCOOFF, TCOON, TIOCPKT_FLUSHREAD, TIOCPKT_FLUSHWRITE,
};
use abi::uapi::ioctl::{
    TCFLSH, TCGETS, TCGETS2, TCSBRK, TCSBRKP, TCSETS, TCSETS2, TCSETSF, TCSETSF2, TCSETSW, TCSETSW2, TCXONC, TIOCCBRK,
    TIOCCONS, TIOCEXCL, TIOCGDEV, TIOCGETD, TIOCGEXCL, TIOCGWINSZ, TIOCNXCL, TIOCSBRK, TIOCSETD, TIOCSTI, TIOCSWINSZ,
    TIOCVHANGUP,
};

use super::Tty;
use super::pty::Pty;
use crate::kernel::wait_queue::Readiness;
use crate::task::{Capability, Current};
use crate::{Errno, SysResult};

/// `struct termios2`: the old structure and two speeds.
const SPEEDS_AT: u64 = 36;

impl Tty {
    /// Serves what both sides have in common.
    pub(super) fn ioctl(
        self: &Arc<Self>,
        current: &mut Current,
        command: u32,
        argument: u64,
        is_master: bool,
        readable: bool,
    ) -> SysResult {
        if let Some(done) = self.job_control(current, command, argument, is_master, readable) {
            return done;
        }
        let pty = self.pty().ok_or(Errno::EIO)?;
        match command {
            TCGETS | TCGETS2 => {
                let (termios, speeds) = {
                    let state = pty.state.lock();
                    (*state.line.termios(), state.speeds)
                };
                current.write_object(argument, &termios)?;
                if command == TCGETS2 {
                    current.write_object(argument.wrapping_add(SPEEDS_AT), &speeds)?;
                }
            }
            TCSETS | TCSETSW | TCSETSF | TCSETS2 | TCSETSW2 | TCSETSF2 => {
                self.check_foreground(current, Signal::SIGTTOU)?;
                let termios = current.read_object::<Termios>(argument)?;
                let speeds = match command {
                    TCSETS2 | TCSETSW2 | TCSETSF2 => Some(current.read_object(argument.wrapping_add(SPEEDS_AT))?),
                    _ => None,
                };
                let flushes = matches!(command, TCSETSF | TCSETSF2);
                self.change(current, pty, |state| {
                    if flushes {
                        state.line.flush_input();
                    }
                    state.set_termios(termios);
                    state.speeds = speeds.unwrap_or(state.speeds);
                });
            }
            TIOCGWINSZ => {
                let window = pty.state.lock().window;
                current.write_object(argument, &window)?;
            }
            TIOCSWINSZ => {
                let window = current.read_object::<Winsize>(argument)?;
                self.set_window(current, pty, window);
            }
            TCFLSH => self.flush(current, pty, argument)?,
            TCXONC => {
                self.check_foreground(current, Signal::SIGTTOU)?;
                self.flow(current, pty, argument)?;
            }
            TCSBRK | TCSBRKP => self.check_foreground(current, Signal::SIGTTOU)?,
            TIOCSBRK | TIOCCBRK => {}
            TIOCEXCL => self.set_exclusive(true),
            TIOCNXCL => self.set_exclusive(false),
            TIOCGEXCL => current.write_object(argument, &i32::from(self.is_exclusive()))?,
            TIOCGDEV => current.write_object(argument, &(self.device as u32))?,
            TIOCGETD => current.write_object(argument, &0_i32)?,
            TIOCSETD => {
                if current.read_object::<i32>(argument)? != 0 {
                    return Err(Errno::EINVAL);
                }
            }
            // Typing for others: off by default in Linux, too (`dev.tty.legacy_tiocsti`).
            TIOCSTI => return Err(Errno::EIO),
            TIOCCONS => return Err(Errno::EPERM),
            TIOCVHANGUP if current.task.credentials().has(Capability::SYS_ADMIN) => {
                self.hang_up(&current.kernel, false)
            }
            TIOCVHANGUP => return Err(Errno::EPERM),
            _ => return Err(Errno::ENOTTY),
        }
        Ok(0)
    }

    /// Changes the state and carries on with input that a change may have set free.
    fn change(&self, current: &Current, pty: &Pty, change: impl FnOnce(&mut super::pty::State)) {
        let mut effects = {
            let mut state = pty.state.lock();
            change(&mut state);
            state.pump()
        };
        effects.wake_slave |= Readiness::READABLE | Readiness::WRITABLE;
        self.carry_out(&current.kernel, pty, effects);
    }

    fn set_window(&self, current: &Current, pty: &Pty, window: Winsize) {
        let changed = std::mem::replace(&mut pty.state.lock().window, window) != window;
        if changed {
            self.signal_foreground(&current.kernel, Signal::SIGWINCH);
        }
    }

    fn flush(&self, current: &Current, pty: &Pty, queue: u64) -> Result<(), Errno> {
        self.check_foreground(current, Signal::SIGTTOU)?;
        let queue = u32::try_from(queue).map_err(|_| Errno::EINVAL)?;
        if !matches!(queue, TCIFLUSH | TCOFLUSH | TCIOFLUSH) {
            return Err(Errno::EINVAL);
        }
        self.change(current, pty, |state| {
            if queue != TCOFLUSH {
                state.line.flush_input();
                state.typed.clear();
                state.note(TIOCPKT_FLUSHREAD, 0);
            }
            if queue != TCIFLUSH {
                state.line.flush_output();
                state.flush_shown();
                state.note(TIOCPKT_FLUSHWRITE, 0);
            }
        });
        pty.master_queue.wake(Readiness::WRITABLE | Readiness::PRI);
        Ok(())
    }

    fn flow(&self, current: &Current, pty: &Pty, action: u64) -> Result<(), Errno> {
        match u32::try_from(action).map_err(|_| Errno::EINVAL)? {
            action @ (TCOOFF | TCOON) => self.change(current, pty, |state| {
                state.line.set_stopped(action == TCOOFF);
                state.note_flow(action == TCOOFF);
            }),
            // Sends a stop or start character to the other side.
            action @ (TCIOFF | TCION) => {
                let index = if action == TCIOFF { abi::uapi::general::VSTOP } else { abi::uapi::general::VSTART };
                self.change(current, pty, |state| {
                    let character = super::termios::Attributes::control(state.line.termios(), index);
                    if character != 0 {
                        state.shown.push_back(character);
                    }
                });
            }
            _ => return Err(Errno::EINVAL),
        }
        Ok(())
    }
}
