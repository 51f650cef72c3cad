//! `/proc/net`: what the network stack shows of itself. Only sockets with a name are listed.

use std::fmt::Write;

use super::node::{Entry, Subject};
use crate::Errno;
use crate::socket::address::UnixAddress;
use crate::task::Current;

/// What is in `/proc/PID/net`.
pub(super) static ENTRIES: &[Entry] = &[Entry::text("unix", unix)];

/// `unix` (`man 5 proc_pid_net`)
fn unix(_: &Subject, current: &Current) -> Result<Vec<u8>, Errno> {
    /// `__SO_ACCEPTCON`
    const ACCEPTS: u32 = 1 << 16;
    let mut out = b"Num       RefCount Protocol Flags    Type St Inode Path\n".to_vec();
    for (kind, listens, address) in current.kernel.unix_names.list() {
        let mut line = String::new();
        let flags = if listens { ACCEPTS } else { 0 };
        // Unconnected is 01 in any case: connections have no name of their own here.
        let _ = write!(line, "{:016x}: {:08X} {:08X} {flags:08X} {:04X} 01 {:5} ", 0, 2, 0, kind.number(), 0);
        out.extend(line.into_bytes());
        match address {
            UnixAddress::Path(path) => out.extend(path),
            UnixAddress::Abstract(name) => {
                out.push(b'@');
                out.extend(name.iter().map(|&byte| if byte == 0 { b'@' } else { byte }));
            }
            UnixAddress::Unnamed => {}
        }
        out.push(b'\n');
    }
    Ok(out)
}
