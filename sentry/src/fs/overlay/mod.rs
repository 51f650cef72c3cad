//! The overlay: a lower file system that never changes, and an upper one that takes all changes.
//!
//! What is changed is *copied up* first; a removed lower name is hidden by a *whiteout* (a character device 0/0) in the upper
//! directory. Which lower directory lies beneath an upper one is kept here, by the upper directory's inode, so that a renamed
//! directory keeps its contents without a copy; for an upper that outlives the sandbox it can be read off the upper again: a
//! directory lies over the lower one of its name unless it is marked opaque.

mod copy_up;
mod directory;
mod inode;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use abi::types::Statfs;
use parking_lot::Mutex;

use super::tmpfs::anonymous_device;
use crate::Errno;
use crate::vfs::{FileSystem, FileType, Inode, Metadata};
use inode::{Layers, OverlayInode};

/// The mark of a directory that hides the lower one of its name.
const OPAQUE: &[u8] = b"user.overlay.opaque";
/// Names of attributes that belong to the overlay itself.
const PRIVATE_XATTRS: &[u8] = b"user.overlay.";
/// Set in the inode numbers of files that were made in the upper file system.
const UPPER_INO: u64 = 1 << 56;

/// What becomes of the upper file system after the sandbox.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Upper {
    /// It goes with it.
    Temporary,
    /// It will be an upper again: everything must be readable off it.
    Persistent,
}

/// An overlay file system.
pub struct OverlayFs {
    this: Weak<OverlayFs>,
    dev: u64,
    upper: Arc<dyn FileSystem>,
    /// Kept alive for its inodes, which know it only weakly.
    _lower: Arc<dyn FileSystem>,
    kind: Upper,
    root: Mutex<Option<Arc<OverlayInode>>>,
    inodes: Mutex<HashMap<Key, Weak<OverlayInode>>>,
    /// Bookkeeping of copied files, by inode number of the upper file system.
    copies: Mutex<HashMap<u64, Copy>>,
    /// Lower files with several names that were changed through one of them, by device and inode number.
    shared: Mutex<HashMap<(u64, u64), Shared>>,
    /// Lower devices in order of appearance.
    devices: Mutex<Vec<u64>>,
    /// Held while names in the upper file system change.
    structure: Mutex<()>,
    serial: AtomicU64,
}

/// Which real inode an overlay inode stands for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Key {
    /// By device and inode number.
    Lower(u64, u64),
    /// By inode number.
    Upper(u64),
}

/// What was copied up.
#[derive(Clone)]
struct Copy {
    /// Its inode number before, which it keeps.
    ino: u64,
    /// The lower directory beneath, of directories.
    lower: Option<Arc<dyn Inode>>,
}

/// A lower file with several names.
#[derive(Clone, Default)]
struct Shared {
    /// Its copy, once there is one.
    upper: Option<Arc<dyn Inode>>,
    /// Names that it has more (or less) than the real inode says.
    extra_links: i64,
}

impl OverlayFs {
    /// An overlay of two file systems, from their root directories on.
    ///
    /// # Errors
    /// Those of reading the root directories.
    pub fn new(lower: Arc<dyn FileSystem>, upper: Arc<dyn FileSystem>, kind: Upper) -> Result<Arc<OverlayFs>, Errno> {
        let fs = Arc::new_cyclic(|this| OverlayFs {
            this: this.clone(),
            dev: anonymous_device(),
            upper: upper.clone(),
            _lower: lower.clone(),
            kind,
            root: Mutex::new(None),
            inodes: Mutex::default(),
            copies: Mutex::default(),
            shared: Mutex::default(),
            devices: Mutex::default(),
            structure: Mutex::new(()),
            serial: AtomicU64::new(0),
        });
        let (lower, upper) = (lower.root(), upper.root());
        if kind == Upper::Temporary {
            copy_up::copy_attributes(&lower, &upper)?;
        }
        let ino = fs.lower_ino(&lower.metadata()?);
        fs.copies.lock().insert(upper.metadata()?.ino, Copy { ino, lower: Some(lower.clone()) });
        let root = OverlayInode::new(&fs, ino, Layers { upper: Some(upper), lower: Some(lower) }, None);
        *fs.root.lock() = Some(root);
        Ok(fs)
    }

    /// The inode number that a lower file shows.
    fn lower_ino(&self, metadata: &Metadata) -> u64 {
        let mut devices = self.devices.lock();
        let index = devices.iter().position(|dev| *dev == metadata.dev).unwrap_or_else(|| {
            devices.push(metadata.dev);
            devices.len() - 1
        });
        metadata.ino ^ (index as u64) << 48
    }

