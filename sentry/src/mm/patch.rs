//! Patched text in one address space: which parts of which mappings show the sandbox's patched copies.
//!
//! The list of mappings knows nothing of it: a part is a second mapping on the host of the same addresses. Whatever could
//! make the jumps lead nowhere (something is mapped over an island, text is moved) or could show that text was changed (it
//! becomes writable) first brings the file's own pages back. They are lost nowhere: a mapping that was ever writable is never
//! patched. What remains visible: a program that reads its own text sees jumps, unless it reads by `/proc/PID/mem`,
//! `process_vm_readv` or `ptrace`, for which [`MemoryMap::show_originals`] is there.

use std::collections::HashSet;
use std::ops::Range;
use std::os::fd::AsFd;
use std::sync::Arc;

use platform::{Context, Prot, Sharing};

use super::map::ISLAND_SIZE;
use super::patch_table::{FileText, PatchTable, PatchedText};
use super::site::Refusal;
use super::vma::{MappedFile, Vma, VmaFlags};
use super::{MemoryMap, State};
use crate::Errno;

/// Sites that were refused are remembered up to this many; beyond, they are looked at again.
const MAX_REFUSED: usize = 4096;

/// See [`State::patches`].
#[derive(Clone)]
pub(super) struct Patches {
    table: Option<Arc<PatchTable>>,
    islands: Vec<Island>,
    /// Addresses of `syscall` instructions that stay as they are.
    refused: HashSet<u64>,
}

/// The trampolines of one mapped file.
#[derive(Clone)]
struct Island {
    /// Where it is mapped.
    addr: u64,
    /// Address of file offset 0.
    base: u64,
    text: Arc<PatchedText>,
    /// Addresses at which the copy is mapped.
    parts: Vec<Range<u64>>,
}

impl Island {
    fn range(&self) -> Range<u64> {
        self.addr..self.addr + ISLAND_SIZE
    }
}

impl Patches {
    pub(super) fn new(table: Option<Arc<PatchTable>>) -> Patches {
        Patches { table, islands: Vec::new(), refused: HashSet::new() }
    }

    pub(super) fn table(&self) -> Option<&Arc<PatchTable>> {
        self.table.as_ref()
    }
}

impl MemoryMap {
    /// Patches the call site whose `syscall` instruction ends at `rip_after`, if it can be. To be called for each
    /// [`platform::Event::Syscall`] for which [`Context::entered_by_trap`] says yes; costs little for sites that were refused.
    pub fn patch_site(&self, context: &mut dyn Context, rip_after: u64) {
        let Some(site) = rip_after.checked_sub(2) else { return };
        let mut state = self.state.lock();
        let state = &mut *state;
        let Some(table) = state.patches.table.clone() else { return };
        if state.patches.refused.contains(&site) {
            return;
        }
        if let Err(reason) = state.patch(context, &table, site) {
            // Those of a file are counted once a file, by the table.
            if matches!(reason, Refusal::Mapping | Refusal::NoGap | Refusal::Host) {
                table.count_refusal(reason);
            }
            if state.patches.refused.len() >= MAX_REFUSED {
                state.patches.refused.clear();
            }
            state.patches.refused.insert(site);
        }
    }

    /// Sites patched in the sandbox, and sites refused by reason; `None` on platforms that need no patching.
    pub fn patch_counts(&self) -> Option<(u64, Vec<(Refusal, u64)>)> {
        self.state.lock().patches.table.as_ref().map(|table| table.counts())
    }

    /// Puts the program's own bytes into `buf`, which was read from `addr` on by other means than the program itself.
    pub fn show_originals(&self, addr: u64, buf: &mut [u8]) {
        let state = self.state.lock();
        let end = addr.saturating_add(buf.len() as u64);
        for (at, old, new) in state.changes_in(addr..end) {
            let inside = old.iter().zip(&new).zip(at..).filter(|(_, at)| (addr..end).contains(at));
            for ((old, new), at) in inside {
                let byte = &mut buf[(at - addr) as usize];
                if *byte == *new {
                    *byte = *old;
                }
            }
        }
    }

    /// Writes as a debugger may (`PTRACE_POKETEXT`): also where the program itself may not write, into a private copy. Text
    /// shows its own bytes from then on, since what a debugger puts back later must fit to what is around it.
    ///
    /// # Errors
    /// EFAULT where nothing is mapped; EIO for shared mappings that are not writable; the host's.
    pub fn force_write(&self, context: &mut dyn Context, addr: u64, data: &[u8]) -> Result<(), Errno> {
        let end = addr.checked_add(data.len() as u64).ok_or(Errno::EFAULT)?;
        let pages = abi::page_down(addr)..abi::page_up(end).ok_or(Errno::EFAULT)?;
        let mut state = self.state.lock();
        if pages.end > self.layout.max || state.list.mapped_until(pages.start, pages.end) < pages.end {
            return Err(Errno::EFAULT);
        }
        let locked: Vec<Vma> = state.list.overlapping(pages.clone()).filter(|vma| !vma.prot.write).cloned().collect();
        if locked.iter().any(|vma| vma.sharing == Sharing::Shared) {
            return Err(Errno::EIO);
        }
        state.show_file(context, &pages)?;
        for vma in &locked {
            context.protect(vma.start, vma.len(), Prot { write: true, ..vma.prot })?;
        }
        let written = context.write(addr, data).map_err(|_| Errno::EFAULT);
        for vma in &locked {
            context.protect(vma.start, vma.len(), vma.prot)?;
            state.list.update(vma.start..vma.end, |vma| vma.flags |= VmaFlags::MAY_DIFFER);
        }
        written
    }

