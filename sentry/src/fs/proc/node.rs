//! Files, links and directories of `/proc`, described by tables.

use std::sync::Arc;

use parking_lot::Mutex;

use super::{Proc, fd, process, root};
use crate::Errno;
use crate::task::credentials::may_access;
use crate::task::{Current, Task, ThreadGroup};
use crate::vfs::{
    DirEntry, File, FileSystem, FileType, Inode, IoPosition, LinkTarget, Location, Metadata, OpenFlags, SetAttributes,
};

/// Whom a file tells about.
#[derive(Clone)]
pub(super) enum Subject {
    System,
    /// A process, by its thread group.
    Process(Arc<ThreadGroup>),
    /// One thread of it.
    Thread(Arc<ThreadGroup>, i32),
}

impl Subject {
    /// The thread group.
    pub fn group(&self) -> Result<&Arc<ThreadGroup>, Errno> {
        match self {
            Subject::System => Err(Errno::ENOENT),
            Subject::Process(group) | Subject::Thread(group, _) => Ok(group),
        }
    }

    /// The thread, or any living thread of the process, the leader first.
    pub fn task(&self) -> Result<Arc<Task>, Errno> {
        let group = self.group()?;
        let threads = group.threads();
        let found = match self {
            Subject::Thread(_, tid) => threads.iter().find(|task| task.tid == *tid),
            _ => threads.first(),
        };
        found.cloned().ok_or(Errno::ESRCH)
    }

    /// The thread, if `current` may look into it.
    ///
    /// # Errors
    /// EACCES, ESRCH.
    pub fn private_task(&self, current: &Current) -> Result<Arc<Task>, Errno> {
        let task = self.task()?;
        if may_access(current, &task) { Ok(task) } else { Err(Errno::EACCES) }
    }

    /// The number that it goes by.
    pub fn id(&self) -> i32 {
        match self {
            Subject::System => 0,
            Subject::Process(group) => group.pid,
            Subject::Thread(_, tid) => *tid,
        }
    }
}

pub(super) type Read = fn(&Subject, &Current) -> Result<Vec<u8>, Errno>;
pub(super) type Write = fn(&Subject, &[u8], &Current) -> Result<(), Errno>;

/// Where a link leads: what it says, and the place itself where there is one.
pub(super) struct Target {
    pub text: Vec<u8>,
    pub location: Option<Location>,
}

/// One entry of a table.
pub(super) struct Entry {
    pub name: &'static str,
    pub permissions: u32,
    pub kind: Kind,
}

#[derive(Clone, Copy)]
pub(super) enum Kind {
    /// A text, made anew when it is read from its start.
    Text(Read),
    /// A text that can be written, too.
    Writable(Read, Write),
    /// A directory of fixed entries.
    Table(&'static [Entry]),
    /// A symbolic link.
    Link(fn(&Subject, &Current) -> Result<Target, Errno>),
    /// The memory of a process.
    Memory,
    /// `fd`
    Fds,
    /// `fdinfo`
    FdInfos,
    /// `task`
    Threads,
}

impl Entry {
    pub const fn text(name: &'static str, read: Read) -> Entry {
        Entry { name, permissions: 0o444, kind: Kind::Text(read) }
    }
    pub const fn private(name: &'static str, read: Read) -> Entry {
        Entry { name, permissions: 0o400, kind: Kind::Text(read) }
    }
    pub const fn writable(name: &'static str, read: Read, write: Write) -> Entry {
        Entry { name, permissions: 0o644, kind: Kind::Writable(read, write) }
    }
    pub const fn table(name: &'static str, entries: &'static [Entry]) -> Entry {
        Entry { name, permissions: 0o555, kind: Kind::Table(entries) }
    }
    pub const fn link(name: &'static str, target: fn(&Subject, &Current) -> Result<Target, Errno>) -> Entry {
        Entry { name, permissions: 0o777, kind: Kind::Link(target) }
    }
    pub const fn special(name: &'static str, permissions: u32, kind: Kind) -> Entry {
        Entry { name, permissions, kind }
    }

