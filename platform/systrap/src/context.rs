//! The context: state machine of one guest thread between `resume` and its event.

use crate::core::Core;
use crate::hands::{Copies, Ranges};
use crate::thread::{EAGER_LOOKS, Thread};
use abi::Errno;
use abi::signal::Signal;
use platform::{Context, Error, Event, Fault, Interrupter, MemoryFault, Prot, Regs, Sharing, SpaceHandle};
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Relaxed, Release, SeqCst};
use std::task::{Context as WakeContext, Poll};
use systrap_stub::layout::{GUEST_MAX, INTERRUPT};
use systrap_stub::window::{kind, op};

const ARCH_I386: u64 = 0x4000_0003;
const FIRST_NONCANONICAL: u64 = 1 << 47;
/// How long a stub looks for an answer before it sleeps. With a CPU to spare: longer than it takes to wake a sleeping worker,
/// or else two sides that have once fallen asleep find each other asleep for ever after (50 µs a trip instead of 0.5).
const SPIN_LONG_US: u32 = 80;
/// Without one.
const SPIN_SHORT_US: u32 = 3;

/// A guest thread on systrap.
pub struct SystrapContext {
    pub core: Arc<Core>,
    pub thread: Arc<Thread>,
    pub copies: Copies,
    pub prefetched: Ranges,
    /// Guest code has never run here.
    pub setup: bool,
    regs: Regs,
    /// What the stub's copy of the registers is, `None` before the first event.
    posted: Option<Regs>,
    stopped: bool,
    /// An event that did not come from the stub.
    local: Option<Event>,
    registered: bool,
    /// Looks since the resume, up to the first pause.
    looks: u32,
    /// The last event came by a signal, not through the entry of patched sites.
    trapped: bool,
}

impl SystrapContext {
    /// The first context of a stub in set-up.
    pub fn fresh(core: Arc<Core>, thread: Arc<Thread>) -> SystrapContext {
        SystrapContext::stopped(core, thread, Regs { rflags: 0x202, ..Regs::default() }, true)
    }

    fn stopped(core: Arc<Core>, thread: Arc<Thread>, regs: Regs, setup: bool) -> SystrapContext {
        SystrapContext {
            core,
            thread,
            copies: Copies::default(),
            prefetched: Ranges::default(),
            setup,
            regs,
            posted: None,
            stopped: true,
            local: None,
            trapped: false,
            registered: false,
            looks: 0,
        }
    }

    pub fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// Spinners shall not outnumber CPUs: a worker and the stubs of all running threads.
    pub fn spin_budget(&self) -> u32 {
        let contention = &self.core.contention;
        if self.thread.shares_cpu() {
            return 0;
        }
        let spare = self.core.running.load(Relaxed) < self.core.cpus && !contention.present();
        contention.pauses(if spare { SPIN_LONG_US } else { SPIN_SHORT_US })
    }

    /// The same for a stub that has just done something for the sentry: the next order comes at once, or `will_block`.
    pub fn hand_budget(&self) -> u32 {
        if self.thread.shares_cpu() { 0 } else { self.core.contention.pauses(SPIN_LONG_US) }
    }

    fn try_event(&mut self) -> Option<Result<Event, Error>> {
        if self.stopped {
            return self.thread.space.is_dead().then_some(Err(Error::Gone));
        }
        if let Some(event) = self.local.take() {
            self.stop();
            return Some(Ok(event));
        }
        if self.thread.requested() {
            let event = self.thread.consume().and_then(|()| self.decode());
            self.stop();
            return Some(event);
        }
        if self.thread.space.is_dead() {
            self.stop();
            return Some(Err(Error::Gone));
        }
        None
    }

    /// The guest has stopped. An interruption that was asked for until now is satisfied by that.
    fn stop(&mut self) {
        self.stopped = true;
        let thread = &self.thread;
        thread.running.store(false, Release);
        if thread.interrupt.load(SeqCst) {
            thread.interrupt.store(false, SeqCst);
            thread.interrupted_at.store(0, SeqCst);
        }
        self.core.running.fetch_sub(1, SeqCst);
        if self.registered {
            self.registered = false;
            self.core.remove_waiting(&self.thread);
        }
    }

