//! Files whose behaviour lies outside of their file system: FIFOs and devices.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use parking_lot::RwLock;

use super::{File, FileType, Location, OpenFlags};
use crate::Errno;
use crate::task::Current;

/// What stands behind a device number.
pub trait Device: Send + Sync {
    /// Opens it.
    ///
    /// # Errors
    /// ENXIO, EBUSY, EIO.
    fn open(
        &self,
        minor: u32,
        location: &Location,
        flags: OpenFlags,
        current: &mut Current,
    ) -> Result<Arc<dyn File>, Errno>;
}

/// Devices by type (block or not), major number and first minor number, with the last minor number.
type Drivers = BTreeMap<(bool, u32, u32), (u32, Arc<dyn Device>)>;

static DRIVERS: RwLock<Drivers> = RwLock::new(BTreeMap::new());

/// The object of a FIFO, made at its first opening: every inode of a FIFO has such a place.
#[derive(Default)]
pub struct FifoSlot(OnceLock<Arc<dyn Any + Send + Sync>>);

impl FifoSlot {
    /// The object, made by `make` at the first use. All users agree on one type.
    pub fn get<T: Send + Sync + 'static>(&self, make: impl FnOnce() -> Arc<T>) -> Option<Arc<T>> {
        self.0.get_or_init(|| make()).clone().downcast().ok()
    }
}

/// Has `device` answer for the minor numbers in `minors` of a character device's major number.
pub fn register_char_device(major: u32, minors: std::ops::RangeInclusive<u32>, device: Arc<dyn Device>) {
    DRIVERS.write().insert((false, major, *minors.start()), (*minors.end(), device));
}

/// `makedev(3)`
pub const fn make_device(major: u32, minor: u32) -> u64 {
    let (major, minor) = (major as u64, minor as u64);
    (minor & 0xff) | (major & 0xfff) << 8 | (minor & !0xff) << 12 | (major & !0xfff) << 32
}

/// `major(3)`
pub const fn major(device: u64) -> u32 {
    ((device >> 8 & 0xfff) | (device >> 32 & !0xfff)) as u32
}

/// `minor(3)`
pub const fn minor(device: u64) -> u32 {
    ((device & 0xff) | (device >> 12 & !0xff)) as u32
}

/// Opens a device file; file systems call it from [`super::Inode::open`].
///
/// # Errors
/// ENXIO when nothing is behind the number.
pub fn open_device(
    file_type: FileType,
    rdev: u64,
    location: &Location,
    flags: OpenFlags,
    current: &mut Current,
) -> Result<Arc<dyn File>, Errno> {
    let (major, minor) = (major(rdev), minor(rdev));
    let block = file_type == FileType::BlockDevice;
    let found = {
        let drivers = DRIVERS.read();
        let candidate = drivers.range((block, major, 0)..=(block, major, minor)).next_back();
        candidate.filter(|(_, (last, _))| minor <= *last).map(|(_, (_, device))| device.clone())
    };
    found.ok_or(Errno::ENXIO)?.open(minor, location, flags, current)
}
