//! devpts (`/dev/pts`): a node for each pseudo-terminal whose master is open, and `ptmx` (`man 4 pts`).

use std::sync::{Arc, Weak};

use abi::types::Statfs;
use parking_lot::Mutex;

use crate::Errno;
use crate::task::Current;
use crate::tty::PtySlave;
use crate::tty::pty::PtyTable;
use crate::vfs::special::{make_device, open_device};
use crate::vfs::{
    DirEntry, File, FileSystem, FileType, Inode, Location, Metadata, OpenFlags, SetAttributes, Timestamps, anonymous,
};

/// `st_dev` of the one instance that there is.
pub const DEV: u64 = 0x1c;
const MAGIC: i64 = 0x1cd1;
const ROOT_INO: u64 = 1;
const PTMX_INO: u64 = 2;

/// The file system.
pub struct DevPts {
    this: Weak<DevPts>,
    ptys: Arc<PtyTable>,
    times: Timestamps,
    ptmx: Mutex<u32>,
}

impl DevPts {
    /// Shows the pseudo-terminals of `ptys`. `options` are mount options: `gid=`, `mode=`, `ptmxmode=`; others are ignored.
    ///
    /// # Errors
    /// EINVAL for a number that is none.
    pub fn new(ptys: Arc<PtyTable>, options: &str) -> Result<Arc<DevPts>, Errno> {
        let mut ptmx = 0;
        for option in options.split(',') {
            let number = |text: &str, radix| u32::from_str_radix(text, radix).map_err(|_| Errno::EINVAL);
            match option.split_once('=') {
                Some(("gid", value)) => *ptys.gid.lock() = Some(number(value, 10)?),
                Some(("mode", value)) => *ptys.mode.lock() = Some(number(value, 8)?),
                Some(("ptmxmode", value)) => ptmx = number(value, 8)? & 0o777,
                _ => {}
            }
        }
        let times = anonymous::times_now();
        Ok(Arc::new_cyclic(|this| DevPts { this: this.clone(), ptys, times, ptmx: Mutex::new(ptmx) }))
    }

    fn inode(&self, node: Node) -> Result<Arc<dyn Inode>, Errno> {
        let file_system = self.this.upgrade().ok_or(Errno::EIO)?;
        Ok(Arc::new(DevPtsInode { file_system, node }))
    }
}

