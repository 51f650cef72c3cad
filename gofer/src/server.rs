//! The loop: take a request, serve it, answer; spin a little for the next, then sleep.

use std::collections::VecDeque;
use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use abi::Errno;
use gofer_proto::{
    AttachInfo, Attr, Connection, FileType, Found, MAX_MESSAGE, NodeId, Packet, Patience, Reply, Request,
    ServerChannel, decode, encode,
};
use host::file::{self, Resolve};
use host::metadata;
use host::unix::Blocking;

use crate::config::{AttachPoint, Config, Mutability, PseudoFiles};
use crate::list::Stream;
use crate::mask::Mask;
use crate::node::{Identity, NodeTable, O_PATH_NOFOLLOW};
use crate::resolve::mount_of;

/// Requests that are served from the shared memory in a row before the socket gets a look.
const BURST: u32 = 64;

/// Why a gofer could not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The path of an attach point cannot be opened.
    #[error("cannot open \"{path}\": {errno}")]
    AttachPoint {
        /// As it was given.
        path: String,
        /// Why.
        errno: Errno,
    },
    /// The connection is not what `Connection::pair` makes.
    #[error("the gofer's connection is unusable: {0}")]
    Connection(Errno),
}

/// An attach point at work.
pub(crate) struct Attached {
    pub mutability: Mutability,
    pub pseudo_files: PseudoFiles,
    pub mask: Mask,
    /// Directory and name of a root that is no directory.
    pub file_root: Option<(Rc<OwnedFd>, CString)>,
    root: NodeId,
}

/// All that the gofer knows.
pub(crate) struct Server {
    pub nodes: NodeTable,
    pub streams: VecDeque<Stream>,
    pub dir_buffer: Vec<u8>,
    attached: Vec<Attached>,
}

/// Serves one client until it closes its end.
///
/// # Errors
/// When an attach point cannot be opened, or the connection is unusable. Nothing a client sends makes it return.
pub fn serve(config: Config) -> Result<(), ServeError> {
    let limit = host::limits::raise_open_files();
    let max_open = if config.max_open_nodes > 0 { config.max_open_nodes } else { limit / 4 * 3 };
    host::limits::clear_umask();
    let mut server = Server::new(&config.attach_points, max_open)?;
    let channel = config.connection.memory.as_ref().map(|memory| ServerChannel::new(memory.as_fd())).transpose();
    let mut channel = channel.map_err(ServeError::Connection)?;
    server.run(&config.connection, channel.as_mut(), config.spin);
    Ok(())
}

impl Server {
    fn new(attach_points: &[AttachPoint], max_open: usize) -> Result<Server, ServeError> {
        let mut server = Server {
            nodes: NodeTable::new(max_open),
            streams: VecDeque::new(),
            dir_buffer: vec![0; 32 << 10],
            attached: Vec::new(),
        };
        for point in attach_points {
            let path = point.source.display().to_string();
            let attached = server.open_attach_point(point);
            server.attached.push(attached.map_err(|errno| ServeError::AttachPoint { path, errno })?);
        }
        Ok(server)
    }

    fn open_attach_point(&mut self, point: &AttachPoint) -> Result<Attached, Errno> {
        const O_PATH: u32 = O_PATH_NOFOLLOW & !0o400_000;
        let path = c_path(&point.source)?;
        let mut fd = file::open(&path, O_PATH)?;
        let mut file_root = None;
        let statx = metadata::statx(fd.as_fd())?;
        if Attr::from_statx(&statx).file_type() != FileType::Directory {
            let name = point.source.file_name().ok_or(Errno::EINVAL)?;
            let name = CString::new(name.as_bytes()).map_err(|_| Errno::EINVAL)?;
            let parent = point.source.parent().ok_or(Errno::EINVAL)?;
            let dir = file::open(&c_path(parent)?, O_PATH)?;
            fd = file::open_at(dir.as_fd(), &name, O_PATH_NOFOLLOW, 0, Resolve::Beneath)?;
            file_root = Some((Rc::new(dir), name));
        }
        let statx = metadata::statx(fd.as_fd())?;
        let mask = Mask::new(&point.hidden, &point.visible);
        let identity = Identity::of(&Attr::from_statx(&statx));
        let index = self.attached.len() as u32;
        let root = self.nodes.add_root(index, fd, identity, mount_of(&statx), mask.root())?;
        Ok(Attached { mutability: point.mutability, pseudo_files: point.pseudo_files, mask, file_root, root })
    }