    /// Whether the SIGTRAP with `rip` came from a site that was just being patched; if so the thread is set back to its start.
    pub(super) fn retry_half_patched(&self, context: &mut dyn Context) -> bool {
        const INT3: u8 = 0xcc;
        let Some(start) = context.regs().rip.checked_sub(1) else { return false };
        let state = self.state.lock();
        let found = state.patches.islands.iter().find(|island| island.parts.iter().any(|part| part.contains(&start)));
        // This waits for a site that is half written.
        if !found.is_some_and(|island| island.text.is_patched(start.wrapping_sub(island.base))) {
            return false;
        }
        let mut byte = [0];
        if context.read(start, &mut byte).is_err() || byte[0] == INT3 {
            // A debugger's.
            return false;
        }
        context.regs_mut().rip = start;
        true
    }
}

impl State {
    fn patch(&mut self, context: &mut dyn Context, table: &Arc<PatchTable>, site: u64) -> Result<(), Refusal> {
        let vma = self.list.find(site).ok_or(Refusal::Mapping)?;
        let file = vma.file().filter(|_| is_patchable(vma)).ok_or(Refusal::Mapping)?.clone();
        let base = vma.start.wrapping_sub(vma.offset());
        let vma = vma.clone();
        let record = file.text(table).ok_or(Refusal::File)?;
        let Some(text) = table.copy_for(&record, &file)? else { return Ok(()) };
        let offset = site.wrapping_sub(base);
        let part = text.part(offset, &file)?;
        let island = self.island(context, &text, base, offset)?;
        let wanted = (part.start.wrapping_add(base)).max(vma.start)..(part.end.wrapping_add(base)).min(vma.end);
        self.show_part(context, island, &vma, wanted).map_err(|_| Refusal::Host)?;
        text.patch(table, offset).map(drop)
    }

    /// The island of `text` for a mapping with file offset 0 at `base`, mapped if need be.
    fn island(
        &mut self,
        context: &mut dyn Context,
        text: &Arc<PatchedText>,
        base: u64,
        offset: u64,
    ) -> Result<usize, Refusal> {
        let addr = text.island_for(base, offset).ok_or(Refusal::Mapping)?;
        let known = |island: &Island| Arc::ptr_eq(&island.text, text) && island.base == base && island.addr == addr;
        if let Some(index) = self.patches.islands.iter().position(known) {
            return Ok(index);
        }
        let end = addr.checked_add(ISLAND_SIZE).ok_or(Refusal::NoGap)?;
        let overlaps = |other: &Island| other.addr < end && addr < other.addr + ISLAND_SIZE;
        if !self.list.is_free(addr..end) || self.patches.islands.iter().any(overlaps) {
            return Err(Refusal::NoGap);
        }
        context
            .map_file(addr, ISLAND_SIZE, Prot::READ_EXEC, Sharing::Private, text.fd(), text.island_offset)
            .map_err(|_| Refusal::Host)?;
        if self.list.reservation(addr).is_none() {
            self.list.reserve(addr..end);
        }
        self.patches.islands.push(Island { addr, base, text: text.clone(), parts: Vec::new() });
        Ok(self.patches.islands.len() - 1)
    }

    /// Maps the copy at `wanted`, inside of `vma`.
    fn show_part(
        &mut self,
        context: &mut dyn Context,
        index: usize,
        vma: &Vma,
        wanted: Range<u64>,
    ) -> Result<(), Errno> {
        let island = &mut self.patches.islands[index];
        if island.parts.iter().any(|part| part.start <= wanted.start && wanted.end <= part.end) || wanted.is_empty() {
            return Ok(());
        }
        let offset = wanted.start.wrapping_sub(island.base);
        let len = wanted.end - wanted.start;
        context.map_file(wanted.start, len, vma.prot, Sharing::Private, island.text.fd(), offset)?;
        subtract(&mut island.parts, &wanted);
        island.parts.push(wanted);
        Ok(())
    }

