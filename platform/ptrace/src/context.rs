//! A guest thread: commands to its tracer, and hands by `process_vm_*` and by the code page.

use crate::Shared;
use crate::link::{Call, Command, Link, Reply};
use crate::space::Space;
use crate::text::Entry;
use crate::xstate::{Format, LEGACY_LEN};
use abi::{Errno, PAGE_SIZE, nr};
use platform::{Context, Error, Event, Interrupter, MemoryFault, Prot, Regs, Sharing, SpaceHandle};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::task::{Context as WakeContext, Poll};
use std::time::Duration;

/// The stub's end of the socket by which it is given files.
const SOCKET_FD: u64 = 0;
/// A received fd gets the lowest free number, and a stub has no other fd than its socket.
const RECEIVED_FD: u64 = 1;

const MSG_DONTWAIT: u64 = 0x40;
const MSG_CMSG_CLOEXEC: u64 = 0x4000_0000;

const MADV_ALLOWED: &[u32] = &[
    nr::MADV_NORMAL,
    nr::MADV_RANDOM,
    nr::MADV_SEQUENTIAL,
    nr::MADV_WILLNEED,
    nr::MADV_DONTNEED,
    nr::MADV_FREE,
    nr::MADV_DONTFORK,
    nr::MADV_DOFORK,
    nr::MADV_HUGEPAGE,
    nr::MADV_NOHUGEPAGE,
    nr::MADV_DONTDUMP,
    nr::MADV_DODUMP,
    nr::MADV_WIPEONFORK,
    nr::MADV_KEEPONFORK,
    nr::MADV_COLD,
    nr::MADV_PAGEOUT,
    nr::MADV_POPULATE_READ,
    nr::MADV_POPULATE_WRITE,
    nr::MADV_DONTNEED_LOCKED,
    nr::MADV_COLLAPSE,
];

const CLONE_THREAD_FLAGS: u32 =
    nr::CLONE_VM | nr::CLONE_FS | nr::CLONE_FILES | nr::CLONE_SIGHAND | nr::CLONE_THREAD | nr::CLONE_SYSVSEM;
/// The new process becomes the sentry's own child, which alone reaps it.
const FORK_FLAGS: u32 = nr::CLONE_PARENT | abi::signal::Signal::SIGCHLD.number() as u32;

/// A traced guest thread.
pub struct Traced {
    shared: Arc<Shared>,
    space: Arc<Space>,
    link: Arc<Link>,
    regs: Regs,
}

impl Traced {
    /// Traces the first thread of a process.
    pub fn of_process(shared: &Arc<Shared>, pid: i32) -> Result<Traced, Errno> {
        let link = Link::prepare(shared).inspect_err(|_| {
            let _ = host::ptrace::kill(pid);
            host::ptrace::reap(pid);
        })?;
        let space = Space::new(shared.clone(), pid);
        link.attach(space.clone(), pid)?;
        Ok(Traced { shared: shared.clone(), space, link, regs: Regs { rflags: 0x202, ..Regs::default() } })
    }

    /// Drops it, and waits for at most `timeout` until it is reaped.
    pub fn end(self, timeout: Duration) {
        let link = self.link.clone();
        drop(self);
        link.wait_dead(timeout);
    }

    /// Makes a system call of the host in the guest's process.
    pub fn call(&self, number: u32, args: [u64; 6]) -> Result<u64, Errno> {
        let call = Call { rax: u64::from(number), args };
        match self.link.ask(Command::Inject(Entry::Call, call)) {
            Some(Reply::Value(value)) => Errno::from_return(value as i64),
            _ => Err(Errno::ESRCH),
        }
    }

    /// Writes the scratch page.
    pub fn write_scratch(&self, data: &[u8]) -> Result<(), Errno> {
        self.space.write_scratch(data).map_err(|_| Errno::ESRCH)
    }

