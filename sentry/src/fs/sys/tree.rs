//! A tree of fixed texts as a read-only file system.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Sys;
use crate::Errno;
use crate::fs::proc::child_ino;
use crate::task::Current;
use crate::vfs::{DirEntry, File, FileSystem, FileType, Inode, IoPosition, Location, Metadata, OpenFlags};

/// A directory or a text.
pub(super) enum Node {
    Directory(BTreeMap<String, Arc<Node>>),
    Text(String),
}

impl Node {
    fn file_type(&self) -> FileType {
        match self {
            Node::Directory(_) => FileType::Directory,
            Node::Text(_) => FileType::Regular,
        }
    }
}

pub(super) struct SysInode {
    fs: Arc<Sys>,
    ino: u64,
    node: Arc<Node>,
}

impl SysInode {
    pub fn new(fs: &Arc<Sys>, ino: u64, node: Arc<Node>) -> SysInode {
        SysInode { fs: fs.clone(), ino, node }
    }
}

impl Inode for SysInode {
    fn file_system(&self) -> Arc<dyn FileSystem> {
        self.fs.clone()
    }

    fn file_type(&self) -> FileType {
        self.node.file_type()
    }

    fn metadata(&self) -> Result<Metadata, Errno> {
        let (permissions, nlink, size) = match &*self.node {
            Node::Directory(entries) => (0o755, 2 + entries.len() as u64, 0),
            Node::Text(_) => (0o444, 1, 4096),
        };
        Ok(Metadata {
            dev: self.fs.dev,
            ino: self.ino,
            file_type: self.file_type(),
            permissions,
            nlink,
            uid: 0,
            gid: 0,
            rdev: 0,
            size,
            block_size: 4096,
            blocks: 0,
            times: self.fs.times,
        })
    }

    fn lookup(&self, name: &[u8]) -> Result<Arc<dyn Inode>, Errno> {
        let Node::Directory(entries) = &*self.node else { return Err(Errno::ENOTDIR) };
        let node = std::str::from_utf8(name).ok().and_then(|name| entries.get(name)).ok_or(Errno::ENOENT)?;
        Ok(Arc::new(SysInode::new(&self.fs, child_ino(self.ino, name), node.clone())))
    }

    fn open(self: Arc<Self>, _: &Location, flags: OpenFlags, _: &mut Current) -> Result<Arc<dyn File>, Errno> {
        if flags.writes() {
            return Err(Errno::EACCES);
        }
        Ok(Arc::new(SysFile(self)))
    }
}

struct SysFile(Arc<SysInode>);

impl File for SysFile {
    fn is_seekable(&self) -> bool {
        true
    }

    fn read(&self, at: IoPosition, buf: &mut [u8], _current: &Current) -> Result<usize, Errno> {
        let Node::Text(text) = &*self.0.node else { return Err(Errno::EISDIR) };
        let IoPosition::At(offset) = at else { return Err(Errno::EINVAL) };
        let rest = usize::try_from(offset).ok().and_then(|offset| text.as_bytes().get(offset..)).unwrap_or(&[]);
        let count = rest.len().min(buf.len());
        buf[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    fn read_dir(&self, from: u64, sink: &mut dyn FnMut(DirEntry) -> bool) -> Result<(), Errno> {
        let Node::Directory(entries) = &*self.0.node else { return Err(Errno::ENOTDIR) };
        let dots = [".", ".."].map(|name| (name, FileType::Directory, self.0.ino));
        let names = entries
            .iter()
            .map(|(name, node)| (name.as_str(), node.file_type(), child_ino(self.0.ino, name.as_bytes())));
        for (index, (name, file_type, ino)) in dots.into_iter().chain(names).enumerate().skip(from as usize) {
            if !sink(DirEntry { ino, file_type, name: name.as_bytes().to_vec(), next: index as u64 + 1 }) {
                break;
            }
        }
        Ok(())
    }
}
