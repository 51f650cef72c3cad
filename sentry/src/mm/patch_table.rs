//! Patched text: one copy a file for the whole sandbox, in which call sites jump to trampolines.
//!
//! The copy is a memfd with the file's own offsets, its trampolines (the *island*) behind. Processes map parts of it over
//! their mapping of the file, privately, and the island at a fixed distance behind the file's addresses; so a site that one
//! process has patched is patched in all, and a new process starts patched.
//!
//! Sites are written while other processors execute them. Five (or two) bytes within an aligned 8-byte word change by one
//! store. Those across a border change as Linux's `text_poke` does it: first `int3` as the first byte, then the rest, then the
//! first byte, with pauses in which every processor has long refetched. A thread that meets the `int3` raises SIGTRAP, and
//! [`super::MemoryMap::handle_fault`] lets it try again.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use host::code_memory::CodeMemory;
use parking_lot::Mutex;
use platform::Layout;

use super::map::ISLAND_SIZE;
use super::site::{self, JUMP_LEN, Refusal, Site};
use super::vma::MappedFile;
use crate::loader::elf::{Elf, HEADER_SIZE, Header, Segment};

/// A file is copied when this many of its calls have trapped: programs that end at once never pay for it.
const COPY_AFTER: u32 = 24;
/// Text up to this size is copied and mapped whole, larger text in parts of [`PART`].
const WHOLE: u64 = 4 << 20;
const PART: u64 = 1 << 20;
/// Larger files are left alone.
const MAX_FILE: u64 = 1 << 30;
const SLOT: u64 = 32;
const INT3: u8 = 0xcc;
/// Far longer than a processor keeps instruction bytes that it has fetched and not executed.
const REFETCH: Duration = Duration::from_micros(3);

/// What makes a file the same file with the same content.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct FileId {
    dev: u64,
    ino: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl FileId {
    pub(super) fn of(file: &MappedFile) -> Option<FileId> {
        let metadata = file.metadata().ok()?;
        let time = |time: abi::types::Timespec| (time.tv_sec, time.tv_nsec);
        Some(FileId {
            dev: metadata.dev,
            ino: metadata.ino,
            size: metadata.size,
            modified: time(metadata.times.modified),
            changed: time(metadata.times.changed),
        })
    }
}

/// All patched files of the sandbox, and how often what happened.
pub struct PatchTable {
    /// Where trampolines jump to.
    entry: u64,
    max: u64,
    files: Mutex<HashMap<FileId, Arc<FileText>>>,
    counts: Counts,
}

#[derive(Default)]
struct Counts {
    patched: AtomicU64,
    refused: [AtomicU64; Refusal::ALL.len()],
}

impl Refusal {
    /// All reasons.
    pub const ALL: [Refusal; 8] = [
        Refusal::Shape,
        Refusal::NoPadding,
        Refusal::Boundary,
        Refusal::Mapping,
        Refusal::NoGap,
        Refusal::Full,
        Refusal::File,
        Refusal::Host,
    ];
}

/// A file that is mapped executable somewhere.
pub(super) struct FileText {
    id: FileId,
    traps: AtomicU32,
    copy: Mutex<Copy>,
}

enum Copy {
    None,
    Refused(Refusal),
    Made(Arc<PatchedText>),
}

impl PatchTable {
    /// The table for a platform; `None` if that needs no patching.
    pub(super) fn new(layout: &Layout) -> Option<Arc<PatchTable>> {
        let (entry, max) = (layout.syscall_entry?, layout.max);
        Some(Arc::new(PatchTable { entry, max, files: Mutex::default(), counts: Counts::default() }))
    }

    /// Sites patched, and sites refused by reason.
    pub fn counts(&self) -> (u64, Vec<(Refusal, u64)>) {
        let refused = Refusal::ALL.iter().zip(&self.counts.refused);
        let refused = refused.map(|(reason, count)| (*reason, count.load(Ordering::Relaxed)));
        (self.counts.patched.load(Ordering::Relaxed), refused.filter(|(_, count)| *count > 0).collect())
    }

