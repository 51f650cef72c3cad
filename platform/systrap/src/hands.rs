//! What a stopped thread's stub does for the sentry in the guest's address space.

use crate::authority::{Ends, Expected};
use crate::context::SystrapContext;
use crate::space::check_range;
use crate::window::Window;
use abi::{Errno, nr, page_up};
use host::unix::{Blocking, send};
use platform::{Error, MemoryFault, Prot, Sharing, SpaceHandle};
use std::os::fd::{AsFd, BorrowedFd};
use systrap_stub::layout::{FD, GUEST_MAX, PREFETCH, PREFETCH_LEN, PREFETCH_MAX, SETUP_LEN, SETUP_TEXT, SOCKET};
use systrap_stub::window::{PENDING_MAX, Pending, Prefetched, kind, op};

const MAP_SHARED: u64 = 0x01;
const MAP_PRIVATE: u64 = 0x02;
const MAP_FIXED: u64 = 0x10;
const MAP_ANONYMOUS: u64 = 0x20;
const MAP_NORESERVE: u64 = 0x4000;
const MREMAP_MAYMOVE: u64 = 1;
const MREMAP_FIXED: u64 = 2;
const MREMAP_DONTUNMAP: u64 = 4;
/// The list of pending copies lies before their bytes.
const PENDING_BYTES: usize = PENDING_MAX * size_of::<Pending>();
/// What one operation can carry; the rest of the data area holds what was prefetched.
const DATA_MAX: usize = PREFETCH as usize;

/// Copies that the next resume carries.
#[derive(Default)]
pub struct Copies {
    count: usize,
    used: usize,
    /// One that had to be done early has failed: the guest gets EFAULT.
    pub failed: bool,
}

impl Copies {
    pub fn count(&self) -> u64 {
        self.count as u64
    }

    pub fn clear(&mut self) {
        *self = Copies::default();
    }
}

/// Ranges that the stub has copied before the hand-over.
#[derive(Default)]
pub struct Ranges {
    /// How many the stub claims to be in its list, until that is read.
    claimed: usize,
    known: [Option<Prefetched>; PREFETCH_MAX],
}

impl Ranges {
    /// After a hand-over, with the stub's word for how many there are.
    pub fn claim(&mut self, count: usize) {
        *self = Ranges { claimed: count.min(PREFETCH_MAX), known: [None; PREFETCH_MAX] };
    }

    /// Fills `buf` if one of the ranges covers it.
    fn serve(&mut self, window: Window, addr: u64, buf: &mut [u8]) -> bool {
        for i in 0..std::mem::take(&mut self.claimed) {
            let mut bytes = [0; size_of::<Prefetched>()];
            window.read_data(PREFETCH as usize + i * bytes.len(), &mut bytes);
            let half = |at: usize| u32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
            let address = u64::from(half(0)) | u64::from(half(4)) << 32;
            let range = Prefetched { address, len: half(8), offset: half(12) };
            // A hostile list may overlap or lie anywhere in its part of the data area, nowhere else.
            let inside = u64::from(range.offset) + u64::from(range.len) <= PREFETCH_LEN;
            if inside && address.checked_add(u64::from(range.len)).is_some() {
                self.known[i] = Some(range);
            }
        }
        let end = addr + buf.len() as u64;
        let found = self.known.iter().flatten().find(|r| r.address <= addr && end <= r.address + u64::from(r.len));
        if let Some(range) = found {
            window.read_data((PREFETCH + u64::from(range.offset) + (addr - range.address)) as usize, buf);
        }
        found.is_some()
    }
}

/// From this size on `process_vm_readv` is cheaper than the stub, because the bytes change CPUs once only: 4 KiB take 0.6
/// against 1.3 µs, 64 KiB 3.3 against 11 µs, 8 bytes 0.5 against 0.3 µs.
const DIRECT_MIN: usize = 1536;

impl SystrapContext {
    /// Has the stub do one operation; the result is its own claim.
    ///
    /// # Errors
    /// [`Error::Gone`]
    pub fn operate(&mut self, op: u32, args: &[u64]) -> Result<i64, Error> {
        if self.thread.space.is_dead() || !self.is_stopped() {
            return Err(Error::Gone);
        }
        let window = self.thread.window;
        window.set_operation(op, args);
        window.set_spin(self.hand_budget());
        self.thread.respond();
        self.thread.wait_request(self.core.config.deadline, || ())?;
        self.done()
    }

