//! tmpfs: files in memory (`man 5 tmpfs`).
//!
//! Small files live in the heap; large or mapped ones in a memfd, so that every process maps the same pages.

mod content;
mod directory;
mod inode;
mod memfd;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use abi::types::Statfs;
use parking_lot::Mutex;

use crate::Errno;
use crate::vfs::special::make_device;
use crate::vfs::{FileSystem, Inode, NewNode, NodeKind};
use inode::TmpfsInode;
pub use memfd::{create as create_memfd, seal};

/// What is shown as the size of a file system without a limit.
const SHOWN_SIZE: u64 = 64 << 30;
const BLOCK: u64 = abi::PAGE_SIZE;

/// A file system in memory.
pub struct Tmpfs {
    this: Weak<Tmpfs>,
    dev: u64,
    next_ino: AtomicU64,
    inodes: AtomicU64,
    max_inodes: u64,
    /// Blocks of contents in use; inodes and names are not counted.
    blocks: AtomicU64,
    max_blocks: u64,
    root: Mutex<Option<Arc<TmpfsInode>>>,
    /// Serializes what involves two directories.
    tree: Mutex<()>,
}

/// Mount options.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Bytes of contents; `u64::MAX` for no limit.
    pub size: u64,
    /// Number of inodes.
    pub inodes: u64,
    /// Permission bits of the root directory.
    pub mode: u32,
    /// Owner of the root directory.
    pub uid: u32,
    /// Group of the root directory.
    pub gid: u32,
}

impl Default for Options {
    fn default() -> Options {
        Options { size: u64::MAX, inodes: u64::MAX, mode: 0o1777, uid: 0, gid: 0 }
    }
}

impl Options {
    /// From the data of `mount(2)`: `size=64m,mode=755`.
    ///
    /// # Errors
    /// EINVAL for an option that tmpfs does not know, or a value that is none.
    pub fn parse(data: &[u8]) -> Result<Options, Errno> {
        let mut options = Options::default();
        let text = std::str::from_utf8(data).map_err(|_| Errno::EINVAL)?;
        for option in text.split(',').filter(|option| !option.is_empty()) {
            let (name, value) = option.split_once('=').unwrap_or((option, ""));
            match name {
                "size" if value.ends_with('%') => {}
                "size" => options.size = unlimited_if_zero(parse_size(value)?),
                "nr_blocks" => options.size = unlimited_if_zero(parse_size(value)?.saturating_mul(BLOCK)),
                "nr_inodes" => options.inodes = unlimited_if_zero(parse_size(value)?),
                "mode" => options.mode = u32::from_str_radix(value, 8).map_err(|_| Errno::EINVAL)? & 0o7777,
                "uid" => options.uid = value.parse().map_err(|_| Errno::EINVAL)?,
                "gid" => options.gid = value.parse().map_err(|_| Errno::EINVAL)?,
                "huge" | "mpol" | "inode32" | "inode64" | "noswap" => {}
                _ => return Err(Errno::EINVAL),
            }
        }
        Ok(options)
    }
}

fn unlimited_if_zero(value: u64) -> u64 {
    if value == 0 { u64::MAX } else { value }
}

fn parse_size(text: &str) -> Result<u64, Errno> {
    let (digits, shift) = match text.as_bytes().last() {
        Some(b'k' | b'K') => (&text[..text.len() - 1], 10),
        Some(b'm' | b'M') => (&text[..text.len() - 1], 20),
        Some(b'g' | b'G') => (&text[..text.len() - 1], 30),
        _ => (text, 0),
    };
    let number: u64 = digits.parse().map_err(|_| Errno::EINVAL)?;
    number.checked_mul(1 << shift).ok_or(Errno::EINVAL)
}

/// A device number that no other file system of the sandbox has.
pub fn anonymous_device() -> u64 {
    // The first ones are those of pipes and anonymous inodes.
    static NEXT: AtomicU64 = AtomicU64::new(0x20);
    make_device(0, NEXT.fetch_add(1, Ordering::Relaxed) as u32)
}

impl Tmpfs {
    /// An empty file system.
    pub fn new(options: Options) -> Arc<Tmpfs> {
        let fs = Arc::new_cyclic(|this| Tmpfs {
            this: this.clone(),
            dev: anonymous_device(),
            next_ino: AtomicU64::new(1),
            inodes: AtomicU64::new(0),
            max_inodes: options.inodes,
            blocks: AtomicU64::new(0),
            max_blocks: options.size.div_ceil(BLOCK),
            root: Mutex::new(None),
            tree: Mutex::new(()),
        });
        let node = NewNode { kind: NodeKind::Directory, permissions: options.mode, uid: options.uid, gid: options.gid };
        *fs.root.lock() = TmpfsInode::new(&fs, &node).ok();
        fs
    }

    /// An empty file system with the options of `mount(2)`.
    ///
    /// # Errors
    /// EINVAL
    pub fn with_options(data: &[u8]) -> Result<Arc<Tmpfs>, Errno> {
        Ok(Tmpfs::new(Options::parse(data)?))
    }

    /// Changes the number of blocks in use from `old` to `new`.
    fn charge(&self, old: u64, new: u64) -> Result<(), Errno> {
        if new <= old {
            self.blocks.fetch_sub(old - new, Ordering::Relaxed);
            return Ok(());
        }
        let more = new - old;
        let fits = |used: u64| used.checked_add(more).filter(|total| *total <= self.max_blocks);
        self.blocks.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).map(drop).map_err(|_| Errno::ENOSPC)
    }
}

impl FileSystem for Tmpfs {
    fn name(&self) -> &'static str {
        "tmpfs"
    }

    fn statfs(&self) -> Result<Statfs, Errno> {
        const TMPFS_MAGIC: i64 = 0x0102_1994;
        let blocks = self.max_blocks.min(SHOWN_SIZE / BLOCK);
        let free = blocks.saturating_sub(self.blocks.load(Ordering::Relaxed));
        let files = self.max_inodes.min(SHOWN_SIZE / BLOCK);
        Ok(Statfs {
            f_type: TMPFS_MAGIC,
            f_bsize: BLOCK as i64,
            f_blocks: blocks,
            f_bfree: free,
            f_bavail: free,
            f_files: files,
            f_ffree: files.saturating_sub(self.inodes.load(Ordering::Relaxed)),
            f_fsid: [self.dev as i32, 0],
            f_namelen: 255,
            f_frsize: BLOCK as i64,
            ..Statfs::default()
        })
    }

    fn root(&self) -> Arc<dyn Inode> {
        let mut root = self.root.lock();
        if let Some(root) = &*root {
            return root.clone();
        }
        // Only when not even one inode was allowed.
        let node = NewNode { kind: NodeKind::Directory, permissions: 0o1777, uid: 0, gid: 0 };
        let made = TmpfsInode::new_uncounted(self.this.clone(), 1, &node);
        *root = Some(made.clone());
        made
    }

    fn options(&self) -> String {
        match self.max_blocks {
            blocks if blocks < u64::MAX / BLOCK => format!("size={}k", blocks * (BLOCK / 1024)),
            _ => String::new(),
        }
    }
}

#[cfg(test)]
mod tests;
