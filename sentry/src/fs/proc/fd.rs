//! `/proc/PID/fd` and `fdinfo`.

use std::sync::Arc;

use super::node::{Subject, Target};
use crate::Errno;
use crate::task::Current;
use crate::vfs::{FileDescription, nameless};

/// Open descriptors; none for a process that has exited.
pub(super) fn numbers(subject: &Subject) -> Vec<i32> {
    subject.task().and_then(|task| task.files()).map_or_else(|_| Vec::new(), |files| files.numbers())
}

/// `r` and `w` of the link tell how the file was opened.
pub(super) fn link_permissions(subject: &Subject, number: i32) -> u32 {
    let description = subject.task().and_then(|task| task.files()).and_then(|files| files.get(number));
    description.map_or(0, |description| {
        let read = if description.is_readable() { 0o400 } else { 0 };
        let write = if description.is_writable() { 0o200 } else { 0 };
        0o100 | read | write
    })
}

fn description(subject: &Subject, number: i32, current: &Current) -> Result<Arc<FileDescription>, Errno> {
    subject.private_task(current)?.files()?.get(number).map_err(|_| Errno::ENOENT)
}

/// What the link says and where it leads.
///
/// # Errors
/// ENOENT when it has been closed, EACCES.
pub(super) fn target(subject: &Subject, number: i32, current: &Current) -> Result<Target, Errno> {
    let description = description(subject, number, current)?;
    let location = nameless::location_of(&description)?;
    let text = match nameless::name_of(&location) {
        Some(name) => name.into_bytes(),
        None => location.display_path(&current.task.fs().root()),
    };
    Ok(Target { text, location: Some(location) })
}

/// The text of `fdinfo/N`.
///
/// # Errors
/// ENOENT when it has been closed, EACCES.
pub(super) fn info(subject: &Subject, number: i32, current: &Current) -> Result<Vec<u8>, Errno> {
    const O_CLOEXEC: u32 = 0o2000000;
    const O_LARGEFILE: u32 = 0o100000;
    let files = subject.private_task(current)?.files()?;
    let (description, close_on_exec) = files.get_with_flag(number).map_err(|_| Errno::ENOENT)?;
    let large = if description.location.is_some() { O_LARGEFILE } else { 0 };
    let flags = description.flags().bits() | large | if close_on_exec { O_CLOEXEC } else { 0 };
    let position = *description.position.lock();
    let location = nameless::location_of(&description)?;
    let ino = location.inode().metadata().map_or(0, |metadata| metadata.ino);
    let mount = location.mount.id;
    let more = description.file.fdinfo();
    Ok(format!("pos:\t{position}\nflags:\t0{flags:o}\nmnt_id:\t{mount}\nino:\t{ino}\n{more}").into_bytes())
}