    fn done(&self) -> Result<i64, Error> {
        if self.thread.window.kind() != kind::DONE {
            return Err(self.thread.space.violated("an operation ended with another event"));
        }
        Ok(self.thread.window.result())
    }

    /// What every hand begins with that may change memory: pending copies happen, prefetched bytes become void.
    pub fn flush(&mut self) {
        self.prefetched = Ranges::default();
        self.flush_copies();
    }

    fn flush_copies(&mut self) {
        if self.copies.count == 0 {
            return;
        }
        let count = self.copies.count();
        let result = self.operate(op::FLUSH, &[0, count]);
        self.copies.clear();
        self.copies.failed = result != Ok(0);
    }

    /// A host call that the filter allows (or that set-up makes).
    fn call(&mut self, number: u32, args: [u64; 6]) -> Result<u64, Errno> {
        self.flush();
        let op = if self.in_setup() { op::SETUP_SYSCALL } else { op::SYSCALL };
        self.system_call(op, number, args, 0)
    }

    fn system_call(&mut self, op: u32, number: u32, args: [u64; 6], close: u64) -> Result<u64, Errno> {
        let [a, b, c, d, e, f] = args;
        let result = self.operate(op, &[u64::from(number), a, b, c, d, e, f, close]);
        Errno::from_return(result.map_err(|_| Errno::ESRCH)?)
    }

    /// A host call that must be authorised.
    fn authorised(&mut self, number: u32, args: [u64; 6], fd: Option<BorrowedFd<'_>>) -> Result<u64, Errno> {
        if self.in_setup() {
            return self.setup_call(number, args, fd);
        }
        self.flush();
        if self.thread.space.is_dead() || !self.is_stopped() {
            return Err(Errno::ESRCH);
        }
        let [a, b, c, d, e, f] = args;
        let close = if fd.is_some() { FD } else { 0 };
        let window = self.thread.window;
        let expected = Expected { number, args, fd };
        let spin = self.hand_budget();
        let post = || {
            window.set_operation(op::SYSCALL, &[u64::from(number), a, b, c, d, e, f, close]);
            window.set_spin(spin);
        };
        let core = self.core.clone();
        // Held until the stub has closed the descriptor again, lest a fork copies it.
        let space = self.thread.space.clone();
        let _descriptors = fd.map(|_| space.descriptors.lock());
        let result = core.authorise(&self.thread, &expected, Ends::WithResult, &post).map_err(|_| Errno::ESRCH)?;
        self.done().map_err(|_| Errno::ESRCH)?;
        Errno::from_return(result)
    }

    /// The same in set-up, where nothing needs to be authorised and files come through the socket.
    fn setup_call(&mut self, number: u32, args: [u64; 6], fd: Option<BorrowedFd<'_>>) -> Result<u64, Errno> {
        let Some(fd) = fd else { return self.system_call(op::SETUP_SYSCALL, number, args, 0) };
        if number != nr::__NR_mmap {
            return Err(Errno::EINVAL);
        }
        {
            let state = self.thread.space.state.lock();
            let socket = state.setup.as_ref().ok_or(Errno::ESRCH)?;
            send(socket.as_fd(), &[0; 8], &[fd], Blocking::Yes)?;
        }
        self.system_call(op::SETUP_MAP, number, args, 0)
    }

    /// Whether guest code has never run here.
    fn in_setup(&self) -> bool {
        self.setup
    }

    /// Ends set-up for good.
    pub fn end_setup(&mut self) -> Result<(), Errno> {
        if !self.setup {
            return Ok(());
        }
        self.flush();
        self.setup = false;
        self.thread.space.state.lock().setup = None;
        self.system_call(op::SYSCALL, nr::__NR_munmap, [SETUP_TEXT, SETUP_LEN, 0, 0, 0, 0], SOCKET)?;
        Ok(())
    }

