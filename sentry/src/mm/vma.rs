//! One mapping of an address space: a range with one protection and one source.

use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use platform::{Prot, Sharing};

use super::patch_table::FileText;
use crate::Errno;
use crate::vfs::{FileDescription, MapSource};

bitflags::bitflags! {
    /// What a mapping has besides range, protection and source (`VM_*` in Linux's `mm.h`).
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
    pub struct VmaFlags: u32 {
        /// `MAP_NORESERVE`
        const NORESERVE = 1;
        /// `mlock`
        const LOCKED = 2;
        /// `mlock2(MLOCK_ONFAULT)`, together with `LOCKED`.
        const LOCK_ON_FAULT = 4;
        /// `MAP_GROWSDOWN`: a fault below extends it.
        const GROWS_DOWN = 8;
        /// `MADV_DONTFORK`
        const DONT_FORK = 16;
        /// `MADV_WIPEONFORK`
        const WIPE_ON_FORK = 32;
        /// `MADV_DONTDUMP`
        const DONT_DUMP = 64;
        /// A private file mapping that was writable at some time: its bytes may differ from the file's.
        const MAY_DIFFER = 128;
        /// `MAP_DROPPABLE`
        const DROPPABLE = 256;
        /// `MADV_SEQUENTIAL`
        const SEQUENTIAL = 512;
        /// `MADV_RANDOM`
        const RANDOM = 1024;
        /// `MADV_HUGEPAGE`
        const HUGE_PAGE = 2048;
        /// `MADV_NOHUGEPAGE`
        const NO_HUGE_PAGE = 4096;
        /// `mseal`: neither range nor protection may change any more.
        const SEALED = 8192;
    }
}

/// Memory that several address spaces map: shared anonymous mappings and System V segments. A memfd on the host.
pub struct SharedMemory {
    /// Unique in the sandbox, never reused; shown as the inode number in `/proc/PID/maps`.
    pub id: u64,
    /// The memfd.
    pub fd: Arc<OwnedFd>,
    /// As `/proc/PID/maps` shows it: `/dev/zero (deleted)`, `/SYSV00000000 (deleted)`.
    pub name: Vec<u8>,
}

impl SharedMemory {
    /// New memory of `len` bytes, all zero.
    ///
    /// # Errors
    /// ENOMEM, ENFILE.
    pub fn new(len: u64, name: &[u8]) -> Result<Arc<SharedMemory>, Errno> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let fd = Arc::new(host::memory::memfd("shared-memory", len)?);
        Ok(Arc::new(SharedMemory { id: NEXT.fetch_add(1, Ordering::Relaxed), fd, name: name.to_vec() }))
    }
}

/// A mapped file. Keeps its description open, as in Linux: the last close waits for the last `munmap`.
pub struct MappedFile {
    /// The description it was mapped by.
    pub description: Arc<FileDescription>,
    /// Its host file.
    pub source: MapSource,
    /// Its record among patched files, once asked for.
    pub(super) text: OnceLock<Option<Arc<FileText>>>,
}

impl MappedFile {
    /// A file that is about to be mapped.
    pub fn new(description: Arc<FileDescription>, source: MapSource) -> Arc<MappedFile> {
        Arc::new(MappedFile { description, source, text: OnceLock::new() })
    }
}

/// Where the bytes of a mapping come from.
#[derive(Clone)]
pub enum Source {
    /// Private zeroes.
    Anonymous,
    /// The `brk` heap.
    Heap,
    /// The initial stack.
    Stack,
    /// Memory shared with other mappings, from this offset on.
    Shared(Arc<SharedMemory>, u64),
    /// A file, from this offset on.
    File(Arc<MappedFile>, u64),
    /// The platform's: `[vdso]`, `[vvar]`.
    Fixed(&'static str),
}

/// A mapping.
#[derive(Clone)]
pub struct Vma {
    /// First byte, page-aligned.
    pub start: u64,
    /// One past the last byte, page-aligned.
    pub end: u64,
    /// Protection now.
    pub prot: Prot,
    /// What `mprotect` may give it.
    pub max_prot: Prot,
    /// `MAP_PRIVATE` or `MAP_SHARED`.
    pub sharing: Sharing,
    /// The rest.
    pub flags: VmaFlags,
    /// Where its bytes come from.
    pub source: Source,
    /// `prctl(PR_SET_VMA_ANON_NAME)`
    pub name: Option<Arc<[u8]>>,
}

/// Every right.
pub(crate) const ALL: Prot = Prot { read: true, write: true, exec: true };

impl Vma {
    /// Private anonymous memory.
    pub fn anonymous(start: u64, end: u64, prot: Prot, source: Source) -> Vma {
        let flags = VmaFlags::empty();
        Vma { start, end, prot, max_prot: ALL, sharing: Sharing::Private, flags, source, name: None }
    }

    /// Length in bytes.
    pub fn len(&self) -> u64 {
        self.end - self.start
    }

    /// Whether it is empty; the list holds no such one.
    pub fn is_empty(&self) -> bool {
        self.end == self.start
    }

    /// Whether it is private memory without a file.
    pub fn is_private_anonymous(&self) -> bool {
        matches!(self.source, Source::Anonymous | Source::Heap | Source::Stack)
    }

    /// Whether it counts for `RLIMIT_DATA` and `VmData`.
    pub fn is_data(&self) -> bool {
        self.sharing == Sharing::Private
            && self.prot.write
            && !self.flags.contains(VmaFlags::GROWS_DOWN)
            && !matches!(self.source, Source::Fixed(_))
    }

    /// The file, if it maps one.
    pub fn file(&self) -> Option<&Arc<MappedFile>> {
        match &self.source {
            Source::File(file, _) => Some(file),
            _ => None,
        }
    }

    /// Offset in file or shared memory of its first byte; 0 for others.
    pub fn offset(&self) -> u64 {
        match self.source {
            Source::File(_, offset) | Source::Shared(_, offset) => offset,
            _ => 0,
        }
    }

    /// The part of it in `start..end`, which must lie inside and not be empty.
    pub(crate) fn part(&self, start: u64, end: u64) -> Vma {
        let skipped = start - self.start;
        let source = match &self.source {
            Source::Shared(memory, offset) => Source::Shared(memory.clone(), offset + skipped),
            Source::File(file, offset) => Source::File(file.clone(), offset + skipped),
            other => other.clone(),
        };
        Vma { start, end, source, ..self.clone() }
    }

    /// The same bytes at another place.
    pub(crate) fn moved(&self, start: u64) -> Vma {
        Vma { start, end: start + self.len(), ..self.clone() }
    }

    /// Whether `next` begins where this ends and differs in nothing else.
    pub(crate) fn continues_in(&self, next: &Vma) -> bool {
        self.end == next.start
            && self.prot == next.prot
            && self.max_prot == next.max_prot
            && self.sharing == next.sharing
            && self.flags == next.flags
            && self.name == next.name
            && match (&self.source, &next.source) {
                (Source::Anonymous, Source::Anonymous)
                | (Source::Heap, Source::Heap)
                | (Source::Stack, Source::Stack) => true,
                (Source::Shared(a, at), Source::Shared(b, next_at)) => Arc::ptr_eq(a, b) && at + self.len() == *next_at,
                (Source::File(a, at), Source::File(b, next_at)) => {
                    Arc::ptr_eq(&a.description, &b.description) && at + self.len() == *next_at
                }
                _ => false,
            }
    }
}
