//! The memory of a process: `maps`, `smaps`, `mem`, and what `execve` left in it.

use std::fmt::Write;
use std::sync::Arc;

use platform::SpaceHandle;

use super::node::Subject;
use crate::Errno;
use crate::mm::{MemoryMap, VmaFlags};
use crate::task::{Current, Task};
use crate::vfs::{File, IoPosition, Location};

/// Longest command line or environment that is shown.
const SHOWN: u64 = 1 << 21;

fn read_range(task: &Task, start: u64, end: u64) -> Result<Vec<u8>, Errno> {
    let len = end.saturating_sub(start).min(SHOWN) as usize;
    let mut text = vec![0; len];
    if len == 0 {
        return Ok(text);
    }
    if let Err(fault) = task.space()?.read(start, &mut text) {
        text.truncate(fault.done);
    }
    Ok(text)
}

/// `cmdline`: empty for zombies. A program that has overwritten the end of its arguments (`setproctitle`) goes on into the
/// environment.
pub(super) fn cmdline(subject: &Subject, _: &Current) -> Result<Vec<u8>, Errno> {
    let Ok(task) = subject.task() else { return Ok(Vec::new()) };
    let Ok(mm) = task.mm() else { return Ok(Vec::new()) };
    let image = mm.image();
    let arguments = read_range(&task, image.arg_start, image.arg_end)?;
    if arguments.last().is_none_or(|&last| last == 0) {
        return Ok(arguments);
    }
    let mut title = read_range(&task, image.arg_start, image.env_end)?;
    let end = title.iter().position(|&byte| byte == 0).unwrap_or(title.len());
    title.truncate(end);
    Ok(title)
}

/// `environ`
pub(super) fn environ(subject: &Subject, current: &Current) -> Result<Vec<u8>, Errno> {
    let task = subject.private_task(current)?;
    let Ok(mm) = task.mm() else { return Ok(Vec::new()) };
    let image = mm.image();
    read_range(&task, image.env_start, image.env_end)
}

/// `auxv`
pub(super) fn auxv(subject: &Subject, current: &Current) -> Result<Vec<u8>, Errno> {
    let task = subject.private_task(current)?;
    Ok(task.mm().map_or_else(|_| Vec::new(), |mm| mm.image().auxv.clone()))
}

/// `maps`
pub(super) fn maps(subject: &Subject, current: &Current) -> Result<Vec<u8>, Errno> {
    let task = subject.private_task(current)?;
    let Ok(mm) = task.mm() else { return Ok(Vec::new()) };
    let root = current.task.fs().root();
    let path = |location: &Location| location.display_path(&root);
    let mut text = Vec::new();
    mm.mappings().iter().for_each(|vma| vma.write_line(&mut text, &path));
    Ok(text)
}

/// `smaps`: sizes and flags. The pages themselves are the host's: what is resident is not known here and not shown.
pub(super) fn smaps(subject: &Subject, current: &Current) -> Result<Vec<u8>, Errno> {
    let task = subject.private_task(current)?;
    let Ok(mm) = task.mm() else { return Ok(Vec::new()) };
    let root = current.task.fs().root();
    let path = |location: &Location| location.display_path(&root);
    let mut text = Vec::new();
    for vma in mm.mappings() {
        vma.write_line(&mut text, &path);
        let mut more = String::new();
        let locked = if vma.flags.contains(VmaFlags::LOCKED) { vma.len() >> 10 } else { 0 };
        let _ = write!(
            more,
            "Size:           {:8} kB\nKernelPageSize: {:8} kB\nMMUPageSize:    {:8} kB\nLocked:         {locked:8} kB\nVmFlags:",
            vma.len() >> 10,
            4,
            4
        );
        let shared = vma.sharing == platform::Sharing::Shared;
        let flags = [
            (vma.prot.read, " rd"),
            (vma.prot.write, " wr"),
            (vma.prot.exec, " ex"),
            (shared, " sh"),
            (vma.max_prot.read, " mr"),
            (vma.max_prot.write, " mw"),
            (vma.max_prot.exec, " me"),
            (vma.flags.contains(VmaFlags::LOCKED), " lo"),
            (vma.flags.contains(VmaFlags::DONT_FORK), " dc"),
            (vma.flags.contains(VmaFlags::WIPE_ON_FORK), " wf"),
            (vma.flags.contains(VmaFlags::NORESERVE), " nr"),
        ];
        flags.iter().filter(|(on, _)| *on).for_each(|(_, name)| more.push_str(name));
        more.push_str(" \n");
        text.extend(more.into_bytes());
    }
    Ok(text)
}

/// Opens `mem`.
///
/// # Errors
/// EACCES, ESRCH.
pub(super) fn open(subject: &Subject, current: &Current) -> Result<Arc<dyn File>, Errno> {
    let task = subject.private_task(current)?;
    Ok(Arc::new(Memory { map: task.mm()?, space: task.space()? }))
}

/// An open `mem`: stays with the address space that it was opened for.
struct Memory {
    map: Arc<MemoryMap>,
    space: Arc<dyn SpaceHandle>,
}

impl Memory {
    /// As much of `len` bytes at `addr` as is mapped without a gap.
    fn reachable(&self, addr: u64, len: usize) -> Result<usize, Errno> {
        let vma = self.map.find(addr).ok_or(Errno::EIO)?;
        Ok(len.min((vma.end - addr) as usize))
    }
}

impl File for Memory {
    fn is_seekable(&self) -> bool {
        true
    }

    fn size(&self) -> Result<u64, Errno> {
        Ok(0)
    }

    fn read(&self, at: IoPosition, buf: &mut [u8], _current: &Current) -> Result<usize, Errno> {
        let IoPosition::At(addr) = at else { return Err(Errno::EINVAL) };
        let mut done = 0;
        while done < buf.len() {
            let Ok(len) = self.reachable(addr + done as u64, buf.len() - done) else { break };
            match self.space.read(addr + done as u64, &mut buf[done..done + len]) {
                Ok(()) => done += len,
                Err(fault) => {
                    done += fault.done;
                    break;
                }
            }
        }
        if done == 0 && !buf.is_empty() { Err(Errno::EIO) } else { Ok(done) }
    }

    fn write(&self, at: IoPosition, data: &[u8], _current: &Current) -> Result<usize, Errno> {
        let IoPosition::At(addr) = at else { return Err(Errno::EINVAL) };
        let len = self.reachable(addr, data.len())?;
        // Text and other read-only pages cannot be written from here: the debugger's way is ptrace.
        if !self.map.find(addr).is_some_and(|vma| vma.prot.write) {
            return Err(Errno::EIO);
        }
        match self.space.write(addr, &data[..len]) {
            Ok(()) => Ok(len),
            Err(fault) if fault.done > 0 => Ok(fault.done),
            Err(_) => Err(Errno::EIO),
        }
    }
}