    pub(super) fn count_refusal(&self, reason: Refusal) {
        self.counts.refused[reason as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// The record of a file.
    pub(super) fn text_of(&self, file: &MappedFile) -> Option<Arc<FileText>> {
        let id = FileId::of(file)?;
        let mut files = self.files.lock();
        let new = || Arc::new(FileText { id, traps: AtomicU32::new(0), copy: Mutex::new(Copy::None) });
        Some(files.entry(id).or_insert_with(new).clone())
    }

    /// The patched copy of `file`, once enough of its calls have trapped. `Ok(None)` before.
    pub(super) fn copy_for(&self, text: &FileText, file: &MappedFile) -> Result<Option<Arc<PatchedText>>, Refusal> {
        let mut copy = text.copy.lock();
        match &*copy {
            Copy::Made(made) => return Ok(Some(made.clone())),
            Copy::Refused(reason) => return Err(*reason),
            Copy::None => {}
        }
        if text.traps.fetch_add(1, Ordering::Relaxed) + 1 < COPY_AFTER {
            return Ok(None);
        }
        match PatchedText::new(self, text.id, file) {
            Ok(made) => {
                tracing::debug!(?text.id, "call sites of a file are patched from now on");
                let made = Arc::new(made);
                *copy = Copy::Made(made.clone());
                Ok(Some(made))
            }
            Err(reason) => {
                *copy = Copy::Refused(reason);
                Err(reason)
            }
        }
    }
}

impl Drop for PatchTable {
    fn drop(&mut self) {
        let (patched, refused) = self.counts();
        tracing::debug!(patched, ?refused, "call sites");
    }
}

impl FileText {
    /// The patched copy, if there is one.
    pub(super) fn copy(&self) -> Option<Arc<PatchedText>> {
        match &*self.copy.lock() {
            Copy::Made(made) => Some(made.clone()),
            _ => None,
        }
    }
}

/// The patched copy of a file's text.
pub(super) struct PatchedText {
    code: CodeMemory,
    /// Executable segments of the file.
    segments: Vec<Segment>,
    /// Offset of the island in the copy.
    pub(super) island_offset: u64,
    /// Address of the island, before the load bias.
    island_addr: u64,
    state: Mutex<TextState>,
}

#[derive(Default)]
struct TextState {
    /// Parts that hold the file's bytes: ranges of file offsets.
    filled: Vec<Range<u64>>,
    slots: u64,
    /// Patched sites, by the offset of the `syscall`.
    sites: HashMap<u64, Result<(), Refusal>>,
    /// What was overwritten, by offset.
    changes: BTreeMap<u64, Change>,
}

struct Change {
    old: Vec<u8>,
    new: Vec<u8>,
}

impl PatchedText {
    fn new(table: &PatchTable, id: FileId, file: &MappedFile) -> Result<PatchedText, Refusal> {
        if FileId::of(file) != Some(id) || id.size > MAX_FILE {
            return Err(Refusal::File);
        }
        let read = |offset: u64, buf: &mut [u8]| {
            let at = file.source.offset.checked_add(offset).ok_or(Refusal::File)?;
            let len = host::file::read_at(file.source.fd.as_fd(), buf, at).map_err(|_| Refusal::File)?;
            if len == buf.len() { Ok(()) } else { Err(Refusal::File) }
        };
        let mut head = [0; HEADER_SIZE];
        read(0, &mut head)?;
        let header = Header::parse(&head).map_err(|_| Refusal::Mapping)?;
        let mut program_headers = vec![0; header.table_size()];
        read(header.table_offset, &mut program_headers)?;
        let elf = Elf::parse(header, &program_headers, table.max).map_err(|_| Refusal::Mapping)?;
        let island_addr = elf.span().ok_or(Refusal::Mapping)?.end;
        let segments = elf.segments.iter().filter(|segment| segment.prot.exec && !segment.prot.write);
        let island_offset = abi::page_up(id.size).ok_or(Refusal::File)?;
        let code = CodeMemory::new("text", island_offset + ISLAND_SIZE).map_err(|_| Refusal::Host)?;
        let text = PatchedText {
            code,
            segments: segments.copied().collect(),
            island_offset,
            island_addr,
            state: Mutex::new(TextState { slots: 1, ..TextState::default() }),
        };
        // Slot 0 holds the entry's address for all trampolines.
        for (at, byte) in table.entry.to_le_bytes().into_iter().enumerate() {
            text.code.store_byte(island_offset + at as u64, byte);
        }
        Ok(text)
    }

    pub(super) fn fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.code.fd()
    }

    /// Where the island must be mapped if file offset 0 (of the segment that holds `offset`) is at `base`.
    pub(super) fn island_for(&self, base: u64, offset: u64) -> Option<u64> {
        let segment = self.segment(offset)?;
        Some(base.wrapping_add(segment.offset).wrapping_sub(segment.addr).wrapping_add(self.island_addr))
    }

    /// The part of the copy that holds `offset`, filled from `file` if need be.
    pub(super) fn part(&self, offset: u64, file: &MappedFile) -> Result<Range<u64>, Refusal> {
        let segment = self.segment(offset).ok_or(Refusal::Mapping)?;
        let start = abi::page_down(segment.offset);
        let end = abi::page_up(segment.offset + segment.file_size).ok_or(Refusal::Mapping)?;
        let part = if end - start <= WHOLE {
            start..end
        } else {
            let first = offset - offset % PART;
            first.max(start)..(first + PART).min(end)
        };
        let mut state = self.state.lock();
        if !state.filled.contains(&part) {
            let from = file.source.offset.checked_add(part.start).ok_or(Refusal::File)?;
            let fd = file.source.fd.as_fd();
            self.code.fill(part.start, fd, from, part.end - part.start).map_err(|_| Refusal::File)?;
            state.filled.push(part.clone());
        }
        Ok(part)
    }

    /// Parts of the copy that are ready within `range` of file offsets.
    pub(super) fn parts_in(&self, range: &Range<u64>) -> Vec<Range<u64>> {
        let state = self.state.lock();
        let cut = state.filled.iter().map(|part| part.start.max(range.start)..part.end.min(range.end));
        cut.filter(|part| !part.is_empty()).collect()
    }

    /// Patches the `syscall` at `offset`. `Ok(true)` when that is new.
    pub(super) fn patch(&self, table: &PatchTable, offset: u64) -> Result<bool, Refusal> {
        let mut state = self.state.lock();
        if let Some(known) = state.sites.get(&offset) {
            return (*known).map(|()| false);
        }
        let result = self.patch_new(&mut state, offset);
        state.sites.insert(offset, result);
        match result {
            Ok(()) => {
                tracing::trace!(offset, "a call site is patched");
                table.counts.patched.fetch_add(1, Ordering::Relaxed);
                Ok(true)
            }
            Err(reason) => {
                table.count_refusal(reason);
                tracing::trace!(offset, ?reason, "a call site stays unpatched");
                Err(reason)
            }
        }
    }

    fn patch_new(&self, state: &mut TextState, offset: u64) -> Result<(), Refusal> {
        let segment = *self.segment(offset).ok_or(Refusal::Mapping)?;
        let filled = state.filled.iter().find(|part| part.contains(&offset)).ok_or(Refusal::Mapping)?;
        let start = filled.start.max(segment.offset).max(offset.saturating_sub(site::BEFORE as u64));
        let end = filled.end.min(segment.offset + segment.file_size).min(offset + site::AFTER as u64);
        let code: Vec<u8> = (start..end).map(|at| self.code.byte(at)).collect();
        let found = site::recognise(&code, (offset - start) as usize)?;
        let slot = state.slots * SLOT;
        if slot + SLOT > ISLAND_SIZE {
            return Err(Refusal::Full);
        }
        let addr_of = |offset: u64| offset - segment.offset + segment.addr;
        let slot_addr = self.island_addr + slot;
        let trampoline = trampoline(&found, slot_addr, addr_of(offset) + 2, self.island_addr).ok_or(Refusal::Shape)?;
        for (at, byte) in trampoline.into_iter().enumerate() {
            self.code.store_byte(self.island_offset + slot + at as u64, byte);
        }
        let first = offset - found.back as u64;
        let jump = match found.padding {
            None => long_jump(addr_of(first), slot_addr).ok_or(Refusal::Shape)?.to_vec(),
            Some(skip) => {
                // Nothing runs through padding yet, so these bytes need no care.
                let padding = offset + skip as u64;
                let distance = i8::try_from(padding as i64 - (first as i64 + 2)).map_err(|_| Refusal::NoPadding)?;
                let jump = long_jump(addr_of(padding), slot_addr).ok_or(Refusal::Shape)?;
                self.remember(state, padding, &jump);
                jump.iter().zip(padding..).for_each(|(byte, at)| self.code.store_byte(at, *byte));
                vec![0xeb, distance as u8]
            }
        };
        self.remember(state, first, &jump);
        self.write_live(first, &jump);
        state.slots += 1;
        Ok(())
    }

    fn remember(&self, state: &mut TextState, at: u64, new: &[u8]) {
        let old = (0..new.len() as u64).map(|n| self.code.byte(at + n)).collect();
        state.changes.insert(at, Change { old, new: new.to_vec() });
    }

    /// Replaces an instruction that other processors may be executing.
    fn write_live(&self, at: u64, bytes: &[u8]) {
        if self.code.store_at_once(at, bytes) {
            return;
        }
        self.code.store_byte(at, INT3);
        pause();
        bytes.iter().zip(at..).skip(1).for_each(|(byte, at)| self.code.store_byte(at, *byte));
        pause();
        self.code.store_byte(at, bytes[0]);
    }

    /// Waits until no site is half written; whether a patched instruction begins at `offset`.
    pub(super) fn is_patched(&self, offset: u64) -> bool {
        self.state.lock().changes.contains_key(&offset)
    }

    /// The file's own bytes for `range` of offsets where they were overwritten: (offset, original, patched).
    pub(super) fn originals(&self, range: &Range<u64>) -> Vec<(u64, Vec<u8>, Vec<u8>)> {
        let state = self.state.lock();
        let near = state.changes.range(range.start.saturating_sub(JUMP_LEN as u64)..range.end);
        near.map(|(at, change)| (*at, change.old.clone(), change.new.clone())).collect()
    }

    fn segment(&self, offset: u64) -> Option<&Segment> {
        // A file mapping holds whole pages; those at a border are the text's as well.
        self.segments
            .iter()
            .find(|segment| abi::page_down(segment.offset) <= offset && offset < segment.offset + segment.file_size)
    }
}

/// The moved instructions, then `lea return(%rip),%rcx; jmp *entry(%rip)`.
fn trampoline(site: &Site, slot_addr: u64, return_addr: u64, entry_addr: u64) -> Option<Vec<u8>> {
    let mut code = site.body.clone();
    let displacement = |code: &[u8], len: u64, target: u64| -> Option<[u8; 4]> {
        let next = slot_addr + code.len() as u64 + len;
        i32::try_from(target.wrapping_sub(next) as i64).ok().map(i32::to_le_bytes)
    };
    let to_return = displacement(&code, 7, return_addr)?;
    code.extend_from_slice(&[0x48, 0x8d, 0x0d]);
    code.extend_from_slice(&to_return);
    let to_entry = displacement(&code, 6, entry_addr)?;
    code.extend_from_slice(&[0xff, 0x25]);
    code.extend_from_slice(&to_entry);
    (code.len() as u64 <= SLOT).then_some(code)
}

fn long_jump(from: u64, to: u64) -> Option<[u8; JUMP_LEN]> {
    let distance = i32::try_from(to.wrapping_sub(from + JUMP_LEN as u64) as i64).ok()?.to_le_bytes();
    Some([0xe9, distance[0], distance[1], distance[2], distance[3]])
}

fn pause() {
    let start = Instant::now();
    while start.elapsed() < REFETCH {
        std::hint::spin_loop();
    }
}
