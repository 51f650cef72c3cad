//! TEMP smoke
use crate::Errno;
use crate::task::Current;
use crate::vfs::*;
use abi::types::{Statfs, Timespec};
use gofer_proto::{Attr, Client, NodeId};
use platform::{Prot, Sharing};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
pub struct GoferFs {
    client: Arc<Client>,
    root: NodeId,
    attr: Attr,
    me: std::sync::Weak<GoferFs>,
}
impl GoferFs {
    pub fn attach(client: Arc<Client>, index: u32, _s: bool) -> Result<Arc<GoferFs>, Errno> {
        let (f, _) = client.attach(index)?;
        Ok(Arc::new_cyclic(|me| GoferFs { client, root: f.node, attr: f.attr, me: me.clone() }))
    }
}
impl FileSystem for GoferFs {
    fn name(&self) -> &'static str {
        "gofer"
    }
    fn statfs(&self) -> Result<Statfs, Errno> {
        Ok(Statfs::default())
    }
    fn root(&self) -> Arc<dyn Inode> {
        Arc::new(N { fs: self.me.upgrade().unwrap(), node: self.root, attr: self.attr, link: None })
    }
}
struct N {
    fs: Arc<GoferFs>,
    node: NodeId,
    attr: Attr,
    link: Option<Vec<u8>>,
}
fn t(x: gofer_proto::Time) -> Timespec {
    Timespec { tv_sec: x.sec, tv_nsec: x.nsec as i64 }
}
impl Inode for N {
    fn file_system(&self) -> Arc<dyn FileSystem> {
        self.fs.clone()
    }
    fn file_type(&self) -> FileType {
        FileType::from_mode(self.attr.mode)
    }
    fn metadata(&self) -> Result<Metadata, Errno> {
        let a = &self.attr;
        Ok(Metadata {
            dev: 99,
            ino: a.ino,
            file_type: self.file_type(),
            permissions: a.mode & 0o7777,
            nlink: a.nlink as u64,
            uid: a.uid,
            gid: a.gid,
            rdev: 0,
            size: a.size,
            block_size: 4096,
            blocks: a.blocks,
            times: Timestamps { accessed: t(a.atime), modified: t(a.mtime), changed: t(a.ctime), created: None },
        })
    }
    fn lookup(&self, name: &[u8]) -> Result<Arc<dyn Inode>, Errno> {
        let f = self.fs.client.lookup(self.node, name)?.ok_or(Errno::ENOENT)?;
        Ok(Arc::new(N { fs: self.fs.clone(), node: f.node, attr: f.attr, link: f.symlink }))
    }
    fn read_link(&self) -> Result<Vec<u8>, Errno> {
        self.link.clone().ok_or(Errno::EINVAL)
    }
    fn create(&self, name: &[u8], _n: &NewNode) -> Result<Arc<dyn Inode>, Errno> {
        self.lookup(name)
    }
    fn open(self: Arc<Self>, _l: &Location, _f: OpenFlags, _c: &mut Current) -> Result<Arc<dyn File>, Errno> {
        if self.file_type() == FileType::Directory {
            return Ok(Arc::new(D(self)));
        }
        let o = self.fs.client.open(self.node, gofer_proto::Access::Read, gofer_proto::Kinds::Plain)?;
        Ok(Arc::new(F { fd: Arc::new(o.fd), size: o.attr.size }))
    }
}
struct F {
    fd: Arc<OwnedFd>,
    size: u64,
}
impl File for F {
    fn is_seekable(&self) -> bool {
        true
    }
    fn read(&self, at: IoPosition, buf: &mut [u8], _c: &Current) -> Result<usize, Errno> {
        let IoPosition::At(o) = at else { return Err(Errno::EINVAL) };
        host::file::read_at(self.fd.as_fd(), buf, o)
    }
    fn size(&self) -> Result<u64, Errno> {
        Ok(self.size)
    }
    fn map(&self, _p: Prot, _s: Sharing) -> Result<MapSource, Errno> {
        Ok(MapSource { fd: self.fd.clone(), offset: 0 })
    }
}
struct D(Arc<N>);
impl File for D {
    fn is_seekable(&self) -> bool {
        true
    }
    fn read_dir(&self, from: u64, sink: &mut dyn FnMut(DirEntry) -> bool) -> Result<(), Errno> {
        for (i, e) in self.0.fs.client.list(self.0.node)?.into_iter().enumerate().skip(from as usize) {
            if !sink(DirEntry {
                ino: e.found.attr.ino,
                file_type: FileType::from_mode(e.found.attr.mode),
                name: e.name,
                next: i as u64 + 1,
            }) {
                break;
            }
        }
        Ok(())
    }
}