    /// The attach point that a node belongs to.
    pub(crate) fn attach_of(&self, node: NodeId) -> Result<&Attached, Errno> {
        self.attached.get(self.nodes.attach(node)? as usize).ok_or(Errno::ESTALE)
    }

    fn run(&mut self, connection: &Connection, mut channel: Option<&mut ServerChannel>, spin: Duration) {
        let mut request = Vec::with_capacity(MAX_MESSAGE);
        let mut packet = vec![0; Connection::BUFFER];
        let mut answer = vec![0; MAX_MESSAGE];
        let patience = Patience::new(spin);
        loop {
            if let Some(channel) = channel.as_deref_mut() {
                let mut served = 0;
                while patience.spin(|| !channel.is_idle()) {
                    let Some(slot) = channel.take(&mut request) else { break };
                    self.serve_slot(connection, channel, slot, &request, &mut answer);
                    served += 1;
                    if served % BURST == 0 && !self.serve_packet(connection, &mut packet, &mut answer) {
                        return;
                    }
                }
                channel.announce_sleep();
                if !channel.is_idle() {
                    channel.announce_awake();
                    continue;
                }
            }
            connection.wait(None);
            if let Some(channel) = channel.as_deref_mut() {
                channel.announce_awake();
            }
            if !self.serve_packet(connection, &mut packet, &mut answer) {
                return;
            }
        }
    }

    /// Serves one request of the shared memory. Its first 8 bytes are the tag for a descriptor's packet.
    fn serve_slot(
        &mut self,
        connection: &Connection,
        channel: &mut ServerChannel,
        slot: usize,
        request: &[u8],
        answer: &mut [u8],
    ) {
        let (tag, bytes) = request.split_first_chunk::<8>().unwrap_or((&[0; 8], &[]));
        let (mut reply, fd) = self.serve_bytes(bytes);
        if let Some(fd) = fd {
            // In the client's queue before the answer is published. A client that does not empty it waits in vain.
            let sent = connection.send(u64::from_le_bytes(*tag), &[], Some(fd.as_fd()), Blocking::No);
            if sent.is_err() {
                reply = Reply::Failed(Errno::ENFILE.0);
            }
        }
        let len = encode_reply(&reply, answer);
        channel.answer(slot, &answer[..len]);
    }

    /// Serves one packet, if there is one; `false` when the client is gone.
    fn serve_packet(&mut self, connection: &Connection, packet: &mut [u8], answer: &mut [u8]) -> bool {
        match connection.receive(packet, Blocking::No) {
            Ok(Packet::Message(tag, bytes, fd)) => {
                // The client has nothing to give us.
                drop(fd);
                let (reply, fd) = self.serve_bytes(bytes);
                let len = encode_reply(&reply, answer);
                connection.send(tag, &answer[..len], fd.as_ref().map(AsFd::as_fd), Blocking::No) != Err(Errno::EPIPE)
            }
            Ok(Packet::Doorbell) | Err(Errno::EAGAIN | Errno::EPROTO) => true,
            Ok(Packet::Closed) | Err(_) => false,
        }
    }

    fn serve_bytes(&mut self, bytes: &[u8]) -> (Reply, Option<OwnedFd>) {
        let served = decode::<Request<'_>>(bytes).and_then(|request| self.serve_request(request));
        served.unwrap_or_else(|errno| (Reply::Failed(errno.0), None))
    }

