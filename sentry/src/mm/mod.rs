//! Guest memory: the list of what is mapped where, the calls that change it, and access to guest bytes.
//!
//! A [`MemoryMap`] is one address space's list. Its operations take the caller's hands (`&mut dyn Context`), ask the host
//! first and then write the list, both under the map's lock, so that two threads of a process cannot get them out of step.
//! When the host refuses, the list stays as it was. Where one call needs several host calls (an `mprotect` over several
//! mappings, an `mremap` that grows and moves) the list follows each of them, so a refusal in between leaves what a Linux
//! that fails half-way leaves. The memory itself is the stub's: the list is for accuracy, never for safety.

pub mod advise;
mod brk;
mod change;
mod fault;
mod futex_key;
pub mod limits;
pub mod list;
pub mod lock;
pub mod map;
mod patch;
mod patch_table;
pub mod remap;
pub mod show;
pub mod site;
pub mod user;
pub mod vma;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use platform::{Context, Layout, SpaceHandle};

use crate::Errno;
use crate::vfs::Location;
pub use futex_key::FutexKey;
pub use limits::MapLimits;
pub use list::VmaList;
pub use map::{Backing, MapFlags, MapRequest};
pub use patch_table::PatchTable;
pub use vma::{MappedFile, SharedMemory, Source, Vma, VmaFlags};

/// Lowest address that may be mapped (`/proc/sys/vm/mmap_min_addr`).
pub const MMAP_MIN_ADDR: u64 = 65536;
/// Most mappings of an address space (`/proc/sys/vm/max_map_count`).
pub const MAX_MAP_COUNT: usize = 65530;

/// What is mapped where in one address space. The memory itself is the stub's; this list is for accuracy, not for safety.
pub struct MemoryMap {
    /// Unique in the sandbox, never reused.
    pub id: u64,
    layout: Bounds,
    space: OnceLock<Arc<dyn SpaceHandle>>,
    state: Mutex<State>,
}

#[derive(Clone, Copy)]
struct Bounds {
    min: u64,
    max: u64,
}

#[derive(Clone)]
struct State {
    list: VmaList,
    /// Mappings grow down from here.
    mmap_base: u64,
    heap: Heap,
    image: Arc<ImageInfo>,
    /// `mlockall(MCL_FUTURE)`: what new mappings get.
    lock_future: VmaFlags,
    /// `personality(READ_IMPLIES_EXEC)`
    read_implies_exec: bool,
    /// What shows patched text.
    patches: patch::Patches,
    /// Highest `total` so far (`VmPeak`).
    peak: u64,
}

#[derive(Clone, Copy, Default)]
struct Heap {
    start: u64,
    end: u64,
}

/// What `execve` leaves for `/proc/PID` and `prctl(PR_SET_MM)`.
#[derive(Clone, Default)]
pub struct ImageInfo {
    /// The program's file (`/proc/PID/exe`).
    pub exe: Option<Location>,
    /// First byte of the first argument.
    pub arg_start: u64,
    /// One past the NUL of the last.
    pub arg_end: u64,
    /// First byte of the environment.
    pub env_start: u64,
    /// One past its end.
    pub env_end: u64,
    /// The auxiliary vector as bytes (`/proc/PID/auxv`).
    pub auxv: Vec<u8>,
    /// The program's text.
    pub code_start: u64,
    /// One past it.
    pub code_end: u64,
    /// The program's data.
    pub data_start: u64,
    /// One past it.
    pub data_end: u64,
    /// `rsp` at the entry point.
    pub stack_start: u64,
}

/// Sizes for `/proc/PID/status` and `statm`, in bytes.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// All mappings (`VmSize`).
    pub total: u64,
    /// The most that was mapped at once (`VmPeak`).
    pub peak: u64,
    /// Private writable (`VmData`).
    pub data: u64,
    /// The initial stack (`VmStk`).
    pub stack: u64,
    /// The program's text (`VmExe`).
    pub text: u64,
    /// Executable file mappings of others (`VmLib`).
    pub library: u64,
    /// Locked (`VmLck`).
    pub locked: u64,
}

fn next_id() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

impl MemoryMap {
    /// The list of a fresh address space of the platform: nothing but what the platform itself has mapped.
    pub fn new(layout: &Layout) -> MemoryMap {
        MemoryMap::with_table(layout, patch_table::PatchTable::new(layout))
    }

    fn with_table(layout: &Layout, table: Option<Arc<patch_table::PatchTable>>) -> MemoryMap {
        let mut list = VmaList::default();
        for fixed in &layout.fixed {
            list.insert(Vma::anonymous(fixed.start, fixed.end, fixed.prot, Source::Fixed(fixed.name)));
        }
        let bounds = Bounds { min: layout.min.max(MMAP_MIN_ADDR), max: layout.max };
        let state = State {
            list,
            mmap_base: layout.max,
            heap: Heap::default(),
            image: Arc::default(),
            lock_future: VmaFlags::empty(),
            read_implies_exec: false,
            patches: patch::Patches::new(table),
            peak: 0,
        };
        MemoryMap { id: next_id(), layout: bounds, space: OnceLock::new(), state: Mutex::new(state) }
    }