    /// Maps `vma`, a file's, with the patched copy where there is one. `Ok(false)` if there is none: nothing was mapped.
    pub(super) fn map_patched(&mut self, context: &mut dyn Context, vma: &Vma) -> Result<bool, Errno> {
        let Some(table) = self.patches.table.clone() else { return Ok(false) };
        let Some(file) = vma.file().filter(|_| is_patchable(vma)) else { return Ok(false) };
        let Some(text) = file.text(&table).and_then(|record| record.copy()) else { return Ok(false) };
        let (base, offset) = (vma.start.wrapping_sub(vma.offset()), vma.offset());
        let parts = text.parts_in(&(offset..offset + vma.len()));
        let Some(first) = parts.first() else { return Ok(false) };
        self.show_file(context, &(vma.start..vma.end))?;
        let Ok(index) = self.island(context, &text, base, first.start) else { return Ok(false) };
        let whole = *first == (offset..offset + vma.len());
        if !whole {
            let at = file.source.offset.checked_add(offset).ok_or(Errno::EOVERFLOW)?;
            context.map_file(vma.start, vma.len(), vma.prot, vma.sharing, file.source.fd.as_fd(), at)?;
        }
        for part in parts {
            let wanted = part.start.wrapping_add(base)..part.end.wrapping_add(base);
            let shown = self.show_part(context, index, vma, wanted);
            if whole {
                shown?;
            }
        }
        Ok(true)
    }

    /// To be called before anything is mapped over `range`: trampolines there are needed no more afterwards.
    pub(super) fn vacate(&mut self, context: &mut dyn Context, range: &Range<u64>) -> Result<(), Errno> {
        let hit = |island: &Island| island.range().start < range.end && range.start < island.range().end;
        while let Some(index) = self.patches.islands.iter().position(hit) {
            let parts = self.patches.islands[index].parts.clone();
            for part in parts {
                self.show_file(context, &part)?;
            }
            let island = self.patches.islands.swap_remove(index);
            context.unmap(island.addr, ISLAND_SIZE)?;
        }
        Ok(())
    }

    /// To be called before the text in `range` becomes writable or moves: the file's own pages come back.
    pub(super) fn show_file(&mut self, context: &mut dyn Context, range: &Range<u64>) -> Result<(), Errno> {
        let hit = |part: &Range<u64>| part.start < range.end && range.start < part.end;
        for island in &mut self.patches.islands {
            while let Some(index) = island.parts.iter().position(hit) {
                let part = island.parts[index].clone();
                for vma in self.list.overlapping(part.clone()) {
                    let Some(file) = vma.file() else { continue };
                    let (start, end) = (vma.start.max(part.start), vma.end.min(part.end));
                    let offset = file.source.offset + vma.offset() + (start - vma.start);
                    context.map_file(start, end - start, vma.prot, vma.sharing, file.source.fd.as_fd(), offset)?;
                }
                island.parts.swap_remove(index);
            }
        }
        Ok(())
    }

    /// To be called after `range` was unmapped or something else was mapped there. Islands without text go.
    pub(super) fn forget_patches(&mut self, context: &mut dyn Context, range: &Range<u64>) {
        if !self.patches.refused.is_empty() {
            self.patches.refused.retain(|site| !range.contains(site));
        }
        for island in &mut self.patches.islands {
            subtract(&mut island.parts, range);
        }
        while let Some(index) = self.patches.islands.iter().position(|island| island.parts.is_empty()) {
            let island = self.patches.islands.swap_remove(index);
            if let Err(error) = context.unmap(island.addr, ISLAND_SIZE) {
                tracing::debug!(?error, "an island stays mapped");
            }
        }
    }

    /// Overwritten bytes within `range` of addresses: (address, original, patched).
    fn changes_in(&self, range: Range<u64>) -> Vec<(u64, Vec<u8>, Vec<u8>)> {
        let mut changes = Vec::new();
        for island in &self.patches.islands {
            for part in &island.parts {
                let (start, end) = (part.start.max(range.start), part.end.min(range.end));
                if start < end {
                    let offsets = start.wrapping_sub(island.base)..end.wrapping_sub(island.base);
                    let originals = island.text.originals(&offsets).into_iter();
                    changes.extend(originals.map(|(at, old, new)| (at.wrapping_add(island.base), old, new)));
                }
            }
        }
        changes
    }
}

impl MappedFile {
    /// The record of the file in the table; found once.
    fn text(&self, table: &PatchTable) -> Option<Arc<FileText>> {
        self.text.get_or_init(|| table.text_of(self)).clone()
    }
}

fn is_patchable(vma: &Vma) -> bool {
    vma.sharing == Sharing::Private
        && vma.prot.exec
        && !vma.prot.write
        && vma.file().is_some()
        && !vma.flags.contains(VmaFlags::MAY_DIFFER)
}

/// Takes `cut` out of disjoint ranges.
fn subtract(ranges: &mut Vec<Range<u64>>, cut: &Range<u64>) {
    let kept = ranges.iter().flat_map(|range| {
        let before = range.start..range.end.min(cut.start);
        let after = range.start.max(cut.end)..range.end;
        [before, after].into_iter().filter(|rest| !rest.is_empty())
    });
    *ranges = kept.collect();
}
