//! Files of the host, by way of the gofer.
//!
//! Names and attributes come by its protocol and are cached; contents are read, written and mapped through the host
//! descriptors it hands over.

mod directory;
mod inode;

use std::collections::{HashMap, VecDeque};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use abi::types::Statfs;
use gofer_proto::{Client, Device, Found, NodeId};
use parking_lot::Mutex;

use super::tmpfs::anonymous_device;
use crate::Errno;
use crate::vfs::{FileSystem, Inode};
use inode::GoferInode;

/// Descriptors of files read lately that stay open, so that opening again needs no call.
const RECENT: usize = 128;
/// Nodes that are given back in one message.
const FORGET_BATCH: usize = 64;

/// How long what the gofer said is believed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Caching {
    /// For ever: nobody else changes these files (the image).
    Always,
    /// This many nanoseconds; 0 to ask each time (a volume that others write to).
    For(u64),
}

/// A file system served by a gofer: one of its attach points.
pub struct GoferFs {
    this: Weak<GoferFs>,
    client: Arc<Client>,
    read_only: bool,
    caching: Caching,
    root: OnceLock<Arc<GoferInode>>,
    root_node: NodeId,
    /// The guest's device number for each of the host's.
    devices: Mutex<HashMap<Device, u64>>,
    inodes: Mutex<HashMap<(Device, u64), Weak<GoferInode>>>,
    forgotten: Mutex<Vec<NodeId>>,
    recent: Mutex<VecDeque<Arc<OwnedFd>>>,
    /// Grows with each change made through this file system.
    changes: AtomicU64,
}

impl GoferFs {
    /// The file system at the gofer's attach point `index`.
    ///
    /// # Errors
    /// ENOENT when there is none; EIO when the gofer is gone.
    pub fn attach(client: Arc<Client>, index: u32, caching: Caching) -> Result<Arc<GoferFs>, Errno> {
        let (found, info) = client.attach(index)?;
        let fs = Arc::new_cyclic(|this| GoferFs {
            this: this.clone(),
            client,
            read_only: info.readonly,
            caching,
            root: OnceLock::new(),
            root_node: found.node,
            devices: Mutex::default(),
            inodes: Mutex::default(),
            forgotten: Mutex::default(),
            recent: Mutex::default(),
            changes: AtomicU64::new(0),
        });
        let root = fs.inode(found);
        let _ = fs.root.set(root);
        Ok(fs)
    }

    /// The inode of what the gofer found; one that is known already gives the new node back.
    fn inode(&self, found: Found) -> Arc<GoferInode> {
        let key = (found.attr.dev, found.attr.ino);
        // The lock is not held while a handle that may be the last one goes: dropping an inode takes it, too.
        let known = self.inodes.lock().get(&key).and_then(Weak::upgrade);
        if let Some(known) = known
            && known.is_same(&found.attr)
        {
            if known.node() != found.node {
                self.forget(found.node);
            }
            known.update(found.attr);
            return known;
        }
        let inode = GoferInode::new(self.this.clone(), self.client.clone(), self.device(found.attr.dev), found);
        self.inodes.lock().insert(key, Arc::downgrade(&inode));
        inode
    }

    fn device(&self, host: Device) -> u64 {
        *self.devices.lock().entry(host).or_insert_with(anonymous_device)
    }

    /// Gives a node back, some time.
    fn forget(&self, node: NodeId) {
        if node == self.root_node {
            return;
        }
        let batch = {
            let mut forgotten = self.forgotten.lock();
            forgotten.push(node);
            if forgotten.len() < FORGET_BATCH {
                return;
            }
            std::mem::take(&mut *forgotten)
        };
        if let Err(error) = self.client.forget(&batch) {
            tracing::debug!(%error, "the gofer could not be told which files are no longer used");
        }
    }

    fn forget_inode(&self, key: (Device, u64), node: NodeId) {
        {
            let mut inodes = self.inodes.lock();
            if inodes.get(&key).is_some_and(|inode| inode.strong_count() == 0) {
                inodes.remove(&key);
            }
        }
        self.forget(node);
    }

    /// Keeps a descriptor for the next opening.
    fn keep(&self, fd: Arc<OwnedFd>) {
        let dropped = {
            let mut recent = self.recent.lock();
            recent.push_back(fd);
            if recent.len() > RECENT { recent.pop_front() } else { None }
        };
        drop(dropped);
    }

    /// A name that no program of the guest would choose.
    fn unnamed_name(&self) -> Vec<u8> {
        format!(".sandbox-unnamed-{:x}-{}", host::clock::monotonic_ns(), self.changes.load(Ordering::Relaxed))
            .into_bytes()
    }

    fn note_change(&self) {
        self.changes.fetch_add(1, Ordering::Relaxed);
    }
}

impl FileSystem for GoferFs {
    fn name(&self) -> &'static str {
        // What programs know of file systems that are served by another process.
        "9p"
    }

    fn statfs(&self) -> Result<Statfs, Errno> {
        let statfs = self.client.statfs(self.root_node)?;
        Ok(Statfs {
            f_type: statfs.fs_type,
            f_bsize: statfs.block_size,
            f_blocks: statfs.blocks,
            f_bfree: statfs.blocks_free,
            f_bavail: statfs.blocks_available,
            f_files: statfs.files,
            f_ffree: statfs.files_free,
            f_namelen: statfs.name_len,
            f_frsize: statfs.fragment_size,
            ..Statfs::default()
        })
    }

    fn root(&self) -> Arc<dyn Inode> {
        match self.root.get() {
            Some(root) => root.clone(),
            None => unreachable!("the root is set before anyone has the file system"),
        }
    }

    fn is_read_only(&self) -> bool {
        self.read_only
    }

    fn sync(&self) -> Result<(), Errno> {
        if self.read_only { Ok(()) } else { self.client.sync(self.root_node, gofer_proto::SyncKind::All) }
    }
}
