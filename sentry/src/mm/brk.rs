//! The program break: the heap that grows up behind the program's data.

use platform::{Context, Prot};

use super::list::STACK_GUARD;
use super::{Heap, MapLimits, MemoryMap, Source, Vma};

impl MemoryMap {
    /// `brk`: moves the end of the heap and returns where it is then; the old end when it cannot be moved.
    pub fn brk(&self, context: &mut dyn Context, limits: &MapLimits, end: u64) -> u64 {
        let mut state = self.state.lock();
        let state = &mut *state;
        let heap = state.heap;
        if end < heap.start || end > self.layout.max {
            return heap.end;
        }
        let data = state.image.data_end.saturating_sub(state.image.data_start);
        if (end - heap.start).saturating_add(data) > limits.data {
            return heap.end;
        }
        let (Some(old_page), Some(new_page)) = (abi::page_up(heap.end), abi::page_up(end)) else { return heap.end };
        if new_page < old_page {
            if state.unmap(context, new_page..old_page).is_err() {
                return heap.end;
            }
        } else if new_page > old_page {
            let len = new_page - old_page;
            let in_the_way = !state.list.is_free(old_page..new_page)
                || state.list.find_from(new_page).is_some_and(|above| {
                    above.flags.contains(super::VmaFlags::GROWS_DOWN) && above.start < new_page + STACK_GUARD
                });
            let fits = state.may_expand(limits, len, true);
            if new_page > self.layout.max || in_the_way || !fits || state.list.count() >= super::MAX_MAP_COUNT {
                return heap.end;
            }
            let mut vma = Vma::anonymous(old_page, new_page, Prot::READ_WRITE, Source::Heap);
            vma.flags = state.lock_future;
            if state.exceeds_lock_limit(limits, &vma) || state.place(context, vma).is_err() {
                return heap.end;
            }
        }
        state.heap.end = end;
        end
    }

    /// Sets where the heap begins, empty (`execve`).
    pub fn set_heap_start(&self, start: u64) {
        self.state.lock().heap = Heap { start, end: start };
    }

    /// Where the heap begins (`/proc/PID/stat`).
    pub fn heap_start(&self) -> u64 {
        self.state.lock().heap.start
    }
}
