//! Names of Unix sockets: files and the abstract namespace.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use super::UnixSocket;
use crate::Errno;
use crate::socket::address::UnixAddress;
use crate::socket::{Kind, Socket};
use crate::task::Current;
use crate::vfs::permission::Access;
use crate::vfs::walk::WalkFlags;
use crate::vfs::{FileType, NodeKind, names as files};

const AT_FDCWD: i32 = -100;

/// What a name stands for.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Key {
    /// Device and inode number of the socket's file.
    File(u64, u64),
    /// An abstract name.
    Abstract(Vec<u8>),
}

/// All bound Unix sockets of the sandbox.
#[derive(Default)]
pub struct Names {
    bound: Mutex<HashMap<Key, Weak<UnixSocket>>>,
    next_automatic: AtomicU32,
}

impl Names {
    /// Binds `socket` to `address`; the address it has then, and its key.
    ///
    /// # Errors
    /// EADDRINUSE; for files, as `mknod`.
    pub fn bind(
        &self,
        current: &Current,
        socket: &Weak<UnixSocket>,
        address: &UnixAddress,
    ) -> Result<(UnixAddress, Key), Errno> {
        match address {
            UnixAddress::Unnamed => self.bind_automatically(socket),
            UnixAddress::Abstract(name) => {
                let key = Key::Abstract(name.clone());
                self.insert(key.clone(), socket)?;
                Ok((address.clone(), key))
            }
            UnixAddress::Path(path) => {
                let umask = current.task.fs().umask();
                let origin = current.origin(AT_FDCWD, path)?;
                let location =
                    files::make(&origin, path, NodeKind::Socket, 0o777, umask).map_err(|errno| match errno {
                        Errno::EEXIST => Errno::EADDRINUSE,
                        other => other,
                    })?;
                let metadata = location.inode().metadata()?;
                let key = Key::File(metadata.dev, metadata.ino);
                // The number of a removed file may have come back: the old socket is not reachable by name any more.
                self.bound.lock().insert(key.clone(), socket.clone());
                Ok((address.clone(), key))
            }
        }
    }

    /// Five hexadecimal digits in the abstract namespace (`man 7 unix`, "Autobind feature").
    fn bind_automatically(&self, socket: &Weak<UnixSocket>) -> Result<(UnixAddress, Key), Errno> {
        for _ in 0..1 << 20 {
            let number = self.next_automatic.fetch_add(1, Ordering::Relaxed) & 0xf_ffff;
            let name = format!("{number:05x}").into_bytes();
            let key = Key::Abstract(name.clone());
            if self.insert(key.clone(), socket).is_ok() {
                return Ok((UnixAddress::Abstract(name), key));
            }
        }
        Err(Errno::ENOSPC)
    }

    fn insert(&self, key: Key, socket: &Weak<UnixSocket>) -> Result<(), Errno> {
        let mut bound = self.bound.lock();
        if bound.get(&key).is_some_and(|other| other.strong_count() > 0) {
            return Err(Errno::EADDRINUSE);
        }
        bound.insert(key, socket.clone());
        Ok(())
    }

    /// The socket that an address leads to.
    ///
    /// # Errors
    /// ECONNREFUSED when nobody is there; for files, as a path walk and EACCES without the right to write.
    pub fn find(&self, current: &Current, address: &UnixAddress) -> Result<Arc<UnixSocket>, Errno> {
        let key = match address {
            UnixAddress::Unnamed => return Err(Errno::EINVAL),
            UnixAddress::Abstract(name) => Key::Abstract(name.clone()),
            UnixAddress::Path(path) => {
                let location = current.find(AT_FDCWD, path, WalkFlags::FOLLOW)?;
                files::check_access(&location, &current.task.credentials(), Access::WRITE)?;
                let metadata = location.inode().metadata()?;
                if metadata.file_type != FileType::Socket {
                    return Err(Errno::ECONNREFUSED);
                }
                Key::File(metadata.dev, metadata.ino)
            }
        };
        self.bound.lock().get(&key).and_then(Weak::upgrade).ok_or(Errno::ECONNREFUSED)
    }

    /// Type, whether it listens, and address of every socket with a name.
    pub fn list(&self) -> Vec<(Kind, bool, UnixAddress)> {
        let sockets: Vec<_> = self.bound.lock().values().filter_map(Weak::upgrade).collect();
        sockets.iter().map(|socket| (socket.kind, socket.is_listening(), socket.state.lock().local.clone())).collect()
    }

    /// The socket is gone.
    pub fn remove(&self, key: &Key) {
        let mut bound = self.bound.lock();
        if bound.get(key).is_some_and(|socket| socket.strong_count() == 0) {
            bound.remove(key);
        }
    }
}
