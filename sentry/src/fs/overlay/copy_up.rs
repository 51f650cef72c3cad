//! Copying a lower file to the upper file system before its first change.

use std::sync::Arc;

use super::inode::OverlayInode;
use super::{Copy, Key, OverlayFs, Shared, Upper};
use crate::Errno;
use crate::vfs::{FileType, Inode, Metadata, NewNode, NodeKind, SetAttributes};

const CHUNK: usize = 256 << 10;

impl OverlayInode {
    /// Makes sure that it has an upper inode, which is returned. Of a regular file at most `keep` bytes are copied.
    pub(super) fn copy_up(&self, keep: Option<u64>) -> Result<Arc<dyn Inode>, Errno> {
        if let Some(upper) = self.upper() {
            return Ok(upper);
        }
        self.copy_up_ancestors()?;
        self.copy_up_alone(keep)
    }

    /// The directories above, from the top down: without recursion, as the guest chooses how deep a tree is.
    fn copy_up_ancestors(&self) -> Result<(), Errno> {
        let mut missing = Vec::new();
        let mut at = self.place();
        while let Some((dir, _)) = at {
            if dir.upper().is_some() {
                break;
            }
            at = dir.place();
            missing.push(dir);
        }
        while let Some(dir) = missing.pop() {
            dir.copy_up_alone(None)?;
        }
        Ok(())
    }

    /// Copies up what lies in a directory that has an upper inode already.
    fn copy_up_alone(&self, keep: Option<u64>) -> Result<Arc<dyn Inode>, Errno> {
        let fs = self.fs()?;
        // The structure is locked before the layers, as everywhere; copying the data under it keeps others from making names
        // meanwhile, but never lets two copies of one file exist.
        let _structure = fs.structure.lock();
        let lower = {
            let layers = self.layers_lock().read();
            if let Some(upper) = &layers.upper {
                return Ok(upper.clone());
            }
            layers.lower.clone().ok_or(Errno::EIO)?
        };
        let metadata = lower.metadata()?;
        let upper = self.make_copy(&fs, &lower, &metadata, keep)?;
        self.note_copy(&fs, &lower, &metadata, &upper)?;
        let mut layers = self.layers_lock().write();
        layers.upper = Some(upper.clone());
        if !self.is_dir() {
            layers.lower = None;
        }
        Ok(upper)
    }

    fn make_copy(
        &self,
        fs: &OverlayFs,
        lower: &Arc<dyn Inode>,
        metadata: &Metadata,
        keep: Option<u64>,
    ) -> Result<Arc<dyn Inode>, Errno> {
        let place = match self.place() {
            Some((dir, name)) => Some((dir.upper().ok_or(Errno::EIO)?, name)),
            None => None,
        };
        let node = |kind| NewNode { kind, permissions: metadata.permissions, uid: metadata.uid, gid: metadata.gid };
        let kind = match metadata.file_type {
            FileType::Regular => return self.copy_regular(fs, lower, &node(NodeKind::File), place, keep),
            FileType::Directory => NodeKind::Directory,
            FileType::Symlink => NodeKind::Symlink(lower.read_link()?),
            FileType::Fifo => NodeKind::Fifo,
            FileType::Socket => NodeKind::Socket,
            FileType::CharDevice => NodeKind::CharDevice(metadata.rdev),
            FileType::BlockDevice => NodeKind::BlockDevice(metadata.rdev),
            FileType::Anonymous => return Err(Errno::EINVAL),
        };
        // A file that has lost its name and is no regular file is not worth keeping.
        let (dir, name) = place.ok_or(Errno::ENOENT)?;
        let upper = dir.create(&name, &node(kind))?;
        copy_attributes(lower, &upper)?;
        Ok(upper)
    }

    /// Regular files are filled before they get their name, so that nobody sees half a copy.
    fn copy_regular(
        &self,
        fs: &OverlayFs,
        lower: &Arc<dyn Inode>,
        node: &NewNode,
        place: Option<(Arc<dyn Inode>, Box<[u8]>)>,
        keep: Option<u64>,
    ) -> Result<Arc<dyn Inode>, Errno> {
        let root = fs.upper.root();
        let (upper, temporary) = match fs.kind {
            Upper::Temporary => (root.create_unnamed(node)?, None),
            // The host can give a name to what has one only.
            Upper::Persistent => {
                let name = fs.temporary_name();
                (root.create(&name, node)?, Some(name))
            }
        };
        let filled = copy_contents(lower, &upper, keep).and_then(|()| copy_attributes(lower, &upper));
        let named = filled.and_then(|()| match (&place, &temporary) {
            (Some((dir, name)), None) => dir.link(name, &upper),
            (Some((dir, name)), Some(temporary)) => root.rename(temporary, dir, name, 0),
            (None, Some(temporary)) => root.unlink(temporary),
            (None, None) => Ok(()),
        });
        if let (Err(error), Some(temporary)) = (named, &temporary) {
            let _ = root.unlink(temporary);
            return Err(error);
        }
        named.map(|()| upper)
    }

