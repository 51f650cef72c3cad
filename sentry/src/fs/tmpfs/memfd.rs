//! Memory files without a place in the tree (`memfd_create`): tmpfs files of a mount of their own.

use std::sync::{Arc, OnceLock};

use super::inode::TmpfsInode;
use super::{Options, Tmpfs};
use crate::Errno;
use crate::vfs::contents::RegularFile;
use crate::vfs::{Dentry, FileDescription, Location, Mount, MountFlags, NewNode, NodeKind, OpenFlags, SuperBlock};

/// `F_SEAL_*`
pub mod seal {
    /// No more seals.
    pub const SEAL: u32 = 1;
    /// It cannot shrink.
    pub const SHRINK: u32 = 2;
    /// It cannot grow.
    pub const GROW: u32 = 4;
    /// Nobody writes to it.
    pub const WRITE: u32 = 8;
    /// Nobody writes to it but through mappings that exist.
    pub const FUTURE_WRITE: u32 = 0x10;
    /// Its execute permission does not change.
    pub const EXEC: u32 = 0x20;
    /// All of them.
    pub const ALL: u32 = 0x3f;
}

struct Home {
    fs: Arc<Tmpfs>,
    superblock: Arc<SuperBlock>,
    mount: Arc<Mount>,
}

fn home() -> &'static Home {
    static HOME: OnceLock<Home> = OnceLock::new();
    HOME.get_or_init(|| {
        let fs = Tmpfs::new(Options { mode: 0o777, ..Options::default() });
        let superblock = SuperBlock::new(fs.clone());
        let mount = Mount::new(superblock.clone(), superblock.root.clone(), b"tmpfs", MountFlags::empty());
        Home { fs, superblock, mount }
    })
}

/// Makes an empty memory file, open for reading and writing, shown as `/memfd:name (deleted)`.
///
/// # Errors
/// ENOSPC
pub fn create(
    name: &[u8],
    permissions: u32,
    (uid, gid): (u32, u32),
    seals: u32,
) -> Result<Arc<FileDescription>, Errno> {
    let home = home();
    let inode = TmpfsInode::new(&home.fs, &NewNode { kind: NodeKind::File, permissions, uid, gid })?;
    inode.forget_name();
    *inode.seals.lock() = seals;
    let name = [b"memfd:", name].concat();
    let dentry = Dentry::new_unnamed(inode.clone(), &home.superblock.root, &name);
    let location = Location { mount: home.mount.clone(), dentry };
    let flags = OpenFlags::RDWR | OpenFlags::LARGEFILE;
    let file = RegularFile::open(inode, &location, flags)?;
    Ok(FileDescription::new(file, Some(location), flags))
}
