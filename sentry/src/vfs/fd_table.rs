//! Descriptor tables: numbers for open file descriptions.

use std::sync::Arc;

use parking_lot::Mutex;

use super::FileDescription;
use crate::Errno;

/// The largest table (`/proc/sys/fs/nr_open`).
pub const NR_OPEN: u64 = 1 << 20;

/// A descriptor table, shared by tasks with `CLONE_FILES`.
#[derive(Default)]
pub struct FdTable {
    slots: Mutex<Vec<Option<Slot>>>,
}

#[derive(Clone)]
struct Slot {
    description: Arc<FileDescription>,
    close_on_exec: bool,
}

impl FdTable {
    /// An empty table.
    pub fn new() -> Arc<FdTable> {
        Arc::default()
    }

    /// A copy for `fork` or `unshare`.
    pub fn copy(&self) -> Arc<FdTable> {
        Arc::new(FdTable { slots: Mutex::new(self.slots.lock().clone()) })
    }

    /// The description of `fd`.
    ///
    /// # Errors
    /// EBADF
    pub fn get(&self, fd: i32) -> Result<Arc<FileDescription>, Errno> {
        self.with_slot(fd, |slot| slot.description.clone())
    }

    /// The description of `fd` with its close-on-exec flag.
    ///
    /// # Errors
    /// EBADF
    pub fn get_with_flag(&self, fd: i32) -> Result<(Arc<FileDescription>, bool), Errno> {
        self.with_slot(fd, |slot| (slot.description.clone(), slot.close_on_exec))
    }

    /// Puts `description` at the lowest free number not below `from` and below `limit` (RLIMIT_NOFILE).
    ///
    /// # Errors
    /// EMFILE; EINVAL when `from` is not below `limit`.
    pub fn insert(
        &self,
        description: Arc<FileDescription>,
        from: u64,
        limit: u64,
        close_on_exec: bool,
    ) -> Result<i32, Errno> {
        let limit = limit.min(NR_OPEN) as usize;
        let from = usize::try_from(from).map_err(|_| Errno::EINVAL)?;
        if from >= limit {
            return Err(if from == 0 { Errno::EMFILE } else { Errno::EINVAL });
        }
        let mut slots = self.slots.lock();
        let fd = (from..slots.len()).find(|&n| slots[n].is_none()).unwrap_or(slots.len().max(from));
        if fd >= limit {
            return Err(Errno::EMFILE);
        }
        if fd >= slots.len() {
            slots.resize(fd + 1, None);
        }
        slots[fd] = Some(Slot { description, close_on_exec });
        Ok(fd as i32)
    }

    /// Puts `description` at exactly `fd` (`dup2`), and returns what was there for the caller to close.
    ///
    /// # Errors
    /// EBADF when `fd` is negative or not below `limit`.
    pub fn replace(
        &self,
        fd: i32,
        description: Arc<FileDescription>,
        limit: u64,
        close_on_exec: bool,
    ) -> Result<Option<Arc<FileDescription>>, Errno> {
        let index = usize::try_from(fd).map_err(|_| Errno::EBADF)?;
        if index as u64 >= limit.min(NR_OPEN) {
            return Err(Errno::EBADF);
        }
        let mut slots = self.slots.lock();
        if index >= slots.len() {
            slots.resize(index + 1, None);
        }
        Ok(slots[index].replace(Slot { description, close_on_exec }).map(|slot| slot.description))
    }

    /// Takes `fd` out; the caller drops the description outside of all locks.
    ///
    /// # Errors
    /// EBADF
    pub fn remove(&self, fd: i32) -> Result<Arc<FileDescription>, Errno> {
        let index = usize::try_from(fd).map_err(|_| Errno::EBADF)?;
        let slot = self.slots.lock().get_mut(index).and_then(Option::take);
        slot.map(|slot| slot.description).ok_or(Errno::EBADF)
    }

    /// Sets or clears close-on-exec.
    ///
    /// # Errors
    /// EBADF
    pub fn set_close_on_exec(&self, fd: i32, on: bool) -> Result<(), Errno> {
        let index = usize::try_from(fd).map_err(|_| Errno::EBADF)?;
        let mut slots = self.slots.lock();
        slots.get_mut(index).and_then(Option::as_mut).ok_or(Errno::EBADF)?.close_on_exec = on;
        Ok(())
    }

    /// Takes out all numbers in `range` for which `which` says so (given the close-on-exec flag).
    pub fn remove_where(
        &self,
        range: std::ops::RangeInclusive<u32>,
        which: impl Fn(bool) -> bool,
    ) -> Vec<Arc<FileDescription>> {
        let mut slots = self.slots.lock();
        let end = slots.len().min((*range.end() as usize).saturating_add(1));
        let start = (*range.start() as usize).min(end);
        let matching =
            slots[start..end].iter_mut().filter(|slot| slot.as_ref().is_some_and(|s| which(s.close_on_exec)));
        matching.filter_map(|slot| slot.take().map(|s| s.description)).collect()
    }

    /// Sets close-on-exec on all open numbers in `range` (`close_range`).
    pub fn set_close_on_exec_in(&self, range: std::ops::RangeInclusive<u32>) {
        let mut slots = self.slots.lock();
        let end = slots.len().min((*range.end() as usize).saturating_add(1));
        let start = (*range.start() as usize).min(end);
        slots[start..end].iter_mut().flatten().for_each(|slot| slot.close_on_exec = true);
    }

    /// All open numbers in order.
    pub fn numbers(&self) -> Vec<i32> {
        let slots = self.slots.lock();
        slots.iter().enumerate().filter(|(_, slot)| slot.is_some()).map(|(n, _)| n as i32).collect()
    }

    fn with_slot<T>(&self, fd: i32, f: impl FnOnce(&Slot) -> T) -> Result<T, Errno> {
        let index = usize::try_from(fd).map_err(|_| Errno::EBADF)?;
        self.slots.lock().get(index).and_then(Option::as_ref).map(f).ok_or(Errno::EBADF)
    }
}