    /// Reads what the stub has posted: every field once.
    fn decode(&mut self) -> Result<Event, Error> {
        let window = self.thread.window;
        let kind = window.kind();
        self.prefetched.claim((kind >> 8) as usize);
        self.regs = window.regs();
        self.posted = Some(self.regs);
        let kind = kind & 0xff;
        self.trapped = kind == kind::SIGNAL;
        match kind {
            kind::CALL => return Ok(Event::Syscall),
            kind::INTERRUPTED => return Ok(Event::Interrupted),
            kind::SIGNAL => {}
            _ => return Err(self.thread.space.violated("kind of event")),
        }
        let report = window.signal();
        match report.signal {
            31 if report.fault_addr == ARCH_I386 => Ok(Event::Syscall32),
            31 => Ok(Event::Syscall),
            INTERRUPT => Ok(Event::Interrupted),
            4 | 5 | 7 | 8 | 11 => Ok(Event::Fault(Fault {
                signal: Signal::new(u64::from(report.signal)).unwrap_or(Signal::SIGSEGV),
                code: report.code,
                addr: report.fault_addr,
                trapno: report.trapno,
                error_code: report.error_code,
            })),
            _ => Err(self.thread.space.violated("signal number")),
        }
    }

    fn child(&self, thread: Arc<Thread>) -> Box<dyn Context> {
        Box::new(SystrapContext::stopped(self.core.clone(), thread, self.regs, false))
    }
}

impl Context for SystrapContext {
    fn regs(&self) -> &Regs {
        &self.regs
    }

    fn regs_mut(&mut self) -> &mut Regs {
        &mut self.regs
    }

    fn entered_by_trap(&self) -> bool {
        self.trapped
    }

    fn resume(&mut self) {
        if !self.stopped {
            return;
        }
        if self.setup {
            // A failure here is a dead stub, which the event will tell.
            let _ = self.end_setup();
        }
        if self.copies.failed {
            self.regs.rax = Errno::EFAULT.to_return() as u64;
        }
        let thread = &self.thread;
        let window = thread.window;
        self.stopped = false;
        self.looks = 0;
        self.core.running.fetch_add(1, SeqCst);
        window.clear_interrupted();
        thread.running.store(true, SeqCst);
        if thread.interrupt.load(SeqCst) {
            self.local = Some(Event::Interrupted);
            return;
        }
        self.prefetched.claim(0);
        let copies = self.copies.count();
        self.copies.clear();
        window.set_spin(self.spin_budget());
        // Only the result differs, mostly: it fits in the line of the answer.
        let same = self.posted.is_some_and(|posted| Regs { rax: self.regs.rax, ..posted } == self.regs);
        if same {
            window.set_operation(op::RESUME, &[self.regs.rax, copies]);
        } else {
            if self.regs.fs_base >= FIRST_NONCANONICAL {
                self.regs.fs_base = self.posted.map_or(0, |posted| posted.fs_base);
            }
            if self.regs.gs_base >= GUEST_MAX {
                self.regs.gs_base = 0;
            }
            window.set_regs(&self.regs);
            window.set_operation(op::RESUME_ALL, &[0, copies]);
        }
        if !thread.space.is_dead() {
            thread.respond();
        }
    }

    fn poll_event(&mut self, cx: &mut WakeContext<'_>) -> Poll<Result<Event, Error>> {
        if let Some(event) = self.try_event() {
            return Poll::Ready(event);
        }
        *self.thread.waker.lock() = Some(cx.waker().clone());
        self.registered = true;
        self.core.add_waiting(&self.thread);
        match self.try_event() {
            Some(event) => Poll::Ready(event),
            None => Poll::Pending,
        }
    }

    fn spin_event(&mut self, spins: u32) -> Option<Result<Event, Error>> {
        let mut watch = self.core.contention.watch();
        for _ in 0..spins.max(1) {
            if self.local.is_some() || self.stopped || self.thread.requested() {
                return self.try_event();
            }
            if self.looks < EAGER_LOOKS {
                self.looks += 1;
            } else {
                std::hint::spin_loop();
                if watch.gap() {
                    self.core.contention.note();
                    break;
                }
            }
        }
        self.try_event()
    }

