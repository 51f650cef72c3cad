//! `mmap`: checks, the choice of an address, and the mapping itself.

use std::ops::Range;
use std::os::fd::AsFd;
use std::sync::Arc;

use platform::{Context, Prot, Sharing};

use super::limits::MapLimits;
use super::list::VmaList;
use super::vma::{ALL, MappedFile, SharedMemory, Source, Vma, VmaFlags};
use super::{MAX_MAP_COUNT, MemoryMap, State};
use crate::Errno;
use crate::vfs::{FileDescription, MountFlags};

bitflags::bitflags! {
    /// `MAP_*` of `mmap` (`man 2 mmap`) without the type bits.
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
    pub struct MapFlags: u32 {
        /// `MAP_FIXED`
        const FIXED = 0x10;
        /// `MAP_ANONYMOUS`
        const ANONYMOUS = 0x20;
        /// `MAP_32BIT`
        const LOW_2G = 0x40;
        /// `MAP_GROWSDOWN`
        const GROWS_DOWN = 0x100;
        /// `MAP_DENYWRITE`: ignored, but a sign that a loader maps a library.
        const DENY_WRITE = 0x800;
        /// `MAP_LOCKED`
        const LOCKED = 0x2000;
        /// `MAP_NORESERVE`
        const NORESERVE = 0x4000;
        /// `MAP_POPULATE`
        const POPULATE = 0x8000;
        /// `MAP_NONBLOCK`: makes `MAP_POPULATE` do nothing.
        const NONBLOCK = 0x10000;
        /// `MAP_STACK`: without effect, but keeps huge pages away.
        const STACK = 0x20000;
        /// `MAP_HUGETLB`
        const HUGETLB = 0x40000;
        /// `MAP_SYNC`
        const SYNC = 0x80000;
        /// `MAP_FIXED_NOREPLACE`
        const FIXED_NOREPLACE = 0x100000;
    }
}

/// Flags known before `MAP_SHARED_VALIDATE` existed: all that a file which does not say otherwise takes (`LEGACY_MAP_MASK`).
const LEGACY_FLAGS: u32 = 0x7fff3 | 0xfc00_0000;
/// Free address space kept behind a private file mapping at an address of our choice, for patched call sites.
pub const ISLAND_SIZE: u64 = 64 << 10;
const HUGE_PAGE: u64 = 2 << 20;
/// Where `MAP_32BIT` maps.
const LOW_2G: Range<u64> = 0x4000_0000..0x8000_0000;

/// What stands behind a new mapping.
#[derive(Clone)]
pub enum Backing {
    /// Zeroes.
    Anonymous,
    /// A file from an offset on.
    File(Arc<FileDescription>, u64),
    /// Shared memory from an offset on (`shmat`).
    Memory(Arc<SharedMemory>, u64),
}

/// The arguments of `mmap`.
#[derive(Clone)]
pub struct MapRequest {
    /// Hint, or exact with `FIXED`.
    pub addr: u64,
    /// Bytes.
    pub len: u64,
    /// `PROT_*`
    pub prot: Prot,
    /// All of `flags`, the type bits included.
    pub flags: u32,
    /// What is mapped.
    pub backing: Backing,
}

/// Which flags ask for `MAP_SHARED`, `MAP_PRIVATE` …
const TYPE_MASK: u32 = 15;
const TYPE_SHARED: u32 = 1;
const TYPE_PRIVATE: u32 = 2;
const TYPE_SHARED_VALIDATE: u32 = 3;
const TYPE_DROPPABLE: u32 = 8;

