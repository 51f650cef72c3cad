//! Where the parts of a program are put: the randomised bases.

use platform::Layout;

const GIB: u64 = 1 << 30;
/// Random pages of mappings: 28 bits (`vm.mmap_rnd_bits`).
const MMAP_RANDOM_PAGES: u64 = 1 << 28;
/// Random pages of the stack: 22 bits (`STACK_RND_MASK`).
const STACK_RANDOM_PAGES: u64 = 1 << 22;
/// The heap starts up to this far behind the program (`arch_randomize_brk`).
const HEAP_RANDOM: u64 = GIB;
/// Smallest and, as a part of the space, largest room for the stack below its top.
const MIN_GAP: u64 = 128 << 20;
/// A stack without limit is mapped no larger than this.
const DEFAULT_STACK: u64 = 8 << 20;
const MAX_STACK: u64 = GIB;

/// The addresses for one program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bases {
    /// One past the stack's mapping, page-aligned.
    pub stack_top: u64,
    /// Bytes mapped for the stack.
    pub stack_size: u64,
    /// Initial stack pointer lies this far below the top; a multiple of 16 (`arch_align_stack`).
    pub stack_skip: u64,
    /// Mappings grow down from here.
    pub mmap_base: u64,
    /// Position-independent programs with an interpreter lie here.
    pub program: u64,
    /// Distance of the heap from the program's end.
    pub heap_skip: u64,
}

impl Bases {
    /// Chooses addresses. `random(n)` gives a number below `n`, or always 0 without randomisation; it is asked five times.
    pub fn choose(layout: &Layout, stack_limit: u64, args_size: u64, mut random: impl FnMut(u64) -> u64) -> Bases {
        let max = abi::page_down(layout.max);
        // Small layouts (tests, odd platforms) get proportionally less.
        let pages = (max / abi::PAGE_SIZE).max(1);
        let stack_random = STACK_RANDOM_PAGES.min(pages >> 13).max(1);
        let mmap_random = MMAP_RANDOM_PAGES.min(pages >> 7).max(1);
        let stack_size = match stack_limit {
            u64::MAX => DEFAULT_STACK,
            limit => limit.min(MAX_STACK),
        };
        let least = abi::page_up(args_size.saturating_add(128 << 10)).unwrap_or(MAX_STACK);
        let stack_size = abi::page_up(stack_size.max(least)).unwrap_or(MAX_STACK);
        let pad = stack_random * abi::PAGE_SIZE + crate::mm::list::STACK_GUARD;
        let gap = stack_size.saturating_add(pad).max(MIN_GAP).min(max / 6 * 5);
        Bases {
            stack_top: max - random(stack_random) * abi::PAGE_SIZE,
            stack_size,
            stack_skip: random(512) * 16,
            mmap_base: abi::page_down(
                max - gap - random(mmap_random).min((max - gap) / abi::PAGE_SIZE / 2) * abi::PAGE_SIZE,
            ),
            program: abi::page_down(max / 3 * 2) + random(mmap_random / 2 + 1) * abi::PAGE_SIZE,
            heap_skip: random(HEAP_RANDOM / abi::PAGE_SIZE) * abi::PAGE_SIZE,
        }
    }
}
