//! A small pool of threads for host operations that may sleep: disk reads that miss the page cache, fsync.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::executor::suspend;

const MAX_THREADS: usize = 4;
const IDLE_TIME: Duration = Duration::from_secs(2);

type Job = Box<dyn FnOnce() + Send>;

/// Threads are started on demand and end when idle.
#[derive(Clone, Default)]
pub struct Pool(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    work: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    threads: usize,
    idle: usize,
}

impl Pool {
    /// Runs `operation` on a pool thread and waits for it without holding a worker.
    pub async fn run<T: Send + 'static>(&self, operation: impl FnOnce() -> T + Send + 'static) -> T {
        let result: Arc<Mutex<Option<T>>> = Arc::default();
        let waker: Waker = std::future::poll_fn(|cx| std::task::Poll::Ready(cx.waker().clone())).await;
        let slot = result.clone();
        self.submit(Box::new(move || {
            *slot.lock() = Some(operation());
            waker.wake();
        }));
        loop {
            if let Some(value) = result.lock().take() {
                return value;
            }
            suspend().await;
        }
    }

    fn submit(&self, job: Job) {
        let mut state = self.0.state.lock();
        state.jobs.push_back(job);
        if state.idle > 0 {
            self.0.work.notify_one();
        } else if state.threads < MAX_THREADS {
            let shared = self.0.clone();
            let spawned = std::thread::Builder::new().name("blocking".into()).spawn(move || shared.serve());
            match spawned {
                Ok(_) => state.threads += 1,
                Err(error) if state.threads == 0 => {
                    tracing::error!(%error, "no thread for a blocking operation; it runs on the worker");
                    let job = state.jobs.pop_back();
                    drop(state);
                    job.into_iter().for_each(|job| job());
                }
                Err(_) => {}
            }
        }
    }
}

impl Shared {
    fn serve(&self) {
        let mut state = self.state.lock();
        loop {
            if let Some(job) = state.jobs.pop_front() {
                drop(state);
                job();
                state = self.state.lock();
                continue;
            }
            state.idle += 1;
            let timed_out = self.work.wait_for(&mut state, IDLE_TIME).timed_out();
            state.idle -= 1;
            if timed_out && state.jobs.is_empty() {
                state.threads -= 1;
                return;
            }
        }
    }
}
