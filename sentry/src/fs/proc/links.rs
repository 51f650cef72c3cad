//! Links of a process: its program, its places in the tree, its namespaces.

use std::sync::Arc;

use super::node::{Entry, Subject, Target};
use crate::Errno;
use crate::task::Current;
use crate::vfs::{File, FileDescription, FileType, Location, Metadata, OpenFlags, anonymous, nameless};

fn place(location: Location, current: &Current) -> Result<Target, Errno> {
    let text = location.display_path(&current.task.fs().root());
    Ok(Target { text, location: Some(location) })
}

/// `exe`
pub(super) fn exe(subject: &Subject, current: &Current) -> Result<Target, Errno> {
    let task = subject.private_task(current)?;
    let exe = task.mm().map_err(|_| Errno::ENOENT)?.image().exe.clone().ok_or(Errno::ENOENT)?;
    place(exe, current)
}

/// `cwd`
pub(super) fn cwd(subject: &Subject, current: &Current) -> Result<Target, Errno> {
    place(subject.private_task(current)?.fs().cwd(), current)
}

/// `root`
pub(super) fn root(subject: &Subject, current: &Current) -> Result<Target, Errno> {
    place(subject.private_task(current)?.fs().root(), current)
}

/// `ns`: there is one namespace of each kind.
pub(super) static NAMESPACES: &[Entry] = &[
    Entry::link("cgroup", |s, c| namespace(s, c, "cgroup", 0xeffffffb)),
    Entry::link("ipc", |s, c| namespace(s, c, "ipc", 0xefffffff)),
    Entry::link("mnt", |s, c| namespace(s, c, "mnt", 0xf0000000)),
    Entry::link("net", |s, c| namespace(s, c, "net", 0xf0000001)),
    Entry::link("pid", |s, c| namespace(s, c, "pid", 0xeffffffc)),
    Entry::link("pid_for_children", |s, c| namespace(s, c, "pid", 0xeffffffc)),
    Entry::link("time", |s, c| namespace(s, c, "time", 0xeffffffa)),
    Entry::link("time_for_children", |s, c| namespace(s, c, "time", 0xeffffffa)),
    Entry::link("user", |s, c| namespace(s, c, "user", 0xeffffffd)),
    Entry::link("uts", |s, c| namespace(s, c, "uts", 0xeffffffe)),
];

fn namespace(subject: &Subject, current: &Current, kind: &'static str, ino: u64) -> Result<Target, Errno> {
    subject.private_task(current)?;
    let description = FileDescription::new(Arc::new(Namespace { kind, ino }), None, OpenFlags::empty());
    let location = nameless::location_of(&description)?;
    Ok(Target { text: description.file.description().into_bytes(), location: Some(location) })
}

/// What a link in `ns` opens to.
struct Namespace {
    kind: &'static str,
    ino: u64,
}

impl File for Namespace {
    fn metadata(&self) -> Result<Metadata, Errno> {
        const NSFS_DEV: u64 = 0x4;
        Ok(Metadata {
            dev: NSFS_DEV,
            ino: self.ino,
            file_type: FileType::Regular,
            permissions: 0o444,
            ..anonymous::metadata()
        })
    }

    fn reopen(&self, flags: OpenFlags, _current: &mut Current) -> Result<Arc<dyn File>, Errno> {
        if flags.writes() {
            return Err(Errno::EPERM);
        }
        Ok(Arc::new(Namespace { kind: self.kind, ino: self.ino }))
    }

    fn description(&self) -> String {
        format!("{}:[{}]", self.kind, self.ino)
    }
}
