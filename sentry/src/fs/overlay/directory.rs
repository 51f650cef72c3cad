//! Directories of the overlay: merged entries, and changes of names with the whiteouts they leave.

use std::collections::HashSet;
use std::sync::Arc;

use super::inode::{Layers, OverlayInode};
use super::{OPAQUE, OverlayFs, Upper};
use crate::Errno;
use crate::vfs::dentry::{RENAME_EXCHANGE, RENAME_NOREPLACE, RENAME_WHITEOUT};
use crate::vfs::{DirEntry, FileType, Inode, NewNode, NodeKind};

fn is_whiteout(inode: &Arc<dyn Inode>) -> Result<bool, Errno> {
    Ok(inode.file_type() == FileType::CharDevice && inode.metadata()?.rdev == 0)
}

fn whiteout() -> NewNode {
    NewNode { kind: NodeKind::CharDevice(0), permissions: 0, uid: 0, gid: 0 }
}

/// What the upper directory has under a name.
enum InUpper {
    Nothing,
    Whiteout,
    Entry(Arc<dyn Inode>),
}

fn in_upper(upper: &Arc<dyn Inode>, name: &[u8]) -> Result<InUpper, Errno> {
    match upper.lookup(name) {
        Ok(inode) if is_whiteout(&inode)? => Ok(InUpper::Whiteout),
        Ok(inode) => Ok(InUpper::Entry(inode)),
        Err(Errno::ENOENT) => Ok(InUpper::Nothing),
        Err(error) => Err(error),
    }
}