    /// The `rseq` registration of the guest's host thread.
    pub fn rseq(&self) -> Result<host::ptrace::Rseq, Errno> {
        match self.link.ask(Command::Rseq) {
            Some(Reply::Rseq(result)) => result,
            _ => Err(Errno::ESRCH),
        }
    }

    /// The extended state as the kernel gives it, at most `len` bytes.
    pub fn xstate(&self, len: usize) -> Result<Vec<u8>, Errno> {
        match self.link.ask(Command::Xstate(len)) {
            Some(Reply::Xstate(result)) => result,
            _ => Err(Errno::ESRCH),
        }
    }

    /// Loads the extended state; the kernel checks it.
    pub fn set_xstate(&self, image: Vec<u8>) -> Result<(), Errno> {
        match self.link.ask(Command::SetXstate(image)) {
            Some(Reply::Done(result)) => result,
            _ => Err(Errno::ESRCH),
        }
    }

    /// A further context made by `clone`: in this space, or in a copy of it.
    fn clone_with(&self, flags: u32) -> Result<Box<dyn Context>, Errno> {
        if flags & nr::CLONE_VM != 0 {
            self.shared.watch()?;
        }
        let link = Link::prepare(&self.shared)?;
        let call = Call { rax: u64::from(nr::__NR_clone), args: [u64::from(flags), 0, 0, 0, 0, 0] };
        let is_copy = flags & nr::CLONE_VM == 0;
        let tid = {
            let _no_file_in_transit = is_copy.then(|| self.shared.channel.lock());
            match self.link.ask(Command::Inject(Entry::Clone, call)) {
                Some(Reply::Value(value)) => Errno::from_return(value as i64),
                _ => Err(Errno::EAGAIN),
            }
        };
        let tid = match tid.map(i32::try_from) {
            Ok(Ok(tid)) => tid,
            other => {
                link.abandon();
                return Err(other.err().unwrap_or(Errno::EAGAIN));
            }
        };
        let space = if is_copy { Space::new(self.shared.clone(), tid) } else { self.space.clone() };
        link.attach(space.clone(), tid)?;
        Ok(Box::new(Traced { shared: self.shared.clone(), space, link, regs: self.regs }))
    }

    /// Checks that a mapping lies in the guest's part.
    fn range(&self, addr: u64, len: u64) -> Result<(), Errno> {
        match addr.checked_add(len) {
            Some(end) if end <= self.shared.max => Ok(()),
            _ => Err(Errno::ENOMEM),
        }
    }

    fn format(&self) -> Result<&Format, MemoryFault> {
        self.shared.xstate.get().ok_or(MemoryFault { done: 0 })
    }

    fn receive_and_map(&self, fd: BorrowedFd<'_>, mmap: [u64; 6]) -> Result<(), Errno> {
        let channel = self.shared.channel.lock();
        // struct msghdr, struct iovec, one byte of data, and room for one fd. Other threads of the guest may write here
        // too: what they can spoil is their own memory, and which of their fds is mapped is not read from here.
        let (iov, data, control) =
            (self.shared.scratch() + 64, self.shared.scratch() + 96, self.shared.scratch() + 128);
        let words = [0, 0, iov, 1, control, 24, 0, 0, data, 1];
        let bytes: Vec<u8> = words.iter().flat_map(|w: &u64| w.to_le_bytes()).collect();
        self.write_scratch(&bytes)?;
        host::template::send_fd(channel.ours.as_fd(), fd)?;
        let flags = MSG_DONTWAIT | MSG_CMSG_CLOEXEC;
        let received = self.call(nr::__NR_recvmsg, [SOCKET_FD, self.shared.scratch(), flags, 0, 0, 0]);
        if received.is_err() {
            host::template::drain(channel.theirs.as_fd());
        }
        received?;
        let mapped = self.call(nr::__NR_mmap, mmap);
        let _ = self.call(nr::__NR_close, [RECEIVED_FD, 0, 0, 0, 0, 0]);
        mapped.map(drop)
    }
}

impl Context for Traced {
    fn regs(&self) -> &Regs {
        &self.regs
    }

