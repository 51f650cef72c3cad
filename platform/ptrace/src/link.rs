//! What a context and its tracer share: one command at a time, its answer, and the event of a run.

use crate::Shared;
use crate::space::Space;
use crate::text::Entry;
use crate::tracer::trace;
use abi::Errno;
use parking_lot::{Condvar, Mutex};
use platform::{Error, Event, Interrupter, Regs};
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::Waker;
use std::time::Duration;

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
    /// The process was killed; the tracer is to reap its thread.
    is_doomed: bool,
    /// Nothing will be answered any more.
    is_dead: bool,
    /// Whom to tell of the death of a stopped context.
    mourner: Option<Waker>,
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
    pub fn attach(self: &Arc<Link>, space: Arc<Space>, tid: i32) -> Result<(), Errno> {
        self.tid.store(tid, Ordering::Relaxed);
        let _ = self.space.set(space.clone());
        // From here on the tracer may be told that its tracee was killed.
        space.add_thread(tid, Arc::downgrade(self));
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

    /// Waits for the tracer to have reaped its tracee.
    pub fn wait_dead(&self, timeout: Duration) {
        let mut state = self.state.lock();
        self.to_context.wait_while_for(&mut state, |state| !state.is_dead, timeout);
    }

    /// The thread that was attached, and its space.
    pub fn tracee(&self) -> Option<(i32, &Arc<Space>)> {
        self.space.get().map(|space| (self.tid.load(Ordering::Relaxed), space))
    }

    /// The tracer tells that the thread stands.
    pub fn attached(&self) {
        self.state.lock().is_attached = true;
        self.to_context.notify_one();
    }

    /// Takes a request to stop that has come while the tracee stood.
    pub fn take_interrupt(&self) -> bool {
        self.interrupt.swap(false, Ordering::SeqCst)
    }

    /// Keeps a request to stop for the next run.
    pub fn keep_interrupt(&self) {
        self.interrupt.store(true, Ordering::SeqCst);
    }

    /// The code page.
    pub fn code(&self) -> u64 {
        self.shared.code
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

    /// The tracer's answer to `Run`.
    pub fn finish(&self, regs: Option<Regs>, event: Result<Event, Error>) {
        let mut state = self.state.lock();
        if let Some(regs) = regs {
            state.regs = regs;
        }
        let waker = self.publish(&mut state, event);
        drop(state);
        self.announce(waker);
    }

    /// The tracer's answer to any other command.
    pub fn reply(&self, reply: Reply) {
        self.state.lock().reply = Some(reply);
        self.to_context.notify_one();
    }

    /// Waits for the next command; `None` when the tracee was killed.
    pub fn next_command(&self) -> Option<Command> {
        let mut state = self.state.lock();
        loop {
            if state.is_doomed {
                return None;
            }
            if let Some(command) = state.command.take() {
                return Some(command);
            }
            self.to_tracer.wait(&mut state);
        }
    }

    /// Tells the tracer that its tracee was killed, should it not be waiting for it.
    pub fn doom(&self) {
        self.state.lock().is_doomed = true;
        self.to_tracer.notify_one();
    }

    /// Everyone who waits, or will, learns that the context is gone.
    pub fn die(&self) {
        let mut state = self.state.lock();
        state.is_dead = true;
        let waker = if state.is_running { self.publish(&mut state, Err(Error::Gone)) } else { None };
        let mourner = state.mourner.take();
        drop(state);
        self.to_context.notify_all();
        self.announce(waker);
        mourner.into_iter().for_each(Waker::wake);
    }

    /// Whether nothing will be answered any more.
    pub fn is_dead(&self) -> bool {
        self.state.lock().is_dead
    }

    /// Has `waker` called when the context is gone; at once, when it is already.
    pub fn mourn(&self, waker: Waker) {
        let mut state = self.state.lock();
        if state.is_dead {
            drop(state);
            waker.wake();
        } else {
            state.mourner = Some(waker);
        }
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