    /// The list of a fresh address space for a program that replaces the one in `old`, whose sandbox's patched text it shares.
    pub fn for_exec(layout: &Layout, old: Option<&MemoryMap>) -> MemoryMap {
        match old.and_then(|old| old.state.lock().patches.table().cloned()) {
            Some(table) => MemoryMap::with_table(layout, Some(table)),
            None => MemoryMap::new(layout),
        }
    }

    /// Copies the address space: the host's copy by `context`, and the list. No thread of the process can change the map
    /// in between. Advice of `MADV_DONTFORK` and `MADV_WIPEONFORK` is carried out in the copy.
    ///
    /// # Errors
    /// EAGAIN, ENOMEM.
    pub fn fork(&self, context: &mut dyn Context) -> Result<(Arc<MemoryMap>, Box<dyn Context>), Errno> {
        let state = self.state.lock();
        let mut child_context = context.fork()?;
        let mut child = state.clone();
        drop(state);
        let special: Vec<Vma> = child
            .list
            .iter()
            .filter(|vma| vma.flags.intersects(VmaFlags::DONT_FORK | VmaFlags::WIPE_ON_FORK))
            .cloned()
            .collect();
        for vma in special {
            if vma.flags.contains(VmaFlags::DONT_FORK) {
                child_context.unmap(vma.start, vma.len())?;
                child.list.remove(vma.start..vma.end);
            } else {
                let noreserve = vma.flags.contains(VmaFlags::NORESERVE);
                child_context.map_anonymous(vma.start, vma.len(), vma.prot, noreserve)?;
            }
        }
        // Locks are not inherited (`man 2 mlock`).
        let locked = VmaFlags::LOCKED | VmaFlags::LOCK_ON_FAULT;
        let everything = 0..u64::MAX;
        if child.list.locked() > 0 {
            child.list.update(everything, |vma| vma.flags.remove(locked));
        }
        child.lock_future = VmaFlags::empty();
        child.peak = child.list.total();
        let space = OnceLock::from(child_context.space());
        let map = MemoryMap { id: next_id(), layout: self.layout, space, state: Mutex::new(child) };
        Ok((Arc::new(map), child_context))
    }

    /// Tells by what the address space is reached from outside; once, when it has been filled.
    pub fn set_space(&self, space: Arc<dyn SpaceHandle>) {
        let _ = self.space.set(space);
    }

    /// The address space as other processes reach it; `None` while it is being made.
    pub fn space(&self) -> Option<&Arc<dyn SpaceHandle>> {
        self.space.get()
    }

    /// What `execve` left.
    pub fn image(&self) -> Arc<ImageInfo> {
        self.state.lock().image.clone()
    }

    /// Changes what `execve` left (`prctl(PR_SET_MM)`).
    pub fn set_image(&self, image: ImageInfo) {
        self.state.lock().image = Arc::new(image);
    }

    /// `personality(READ_IMPLIES_EXEC)` for mappings to come.
    pub fn set_read_implies_exec(&self, on: bool) {
        self.state.lock().read_implies_exec = on;
    }

    /// Sizes for `/proc`.
    pub fn sizes(&self) -> Sizes {
        let state = self.state.lock();
        let image = &state.image;
        let mut sizes = Sizes {
            total: state.list.total(),
            peak: state.peak.max(state.list.total()),
            data: state.list.data(),
            locked: state.list.locked(),
            text: image.code_end.saturating_sub(image.code_start),
            ..Sizes::default()
        };
        for vma in state.list.iter() {
            match vma.source {
                Source::Stack => sizes.stack += vma.len(),
                Source::File(..) if vma.prot.exec && !vma.prot.write => sizes.library += vma.len(),
                _ => {}
            }
        }
        sizes.library = sizes.library.saturating_sub(sizes.text);
        sizes
    }

    /// The mapping that contains `addr`.
    pub fn find(&self, addr: u64) -> Option<Vma> {
        self.state.lock().list.find(addr).cloned()
    }

    /// Whether nothing in `range` is mapped, and all of it may be.
    pub fn is_free(&self, range: std::ops::Range<u64>) -> bool {
        range.start >= self.layout.min && range.end <= self.layout.max && self.state.lock().list.is_free(range)
    }

    /// All mappings in order.
    pub fn mappings(&self) -> Vec<Vma> {
        self.state.lock().list.iter().cloned().collect()
    }

    /// One past the highest address a guest may name.
    pub fn max(&self) -> u64 {
        self.layout.max
    }
}

impl Bounds {
    /// `start..start+len` if all of it may be named by a guest, `len` rounded up to pages.
    fn range(self, start: u64, len: u64) -> Option<std::ops::Range<u64>> {
        let end = start.checked_add(abi::page_up(len)?)?;
        (end <= self.max).then_some(start..end)
    }
}