    fn regs_mut(&mut self) -> &mut Regs {
        &mut self.regs
    }

    fn resume(&mut self) {
        self.link.run(self.regs);
    }

    fn poll_event(&mut self, cx: &mut WakeContext<'_>) -> Poll<Result<Event, Error>> {
        match self.link.take_event(Some(cx.waker())) {
            Some(Ok((event, regs))) => {
                self.regs = regs;
                Poll::Ready(Ok(event))
            }
            Some(Err(error)) => Poll::Ready(Err(error)),
            None => Poll::Pending,
        }
    }

    fn spin_event(&mut self, spins: u32) -> Option<Result<Event, Error>> {
        for _ in 0..spins.max(1) {
            if self.link.has_event() {
                let event = self.link.take_event(None)?;
                return Some(event.map(|(event, regs)| {
                    self.regs = regs;
                    event
                }));
            }
            std::hint::spin_loop();
        }
        None
    }

    fn is_gone(&self) -> bool {
        self.link.is_dead()
    }

    fn on_gone(&self, waker: std::task::Waker) {
        self.link.mourn(waker);
    }

    fn interrupter(&self) -> Arc<dyn Interrupter> {
        self.link.clone()
    }

    fn read(&mut self, addr: u64, buf: &mut [u8]) -> Result<(), MemoryFault> {
        self.space.copy_out(addr, buf)
    }

    fn write(&mut self, addr: u64, data: &[u8]) -> Result<(), MemoryFault> {
        self.space.copy_in(addr, data)
    }

    fn compare_exchange(&mut self, addr: u64, old: u32, new: u32) -> Result<u32, MemoryFault> {
        if !addr.is_multiple_of(4) || self.range(addr, 4).is_err() {
            return Err(MemoryFault { done: 0 });
        }
        let call = Call { rax: u64::from(old), args: [addr, 0, u64::from(new), 0, 0, 0] };
        match self.link.ask(Command::Inject(Entry::CompareExchange, call)) {
            Some(Reply::Value(found)) => Ok(found as u32),
            _ => Err(MemoryFault { done: 0 }),
        }
    }

    fn map_anonymous(&mut self, addr: u64, len: u64, prot: Prot, noreserve: bool) -> Result<(), Errno> {
        self.range(addr, len)?;
        let mut flags = nr::MAP_PRIVATE | nr::MAP_ANONYMOUS | nr::MAP_FIXED;
        if noreserve {
            flags |= nr::MAP_NORESERVE;
        }
        self.call(nr::__NR_mmap, [addr, len, u64::from(prot.bits()), u64::from(flags), u64::MAX, 0]).map(drop)
    }

    fn map_file(
        &mut self,
        addr: u64,
        len: u64,
        prot: Prot,
        sharing: Sharing,
        fd: BorrowedFd<'_>,
        offset: u64,
    ) -> Result<(), Errno> {
        self.range(addr, len)?;
        let flags = match sharing {
            Sharing::Private => nr::MAP_PRIVATE,
            Sharing::Shared => nr::MAP_SHARED,
        };
        let flags = u64::from(flags | nr::MAP_FIXED);
        self.receive_and_map(fd, [addr, len, u64::from(prot.bits()), flags, RECEIVED_FD, offset])
    }

    fn unmap(&mut self, addr: u64, len: u64) -> Result<(), Errno> {
        self.range(addr, len).map_err(|_| Errno::EINVAL)?;
        self.call(nr::__NR_munmap, [addr, len, 0, 0, 0, 0]).map(drop)
    }

    fn protect(&mut self, addr: u64, len: u64, prot: Prot) -> Result<(), Errno> {
        self.range(addr, len)?;
        self.call(nr::__NR_mprotect, [addr, len, u64::from(prot.bits()), 0, 0, 0]).map(drop)
    }

