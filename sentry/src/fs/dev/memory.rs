//! `/dev/null`, `zero`, `full`, `random`, `urandom` (`man 4 null`, `man 4 random`).

use std::sync::{Arc, OnceLock};

use abi::uapi::ioctl::{RNDADDENTROPY, RNDADDTOENTCNT, RNDCLEARPOOL, RNDGETENTCNT, RNDRESEEDCRNG};
use platform::{Prot, Sharing};

use crate::kernel::wait_queue::WaitQueue;
use crate::task::Current;
use crate::vfs::special::Device;
use crate::vfs::{File, IoPosition, Location, MapSource, OpenFlags};
use crate::{Errno, SysResult};

/// Size of the sparse file behind mappings of `/dev/zero`: more than an address space holds.
const ZEROS: u64 = 1 << 46;
/// What `/proc/sys/kernel/random/entropy_avail` shows, too.
pub const ENTROPY_BITS: i32 = 256;

/// Major number 1.
pub struct MemoryDevices;

impl Device for MemoryDevices {
    fn open(&self, minor: u32, _: &Location, _: OpenFlags, _: &mut Current) -> Result<Arc<dyn File>, Errno> {
        Ok(match minor {
            3 => Arc::new(Null),
            5 => Arc::new(Zero { full: false }),
            7 => Arc::new(Zero { full: true }),
            8 => Arc::new(Random { queue: Some(WaitQueue::new()) }),
            9 => Arc::new(Random { queue: None }),
            _ => return Err(Errno::ENXIO),
        })
    }
}

struct Null;

impl File for Null {
    // A position is there, for what it is worth: `lseek` succeeds.
    fn is_seekable(&self) -> bool {
        true
    }
    fn ignores_data(&self) -> bool {
        true
    }
    fn read(&self, _at: IoPosition, _buf: &mut [u8], _current: &Current) -> Result<usize, Errno> {
        Ok(0)
    }
    fn write(&self, _at: IoPosition, data: &[u8], _current: &Current) -> Result<usize, Errno> {
        Ok(data.len())
    }
}

struct Zero {
    full: bool,
}

impl File for Zero {
    fn is_seekable(&self) -> bool {
        true
    }
    fn read(&self, _at: IoPosition, buf: &mut [u8], _current: &Current) -> Result<usize, Errno> {
        buf.fill(0);
        Ok(buf.len())
    }
    fn write(&self, _at: IoPosition, data: &[u8], _current: &Current) -> Result<usize, Errno> {
        if self.full { Err(Errno::ENOSPC) } else { Ok(data.len()) }
    }
    fn map(&self, _prot: Prot, sharing: Sharing) -> Result<MapSource, Errno> {
        static PRIVATE: OnceLock<Result<MapSource, Errno>> = OnceLock::new();
        if self.full {
            return Err(Errno::ENODEV);
        }
        match sharing {
            // Nobody ever writes to this one.
            Sharing::Private => PRIVATE.get_or_init(zeros).clone(),
            Sharing::Shared => zeros(),
        }
    }
}

fn zeros() -> Result<MapSource, Errno> {
    Ok(MapSource { fd: Arc::new(host::memory::memfd("dev-zero", ZEROS)?), offset: 0 })
}

struct Random {
    /// `urandom` cannot be polled.
    queue: Option<WaitQueue>,
}

impl File for Random {
    fn is_seekable(&self) -> bool {
        true
    }
    fn read(&self, _at: IoPosition, buf: &mut [u8], _current: &Current) -> Result<usize, Errno> {
        host::random::fill(buf);
        Ok(buf.len())
    }
    fn write(&self, _at: IoPosition, data: &[u8], _current: &Current) -> Result<usize, Errno> {
        Ok(data.len())
    }
    fn wait_queue(&self) -> Option<WaitQueue> {
        self.queue.clone()
    }
    fn ioctl(&self, current: &mut Current, command: u32, argument: u64) -> SysResult {
        match command {
            RNDGETENTCNT => {
                current.write_object(argument, &ENTROPY_BITS)?;
                Ok(0)
            }
            RNDADDTOENTCNT | RNDADDENTROPY | RNDCLEARPOOL | RNDRESEEDCRNG => Err(Errno::EPERM),
            _ => Err(Errno::EINVAL),
        }
    }
}
