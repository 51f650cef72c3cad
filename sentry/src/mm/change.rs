//! `munmap`, `mprotect`, `mseal`.

use platform::{Context, Prot, Sharing};

use super::{MAX_MAP_COUNT, MapLimits, MemoryMap, State, VmaFlags};
use crate::Errno;

/// `PROT_GROWSDOWN`: extend the change to the start of a mapping that grows down.
const PROT_GROWSDOWN: u32 = 0x0100_0000;
/// `PROT_GROWSUP`: no mapping of this architecture grows up.
const PROT_GROWSUP: u32 = 0x0200_0000;
/// `PROT_READ | PROT_WRITE | PROT_EXEC | PROT_SEM`
const PROT_KNOWN: u32 = 15;

impl MemoryMap {
    /// `munmap`
    ///
    /// # Errors
    /// EINVAL for an unaligned, empty or outlying range; ENOMEM when cutting a mapping would make too many.
    pub fn unmap(&self, context: &mut dyn Context, addr: u64, len: u64) -> Result<(), Errno> {
        if !addr.is_multiple_of(abi::PAGE_SIZE) || len == 0 {
            return Err(Errno::EINVAL);
        }
        let range = self.layout.range(addr, len).ok_or(Errno::EINVAL)?;
        self.state.lock().unmap(context, range)
    }

    /// `mseal`: nobody can unmap, move or protect the range from now on, nor map over it.
    ///
    /// # Errors
    /// EINVAL; ENOMEM for holes, with nothing changed.
    pub fn seal(&self, addr: u64, len: u64) -> Result<(), Errno> {
        let range = abi::page_up(len).and_then(|len| Some(addr..addr.checked_add(len)?)).ok_or(Errno::EINVAL)?;
        if !addr.is_multiple_of(abi::PAGE_SIZE) {
            return Err(Errno::EINVAL);
        }
        if range.is_empty() {
            return Ok(());
        }
        let mut state = self.state.lock();
        if state.list.mapped_until(range.start, range.end) < range.end {
            return Err(Errno::ENOMEM);
        }
        state.list.update(range, |vma| vma.flags |= VmaFlags::SEALED);
        Ok(())
    }

    /// `mprotect` with the bits of `prot` as the guest gave them.
    ///
    /// # Errors
    /// EINVAL; EACCES beyond the rights of the mapping; ENOMEM for holes. What lies before the offending page is changed,
    /// as in Linux.
    pub fn protect(
        &self,
        context: &mut dyn Context,
        limits: &MapLimits,
        addr: u64,
        len: u64,
        prot_bits: u32,
    ) -> Result<(), Errno> {
        let grows = prot_bits & (PROT_GROWSDOWN | PROT_GROWSUP);
        let bits = prot_bits & !grows;
        if grows == PROT_GROWSDOWN | PROT_GROWSUP || !addr.is_multiple_of(abi::PAGE_SIZE) {
            return Err(Errno::EINVAL);
        }
        if len == 0 {
            return Ok(());
        }
        let len = abi::page_up(len).ok_or(Errno::ENOMEM)?;
        let end = addr.checked_add(len).ok_or(Errno::ENOMEM)?;
        if bits & !PROT_KNOWN != 0 {
            return Err(Errno::EINVAL);
        }
        let mut prot = Prot::from_bits(bits);
        let mut state = self.state.lock();
        let state = &mut *state;
        let mut start = addr;
        if grows == PROT_GROWSUP {
            return Err(Errno::EINVAL);
        }
        if grows == PROT_GROWSDOWN {
            let vma = state.list.find_from(addr).filter(|vma| vma.start < end).ok_or(Errno::ENOMEM)?;
            if !vma.flags.contains(VmaFlags::GROWS_DOWN) {
                return Err(Errno::EINVAL);
            }
            start = vma.start;
        }
        if state.read_implies_exec && prot.read {
            prot.exec = true;
        }
        if state.list.find(start).is_none() {
            return Err(Errno::ENOMEM);
        }
        let mapped_end = state.list.mapped_until(start, end.min(self.layout.max));
        // The usual case, one mapping of one kind, is one host call; a mapping that must not have the right ends the run.
        let mut allowed_end = mapped_end;
        let mut grown_data = 0;
        let mut refusal = Errno::EACCES;
        for vma in state.list.overlapping(start..mapped_end) {
            let max = vma.max_prot;
            let sealed = vma.flags.contains(VmaFlags::SEALED);
            if sealed {
                refusal = Errno::EPERM;
            }
            if sealed || (prot.read && !max.read) || (prot.write && !max.write) || (prot.exec && !max.exec) {
                allowed_end = vma.start.max(start);
                break;
            }
            if prot.write && !vma.prot.write && vma.sharing == Sharing::Private {
                grown_data += vma.end.min(mapped_end) - vma.start.max(start);
            }
        }
        if grown_data > 0 && state.list.data().saturating_add(grown_data) > limits.data {
            return Err(Errno::ENOMEM);
        }
        // At most one mapping is cut at either end.
        if state.list.count() + 2 > MAX_MAP_COUNT && state.would_split(start, allowed_end) {
            return Err(Errno::ENOMEM);
        }
        if start < allowed_end {
            if prot.write {
                state.show_file(context, &(start..allowed_end))?;
            }
            context.protect(start, allowed_end - start, prot)?;
            state.list.update(start..allowed_end, |vma| {
                vma.prot = prot;
                if prot.write && vma.sharing == Sharing::Private && vma.file().is_some() {
                    vma.flags |= VmaFlags::MAY_DIFFER;
                }
            });
        }
        if allowed_end < mapped_end {
            return Err(refusal);
        }
        if mapped_end < end { Err(Errno::ENOMEM) } else { Ok(()) }
    }
}

impl State {
    /// Unmaps on the host, then in the list. Nothing in the range is no error and no host call.
    pub(super) fn unmap(&mut self, context: &mut dyn Context, range: std::ops::Range<u64>) -> Result<(), Errno> {
        let mut inside = self.list.overlapping(range.clone());
        let Some(first) = inside.next() else { return Ok(()) };
        let cuts_a_hole = first.start < range.start && first.end > range.end;
        drop(inside);
        self.check_seals(&range)?;
        if cuts_a_hole && self.list.count() >= MAX_MAP_COUNT {
            return Err(Errno::ENOMEM);
        }
        self.vacate(context, &range)?;
        context.unmap(range.start, range.end - range.start)?;
        self.list.remove(range.clone());
        self.forget_patches(context, &range);
        Ok(())
    }

    /// Refuses a change of sealed mappings.
    ///
    /// # Errors
    /// EPERM
    pub(super) fn check_seals(&self, range: &std::ops::Range<u64>) -> Result<(), Errno> {
        let sealed = self.list.overlapping(range.clone()).any(|vma| vma.flags.contains(VmaFlags::SEALED));
        if sealed { Err(Errno::EPERM) } else { Ok(()) }
    }

    fn would_split(&self, start: u64, end: u64) -> bool {
        self.list.find(start).is_some_and(|vma| vma.start < start)
            || self.list.find(end).is_some_and(|vma| vma.start < end)
    }
}