impl FileSystem for DevPts {
    fn name(&self) -> &'static str {
        "devpts"
    }

    fn statfs(&self) -> Result<Statfs, Errno> {
        Ok(Statfs { f_type: MAGIC, f_bsize: 4096, f_frsize: 4096, f_namelen: 255, ..Statfs::default() })
    }

    fn root(&self) -> Arc<dyn Inode> {
        // The file system is alive while a method of it runs.
        match self.this.upgrade() {
            Some(file_system) => Arc::new(DevPtsInode { file_system, node: Node::Root }),
            None => unreachable!("a method runs on a live file system"),
        }
    }

    fn options(&self) -> String {
        let gid = self.ptys.gid.lock().map_or_else(String::new, |gid| format!("gid={gid},"));
        let mode = self.ptys.mode.lock().unwrap_or(0o600);
        format!("{gid}mode={mode:o},ptmxmode={:03o}", *self.ptmx.lock())
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Node {
    Root,
    Ptmx,
    Slave(u32),
}

struct DevPtsInode {
    file_system: Arc<DevPts>,
    node: Node,
}

impl DevPtsInode {
    fn plain(&self, ino: u64, file_type: FileType, permissions: u32, rdev: u64) -> Metadata {
        Metadata {
            dev: DEV,
            ino,
            file_type,
            permissions,
            nlink: if file_type == FileType::Directory { 2 } else { 1 },
            uid: 0,
            gid: 0,
            rdev,
            size: 0,
            block_size: 1024,
            blocks: 0,
            times: self.file_system.times,
        }
    }
}

impl Inode for DevPtsInode {
    fn file_system(&self) -> Arc<dyn FileSystem> {
        self.file_system.clone()
    }

    fn file_type(&self) -> FileType {
        match self.node {
            Node::Root => FileType::Directory,
            _ => FileType::CharDevice,
        }
    }

    fn metadata(&self) -> Result<Metadata, Errno> {
        Ok(match self.node {
            Node::Root => self.plain(ROOT_INO, FileType::Directory, 0o755, 0),
            Node::Ptmx => self.plain(PTMX_INO, FileType::CharDevice, *self.file_system.ptmx.lock(), make_device(5, 2)),
            Node::Slave(number) => {
                let tty = self.file_system.ptys.get(number).ok_or(Errno::ENOENT)?;
                tty.pty().ok_or(Errno::ENOENT)?.metadata(DEV)
            }
        })
    }

    fn set_attributes(&self, change: &SetAttributes) -> Result<(), Errno> {
        match self.node {
            Node::Root => return Err(Errno::EPERM),
            Node::Ptmx => {
                let mut mode = self.file_system.ptmx.lock();
                *mode = change.permissions.unwrap_or(*mode);
            }
            Node::Slave(number) => {
                let tty = self.file_system.ptys.get(number).ok_or(Errno::ENOENT)?;
                tty.pty().ok_or(Errno::ENOENT)?.set_attributes(change);
            }
        }
        Ok(())
    }

    fn lookup(&self, name: &[u8]) -> Result<Arc<dyn Inode>, Errno> {
        if self.node != Node::Root {
            return Err(Errno::ENOTDIR);
        }
        if name == b"ptmx" {
            return self.file_system.inode(Node::Ptmx);
        }
        let text = std::str::from_utf8(name).map_err(|_| Errno::ENOENT)?;
        let number: u32 = text.parse().map_err(|_| Errno::ENOENT)?;
        if number.to_string() != text || self.file_system.ptys.get(number).is_none() {
            return Err(Errno::ENOENT);
        }
        self.file_system.inode(Node::Slave(number))
    }

    fn may_cache(&self, name: &[u8]) -> bool {
        name == b"ptmx"
    }

    fn open(
        self: Arc<Self>,
        location: &Location,
        flags: OpenFlags,
        current: &mut Current,
    ) -> Result<Arc<dyn File>, Errno> {
        match self.node {
            Node::Root => Ok(Arc::new(Directory(self.file_system.clone()))),
            Node::Ptmx => open_device(FileType::CharDevice, make_device(5, 2), location, flags, current),
            Node::Slave(number) => {
                let tty = self.file_system.ptys.get(number).ok_or(Errno::EIO)?;
                Ok(Arc::new(PtySlave::open(&tty, flags, current)?))
            }
        }
    }
}

struct Directory(Arc<DevPts>);

impl File for Directory {
    fn is_seekable(&self) -> bool {
        true
    }

    fn read(&self, _at: crate::vfs::IoPosition, _buf: &mut [u8], _current: &Current) -> Result<usize, Errno> {
        Err(Errno::EISDIR)
    }

    fn read_dir(&self, from: u64, sink: &mut dyn FnMut(DirEntry) -> bool) -> Result<(), Errno> {
        let fixed: [(&[u8], u64, FileType); 3] = [
            (b".", ROOT_INO, FileType::Directory),
            (b"..", ROOT_INO, FileType::Directory),
            (b"ptmx", PTMX_INO, FileType::CharDevice),
        ];
        for (index, (name, ino, file_type)) in fixed.into_iter().enumerate().skip(from as usize) {
            if !sink(DirEntry { ino, file_type, name: name.to_vec(), next: index as u64 + 1 }) {
                return Ok(());
            }
        }
        // After the fixed entries the position is three more than the next number to show.
        for number in self.0.ptys.numbers().into_iter().filter(|&number| u64::from(number) + 3 >= from) {
            let entry = DirEntry {
                ino: u64::from(number) + 3,
                file_type: FileType::CharDevice,
                name: number.to_string().into_bytes(),
                next: u64::from(number) + 4,
            };
            if !sink(entry) {
                return Ok(());
            }
        }
        Ok(())
    }
}
