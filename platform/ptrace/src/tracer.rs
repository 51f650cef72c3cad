//! One host thread per guest thread: `ptrace` requests must come from the thread that seized the tracee.
//!
//! A context hands its tracer one command at a time through a [`Link`] and waits for the answer, except for `Run`, whose
//! answer is an event that a worker polls. A tracer lives until its tracee is reaped: if it ended before, the host would kill
//! the tracee.

use crate::space::Space;
use crate::text::Entry;
use crate::{Shared, fault};
use abi::Errno;
use abi::signal::Signal;
use host::ptrace::{Resume, Stop, UserRegs};
use parking_lot::{Condvar, Mutex};
use platform::{Error, Event, Interrupter, Regs, SpaceHandle};
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::Waker;

/// A command to a tracer.
pub enum Command {
    /// Takes over the thread that [`Link::attach`] has named.
    Attach,
    /// Runs guest code until an event.
    Run(Regs),
    /// Runs the code page from an entry.
    Inject(Entry, Call),
    /// Reads the extended state into a buffer of this length.
    Xstate(usize),
    /// Loads an image of the extended state.
    SetXstate(Vec<u8>),
    /// Asks for the `rseq` registration.
    Rseq,
    /// Ends the guest thread and then the tracer.
    Leave,
}

/// Registers for the code page.
#[derive(Clone, Copy, Default, Debug)]
pub struct Call {
    /// The system call's number, or the old word.
    pub rax: u64,
    /// Arguments, in the order of system calls.
    pub args: [u64; 6],
}

/// A tracer's answer.
#[derive(Debug)]
pub enum Reply {
    /// The code page came to its end with this in `rax`.
    Value(u64),
    /// It faulted.
    Fault,
    /// An image.
    Xstate(Result<Vec<u8>, Errno>),
    /// A command without a value.
    Done(Result<(), Errno>),
    /// The registration.
    Rseq(Result<host::ptrace::Rseq, Errno>),
}

#[derive(Default)]
struct State {
    command: Option<Command>,
    reply: Option<Reply>,
    event: Option<Result<Event, Error>>,
    regs: Regs,
    waker: Option<Waker>,
    /// From `resume` to the event.
    is_running: bool,
    /// The tracee has been seized and has stopped for the first time.
    is_attached: bool,
    /// Nothing will be answered any more.
    is_dead: bool,
}

/// What a context and its tracer share.
pub struct Link {
    shared: Arc<Shared>,
    tid: AtomicI32,
    space: OnceLock<Arc<Space>>,
    state: Mutex<State>,
    to_tracer: Condvar,
    to_context: Condvar,
    has_event: AtomicBool,
    /// Asks the next run to stop at once.
    interrupt: AtomicBool,
}

impl Link {
    /// Starts a tracer that has nothing to trace yet: what can fail fails before there is a thread to lose.
    pub fn prepare(shared: &Arc<Shared>) -> Result<Arc<Link>, Errno> {
        let link = Arc::new(Link {
            shared: shared.clone(),
            tid: AtomicI32::new(0),
            space: OnceLock::new(),
            state: Mutex::default(),
            to_tracer: Condvar::new(),
            to_context: Condvar::new(),
            has_event: AtomicBool::new(false),
            interrupt: AtomicBool::new(false),
        });
        let tracer = link.clone();
        // Not the default 2 MiB: there is one for each guest thread.
        let builder = std::thread::Builder::new().name("tracer".to_owned()).stack_size(256 << 10);
        builder.spawn(move || trace(&tracer)).map_err(|_| Errno::EAGAIN)?;
        Ok(link)
    }

    /// Gives a prepared tracer its thread and waits until it stands.
    pub fn attach(&self, space: Arc<Space>, tid: i32) -> Result<(), Errno> {
        self.tid.store(tid, Ordering::Relaxed);
        let _ = self.space.set(space);
        let mut state = self.state.lock();
        state.is_attached = false;
        state.command = Some(Command::Attach);
        self.to_tracer.notify_one();
        while !state.is_attached && !state.is_dead {
            self.to_context.wait(&mut state);
        }
        if state.is_dead { Err(Errno::EAGAIN) } else { Ok(()) }
    }

    /// Ends a prepared tracer that gets nothing to trace.
    pub fn abandon(&self) {
        self.state.lock().command = Some(Command::Leave);
        self.to_tracer.notify_one();
    }