fn in_lower(layers: &Layers, name: &[u8]) -> Result<Option<Arc<dyn Inode>>, Errno> {
    let Some(lower) = &layers.lower else { return Ok(None) };
    match lower.lookup(name) {
        Ok(inode) => Ok(Some(inode)),
        Err(Errno::ENOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Removes the whiteouts of a directory that is empty otherwise, so that it can itself be removed.
fn remove_whiteouts(dir: &Arc<dyn Inode>) -> Result<(), Errno> {
    let mut names = Vec::new();
    dir.read_dir(2, &mut |entry| {
        names.push(entry.name);
        true
    })?;
    names.iter().try_for_each(|name| dir.unlink(name))
}

impl OverlayInode {
    /// The entry `name`.
    pub(super) fn find(&self, name: &[u8]) -> Result<Arc<OverlayInode>, Errno> {
        if !self.is_dir() {
            return Err(Errno::ENOTDIR);
        }
        let fs = self.fs()?;
        let layers = self.layers();
        let upper = match &layers.upper {
            Some(upper) => in_upper(upper, name)?,
            None => InUpper::Nothing,
        };
        let found = match upper {
            InUpper::Whiteout => return Err(Errno::ENOENT),
            InUpper::Entry(upper) => {
                let lower = lower_beneath(&fs, &upper, &layers, name)?;
                Layers { upper: Some(upper), lower }
            }
            InUpper::Nothing => Layers { upper: None, lower: in_lower(&layers, name)? },
        };
        fs.inode(found, &self.strong()?, name)
    }

    /// All entries, `.` and `..` first.
    pub(super) fn merged_entries(&self) -> Result<Vec<DirEntry>, Errno> {
        let fs = self.fs()?;
        let layers = self.layers();
        let above = self.place().map_or(self.ino(), |(dir, _)| dir.ino());
        let mut entries: Vec<DirEntry> = Vec::new();
        let mut push = |name: Vec<u8>, ino, file_type| {
            let next = entries.len() as u64 + 1;
            entries.push(DirEntry { ino, file_type, name, next });
        };
        push(b".".to_vec(), self.ino(), FileType::Directory);
        push(b"..".to_vec(), above, FileType::Directory);
        let mut hidden = HashSet::new();
        if let Some(upper) = &layers.upper {
            let mut found = Vec::new();
            upper.read_dir(2, &mut |entry| {
                found.push(entry);
                true
            })?;
            for entry in found {
                let is_hidden = entry.file_type == FileType::CharDevice
                    && matches!(in_upper(upper, &entry.name)?, InUpper::Whiteout | InUpper::Nothing);
                if !is_hidden && !fs.is_temporary(&entry.name) {
                    push(entry.name.clone(), fs.upper_ino(entry.ino), entry.file_type);
                }
                if layers.lower.is_some() {
                    hidden.insert(entry.name);
                }
            }
        }
        if let Some(lower) = &layers.lower {
            let mut metadata = lower.metadata()?;
            lower.read_dir(2, &mut |entry| {
                if !hidden.contains(&entry.name) {
                    metadata.ino = entry.ino;
                    push(entry.name, fs.lower_ino(&metadata), entry.file_type);
                }
                true
            })?;
        }
        Ok(entries)
    }

    /// Makes an entry.
    pub(super) fn make(&self, name: &[u8], node: &NewNode) -> Result<Arc<OverlayInode>, Errno> {
        let fs = self.fs()?;
        let upper_dir = self.copy_up(None)?;
        let _structure = fs.structure.lock();
        let lower = in_lower(&self.layers(), name)?;
        let hidden = match in_upper(&upper_dir, name)? {
            InUpper::Entry(_) => return Err(Errno::EEXIST),
            InUpper::Nothing if lower.is_some() => return Err(Errno::EEXIST),
            InUpper::Nothing => false,
            InUpper::Whiteout => true,
        };
        if hidden {
            upper_dir.unlink(name)?;
        }
        let upper = match upper_dir.create(name, node) {
            Ok(upper) => upper,
            Err(error) => {
                if hidden {
                    upper_dir.create(name, &whiteout())?;
                }
                return Err(error);
            }
        };
        // The number may have been that of a file which is gone.
        fs.copies.lock().remove(&upper.metadata()?.ino);
        if lower.is_some() {
            fs.mark_opaque(&upper)?;
        }
        fs.inode(Layers { upper: Some(upper), lower: None }, &self.strong()?, name)
    }

    /// Adds a name for `target`.
    pub(super) fn add_name(&self, name: &[u8], target: &Arc<OverlayInode>) -> Result<(), Errno> {
        if target.is_dir() {
            return Err(Errno::EPERM);
        }
        let fs = self.fs()?;
        let upper = target.copy_up(None)?;
        let upper_dir = self.copy_up(None)?;
        let _structure = fs.structure.lock();
        match in_upper(&upper_dir, name)? {
            InUpper::Entry(_) => return Err(Errno::EEXIST),
            InUpper::Whiteout => upper_dir.unlink(name)?,
            InUpper::Nothing => {}
        }
        upper_dir.link(name, &upper)?;
        target.set_place(Some((self.strong()?, name)));
        Ok(())
    }

    /// Removes an entry that is no directory.
    pub(super) fn remove_name(&self, name: &[u8]) -> Result<(), Errno> {
        let fs = self.fs()?;
        let target = self.find(name)?;
        if target.is_dir() {
            return Err(Errno::EISDIR);
        }
        let upper_dir = self.copy_up(None)?;
        let _structure = fs.structure.lock();
        let hides = in_lower(&self.layers(), name)?.is_some();
        match in_upper(&upper_dir, name)? {
            InUpper::Whiteout => return Err(Errno::ENOENT),
            InUpper::Entry(_) => upper_dir.unlink(name)?,
            InUpper::Nothing => target.add_links(-1),
        }
        if hides {
            upper_dir.create(name, &whiteout())?;
        }
        target.leave_place(self, name);
        Ok(())
    }

    /// Removes an empty directory.
    pub(super) fn remove_directory(&self, name: &[u8]) -> Result<(), Errno> {
        let fs = self.fs()?;
        let target = self.find(name)?;
        if !target.is_dir() {
            return Err(Errno::ENOTDIR);
        }
        if target.merged_entries()?.len() > 2 {
            return Err(Errno::ENOTEMPTY);
        }
        let upper_dir = self.copy_up(None)?;
        let _structure = fs.structure.lock();
        let hides = in_lower(&self.layers(), name)?.is_some();
        match in_upper(&upper_dir, name)? {
            InUpper::Whiteout => return Err(Errno::ENOENT),
            InUpper::Entry(upper) => {
                remove_whiteouts(&upper)?;
                upper_dir.rmdir(name)?;
            }
            InUpper::Nothing => {}
        }
        if hides {
            upper_dir.create(name, &whiteout())?;
        }
        target.set_removed();
        target.leave_place(self, name);
        Ok(())
    }

    /// Moves the entry `name` to `new_name` in `new_dir`.
    pub(super) fn move_name(
        &self,
        name: &[u8],
        new_dir: &Arc<OverlayInode>,
        new_name: &[u8],
        flags: u32,
    ) -> Result<(), Errno> {
        if flags & RENAME_WHITEOUT != 0 {
            return Err(Errno::EINVAL);
        }
        let exchange = flags & RENAME_EXCHANGE != 0;
        let fs = self.fs()?;
        let source = self.find(name)?;
        let target = match new_dir.find(new_name) {
            Ok(_) if flags & RENAME_NOREPLACE != 0 => return Err(Errno::EEXIST),
            Ok(target) => Some(target),
            Err(Errno::ENOENT) if !exchange => None,
            Err(error) => return Err(error),
        };
        if let Some(target) = target.as_ref().filter(|_| !exchange) {
            match (source.is_dir(), target.is_dir()) {
                (true, false) => return Err(Errno::ENOTDIR),
                (false, true) => return Err(Errno::EISDIR),
                (true, true) if target.merged_entries()?.len() > 2 => return Err(Errno::ENOTEMPTY),
                _ => {}
            }
        }
        let moved = [Some(&source), target.as_ref().filter(|_| exchange)];
        for inode in moved.into_iter().flatten() {
            if inode.must_be_whole(&fs) {
                inode.copy_up_tree()?;
            } else {
                inode.copy_up(None)?;
            }
        }
        let upper_from = self.copy_up(None)?;
        let upper_to = new_dir.copy_up(None)?;
        let _structure = fs.structure.lock();
        let leaves_whiteout = !exchange && in_lower(&self.layers(), name)?.is_some();
        let mut was_lower_only = false;
        if !exchange {
            match in_upper(&upper_to, new_name)? {
                // A directory cannot be renamed over these; for files it saves a case.
                InUpper::Whiteout => upper_to.unlink(new_name)?,
                InUpper::Entry(upper) if source.is_dir() => remove_whiteouts(&upper)?,
                InUpper::Entry(_) => {}
                InUpper::Nothing => was_lower_only = target.is_some(),
            }
        }
        upper_from.rename(name, &upper_to, new_name, flags & RENAME_EXCHANGE)?;
        if leaves_whiteout {
            upper_from.create(name, &whiteout())?;
        }
        for inode in moved.into_iter().flatten().filter(|inode| inode.is_dir()) {
            fs.settle_moved(inode)?;
        }
        match target {
            Some(target) if exchange => target.set_place(Some((self.strong()?, name))),
            Some(target) => {
                if was_lower_only && !target.is_dir() {
                    target.add_links(-1);
                }
                if target.is_dir() {
                    target.set_removed();
                }
                target.leave_place(new_dir, new_name);
            }
            None => {}
        }
        source.set_place(Some((new_dir.clone(), new_name)));
        Ok(())
    }
}

/// The lower directory beneath an upper one.
fn lower_beneath(
    fs: &OverlayFs,
    upper: &Arc<dyn Inode>,
    layers: &Layers,
    name: &[u8],
) -> Result<Option<Arc<dyn Inode>>, Errno> {
    if upper.file_type() != FileType::Directory {
        return Ok(None);
    }
    if let Some(copy) = fs.copies.lock().get(&upper.metadata()?.ino) {
        return Ok(copy.lower.clone());
    }
    if fs.kind == Upper::Temporary || upper.get_xattr(OPAQUE).is_ok_and(|value| value == b"y") {
        return Ok(None);
    }
    Ok(in_lower(layers, name)?.filter(|lower| lower.file_type() == FileType::Directory))
}

impl OverlayFs {
    fn is_temporary(&self, name: &[u8]) -> bool {
        name.starts_with(b".overlay-copy-")
    }

    /// Marks a new directory in place of a lower one that was removed, for when the upper is read again.
    fn mark_opaque(&self, upper: &Arc<dyn Inode>) -> Result<(), Errno> {
        if self.kind == Upper::Temporary || upper.file_type() != FileType::Directory {
            return Ok(());
        }
        upper.set_xattr(OPAQUE, b"y", 0)
    }

    /// A directory has another name now: what is said of it must not depend on the old one.
    fn settle_moved(&self, inode: &OverlayInode) -> Result<(), Errno> {
        let Some(upper) = inode.upper() else { return Ok(()) };
        if self.kind == Upper::Persistent {
            self.mark_opaque(&upper)?;
            inode.layers_lock().write().lower = None;
            if let Some(copy) = self.copies.lock().get_mut(&upper.metadata()?.ino) {
                copy.lower = None;
            }
        }
        Ok(())
    }
}
