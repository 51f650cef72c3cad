//! The table of nodes: what a client's ids stand for.
//!
//! A node remembers where it was found (parent and name) and which inode that was. Its `O_PATH` descriptor is opened when
//! it is first needed and may be closed at any time: then the name is opened again, and must still be the same inode. So a
//! tree of any size costs memory but no descriptors.

use std::collections::VecDeque;
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;

use abi::Errno;
use gofer_proto::{Attr, Device, FileType, NodeId, Time};
use host::file::{self, Resolve};
use host::metadata;

use crate::mask::{Seen, View};

/// Nodes of one client at the most: beyond it lookups fail with ENFILE.
const MAX_NODES: usize = 1 << 22;

/// `O_PATH | O_NOFOLLOW`
pub(crate) const O_PATH_NOFOLLOW: u32 = 0o10_000_000 | 0o400_000;

/// What makes an inode the same one; the time of birth tells a reused number apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Identity {
    dev: Device,
    ino: u64,
    birth: Option<Time>,
    pub(crate) kind: FileType,
}

impl Identity {
    pub(crate) fn of(attr: &Attr) -> Identity {
        Identity { dev: attr.dev, ino: attr.ino, birth: attr.btime, kind: attr.file_type() }
    }
}

/// Whether two names lie on the same mount.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct MountId(pub u64);

/// What is known of a file when a node is made for it.
#[derive(Clone, Debug)]
pub(crate) struct NewNode {
    pub attach: u32,
    pub parent: NodeId,
    pub name: CString,
    pub identity: Identity,
    pub mount: MountId,
    pub seen: Seen,
}

#[derive(Debug)]
struct Node {
    attach: u32,
    /// Slot of the parent, which lives at least as long; `None` for a root.
    parent: Option<u32>,
    name: CString,
    identity: Identity,
    mount: MountId,
    seen: Seen,
    fd: Option<Rc<OwnedFd>>,
    /// Used since the eviction hand last passed.
    used: bool,
    /// The descriptor is all that is left of it (its name is gone), or it is a root: never close it.
    pinned: bool,
    /// The client has not forgotten it.
    owned: bool,
    children: u32,
}

struct Slot {
    generation: u32,
    node: Option<Node>,
    /// It stands in the hand's queue, though perhaps with nothing left to close.
    queued: bool,
}

pub(crate) struct NodeTable {
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// Slots that may have a descriptor to close, in the order of the eviction hand (second chance).
    hand: VecDeque<u32>,
    /// Descriptors that may be closed.
    open: usize,
    max_open: usize,
    pins: usize,
}

impl NodeTable {
    pub(crate) fn new(max_open: usize) -> NodeTable {
        let max_open = max_open.max(8);
        NodeTable { slots: Vec::new(), free: Vec::new(), hand: VecDeque::new(), open: 0, max_open, pins: 0 }
    }

    /// Adds the root of an attach point, which stays for ever.
    pub(crate) fn add_root(
        &mut self,
        attach: u32,
        fd: OwnedFd,
        identity: Identity,
        mount: MountId,
        seen: Seen,
    ) -> Result<NodeId, Errno> {
        self.add(Node {
            attach,
            parent: None,
            name: CString::default(),
            identity,
            mount,
            seen,
            fd: Some(Rc::new(fd)),
            used: true,
            pinned: true,
            owned: true,
            children: 1,
        })
    }

    pub(crate) fn insert(&mut self, new: NewNode) -> Result<NodeId, Errno> {
        let parent = self.slot_of(new.parent)?;
        let id = self.add(Node {
            attach: new.attach,
            parent: Some(parent),
            name: new.name,
            identity: new.identity,
            mount: new.mount,
            seen: new.seen,
            fd: None,
            used: false,
            pinned: false,
            owned: true,
            children: 0,
        })?;
        self.at_mut(parent)?.children += 1;
        Ok(id)
    }