    /// Has a command carried out; `None` when the context is gone.
    pub fn ask(&self, command: Command) -> Option<Reply> {
        let mut state = self.state.lock();
        if state.is_dead {
            return None;
        }
        state.reply = None;
        state.command = Some(command);
        self.to_tracer.notify_one();
        loop {
            if let Some(reply) = state.reply.take() {
                return Some(reply);
            }
            if state.is_dead {
                return None;
            }
            self.to_context.wait(&mut state);
        }
    }

    /// Lets the guest run.
    pub fn run(&self, regs: Regs) {
        let mut state = self.state.lock();
        self.shared.running.fetch_add(1, Ordering::SeqCst);
        state.is_running = true;
        self.has_event.store(false, Ordering::Relaxed);
        if state.is_dead {
            let waker = self.publish(&mut state, Err(Error::Gone));
            drop(state);
            self.announce(waker);
            return;
        }
        state.event = None;
        state.command = Some(Command::Run(regs));
        self.to_tracer.notify_one();
    }

    /// Whether [`Link::take_event`] would return one, without the lock.
    pub fn has_event(&self) -> bool {
        self.has_event.load(Ordering::Acquire)
    }

    /// The event and the registers at it; without one, keeps the waker for when it comes.
    pub fn take_event(&self, waker: Option<&Waker>) -> Option<Result<(Event, Regs), Error>> {
        let mut state = self.state.lock();
        if let Some(event) = state.event.take() {
            self.has_event.store(false, Ordering::Relaxed);
            return Some(event.map(|event| (event, state.regs)));
        }
        if !state.is_running && state.is_dead {
            return Some(Err(Error::Gone));
        }
        if let Some(waker) = waker {
            match &mut state.waker {
                Some(old) => old.clone_from(waker),
                None => state.waker = Some(waker.clone()),
            }
        }
        None
    }

    /// Ends the guest thread, also a running one, without waiting for it.
    pub fn leave(&self) {
        let mut state = self.state.lock();
        state.waker = None;
        // A `Run` that the tracer has not taken yet is overwritten and never happens.
        if matches!(state.command, Some(Command::Run(_))) {
            self.shared.running.fetch_sub(1, Ordering::SeqCst);
            state.is_running = false;
        }
        state.command = Some(Command::Leave);
        let is_running = state.is_running;
        drop(state);
        self.to_tracer.notify_one();
        if is_running {
            self.stop();
        }
    }

    fn stop(&self) {
        if let Some(space) = self.space.get() {
            space.stop_thread(self.tid.load(Ordering::Relaxed));
        }
    }

    /// Shows an event to the worker that waits for it. Returns the waker for [`Link::announce`].
    fn publish(&self, state: &mut State, event: Result<Event, Error>) -> Option<Waker> {
        state.event = Some(event);
        if std::mem::take(&mut state.is_running) {
            self.shared.running.fetch_sub(1, Ordering::SeqCst);
        }
        self.has_event.store(true, Ordering::Release);
        state.waker.take()
    }

    /// Wakes, without the lock. The waker goes first: a worker that has seen the count must find its task woken.
    fn announce(&self, waker: Option<Waker>) {
        if let Some(waker) = waker {
            waker.wake();
        }
        self.shared.ready.event();
    }

    fn finish(&self, regs: Option<Regs>, event: Result<Event, Error>) {
        let mut state = self.state.lock();
        if let Some(regs) = regs {
            state.regs = regs;
        }
        let waker = self.publish(&mut state, event);
        drop(state);
        self.announce(waker);
    }

    fn reply(&self, reply: Reply) {
        self.state.lock().reply = Some(reply);
        self.to_context.notify_one();
    }

    fn next_command(&self) -> Command {
        let mut state = self.state.lock();
        loop {
            if let Some(command) = state.command.take() {
                return command;
            }
            self.to_tracer.wait(&mut state);
        }
    }

    /// Everyone who waits, or will, learns that the context is gone.
    fn die(&self) {
        let mut state = self.state.lock();
        state.is_dead = true;
        let waker = if state.is_running { self.publish(&mut state, Err(Error::Gone)) } else { None };
        drop(state);
        self.to_context.notify_all();
        self.announce(waker);
    }
}

impl Interrupter for Link {
    fn interrupt(&self) {
        let is_running = {
            let state = self.state.lock();
            if !state.is_running {
                self.interrupt.store(true, Ordering::SeqCst);
            }
            state.is_running
        };
        if is_running {
            self.stop();
        }
    }
}

/// The tracee is dead or no longer answers.
struct Gone;