    fn spinning_pays(&self) -> bool {
        !self.thread.shares_cpu()
    }

    fn will_block(&mut self) {
        // Whatever is read after a sleep must be fresh.
        self.prefetched = Ranges::default();
        self.thread.window.set_spin(0);
    }

    fn is_gone(&self) -> bool {
        self.thread.space.is_dead()
    }

    fn on_gone(&self, waker: std::task::Waker) {
        self.thread.space.mourn(self.thread.slot, waker);
    }

    fn interrupter(&self) -> Arc<dyn Interrupter> {
        self.thread.clone()
    }

    fn read(&mut self, addr: u64, buf: &mut [u8]) -> Result<(), MemoryFault> {
        self.read_memory(addr, buf)
    }

    fn write(&mut self, addr: u64, data: &[u8]) -> Result<(), MemoryFault> {
        self.write_memory(addr, data)
    }

    fn write_on_resume(&mut self, addr: u64, data: &[u8]) -> Result<(), MemoryFault> {
        self.queue_write(addr, data)
    }

    fn compare_exchange(&mut self, addr: u64, old: u32, new: u32) -> Result<u32, MemoryFault> {
        self.exchange(addr, old, new)
    }

    fn map_anonymous(&mut self, addr: u64, len: u64, prot: Prot, noreserve: bool) -> Result<(), Errno> {
        self.map_private(addr, len, prot, noreserve)
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
        self.map_descriptor(addr, len, prot, sharing, fd, offset)
    }

    fn unmap(&mut self, addr: u64, len: u64) -> Result<(), Errno> {
        self.unmap_range(addr, len)
    }

    fn protect(&mut self, addr: u64, len: u64, prot: Prot) -> Result<(), Errno> {
        self.protect_range(addr, len, prot)
    }

    fn remap(&mut self, addr: u64, len: u64, new_addr: u64, new_len: u64, keep_old: bool) -> Result<(), Errno> {
        self.move_range(addr, len, new_addr, new_len, keep_old)
    }

    fn advise(&mut self, addr: u64, len: u64, advice: u32) -> Result<(), Errno> {
        self.advise_range(addr, len, advice)
    }

    fn resident(&mut self, addr: u64, len: u64) -> Result<Vec<u8>, Errno> {
        self.resident_pages(addr, len)
    }

    fn sync(&mut self, addr: u64, len: u64, flags: u32) -> Result<(), Errno> {
        self.sync_range(addr, len, flags)
    }

    fn clone_thread(&mut self) -> Result<Box<dyn Context>, Errno> {
        self.core.guest_forks();
        let thread = self.new_thread()?;
        thread.space.contexts.fetch_add(1, SeqCst);
        Ok(self.child(thread))
    }

    fn fork(&mut self) -> Result<Box<dyn Context>, Errno> {
        self.core.guest_forks();
        let thread = self.new_process()?;
        Ok(self.child(thread))
    }

    fn xstate_size(&self) -> usize {
        self.core.xstate.1 as usize + 4
    }

    fn save_xstate(&mut self, addr: u64) -> Result<(), MemoryFault> {
        self.save_extended(addr)
    }

    fn restore_xstate(&mut self, addr: u64) -> Result<(), MemoryFault> {
        self.restore_extended(addr)
    }

    fn space(&self) -> Arc<dyn SpaceHandle> {
        self.thread.space.clone()
    }
}

impl Drop for SystrapContext {
    fn drop(&mut self) {
        let space = self.thread.space.clone();
        space.forget_mourner(self.thread.slot);
        let running = !self.stopped && self.local.is_none();
        if !self.stopped {
            self.stop();
        }
        if space.contexts.fetch_sub(1, SeqCst) == 1 {
            space.kill();
        } else if space.is_dead() {
            // Nothing to keep.
        } else if running {
            self.core.adopt_orphan(self.thread.clone());
        } else {
            self.core.park(&self.thread);
        }
    }
}
