//! Where changes of files are announced, for inotify to hear.
//!
//! Watches hang on inodes, by inode number in their super block. Announcing costs one atomic load where nobody watches.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use super::{Dentry, FileDescription, Location, SuperBlock};

bitflags::bitflags! {
    /// What happened, in the numbers of `inotify(7)`.
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
    pub struct Events: u32 {
        /// `IN_ACCESS`
        const ACCESS = 0x1;
        /// `IN_MODIFY`
        const MODIFY = 0x2;
        /// `IN_ATTRIB`
        const ATTRIB = 0x4;
        /// `IN_CLOSE_WRITE`
        const CLOSE_WRITE = 0x8;
        /// `IN_CLOSE_NOWRITE`
        const CLOSE_NOWRITE = 0x10;
        /// `IN_OPEN`
        const OPEN = 0x20;
        /// `IN_MOVED_FROM`
        const MOVED_FROM = 0x40;
        /// `IN_MOVED_TO`
        const MOVED_TO = 0x80;
        /// `IN_CREATE`
        const CREATE = 0x100;
        /// `IN_DELETE`
        const DELETE = 0x200;
        /// `IN_DELETE_SELF`
        const DELETE_SELF = 0x400;
        /// `IN_MOVE_SELF`
        const MOVE_SELF = 0x800;
        /// `IN_UNMOUNT`
        const UNMOUNT = 0x2000;
        /// `IN_ISDIR`
        const ISDIR = 0x4000_0000;
    }
}

/// Who hears of events at an inode. Called without locks of the file system; must not sleep.
pub trait Watcher: Send + Sync {
    /// `name` is the entry of a watched directory that it happened to; `None` when it happened to the watched file itself.
    /// `cookie` pairs the two halves of a rename, else 0.
    fn event(&self, events: Events, cookie: u32, name: Option<&[u8]>);
}

/// The watches of a file system.
#[derive(Default)]
pub struct WatchTable {
    count: AtomicUsize,
    by_inode: Mutex<HashMap<u64, Vec<(u64, Arc<dyn Watcher>)>>>,
}

/// A watch; ends when dropped.
pub struct Watch {
    superblock: Weak<SuperBlock>,
    ino: u64,
    id: u64,
    /// Keeps the inode's number from being used again.
    _dentry: Arc<Dentry>,
}

/// Has `watcher` hear of events at `location`'s inode until the watch is dropped.
///
/// # Errors
/// EIO when the inode has no attributes to tell.
pub fn watch(location: &Location, watcher: Arc<dyn Watcher>) -> Result<Watch, crate::Errno> {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let ino = location.inode().metadata()?.ino;
    let id = NEXT.fetch_add(1, Ordering::Relaxed);
    let table = &location.mount.superblock.watches;
    table.by_inode.lock().entry(ino).or_default().push((id, watcher));
    table.count.fetch_add(1, Ordering::SeqCst);
    Ok(Watch { superblock: Arc::downgrade(&location.mount.superblock), ino, id, _dentry: location.dentry.clone() })
}

impl Drop for Watch {
    fn drop(&mut self) {
        let Some(superblock) = self.superblock.upgrade() else { return };
        let table = &superblock.watches;
        let removed = {
            let mut by_inode = table.by_inode.lock();
            let Some(list) = by_inode.get_mut(&self.ino) else { return };
            let position = list.iter().position(|(id, _)| *id == self.id);
            let removed = position.map(|position| list.swap_remove(position));
            if list.is_empty() {
                by_inode.remove(&self.ino);
            }
            removed
        };
        if removed.is_some() {
            table.count.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

impl WatchTable {
    fn is_empty(&self) -> bool {
        self.count.load(Ordering::SeqCst) == 0
    }

    fn tell(&self, dentry: &Dentry, events: Events, cookie: u32, name: Option<&[u8]>) {
        let Ok(metadata) = dentry.inode().metadata() else { return };
        let watchers: Vec<_> = match self.by_inode.lock().get(&metadata.ino) {
            Some(list) => list.iter().map(|(_, watcher)| watcher.clone()).collect(),
            None => return,
        };
        watchers.iter().for_each(|watcher| watcher.event(events, cookie, name));
    }
}

/// A pair of cookies never used before, for the two halves of a rename.
fn next_cookie() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Something happened to a file: its own watches and those of its directory hear of it.
pub fn at_file(location: &Location, events: Events) {
    let watches = &location.mount.superblock.watches;
    if watches.is_empty() {
        return;
    }
    let dentry = &location.dentry;
    let events = if dentry.is_dir() { events | Events::ISDIR } else { events };
    if let (Some(parent), name) = dentry.place()
        && !dentry.is_removed()
    {
        watches.tell(&parent, events, 0, Some(&name));
    }
    watches.tell(dentry, events, 0, None);
}

/// An entry of a directory came or went.
pub fn at_entry(dir: &Location, name: &[u8], is_dir: bool, events: Events) {
    let watches = &dir.mount.superblock.watches;
    if !watches.is_empty() {
        let events = if is_dir { events | Events::ISDIR } else { events };
        watches.tell(&dir.dentry, events, 0, Some(name));
    }
}

/// A file lost a name: links left change its attributes, the last one is its end.
pub fn at_removed(location: &Location) {
    let watches = &location.mount.superblock.watches;
    if watches.is_empty() {
        return;
    }
    let gone = location.dentry.is_dir() || location.inode().metadata().is_ok_and(|m| m.nlink == 0);
    // A change of the link count; directories have none to speak of.
    if !location.dentry.is_dir() {
        watches.tell(&location.dentry, Events::ATTRIB, 0, None);
    }
    if gone {
        watches.tell(&location.dentry, Events::DELETE_SELF, 0, None);
    }
}

/// An entry moved.
pub fn at_rename(from: &Location, name: &[u8], to: &Location, new_name: &[u8], moved: &Arc<Dentry>) {
    let watches = &from.mount.superblock.watches;
    if watches.is_empty() {
        return;
    }
    let kind = if moved.is_dir() { Events::ISDIR } else { Events::empty() };
    let cookie = next_cookie();
    watches.tell(&from.dentry, Events::MOVED_FROM | kind, cookie, Some(name));
    watches.tell(&to.dentry, Events::MOVED_TO | kind, cookie, Some(new_name));
    watches.tell(moved, Events::MOVE_SELF, 0, None);
}

/// Something happened through an open file.
pub fn at_description(description: &FileDescription, events: Events) {
    if let Some(location) = &description.location {
        at_file(location, events);
    }
}