    fn file_type(&self) -> FileType {
        match self.kind {
            Kind::Text(_) | Kind::Writable(..) | Kind::Memory => FileType::Regular,
            Kind::Link(_) => FileType::Symlink,
            Kind::Table(_) | Kind::Fds | Kind::FdInfos | Kind::Threads => FileType::Directory,
        }
    }
}

/// What an inode is.
#[derive(Clone, Copy)]
pub(super) enum What {
    Root,
    Fixed(&'static Entry),
    /// The directory of a process or thread.
    Process,
    /// A link in `fd`.
    Fd(i32),
    /// A file in `fdinfo`.
    FdInfo(i32),
}

/// An inode: made at each lookup.
pub(super) struct ProcInode {
    fs: Arc<Proc>,
    ino: u64,
    pub subject: Subject,
    what: What,
}

/// The inode number of `name` in the directory `parent` (FNV-1a).
pub(in crate::fs) fn child_ino(parent: u64, name: &[u8]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325 ^ parent;
    for &byte in name {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash >> 16 | 1 << 32
}

impl ProcInode {
    pub fn new(fs: &Arc<Proc>, ino: u64, subject: Subject, what: What) -> Arc<ProcInode> {
        Arc::new(ProcInode { fs: fs.clone(), ino, subject, what })
    }

    fn child(&self, name: &[u8], subject: Subject, what: What) -> Arc<dyn Inode> {
        ProcInode::new(&self.fs, child_ino(self.ino, name), subject, what)
    }

    fn table(&self) -> Option<&'static [Entry]> {
        match self.what {
            What::Root => Some(root::ENTRIES),
            What::Process => Some(process::entries(&self.subject)),
            What::Fixed(Entry { kind: Kind::Table(entries), .. }) => Some(entries),
            _ => None,
        }
    }

    fn permissions(&self) -> u32 {
        match self.what {
            What::Root | What::Process => 0o555,
            What::Fixed(entry) => entry.permissions,
            What::Fd(number) => fd::link_permissions(&self.subject, number),
            What::FdInfo(_) => 0o444,
        }
    }

    fn owner(&self) -> (u32, u32) {
        let Ok(task) = self.subject.task() else { return (0, 0) };
        let dumpable = task.group.dumpable.load(std::sync::atomic::Ordering::Relaxed);
        let readable_anyway = matches!(self.what, What::Process);
        if dumpable || readable_anyway {
            let credentials = task.credentials();
            (credentials.euid, credentials.egid)
        } else {
            (0, 0)
        }
    }

    fn target(&self, current: &Current) -> Result<Target, Errno> {
        match self.what {
            What::Fixed(Entry { kind: Kind::Link(target), .. }) => target(&self.subject, current),
            What::Fd(number) => fd::target(&self.subject, number, current),
            _ => Err(Errno::EINVAL),
        }
    }

    /// Entries of a directory beside `.` and `..`, in order.
    fn list(&self) -> Result<Vec<(Vec<u8>, FileType)>, Errno> {
        let mut entries: Vec<(Vec<u8>, FileType)> = Vec::new();
        if let Some(table) = self.table() {
            entries.extend(table.iter().map(|entry| (entry.name.as_bytes().to_vec(), entry.file_type())));
        }
        let numbers = |numbers: Vec<i32>, file_type| {
            numbers.into_iter().map(move |number| (number.to_string().into_bytes(), file_type))
        };
        match self.what {
            What::Root => {
                let groups = self.fs.kernel()?.pids.groups();
                let pids = groups.iter().map(|group| group.pid).collect();
                entries.extend(numbers(pids, FileType::Directory));
            }
            What::Fixed(Entry { kind: Kind::Fds, .. }) => {
                entries.extend(numbers(fd::numbers(&self.subject), FileType::Symlink));
            }
            What::Fixed(Entry { kind: Kind::FdInfos, .. }) => {
                entries.extend(numbers(fd::numbers(&self.subject), FileType::Regular));
            }
            What::Fixed(Entry { kind: Kind::Threads, .. }) => {
                let threads = self.subject.group()?.threads().iter().map(|task| task.tid).collect();
                entries.extend(numbers(threads, FileType::Directory));
            }
            _ => {}
        }
        Ok(entries)
    }
}

/// A decimal number as the kernel writes it: no sign, no leading zero.
fn number(name: &[u8]) -> Option<i32> {
    let text = std::str::from_utf8(name).ok()?;
    let number: i32 = text.parse().ok()?;
    (number >= 0 && number.to_string() == text).then_some(number)
}

impl Inode for ProcInode {
    fn takes_names(&self) -> bool {
        false
    }