impl MemoryMap {
    /// `mmap`; returns the address.
    ///
    /// # Errors
    /// As `man 2 mmap`: EACCES, EAGAIN, EEXIST, EINVAL, ENODEV, ENOMEM, EOPNOTSUPP, EOVERFLOW, EPERM.
    pub fn map(&self, context: &mut dyn Context, limits: &MapLimits, request: &MapRequest) -> Result<u64, Errno> {
        let flags = MapFlags::from_bits_truncate(request.flags);
        if request.len == 0 {
            return Err(Errno::EINVAL);
        }
        let len = abi::page_up(request.len).ok_or(Errno::ENOMEM)?;
        if let Backing::File(_, offset) | Backing::Memory(_, offset) = request.backing {
            // The last page's number must fit, and the offset be a file's.
            offset.checked_add(len).filter(|end| *end <= i64::MAX as u64).ok_or(Errno::EOVERFLOW)?;
        }
        if len > self.layout.max {
            return Err(Errno::ENOMEM);
        }
        let mut vma = new_vma(request, len)?;
        let mut state = self.state.lock();
        let state = &mut *state;
        if state.list.count() >= MAX_MAP_COUNT {
            return Err(Errno::ENOMEM);
        }
        if state.read_implies_exec && vma.prot.read && vma.max_prot.exec {
            vma.prot.exec = true;
        }
        let start = self.place_for(state, request.addr, len, flags, &vma)?;
        vma = vma.moved(start);
        vma.flags |= state.lock_future;
        if flags.contains(MapFlags::LOCKED) {
            if limits.locked == 0 {
                return Err(Errno::EPERM);
            }
            vma.flags |= VmaFlags::LOCKED;
        }
        if state.exceeds_lock_limit(limits, &vma) {
            return Err(Errno::EAGAIN);
        }
        let replaced = state.list.bytes_in(start..start + len);
        if !state.may_expand(limits, len - replaced, vma.is_data()) {
            return Err(Errno::ENOMEM);
        }
        state.check_seals(&(start..start + len))?;
        let (prot, lock) = (vma.prot, vma.flags);
        let keep_free = vma.file().is_some() && request.addr == 0 && vma.sharing == Sharing::Private;
        state.place(context, vma)?;
        if keep_free && state.list.is_free(start + len..start + len + ISLAND_SIZE) {
            state.list.reserve(start + len..start + len + ISLAND_SIZE);
        }
        let populate = flags.contains(MapFlags::POPULATE) && !flags.contains(MapFlags::NONBLOCK);
        if populate || (lock.contains(VmaFlags::LOCKED) && !lock.contains(VmaFlags::LOCK_ON_FAULT)) {
            super::lock::populate(context, start, len, prot);
        }
        Ok(start)
    }

    /// Maps `vma` where it says, over whatever is there, without limits and checks: for the loader.
    ///
    /// # Errors
    /// The host's errno; EINVAL outside the guest's addresses.
    pub fn map_exactly(&self, context: &mut dyn Context, vma: Vma) -> Result<(), Errno> {
        if vma.start < self.layout.min || vma.end > self.layout.max || vma.start >= vma.end {
            return Err(Errno::EINVAL);
        }
        self.state.lock().place(context, vma)
    }

    /// Chooses a free range of `len` bytes for the loader, top-down below the mapping base.
    ///
    /// # Errors
    /// ENOMEM
    pub fn choose(&self, len: u64, align: u64) -> Result<u64, Errno> {
        let mut state = self.state.lock();
        let bounds = self.layout.min..state.mmap_base;
        state.list.find_gap_down(len, align.max(abi::PAGE_SIZE), bounds).ok_or(Errno::ENOMEM)
    }

    /// Sets from where mappings grow down (`execve`).
    pub fn set_mmap_base(&self, base: u64) {
        self.state.lock().mmap_base = base.min(self.layout.max);
    }

    /// Keeps the range out of the choice of addresses while the page before it is mapped.
    pub fn reserve(&self, range: Range<u64>) {
        self.state.lock().list.reserve(range);
    }

