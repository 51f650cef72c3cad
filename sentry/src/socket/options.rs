//! `SOL_SOCKET` options that every family has (`man 7 socket`).

use abi::types::Timeval;
use parking_lot::Mutex;
use zerocopy::{FromBytes, IntoBytes};

use crate::Errno;

use super::Socket;

/// `SOL_SOCKET`
pub const SOL_SOCKET: i32 = 1;

const SO_DEBUG: i32 = 1;
const SO_REUSEADDR: i32 = 2;
const SO_TYPE: i32 = 3;
const SO_ERROR: i32 = 4;
const SO_DONTROUTE: i32 = 5;
const SO_BROADCAST: i32 = 6;
const SO_SNDBUF: i32 = 7;
const SO_RCVBUF: i32 = 8;
const SO_KEEPALIVE: i32 = 9;
const SO_OOBINLINE: i32 = 10;
const SO_PRIORITY: i32 = 12;
const SO_LINGER: i32 = 13;
const SO_PASSCRED: i32 = 16;
const SO_PEERCRED: i32 = 17;
const SO_RCVLOWAT: i32 = 18;
const SO_RCVTIMEO: i32 = 20;
const SO_SNDTIMEO: i32 = 21;
const SO_TIMESTAMP: i32 = 29;
const SO_ACCEPTCONN: i32 = 30;
const SO_SNDBUFFORCE: i32 = 32;
const SO_RCVBUFFORCE: i32 = 33;
const SO_PROTOCOL: i32 = 38;
const SO_DOMAIN: i32 = 39;

/// `net.core.wmem_default`
const DEFAULT_BUFFER: u32 = 212_992;
const MIN_BUFFER: u32 = 4608;

/// Values of the options; each socket has its own.
#[derive(Default)]
pub struct Common(Mutex<Values>);

#[derive(Clone)]
struct Values {
    send_buffer: u32,
    receive_buffer: u32,
    pass_credentials: bool,
    /// Nanoseconds; 0 for no limit.
    receive_timeout: u64,
    send_timeout: u64,
    linger: [i32; 2],
    /// `SO_REUSEADDR`, `SO_KEEPALIVE` and the like by number: kept and given back, without a meaning for Unix sockets.
    switches: u64,
    low_water: i32,
    priority: i32,
}

impl Default for Values {
    fn default() -> Values {
        Values {
            send_buffer: DEFAULT_BUFFER,
            receive_buffer: DEFAULT_BUFFER,
            pass_credentials: false,
            receive_timeout: 0,
            send_timeout: 0,
            linger: [0, 0],
            switches: 0,
            low_water: 1,
            priority: 0,
        }
    }
}

impl Common {
    /// Bytes that may wait for the peer.
    pub fn send_buffer(&self) -> usize {
        self.0.lock().send_buffer as usize
    }
    /// `SO_PASSCRED`
    pub fn passes_credentials(&self) -> bool {
        self.0.lock().pass_credentials
    }
    /// `SO_RCVTIMEO` in nanoseconds; `None` for no limit.
    pub fn receive_timeout(&self) -> Option<u64> {
        Some(self.0.lock().receive_timeout).filter(|&ns| ns != 0)
    }
    /// `SO_SNDTIMEO` in nanoseconds; `None` for no limit.
    pub fn send_timeout(&self) -> Option<u64> {
        Some(self.0.lock().send_timeout).filter(|&ns| ns != 0)
    }

