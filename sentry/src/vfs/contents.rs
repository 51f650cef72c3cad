//! Open regular files and directories whose behaviour is that of their inode.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use parking_lot::Mutex;
use platform::{Prot, Sharing};

use super::{DirEntry, File, Inode, IoPosition, Location, MapSource, Metadata, MountFlags, OpenFlags, SetAttributes};
use crate::Errno;
use crate::task::Current;

/// An open regular file.
pub struct RegularFile {
    inode: Arc<dyn Inode>,
    keeps_access_time: bool,
    /// Kept for as long as the file is open.
    _pinned: Vec<Arc<OwnedFd>>,
}

fn keeps_access_time(location: &Location, flags: OpenFlags, no_access_time: MountFlags) -> bool {
    let unwanted = MountFlags::RDONLY | no_access_time;
    flags.contains(OpenFlags::NOATIME) || location.mount.flags().intersects(unwanted)
}

impl RegularFile {
    /// Opens `inode`, which was found at `location`.
    ///
    /// # Errors
    /// As [`Inode::pin`].
    pub fn open(inode: Arc<dyn Inode>, location: &Location, flags: OpenFlags) -> Result<Arc<dyn File>, Errno> {
        let pinned = inode.pin(flags)?;
        let keeps_access_time = keeps_access_time(location, flags, MountFlags::NOATIME);
        Ok(Arc::new(RegularFile { inode, keeps_access_time, _pinned: pinned }))
    }
}

impl File for RegularFile {
    fn is_seekable(&self) -> bool {
        true
    }

    fn read(&self, at: IoPosition, buf: &mut [u8], _current: &Current) -> Result<usize, Errno> {
        let IoPosition::At(offset) = at else { return Err(Errno::EINVAL) };
        let read = self.inode.read_at(offset, buf)?;
        if !self.keeps_access_time {
            self.inode.touch_accessed();
        }
        Ok(read)
    }

    fn write(&self, at: IoPosition, data: &[u8], _current: &Current) -> Result<usize, Errno> {
        match at {
            IoPosition::At(offset) => self.inode.write_at(Some(offset), data),
            IoPosition::End => self.inode.write_at(None, data),
            IoPosition::Stream => Err(Errno::EINVAL),
        }
    }

    fn size(&self) -> Result<u64, Errno> {
        self.inode.size()
    }

    fn seek_sparse(&self, from: u64, hole: bool) -> Result<u64, Errno> {
        self.inode.seek_sparse(from, hole)
    }

    fn map(&self, prot: Prot, sharing: Sharing) -> Result<MapSource, Errno> {
        self.inode.map(prot.write && sharing == Sharing::Shared)
    }

    fn truncate(&self, size: u64) -> Result<(), Errno> {
        self.inode.set_attributes(&SetAttributes { size: Some(size), ..SetAttributes::default() })
    }

    fn allocate(&self, mode: u32, offset: u64, len: u64) -> Result<(), Errno> {
        self.inode.allocate(mode, offset, len)
    }

    fn sync(&self, data_only: bool) -> Result<(), Errno> {
        self.inode.sync(data_only)
    }

    fn metadata(&self) -> Result<Metadata, Errno> {
        self.inode.metadata()
    }

    fn seals(&self) -> Result<u32, Errno> {
        self.inode.seals()
    }

    fn add_seals(&self, seals: u32) -> Result<(), Errno> {
        self.inode.add_seals(seals)
    }
}

/// An open directory.
pub struct DirectoryFile {
    inode: Arc<dyn Inode>,
    keeps_access_time: bool,
    listing: Listing,
}

enum Listing {
    /// Positions of the inode are good for ever.
    Live,
    /// What there was when it was read from the start: positions are places in this list.
    Snapshot(Mutex<Option<Vec<DirEntry>>>),
}

impl DirectoryFile {
    /// Opens a directory whose positions outlive changes.
    pub fn live(inode: Arc<dyn Inode>, location: &Location, flags: OpenFlags) -> Arc<dyn File> {
        let keeps_access_time = keeps_access_time(location, flags, MountFlags::NOATIME | MountFlags::NODIRATIME);
        Arc::new(DirectoryFile { inode, keeps_access_time, listing: Listing::Live })
    }

    /// Opens a directory that can only be listed as a whole.
    pub fn snapshot(inode: Arc<dyn Inode>, location: &Location, flags: OpenFlags) -> Arc<dyn File> {
        let keeps_access_time = keeps_access_time(location, flags, MountFlags::NOATIME | MountFlags::NODIRATIME);
        Arc::new(DirectoryFile { inode, keeps_access_time, listing: Listing::Snapshot(Mutex::new(None)) })
    }

    fn take_snapshot(&self) -> Result<Vec<DirEntry>, Errno> {
        let mut entries = Vec::new();
        self.inode.read_dir(0, &mut |mut entry| {
            entry.next = entries.len() as u64 + 1;
            entries.push(entry);
            true
        })?;
        Ok(entries)
    }
}

impl File for DirectoryFile {
    fn is_seekable(&self) -> bool {
        true
    }

    fn read(&self, _at: IoPosition, _buf: &mut [u8], _current: &Current) -> Result<usize, Errno> {
        Err(Errno::EISDIR)
    }

    fn read_dir(&self, from: u64, sink: &mut dyn FnMut(DirEntry) -> bool) -> Result<(), Errno> {
        match &self.listing {
            Listing::Live => self.inode.read_dir(from, sink)?,
            Listing::Snapshot(snapshot) => {
                let mut snapshot = snapshot.lock();
                if from == 0 || snapshot.is_none() {
                    *snapshot = Some(self.take_snapshot()?);
                }
                let entries = snapshot.as_deref().unwrap_or_default();
                let rest = usize::try_from(from).ok().and_then(|from| entries.get(from..)).unwrap_or_default();
                // The last call of a listing finds nothing: then the list has done its duty.
                let _all_seen = rest.iter().all(|entry| sink(entry.clone()));
            }
        }
        if !self.keeps_access_time {
            self.inode.touch_accessed();
        }
        Ok(())
    }

    fn sync(&self, data_only: bool) -> Result<(), Errno> {
        self.inode.sync(data_only)
    }

    fn metadata(&self) -> Result<Metadata, Errno> {
        self.inode.metadata()
    }
}
