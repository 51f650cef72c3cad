//! The slave side of a pseudo-terminal: the terminal of the programs in it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Wake, Waker};

use abi::signal::Signal;
use abi::uapi::general::{TOSTOP, VMIN, VTIME};
use abi::uapi::ioctl::{FIONREAD, TIOCOUTQ, TIOCSPGRP};
use parking_lot::Mutex;

use super::pty::{BUFFER_SIZE, Pty, State};
use super::termios::Attributes;
use super::{Tty, silent_queue};
use crate::kernel::Kernel;
use crate::kernel::timer::{Deadline, TimerHandle};
use crate::kernel::wait_queue::{Readiness, WaitQueue};
use crate::task::{Capability, Current};
use crate::vfs::{File, IoPosition, Metadata, OpenFlags};
use crate::{Errno, SysResult};

/// What every file shows once the terminal was hung up.
const HUNG_UP: Readiness = Readiness::READABLE.union(Readiness::WRITABLE).union(Readiness::ERR).union(Readiness::HUP);

/// An open slave side.
pub struct PtySlave {
    tty: Arc<Tty>,
    kernel: Arc<Kernel>,
    /// Hang-ups before it was opened.
    opened_after: u64,
    readable: bool,
    nonblocking: AtomicBool,
    /// The time-out of the read that waits (`VTIME`), with the thread that reads.
    timed: Mutex<Option<TimedRead>>,
}

struct TimedRead {
    reader: i32,
    available: usize,
    until: Deadline,
    _handle: TimerHandle,
}

struct SlaveWaker(WaitQueue);

impl Wake for SlaveWaker {
    fn wake(self: Arc<Self>) {
        self.0.wake(Readiness::READABLE);
    }
}

impl PtySlave {
    /// Opens the slave side; a session leader without a terminal gets it for its controlling one.
    ///
    /// # Errors
    /// EIO when the master is gone or has it locked; EBUSY for `TIOCEXCL`.
    pub fn open(tty: &Arc<Tty>, flags: OpenFlags, current: &Current) -> Result<PtySlave, Errno> {
        let pty = tty.pty().ok_or(Errno::EIO)?;
        if tty.is_exclusive() && !current.task.credentials().has(Capability::SYS_ADMIN) {
            return Err(Errno::EBUSY);
        }
        {
            let mut state = pty.state.lock();
            if !state.master_open || state.locked {
                return Err(Errno::EIO);
            }
            state.slaves += 1;
            state.slave_was_open = true;
        }
        pty.master_queue.wake(Readiness::WRITABLE);
        if !flags.contains(OpenFlags::NOCTTY) && flags.reads() {
            tty.adopt_on_open(current);
        }
        Ok(PtySlave {
            tty: tty.clone(),
            kernel: current.kernel.clone(),
            opened_after: tty.hang_ups(),
            readable: flags.reads(),
            nonblocking: AtomicBool::new(flags.contains(OpenFlags::NONBLOCK)),
            timed: Mutex::default(),
        })
    }

    fn is_hung_up(&self) -> bool {
        self.tty.hang_ups() != self.opened_after
    }

    fn pty(&self) -> Result<&Pty, Errno> {
        self.tty.pty().ok_or(Errno::EIO)
    }

    /// Whether a raw read has to wait for more, by `VMIN` and `VTIME`; `Some(0)` says that its time is over.
    fn waits_for_more(
        &self,
        state: &State,
        len: usize,
        reader: i32,
        queue: &WaitQueue,
    ) -> Option<Result<usize, Errno>> {
        let termios = state.line.termios();
        if termios.local(abi::uapi::general::ICANON) {
            return None;
        }
        let min = usize::from(termios.control(VMIN)).min(len);
        let time = u64::from(termios.control(VTIME));
        let available = state.line.available();
        let mut timed = self.timed.lock();
        if available >= min.max(1) || self.nonblocking.load(Ordering::Relaxed) {
            *timed = None;
            return None;
        }
        if min == 0 && time == 0 {
            return Some(Ok(0));
        }
        // With VMIN the time runs from the last byte on, without it from the start.
        if time > 0 && (min == 0 || available > 0) {
            match &*timed {
                Some(read) if read.reader == reader && read.available == available => {
                    if read.until.has_passed() {
                        *timed = None;
                        return (available == 0).then_some(Ok(0));
                    }
                }
                _ => {
                    let until = Deadline::after_ns(time * 100_000_000);
                    let waker = Waker::from(Arc::new(SlaveWaker(queue.clone())));
                    let handle = self.kernel.timers.arm(until, waker);
                    *timed = Some(TimedRead { reader, available, until, _handle: handle });
                }
            }
        }
        Some(Err(Errno::EAGAIN))
    }
}

