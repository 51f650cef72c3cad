//! The master side of a pseudo-terminal: what `/dev/ptmx` opens to.

use std::sync::Arc;

use abi::signal::Signal;
use abi::uapi::general::{O_CLOEXEC, TIOCPKT_DATA};
use abi::uapi::ioctl::{FIONREAD, TIOCGPKT, TIOCGPTLCK, TIOCGPTN, TIOCGPTPEER, TIOCOUTQ, TIOCPKT, TIOCSIG, TIOCSPTLCK};

use super::pty::{BUFFER_SIZE, Pty};
use super::{PtySlave, Tty, silent_queue};
use crate::kernel::Kernel;
use crate::kernel::wait_queue::{Readiness, WaitQueue};
use crate::task::Current;
use crate::vfs::special::make_device;
use crate::vfs::{File, FileDescription, FileType, IoPosition, Metadata, OpenFlags, anonymous};
use crate::{Errno, SysResult};

/// The master side. Dropping it hangs the terminal up.
pub struct PtyMaster {
    tty: Arc<Tty>,
    kernel: Arc<Kernel>,
}

impl PtyMaster {
    /// A fresh pseudo-terminal (`open` of `/dev/ptmx`).
    ///
    /// # Errors
    /// ENOSPC when there are too many.
    pub fn open(current: &Current) -> Result<PtyMaster, Errno> {
        let credentials = current.task.credentials();
        let tty = current.kernel.terminals.ptys.allocate((credentials.fsuid, credentials.fsgid))?;
        Ok(PtyMaster { tty, kernel: current.kernel.clone() })
    }

    fn pty(&self) -> Result<&Pty, Errno> {
        self.tty.pty().ok_or(Errno::EIO)
    }

    /// `TIOCGPTPEER`: opens the slave without its path.
    fn open_peer(&self, current: &mut Current, flags: u64) -> SysResult {
        let flags = OpenFlags::from_bits_truncate(flags as u32);
        let slave = PtySlave::open(&self.tty, flags, current)?;
        let description = FileDescription::new(Arc::new(slave), None, flags);
        current.install(description, flags.bits() & O_CLOEXEC != 0).map(|fd| fd as u64)
    }
}

impl File for PtyMaster {
    fn writes_fully(&self) -> bool {
        true
    }

    fn read(&self, _at: IoPosition, buf: &mut [u8], _current: &Current) -> Result<usize, Errno> {
        if buf.is_empty() {
            return Ok(0);
        }
        let pty = self.pty()?;
        let count = {
            let mut state = pty.state.lock();
            let mut header = 0;
            if state.packet {
                if state.packet_status != 0 {
                    buf[0] = std::mem::take(&mut state.packet_status);
                    return Ok(1);
                }
                header = 1;
            }
            if state.shown.is_empty() {
                return Err(if state.slave_was_open && state.slaves == 0 { Errno::EIO } else { Errno::EAGAIN });
            }
            if header > 0 {
                buf[0] = TIOCPKT_DATA as u8;
            }
            let count = state.shown.len().min(buf.len() - header);
            for (slot, byte) in buf[header..].iter_mut().zip(state.shown.drain(..count)) {
                *slot = byte;
            }
            count + header
        };
        pty.slave_queue.wake(Readiness::WRITABLE);
        Ok(count)
    }

    fn write(&self, _at: IoPosition, data: &[u8], _current: &Current) -> Result<usize, Errno> {
        let pty = self.pty()?;
        let (count, effects) = {
            let mut state = pty.state.lock();
            let count = data.len().min(BUFFER_SIZE.saturating_sub(state.typed.len()));
            if count == 0 && !data.is_empty() {
                return Err(Errno::EAGAIN);
            }
            state.typed.extend(&data[..count]);
            (count, state.pump())
        };
        self.tty.carry_out(&self.kernel, pty, effects);
        Ok(count)
    }

    fn readiness(&self) -> Readiness {
        let Some(pty) = self.tty.pty() else { return Readiness::empty() };
        let state = pty.state.lock();
        let mut ready = Readiness::empty();
        ready.set(Readiness::READABLE, !state.shown.is_empty());
        if state.packet && state.packet_status != 0 {
            ready |= Readiness::READABLE | Readiness::PRI;
        }
        ready.set(Readiness::WRITABLE, state.typed.len() < BUFFER_SIZE);
        ready.set(Readiness::HUP, state.slave_was_open && state.slaves == 0);
        ready
    }

    fn wait_queue(&self) -> Option<WaitQueue> {
        Some(self.tty.pty().map_or_else(silent_queue, |pty| pty.master_queue.clone()))
    }

    fn ioctl(&self, current: &mut Current, command: u32, argument: u64) -> SysResult {
        let pty = self.pty()?;
        match command {
            TIOCGPTN => current.write_object(argument, &pty.number)?,
            TIOCSPTLCK => {
                let lock = current.read_object::<i32>(argument)? != 0;
                pty.state.lock().locked = lock;
            }
            TIOCGPTLCK => {
                let locked = i32::from(pty.state.lock().locked);
                current.write_object(argument, &locked)?;
            }
            TIOCGPTPEER => return self.open_peer(current, argument),
            TIOCPKT => {
                let on = current.read_object::<i32>(argument)? != 0;
                let mut state = pty.state.lock();
                if on && !state.packet {
                    state.packet_status = 0;
                }
                state.packet = on;
            }
            TIOCGPKT => {
                let packet = i32::from(pty.state.lock().packet);
                current.write_object(argument, &packet)?;
            }
            TIOCSIG => {
                let usual = [Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTSTP];
                let signal = Signal::new(argument).filter(|signal| usual.contains(signal)).ok_or(Errno::EINVAL)?;
                self.tty.signal_foreground(&self.kernel, signal);
            }
            FIONREAD => {
                let count = pty.state.lock().shown.len() as i32;
                current.write_object(argument, &count)?;
            }
            TIOCOUTQ => current.write_object(argument, &0_i32)?,
            _ => return self.tty.ioctl(current, command, argument, true, true),
        }
        Ok(0)
    }

    fn metadata(&self) -> Result<Metadata, Errno> {
        let mut metadata = anonymous::metadata();
        metadata.file_type = FileType::CharDevice;
        metadata.rdev = make_device(5, 2);
        Ok(metadata)
    }

    fn description(&self) -> String {
        "/dev/ptmx".into()
    }

    fn fdinfo(&self) -> String {
        self.tty.pty().map_or_else(String::new, |pty| format!("tty-index:\t{}\n", pty.number))
    }
}

impl Drop for PtyMaster {
    fn drop(&mut self) {
        if let Some(pty) = self.tty.pty() {
            pty.state.lock().master_open = false;
        }
        self.tty.hang_up(&self.kernel, false);
    }
}
