//! Runs task futures on a few worker threads, and decides how long a worker spins before it sleeps.
//!
//! One worker at a time is the *leader*: when nothing is ready it polls the platform's windows, first spinning, then asleep in
//! [`platform::Platform::wait`]. Followers park and are unparked when more is ready than the leader can take at once. A task
//! that wakes another (a pipe, a futex) puts it on the same queue, so that one worker answers both back to back.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

const IDLE: u8 = 0;
const QUEUED: u8 = 1;
const RUNNING: u8 = 2;
const NOTIFIED: u8 = 3;
const DONE: u8 = 4;

type TaskFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Rounds of a leader with guests running before it sleeps. A guess that nobody has measured alone: estimated at 160 µs, several
/// times what waking an idle CPU takes.
const LEADER_SPINS: u32 = 400;

/// Queue of ready tasks and the workers that run them.
pub struct Executor {
    platform: Arc<dyn platform::Platform>,
    queue: Mutex<VecDeque<Arc<Runnable>>>,
    ready: AtomicUsize,
    parked: Mutex<usize>,
    unpark: Condvar,
    leading: AtomicBool,
    leader_waits: AtomicBool,
    stopped: AtomicBool,
}

struct Runnable {
    future: Mutex<Option<TaskFuture>>,
    state: AtomicU8,
    executor: Arc<Executor>,
}

impl Wake for Runnable {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        loop {
            let (from, to) = match self.state.load(Ordering::Acquire) {
                IDLE => (IDLE, QUEUED),
                RUNNING => (RUNNING, NOTIFIED),
                _ => return,
            };
            if self.state.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire).is_ok() {
                if to == QUEUED {
                    self.executor.push(self.clone());
                }
                return;
            }
        }
    }
}

impl Executor {
    /// An executor without workers; see [`Executor::start`].
    pub fn new(platform: Arc<dyn platform::Platform>) -> Arc<Executor> {
        Arc::new(Executor {
            platform,
            queue: Mutex::new(VecDeque::new()),
            ready: AtomicUsize::new(0),
            parked: Mutex::new(0),
            unpark: Condvar::new(),
            leading: AtomicBool::new(false),
            leader_waits: AtomicBool::new(false),
            stopped: AtomicBool::new(false),
        })
    }

    /// Starts `workers` threads.
    pub fn start(self: &Arc<Self>, workers: usize) -> std::io::Result<Vec<std::thread::JoinHandle<()>>> {
        (0..workers.max(1))
            .map(|n| {
                let executor = self.clone();
                std::thread::Builder::new().name(format!("worker-{n}")).spawn(move || executor.work())
            })
            .collect()
    }

    /// Adds a task; it is ready at once. The returned waker makes it run again, from any thread.
    pub fn spawn(self: &Arc<Self>, make: impl FnOnce(Waker) -> TaskFuture) -> Waker {
        let runnable =
            Arc::new(Runnable { future: Mutex::new(None), state: AtomicU8::new(IDLE), executor: self.clone() });
        let waker = Waker::from(runnable.clone());
        *runnable.future.lock() = Some(make(waker.clone()));
        waker.wake_by_ref();
        waker
    }

    /// Makes all workers return once the task they run yields.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
        self.platform.kick();
        let _guard = self.parked.lock();
        self.unpark.notify_all();
    }

    /// Whether the calling worker may spin on its own task's context: nothing else is ready or running.
    pub fn may_spin_inline(&self) -> bool {
        self.ready.load(Ordering::Relaxed) == 0 && self.platform.running() <= 1 && self.platform.spinning_pays()
    }

    fn push(&self, runnable: Arc<Runnable>) {
        self.queue.lock().push_back(runnable);
        self.ready.fetch_add(1, Ordering::SeqCst);
        if self.leader_waits.load(Ordering::SeqCst) {
            self.platform.kick();
        }
    }

    fn pop(&self) -> Option<Arc<Runnable>> {
        if self.ready.load(Ordering::SeqCst) == 0 {
            return None;
        }
        let runnable = self.queue.lock().pop_front()?;
        self.ready.fetch_sub(1, Ordering::SeqCst);
        Some(runnable)
    }

    fn work(&self) {
        while !self.stopped.load(Ordering::Acquire) {
            if let Some(runnable) = self.pop() {
                if self.ready.load(Ordering::Relaxed) > 0 {
                    self.unpark_one();
                }
                run(runnable);
            } else if !self.leading.swap(true, Ordering::AcqRel) {
                self.lead();
                self.leading.store(false, Ordering::Release);
                // Whoever parked while this worker led must take the lead if this one now gets a long task.
                self.unpark_if_leaderless();
            } else {
                self.park();
            }
        }
    }

    /// Polls windows until something is ready.
    fn lead(&self) {
        let mut spins = 0;
        while self.ready.load(Ordering::SeqCst) == 0 && !self.stopped.load(Ordering::Acquire) {
            if self.platform.poll() > 0 {
                return;
            }
            if spins < LEADER_SPINS && self.platform.running() > 0 && self.platform.spinning_pays() {
                spins += 1;
                for _ in 0..16 {
                    std::hint::spin_loop();
                }
                continue;
            }
            self.leader_waits.store(true, Ordering::SeqCst);
            if self.ready.load(Ordering::SeqCst) == 0 && !self.stopped.load(Ordering::Acquire) {
                self.platform.wait(None);
            }
            self.leader_waits.store(false, Ordering::SeqCst);
            spins = 0;
        }
    }

    fn unpark_one(&self) {
        if *self.parked.lock() > 0 {
            self.unpark.notify_one();
        }
    }

    fn unpark_if_leaderless(&self) {
        if self.ready.load(Ordering::Relaxed) > 1 {
            self.unpark_one();
        }
    }

    fn park(&self) {
        let mut parked = self.parked.lock();
        if self.ready.load(Ordering::SeqCst) > 0 || self.stopped.load(Ordering::Acquire) {
            return;
        }
        *parked += 1;
        // The time-out bounds how long windows stay unwatched when the leader is held up in one long call. An idle sandbox has none.
        if self.platform.running() > 0 {
            self.unpark.wait_for(&mut parked, Duration::from_millis(5));
        } else {
            self.unpark.wait(&mut parked);
        }
        *parked -= 1;
    }
}

fn run(runnable: Arc<Runnable>) {
    let mut slot = runnable.future.lock();
    let Some(future) = slot.as_mut() else { return };
    runnable.state.store(RUNNING, Ordering::Release);
    let waker = Waker::from(runnable.clone());
    let done = match std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        future.as_mut().poll(&mut Context::from_waker(&waker)).is_ready()
    })) {
        Ok(done) => done,
        Err(_) => {
            tracing::error!("a kernel task panicked; it is dropped and its context with it");
            true
        }
    };
    if done {
        runnable.state.store(DONE, Ordering::Release);
        *slot = None;
        return;
    }
    drop(slot);
    if runnable.state.compare_exchange(RUNNING, IDLE, Ordering::AcqRel, Ordering::Acquire).is_err() {
        runnable.state.store(QUEUED, Ordering::Release);
        let executor = runnable.executor.clone();
        executor.push(runnable);
    }
}

/// Gives up the worker once; the task runs again when its waker is called.
pub async fn suspend() {
    let mut polled = false;
    std::future::poll_fn(move |_| {
        if std::mem::replace(&mut polled, true) { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await
}
