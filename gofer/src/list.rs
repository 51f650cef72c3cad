//! Whole directories at a time, in answers of limited size.

use std::collections::VecDeque;
use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};

use abi::Errno;
use gofer_proto::{Cursor, Entry, FileType, MAX_MESSAGE, NodeId, Reply, check_name};
use host::file::{self, DirEntry, Resolve};

use crate::mask::View;
use crate::server::Server;

/// Directories that are being listed at the same time; for the others the place is sought again.
const STREAMS: usize = 8;

/// More than an entry's encoding can take besides its name and target.
const ENTRY_OVERHEAD: usize = 192;

/// `O_RDONLY | O_DIRECTORY`
const O_DIRECTORY: u32 = 0o200_000;

/// A directory that is being listed.
pub(crate) struct Stream {
    node: NodeId,
    /// Where `pending` begins.
    at: Cursor,
    fd: OwnedFd,
    pending: VecDeque<DirEntry>,
}

impl Server {
    /// The entries from `cursor` on that fit into one answer.
    pub(crate) fn list(&mut self, dir: NodeId, cursor: Cursor) -> Result<Reply, Errno> {
        if self.nodes.identity(dir)?.kind != FileType::Directory {
            return Err(Errno::ENOTDIR);
        }
        if self.nodes.seen(dir)?.view == View::Masked {
            return self.list_masked(dir);
        }
        let path = self.nodes.descriptor(dir)?;
        let mut stream = self.take_stream(dir, cursor)?;
        let mut entries = Vec::new();
        let mut room = MAX_MESSAGE - 64;
        let next = loop {
            if stream.pending.is_empty() {
                stream.pending = file::read_dir(stream.fd.as_fd(), &mut self.dir_buffer)?.into();
            }
            let Some(first) = stream.pending.front() else { break None };
            let glimpse = match check_name(first.name.to_bytes()) {
                Ok(()) => self.glimpse(dir, path.as_fd(), &first.name),
                // Some file systems allow names that ours cannot have.
                Err(_) => Ok(None),
            };
            if let Some(glimpse) = glimpse? {
                let target = glimpse.symlink.as_ref().map_or(0, Vec::len);
                let cost = ENTRY_OVERHEAD + first.name.count_bytes() + target;
                if cost > room {
                    break Some(stream.at);
                }
                room -= cost;
                let name = first.name.clone();
                let bytes = name.to_bytes().to_vec();
                entries.push(Entry { name: bytes, found: self.adopt(dir, name, glimpse)? });
            }
            if let Some(done) = stream.pending.pop_front() {
                stream.at = Cursor(done.next as u64);
            }
        };
        if next.is_some() {
            self.streams.push_back(stream);
            if self.streams.len() > STREAMS {
                self.streams.pop_front();
            }
        }
        Ok(Reply::Listed { entries, next })
    }

    /// The stream that stands at `cursor`, or a new one that is brought there.
    fn take_stream(&mut self, node: NodeId, cursor: Cursor) -> Result<Stream, Errno> {
        let known = self.streams.iter().position(|stream| stream.node == node && stream.at == cursor);
        if cursor != Cursor::default()
            && let Some(stream) = known.and_then(|at| self.streams.remove(at))
        {
            return Ok(stream);
        }
        let path = self.nodes.descriptor(node)?;
        let fd = file::open_at(path.as_fd(), c".", O_DIRECTORY, 0, Resolve::Beneath)?;
        if cursor != Cursor::default() {
            file::seek(fd.as_fd(), cursor.0 as i64, 0)?;
        }
        Ok(Stream { node, at: cursor, fd, pending: VecDeque::new() })
    }

    /// A hidden directory shows only the way to what is visible inside: a handful of names.
    fn list_masked(&mut self, dir: NodeId) -> Result<Reply, Errno> {
        let seen = self.nodes.seen(dir)?;
        let names = self.attach_of(dir)?.mask.visible_names(seen);
        let mut entries = Vec::new();
        for name in names {
            let Ok(c_name) = CString::new(name.as_slice()) else { continue };
            if let Some(found) = self.find(dir, &c_name)? {
                entries.push(Entry { name, found });
            }
        }
        Ok(Reply::Listed { entries, next: None })
    }
}
