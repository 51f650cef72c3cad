//! `mremap`: shrinking, growing in place, moving.

use std::ops::Range;

use platform::{Context, Sharing};

use super::{MAX_MAP_COUNT, MapLimits, MemoryMap, Source, State, Vma, VmaFlags};
use crate::Errno;

/// `MREMAP_MAYMOVE`
const MAYMOVE: u32 = 1;
/// `MREMAP_FIXED`
const FIXED: u32 = 2;
/// `MREMAP_DONTUNMAP`
const DONTUNMAP: u32 = 4;

/// The arguments of `mremap`.
#[derive(Clone, Copy, Debug)]
pub struct RemapRequest {
    /// Old start.
    pub addr: u64,
    /// Old length.
    pub len: u64,
    /// New length.
    pub new_len: u64,
    /// `MREMAP_*`
    pub flags: u32,
    /// New start, with `MREMAP_FIXED`, or a hint with `MREMAP_DONTUNMAP`.
    pub new_addr: u64,
}

impl MemoryMap {
    /// `mremap`; returns the new address.
    ///
    /// # Errors
    /// EAGAIN, EFAULT, EINVAL, ENOMEM as `man 2 mremap`.
    pub fn remap(&self, context: &mut dyn Context, limits: &MapLimits, request: RemapRequest) -> Result<u64, Errno> {
        let RemapRequest { addr, flags, new_addr, .. } = request;
        let fixed = flags & FIXED != 0;
        let keep_old = flags & DONTUNMAP != 0;
        let len = abi::page_up(request.len).ok_or(Errno::EINVAL)?;
        let new_len = abi::page_up(request.new_len).ok_or(Errno::EINVAL)?;
        if flags & !(MAYMOVE | FIXED | DONTUNMAP) != 0
            || ((fixed || keep_old) && flags & MAYMOVE == 0)
            || (keep_old && len != new_len)
            || addr % abi::PAGE_SIZE != 0
            || new_len == 0
        {
            return Err(Errno::EINVAL);
        }
        if addr.checked_add(len).is_none_or(|end| end > self.layout.max) {
            return Err(if addr >= self.layout.max { Errno::EFAULT } else { Errno::EINVAL });
        }
        let target = if fixed {
            if new_addr % abi::PAGE_SIZE != 0 {
                return Err(Errno::EINVAL);
            }
            let range = self.layout.range(new_addr, new_len).ok_or(Errno::EINVAL)?;
            if range.start < addr + len && addr < range.end {
                return Err(Errno::EINVAL);
            }
            if range.start < self.layout.min {
                return Err(Errno::EPERM);
            }
            Some(range)
        } else {
            None
        };
        let mut state = self.state.lock();
        let state = &mut *state;
        if state.list.count() + 4 > MAX_MAP_COUNT {
            return Err(Errno::ENOMEM);
        }
        let vma = state.list.find(addr).cloned().ok_or(Errno::EFAULT)?;
        state.check_seals(&(addr..addr.saturating_add(len.max(1))))?;
        if len > new_len && target.is_none() {
            state.unmap(context, addr + new_len..addr + len)?;
            return Ok(addr);
        }
        if len == 0 && (vma.sharing != Sharing::Shared || flags & MAYMOVE == 0) {
            return Err(Errno::EINVAL);
        }
        if len == new_len && target.is_none() && !keep_old {
            let whole = state.list.mapped_until(addr, addr + len) == addr + len;
            return if whole { Ok(addr) } else { Err(Errno::EFAULT) };
        }
        if matches!(vma.source, Source::Fixed(_)) && (new_len > len || keep_old) {
            return Err(Errno::EFAULT);
        }
        if addr + len > vma.end {
            return Err(Errno::EFAULT);
        }
        let grown = new_len.saturating_sub(len);
        vma.offset().checked_add(addr - vma.start).and_then(|at| at.checked_add(new_len)).ok_or(Errno::EINVAL)?;
        let added = if keep_old { new_len } else { grown };
        if vma.flags.contains(VmaFlags::LOCKED) && state.list.locked().saturating_add(grown) > limits.locked {
            return Err(Errno::EAGAIN);
        }
        if !state.may_expand(limits, added, vma.is_data()) {
            return Err(Errno::ENOMEM);
        }
        if let Some(target) = target {
            state.unmap(context, target.clone())?;
            let kept = len.min(new_len);
            if kept < len {
                state.unmap(context, addr + kept..addr + len)?;
            }
            return state.relocate(context, &vma, addr..addr + kept, target, keep_old);
        }
        let end = addr + len;
        let in_place = !keep_old
            && len > 0
            && end == vma.end
            && end
                .checked_add(grown)
                .is_some_and(|new_end| new_end <= self.layout.max && state.list.is_free(end..new_end));
        if in_place {
            state.extend(context, &vma, grown)?;
            return Ok(addr);
        }
        if flags & MAYMOVE == 0 {
            return Err(Errno::ENOMEM);
        }
        let bounds = self.layout.min..state.mmap_base;
        let hint = abi::page_down(new_addr);
        let hinted = keep_old
            && hint >= self.layout.min
            && self.layout.range(hint, new_len).is_some_and(|range| state.list.is_free(range));
        let start = if hinted {
            hint
        } else {
            state.list.find_gap_down(new_len, abi::PAGE_SIZE, bounds).ok_or(Errno::ENOMEM)?
        };
        state.relocate(context, &vma, addr..end, start..start + new_len, keep_old)
    }
}

