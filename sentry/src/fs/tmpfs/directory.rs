//! A directory's entries, with positions that stay valid while others come and go.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Weak};

use super::inode::TmpfsInode;

/// Positions below are those of `.` and `..`.
const FIRST_POSITION: u64 = 2;

/// Entries by name and by position.
#[derive(Default)]
pub struct Directory {
    by_name: HashMap<Arc<[u8]>, (u64, Arc<TmpfsInode>)>,
    by_position: BTreeMap<u64, Arc<[u8]>>,
    next: u64,
    /// The directory that holds this one; none for the root.
    pub parent: Weak<TmpfsInode>,
    /// It was removed: nothing can be made in it.
    pub removed: bool,
}

impl Directory {
    pub fn get(&self, name: &[u8]) -> Option<&Arc<TmpfsInode>> {
        self.by_name.get(name).map(|(_, inode)| inode)
    }

    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    /// Adds an entry at the end, or puts another inode at a name's position. Returns what was there.
    pub fn insert(&mut self, name: &[u8], inode: Arc<TmpfsInode>) -> Option<Arc<TmpfsInode>> {
        if let Some((_, old)) = self.by_name.get_mut(name) {
            return Some(std::mem::replace(old, inode));
        }
        let name: Arc<[u8]> = name.into();
        let position = FIRST_POSITION + self.next;
        self.next += 1;
        self.by_position.insert(position, name.clone());
        self.by_name.insert(name, (position, inode));
        None
    }

    pub fn remove(&mut self, name: &[u8]) -> Option<Arc<TmpfsInode>> {
        let (position, inode) = self.by_name.remove(name)?;
        self.by_position.remove(&position);
        Some(inode)
    }

    /// Entries from `position` on, in order: position, name, inode.
    pub fn from(&self, position: u64) -> impl Iterator<Item = (u64, &[u8], &Arc<TmpfsInode>)> {
        self.by_position.range(position..).filter_map(|(position, name)| Some((*position, &**name, self.get(name)?)))
    }

    /// Takes all entries out.
    pub fn take_all(&mut self) -> Vec<Arc<TmpfsInode>> {
        self.by_position.clear();
        self.by_name.drain().map(|(_, (_, inode))| inode).collect()
    }
}