    fn place_for(&self, state: &mut State, addr: u64, len: u64, flags: MapFlags, vma: &Vma) -> Result<u64, Errno> {
        if flags.intersects(MapFlags::FIXED | MapFlags::FIXED_NOREPLACE) {
            if addr.checked_add(len).is_none_or(|end| end > self.layout.max) {
                return Err(Errno::ENOMEM);
            }
            if !addr.is_multiple_of(abi::PAGE_SIZE) {
                return Err(Errno::EINVAL);
            }
            if addr < self.layout.min {
                return Err(Errno::EPERM);
            }
            if flags.contains(MapFlags::FIXED_NOREPLACE) && !state.list.is_free(addr..addr + len) {
                return Err(Errno::EEXIST);
            }
            return Ok(addr);
        }
        let bounds = self.layout.min..state.mmap_base;
        if flags.contains(MapFlags::LOW_2G) {
            let low = LOW_2G.start.max(self.layout.min)..LOW_2G.end.min(self.layout.max);
            let hint = abi::page_down(addr);
            if hint >= low.start && fits(&state.list, hint, len, low.end) {
                return Ok(hint);
            }
            return state.list.find_gap_up(len, low).ok_or(Errno::ENOMEM);
        }
        if addr != 0 {
            let hint = abi::page_up(addr).unwrap_or(u64::MAX).max(self.layout.min);
            if fits(&state.list, hint, len, self.layout.max) {
                return Ok(hint);
            }
        }
        // Whole huge pages lie at their borders, so that the host can use them.
        let huge = vma.is_private_anonymous() && len >= HUGE_PAGE && len.is_multiple_of(HUGE_PAGE);
        if huge && let Some(start) = state.list.find_gap_down(len, HUGE_PAGE, bounds.clone()) {
            return Ok(start);
        }
        let room = if vma.file().is_some() && vma.sharing == Sharing::Private { len + ISLAND_SIZE } else { len };
        if let Some(start) = state.list.find_gap_down(room, abi::PAGE_SIZE, bounds.clone()) {
            return Ok(start);
        }
        // Bottom-up from a third of the space, as Linux does when the top-down area is full.
        let start = state.list.find_gap_down(len, abi::PAGE_SIZE, bounds);
        let bottom_up = || state.list.find_gap_up(len, abi::page_down(self.layout.max / 3)..self.layout.max);
        start.or_else(bottom_up).ok_or(Errno::ENOMEM)
    }
}

fn fits(list: &VmaList, start: u64, len: u64, end: u64) -> bool {
    let guard = super::list::STACK_GUARD;
    start.checked_add(len).is_some_and(|stop| {
        stop <= end
            && list
                .overlapping(start..stop.saturating_add(guard))
                .all(|vma| vma.start >= stop && !vma.flags.contains(VmaFlags::GROWS_DOWN))
    })
}

/// The mapping that `request` asks for, at address 0, after all checks that need no map.
fn new_vma(request: &MapRequest, len: u64) -> Result<Vma, Errno> {
    let flags = MapFlags::from_bits_truncate(request.flags);
    let kind = request.flags & TYPE_MASK;
    let mut vma = Vma {
        start: 0,
        end: len,
        prot: request.prot,
        max_prot: ALL,
        sharing: if kind == TYPE_PRIVATE || kind == TYPE_DROPPABLE { Sharing::Private } else { Sharing::Shared },
        flags: VmaFlags::empty(),
        source: Source::Anonymous,
        name: None,
    };
    vma.flags.set(VmaFlags::NORESERVE, flags.contains(MapFlags::NORESERVE));
    vma.flags.set(VmaFlags::GROWS_DOWN, flags.contains(MapFlags::GROWS_DOWN));
    match &request.backing {
        Backing::Anonymous => match kind {
            TYPE_PRIVATE => {}
            TYPE_SHARED if flags.contains(MapFlags::GROWS_DOWN) => return Err(Errno::EINVAL),
            TYPE_SHARED => vma.source = Source::Shared(SharedMemory::new(len, b"/dev/zero (deleted)")?, 0),
            TYPE_DROPPABLE if flags.intersects(MapFlags::LOCKED | MapFlags::GROWS_DOWN) => return Err(Errno::EINVAL),
            TYPE_DROPPABLE => {
                vma.flags |= VmaFlags::DROPPABLE | VmaFlags::NORESERVE | VmaFlags::WIPE_ON_FORK | VmaFlags::DONT_DUMP;
            }
            _ => return Err(Errno::EINVAL),
        },
        Backing::Memory(memory, offset) => vma.source = Source::Shared(memory.clone(), *offset),
        Backing::File(description, offset) => {
            file_vma(&mut vma, description, *offset, request.flags)?;
        }
    }
    Ok(vma)
}