    /// The inode number that an upper file shows.
    fn upper_ino(&self, ino: u64) -> u64 {
        self.copies.lock().get(&ino).map_or(ino | UPPER_INO, |copy| copy.ino)
    }

    fn known(&self, key: Key) -> Option<Arc<OverlayInode>> {
        self.inodes.lock().get(&key)?.upgrade()
    }

    fn remember(&self, key: Key, inode: &Arc<OverlayInode>) {
        const PRUNE_AT: usize = 4096;
        let mut inodes = self.inodes.lock();
        if inodes.len() >= PRUNE_AT && inodes.len() == inodes.capacity() {
            inodes.retain(|_, inode| inode.strong_count() > 0);
        }
        inodes.insert(key, Arc::downgrade(inode));
    }

    /// The overlay's inode for what was found at `name` in `dir`; at least one of the layers is there.
    fn inode(&self, found: Layers, dir: &Arc<OverlayInode>, name: &[u8]) -> Result<Arc<OverlayInode>, Errno> {
        let place = Some((dir.clone(), name));
        match found {
            Layers { upper: Some(upper), lower } => {
                let metadata = upper.metadata()?;
                if let Some(known) = self.known(Key::Upper(metadata.ino)) {
                    known.set_place(place);
                    return Ok(known);
                }
                let lower = match lower {
                    Some(lower) if metadata.file_type == FileType::Directory => {
                        let copy = Copy { ino: self.lower_ino(&lower.metadata()?), lower: Some(lower.clone()) };
                        self.copies.lock().entry(metadata.ino).or_insert(copy);
                        Some(lower)
                    }
                    _ => None,
                };
                let layers = Layers { upper: Some(upper), lower };
                let inode = OverlayInode::new(&self.strong()?, self.upper_ino(metadata.ino), layers, place);
                self.remember(Key::Upper(metadata.ino), &inode);
                Ok(inode)
            }
            Layers { upper: None, lower: Some(lower) } => {
                let metadata = lower.metadata()?;
                let identity = (metadata.dev, metadata.ino);
                if let Some(known) = self.known(Key::Lower(metadata.dev, metadata.ino)) {
                    known.set_place(place);
                    return Ok(known);
                }
                let shared = self.shared.lock().get(&identity).cloned().unwrap_or_default();
                if let Some(upper) = shared.upper {
                    let inode = self.inode(Layers { upper: Some(upper), lower: None }, dir, name)?;
                    inode.set_shared(identity, shared.extra_links);
                    return Ok(inode);
                }
                let ino = self.lower_ino(&metadata);
                let layers = Layers { upper: None, lower: Some(lower) };
                let inode = OverlayInode::new(&self.strong()?, ino, layers, place);
                if metadata.nlink > 1 && metadata.file_type != FileType::Directory {
                    inode.set_shared(identity, shared.extra_links);
                }
                self.remember(Key::Lower(metadata.dev, metadata.ino), &inode);
                Ok(inode)
            }
            _ => Err(Errno::ENOENT),
        }
    }

    fn strong(&self) -> Result<Arc<OverlayFs>, Errno> {
        self.this.upgrade().ok_or(Errno::EIO)
    }

    /// A name for a file that is not yet to be seen.
    fn temporary_name(&self) -> Vec<u8> {
        // One that was left behind by a sandbox which was killed must not be in the way.
        let now = host::clock::realtime_ns();
        format!(".overlay-copy-{now:x}-{}", self.serial.fetch_add(1, Ordering::Relaxed)).into_bytes()
    }
}

impl FileSystem for OverlayFs {
    fn name(&self) -> &'static str {
        "overlay"
    }

    fn statfs(&self) -> Result<Statfs, Errno> {
        const OVERLAYFS_SUPER_MAGIC: i64 = 0x794c_7630;
        Ok(Statfs { f_type: OVERLAYFS_SUPER_MAGIC, ..self.upper.statfs()? })
    }

    fn root(&self) -> Arc<dyn Inode> {
        match &*self.root.lock() {
            Some(root) => root.clone(),
            None => unreachable!("the root is made before anyone has the file system"),
        }
    }

    fn is_read_only(&self) -> bool {
        self.upper.is_read_only()
    }

    fn sync(&self) -> Result<(), Errno> {
        self.upper.sync()
    }
}
