//! A temporary tree on the host and a gofer that serves it from a thread.
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::fs;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::JoinHandle;

use gofer::{AttachPoint, Config, Mutability};
use gofer_proto::{Client, Connection, Found, NodeId};

/// A directory that is removed at the end.
pub struct Tree(pub PathBuf);

impl Tree {
    pub fn new() -> Tree {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("gofer-test-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        Tree(path)
    }
    pub fn file(&self, path: &str, contents: &str) -> PathBuf {
        let path = self.0.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, contents).unwrap();
        path
    }
    pub fn dir(&self, path: &str) -> PathBuf {
        let path = self.0.join(path);
        fs::create_dir_all(&path).unwrap();
        path
    }
    pub fn link(&self, path: &str, target: &str) {
        std::os::unix::fs::symlink(target, self.0.join(path)).unwrap();
    }
    pub fn path(&self, path: &str) -> PathBuf {
        self.0.join(path)
    }
    pub fn is_fifo(&self, path: &str) -> bool {
        fs::symlink_metadata(self.0.join(path)).unwrap().file_type().is_fifo()
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// How requests travel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Transport {
    Memory,
    Socket,
}

/// A gofer in a thread. Its client is dropped first, which ends it.
pub struct Gofer {
    client: Option<Client>,
    thread: Option<JoinHandle<()>>,
}

impl Gofer {
    pub fn start(points: Vec<AttachPoint>) -> Gofer {
        Gofer::start_with(points, Transport::Memory, 0)
    }
    pub fn start_with(points: Vec<AttachPoint>, transport: Transport, max_open_nodes: usize) -> Gofer {
        let (client, server) = match transport {
            Transport::Memory => Connection::pair().unwrap(),
            Transport::Socket => Connection::socket_pair().unwrap(),
        };
        let config = Config { max_open_nodes, ..Config::new(points, server) };
        let thread = std::thread::spawn(move || gofer::serve(config).unwrap());
        Gofer { client: Some(Client::new(client).unwrap()), thread: Some(thread) }
    }
    pub fn writable(tree: &Tree) -> Gofer {
        Gofer::start(vec![AttachPoint::new(&tree.0, Mutability::Writable)])
    }
    pub fn read_only(tree: &Tree) -> Gofer {
        Gofer::start(vec![AttachPoint::new(&tree.0, Mutability::ReadOnly)])
    }
    pub fn client(&self) -> &Client {
        self.client.as_ref().unwrap()
    }
    pub fn root(&self) -> NodeId {
        self.client().attach(0).unwrap().0.node
    }
    /// Finds a path that must be there, no link on the way.
    pub fn find(&self, path: &str) -> Found {
        let walked = self.client().walk(self.root(), path.as_bytes()).unwrap();
        assert_eq!(walked.stopped, None, "{path}");
        walked.found.into_iter().last().unwrap()
    }
}

impl Drop for Gofer {
    fn drop(&mut self) {
        drop(self.client.take());
        if let Some(thread) = self.thread.take()
            && !std::thread::panicking()
        {
            thread.join().unwrap();
        }
    }
}

/// What a descriptor holds.
pub fn contents(fd: std::os::fd::OwnedFd) -> String {
    std::io::read_to_string(fs::File::from(fd)).unwrap()
}

pub fn mode_of(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode()
}
