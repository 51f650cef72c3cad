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
                if let Some(start) = end.checked_sub(len).map(|start| start - start % align)
                    && start >= gap_start
                {
                    break Some(start);
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
        if let Some(previous) = self.find_before(start)
            && previous.continues_in(vma)
        {
            first = previous.start;
        }
        if let Some(next) = self.map.get(&vma.end)
            && vma.continues_in(next)
        {
            last = next.end;
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

#[cfg(test)]
pub(crate) mod tests {
    use platform::Prot;

    use super::super::Source;
    use super::*;

    /// A small deterministic generator (xorshift), so that a failure can be repeated.
    pub(crate) struct Random(pub u64);

    impl Random {
        pub(crate) fn below(&mut self, limit: u64) -> u64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            self.0 % limit
        }
    }

    const PAGE: u64 = abi::PAGE_SIZE;
    const PAGES: usize = 256;

    fn vma(start: u64, end: u64, prot: Prot) -> Vma {
        Vma::anonymous(start * PAGE, end * PAGE, prot, Source::Anonymous)
    }

    fn as_pages(list: &VmaList) -> Vec<Option<Prot>> {
        let mut pages = vec![None; PAGES];
        for vma in list.iter() {
            pages[(vma.start / PAGE) as usize..(vma.end / PAGE) as usize].fill(Some(vma.prot));
        }
        pages
    }

    fn check(list: &VmaList, model: &[Option<Prot>]) {
        assert_eq!(as_pages(list), model);
        let runs = model.chunk_by(|a, b| a == b).filter(|run| run[0].is_some()).count();
        assert_eq!(list.count(), runs, "equal neighbours are merged");
        assert_eq!(list.total(), model.iter().flatten().count() as u64 * PAGE);
        assert_eq!(list.data(), model.iter().flatten().filter(|prot| prot.write).count() as u64 * PAGE);
        let all: Vec<_> = list.iter().collect();
        assert!(all.windows(2).all(|pair| pair[0].end <= pair[1].start));
    }

    /// The highest run of `len` free pages below `top`.
    fn model_gap_down(model: &[Option<Prot>], len: usize, align: usize, bounds: Range<usize>) -> Option<u64> {
        let fits =
            |start: &usize| start.is_multiple_of(align) && model[*start..*start + len].iter().all(Option::is_none);
        (bounds.start..=bounds.end.checked_sub(len)?).rev().find(fits).map(|start| start as u64 * PAGE)
    }

    fn model_gap_up(model: &[Option<Prot>], len: usize, bounds: Range<usize>) -> Option<u64> {
        let fits = |start: &usize| model[*start..*start + len].iter().all(Option::is_none);
        (bounds.start..=bounds.end.checked_sub(len)?).find(fits).map(|start| start as u64 * PAGE)
    }

    #[test]
    fn the_list_agrees_with_an_array_of_pages() {
        let prots = [Prot::NONE, Prot::READ, Prot::READ_WRITE];
        for seed in 1..200 {
            let mut random = Random(seed * 7919);
            let mut list = VmaList::default();
            let mut model = vec![None; PAGES];
            for _ in 0..200 {
                let start = random.below(PAGES as u64 - 1);
                let end = start + 1 + random.below((PAGES as u64 - start).min(40));
                let end = end.min(PAGES as u64);
                let prot = prots[random.below(3) as usize];
                let pages = start as usize..end as usize;
                match random.below(6) {
                    0 | 1 => {
                        list.insert(vma(start, end, prot));
                        model[pages].fill(Some(prot));
                    }
                    2 => {
                        let removed = list.remove(start * PAGE..end * PAGE);
                        let bytes: u64 = removed.iter().map(Vma::len).sum();
                        assert_eq!(bytes, model[pages.clone()].iter().flatten().count() as u64 * PAGE);
                        model[pages].fill(None);
                    }
                    3 => {
                        list.update(start * PAGE..end * PAGE, |vma| vma.prot = prot);
                        model[pages].iter_mut().flatten().for_each(|page| *page = prot);
                    }
                    4 => {
                        let len = 1 + random.below(20) as usize;
                        let align = if random.below(4) == 0 { 8 } else { 1 };
                        let bounds = 4..PAGES - 4;
                        let byte_bounds = bounds.start as u64 * PAGE..bounds.end as u64 * PAGE;
                        let found = list.find_gap_down(len as u64 * PAGE, align as u64 * PAGE, byte_bounds.clone());
                        assert_eq!(found, model_gap_down(&model, len, align, bounds.clone()));
                        let found = list.find_gap_up(len as u64 * PAGE, byte_bounds);
                        assert_eq!(found, model_gap_up(&model, len, bounds));
                    }
                    _ => {
                        let addr = start * PAGE + random.below(PAGE);
                        assert_eq!(list.find(addr).map(|vma| vma.prot), model[start as usize]);
                        let free = model[pages.clone()].iter().all(Option::is_none);
                        assert_eq!(list.is_free(start * PAGE..end * PAGE), free);
                        let run = model[pages.clone()].iter().take_while(|page| page.is_some()).count() as u64;
                        assert_eq!(list.mapped_until(start * PAGE, end * PAGE), (start + run) * PAGE);
                        let mapped = model[pages].iter().flatten().count() as u64 * PAGE;
                        assert_eq!(list.bytes_in(start * PAGE..end * PAGE), mapped);
                    }
                }
                check(&list, &model);
            }
        }
    }

    #[test]
    fn a_reservation_keeps_addresses_free_until_the_page_before_it_goes() {
        let mut list = VmaList::default();
        let bounds = 0..100 * PAGE;
        list.insert(vma(50, 60, Prot::READ));
        list.reserve(60 * PAGE..100 * PAGE);
        assert_eq!(list.find_gap_down(PAGE, PAGE, bounds.clone()), Some(49 * PAGE));
        list.insert(vma(55, 60, Prot::READ_WRITE));
        assert_eq!(list.find_gap_down(PAGE, PAGE, bounds.clone()), Some(49 * PAGE));
        list.remove(50 * PAGE..55 * PAGE);
        assert_eq!(list.find_gap_down(PAGE, PAGE, bounds.clone()), Some(54 * PAGE));
        list.remove(58 * PAGE..60 * PAGE);
        assert_eq!(list.find_gap_down(PAGE, PAGE, bounds), Some(99 * PAGE));
    }

    #[test]
    fn nothing_is_placed_right_below_a_mapping_that_grows_down() {
        let mut list = VmaList::default();
        let mut stack = vma(1000, 1010, Prot::READ_WRITE);
        stack.flags = VmaFlags::GROWS_DOWN;
        list.insert(stack);
        let found = list.find_gap_down(PAGE, PAGE, 0..1010 * PAGE).unwrap();
        assert_eq!(found, 1000 * PAGE - STACK_GUARD - PAGE);
    }
}
