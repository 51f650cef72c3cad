//! What the client demands of an answer before it believes it.

use abi::Errno;
use host::metadata::FileType;

use crate::attr::Attr;
use crate::message::{Entry, Found, Walked};
use crate::name::{PATH_MAX, check_name};

/// An answer that breaks the protocol is the gofer's fault, which the guest sees as an I/O error.
const BROKEN: Errno = Errno::EIO;

pub(crate) fn attr(attr: Attr) -> Result<Attr, Errno> {
    let times = [attr.atime, attr.mtime, attr.ctime, attr.btime.unwrap_or_default()];
    let sound = FileType::from_mode(attr.mode).is_some()
        && attr.mode <= 0o177_777
        && i64::try_from(attr.size).is_ok()
        && i64::try_from(attr.blocks).is_ok()
        && times.iter().all(|t| t.nsec < 1_000_000_000);
    sound.then_some(attr).ok_or(BROKEN)
}

pub(crate) fn found(found: Found) -> Result<Found, Errno> {
    attr(found.attr)?;
    let is_link = found.attr.file_type() == FileType::Symlink;
    let sound = found.node.0 != 0
        && match &found.symlink {
            Some(target) => is_link && target.len() <= PATH_MAX && !target.contains(&0),
            None => !is_link,
        };
    sound.then_some(found).ok_or(BROKEN)
}

pub(crate) fn entry(entry: Entry) -> Result<Entry, Errno> {
    check_name(&entry.name).map_err(|_| BROKEN)?;
    Ok(Entry { found: found(entry.found)?, name: entry.name })
}

pub(crate) fn walked(walked: Walked, components: usize) -> Result<Walked, Errno> {
    let count = walked.found.len();
    let kinds: Vec<FileType> = walked.found.iter().map(|f| f.attr.file_type()).collect();
    let ends_at_link = kinds.last() == Some(&FileType::Symlink);
    let sound = count <= components
        && kinds.iter().rev().skip(1).all(|&kind| kind == FileType::Directory)
        && (walked.stopped.is_some() || count == components || ends_at_link)
        && walked.stopped.is_none_or(errno_is_sound);
    if !sound {
        return Err(BROKEN);
    }
    let stopped = walked.stopped;
    let checked: Result<Vec<Found>, Errno> = walked.found.into_iter().map(found).collect();
    Ok(Walked { found: checked?, stopped })
}

/// Only what Linux gives to programs; the kernel-internal restart codes would confuse the sentry.
pub(crate) fn errno(number: u16) -> Errno {
    let errno = Errno(number);
    if errno_is_sound(errno) { errno } else { BROKEN }
}

fn errno_is_sound(errno: Errno) -> bool {
    errno.0 != 0 && errno.0 < 512 && errno.name().is_some()
}
