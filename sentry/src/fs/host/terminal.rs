//! The host terminal that the sandbox was started on. The host does the typing and output processing and keeps the
//! attributes; whose terminal it is, and who is in the foreground, is decided in here.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use abi::signal::Signal;
use abi::types::{Termios, Winsize};
use abi::uapi::general::{TCIOFLUSH, TOSTOP};
use abi::uapi::ioctl::{
    FIONREAD, TCFLSH, TCGETS, TCSBRK, TCSETS, TCSETSF, TCSETSW, TCXONC, TIOCEXCL, TIOCGDEV, TIOCGETD, TIOCGEXCL,
    TIOCGWINSZ, TIOCNXCL, TIOCOUTQ, TIOCSTI, TIOCSWINSZ,
};
use host::terminal::{self, When};

use crate::kernel::Kernel;
use crate::kernel::reactor::Watch;
use crate::kernel::wait_queue::{Readiness, WaitQueue};
use crate::task::Current;
use crate::tty::termios::Attributes;
use crate::tty::{CONSOLE, Tty};
use crate::vfs::{File, FileType, IoPosition, Metadata, OpenFlags, anonymous};
use crate::{Errno, SysResult};

/// An open host terminal.
pub struct HostTerminal {
    fd: Arc<OwnedFd>,
    tty: Arc<Tty>,
    watch: Watch,
}

impl HostTerminal {
    /// The terminal `tty` through the descriptor `fd`.
    ///
    /// # Errors
    /// The host's errno.
    pub fn new(kernel: &Kernel, fd: Arc<OwnedFd>, tty: Arc<Tty>) -> Result<HostTerminal, Errno> {
        let watch = kernel.reactor.watch(fd.clone())?;
        Ok(HostTerminal { fd, tty, watch })
    }

    fn set_attributes(&self, current: &mut Current, argument: u64, when: When) -> Result<(), Errno> {
        self.tty.check_foreground(current, Signal::SIGTTOU)?;
        let termios = current.read_object::<Termios>(argument)?;
        terminal::set_attributes(self.fd.as_fd(), when, &termios)
    }
}

impl File for HostTerminal {
    fn writes_fully(&self) -> bool {
        true
    }

    fn read(&self, _at: IoPosition, buf: &mut [u8], current: &Current) -> Result<usize, Errno> {
        self.tty.check_foreground(current, Signal::SIGTTIN)?;
        if buf.is_empty() {
            return Ok(0);
        }
        host::stream::read_now(self.fd.as_fd(), buf)
    }

    fn write(&self, _at: IoPosition, data: &[u8], current: &Current) -> Result<usize, Errno> {
        if self.tty.is_background(current) && terminal::attributes(self.fd.as_fd())?.local(TOSTOP) {
            self.tty.check_foreground(current, Signal::SIGTTOU)?;
        }
        if data.is_empty() {
            return Ok(0);
        }
        host::stream::write_now(self.fd.as_fd(), data)
    }

    fn readiness(&self) -> Readiness {
        let asked = Readiness::READABLE | Readiness::WRITABLE | Readiness::PRI;
        Readiness::from_bits_truncate(host::stream::ready(self.fd.as_fd(), asked.bits()))
    }

    fn wait_queue(&self) -> Option<WaitQueue> {
        Some(self.watch.queue().clone())
    }

    fn ioctl(&self, current: &mut Current, command: u32, argument: u64) -> SysResult {
        if let Some(done) = self.tty.job_control(current, command, argument, false, true) {
            return done;
        }
        let fd = self.fd.as_fd();
        match command {
            TCGETS => current.write_object(argument, &terminal::attributes(fd)?)?,
            TCSETS => self.set_attributes(current, argument, When::Now)?,
            TCSETSW => self.set_attributes(current, argument, When::Drained)?,
            TCSETSF => self.set_attributes(current, argument, When::Flushed)?,
            TIOCGWINSZ => current.write_object(argument, &terminal::window_size(fd)?)?,
            TIOCSWINSZ => {
                let window = current.read_object::<Winsize>(argument)?;
                terminal::set_window_size(fd, &window)?;
            }
            FIONREAD => current.write_object(argument, &host::stream::bytes_to_read(fd)?)?,
            TIOCOUTQ => current.write_object(argument, &terminal::bytes_unsent(fd)?)?,
            TCFLSH => {
                self.tty.check_foreground(current, Signal::SIGTTOU)?;
                if argument > u64::from(TCIOFLUSH) {
                    return Err(Errno::EINVAL);
                }
                terminal::flush(fd, argument)?;
            }
            TCXONC => {
                self.tty.check_foreground(current, Signal::SIGTTOU)?;
                terminal::flow(fd, argument)?;
            }
            // A drain. A break makes no sense to a terminal emulator, and stopping the host's line is the user's matter.
            TCSBRK => {
                self.tty.check_foreground(current, Signal::SIGTTOU)?;
                terminal::send_break(fd, 1)?;
            }
            TIOCEXCL => self.tty.set_exclusive(true),
            TIOCNXCL => self.tty.set_exclusive(false),
            TIOCGEXCL => current.write_object(argument, &i32::from(self.tty.is_exclusive()))?,
            TIOCGDEV => current.write_object(argument, &(self.tty.device as u32))?,
            TIOCGETD => current.write_object(argument, &0_i32)?,
            // Typing into the host's terminal would be a way out of the sandbox.
            TIOCSTI => return Err(Errno::EIO),
            _ => return Err(Errno::ENOTTY),
        }
        Ok(0)
    }

    fn reopen(&self, _flags: OpenFlags, current: &mut Current) -> Result<Arc<dyn File>, Errno> {
        let fd = self.fd.try_clone().map_err(|_| Errno::EMFILE)?;
        Ok(Arc::new(HostTerminal::new(&current.kernel, Arc::new(fd), self.tty.clone())?))
    }

    fn metadata(&self) -> Result<Metadata, Errno> {
        let mut metadata = anonymous::metadata();
        metadata.file_type = FileType::CharDevice;
        metadata.permissions = 0o620;
        metadata.rdev = CONSOLE;
        Ok(metadata)
    }

    fn description(&self) -> String {
        "/dev/console".into()
    }
}
