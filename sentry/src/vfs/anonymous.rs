//! Attributes of files that have no name: pipes, eventfds, epolls and their like.

use std::sync::atomic::{AtomicU64, Ordering};

use abi::types::Timespec;

use super::{FileType, Metadata, Timestamps};

/// `st_dev` of pipes.
pub const PIPE_DEV: u64 = 0xe;
/// `st_dev` of `anon_inode` files.
pub const ANONYMOUS_DEV: u64 = 0xf;
/// Inode number that all `anon_inode` files share.
const ANONYMOUS_INO: u64 = 1061;

/// A fresh inode number for a file without a name.
pub fn next_ino() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(4096);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// All three times now.
pub fn times_now() -> Timestamps {
    let now = Timespec::from_ns(host::clock::realtime_ns());
    Timestamps { accessed: now, modified: now, changed: now, created: None }
}

/// Attributes of an `anon_inode` file (eventfd, epoll, timerfd, …), which all share one inode.
pub fn metadata() -> Metadata {
    Metadata {
        dev: ANONYMOUS_DEV,
        ino: ANONYMOUS_INO,
        file_type: FileType::Anonymous,
        permissions: 0o600,
        nlink: 1,
        uid: 0,
        gid: 0,
        rdev: 0,
        size: 0,
        block_size: 4096,
        blocks: 0,
        times: Timestamps::default(),
    }
}
