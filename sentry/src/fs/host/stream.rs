//! A host file, pipe, socket or device as a guest file.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use abi::types::{Statx, StatxTimestamp, Timespec};
use abi::uapi::ioctl::FIONREAD;
use host::file::SyncKind;
use platform::{Prot, Sharing};

use crate::kernel::Kernel;
use crate::kernel::reactor::Watch;
use crate::kernel::wait_queue::{Readiness, WaitQueue};
use crate::task::Current;
use crate::vfs::special::make_device;
use crate::vfs::{File, FileType, IoPosition, MapSource, Metadata, OpenFlags, Timestamps};
use crate::{Errno, SysResult};

const SEEK_SET: i32 = 0;
const SEEK_CUR: i32 = 1;
const SEEK_DATA: i32 = 3;
const SEEK_HOLE: i32 = 4;

/// A host file that is not a terminal. The host's description is shared with processes outside: its flags are left alone, and
/// a regular file's position is kept in step, since who comes after the sandbox goes on from there.
pub struct HostFile {
    fd: Arc<OwnedFd>,
    file_type: FileType,
    /// `None` for what is always ready.
    watch: Option<Watch>,
}

impl HostFile {
    /// The file and the position it stands at.
    ///
    /// # Errors
    /// The host's errno.
    pub fn new(kernel: &Kernel, fd: Arc<OwnedFd>) -> Result<(HostFile, u64), Errno> {
        let file_type = FileType::from_mode(host::metadata::statx(fd.as_fd())?.stx_mode.into());
        let watch = match kernel.reactor.watch(fd.clone()) {
            Ok(watch) => Some(watch),
            Err(Errno::EPERM) => None,
            Err(errno) => return Err(errno),
        };
        let position = if file_type == FileType::Regular { host::file::seek(fd.as_fd(), 0, SEEK_CUR)? } else { 0 };
        Ok((HostFile { fd, file_type, watch }, position))
    }

    fn move_to(&self, position: u64) {
        let _ = host::file::seek(self.fd.as_fd(), position as i64, SEEK_SET);
    }
}

impl File for HostFile {
    fn is_seekable(&self) -> bool {
        self.file_type == FileType::Regular
    }

    fn writes_fully(&self) -> bool {
        true
    }

    fn read(&self, at: IoPosition, buf: &mut [u8], _current: &Current) -> Result<usize, Errno> {
        match at {
            IoPosition::At(offset) => {
                let count = host::file::read_at(self.fd.as_fd(), buf, offset)?;
                self.move_to(offset + count as u64);
                Ok(count)
            }
            _ => host::stream::read_now(self.fd.as_fd(), buf),
        }
    }

    fn write(&self, at: IoPosition, data: &[u8], _current: &Current) -> Result<usize, Errno> {
        let offset = match at {
            IoPosition::At(offset) => offset,
            IoPosition::End => self.size()?,
            IoPosition::Stream => return host::stream::write_now(self.fd.as_fd(), data),
        };
        let count = host::file::write_at(self.fd.as_fd(), data, offset)?;
        self.move_to(offset + count as u64);
        Ok(count)
    }

    fn size(&self) -> Result<u64, Errno> {
        Ok(host::metadata::statx(self.fd.as_fd())?.stx_size)
    }

    fn seek_sparse(&self, from: u64, hole: bool) -> Result<u64, Errno> {
        let from = i64::try_from(from).map_err(|_| Errno::ENXIO)?;
        host::file::seek(self.fd.as_fd(), from, if hole { SEEK_HOLE } else { SEEK_DATA })
    }

    fn readiness(&self) -> Readiness {
        match self.watch {
            Some(_) => {
                let asked = Readiness::READABLE | Readiness::WRITABLE | Readiness::PRI | Readiness::RDHUP;
                Readiness::from_bits_truncate(host::stream::ready(self.fd.as_fd(), asked.bits()))
            }
            None => Readiness::READABLE | Readiness::WRITABLE,
        }
    }

    fn wait_queue(&self) -> Option<WaitQueue> {
        self.watch.as_ref().map(|watch| watch.queue().clone())
    }

    fn ioctl(&self, current: &mut Current, command: u32, argument: u64) -> SysResult {
        match command {
            FIONREAD if self.file_type != FileType::Regular => {
                let count = host::stream::bytes_to_read(self.fd.as_fd())?;
                current.return_object(argument, &count)?;
                Ok(0)
            }
            _ => Err(Errno::ENOTTY),
        }
    }

    fn map(&self, _prot: Prot, _sharing: Sharing) -> Result<MapSource, Errno> {
        match self.file_type {
            FileType::Regular => Ok(MapSource { fd: self.fd.clone(), offset: 0 }),
            _ => Err(Errno::ENODEV),
        }
    }

    fn truncate(&self, size: u64) -> Result<(), Errno> {
        host::file::truncate(self.fd.as_fd(), size)
    }

    fn allocate(&self, mode: u32, offset: u64, len: u64) -> Result<(), Errno> {
        host::file::allocate(self.fd.as_fd(), mode as i32, offset, len)
    }

    fn sync(&self, data_only: bool) -> Result<(), Errno> {
        host::file::sync(self.fd.as_fd(), if data_only { SyncKind::Data } else { SyncKind::All })
    }

    fn reopen(&self, flags: OpenFlags, current: &mut Current) -> Result<Arc<dyn File>, Errno> {
        // The host's description is all there is: no rights beyond those it was given with.
        let given = OpenFlags::from_bits_truncate(host::stream::status_flags(self.fd.as_fd())?);
        if flags.reads() && !given.reads() || flags.writes() && !given.writes() {
            return Err(Errno::EACCES);
        }
        let fd = self.fd.try_clone().map_err(|_| Errno::EMFILE)?;
        let (file, _) = HostFile::new(&current.kernel, Arc::new(fd))?;
        Ok(Arc::new(file))
    }

    fn metadata(&self) -> Result<Metadata, Errno> {
        Ok(metadata_of(&host::metadata::statx(self.fd.as_fd())?))
    }

    fn description(&self) -> String {
        let ino = self.metadata().map_or(0, |metadata| metadata.ino);
        match self.file_type {
            FileType::Fifo => format!("pipe:[{ino}]"),
            FileType::Socket => format!("socket:[{ino}]"),
            FileType::CharDevice => "/dev/null".into(),
            _ => format!("host:[{ino}]"),
        }
    }
}

fn metadata_of(statx: &Statx) -> Metadata {
    let time = |t: StatxTimestamp| Timespec { tv_sec: t.tv_sec, tv_nsec: t.tv_nsec.into() };
    Metadata {
        dev: make_device(statx.stx_dev_major, statx.stx_dev_minor),
        ino: statx.stx_ino,
        file_type: FileType::from_mode(statx.stx_mode.into()),
        permissions: u32::from(statx.stx_mode) & 0o7777,
        nlink: statx.stx_nlink.into(),
        uid: statx.stx_uid,
        gid: statx.stx_gid,
        rdev: make_device(statx.stx_rdev_major, statx.stx_rdev_minor),
        size: statx.stx_size,
        block_size: statx.stx_blksize.into(),
        blocks: statx.stx_blocks,
        times: Timestamps {
            accessed: time(statx.stx_atime),
            modified: time(statx.stx_mtime),
            changed: time(statx.stx_ctime),
            created: None,
        },
    }
}