fn file_vma(vma: &mut Vma, description: &Arc<FileDescription>, offset: u64, flags: u32) -> Result<(), Errno> {
    let kind = flags & TYPE_MASK;
    let mode = description.flags();
    match kind {
        TYPE_SHARED | TYPE_SHARED_VALIDATE => {
            if kind == TYPE_SHARED_VALIDATE && flags & !LEGACY_FLAGS & !MapFlags::FIXED_NOREPLACE.bits() != 0 {
                return Err(Errno::EOPNOTSUPP);
            }
            if vma.prot.write && !mode.writes() {
                return Err(Errno::EACCES);
            }
            if !mode.reads() {
                return Err(Errno::EACCES);
            }
            vma.max_prot.write = mode.writes();
        }
        TYPE_PRIVATE if !mode.reads() => return Err(Errno::EACCES),
        TYPE_PRIVATE => {}
        _ => return Err(Errno::EINVAL),
    }
    if !may_execute(description) {
        if vma.prot.exec {
            return Err(Errno::EPERM);
        }
        vma.max_prot.exec = false;
    }
    if is_zero_device(description) {
        if vma.sharing == Sharing::Shared {
            vma.source = Source::Shared(SharedMemory::new(vma.len(), b"/dev/zero")?, 0);
            vma.max_prot = ALL;
        }
        return Ok(());
    }
    if flags & MapFlags::GROWS_DOWN.bits() != 0 {
        return Err(Errno::EINVAL);
    }
    let write = vma.sharing == Sharing::Shared && mode.writes();
    let rights = Prot { read: true, write, exec: vma.prot.exec };
    let source = match description.file.map(rights, vma.sharing) {
        // Sealed against writing: it can still be mapped for reading, for good.
        Err(Errno::EPERM) if write && !vma.prot.write => {
            vma.max_prot.write = false;
            description.file.map(Prot { write: false, ..rights }, vma.sharing)?
        }
        source => source?,
    };
    offset.checked_add(source.offset).and_then(|at| at.checked_add(vma.len())).ok_or(Errno::EOVERFLOW)?;
    vma.flags.set(VmaFlags::MAY_DIFFER, vma.sharing == Sharing::Private && vma.prot.write);
    vma.source = Source::File(MappedFile::new(description.clone(), source), offset);
    Ok(())
}

/// Whether the file lies on a mount whose programs may run.
fn may_execute(description: &FileDescription) -> bool {
    description.location.as_ref().is_none_or(|location| !location.mount.flags().contains(MountFlags::NOEXEC))
}

/// `/dev/zero`: mapping it is mapping zeroes.
fn is_zero_device(description: &FileDescription) -> bool {
    const ZERO_DEVICE: u64 = 1 << 8 | 5;
    let Some(location) = &description.location else { return false };
    location.inode().file_type() == crate::vfs::FileType::CharDevice
        && location.inode().metadata().is_ok_and(|metadata| metadata.rdev == ZERO_DEVICE)
}

impl State {
    /// Maps on the host, then enters it in the list.
    pub(super) fn place(&mut self, context: &mut dyn Context, vma: Vma) -> Result<(), Errno> {
        let (len, range) = (vma.len(), vma.start..vma.end);
        self.vacate(context, &range)?;
        match &vma.source {
            Source::Anonymous | Source::Heap | Source::Stack => {
                context.map_anonymous(vma.start, len, vma.prot, vma.flags.contains(VmaFlags::NORESERVE))?;
            }
            Source::Shared(memory, offset) => {
                context.map_file(vma.start, len, vma.prot, Sharing::Shared, memory.fd.as_fd(), *offset)?;
            }
            Source::File(..) if self.map_patched(context, &vma)? => {
                self.list.insert(vma);
                self.peak = self.peak.max(self.list.total());
                return Ok(());
            }
            Source::File(file, offset) => {
                let at = file.source.offset.checked_add(*offset).ok_or(Errno::EOVERFLOW)?;
                context.map_file(vma.start, len, vma.prot, vma.sharing, file.source.fd.as_fd(), at)?;
            }
            Source::Fixed(_) => return Err(Errno::EINVAL),
        }
        self.list.insert(vma);
        self.forget_patches(context, &range);
        self.peak = self.peak.max(self.list.total());
        Ok(())
    }

    /// Whether `grown` more bytes keep within `RLIMIT_AS` and, for data, `RLIMIT_DATA`.
    pub(super) fn may_expand(&self, limits: &MapLimits, grown: u64, data: bool) -> bool {
        self.list.total().saturating_add(grown) <= limits.address_space
            && (!data || self.list.data().saturating_add(grown) <= limits.data)
    }

    /// Whether locking the new `vma` would exceed `RLIMIT_MEMLOCK`.
    pub(super) fn exceeds_lock_limit(&self, limits: &MapLimits, vma: &Vma) -> bool {
        vma.flags.contains(VmaFlags::LOCKED) && self.list.locked().saturating_add(vma.len()) > limits.locked
    }
}
