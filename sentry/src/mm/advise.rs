//! `madvise`, `mincore`, `msync`.

use abi::uapi::general as uapi;
use platform::{Context, Sharing};

use super::{MemoryMap, Source, Vma, VmaFlags};
use crate::Errno;

/// What an advice does here.
enum Effect {
    /// Changes flags of the list only.
    Flags { set: VmaFlags, clear: VmaFlags },
    /// Changes flags, and the host is told; its refusal does not matter.
    Hint { set: VmaFlags, clear: VmaFlags },
    /// The host carries it out.
    Host,
    /// Cuts a hole into the file or shared memory behind the mapping.
    Remove,
    /// Accepted without effect.
    Nothing,
}

fn effect(advice: u32) -> Result<Effect, Errno> {
    let flags = |set, clear| Ok(Effect::Flags { set, clear });
    let hint = |set, clear| Ok(Effect::Hint { set, clear });
    let none = VmaFlags::empty();
    match advice {
        uapi::MADV_NORMAL => hint(none, VmaFlags::RANDOM | VmaFlags::SEQUENTIAL),
        uapi::MADV_RANDOM => hint(VmaFlags::RANDOM, VmaFlags::SEQUENTIAL),
        uapi::MADV_SEQUENTIAL => hint(VmaFlags::SEQUENTIAL, VmaFlags::RANDOM),
        uapi::MADV_HUGEPAGE => hint(VmaFlags::HUGE_PAGE, VmaFlags::NO_HUGE_PAGE),
        uapi::MADV_NOHUGEPAGE => hint(VmaFlags::NO_HUGE_PAGE, VmaFlags::HUGE_PAGE),
        uapi::MADV_WILLNEED | uapi::MADV_COLD | uapi::MADV_PAGEOUT => hint(none, none),
        uapi::MADV_DONTNEED
        | uapi::MADV_FREE
        | uapi::MADV_POPULATE_READ
        | uapi::MADV_POPULATE_WRITE
        | uapi::MADV_DONTNEED_LOCKED
        | uapi::MADV_COLLAPSE
        | uapi::MADV_GUARD_INSTALL
        | uapi::MADV_GUARD_REMOVE => Ok(Effect::Host),
        uapi::MADV_REMOVE => Ok(Effect::Remove),
        uapi::MADV_DONTFORK => flags(VmaFlags::DONT_FORK, none),
        uapi::MADV_DOFORK => flags(none, VmaFlags::DONT_FORK),
        uapi::MADV_DONTDUMP => flags(VmaFlags::DONT_DUMP, none),
        uapi::MADV_DODUMP => flags(none, VmaFlags::DONT_DUMP),
        uapi::MADV_WIPEONFORK => flags(VmaFlags::WIPE_ON_FORK, none),
        uapi::MADV_KEEPONFORK => flags(none, VmaFlags::WIPE_ON_FORK),
        // Merging pages across sandboxes is a side channel: accepted, not done.
        uapi::MADV_MERGEABLE | uapi::MADV_UNMERGEABLE => Ok(Effect::Nothing),
        uapi::MADV_HWPOISON | uapi::MADV_SOFT_OFFLINE => Err(Errno::EPERM),
        _ => Err(Errno::EINVAL),
    }
}

impl MemoryMap {
    /// `madvise`
    ///
    /// # Errors
    /// EINVAL, EACCES, EPERM, ENOMEM (holes; what is mapped is advised all the same), as `man 2 madvise`.
    pub fn advise(&self, context: &mut dyn Context, addr: u64, len: u64, advice: u32) -> Result<(), Errno> {
        let effect = effect(advice)?;
        if !addr.is_multiple_of(abi::PAGE_SIZE) {
            return Err(Errno::EINVAL);
        }
        let len = abi::page_up(len).ok_or(Errno::EINVAL)?;
        let end = addr.checked_add(len).ok_or(Errno::EINVAL)?;
        if len == 0 {
            return Ok(());
        }
        let mut state = self.state.lock();
        let inside = addr..end.min(self.layout.max).max(addr);
        let parts: Vec<Vma> = state
            .list
            .overlapping(inside.clone())
            .map(|vma| vma.part(vma.start.max(inside.start), vma.end.min(inside.end)))
            .collect();
        let mapped: u64 = parts.iter().map(Vma::len).sum();
        for part in &parts {
            check(part, advice)?;
            if discards(advice)
                && part.flags.contains(VmaFlags::SEALED)
                && part.is_private_anonymous()
                && !part.prot.write
            {
                return Err(Errno::EPERM);
            }
            let range = part.start..part.end;
            match effect {
                Effect::Nothing => {}
                Effect::Flags { set, clear } | Effect::Hint { set, clear } => {
                    if let Effect::Hint { .. } = effect {
                        let _ = context.advise(part.start, part.len(), advice);
                    }
                    if !set.is_empty() || !clear.is_empty() {
                        state.list.update(range, |vma| {
                            vma.flags.remove(clear);
                            vma.flags |= set;
                        });
                    }
                }
                Effect::Host => context.advise(part.start, part.len(), advice)?,
                Effect::Remove => remove(part)?,
            }
        }
        if mapped < len { Err(Errno::ENOMEM) } else { Ok(()) }
    }

