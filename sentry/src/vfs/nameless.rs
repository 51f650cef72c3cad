//! A place in the tree for files without one, so that `/proc/PID/fd/N` of a pipe or socket can be walked and opened.

use std::any::Any;
use std::sync::{Arc, OnceLock};

use abi::types::Statfs;

use super::{
    Dentry, File, FileDescription, FileSystem, FileType, Inode, Location, Metadata, Mount, MountFlags, OpenFlags,
    anonymous,
};
use crate::Errno;
use crate::task::Current;

/// The place of `description`: its own, or one in a mount that nobody sees.
pub fn location_of(description: &Arc<FileDescription>) -> Result<Location, Errno> {
    if let Some(location) = &description.location {
        return Ok(location.clone());
    }
    let metadata = description.file.metadata()?;
    let inode = Arc::new(NamelessInode { file_type: metadata.file_type, description: description.clone() });
    let home = home();
    let dentry = Dentry::new_unnamed(inode, &home.superblock.root, description.file.description().as_bytes());
    Ok(Location { mount: home.clone(), dentry })
}

/// What `/proc/PID/fd/N` shows for `location` when it is not a path: the name of a file without one.
pub fn name_of(location: &Location) -> Option<String> {
    let inode: &dyn Any = &**location.inode();
    inode.downcast_ref::<NamelessInode>().map(|inode| inode.description.file.description())
}

fn home() -> &'static Arc<Mount> {
    static HOME: OnceLock<Arc<Mount>> = OnceLock::new();
    HOME.get_or_init(|| Mount::of(Arc::new(NamelessFs), b"none", MountFlags::empty()))
}

struct NamelessFs;

impl FileSystem for NamelessFs {
    fn name(&self) -> &'static str {
        "anon_inodefs"
    }
    fn statfs(&self) -> Result<Statfs, Errno> {
        const ANON_INODE_FS_MAGIC: i64 = 0x0904_1934;
        Ok(Statfs { f_type: ANON_INODE_FS_MAGIC, f_bsize: 4096, f_frsize: 4096, f_namelen: 255, ..Statfs::default() })
    }
    fn root(&self) -> Arc<dyn Inode> {
        Arc::new(Root)
    }
}

struct Root;

impl Inode for Root {
    fn file_system(&self) -> Arc<dyn FileSystem> {
        Arc::new(NamelessFs)
    }
    fn file_type(&self) -> FileType {
        FileType::Directory
    }
    fn metadata(&self) -> Result<Metadata, Errno> {
        Ok(Metadata { file_type: FileType::Directory, ..anonymous::metadata() })
    }
    fn open(self: Arc<Self>, _: &Location, _: OpenFlags, _: &mut Current) -> Result<Arc<dyn File>, Errno> {
        Err(Errno::ENXIO)
    }
}

struct NamelessInode {
    file_type: FileType,
    description: Arc<FileDescription>,
}

impl Inode for NamelessInode {
    fn file_system(&self) -> Arc<dyn FileSystem> {
        Arc::new(NamelessFs)
    }
    fn file_type(&self) -> FileType {
        self.file_type
    }
    fn metadata(&self) -> Result<Metadata, Errno> {
        self.description.file.metadata()
    }
    fn open(self: Arc<Self>, _: &Location, flags: OpenFlags, current: &mut Current) -> Result<Arc<dyn File>, Errno> {
        self.description.file.reopen(flags, current)
    }
}
