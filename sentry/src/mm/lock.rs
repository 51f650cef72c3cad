//! `mlock` and its family: accounting against `RLIMIT_MEMLOCK`, and touching pages so that they are there.
//!
//! Pages are not pinned on the host: a sandbox must not take memory from its host for good. What programs rely on, that a
//! locked page is present after the call, holds by populating it.

use platform::{Context, Prot};

use super::{MapLimits, MemoryMap, VmaFlags};
use crate::Errno;

/// `MLOCK_ONFAULT`
pub const MLOCK_ONFAULT: u32 = 1;
const MCL_CURRENT: u32 = 1;
const MCL_FUTURE: u32 = 2;
const MCL_ONFAULT: u32 = 4;

const BOTH: VmaFlags = VmaFlags::LOCKED.union(VmaFlags::LOCK_ON_FAULT);

/// Makes the host fault pages in; what cannot be is left to the first touch.
pub(super) fn populate(context: &mut dyn Context, start: u64, len: u64, prot: Prot) {
    use abi::uapi::general::{MADV_POPULATE_READ, MADV_POPULATE_WRITE};
    if prot.bits() == 0 {
        return;
    }
    let advice = if prot.write { MADV_POPULATE_WRITE } else { MADV_POPULATE_READ };
    if let Err(error) = context.advise(start, len, advice) {
        tracing::debug!(?error, start, len, "pages were not populated");
    }
}

impl MemoryMap {
    /// `mlock`, `mlock2`
    ///
    /// # Errors
    /// EINVAL, EPERM, ENOMEM as `man 2 mlock`.
    pub fn lock(
        &self,
        context: &mut dyn Context,
        limits: &MapLimits,
        addr: u64,
        len: u64,
        flags: u32,
    ) -> Result<(), Errno> {
        if flags & !MLOCK_ONFAULT != 0 {
            return Err(Errno::EINVAL);
        }
        if limits.locked == 0 {
            return Err(Errno::EPERM);
        }
        let range = lock_range(addr, len)?;
        let mut state = self.state.lock();
        let mapped = state.list.bytes_in(range.clone());
        let already: u64 = {
            let locked = state.list.overlapping(range.clone()).filter(|vma| vma.flags.contains(VmaFlags::LOCKED));
            locked.map(|vma| vma.end.min(range.end) - vma.start.max(range.start)).sum()
        };
        let requested = range.end - range.start;
        if state.list.locked().saturating_add(requested).saturating_sub(already) > limits.locked {
            return Err(Errno::ENOMEM);
        }
        let mut new = VmaFlags::LOCKED;
        new.set(VmaFlags::LOCK_ON_FAULT, flags & MLOCK_ONFAULT != 0);
        let end = state.list.mapped_until(range.start, range.end);
        state.list.update(range.start..end, |vma| {
            vma.flags.remove(BOTH);
            vma.flags |= new;
        });
        if flags & MLOCK_ONFAULT == 0 {
            let parts: Vec<_> = state
                .list
                .overlapping(range.start..end)
                .map(|vma| (vma.start.max(range.start), vma.end.min(end), vma.prot))
                .collect();
            for (start, end, prot) in parts {
                if prot.bits() == 0 {
                    return Err(Errno::ENOMEM);
                }
                populate(context, start, end - start, prot);
            }
        }
        if mapped < requested { Err(Errno::ENOMEM) } else { Ok(()) }
    }

    /// `munlock`
    ///
    /// # Errors
    /// EINVAL, ENOMEM.
    pub fn unlock(&self, addr: u64, len: u64) -> Result<(), Errno> {
        let range = lock_range(addr, len)?;
        let mut state = self.state.lock();
        let end = state.list.mapped_until(range.start, range.end);
        state.list.update(range.start..end, |vma| vma.flags.remove(BOTH));
        if end < range.end { Err(Errno::ENOMEM) } else { Ok(()) }
    }

    /// `mlockall`
    ///
    /// # Errors
    /// EINVAL, EPERM, ENOMEM.
    pub fn lock_all(&self, context: &mut dyn Context, limits: &MapLimits, flags: u32) -> Result<(), Errno> {
        if flags == 0 || flags & !(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) != 0 || flags == MCL_ONFAULT {
            return Err(Errno::EINVAL);
        }
        if limits.locked == 0 {
            return Err(Errno::EPERM);
        }
        let mut new = VmaFlags::LOCKED;
        new.set(VmaFlags::LOCK_ON_FAULT, flags & MCL_ONFAULT != 0);
        let mut state = self.state.lock();
        if flags & MCL_CURRENT != 0 && state.list.total() > limits.locked {
            return Err(Errno::ENOMEM);
        }
        state.lock_future = if flags & MCL_FUTURE != 0 { new } else { VmaFlags::empty() };
        if flags & MCL_CURRENT != 0 {
            state.list.update(0..u64::MAX, |vma| {
                vma.flags.remove(BOTH);
                vma.flags |= new;
            });
            if flags & MCL_ONFAULT == 0 {
                for vma in state.list.iter().filter(|vma| vma.end <= self.layout.max) {
                    // The stack is mapped whole here; Linux would have only its used part.
                    if !matches!(vma.source, super::Source::Stack | super::Source::Fixed(_)) {
                        populate(context, vma.start, vma.len(), vma.prot);
                    }
                }
            }
        }
        Ok(())
    }

    /// `munlockall`
    pub fn unlock_all(&self) {
        let mut state = self.state.lock();
        state.lock_future = VmaFlags::empty();
        state.list.update(0..u64::MAX, |vma| vma.flags.remove(BOTH));
    }
}

fn lock_range(addr: u64, len: u64) -> Result<std::ops::Range<u64>, Errno> {
    let start = abi::page_down(addr);
    let len = abi::page_up(len.checked_add(addr - start).ok_or(Errno::ENOMEM)?).ok_or(Errno::ENOMEM)?;
    let end = start.checked_add(len).ok_or(Errno::EINVAL)?;
    Ok(start..end)
}
