//! The platform object and what all of its parts share.

use crate::contention::Contention;
use crate::context::SystrapContext;
use crate::doorbell::Doorbell;
use crate::keeper::{self, Keeper};
use crate::layout;
use crate::space::Space;
use crate::thread::Thread;
use crate::window::Windows;
use crate::zygote::{self, Zygote};
use abi::Errno;
use parking_lot::{Condvar, Mutex};
use platform::{Context, Error, Layout, Platform, SpaceHandle};
use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

/// What can be chosen.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Stubs kept ready for [`Platform::spawn`].
    pub ready: usize,
    /// A stub that does not answer its sentry for this long, or guest code that cannot be interrupted, is killed. An honest
    /// one takes longer only when the host itself is stuck.
    pub deadline: Duration,
}

impl Default for Config {
    fn default() -> Config {
        Config { ready: 2, deadline: Duration::from_secs(10) }
    }
}

/// The systrap platform.
pub struct Systrap {
    core: Arc<Core>,
    layout: Layout,
}

/// Shared by contexts, pollers and the two service threads.
pub struct Core {
    pub config: Config,
    /// Serialises everything that makes processes, or needs the listener. Holds the zygote.
    pub authority: Mutex<Zygote>,
    pub listener: OwnedFd,
    pub doorbell: Doorbell,
    /// Every live stub process, by pid.
    pub spaces: Mutex<HashMap<i32, Arc<Space>>>,
    /// Contexts in guest code.
    pub running: AtomicUsize,
    /// Threads whose tasks wait for them.
    pub waiting: Mutex<Vec<Arc<Thread>>>,
    pub keeper: Mutex<Keeper>,
    pub keeper_work: Condvar,
    /// Components of extended state, and the size of their image.
    pub xstate: (u64, u64),
    pub cpus: usize,
    pub contention: Contention,
    /// When [`Core::tick`] was last done, and polls since anybody thought of it.
    pub last_tick: AtomicU64,
    pub polls: AtomicU32,
    /// Process group of the zygote and all stubs.
    pub group: i32,
}

impl Systrap {
    /// Starts the platform: forks the zygote, then makes the first stubs.
    ///
    /// Call it early, while the process is small and single-threaded, and when it has given up all privileges: stubs
    /// inherit its namespaces and credentials.
    ///
    /// # Errors
    /// [`Error::Host`]: ENODEV when processor or kernel lack FSGSBASE or XSAVE, else what the host says.
    pub fn new(config: Config) -> Result<Arc<Systrap>, Error> {
        if !layout::supported() {
            return Err(Error::Host(Errno::ENODEV));
        }
        let vdso = host::vdso::find();
        let doorbell = Doorbell::new().map_err(Error::Host)?;
        let (zygote, listener) = zygote::start(vdso, doorbell.fd()).map_err(Error::Host)?;
        let group = zygote.pid;
        let state = host::cpu::extended_state();
        let xstate = (state.features, state.len as u64);
        let core = Arc::new(Core {
            config,
            authority: Mutex::new(zygote),
            listener,
            doorbell,
            spaces: Mutex::default(),
            running: AtomicUsize::new(0),
            waiting: Mutex::default(),
            keeper: Mutex::default(),
            keeper_work: Condvar::new(),
            xstate,
            cpus: host::process::cpus(),
            contention: Contention::new(),
            last_tick: AtomicU64::new(0),
            polls: AtomicU32::new(0),
            group,
        });
        keeper::start(&core, group);
        Ok(Arc::new(Systrap { layout: layout::layout(vdso, xstate.1), core }))
    }
}

impl Platform for Systrap {
    fn name(&self) -> &'static str {
        "systrap"
    }

    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn spawn(&self) -> Result<Box<dyn Context>, Error> {
        let ready = self.core.take_ready();
        let thread = match ready {
            Some(thread) => thread,
            None => self.core.make_stub().map_err(Error::Host)?,
        };
        Ok(Box::new(SystrapContext::fresh(self.core.clone(), thread)))
    }

    fn poll(&self) -> usize {
        self.core.poll()
    }

    fn wait(&self, timeout: Option<Duration>) {
        self.core.wait(timeout);
    }

    fn kick(&self) {
        self.core.kick();
    }

    fn running(&self) -> usize {
        self.core.running.load(SeqCst)
    }

    fn spinning_pays(&self) -> bool {
        !self.core.contention.present() && self.core.anybody_elsewhere()
    }

    fn shutdown(&self) {
        self.core.shut_down();
    }
}

impl Drop for Systrap {
    fn drop(&mut self) {
        self.core.shut_down();
    }
}

impl Core {
    /// Has the zygote make a stub, and waits until it serves.
    pub fn make_stub(self: &Arc<Core>) -> Result<Arc<Thread>, Errno> {
        let windows = self.take_windows()?;
        windows.slot(0).prepare();
        let thread = {
            let zygote = self.authority.lock();
            let (pid, socket) = zygote.make(&windows)?;
            let space = Arc::new(Space::new(Arc::downgrade(self), pid, windows, Some(socket), 0));
            self.spaces.lock().insert(pid, space.clone());
            Arc::new(Thread::new(space, 0, pid))
        };
        thread.wait_request(self.config.deadline, || ()).map_err(|_| Errno::EAGAIN)?;
        Ok(thread)
    }

    /// Clean windows from the pool, or new ones.
    pub fn take_windows(&self) -> Result<Windows, Errno> {
        let pooled = self.keeper.lock().clean.pop();
        pooled.map_or_else(Windows::new, Ok)
    }

    fn shut_down(&self) {
        self.keeper.lock().stop = true;
        self.keeper_work.notify_all();
        self.authority.lock().stop();
        let spaces: Vec<_> = self.spaces.lock().values().cloned().collect();
        for space in spaces {
            space.kill();
        }
    }
}
