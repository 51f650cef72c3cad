//! One host thread of a stub process, as seen by everybody who may touch it: its context, pollers, interrupters.

use crate::contention::shares_cpu;
use crate::space::Space;
use crate::window::Window;
use host::futex;
use parking_lot::Mutex;
use platform::{Error, Interrupter};
use std::sync::atomic::{
    AtomicBool, AtomicI32, AtomicU32, AtomicU64,
    Ordering::{Relaxed, SeqCst},
};
use std::sync::{Arc, OnceLock};
use std::task::Waker;
use std::time::{Duration, Instant};
use systrap_stub::layout::INTERRUPT;
use systrap_stub::window::attention;

/// How often a worker looks before it sleeps on a window, in pauses.
const SPINS: u32 = 3000;
/// Looks before the first `pause`, which takes as long as a quick answer.
pub const EAGER_LOOKS: u32 = 100;

/// The shared state of a guest thread's host thread.
pub struct Thread {
    pub space: Arc<Space>,
    pub slot: usize,
    pub window: Window,
    /// Host thread id; 0 until it is known.
    pub tid: AtomicI32,
    /// Number of the last request that was consumed.
    pub seen: AtomicU32,
    /// Whether guest code runs (or the event it ended with has not been taken).
    pub running: AtomicBool,
    /// An interruption that has not been seen as an event.
    pub interrupt: AtomicBool,
    /// When the interruption under way began, in milliseconds of [`now_ms`]; 0 for none.
    pub interrupted_at: AtomicU64,
    pub waker: Mutex<Option<Waker>>,
}

impl Thread {
    pub fn new(space: Arc<Space>, slot: usize, tid: i32) -> Thread {
        Thread {
            window: space.windows().slot(slot),
            space,
            slot,
            tid: AtomicI32::new(tid),
            seen: AtomicU32::new(0),
            running: AtomicBool::new(false),
            interrupt: AtomicBool::new(false),
            interrupted_at: AtomicU64::new(0),
            waker: Mutex::new(None),
        }
    }

    /// Whether the stub has made a request since the last answer.
    pub fn requested(&self) -> bool {
        self.window.request().load(SeqCst) != self.seen.load(Relaxed)
    }

    /// Whether the host thread, as far as is known, shares the caller's CPU.
    pub fn shares_cpu(&self) -> bool {
        shares_cpu(self.window.cpu())
    }

    /// Takes note of the request that has arrived.
    ///
    /// # Errors
    /// [`Error::Gone`] when its number is not the next: then the process is killed.
    pub fn consume(&self) -> Result<(), Error> {
        let number = self.window.request().load(SeqCst);
        let next = self.seen.load(Relaxed).wrapping_add(1);
        if number != next {
            return Err(self.space.violated("request number"));
        }
        self.seen.store(number, Relaxed);
        Ok(())
    }

    /// Answers the last request with the operation in the window.
    pub fn respond(&self) {
        self.window.response().swap(self.seen.load(Relaxed), SeqCst);
        if self.window.asleep() {
            futex::wake(self.window.response(), 1);
        }
    }

    /// Waits for the next request and consumes it. `between` is called now and then while it sleeps.
    ///
    /// # Errors
    /// [`Error::Gone`] when the process dies, breaks the protocol or lets `deadline` pass.
    pub fn wait_request(&self, deadline: Duration, mut between: impl FnMut()) -> Result<(), Error> {
        let spins = if self.shares_cpu() { 0 } else { SPINS };
        for i in 0..spins {
            if self.requested() {
                return self.consume();
            }
            if i > EAGER_LOOKS {
                std::hint::spin_loop();
            }
        }
        let start = Instant::now();
        let seen = self.seen.load(SeqCst);
        let window = self.window;
        let mut pause = Duration::from_millis(2);
        loop {
            window.attention().swap(attention::WAKE, SeqCst);
            if !self.requested() {
                futex::wait(window.request(), seen, Some(pause));
            }
            window.attention().store(0, Relaxed);
            if self.requested() {
                return self.consume();
            }
            if self.space.is_dead() {
                return Err(Error::Gone);
            }
            if start.elapsed() > deadline {
                return Err(self.space.violated("no answer"));
            }
            pause = (pause * 2).min(Duration::from_millis(50));
            between();
        }
    }

    /// Whether guest code has resisted an interruption for too long: it has tampered with its signal handling.
    pub fn overdue(&self, deadline: Duration) -> bool {
        let since = self.interrupted_at.load(SeqCst);
        since != 0
            && self.running.load(SeqCst)
            && !self.requested()
            && now_ms().saturating_sub(since) > deadline.as_millis() as u64
    }

    /// Sends the interrupt to the host thread, if it lives.
    pub fn signal(&self) {
        self.space.signal(self.tid.load(SeqCst), INTERRUPT as i32);
    }
}

impl Interrupter for Thread {
    fn interrupt(&self) {
        // One signal a run is enough, and more could pile up on the signal stack. `resume` sets `running`, then reads
        // `interrupt`: one of the two sides sees the other.
        if !self.interrupt.swap(true, SeqCst) && self.running.load(SeqCst) {
            let _ = self.interrupted_at.compare_exchange(0, now_ms(), SeqCst, SeqCst);
            self.signal();
        }
    }
}

/// Milliseconds since some moment before the first call, plus one.
pub fn now_ms() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_millis() as u64 + 1
}
