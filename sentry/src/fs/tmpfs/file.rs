//! Open tmpfs files and directories.

use std::sync::Arc;

use platform::{Prot, Sharing};

use super::inode::{Body, TmpfsInode};
use super::{content::Content, seal};
use crate::Errno;
use crate::task::Current;
use crate::vfs::{DirEntry, File, FileType, Inode, IoPosition, MapSource, Metadata, OpenFlags};

/// An open regular file.
pub struct RegularFile {
    inode: Arc<TmpfsInode>,
    keeps_access_time: bool,
}

impl RegularFile {
    pub fn new(inode: Arc<TmpfsInode>, flags: OpenFlags) -> RegularFile {
        RegularFile { inode, keeps_access_time: flags.contains(OpenFlags::NOATIME) }
    }

    fn content(&self) -> Result<&parking_lot::RwLock<Content>, Errno> {
        match &self.inode.body {
            Body::Regular(content) => Ok(content),
            _ => Err(Errno::EINVAL),
        }
    }
}

impl File for RegularFile {
    fn is_seekable(&self) -> bool {
        true
    }

    fn read(&self, at: IoPosition, buf: &mut [u8], _current: &Current) -> Result<usize, Errno> {
        let IoPosition::At(offset) = at else { return Err(Errno::EINVAL) };
        let read = self.content()?.read().read(offset, buf)?;
        if !self.keeps_access_time {
            self.inode.touch_accessed();
        }
        Ok(read)
    }

    fn write(&self, at: IoPosition, data: &[u8], _current: &Current) -> Result<usize, Errno> {
        let seals = *self.inode.seals.lock();
        if seals & (seal::WRITE | seal::FUTURE_WRITE) != 0 {
            return Err(Errno::EPERM);
        }
        let fs = self.inode.fs()?;
        let mut content = self.content()?.write();
        let offset = match at {
            IoPosition::At(offset) => offset,
            IoPosition::End => content.size(),
            IoPosition::Stream => return Err(Errno::EINVAL),
        };
        let mut data = data;
        if seals & seal::GROW != 0 {
            let room = content.size().saturating_sub(offset);
            if room == 0 && !data.is_empty() {
                return Err(Errno::EPERM);
            }
            data = &data[..data.len().min(usize::try_from(room).unwrap_or(usize::MAX))];
        }
        let written = content.write(&fs, offset, data)?;
        drop(content);
        self.inode.touch_modified();
        Ok(written)
    }

    fn size(&self) -> Result<u64, Errno> {
        Ok(self.content()?.read().size())
    }

    fn seek_sparse(&self, from: u64, hole: bool) -> Result<u64, Errno> {
        self.content()?.read().seek(from, hole)
    }

    fn map(&self, prot: Prot, sharing: Sharing) -> Result<MapSource, Errno> {
        let seals = *self.inode.seals.lock();
        if sharing == Sharing::Shared && prot.write && seals & (seal::WRITE | seal::FUTURE_WRITE) != 0 {
            return Err(Errno::EPERM);
        }
        Ok(MapSource { fd: self.content()?.write().move_to_host()?, offset: 0 })
    }

    fn truncate(&self, size: u64) -> Result<(), Errno> {
        let fs = self.inode.fs()?;
        let mut content = self.content()?.write();
        self.inode.check_resize(content.size(), size)?;
        content.resize(&fs, size)?;
        drop(content);
        self.inode.touch_modified();
        Ok(())
    }

    fn allocate(&self, mode: u32, offset: u64, len: u64) -> Result<(), Errno> {
        const KEEP_SIZE: u32 = 1;
        const PUNCH_HOLE: u32 = 2;
        let fs = self.inode.fs()?;
        let mut content = self.content()?.write();
        if mode & PUNCH_HOLE != 0 {
            if *self.inode.seals.lock() & (seal::WRITE | seal::FUTURE_WRITE) != 0 {
                return Err(Errno::EPERM);
            }
        } else if mode & KEEP_SIZE == 0 {
            let end = offset.checked_add(len).ok_or(Errno::EFBIG)?;
            self.inode.check_resize(content.size(), content.size().max(end))?;
        }
        content.allocate(&fs, mode, offset, len)?;
        drop(content);
        self.inode.touch_modified();
        Ok(())
    }

    fn sync(&self, _data_only: bool) -> Result<(), Errno> {
        Ok(())
    }

    fn metadata(&self) -> Result<Metadata, Errno> {
        self.inode.metadata()
    }

    fn seals(&self) -> Result<u32, Errno> {
        Ok(*self.inode.seals.lock())
    }

    fn add_seals(&self, seals: u32) -> Result<(), Errno> {
        if seals & !seal::ALL != 0 {
            return Err(Errno::EINVAL);
        }
        // The contents' lock keeps writers out while it is decided.
        let content = self.content()?.write();
        let mut held = self.inode.seals.lock();
        if *held & seal::SEAL != 0 {
            return Err(Errno::EPERM);
        }
        if seals & seal::WRITE != 0 && *held & seal::WRITE == 0 && content.is_mapped() {
            return Err(Errno::EBUSY);
        }
        *held |= seals;
        Ok(())
    }
}

/// An open directory.
pub struct DirectoryFile(Arc<TmpfsInode>);

impl DirectoryFile {
    pub fn new(inode: Arc<TmpfsInode>) -> DirectoryFile {
        DirectoryFile(inode)
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
        let Body::Directory(directory) = &self.0.body else { return Err(Errno::ENOTDIR) };
        let directory = directory.read();
        let parent = directory.parent.upgrade().map_or(self.0.ino(), |parent| parent.ino());
        let dots = [(0, b".".as_slice(), self.0.ino()), (1, b"..".as_slice(), parent)];
        for (position, name, ino) in dots.into_iter().filter(|(position, ..)| *position >= from) {
            let entry = DirEntry { ino, file_type: FileType::Directory, name: name.to_vec(), next: position + 1 };
            if !sink(entry) {
                return Ok(());
            }
        }
        for (position, name, inode) in directory.from(from) {
            let entry = DirEntry {
                ino: inode.ino(),
                file_type: inode.file_type(),
                name: name.to_vec(),
                next: position + 1,
            };
            if !sink(entry) {
                break;
            }
        }
        drop(directory);
        self.0.touch_accessed();
        Ok(())
    }

    fn sync(&self, _data_only: bool) -> Result<(), Errno> {
        Ok(())
    }

    fn metadata(&self) -> Result<Metadata, Errno> {
        self.0.metadata()
    }
}