impl MemoryMap {
    /// Makes `len` bytes from `start` on show their file, or shared memory, from `offset` on (`remap_file_pages`).
    ///
    /// # Errors
    /// EINVAL when that is not one shared mapping.
    pub fn show_other_part(&self, context: &mut dyn Context, start: u64, len: u64, offset: u64) -> Result<(), Errno> {
        let end = start.checked_add(len).filter(|end| *end > start).ok_or(Errno::EINVAL)?;
        offset.checked_add(len).filter(|end| *end <= i64::MAX as u64).ok_or(Errno::EINVAL)?;
        let mut state = self.state.lock();
        let vma = state.list.find(start).filter(|vma| vma.sharing == Sharing::Shared).cloned().ok_or(Errno::EINVAL)?;
        let source = match &vma.source {
            Source::File(file, _) => Source::File(file.clone(), offset),
            Source::Shared(memory, _) => Source::Shared(memory.clone(), offset),
            _ => return Err(Errno::EINVAL),
        };
        if end > vma.end {
            return Err(Errno::EINVAL);
        }
        state.place(context, Vma { start, end, source, ..vma })
    }
}

impl State {
    /// Moves `old` (part of `vma`, or empty for a second view of shared memory) to the start of `new`, which is free, and
    /// maps the rest of `new` with what follows in the source.
    fn relocate(
        &mut self,
        context: &mut dyn Context,
        vma: &Vma,
        old: Range<u64>,
        new: Range<u64>,
        keep_old: bool,
    ) -> Result<u64, Errno> {
        let len = old.end - old.start;
        if len == 0 {
            let mut copy = vma.part(old.start, vma.end).moved(new.start);
            copy.end = new.end;
            self.place(context, copy)?;
            return Ok(new.start);
        }
        self.vacate(context, &new)?;
        self.show_file(context, &old)?;
        move_pages(context, old.start, len, new.start, keep_old)?;
        let mut moved = vma.part(old.start, old.end).moved(new.start);
        if keep_old {
            self.list.update(old, |vma| vma.flags.remove(VmaFlags::LOCKED | VmaFlags::LOCK_ON_FAULT));
        } else {
            self.list.remove(old);
        }
        // What has been moved out of the heap is not the heap any more.
        if matches!(moved.source, Source::Heap | Source::Stack) {
            moved.source = Source::Anonymous;
        }
        self.list.insert(moved.clone());
        let grown = new.end - (new.start + len);
        if grown > 0 {
            self.extend(context, &moved, grown)?;
        }
        self.peak = self.peak.max(self.list.total());
        Ok(new.start)
    }

    /// Adds `grown` bytes behind `vma`: a second mapping of the same kind, which the host merges with the first.
    fn extend(&mut self, context: &mut dyn Context, vma: &Vma, grown: u64) -> Result<(), Errno> {
        let mut whole = vma.clone();
        whole.end += grown;
        let tail = whole.part(vma.end, vma.end + grown);
        let (prot, flags) = (tail.prot, tail.flags);
        self.place(context, tail)?;
        if flags.contains(VmaFlags::LOCKED) && !flags.contains(VmaFlags::LOCK_ON_FAULT) {
            super::lock::populate(context, vma.end, grown, prot);
        }
        Ok(())
    }
}

/// Moves pages. What is one mapping here may be several on the host (it merges less), and hosts before Linux 6.17 move only
/// within one: then halves are tried, down to single pages.
fn move_pages(context: &mut dyn Context, from: u64, len: u64, to: u64, keep_old: bool) -> Result<(), Errno> {
    match context.remap(from, len, to, len, keep_old) {
        Err(Errno::EFAULT) if len > abi::PAGE_SIZE => {
            let half = abi::page_down(len / 2).max(abi::PAGE_SIZE);
            move_pages(context, from, half, to, keep_old)?;
            move_pages(context, from + half, len - half, to + half, keep_old)
        }
        result => result,
    }
}
