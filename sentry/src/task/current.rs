//! The running task: what a system-call handler is handed.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Poll, Waker};

use platform::{Context, Event};

use super::Task;
use crate::Errno;
use crate::kernel::Kernel;
use crate::kernel::executor::suspend;
use crate::kernel::timer::Deadline;
use crate::kernel::wait_queue::{Readiness, WaitQueue};
use crate::vfs::FileDescription;

/// Looks at the context this often before giving the worker back, when nothing else is to do.
const INLINE_SPINS: u32 = 64;
const INLINE_ROUNDS: u32 = 64;

/// The task that a handler serves, with its stopped context. Never shared: handlers take `&mut Current`.
pub struct Current {
    /// The part that others see.
    pub task: Arc<Task>,
    /// The kernel.
    pub kernel: Arc<Kernel>,
    /// Registers and hands.
    pub context: Box<dyn Context>,
    /// How to go on with a call that a signal interrupted (`restart_syscall`), set together with `ERESTART_RESTARTBLOCK`.
    pub restart: Option<Restart>,
    /// The number of the call being served; `None` outside of calls and where a call must not be restarted (`rt_sigreturn`).
    pub orig_rax: Option<u64>,
    /// What the last processor exception left, for signal frames.
    pub fault: FaultRegisters,
    /// Set by `exit`: the task ends instead of returning to the guest.
    pub exit: Option<Exit>,
    /// Who waits for this task to leave its parent's memory (`vfork`).
    pub vfork_done: Option<Arc<VforkDone>>,
}

/// What a processor exception leaves behind (`uc_mcontext`'s `trapno`, `err` and `cr2`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FaultRegisters {
    /// The vector.
    pub trapno: u64,
    /// The error code that the processor pushed.
    pub error_code: u64,
    /// The address of the last page fault.
    pub cr2: u64,
}

/// How a task ends by its own will.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exit {
    /// `exit`: this thread only, with this code (0..=255).
    Thread(u8),
    /// `exit_group`
    Group(u8),
}

/// Tells a parent that its `vfork` child has exited or called `execve`.
#[derive(Default)]
pub struct VforkDone {
    done: AtomicBool,
    /// Woken when it is done.
    pub queue: WaitQueue,
}

impl VforkDone {
    /// The child has left the parent's memory.
    pub fn complete(&self) {
        self.done.store(true, Ordering::SeqCst);
        self.queue.wake_all();
    }
    /// Whether it has.
    pub fn is_done(&self) -> bool {
        self.done.load(Ordering::SeqCst)
    }
}

/// What `restart_syscall` continues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restart {
    /// `nanosleep` or `clock_nanosleep` until this deadline; the address takes the remaining time.
    Sleep {
        /// When it is over.
        until: Deadline,
        /// `rem`, or 0.
        remaining: u64,
        /// The clock that was asked for.
        clock: i32,
    },
    /// `poll` until this deadline.
    Poll {
        /// `fds`
        fds: u64,
        /// `nfds`
        count: u64,
        /// When it times out; `None` never.
        until: Option<Deadline>,
    },
    /// `futex(FUTEX_WAIT_BITSET)` until this deadline.
    Futex {
        /// The word.
        addr: u64,
        /// Value to wait on.
        value: u32,
        /// When it times out.
        until: Option<Deadline>,
        /// Bits to be woken by.
        bitset: u32,
        /// `FUTEX_PRIVATE_FLAG` was given.
        private: bool,
    },
}

impl Current {
    /// A task outside of any call, on a stopped context.
    pub fn new(task: Arc<Task>, kernel: Arc<Kernel>, context: Box<dyn Context>) -> Current {
        Current {
            task,
            kernel,
            context,
            restart: None,
            orig_rax: None,
            fault: FaultRegisters::default(),
            exit: None,
            vfork_done: None,
        }
    }

    /// The description of a descriptor.
    ///
    /// # Errors
    /// EBADF; also for `O_PATH` descriptors, which allow no I/O: see [`Current::fd_or_path`].
    pub fn fd(&self, fd: i32) -> Result<Arc<FileDescription>, Errno> {
        let description = self.fd_or_path(fd)?;
        if description.flags().contains(crate::vfs::OpenFlags::PATH) { Err(Errno::EBADF) } else { Ok(description) }
    }

    /// The description of a descriptor, `O_PATH` ones included.
    ///
    /// # Errors
    /// EBADF
    pub fn fd_or_path(&self, fd: i32) -> Result<Arc<FileDescription>, Errno> {
        self.task.files()?.get(fd)
    }