    /// `mincore`: one byte a page.
    ///
    /// # Errors
    /// EINVAL, ENOMEM.
    pub fn resident(&self, context: &mut dyn Context, addr: u64, len: u64) -> Result<Vec<u8>, Errno> {
        if !addr.is_multiple_of(abi::PAGE_SIZE) {
            return Err(Errno::EINVAL);
        }
        let range = self.layout.range(addr, len).ok_or(Errno::ENOMEM)?;
        if range.is_empty() {
            return Ok(Vec::new());
        }
        let state = self.state.lock();
        if state.list.bytes_in(range.clone()) < range.end - range.start {
            return Err(Errno::ENOMEM);
        }
        context.resident(range.start, range.end - range.start)
    }

    /// `msync`
    ///
    /// # Errors
    /// EINVAL; EBUSY for `MS_INVALIDATE` on locked memory; ENOMEM for holes.
    pub fn sync(&self, context: &mut dyn Context, addr: u64, len: u64, flags: u32) -> Result<(), Errno> {
        let known = uapi::MS_ASYNC | uapi::MS_INVALIDATE | uapi::MS_SYNC;
        let both = uapi::MS_ASYNC | uapi::MS_SYNC;
        if flags & !known != 0 || !addr.is_multiple_of(abi::PAGE_SIZE) || flags & both == both {
            return Err(Errno::EINVAL);
        }
        let len = abi::page_up(len).ok_or(Errno::ENOMEM)?;
        let end = addr.checked_add(len).ok_or(Errno::ENOMEM)?;
        let inside = addr..end.min(self.layout.max).max(addr);
        let parts: Vec<Vma> = {
            let state = self.state.lock();
            let parts = state.list.overlapping(inside.clone());
            parts.map(|vma| vma.part(vma.start.max(inside.start), vma.end.min(inside.end))).collect()
        };
        let mapped: u64 = parts.iter().map(Vma::len).sum();
        for part in parts {
            if flags & uapi::MS_INVALIDATE != 0 && part.flags.contains(VmaFlags::LOCKED) {
                return Err(Errno::EBUSY);
            }
            if flags & uapi::MS_SYNC != 0 && part.sharing == Sharing::Shared && part.file().is_some() {
                context.sync(part.start, part.len(), flags)?;
            }
        }
        if mapped < len { Err(Errno::ENOMEM) } else { Ok(()) }
    }

    /// `prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME)`: names anonymous memory, or takes the name away.
    ///
    /// # Errors
    /// EINVAL; ENOMEM for holes; EBADF for mappings of files.
    pub fn set_name(&self, addr: u64, len: u64, name: Option<&[u8]>) -> Result<(), Errno> {
        if !addr.is_multiple_of(abi::PAGE_SIZE) {
            return Err(Errno::EINVAL);
        }
        let len = abi::page_up(len).ok_or(Errno::EINVAL)?;
        let end = addr.checked_add(len).ok_or(Errno::EINVAL)?;
        let name: Option<std::sync::Arc<[u8]>> = name.map(Into::into);
        let mut state = self.state.lock();
        if state.list.overlapping(addr..end).any(|vma| vma.file().is_some() || matches!(vma.source, Source::Fixed(_))) {
            return Err(Errno::EBADF);
        }
        let mapped = state.list.bytes_in(addr..end);
        state.list.update(addr..end, |vma| vma.name = name.clone());
        if mapped < len { Err(Errno::ENOMEM) } else { Ok(()) }
    }
}

/// Advice that takes content away, which a seal on memory that cannot be written forbids.
fn discards(advice: u32) -> bool {
    matches!(
        advice,
        uapi::MADV_DONTNEED
            | uapi::MADV_FREE
            | uapi::MADV_DONTNEED_LOCKED
            | uapi::MADV_REMOVE
            | uapi::MADV_DONTFORK
            | uapi::MADV_WIPEONFORK
            | uapi::MADV_GUARD_INSTALL
    )
}

fn check(part: &Vma, advice: u32) -> Result<(), Errno> {
    let anonymous = part.is_private_anonymous();
    let fixed = matches!(part.source, Source::Fixed(_));
    let locked = part.flags.contains(VmaFlags::LOCKED);
    let refused = match advice {
        uapi::MADV_FREE | uapi::MADV_WIPEONFORK => !anonymous,
        uapi::MADV_KEEPONFORK => part.flags.contains(VmaFlags::DROPPABLE),
        uapi::MADV_DONTNEED | uapi::MADV_COLD | uapi::MADV_PAGEOUT => locked || fixed,
        uapi::MADV_DONTNEED_LOCKED | uapi::MADV_GUARD_INSTALL => {
            fixed || (locked && advice == uapi::MADV_GUARD_INSTALL)
        }
        uapi::MADV_DOFORK | uapi::MADV_DODUMP => fixed,
        uapi::MADV_REMOVE => locked || part.sharing != Sharing::Shared,
        _ => false,
    };
    if refused { Err(Errno::EINVAL) } else { Ok(()) }
}

fn remove(part: &Vma) -> Result<(), Errno> {
    /// `FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE`
    const PUNCH_HOLE: u32 = 3;
    if !part.max_prot.write {
        return Err(Errno::EACCES);
    }
    match &part.source {
        Source::Shared(memory, offset) => host::memory::punch_hole(&memory.fd, *offset, part.len()),
        Source::File(file, offset) => file.description.file.allocate(PUNCH_HOLE, *offset, part.len()),
        _ => Err(Errno::EINVAL),
    }
}
