//! Descriptor tables: numbers for open file descriptions.

use std::sync::Arc;

use parking_lot::Mutex;

use super::FileDescription;
use super::lock::Owner;
use crate::Errno;

/// The largest table (`/proc/sys/fs/nr_open`).
pub const NR_OPEN: u64 = 1 << 20;

/// A descriptor table, shared by tasks with `CLONE_FILES`.
#[derive(Default)]
pub struct FdTable {
    state: Mutex<State>,
}

#[derive(Default, Clone)]
struct State {
    slots: Vec<Option<Slot>>,
    /// No number below this one is free.
    full_below: usize,
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
        Arc::new(FdTable { state: Mutex::new(self.state.lock().clone()) })
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
        let mut state = self.state.lock();
        let fd = state.lowest_free(from);
        if fd >= limit {
            return Err(Errno::EMFILE);
        }
        if from <= state.full_below {
            state.full_below = fd + 1;
        }
        let slots = &mut state.slots;
        if fd >= slots.len() {
            slots.resize(fd + 1, None);
        }
        slots[fd] = Some(Slot { description, close_on_exec });
        Ok(fd as i32)
    }

    /// Whether [`FdTable::insert`] would find a number below `limit`: asked before something is made that cannot be undone.
    ///
    /// # Errors
    /// EMFILE
    pub fn check_room(&self, limit: u64) -> Result<(), Errno> {
        let limit = limit.min(NR_OPEN) as usize;
        if self.state.lock().lowest_free(0) < limit { Ok(()) } else { Err(Errno::EMFILE) }
    }

    /// Puts `description` at exactly `fd` (`dup2`), and returns what was there, closed, for the caller to drop.
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
        let mut state = self.state.lock();
        if index >= state.slots.len() {
            state.slots.resize(index + 1, None);
        }
        let old = state.slots[index].replace(Slot { description, close_on_exec });
        drop(state);
        Ok(old.map(|slot| self.closed(slot.description)))
    }

    /// Closes `fd`; the caller drops the description outside of all locks.
    ///
    /// # Errors
    /// EBADF
    pub fn remove(&self, fd: i32) -> Result<Arc<FileDescription>, Errno> {
        let index = usize::try_from(fd).map_err(|_| Errno::EBADF)?;
        let mut state = self.state.lock();
        let slot = state.slots.get_mut(index).and_then(Option::take).ok_or(Errno::EBADF)?;
        state.full_below = state.full_below.min(index);
        drop(state);
        Ok(self.closed(slot.description))
    }

    /// Sets or clears close-on-exec.
    ///
    /// # Errors
    /// EBADF
    pub fn set_close_on_exec(&self, fd: i32, on: bool) -> Result<(), Errno> {
        let index = usize::try_from(fd).map_err(|_| Errno::EBADF)?;
        let mut state = self.state.lock();
        state.slots.get_mut(index).and_then(Option::as_mut).ok_or(Errno::EBADF)?.close_on_exec = on;
        Ok(())
    }

    /// Closes all numbers in `range` for which `which` says so (given the close-on-exec flag).
    pub fn remove_where(
        &self,
        range: std::ops::RangeInclusive<u32>,
        which: impl Fn(bool) -> bool,
    ) -> Vec<Arc<FileDescription>> {
        let mut state = self.state.lock();
        let end = state.slots.len().min((*range.end() as usize).saturating_add(1));
        let start = (*range.start() as usize).min(end);
        state.full_below = state.full_below.min(start);
        let matching =
            state.slots[start..end].iter_mut().filter(|slot| slot.as_ref().is_some_and(|s| which(s.close_on_exec)));
        let removed: Vec<_> = matching.filter_map(|slot| slot.take().map(|s| s.description)).collect();
        drop(state);
        removed.into_iter().map(|description| self.closed(description)).collect()
    }

    /// Sets close-on-exec on all open numbers in `range` (`close_range`).
    pub fn set_close_on_exec_in(&self, range: std::ops::RangeInclusive<u32>) {
        let mut state = self.state.lock();
        let end = state.slots.len().min((*range.end() as usize).saturating_add(1));
        let start = (*range.start() as usize).min(end);
        state.slots[start..end].iter_mut().flatten().for_each(|slot| slot.close_on_exec = true);
    }

    /// All open numbers in order.
    pub fn numbers(&self) -> Vec<i32> {
        let state = self.state.lock();
        state.slots.iter().enumerate().filter(|(_, slot)| slot.is_some()).map(|(n, _)| n as i32).collect()
    }

    /// Whom record locks taken through this table belong to.
    pub fn lock_owner(&self) -> Owner {
        Owner::Process(std::ptr::from_ref(self) as usize)
    }

    /// What happens at each close of a descriptor: the file hears of it, and this process's record locks on it go.
    fn closed(&self, description: Arc<FileDescription>) -> Arc<FileDescription> {
        description.file.flush();
        description.release_locks(self.lock_owner());
        description
    }

    fn with_slot<T>(&self, fd: i32, f: impl FnOnce(&Slot) -> T) -> Result<T, Errno> {
        let index = usize::try_from(fd).map_err(|_| Errno::EBADF)?;
        self.state.lock().slots.get(index).and_then(Option::as_ref).map(f).ok_or(Errno::EBADF)
    }
}

impl State {
    fn lowest_free(&self, from: usize) -> usize {
        let from = from.max(self.full_below);
        (from..self.slots.len()).find(|&n| self.slots[n].is_none()).unwrap_or(self.slots.len().max(from))
    }
}

impl Drop for FdTable {
    fn drop(&mut self) {
        let slots = std::mem::take(&mut self.state.get_mut().slots);
        slots.into_iter().flatten().for_each(|slot| drop(self.closed(slot.description)));
    }
}
