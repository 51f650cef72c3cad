//! File systems, one folder each, and the list of those that `mount` can make.

pub mod dev;
pub mod devpts;
pub mod gofer;
pub mod host;
pub mod overlay;
pub mod proc;
pub mod sys;
pub mod tmpfs;

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::RwLock;

use crate::Errno;
use crate::task::Current;
use crate::vfs::FileSystem;

/// Makes a file system from `mount`'s source and data.
pub type Factory = fn(source: &[u8], data: &[u8], current: &Current) -> Result<Arc<dyn FileSystem>, Errno>;

static FACTORIES: RwLock<BTreeMap<&'static str, Factory>> = RwLock::new(BTreeMap::new());

/// Makes a type of file system known to `mount` and `/proc/filesystems`.
pub fn register(name: &'static str, factory: Factory) {
    FACTORIES.write().insert(name, factory);
}

/// Makes a file system by the name of its type.
///
/// # Errors
/// ENODEV for an unknown type; EINVAL for options it does not know.
pub fn make(name: &[u8], source: &[u8], data: &[u8], current: &Current) -> Result<Arc<dyn FileSystem>, Errno> {
    if matches!(name, b"tmpfs" | b"ramfs") {
        return Ok(tmpfs::Tmpfs::with_options(data)?);
    }
    let factory = std::str::from_utf8(name).ok().and_then(|name| FACTORIES.read().get(name).copied());
    factory.ok_or(Errno::ENODEV)?(source, data, current)
}

/// Names of all types, for `/proc/filesystems`.
pub fn names() -> Vec<&'static str> {
    let mut names: Vec<_> = FACTORIES.read().keys().copied().collect();
    names.push("tmpfs");
    names
}