    fn file_system(&self) -> Arc<dyn FileSystem> {
        self.fs.clone()
    }

    fn file_type(&self) -> FileType {
        match self.what {
            What::Root | What::Process => FileType::Directory,
            What::Fixed(entry) => entry.file_type(),
            What::Fd(_) => FileType::Symlink,
            What::FdInfo(_) => FileType::Regular,
        }
    }

    fn metadata(&self) -> Result<Metadata, Errno> {
        let file_type = self.file_type();
        let (uid, gid) = self.owner();
        Ok(Metadata {
            dev: self.fs.dev,
            ino: self.ino,
            file_type,
            permissions: self.permissions(),
            nlink: if file_type == FileType::Directory { 2 } else { 1 },
            uid,
            gid,
            rdev: 0,
            size: if matches!(self.what, What::Fd(_)) { 64 } else { 0 },
            block_size: 1024,
            blocks: 0,
            times: self.fs.times,
        })
    }

    fn set_attributes(&self, change: &SetAttributes) -> Result<(), Errno> {
        // Opening for writing with O_TRUNC is fine; there is nothing to cut.
        let only_size = SetAttributes { size: change.size, ..SetAttributes::default() };
        let is_truncation = format!("{only_size:?}") == format!("{change:?}");
        if is_truncation { Ok(()) } else { Err(Errno::EPERM) }
    }

    fn lookup(&self, name: &[u8]) -> Result<Arc<dyn Inode>, Errno> {
        if let Some(table) = self.table() {
            if let Some(entry) = table.iter().find(|entry| entry.name.as_bytes() == name) {
                return Ok(self.child(name, self.subject.clone(), What::Fixed(entry)));
            }
        } else if self.file_type() != FileType::Directory {
            return Err(Errno::ENOTDIR);
        }
        let number = number(name).ok_or(Errno::ENOENT)?;
        match self.what {
            What::Root => {
                let pids = &self.fs.kernel()?.pids;
                let group = pids.group(number).or_else(|| Some(pids.task(number)?.group.clone()));
                let group = group.ok_or(Errno::ENOENT)?;
                Ok(self.child(name, Subject::Process(group), What::Process))
            }
            What::Fixed(Entry { kind: Kind::Threads, .. }) => {
                let group = self.subject.group()?;
                let exists = group.threads().iter().any(|task| task.tid == number);
                let subject = Subject::Thread(group.clone(), number);
                if exists { Ok(self.child(name, subject, What::Process)) } else { Err(Errno::ENOENT) }
            }
            What::Fixed(Entry { kind: kind @ (Kind::Fds | Kind::FdInfos), .. }) => {
                self.subject.task()?.files()?.get(number).map_err(|_| Errno::ENOENT)?;
                let what = if matches!(kind, Kind::Fds) { What::Fd(number) } else { What::FdInfo(number) };
                Ok(self.child(name, self.subject.clone(), what))
            }
            _ => Err(Errno::ENOENT),
        }
    }

    fn may_cache(&self, name: &[u8]) -> bool {
        // What belongs to processes comes and goes; the system's own files stay.
        matches!(self.subject, Subject::System) && number(name).is_none()
    }

    fn read_link(&self) -> Result<Vec<u8>, Errno> {
        // Nobody in particular reads it: there is no telling whose view it would be.
        Err(if self.file_type() == FileType::Symlink { Errno::EACCES } else { Errno::EINVAL })
    }

    fn read_link_for(&self, current: &Current) -> Result<Vec<u8>, Errno> {
        self.target(current).map(|target| target.text)
    }

    fn follow_link(&self, current: &Current) -> Result<LinkTarget, Errno> {
        let target = self.target(current)?;
        Ok(target.location.map_or_else(|| LinkTarget::Path(target.text), LinkTarget::Jump))
    }

