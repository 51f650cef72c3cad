//! What the protocol says about a file.

use abi::types::{Statx, StatxTimestamp, Timespec};
use host::metadata::FileType;
use serde::{Deserialize, Serialize};

/// A moment: seconds and nanoseconds since the epoch.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Time {
    /// Seconds.
    pub sec: i64,
    /// 0..1_000_000_000
    pub nsec: u32,
}

impl From<Time> for Timespec {
    fn from(time: Time) -> Timespec {
        Timespec { tv_sec: time.sec, tv_nsec: time.nsec.into() }
    }
}

impl From<StatxTimestamp> for Time {
    fn from(time: StatxTimestamp) -> Time {
        Time { sec: time.tv_sec, nsec: time.tv_nsec.min(999_999_999) }
    }
}

/// A device number in its two parts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Device {
    /// `major(3)`
    pub major: u32,
    /// `minor(3)`
    pub minor: u32,
}

impl Device {
    /// As `st_dev` and `st_rdev` hold it (`makedev(3)`).
    pub const fn encode(self) -> u64 {
        let (major, minor) = (self.major as u64, self.minor as u64);
        (minor & 0xff) | (major & 0xfff) << 8 | (minor & !0xff) << 12 | (major & !0xfff) << 32
    }
}

/// Everything `statx` says about a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Attr {
    /// Type and permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Number of names.
    pub nlink: u32,
    /// Bytes.
    pub size: u64,
    /// 512-byte units in use.
    pub blocks: u64,
    /// Preferred size of an I/O.
    pub blksize: u32,
    /// Inode number, unique within `dev`.
    pub ino: u64,
    /// The host device that holds it.
    pub dev: Device,
    /// Which device it *is*, for device nodes.
    pub rdev: Device,
    /// Last access.
    pub atime: Time,
    /// Last change of the contents.
    pub mtime: Time,
    /// Last change of contents or attributes.
    pub ctime: Time,
    /// Birth, where the file system keeps it.
    pub btime: Option<Time>,
}

impl Attr {
    /// From the host's answer.
    pub fn from_statx(from: &Statx) -> Attr {
        const STATX_BTIME: u32 = 0x800;
        Attr {
            mode: from.stx_mode.into(),
            uid: from.stx_uid,
            gid: from.stx_gid,
            nlink: from.stx_nlink,
            size: from.stx_size,
            blocks: from.stx_blocks,
            blksize: from.stx_blksize,
            ino: from.stx_ino,
            dev: Device { major: from.stx_dev_major, minor: from.stx_dev_minor },
            rdev: Device { major: from.stx_rdev_major, minor: from.stx_rdev_minor },
            atime: from.stx_atime.into(),
            mtime: from.stx_mtime.into(),
            ctime: from.stx_ctime.into(),
            btime: (from.stx_mask & STATX_BTIME != 0).then(|| from.stx_btime.into()),
        }
    }

    /// What kind of file it is.
    pub fn file_type(&self) -> FileType {
        FileType::from_mode(self.mode).unwrap_or(FileType::Regular)
    }

    /// Whether two answers speak of the same inode.
    pub fn is_same_inode(&self, other: &Attr) -> bool {
        self.ino == other.ino && self.dev == other.dev && self.file_type() == other.file_type()
    }
}
