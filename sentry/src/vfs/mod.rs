//! The virtual file system: inodes and open files behind two traits, names, mounts, descriptors.
//!
//! A [`Location`] (mount + dentry) is found by a path walk ([`walk`]); its [`Inode`] is opened to a [`File`], the behaviour of
//! an *open file description* ([`FileDescription`]: position, status flags), which descriptors in an [`FdTable`] share.
//! What system calls mean is in [`open`], [`names`], [`attributes`] and [`lock`]; file systems see only what passed their checks.

pub mod anonymous;
pub mod attributes;
pub mod contents;
pub mod dentry;
pub mod epoll;
pub mod eventfd;
mod fd_table;
mod file;
mod inode;
pub mod inotify;
mod location;
pub mod lock;
pub mod mount;
pub mod nameless;
pub mod names;
pub mod notify;
pub mod open;
pub mod permission;
pub mod pipe;
pub mod signalfd;
pub mod special;
pub mod timerfd;
pub mod walk;

pub use dentry::Dentry;
pub use fd_table::{FdTable, NR_OPEN};
pub use file::{AsyncOwner, DirEntry, File, FileDescription, IoPosition, MapSource, OpenFlags};
pub use inode::{
    FileSystem, FileType, Inode, LinkTarget, Metadata, NewNode, NodeKind, Ownership, SetAttributes, Timestamps,
};
pub use location::{FsContext, FsState, Location};
pub use mount::{Mount, MountFlags, SuperBlock};