    fn open(self: Arc<Self>, _: &Location, _: OpenFlags, current: &mut Current) -> Result<Arc<dyn File>, Errno> {
        if self.file_type() == FileType::Directory {
            return Ok(Arc::new(ProcDirectory(self)));
        }
        match self.what {
            What::Fixed(Entry { kind: Kind::Text(read), .. }) => {
                // Rights are checked now, not only when it is read.
                if matches!(self.subject, Subject::Process(_) | Subject::Thread(..)) {
                    process::check_open(*read, &self.subject, current)?;
                }
                Ok(Arc::new(ProcText { inode: self, text: Mutex::default() }))
            }
            What::Fixed(Entry { kind: Kind::Memory, .. }) => super::memory::open(&self.subject, current),
            _ => Ok(Arc::new(ProcText { inode: self, text: Mutex::default() })),
        }
    }
}

/// An open text.
struct ProcText {
    inode: Arc<ProcInode>,
    text: Mutex<Option<Arc<Vec<u8>>>>,
}

impl File for ProcText {
    fn is_seekable(&self) -> bool {
        true
    }

    fn size(&self) -> Result<u64, Errno> {
        // How long the text will be is not known before it is made.
        Err(Errno::EINVAL)
    }

    fn read(&self, at: IoPosition, buf: &mut [u8], current: &Current) -> Result<usize, Errno> {
        let IoPosition::At(offset) = at else { return Err(Errno::EINVAL) };
        let known = self.text.lock().clone().filter(|_| offset > 0);
        let text = match known {
            Some(text) => text,
            None => {
                let text = Arc::new(match self.inode.what {
                    What::Fixed(Entry { kind: Kind::Text(read) | Kind::Writable(read, _), .. }) => {
                        read(&self.inode.subject, current)?
                    }
                    What::FdInfo(number) => fd::info(&self.inode.subject, number, current)?,
                    _ => return Err(Errno::EINVAL),
                });
                *self.text.lock() = Some(text.clone());
                text
            }
        };
        let rest = usize::try_from(offset).ok().and_then(|offset| text.get(offset..)).unwrap_or(&[]);
        let count = rest.len().min(buf.len());
        buf[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    fn write(&self, _at: IoPosition, data: &[u8], current: &Current) -> Result<usize, Errno> {
        let What::Fixed(Entry { kind: Kind::Writable(_, write), .. }) = self.inode.what else {
            return Err(Errno::EINVAL);
        };
        write(&self.inode.subject, data, current)?;
        Ok(data.len())
    }

    fn truncate(&self, _size: u64) -> Result<(), Errno> {
        Ok(())
    }
}

struct ProcDirectory(Arc<ProcInode>);

impl File for ProcDirectory {
    fn is_seekable(&self) -> bool {
        true
    }

    fn read(&self, _at: IoPosition, _buf: &mut [u8], _current: &Current) -> Result<usize, Errno> {
        Err(Errno::EISDIR)
    }

    fn read_dir(&self, from: u64, sink: &mut dyn FnMut(DirEntry) -> bool) -> Result<(), Errno> {
        // Positions: the two dots, then the table, then numbers by their value, so that processes that come and go in between
        // leave the others where they are.
        let table = self.0.table().map_or(0, <[Entry]>::len) as u64 + 2;
        let dots = [(b".".to_vec(), FileType::Directory), (b"..".to_vec(), FileType::Directory)];
        let mut all: Vec<(u64, Vec<u8>, FileType)> = Vec::new();
        for (index, (name, file_type)) in dots.into_iter().chain(self.0.list()?).enumerate() {
            let position = if (index as u64) < table {
                index as u64
            } else {
                table + number(&name).map_or(0, |number| number as u64)
            };
            all.push((position, name, file_type));
        }
        for (position, name, file_type) in all.into_iter().filter(|(position, ..)| *position >= from) {
            let ino = if name == b"." || name == b".." { self.0.ino } else { child_ino(self.0.ino, &name) };
            if !sink(DirEntry { ino, file_type, name, next: position + 1 }) {
                break;
            }
        }
        Ok(())
    }
}
