//! Host files that were given to the sandbox as they are: its standard streams.

mod stream;
mod terminal;

pub use stream::HostFile;
pub use terminal::HostTerminal;

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use abi::Errno;

use crate::kernel::Kernel;
use crate::tty::Tty;
use crate::vfs::{FileDescription, Location, OpenFlags};

/// A standard stream of the sandbox as an open file description. `console` is what a terminal is found by (`/dev/console`);
/// the terminal is returned, too, to become the controlling terminal of the first session.
///
/// # Errors
/// The host's errno when `fd` cannot be watched.
pub fn open_stream(
    kernel: &Kernel,
    fd: OwnedFd,
    console: Option<Location>,
) -> Result<(Arc<FileDescription>, Option<Arc<Tty>>), Errno> {
    let flags = OpenFlags::from_bits_truncate(host::stream::status_flags(fd.as_fd())?) - OpenFlags::NONBLOCK;
    let fd = Arc::new(fd);
    if host::terminal::is_terminal(fd.as_fd()) {
        let tty = kernel.terminals.host(&fd)?;
        let file = Arc::new(HostTerminal::new(kernel, fd, tty.clone())?);
        return Ok((FileDescription::new(file, console, flags), Some(tty)));
    }
    let (file, position) = HostFile::new(kernel, fd)?;
    let description = FileDescription::new(Arc::new(file), None, flags);
    *description.position.lock() = position;
    Ok((description, None))
}