    pub fn read_memory(&mut self, addr: u64, buf: &mut [u8]) -> Result<(), MemoryFault> {
        check_range(addr, buf.len())?;
        if self.prefetched.serve(self.thread.window, addr, buf) {
            return Ok(());
        }
        self.flush_copies();
        let mut done = 0;
        if buf.len() >= DIRECT_MIN && self.is_stopped() {
            done = direct(self.thread.space.read(addr, buf), buf.len());
        }
        let data = self.thread.window.guest_data();
        for part in buf[done..].chunks_mut(DATA_MAX) {
            let left = self.copy(data, addr + done as u64, part.len()).map_err(|_| MemoryFault { done })?;
            let copied = part.len() - left;
            self.thread.window.read_data(0, &mut part[..copied]);
            done += copied;
            if left != 0 {
                return Err(MemoryFault { done });
            }
        }
        Ok(())
    }

    pub fn write_memory(&mut self, addr: u64, bytes: &[u8]) -> Result<(), MemoryFault> {
        check_range(addr, bytes.len())?;
        self.flush();
        let mut done = 0;
        if bytes.len() >= DIRECT_MIN && self.is_stopped() {
            done = direct(self.thread.space.write(addr, bytes), bytes.len());
        }
        let data = self.thread.window.guest_data();
        for part in bytes[done..].chunks(DATA_MAX) {
            self.thread.window.write_data(0, part);
            let left = self.copy(addr + done as u64, data, part.len()).map_err(|_| MemoryFault { done })?;
            done += part.len() - left;
            if left != 0 {
                return Err(MemoryFault { done });
            }
        }
        Ok(())
    }

    /// Returns how many bytes were not copied.
    fn copy(&mut self, to: u64, from: u64, len: usize) -> Result<usize, Error> {
        let left = self.operate(op::COPY, &[to, from, len as u64])?;
        match usize::try_from(left) {
            Ok(left) if left <= len => Ok(left),
            _ => Err(self.thread.space.violated("copied more than was asked for")),
        }
    }

    pub fn queue_write(&mut self, addr: u64, bytes: &[u8]) -> Result<(), MemoryFault> {
        check_range(addr, bytes.len())?;
        self.prefetched = Ranges::default();
        if PENDING_BYTES + bytes.len() > DATA_MAX {
            return self.write_memory(addr, bytes);
        }
        let from = PENDING_BYTES + self.copies.used;
        if self.copies.count == PENDING_MAX || from + bytes.len() > DATA_MAX {
            self.flush();
            if self.copies.failed {
                return Err(MemoryFault { done: 0 });
            }
        }
        let from = PENDING_BYTES + self.copies.used;
        let mut entry = [0; size_of::<Pending>()];
        entry[..8].copy_from_slice(&addr.to_ne_bytes());
        entry[8..12].copy_from_slice(&(from as u32).to_ne_bytes());
        entry[12..].copy_from_slice(&(bytes.len() as u32).to_ne_bytes());
        let window = self.thread.window;
        window.write_data(self.copies.count * entry.len(), &entry);
        window.write_data(from, bytes);
        self.copies.count += 1;
        self.copies.used += bytes.len();
        Ok(())
    }

    pub fn exchange(&mut self, addr: u64, old: u32, new: u32) -> Result<u32, MemoryFault> {
        let fault = MemoryFault { done: 0 };
        check_range(addr, 4)?;
        if !addr.is_multiple_of(4) {
            return Err(fault);
        }
        self.flush();
        let args = [addr, u64::from(old), u64::from(new)];
        let result = self.operate(op::COMPARE_EXCHANGE, &args).map_err(|_| fault)?;
        u32::try_from(result).map_err(|_| fault)
    }

    pub fn map_private(&mut self, addr: u64, len: u64, prot: Prot, noreserve: bool) -> Result<(), Errno> {
        let len = pages(addr, len)?;
        let reserve = if noreserve { MAP_NORESERVE } else { 0 };
        let flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | reserve;
        let args = [addr, len, u64::from(prot.bits()), flags, u64::MAX, 0];
        self.call(nr::__NR_mmap, args).map(drop)
    }

    pub fn map_descriptor(
        &mut self,
        addr: u64,
        len: u64,
        prot: Prot,
        sharing: Sharing,
        fd: BorrowedFd<'_>,
        offset: u64,
    ) -> Result<(), Errno> {
        let len = pages(addr, len)?;
        let sharing = match sharing {
            Sharing::Private => MAP_PRIVATE,
            Sharing::Shared => MAP_SHARED,
        };
        let args = [addr, len, u64::from(prot.bits()), sharing | MAP_FIXED, FD, offset];
        self.authorised(nr::__NR_mmap, args, Some(fd)).map(drop)
    }