    fn serve_request(&mut self, request: Request<'_>) -> Result<(Reply, Option<OwnedFd>), Errno> {
        let reply = match request {
            Request::Open { node, access, kinds } => {
                let (fd, attr) = self.open(node, access, kinds)?;
                return Ok((Reply::Opened(attr), Some(fd)));
            }
            Request::Create { dir, name, mode, owner, access } => {
                let (found, fd) = self.create(dir, name, mode, owner, access)?;
                return Ok((Reply::Created(found), Some(fd)));
            }
            Request::Attach { index } => self.attach(index)?,
            Request::Lookup { dir, name } => Reply::Lookup(self.lookup(dir, name)?),
            Request::Walk { dir, path } => Reply::Walked(self.walk(dir, path)?),
            Request::List { dir, cursor } => self.list(dir, cursor)?,
            Request::GetAttr { node } => Reply::Attr(self.get_attr(node)?),
            Request::SetAttr { node, set } => Reply::Attr(self.set_attr(node, set)?),
            Request::ReadLink { node } => Reply::Bytes(self.read_link(node)?),
            Request::MakeDir { dir, name, mode, owner } => Reply::Made(self.make_dir(dir, name, mode, owner)?),
            Request::MakeNode { dir, name, kind, mode, owner } => {
                Reply::Made(self.make_node(dir, name, kind, mode, owner)?)
            }
            Request::Symlink { dir, name, target, owner } => Reply::Made(self.symlink(dir, name, target, owner)?),
            Request::Link { node, dir, name } => Reply::Made(self.link(node, dir, name)?),
            Request::Statfs { node } => Reply::Statfs(self.statfs(node)?),
            Request::GetXattr { node, name, size } => Reply::Bytes(self.get_xattr(node, name, size)?),
            Request::ListXattr { node, size } => Reply::Bytes(self.list_xattr(node, size)?),
            other => return self.serve_command(other).map(|()| (Reply::Done, None)),
        };
        Ok((reply, None))
    }

    /// Requests that have nothing to answer.
    fn serve_command(&mut self, request: Request<'_>) -> Result<(), Errno> {
        match request {
            Request::Unlink { dir, name, node } => self.unlink(dir, name, node),
            Request::RemoveDir { dir, name } => self.remove_dir(dir, name),
            Request::Rename { from, from_name, to, to_name, flags, node } => {
                self.rename((from, from_name), (to, to_name), flags, node)
            }
            Request::SetXattr { node, name, value, flags } => self.set_xattr(node, name, value, flags),
            Request::RemoveXattr { node, name } => self.remove_xattr(node, name),
            Request::Sync { node, kind } => self.sync(node, kind),
            Request::Forget { nodes } => {
                nodes.into_iter().for_each(|node| self.nodes.forget(node));
                Ok(())
            }
            _ => Err(Errno::ENOSYS),
        }
    }

    fn attach(&mut self, index: u32) -> Result<Reply, Errno> {
        let attached = self.attached.get(index as usize).ok_or(Errno::ENOENT)?;
        let (node, readonly) = (attached.root, attached.mutability == Mutability::ReadOnly);
        let attr = self.get_attr(node)?;
        let symlink = match attr.file_type() {
            FileType::Symlink => Some(self.read_link(node)?),
            _ => None,
        };
        let info = AttachInfo { readonly, dev: attr.dev };
        Ok(Reply::Attached { root: Found { node, attr, symlink }, info })
    }
}

/// Encodes a reply, or that it was too long; the length.
fn encode_reply(reply: &Reply, buffer: &mut [u8]) -> usize {
    if let Ok(bytes) = encode(reply, buffer) {
        return bytes.len();
    }
    encode(&Reply::Failed(Errno::EMSGSIZE.0), buffer).map_or(0, <[u8]>::len)
}

fn c_path(path: &Path) -> Result<CString, Errno> {
    CString::new(path.as_os_str().as_bytes()).map_err(|_| Errno::EINVAL)
}