    fn remap(&mut self, addr: u64, len: u64, new_addr: u64, new_len: u64, keep_old: bool) -> Result<(), Errno> {
        self.range(addr, len).map_err(|_| Errno::EINVAL)?;
        self.range(new_addr, new_len).map_err(|_| Errno::EINVAL)?;
        let flags = match (new_addr == addr, keep_old) {
            (true, true) => return Err(Errno::EINVAL),
            (true, false) => 0,
            (false, false) => nr::MREMAP_MAYMOVE | nr::MREMAP_FIXED,
            (false, true) => nr::MREMAP_MAYMOVE | nr::MREMAP_FIXED | nr::MREMAP_DONTUNMAP,
        };
        self.call(nr::__NR_mremap, [addr, len, new_len, u64::from(flags), new_addr, 0]).map(drop)
    }

    fn advise(&mut self, addr: u64, len: u64, advice: u32) -> Result<(), Errno> {
        if !MADV_ALLOWED.contains(&advice) {
            return Err(Errno::EINVAL);
        }
        self.range(addr, len)?;
        self.call(nr::__NR_madvise, [addr, len, u64::from(advice), 0, 0, 0]).map(drop)
    }

    fn resident(&mut self, addr: u64, len: u64) -> Result<Vec<u8>, Errno> {
        self.range(addr, len)?;
        let end = abi::page_up(addr + len).ok_or(Errno::ENOMEM)?;
        let mut pages = Vec::new();
        let mut next = addr;
        while next < end {
            // One byte a page, as many as the scratch page has.
            let chunk = (end - next).min(PAGE_SIZE * PAGE_SIZE);
            let mut bytes = vec![0; (chunk / PAGE_SIZE) as usize];
            let _scratch = self.shared.channel.lock();
            self.call(nr::__NR_mincore, [next, chunk, self.shared.scratch(), 0, 0, 0])?;
            self.space.read_scratch(&mut bytes).map_err(|_| Errno::ESRCH)?;
            pages.extend_from_slice(&bytes);
            next += chunk;
        }
        Ok(pages)
    }

    fn sync(&mut self, addr: u64, len: u64, flags: u32) -> Result<(), Errno> {
        self.range(addr, len)?;
        self.call(nr::__NR_msync, [addr, len, u64::from(flags), 0, 0, 0]).map(drop)
    }

    fn clone_thread(&mut self) -> Result<Box<dyn Context>, Errno> {
        self.clone_with(CLONE_THREAD_FLAGS)
    }

    fn fork(&mut self) -> Result<Box<dyn Context>, Errno> {
        self.clone_with(FORK_FLAGS)
    }

    fn xstate_size(&self) -> usize {
        self.shared.xstate.get().map_or(LEGACY_LEN, Format::frame_len)
    }

    fn save_xstate(&mut self, addr: u64) -> Result<(), MemoryFault> {
        if !addr.is_multiple_of(64) {
            return Err(MemoryFault { done: 0 });
        }
        let format = *self.format()?;
        let image = self.xstate(format.regset_len).map_err(|_| MemoryFault { done: 0 })?;
        self.write(addr, &format.frame_of(image))?;
        self.set_xstate(format.initial()).map_err(|_| MemoryFault { done: 0 })
    }

    fn restore_xstate(&mut self, addr: u64) -> Result<(), MemoryFault> {
        let format = *self.format()?;
        let image = if addr == 0 {
            format.initial()
        } else {
            if !addr.is_multiple_of(64) {
                return Err(MemoryFault { done: 0 });
            }
            let mut frame = vec![0; LEGACY_LEN];
            self.read(addr, &mut frame)?;
            frame.resize(format.claimed_len(&frame), 0);
            let rest = addr.checked_add(LEGACY_LEN as u64).ok_or(MemoryFault { done: LEGACY_LEN })?;
            self.read(rest, &mut frame[LEGACY_LEN..])?;
            format.image_of(&frame)
        };
        self.set_xstate(image).map_err(|_| MemoryFault { done: 0 })
    }

    fn space(&self) -> Arc<dyn SpaceHandle> {
        self.space.clone()
    }
}

impl Drop for Traced {
    fn drop(&mut self) {
        self.link.leave();
    }
}
