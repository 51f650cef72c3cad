//! What happens off the critical path: reaping, wiping windows, keeping stubs ready, parking threads that were dropped
//! while they ran, and deadlines of interruptions.

use crate::core::Core;
use crate::thread::{Thread, now_ms};
use crate::window::Windows;
use host::process::{Children, Wait, wait};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

/// Not more often than this.
const TICK_MS: u64 = 2;
/// Windows kept for the next space.
const CLEAN_MAX: usize = 16;

/// Work for the keeper thread, and its stocks.
#[derive(Default)]
pub struct Keeper {
    pub stop: bool,
    /// Wiped windows.
    pub clean: Vec<Windows>,
    /// Windows of dead processes, with how many of their slots were used.
    dirty: Vec<(Windows, usize)>,
    /// Stubs in set-up that nobody has taken.
    ready: Vec<Arc<Thread>>,
    /// Threads without a context that still run guest code.
    orphans: Vec<Arc<Thread>>,
    /// The first stub has been taken.
    started: bool,
    /// The guest has forked, or made a thread, which may be what `vfork` is.
    forked: bool,
}

impl Keeper {
    /// How many stubs to keep ready, of `most`: one for the first program, and for the next ones when there is a process
    /// that may start them. Most sandboxes that run a single program never need a second.
    fn wanted(&self, most: usize) -> usize {
        match (self.forked, self.started) {
            (true, _) => most,
            (false, false) => most.min(1),
            (false, true) => 0,
        }
    }
}

/// Starts the two service threads.
pub fn start(core: &Arc<Core>, group: i32) {
    let reaper = core.clone();
    let keeper = Arc::downgrade(core);
    let spawn = |name: &str, run: Box<dyn FnOnce() + Send>| {
        std::thread::Builder::new().name(name.into()).stack_size(64 << 10).spawn(run).expect("a thread at start")
    };
    spawn("reaper", Box::new(move || reap(&reaper, group)));
    spawn("keeper", Box::new(move || keep(&keeper)));
}

/// Waits for the end of any process of the zygote's group. Ends with the last of them.
fn reap(core: &Core, group: i32) {
    loop {
        match wait(Children::Group(group), Wait::Peek) {
            Ok(Some(pid)) => {
                let space = core.spaces.lock().get(&pid).cloned();
                match space {
                    Some(space) => {
                        space.reap();
                        core.spaces.lock().remove(&pid);
                    }
                    // The zygote, or a stub that died before it was entered: under the lock both are settled.
                    None => {
                        let _authority = (pid != group).then(|| core.authority.lock());
                        if !core.spaces.lock().contains_key(&pid) {
                            let _ = wait(Children::Pid(pid), Wait::TryReap);
                        }
                    }
                }
                core.kick();
            }
            Ok(None) | Err(abi::Errno::EINTR) => {}
            Err(_) => return,
        }
    }
}

fn keep(core: &Weak<Core>) {
    loop {
        let Some(core) = core.upgrade() else { return };
        let mut keeper = core.keeper.lock();
        if keeper.stop {
            let stocks = (std::mem::take(&mut keeper.ready), std::mem::take(&mut keeper.orphans));
            drop(keeper);
            drop(stocks);
            return;
        }
        if let Some(thread) = keeper.orphans.pop() {
            drop(keeper);
            core.settle(&thread);
        } else if keeper.ready.len() < keeper.wanted(core.config.ready) {
            drop(keeper);
            match core.make_stub() {
                Ok(thread) => core.keeper.lock().ready.push(thread),
                Err(error) => {
                    tracing::warn!(%error, "cannot keep a stub ready");
                    std::thread::sleep(Duration::from_millis(100));
                }
            }
        } else if let Some((windows, used)) = keeper.dirty.pop() {
            let room = keeper.clean.len() < CLEAN_MAX;
            drop(keeper);
            if room && windows.wipe(used).is_ok() {
                core.keeper.lock().clean.push(windows);
            }
        } else {
            core.keeper_work.wait(&mut keeper);
        }
    }
}

impl Core {
    /// A stub from the stock; has it refilled.
    pub fn take_ready(&self) -> Option<Arc<Thread>> {
        let mut keeper = self.keeper.lock();
        keeper.started = true;
        // A dead one must not be dropped under the lock.
        let mut dead = vec![];
        let taken = loop {
            match keeper.ready.pop() {
                Some(thread) if thread.space.is_dead() => dead.push(thread),
                other => break other,
            }
        };
        drop(keeper);
        self.keeper_work.notify_one();
        taken
    }

    /// The guest may soon start another program.
    pub fn guest_forks(&self) {
        let mut keeper = self.keeper.lock();
        if !std::mem::replace(&mut keeper.forked, true) {
            drop(keeper);
            self.keeper_work.notify_one();
        }
    }

    /// Takes the windows of a dead process back.
    pub fn recycle(&self, windows: Windows, used: usize) {
        self.keeper.lock().dirty.push((windows, used));
        self.keeper_work.notify_one();
    }

    /// Has a thread that still runs guest code stopped and parked.
    pub fn adopt_orphan(&self, thread: Arc<Thread>) {
        self.keeper.lock().orphans.push(thread);
        self.keeper_work.notify_one();
    }

    fn settle(&self, thread: &Arc<Thread>) {
        let start = Instant::now();
        thread.signal();
        while !thread.requested() {
            if thread.space.is_dead() {
                return;
            }
            if start.elapsed() > self.config.deadline {
                thread.space.violated("cannot be interrupted");
                return;
            }
            std::thread::sleep(Duration::from_micros(200));
        }
        if thread.consume().is_ok() {
            self.park(thread);
        }
    }

    /// Done now and then while guest code runs: refuses calls nobody expects, ends guests that resist interruption.
    pub fn tick(&self) {
        let now = now_ms();
        let last = self.last_tick.load(Relaxed);
        if now < last + TICK_MS || self.last_tick.compare_exchange(last, now, Relaxed, Relaxed).is_err() {
            return;
        }
        self.refuse_strays();
        let waiting: Vec<_> = self.waiting.lock().iter().filter(|t| t.overdue(self.config.deadline)).cloned().collect();
        for thread in waiting {
            thread.space.violated("cannot be interrupted");
        }
    }
}
