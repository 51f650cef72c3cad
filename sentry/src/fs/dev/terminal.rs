//! `/dev/tty`, `/dev/console`, `/dev/ptmx` and the numbers of pseudo-terminal slaves.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use crate::Errno;
use crate::fs::host::HostTerminal;
use crate::kernel::Kernel;
use crate::task::Current;
use crate::tty::{PtyMaster, PtySlave, Tty};
use crate::vfs::special::Device;
use crate::vfs::{File, Location, OpenFlags};

/// Major number 5.
pub struct TerminalDevices;

impl Device for TerminalDevices {
    fn open(&self, minor: u32, _: &Location, flags: OpenFlags, current: &mut Current) -> Result<Arc<dyn File>, Errno> {
        match minor {
            0 => {
                let sid = current.task.group.family.lock().sid;
                let tty = current.kernel.terminals.of_session(sid).ok_or(Errno::ENXIO)?;
                open_tty(&tty, flags | OpenFlags::NOCTTY, current)
            }
            1 => {
                let kernel = current.kernel.clone();
                let (tty, fd) = kernel.terminals.console().ok_or(Errno::ENXIO)?;
                open_host(&kernel, tty, fd)
            }
            2 => Ok(Arc::new(PtyMaster::open(current)?)),
            _ => Err(Errno::ENXIO),
        }
    }
}

/// Major number 136.
pub struct PtsDevices;

impl Device for PtsDevices {
    fn open(&self, minor: u32, _: &Location, flags: OpenFlags, current: &mut Current) -> Result<Arc<dyn File>, Errno> {
        let tty = current.kernel.terminals.ptys.get(minor).ok_or(Errno::EIO)?;
        Ok(Arc::new(PtySlave::open(&tty, flags, current)?))
    }
}

fn open_tty(tty: &Arc<Tty>, flags: OpenFlags, current: &Current) -> Result<Arc<dyn File>, Errno> {
    if tty.pty().is_some() {
        return Ok(Arc::new(PtySlave::open(tty, flags, current)?));
    }
    let (host_tty, fd) = current.kernel.terminals.console().ok_or(Errno::ENXIO)?;
    open_host(&current.kernel, host_tty, fd)
}

fn open_host(kernel: &Kernel, tty: Arc<Tty>, fd: Arc<OwnedFd>) -> Result<Arc<dyn File>, Errno> {
    // A descriptor of its own: the reactor knows what it watches by it.
    let fd = fd.try_clone().map_err(|_| Errno::EMFILE)?;
    Ok(Arc::new(HostTerminal::new(kernel, Arc::new(fd), tty)?))
}