impl File for PtySlave {
    fn writes_fully(&self) -> bool {
        true
    }

    fn read(&self, _at: IoPosition, buf: &mut [u8], current: &Current) -> Result<usize, Errno> {
        if self.is_hung_up() || buf.is_empty() {
            return Ok(0);
        }
        self.tty.check_foreground(current, Signal::SIGTTIN)?;
        let pty = self.pty()?;
        let (count, effects) = {
            let mut state = pty.state.lock();
            if let Some(answer) = self.waits_for_more(&state, buf.len(), current.task.tid, &pty.slave_queue) {
                return answer;
            }
            let count = state.line.read(buf).ok_or(Errno::EAGAIN)?;
            (count, state.pump())
        };
        self.tty.carry_out(&self.kernel, pty, effects);
        Ok(count)
    }

    fn write(&self, _at: IoPosition, data: &[u8], current: &Current) -> Result<usize, Errno> {
        if self.is_hung_up() {
            return Err(Errno::EIO);
        }
        let pty = self.pty()?;
        let stops = pty.state.lock().line.termios().local(TOSTOP);
        if stops {
            self.tty.check_foreground(current, Signal::SIGTTOU)?;
        }
        let count = {
            let mut state = pty.state.lock();
            let State { line, shown, .. } = &mut *state;
            if line.is_stopped() {
                return Err(Errno::EAGAIN);
            }
            let mut count = 0;
            for &byte in data {
                if shown.len() >= BUFFER_SIZE {
                    break;
                }
                line.process(byte, shown);
                count += 1;
            }
            count
        };
        if count == 0 && !data.is_empty() {
            return Err(Errno::EAGAIN);
        }
        pty.master_queue.wake(Readiness::READABLE);
        Ok(count)
    }

    fn readiness(&self) -> Readiness {
        let Some(pty) = self.tty.pty() else { return HUNG_UP };
        if self.is_hung_up() {
            return HUNG_UP;
        }
        let state = pty.state.lock();
        let termios = state.line.termios();
        let min = if termios.control(VTIME) == 0 { usize::from(termios.control(VMIN)) } else { 1 };
        let mut ready = Readiness::empty();
        ready.set(Readiness::READABLE, state.line.is_readable(min));
        ready.set(Readiness::WRITABLE, !state.line.is_stopped() && state.shown.len() < BUFFER_SIZE);
        ready
    }

    fn wait_queue(&self) -> Option<WaitQueue> {
        Some(self.tty.pty().map_or_else(silent_queue, |pty| pty.slave_queue.clone()))
    }

    fn set_flags(&self, flags: OpenFlags) -> Result<(), Errno> {
        self.nonblocking.store(flags.contains(OpenFlags::NONBLOCK), Ordering::Relaxed);
        Ok(())
    }

    fn ioctl(&self, current: &mut Current, command: u32, argument: u64) -> SysResult {
        if self.is_hung_up() {
            return Err(if command == TIOCSPGRP { Errno::ENOTTY } else { Errno::EIO });
        }
        match command {
            FIONREAD => {
                let count = self.pty()?.state.lock().line.available() as i32;
                current.write_object(argument, &count)?;
                Ok(0)
            }
            TIOCOUTQ => {
                current.write_object(argument, &0_i32)?;
                Ok(0)
            }
            _ => self.tty.ioctl(current, command, argument, false, self.readable),
        }
    }

    fn reopen(&self, flags: OpenFlags, current: &mut Current) -> Result<Arc<dyn File>, Errno> {
        Ok(Arc::new(PtySlave::open(&self.tty, flags, current)?))
    }

    fn metadata(&self) -> Result<Metadata, Errno> {
        Ok(self.pty()?.metadata(crate::fs::devpts::DEV))
    }

    fn description(&self) -> String {
        self.tty.pty().map_or_else(String::new, |pty| format!("/dev/pts/{}", pty.number))
    }
}

impl Drop for PtySlave {
    fn drop(&mut self) {
        let Some(pty) = self.tty.pty() else { return };
        let last = {
            let mut state = pty.state.lock();
            state.slaves -= 1;
            state.slaves == 0
        };
        if last {
            pty.master_queue.wake_all();
        }
    }
}
