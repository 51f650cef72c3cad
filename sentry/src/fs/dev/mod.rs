//! Devices: what stands behind the device numbers of `/dev`, and the nodes that a fresh `/dev` gets.
//!
//! `/dev` itself is any file system that can hold device nodes (a tmpfs); [`populate`] fills it. Opening a node finds its
//! driver by number, wherever the node was made.

mod memory;
mod terminal;

pub use memory::ENTROPY_BITS;

use std::sync::{Arc, Once};

use crate::Errno;
use crate::vfs::special::{make_device, register_char_device};
use crate::vfs::{Inode, NewNode, NodeKind};

/// Group `tty`.
const TTY_GROUP: u32 = 5;

/// Makes the drivers and the file systems of devices known; once is enough, more does no harm.
pub fn register_drivers() {
    static DONE: Once = Once::new();
    DONE.call_once(|| {
        register_char_device(1, 3..=9, Arc::new(memory::MemoryDevices));
        register_char_device(5, 0..=2, Arc::new(terminal::TerminalDevices));
        super::register("devpts", |_, data, current| {
            let options = std::str::from_utf8(data).map_err(|_| Errno::EINVAL)?;
            Ok(super::devpts::DevPts::new(current.kernel.terminals.ptys.clone(), options)?)
        });
        register_char_device(crate::tty::PTS_MAJOR, 0..=crate::tty::pty::MAX, Arc::new(terminal::PtsDevices));
    });
}

/// Fills the root directory of a fresh `/dev`: devices, links into `/proc/self`, and the directories to mount on. What exists
/// is left alone.
///
/// # Errors
/// As [`Inode::create`].
pub fn populate(root: &dyn Inode) -> Result<(), Errno> {
    let device = |major, minor| NodeKind::CharDevice(make_device(major, minor));
    let link = |target: &[u8]| NodeKind::Symlink(target.to_vec());
    let nodes: [(&[u8], NodeKind, u32, u32); 16] = [
        (b"null", device(1, 3), 0o666, 0),
        (b"zero", device(1, 5), 0o666, 0),
        (b"full", device(1, 7), 0o666, 0),
        (b"random", device(1, 8), 0o666, 0),
        (b"urandom", device(1, 9), 0o666, 0),
        (b"tty", device(5, 0), 0o666, TTY_GROUP),
        (b"console", device(5, 1), 0o620, TTY_GROUP),
        (b"ptmx", device(5, 2), 0o666, TTY_GROUP),
        (b"fd", link(b"/proc/self/fd"), 0o777, 0),
        (b"stdin", link(b"/proc/self/fd/0"), 0o777, 0),
        (b"stdout", link(b"/proc/self/fd/1"), 0o777, 0),
        (b"stderr", link(b"/proc/self/fd/2"), 0o777, 0),
        (b"core", link(b"/proc/kcore"), 0o777, 0),
        (b"pts", NodeKind::Directory, 0o755, 0),
        (b"shm", NodeKind::Directory, 0o1777, 0),
        (b"mqueue", NodeKind::Directory, 0o1777, 0),
    ];
    for (name, kind, permissions, gid) in nodes {
        match root.create(name, &NewNode { kind, permissions, uid: 0, gid }) {
            Ok(_) | Err(Errno::EEXIST) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}
