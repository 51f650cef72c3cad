//! The ordered list of mappings: lookup, cutting, merging, and the search for free addresses. Pure arithmetic.

use std::collections::BTreeMap;
use std::ops::Range;

use super::vma::{Vma, VmaFlags};

/// Bytes below a mapping that grows down which nothing else is placed in (`stack_guard_gap`).
pub const STACK_GUARD: u64 = 256 * abi::PAGE_SIZE;

/// The mappings of an address space: disjoint, none empty, neighbours merged where nothing tells them apart.
#[derive(Clone, Default)]
pub struct VmaList {
    map: BTreeMap<u64, Vma>,
    /// Ranges in which no address is chosen, though they count as unmapped.
    reserved: BTreeMap<u64, u64>,
    total: u64,
    data: u64,
    locked: u64,
    search: Search,
}

/// Where the top-down search goes on: no gap above `from` is larger than `hole`.
#[derive(Clone, Copy, Default)]
struct Search {
    from: u64,
    hole: u64,
    top: u64,
}

impl VmaList {
    /// Bytes mapped.
    pub fn total(&self) -> u64 {
        self.total
    }
    /// Bytes of private writable memory.
    pub fn data(&self) -> u64 {
        self.data
    }
    /// Bytes locked.
    pub fn locked(&self) -> u64 {
        self.locked
    }
    /// Number of mappings.
    pub fn count(&self) -> usize {
        self.map.len()
    }
    /// All in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Vma> {
        self.map.values()
    }

    /// The mapping that contains `addr`.
    pub fn find(&self, addr: u64) -> Option<&Vma> {
        self.map.range(..=addr).next_back().map(|(_, vma)| vma).filter(|vma| addr < vma.end)
    }

    /// The first mapping that ends above `addr`.
    pub fn find_from(&self, addr: u64) -> Option<&Vma> {
        self.find(addr).or_else(|| self.map.range(addr..).next().map(|(_, vma)| vma))
    }

    /// The mapping that ends last below or at `addr`.
    pub fn find_before(&self, addr: u64) -> Option<&Vma> {
        self.map.range(..addr).next_back().map(|(_, vma)| vma).filter(|vma| vma.end <= addr)
    }

    /// Those that have a byte in `range`, in order.
    pub fn overlapping(&self, range: Range<u64>) -> impl Iterator<Item = &Vma> {
        let from = self.find(range.start).map_or(range.start, |vma| vma.start);
        self.map.range(from..range.end.max(from)).map(|(_, vma)| vma)
    }

    /// Whether no byte of `range` is mapped.
    pub fn is_free(&self, range: Range<u64>) -> bool {
        self.overlapping(range).next().is_none()
    }

    /// The end of the run of mappings without a hole that contains `addr`, but at most `limit`; `addr` if it is unmapped.
    pub fn mapped_until(&self, addr: u64, limit: u64) -> u64 {
        let mut end = addr;
        for vma in self.overlapping(addr..limit) {
            if vma.start > end {
                break;
            }
            end = vma.end;
        }
        end.min(limit)
    }

    /// Bytes of `range` that are mapped.
    pub fn bytes_in(&self, range: Range<u64>) -> u64 {
        self.overlapping(range.clone()).map(|vma| vma.end.min(range.end) - vma.start.max(range.start)).sum()
    }

    /// Enters a mapping in place of whatever was there.
    pub fn insert(&mut self, vma: Vma) {
        if vma.is_empty() {
            return;
        }
        self.cut(vma.start..vma.end);
        let start = vma.start;
        self.add(vma);
        self.merge_at(start);
    }

    /// Takes out everything in `range`, cutting mappings at its borders; returns the parts in order.
    pub fn remove(&mut self, range: Range<u64>) -> Vec<Vma> {
        let removed = self.cut(range.clone());
        if let Some(last) = removed.last() {
            let gap_end = self.map.range(last.end..).next().map_or(u64::MAX, |(_, vma)| vma.start);
            self.search.from = self.search.from.max(gap_end.min(self.search.top));
            // A reservation lives as long as the page before it.
            let dead: Vec<u64> = self.reserved.range(range.start + 1..=range.end).map(|(start, _)| *start).collect();
            for start in dead {
                self.release(start);
            }
        }
        removed
    }

    /// Changes every mapping in `range`, cutting at its borders, and merges again.
    pub fn update(&mut self, range: Range<u64>, mut change: impl FnMut(&mut Vma)) {
        self.split(range.start);
        self.split(range.end);
        let starts = self.starts_in(range.clone());
        for start in &starts {
            if let Some(mut vma) = self.take(*start) {
                change(&mut vma);
                self.add(vma);
            }
        }
        for start in starts {
            self.merge_at(start);
        }
        self.merge_at(range.end);
    }

    /// Keeps `range` free of chosen addresses, as long as the page before it stays mapped.
    pub fn reserve(&mut self, range: Range<u64>) {
        self.reserved.insert(range.start, range.end);
    }

    /// Ends the reservation that begins at `start`.
    pub fn release(&mut self, start: u64) {
        if let Some(end) = self.reserved.remove(&start) {
            let gap_end = self.map.range(end..).next().map_or(u64::MAX, |(_, vma)| vma.start);
            self.search.from = self.search.from.max(gap_end.min(self.search.top));
        }
    }

    /// The end of the reservation that begins at `start`.
    pub fn reservation(&self, start: u64) -> Option<u64> {
        self.reserved.get(&start).copied()
    }

    /// The highest free range of `len` bytes within `bounds` whose start is a multiple of `align`.
    pub fn find_gap_down(&mut self, len: u64, align: u64, bounds: Range<u64>) -> Option<u64> {
        let resume = self.search.top == bounds.end && len > self.search.hole && align == abi::PAGE_SIZE;
        let mut search = if resume { self.search } else { Search { from: bounds.end, hole: 0, top: bounds.end } };
        let mut end = search.from.min(bounds.end);
        let found = loop {
            let floor = self.occupied_below(end).unwrap_or(0);
            let gap_start = floor.max(bounds.start);
            if end > gap_start {
                if let Some(start) = end.checked_sub(len).map(|start| start - start % align) {
                    if start >= gap_start {
                        break Some(start);
                    }
                }
                if end - gap_start < len {
                    search.hole = search.hole.max(end - gap_start);
                } else {
                    // Large enough but for the alignment: do not skip it next time.
                    search.hole = u64::MAX;
                }
            }
            match self.next_occupied_start(end) {
                Some(start) if start > bounds.start => end = start,
                _ => break None,
            }
        };
        if align == abi::PAGE_SIZE && search.hole != u64::MAX {
            self.search = Search { from: end, ..search };
        }
        found
    }

    /// The lowest free range of `len` bytes within `bounds`.
    pub fn find_gap_up(&self, len: u64, bounds: Range<u64>) -> Option<u64> {
        let mut start = bounds.start;
        loop {
            let end = start.checked_add(len).filter(|end| *end <= bounds.end)?;
            let mapped = self.overlapping(start..end.saturating_add(STACK_GUARD)).find_map(|vma| {
                let from = guarded_start(vma);
                (from < end).then_some(vma.end)
            });
            let reserved = self.reserved.range(..end).next_back().map(|(_, end)| *end).filter(|end| *end > start);
            match mapped.max(reserved) {
                Some(next) => start = next,
                None => return Some(start),
            }
        }
    }

    /// Where the highest occupied range that begins below `addr` ends (cut to `addr`).
    fn occupied_below(&self, addr: u64) -> Option<u64> {
        let vma = self.map.range(..addr).next_back().map(|(_, vma)| vma.end);
        let reserved = self.reserved.range(..addr).next_back().map(|(_, end)| *end);
        // A mapping that grows down keeps the guard below it free.
        let guard = self.map.range(addr..addr.saturating_add(STACK_GUARD)).next();
        let guard = guard.filter(|(_, vma)| guarded_start(vma) < addr).map(|_| addr);
        vma.max(reserved).max(guard).map(|end| end.min(addr))
    }

    /// The start of the occupied range that [`VmaList::occupied_below`] found.
    fn next_occupied_start(&self, addr: u64) -> Option<u64> {
        let guard = self.map.range(addr..addr.saturating_add(STACK_GUARD)).next();
        let guard = guard.map(|(_, vma)| guarded_start(vma)).filter(|start| *start < addr);
        if guard.is_some() {
            return guard;
        }
        let vma = self.map.range(..addr).next_back().map(|(_, vma)| guarded_start(vma));
        let reserved = self.reserved.range(..addr).next_back().map(|(start, _)| *start);
        vma.max(reserved)
    }

    fn cut(&mut self, range: Range<u64>) -> Vec<Vma> {
        self.split(range.start);
        self.split(range.end);
        self.starts_in(range).iter().filter_map(|start| self.take(*start)).collect()
    }

    fn starts_in(&self, range: Range<u64>) -> Vec<u64> {
        self.map.range(range.start..range.end.max(range.start)).map(|(start, _)| *start).collect()
    }

    fn split(&mut self, at: u64) {
        let Some(vma) = self.find(at).filter(|vma| vma.start < at).cloned() else { return };
        self.take(vma.start);
        self.add(vma.part(vma.start, at));
        self.add(vma.part(at, vma.end));
    }

    fn merge_at(&mut self, start: u64) {
        let Some(vma) = self.map.get(&start) else { return };
        let (mut first, mut last) = (start, vma.end);
        if let Some(previous) = self.find_before(start) {
            if previous.continues_in(vma) {
                first = previous.start;
            }
        }
        if let Some(next) = self.map.get(&vma.end) {
            if vma.continues_in(next) {
                last = next.end;
            }
        }
        if (first, last) == (start, vma.end) {
            return;
        }
        let mut parts = self.starts_in(first..last).into_iter().filter_map(|start| self.take(start));
        if let Some(mut whole) = parts.next() {
            parts.for_each(drop);
            whole.end = last;
            self.add(whole);
        }
    }

    fn add(&mut self, vma: Vma) {
        self.total += vma.len();
        self.data += if vma.is_data() { vma.len() } else { 0 };
        self.locked += if vma.flags.contains(VmaFlags::LOCKED) { vma.len() } else { 0 };
        self.map.insert(vma.start, vma);
    }

    fn take(&mut self, start: u64) -> Option<Vma> {
        let vma = self.map.remove(&start)?;
        self.total -= vma.len();
        self.data -= if vma.is_data() { vma.len() } else { 0 };
        self.locked -= if vma.flags.contains(VmaFlags::LOCKED) { vma.len() } else { 0 };
        Some(vma)
    }
}

fn guarded_start(vma: &Vma) -> u64 {
    if vma.flags.contains(VmaFlags::GROWS_DOWN) { vma.start.saturating_sub(STACK_GUARD) } else { vma.start }
}