    /// Puts `description` at the lowest free descriptor: the result of the call that made it.
    ///
    /// # Errors
    /// EMFILE
    pub fn install(&self, description: Arc<FileDescription>, close_on_exec: bool) -> Result<i32, Errno> {
        let limit = self.task.group.limits.lock().0[abi::uapi::general::RLIMIT_NOFILE as usize].cur;
        self.task.files()?.insert(description, 0, limit, close_on_exec)
    }

    /// Lets the guest run until the next event.
    ///
    /// # Errors
    /// [`platform::Error::Gone`]
    pub async fn run(&mut self) -> Result<Event, platform::Error> {
        self.task.wakeup.in_guest.store(true, Ordering::SeqCst);
        if self.task.has_work() {
            self.task.wakeup.in_guest.store(false, Ordering::SeqCst);
            return Ok(Event::Interrupted);
        }
        self.context.resume();
        let event = self.wait_for_event().await;
        self.task.wakeup.in_guest.store(false, Ordering::SeqCst);
        event
    }

    async fn wait_for_event(&mut self) -> Result<Event, platform::Error> {
        let rounds = if self.context.spinning_pays() { INLINE_ROUNDS } else { 0 };
        for _ in 0..rounds {
            if !self.kernel.executor.may_spin_inline() {
                break;
            }
            if let Some(event) = self.context.spin_event(INLINE_SPINS) {
                return event;
            }
        }
        poll_fn(|cx| self.context.poll_event(cx)).await
    }

    /// The blocking helper: repeats `operation` until it answers other than `EAGAIN`, sleeping on `queue` in between.
    ///
    /// # Errors
    /// What `operation` answers; `ERESTARTSYS` when a signal is to be handled; `ETIMEDOUT` at the deadline.
    pub async fn block_on<T>(
        &mut self,
        queue: &WaitQueue,
        interest: Readiness,
        deadline: Option<Deadline>,
        operation: impl FnMut(&mut Current) -> Result<T, Errno>,
    ) -> Result<T, Errno> {
        self.block_on_all(&[(queue, interest)], deadline, operation).await
    }

    /// [`Current::block_on`] for several queues at once; none, to wait for a deadline or a signal only.
    ///
    /// # Errors
    /// As [`Current::block_on`].
    pub async fn block_on_all<T>(
        &mut self,
        queues: &[(&WaitQueue, Readiness)],
        deadline: Option<Deadline>,
        mut operation: impl FnMut(&mut Current) -> Result<T, Errno>,
    ) -> Result<T, Errno> {
        match operation(self) {
            Err(Errno::EAGAIN) => {}
            done => return done,
        }
        let waker = current_waker().await;
        let _registrations: Vec<_> =
            queues.iter().map(|(queue, interest)| queue.register(*interest, waker.clone())).collect();
        let _timer = deadline.map(|deadline| self.kernel.timers.arm(deadline, waker.clone()));
        let mut told = false;
        loop {
            match operation(self) {
                Err(Errno::EAGAIN) => {}
                done => return done,
            }
            if self.has_signal() {
                return Err(Errno::ERESTARTSYS);
            }
            if deadline.is_some_and(Deadline::has_passed) {
                return Err(Errno::ETIMEDOUT);
            }
            if !std::mem::replace(&mut told, true) {
                self.context.will_block();
            }
            suspend().await;
        }
    }

    /// Whether a signal waits to be delivered, the task is to exit or stop, or its host process is dead: a sleeping call must
    /// end.
    pub fn has_signal(&self) -> bool {
        self.context.is_gone() || self.task.has_work() && crate::signal::is_interrupted(&self.task)
    }

    /// Tells the task's handles to the outside; called once when it starts.
    pub fn publish(&self, waker: Waker) {
        let _ = self.task.wakeup.waker.set(waker);
        self.publish_context();
    }

    /// Tells others how to stop the context, after it has changed.
    pub fn publish_context(&self) {
        *self.task.wakeup.interrupter.lock() = Some(self.context.interrupter());
        if let Some(waker) = self.task.wakeup.waker.get() {
            self.context.on_gone(waker.clone());
        }
        self.task.group.cpu.attach(self.context.space());
        *self.task.wakeup.space.lock() = Some(self.context.space());
    }
}

/// The waker of the task that is being polled.
pub async fn current_waker() -> Waker {
    poll_fn(|cx| Poll::Ready(cx.waker().clone())).await
}