    /// `setsockopt(SOL_SOCKET)`
    ///
    /// # Errors
    /// EINVAL for a value that is too short; ENOPROTOOPT for options that cannot be set; EDOM for a bad time.
    pub fn set(&self, name: i32, value: &[u8]) -> Result<(), Errno> {
        if matches!(name, SO_TYPE | SO_ERROR | SO_ACCEPTCONN | SO_PROTOCOL | SO_DOMAIN | SO_PEERCRED) {
            return Err(Errno::ENOPROTOOPT);
        }
        let (number, _) = i32::read_from_prefix(value).map_err(|_| Errno::EINVAL)?;
        let mut values = self.0.lock();
        match name {
            SO_SNDBUF | SO_SNDBUFFORCE => values.send_buffer = buffer_size(number),
            SO_RCVBUF | SO_RCVBUFFORCE => values.receive_buffer = buffer_size(number),
            SO_PASSCRED => values.pass_credentials = number != 0,
            SO_RCVTIMEO => values.receive_timeout = timeout(value)?,
            SO_SNDTIMEO => values.send_timeout = timeout(value)?,
            SO_LINGER => values.linger = <[i32; 2]>::read_from_prefix(value).map_err(|_| Errno::EINVAL)?.0,
            SO_RCVLOWAT => values.low_water = number.max(1),
            SO_PRIORITY if (0..=6).contains(&number) => values.priority = number,
            SO_PRIORITY => return Err(Errno::EPERM),
            SO_DEBUG | SO_REUSEADDR | SO_DONTROUTE | SO_BROADCAST | SO_KEEPALIVE | SO_OOBINLINE | SO_TIMESTAMP => {
                values.switches = values.switches & !(1 << name) | u64::from(number != 0) << name;
            }
            _ => return Err(Errno::ENOPROTOOPT),
        }
        Ok(())
    }

    /// `getsockopt(SOL_SOCKET)`
    ///
    /// # Errors
    /// ENOPROTOOPT
    pub fn get(&self, socket: &dyn Socket, name: i32) -> Result<Vec<u8>, Errno> {
        let values = self.0.lock().clone();
        let number = match name {
            SO_TYPE => socket.kind().number() as i32,
            SO_DOMAIN => i32::from(socket.family()),
            SO_PROTOCOL | SO_ERROR => 0,
            SO_ACCEPTCONN => i32::from(socket.is_listening()),
            SO_SNDBUF => values.send_buffer as i32,
            SO_RCVBUF => values.receive_buffer as i32,
            SO_PASSCRED => i32::from(values.pass_credentials),
            SO_RCVLOWAT => values.low_water,
            SO_PRIORITY => values.priority,
            SO_LINGER => return Ok(values.linger.as_bytes().to_vec()),
            SO_RCVTIMEO => return Ok(timeval(values.receive_timeout).as_bytes().to_vec()),
            SO_SNDTIMEO => return Ok(timeval(values.send_timeout).as_bytes().to_vec()),
            SO_PEERCRED => {
                let peer = socket.peer_credentials();
                let peer = peer.map_or([0, u32::MAX, u32::MAX], |peer| [peer.pid as u32, peer.uid, peer.gid]);
                return Ok(peer.as_bytes().to_vec());
            }
            SO_DEBUG | SO_REUSEADDR | SO_DONTROUTE | SO_BROADCAST | SO_KEEPALIVE | SO_OOBINLINE | SO_TIMESTAMP => {
                (values.switches >> name & 1) as i32
            }
            _ => return Err(Errno::ENOPROTOOPT),
        };
        Ok(number.to_ne_bytes().to_vec())
    }
}

/// The kernel doubles what is asked for, for its own bookkeeping (`man 7 socket`).
fn buffer_size(asked: i32) -> u32 {
    (asked.max(0) as u32).min(DEFAULT_BUFFER).saturating_mul(2).max(MIN_BUFFER)
}

fn timeout(value: &[u8]) -> Result<u64, Errno> {
    let (time, _) = Timeval::read_from_prefix(value).map_err(|_| Errno::EINVAL)?;
    if !(0..1_000_000).contains(&time.tv_usec) {
        return Err(Errno::EDOM);
    }
    // A negative time is taken as "do not wait", which the shortest one comes close to.
    Ok(if time.tv_sec < 0 {
        1
    } else {
        (time.tv_sec as u64).saturating_mul(1_000_000_000).saturating_add(time.tv_usec as u64 * 1000)
    })
}

fn timeval(ns: u64) -> Timeval {
    Timeval { tv_sec: (ns / 1_000_000_000) as i64, tv_usec: (ns % 1_000_000_000 / 1000) as i64 }
}