    fn add(&mut self, node: Node) -> Result<NodeId, Errno> {
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None if self.slots.len() >= MAX_NODES => return Err(Errno::ENFILE),
            None => {
                self.slots.push(Slot { generation: 0, node: None, queued: false });
                (self.slots.len() - 1) as u32
            }
        };
        let place = &mut self.slots[slot as usize];
        place.generation += 1;
        place.node = Some(node);
        Ok(NodeId(u64::from(place.generation) << 32 | u64::from(slot)))
    }

    /// The slot of an id that the client may use.
    fn slot_of(&self, id: NodeId) -> Result<u32, Errno> {
        let (generation, slot) = ((id.0 >> 32) as u32, id.0 as u32);
        let place = self.slots.get(slot as usize).ok_or(Errno::ESTALE)?;
        match &place.node {
            Some(node) if place.generation == generation && node.owned => Ok(slot),
            _ => Err(Errno::ESTALE),
        }
    }

    fn at(&self, slot: u32) -> Result<&Node, Errno> {
        self.slots.get(slot as usize).and_then(|place| place.node.as_ref()).ok_or(Errno::ESTALE)
    }

    fn at_mut(&mut self, slot: u32) -> Result<&mut Node, Errno> {
        self.slots.get_mut(slot as usize).and_then(|place| place.node.as_mut()).ok_or(Errno::ESTALE)
    }

    fn get(&self, id: NodeId) -> Result<&Node, Errno> {
        self.at(self.slot_of(id)?)
    }

    pub(crate) fn attach(&self, id: NodeId) -> Result<u32, Errno> {
        Ok(self.get(id)?.attach)
    }

    pub(crate) fn identity(&self, id: NodeId) -> Result<Identity, Errno> {
        Ok(self.get(id)?.identity)
    }

    pub(crate) fn mount(&self, id: NodeId) -> Result<MountId, Errno> {
        Ok(self.get(id)?.mount)
    }

    pub(crate) fn seen(&self, id: NodeId) -> Result<Seen, Errno> {
        Ok(self.get(id)?.seen)
    }

    /// The `O_PATH` descriptor of a node, opened again where it had been closed.
    ///
    /// # Errors
    /// ESTALE when another file stands at its name by now.
    pub(crate) fn descriptor(&mut self, id: NodeId) -> Result<Rc<OwnedFd>, Errno> {
        let slot = self.slot_of(id)?;
        self.descriptor_of(slot)
    }

    fn descriptor_of(&mut self, slot: u32) -> Result<Rc<OwnedFd>, Errno> {
        // Up to the nearest open ancestor, then down again. A loop, because the guest chooses the depth.
        let mut way = Vec::new();
        let mut at = slot;
        let mut fd = loop {
            let node = self.at_mut(at)?;
            if let Some(fd) = &node.fd {
                let fd = Rc::clone(fd);
                node.used = true;
                break fd;
            }
            way.push(at);
            at = node.parent.ok_or(Errno::ESTALE)?;
        };
        for at in way.into_iter().rev() {
            let node = self.at(at)?;
            fd = Rc::new(open_same(&fd, &node.name, node.identity)?);
            self.remember(at, Rc::clone(&fd))?;
        }
        Ok(fd)
    }

    fn remember(&mut self, slot: u32, fd: Rc<OwnedFd>) -> Result<(), Errno> {
        let node = self.at_mut(slot)?;
        node.used = true;
        if node.fd.replace(fd).is_none() {
            self.open += 1;
            self.enqueue(slot);
        }
        // Each step closes one, drops an empty entry or takes away a second chance: two rounds are enough.
        let mut steps = 2 * self.hand.len();
        while self.open > self.max_open && steps > 0 {
            steps -= 1;
            let Some(candidate) = self.hand.pop_front() else { break };
            self.slots[candidate as usize].queued = false;
            let Ok(node) = self.at_mut(candidate) else { continue };
            if node.pinned || node.fd.is_none() {
                continue;
            }
            if candidate == slot || std::mem::replace(&mut node.used, false) {
                self.enqueue(candidate);
            } else {
                node.fd = None;
                self.open -= 1;
            }
        }
        Ok(())
    }

    fn enqueue(&mut self, slot: u32) {
        if !std::mem::replace(&mut self.slots[slot as usize].queued, true) {
            self.hand.push_back(slot);
        }
    }

    /// Where a node was found: its directory's descriptor and its name there. `None` for a root.
    pub(crate) fn place(&mut self, id: NodeId) -> Result<Option<(Rc<OwnedFd>, CString)>, Errno> {
        let node = self.get(id)?;
        let (Some(parent), name) = (node.parent, node.name.clone()) else { return Ok(None) };
        Ok(Some((self.descriptor_of(parent)?, name)))
    }

    /// Keeps a node usable after its name is gone. Best effort: there is a limit to how many.
    pub(crate) fn pin(&mut self, id: NodeId) {
        if self.pins >= self.max_open / 4 || self.descriptor(id).is_err() {
            return;
        }
        let Ok(slot) = self.slot_of(id) else { return };
        let Ok(node) = self.at_mut(slot) else { return };
        if !std::mem::replace(&mut node.pinned, true) {
            self.pins += 1;
            self.open -= 1;
        }
    }

    /// Undoes [`NodeTable::pin`].
    pub(crate) fn unpin(&mut self, id: NodeId) {
        let Ok(slot) = self.slot_of(id) else { return };
        let Ok(node) = self.at_mut(slot) else { return };
        if node.parent.is_some() && std::mem::replace(&mut node.pinned, false) {
            self.pins -= 1;
            self.open += 1;
            self.enqueue(slot);
        }
    }

    /// Notes that `id` now is `name` in `dir`.
    pub(crate) fn moved(&mut self, id: NodeId, dir: NodeId, name: CString) -> Result<(), Errno> {
        let (slot, new_parent) = (self.slot_of(id)?, self.slot_of(dir)?);
        // What the table believes may be older than what the host did: never close a circle.
        let mut above = Some(new_parent);
        while let Some(at) = above {
            if at == slot {
                return Err(Errno::ESTALE);
            }
            above = self.at(at)?.parent;
        }
        let node = self.at_mut(slot)?;
        let Some(old_parent) = node.parent.replace(new_parent) else { return Err(Errno::EINVAL) };
        node.name = name;
        self.at_mut(new_parent)?.children += 1;
        self.release_child(old_parent);
        Ok(())
    }

    /// The client no longer uses `id`. Roots stay.
    pub(crate) fn forget(&mut self, id: NodeId) {
        let Ok(slot) = self.slot_of(id) else { return };
        let Ok(node) = self.at_mut(slot) else { return };
        if node.parent.is_none() {
            return;
        }
        node.owned = false;
        self.free_if_unused(slot);
    }

    fn release_child(&mut self, parent: u32) {
        if let Ok(node) = self.at_mut(parent) {
            node.children = node.children.saturating_sub(1);
        }
        self.free_if_unused(parent);
    }

    fn free_if_unused(&mut self, slot: u32) {
        let mut next = Some(slot);
        while let Some(slot) = next.take() {
            let Ok(node) = self.at(slot) else { return };
            if node.owned || node.children > 0 {
                return;
            }
            let Some(node) = self.slots[slot as usize].node.take() else { return };
            if node.pinned {
                self.pins -= 1;
            } else if node.fd.is_some() {
                self.open -= 1;
            }
            // A slot whose generations are used up is never used again.
            if self.slots[slot as usize].generation < u32::MAX {
                self.free.push(slot);
            }
            if let Some(parent) = node.parent
                && let Ok(above) = self.at_mut(parent)
            {
                above.children = above.children.saturating_sub(1);
                next = Some(parent);
            }
        }
    }
}

/// Opens `name` in `dir` as a path, and insists on the inode.
fn open_same(dir: &OwnedFd, name: &CStr, identity: Identity) -> Result<OwnedFd, Errno> {
    let stale = |errno| if matches!(errno, Errno::ENOENT | Errno::ENOTDIR) { Errno::ESTALE } else { errno };
    let fd = file::open_at(dir.as_fd(), name, O_PATH_NOFOLLOW, 0, Resolve::Beneath).map_err(stale)?;
    let attr = Attr::from_statx(&metadata::statx(fd.as_fd())?);
    if Identity::of(&attr) == identity { Ok(fd) } else { Err(Errno::ESTALE) }
}

impl NodeTable {
    /// The real descriptor of a directory that shows what it holds.
    pub(crate) fn real_directory(&mut self, id: NodeId) -> Result<Rc<OwnedFd>, Errno> {
        let node = self.get(id)?;
        match (node.identity.kind, node.seen.view) {
            (FileType::Directory, View::Real) => self.descriptor(id),
            (FileType::Directory, View::Masked) => Err(Errno::EACCES),
            _ => Err(Errno::ENOTDIR),
        }
    }
}
