//! The virtual file system: inodes and open files behind two traits, names, mounts, descriptors.
//!
//! A [`Location`] (mount + dentry) is found by a path walk; its [`Inode`] is opened to a [`File`], the behaviour of an
//! *open file description* ([`FileDescription`]: position, status flags), which descriptors in an [`FdTable`] share.

mod dentry;
mod fd_table;
mod file;
mod inode;

pub use dentry::{Dentry, FsContext, Location, Mount};
pub use fd_table::FdTable;
pub use file::{DirEntry, File, FileDescription, IoPosition, MapSource, OpenFlags};
pub use inode::{FileSystem, FileType, Inode, LinkTarget, Metadata, NewNode, NodeKind, SetAttributes, Timestamps};