    pub fn unmap_range(&mut self, addr: u64, len: u64) -> Result<(), Errno> {
        let len = pages(addr, len)?;
        self.call(nr::__NR_munmap, [addr, len, 0, 0, 0, 0]).map(drop)
    }

    pub fn protect_range(&mut self, addr: u64, len: u64, prot: Prot) -> Result<(), Errno> {
        let len = pages(addr, len)?;
        self.call(nr::__NR_mprotect, [addr, len, u64::from(prot.bits()), 0, 0, 0]).map(drop)
    }

    pub fn move_range(&mut self, addr: u64, len: u64, to: u64, new_len: u64, keep: bool) -> Result<(), Errno> {
        let (len, new_len) = (pages(addr, len)?, pages(to, new_len)?);
        let args = if addr == to {
            [addr, len, new_len, 0, 0, 0]
        } else {
            let keep = if keep { MREMAP_DONTUNMAP } else { 0 };
            [addr, len, new_len, MREMAP_MAYMOVE | MREMAP_FIXED | keep, to, 0]
        };
        self.authorised(nr::__NR_mremap, args, None).map(drop)
    }

    pub fn advise_range(&mut self, addr: u64, len: u64, advice: u32) -> Result<(), Errno> {
        let len = pages(addr, len)?;
        // The filter knows the same list.
        if advice >= 26 || matches!(advice, 9 | 12 | 13) {
            return Err(Errno::EINVAL);
        }
        self.call(nr::__NR_madvise, [addr, len, u64::from(advice), 0, 0, 0]).map(drop)
    }

    pub fn resident_pages(&mut self, addr: u64, len: u64) -> Result<Vec<u8>, Errno> {
        let len = pages(addr, len)?;
        let data = self.thread.window.guest_data();
        let mut pages = Vec::new();
        let mut done = 0;
        while done < len {
            let part = (len - done).min(PREFETCH * abi::PAGE_SIZE);
            self.authorised(nr::__NR_mincore, [addr + done, part, data, 0, 0, 0], None)?;
            let start = pages.len();
            pages.resize(start + (part / abi::PAGE_SIZE) as usize, 0);
            self.thread.window.read_data(0, &mut pages[start..]);
            done += part;
        }
        pages.iter_mut().for_each(|page| *page &= 1);
        Ok(pages)
    }

    pub fn sync_range(&mut self, addr: u64, len: u64, flags: u32) -> Result<(), Errno> {
        let len = pages(addr, len)?;
        self.authorised(nr::__NR_msync, [addr, len, u64::from(flags), 0, 0, 0], None).map(drop)
    }

    pub fn save_extended(&mut self, addr: u64) -> Result<(), MemoryFault> {
        let (features, size) = self.core.xstate;
        check_range(addr, size as usize + 4)?;
        self.flush();
        self.extended(op::SAVE_XSTATE, [addr, features, size])
    }

    pub fn restore_extended(&mut self, addr: u64) -> Result<(), MemoryFault> {
        let (features, size) = self.core.xstate;
        check_range(addr, size as usize + 4)?;
        self.flush();
        self.extended(op::RESTORE_XSTATE, [addr, features, size])
    }

    fn extended(&mut self, op: u32, args: [u64; 3]) -> Result<(), MemoryFault> {
        match self.operate(op, &args) {
            Ok(0) => Ok(()),
            _ => Err(MemoryFault { done: 0 }),
        }
    }
}

/// How much a copy from outside has done; the stub does the rest, or finds the fault.
fn direct(result: Result<(), MemoryFault>, len: usize) -> usize {
    match result {
        Ok(()) => len,
        Err(fault) => fault.done,
    }
}

/// The length in whole pages of a range that lies in the guest's part.
fn pages(addr: u64, len: u64) -> Result<u64, Errno> {
    let len = page_up(len).ok_or(Errno::ENOMEM)?;
    if !addr.is_multiple_of(abi::PAGE_SIZE) || len == 0 {
        return Err(Errno::EINVAL);
    }
    match addr.checked_add(len) {
        Some(end) if end <= GUEST_MAX => Ok(len),
        _ => Err(Errno::ENOMEM),
    }
}