    /// Enters the copy in the books, so that it keeps its number and other names of it lead to it.
    fn note_copy(
        &self,
        fs: &OverlayFs,
        lower: &Arc<dyn Inode>,
        metadata: &Metadata,
        upper: &Arc<dyn Inode>,
    ) -> Result<(), Errno> {
        let copied = upper.metadata()?;
        let beneath = self.is_dir().then(|| lower.clone());
        fs.copies.lock().insert(copied.ino, Copy { ino: self.ino(), lower: beneath });
        fs.remember(Key::Upper(copied.ino), &self.strong()?);
        if !self.is_dir() {
            // The copy has one name (or none); the names left in the lower file system lead to it, too.
            let extra_links = metadata.nlink as i64 - copied.nlink as i64;
            self.add_links(extra_links);
            if let Some(identity) = self.shared() {
                let shared = Shared { upper: Some(upper.clone()), extra_links: self.extra_links() };
                fs.shared.lock().insert(identity, shared);
            }
        }
        Ok(())
    }

    /// Copies up a whole directory, so that nothing below needs the lower one (a persistent upper and a rename).
    pub(super) fn copy_up_tree(self: &Arc<Self>) -> Result<(), Errno> {
        let mut rest = vec![self.clone()];
        while let Some(inode) = rest.pop() {
            inode.copy_up(None)?;
            if inode.is_dir() {
                for entry in inode.merged_entries()?.into_iter().skip(2) {
                    rest.push(inode.find(&entry.name)?);
                }
            }
        }
        Ok(())
    }

    /// Whether its renaming must not depend on what only memory knows.
    pub(super) fn must_be_whole(&self, fs: &OverlayFs) -> bool {
        fs.kind == Upper::Persistent && self.is_dir() && self.layers().lower.is_some()
    }
}

fn copy_contents(lower: &Arc<dyn Inode>, upper: &Arc<dyn Inode>, keep: Option<u64>) -> Result<(), Errno> {
    let size = lower.size()?;
    let end = keep.unwrap_or(size).min(size);
    if end == 0 {
        return Ok(());
    }
    let _pinned = lower.pin(crate::vfs::OpenFlags::empty())?;
    let mut buf = vec![0; CHUNK.min(usize::try_from(end).unwrap_or(CHUNK))];
    let mut at = 0;
    while at < end {
        // Holes stay holes.
        at = match lower.seek_sparse(at, false) {
            Ok(data) => data.max(at),
            Err(Errno::ENXIO) => break,
            Err(_) => at,
        };
        if at >= end {
            break;
        }
        let len = buf.len().min(usize::try_from(end - at).unwrap_or(usize::MAX));
        let read = lower.read_at(at, &mut buf[..len])?;
        if read == 0 {
            break;
        }
        let mut done = 0;
        while done < read {
            let written = upper.write_at(Some(at + done as u64), &buf[done..read])?;
            if written == 0 {
                return Err(Errno::EIO);
            }
            done += written;
        }
        at += read as u64;
    }
    if upper.size()? < end {
        upper.set_attributes(&SetAttributes { size: Some(end), ..SetAttributes::default() })?;
    }
    Ok(())
}

/// Mode, owner, times and extended attributes.
pub(super) fn copy_attributes(lower: &Arc<dyn Inode>, upper: &Arc<dyn Inode>) -> Result<(), Errno> {
    for name in lower.list_xattrs().unwrap_or_default() {
        if let Ok(value) = lower.get_xattr(&name) {
            match upper.set_xattr(&name, &value, 0) {
                Ok(()) | Err(Errno::EOPNOTSUPP | Errno::EPERM) => {}
                Err(error) => return Err(error),
            }
        }
    }
    let from = lower.metadata()?;
    let to = upper.metadata()?;
    let differs = |wanted: u32, is: u32| (wanted != is).then_some(wanted);
    let link = from.file_type == FileType::Symlink;
    let change = SetAttributes {
        permissions: differs(from.permissions, to.permissions).filter(|_| !link),
        uid: differs(from.uid, to.uid),
        gid: differs(from.gid, to.gid),
        size: None,
        accessed: Some(from.times.accessed),
        modified: Some(from.times.modified),
    };
    match upper.set_attributes(&change) {
        // A rootless upper cannot give files away; the rest still matters.
        Err(Errno::EPERM) => upper.set_attributes(&SetAttributes { uid: None, gid: None, ..change }),
        done => done,
    }
}