/// A tracer's life.
fn trace(link: &Link) {
    if !matches!(link.next_command(), Command::Attach) {
        return;
    }
    let tid = link.tid.load(Ordering::Relaxed);
    let Some(space) = link.space.get() else { return };
    let mut tracer = Tracer { link, space, tid, regs: UserRegs::default() };
    if tracer.attach().is_err() {
        // Whatever it is that cannot be traced must not run on.
        space.kill();
    } else {
        link.state.lock().is_attached = true;
        link.to_context.notify_one();
        if tracer.serve().is_ok() {
            tracer.leave();
        }
    }
    while host::ptrace::wait(tid) != Stop::Dead {
        // It stands for the last time, with its death on the way or refused.
        space.kill_unreaped();
        let _ = host::ptrace::resume(tid, Resume::Emulate);
    }
    space.remove_thread(tid);
    host::ptrace::reap(tid);
    link.die();
}

struct Tracer<'a> {
    link: &'a Link,
    space: &'a Arc<Space>,
    tid: i32,
    /// As the tracee had them at its last stop in guest code; the segments stay as the guest set them.
    regs: UserRegs,
}

impl Tracer<'_> {
    fn attach(&mut self) -> Result<(), Gone> {
        if let Err(error) = host::ptrace::seize(self.tid) {
            tracing::error!(%error, tid = self.tid, "cannot trace a stub");
            return Err(Gone);
        }
        host::ptrace::interrupt(self.tid).map_err(|_| Gone)?;
        match host::ptrace::wait(self.tid) {
            Stop::Dead => return Err(Gone),
            _ => self.regs = host::ptrace::registers(self.tid).map_err(|_| Gone)?,
        }
        Ok(())
    }

    /// Carries out commands until the one to leave.
    fn serve(&mut self) -> Result<(), Gone> {
        loop {
            match self.link.next_command() {
                Command::Run(regs) => {
                    let (regs, event) = self.run(regs)?;
                    self.link.finish(Some(regs), Ok(event));
                }
                Command::Inject(entry, call) => {
                    let reply = self.inject(entry, call)?;
                    self.link.reply(reply);
                }
                Command::Xstate(len) => {
                    let mut image = vec![0; len];
                    let result = gone(host::ptrace::xstate(self.tid, &mut image))?;
                    self.link.reply(Reply::Xstate(result.map(|len| {
                        image.truncate(len);
                        image
                    })));
                }
                Command::SetXstate(image) => {
                    let result = gone(host::ptrace::set_xstate(self.tid, &image))?;
                    self.link.reply(Reply::Done(result));
                }
                Command::Rseq => {
                    let result = gone(host::ptrace::rseq(self.tid))?;
                    self.link.reply(Reply::Rseq(result));
                }
                Command::Attach | Command::Leave => return Ok(()),
            }
        }
    }

    /// Runs guest code until something happens that the sentry must know of.
    fn run(&mut self, regs: Regs) -> Result<(Regs, Event), Gone> {
        if self.link.interrupt.swap(false, Ordering::SeqCst) {
            return Ok((regs, Event::Interrupted));
        }
        if (regs.fs_base, regs.gs_base) != (self.regs.fs_base, self.regs.gs_base)
            && let Err(error) = gone(host::ptrace::set_bases(self.tid, regs.fs_base, regs.gs_base))?
        {
            // The sentry lets no base through that the host refuses; so the guest keeps the ones it has.
            tracing::warn!(%error, regs.fs_base, regs.gs_base, "segment bases were refused");
        }
        to_user(&regs, &mut self.regs);
        gone(host::ptrace::set_registers(self.tid, &self.regs))?.map_err(|_| Gone)?;
        loop {
            host::ptrace::resume(self.tid, Resume::Emulate).map_err(|_| Gone)?;
            let stop = host::ptrace::wait(self.tid);
            let event = match stop {
                Stop::Dead => return Err(Gone),
                Stop::Trap => None,
                Stop::Syscall => Some(match host::ptrace::is_64_bit_syscall(self.tid).map_err(|_| Gone)? {
                    true => Event::Syscall,
                    false => Event::Syscall32,
                }),
                Stop::Signal(signal) if signal == Signal::SIGSTOP.number() => Some(Event::Interrupted),
                Stop::Signal(_) => self.fault()?.map(Event::Fault),
            };
            if let Some(event) = event {
                self.regs = host::ptrace::registers(self.tid).map_err(|_| Gone)?;
                let mut regs = from_user(&self.regs);
                if stop == Stop::Syscall {
                    regs.rax = self.regs.orig_rax;
                }
                return Ok((regs, event));
            }
        }
    }

    fn fault(&self) -> Result<Option<platform::Fault>, Gone> {
        let info = host::ptrace::signal_info(self.tid).map_err(|_| Gone)?;
        let regs = host::ptrace::registers(self.tid).map_err(|_| Gone)?;
        let is_readable = |addr| host::process_memory::read(self.tid, addr, &mut [0]).is_ok();
        Ok(fault::from_signal(&info, regs.rip, is_readable))
    }

    /// Runs the code page with real system calls.
    fn inject(&mut self, entry: Entry, call: Call) -> Result<Reply, Gone> {
        let page = self.link.shared.code;
        let mut regs = self.regs;
        regs.rax = call.rax;
        [regs.rdi, regs.rsi, regs.rdx, regs.r10, regs.r8, regs.r9] = call.args;
        regs.rip = page + entry.start();
        regs.orig_rax = u64::MAX;
        regs.eflags = 0x202;
        (regs.cs, regs.ss) = (0x33, 0x2b);
        gone(host::ptrace::set_registers(self.tid, &regs))?.map_err(|_| Gone)?;
        loop {
            host::ptrace::resume(self.tid, Resume::Execute).map_err(|_| Gone)?;
            match host::ptrace::wait(self.tid) {
                Stop::Dead => return Err(Gone),
                Stop::Signal(signal) if signal == Signal::SIGTRAP.number() => {
                    let regs = host::ptrace::registers(self.tid).map_err(|_| Gone)?;
                    if regs.rip == page + entry.end() {
                        return Ok(Reply::Value(regs.rax));
                    }
                }
                Stop::Signal(signal) if signal == Signal::SIGSTOP.number() => {
                    self.link.interrupt.store(true, Ordering::SeqCst);
                }
                Stop::Signal(signal) if [Signal::SIGSEGV, Signal::SIGBUS].map(Signal::number).contains(&signal) => {
                    let info = host::ptrace::signal_info(self.tid).map_err(|_| Gone)?;
                    if info.code > 0 {
                        return Ok(Reply::Fault);
                    }
                }
                Stop::Signal(_) | Stop::Trap | Stop::Syscall => {}
            }
        }
    }

    /// Ends the tracee: alone while others use the address space, else with all that is left of it.
    fn leave(&mut self) {
        if self.space.remove_thread(self.tid) {
            self.space.kill_unreaped();
        } else {
            let exit = Call { rax: u64::from(abi::nr::__NR_exit), args: [0; 6] };
            let _ = self.inject(Entry::Call, exit);
        }
    }
}

