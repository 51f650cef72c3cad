//! What is known of a directory of the gofer: its entries, as a whole or one by one.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use gofer_proto::{Entry, Found};

use super::inode::GoferInode;

/// Names looked up one by one before the whole directory is fetched.
const SINGLE_LOOKUPS: u32 = 2;

/// A directory's cached entries.
#[derive(Default)]
pub struct Entries {
    lookups: u32,
    listing: Option<Listing>,
    /// Inodes by the name they were last found or made by, for calls that name the file and its directory.
    pub known: HashMap<Box<[u8]>, Weak<GoferInode>>,
}

/// A whole directory at one moment.
pub struct Listing {
    order: Vec<Listed>,
    by_name: HashMap<Arc<[u8]>, usize>,
    /// Monotonic nanoseconds.
    pub fetched_at: u64,
}

/// One entry of a listing.
pub struct Listed {
    pub name: Arc<[u8]>,
    pub ino: u64,
    pub mode: u32,
    state: State,
}

enum State {
    /// Not used yet.
    Found(Box<Found>),
    /// Someone has it.
    Inode(Weak<GoferInode>),
}

/// What a listing says about a name.
pub enum Answer {
    /// Here it is, for the first time.
    New(Box<Found>),
    /// Someone has it already.
    Known(Arc<GoferInode>),
    /// It was used and dropped: it has to be looked up again.
    Gone,
    /// There is no such name.
    Missing,
}

impl Listing {
    pub fn new(entries: Vec<Entry>, fetched_at: u64) -> Listing {
        let mut order = Vec::with_capacity(entries.len());
        let mut by_name = HashMap::with_capacity(entries.len());
        for entry in entries {
            let name: Arc<[u8]> = entry.name.into();
            by_name.insert(name.clone(), order.len());
            let (ino, mode) = (entry.found.attr.ino, entry.found.attr.mode);
            order.push(Listed { name, ino, mode, state: State::Found(Box::new(entry.found)) });
        }
        Listing { order, by_name, fetched_at }
    }

    pub fn entries(&self) -> &[Listed] {
        &self.order
    }

    /// Takes what is known of `name`; call [`Listing::set`] with the inode made of it.
    fn get(&mut self, name: &[u8]) -> Answer {
        let Some(listed) = self.by_name.get(name).and_then(|&index| self.order.get_mut(index)) else {
            return Answer::Missing;
        };
        match std::mem::replace(&mut listed.state, State::Inode(Weak::new())) {
            State::Found(found) => Answer::New(found),
            State::Inode(inode) => match inode.upgrade() {
                Some(known) => {
                    listed.state = State::Inode(inode);
                    Answer::Known(known)
                }
                None => Answer::Gone,
            },
        }
    }

    /// Nodes that nobody has used.
    fn unused(self) -> impl Iterator<Item = gofer_proto::NodeId> {
        self.order.into_iter().filter_map(|listed| match listed.state {
            State::Found(found) => Some(found.node),
            State::Inode(_) => None,
        })
    }
}

impl Entries {
    pub fn listing(&self) -> Option<&Listing> {
        self.listing.as_ref()
    }

    /// What the listing says about `name`; `None` without one.
    pub fn ask(&mut self, name: &[u8]) -> Option<Answer> {
        self.listing.as_mut().map(|listing| listing.get(name))
    }

    /// Notes the inode of `name`.
    pub fn set(&mut self, name: &[u8], inode: &Arc<GoferInode>) {
        if let Some(listing) = &mut self.listing
            && let Some(listed) = listing.by_name.get(name).and_then(|&index| listing.order.get_mut(index))
        {
            listed.state = State::Inode(Arc::downgrade(inode));
        }
    }

    /// Whether the next lookup should fetch the whole directory.
    pub fn should_list(&mut self) -> bool {
        self.lookups += 1;
        self.lookups > SINGLE_LOOKUPS
    }

    /// Replaces the listing; the nodes of the old one that nobody used.
    pub fn replace(&mut self, listing: Option<Listing>) -> Vec<gofer_proto::NodeId> {
        self.lookups = 0;
        let old = std::mem::replace(&mut self.listing, listing);
        old.map(|old| old.unused().collect()).unwrap_or_default()
    }
}