/// ESRCH is how `ptrace` says that the tracee was killed where it stood.
fn gone<T>(result: Result<T, Errno>) -> Result<Result<T, Errno>, Gone> {
    match result {
        Err(Errno::ESRCH) => Err(Gone),
        other => Ok(other),
    }
}

fn to_user(regs: &Regs, user: &mut UserRegs) {
    *user = UserRegs {
        r15: regs.r15,
        r14: regs.r14,
        r13: regs.r13,
        r12: regs.r12,
        rbp: regs.rbp,
        rbx: regs.rbx,
        r11: regs.r11,
        r10: regs.r10,
        r9: regs.r9,
        r8: regs.r8,
        rax: regs.rax,
        rcx: regs.rcx,
        rdx: regs.rdx,
        rsi: regs.rsi,
        rdi: regs.rdi,
        rip: regs.rip,
        eflags: regs.rflags,
        rsp: regs.rsp,
        fs_base: regs.fs_base,
        gs_base: regs.gs_base,
        // Not in a system call: the host must not restart one.
        orig_rax: u64::MAX,
        ..*user
    };
}

fn from_user(user: &UserRegs) -> Regs {
    Regs {
        rax: user.rax,
        rbx: user.rbx,
        rcx: user.rcx,
        rdx: user.rdx,
        rsi: user.rsi,
        rdi: user.rdi,
        rbp: user.rbp,
        rsp: user.rsp,
        r8: user.r8,
        r9: user.r9,
        r10: user.r10,
        r11: user.r11,
        r12: user.r12,
        r13: user.r13,
        r14: user.r14,
        r15: user.r15,
        rip: user.rip,
        rflags: user.eflags,
        fs_base: user.fs_base,
        gs_base: user.gs_base,
    }
}
