//! New host threads and processes: `clone` by the stub, authorised, and what is checked of its claims.

use crate::authority::{Ends, Expected};
use crate::context::SystrapContext;
use crate::core::Core;
use crate::space::{Parked, Space};
use crate::thread::Thread;
use crate::window::Windows;
use abi::{Errno, nr};
use host::process::{Children, Wait, group, wait};
use platform::SpaceHandle;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use systrap_stub::layout::{STACK_DELTA, STACK_TOP};
use systrap_stub::window::{kind, op};

/// VM, FS, FILES, SIGHAND, THREAD, SYSVSEM.
const THREAD_FLAGS: u64 = 0x100 | 0x200 | 0x400 | 0x800 | 0x1_0000 | 0x4_0000;
/// PARENT (so that the sentry is the parent) and SIGCHLD.
const FORK_FLAGS: u64 = 0x8000 | 17;
/// Host threads without a context that a process keeps.
const PARKED_MAX: usize = 4;

impl SystrapContext {
    /// A new or parked host thread of this space, stopped.
    pub fn new_thread(&mut self) -> Result<Arc<Thread>, Errno> {
        self.end_setup()?;
        self.flush();
        let space = self.thread.space.clone();
        if space.is_dead() || !self.is_stopped() {
            return Err(Errno::EAGAIN);
        }
        let parked = space.state.lock().parked.pop();
        if let Some(parked) = parked {
            return self.unpark(&space, parked);
        }
        let slot = space.take_slot()?;
        let thread = Thread::new(space.clone(), slot, 0);
        thread.window.prepare();
        let address = thread.window.guest_address();
        let stack = address + STACK_DELTA + STACK_TOP;
        let expected = Expected { number: nr::__NR_clone, args: [THREAD_FLAGS, stack, 0, 0, 0, 0], fd: None };
        let window = self.thread.window;
        let post = || window.set_operation(op::THREAD, &[THREAD_FLAGS, address]);
        let core = self.core.clone();
        let claim = core.authorise(&self.thread, &expected, Ends::WithResult, &post);
        let tid = Errno::from_return(claim.map_err(|_| Errno::EAGAIN)?).inspect_err(|_| space.give_slot(slot))?;
        if window.kind() != kind::DONE || !space.adopt(tid as i32) {
            space.violated("a false thread id");
            return Err(Errno::EAGAIN);
        }
        thread.tid.store(tid as i32, SeqCst);
        thread.wait_request(self.core.config.deadline, || ()).map_err(|_| Errno::EAGAIN)?;
        if thread.window.kind() != kind::READY {
            space.violated("a new thread was not ready");
            return Err(Errno::EAGAIN);
        }
        Ok(Arc::new(thread))
    }

    /// Gives a parked host thread the extended state of this one. It travels through the two windows, opaque.
    fn unpark(&mut self, space: &Arc<Space>, parked: Parked) -> Result<Arc<Thread>, Errno> {
        let thread = Arc::new(Thread::new(space.clone(), parked.slot, parked.tid));
        thread.seen.store(parked.seen, SeqCst);
        let (features, size) = self.core.xstate;
        let window = self.thread.window;
        let offset = (64 - window.guest_data() % 64) % 64;
        let gone = |_| Errno::EAGAIN;
        if self.operate(op::STORE_XSTATE, &[window.guest_data() + offset, features, size]).map_err(gone)? != 0 {
            return Err(Errno::EAGAIN);
        }
        let mut image = vec![0; size as usize + 4];
        window.read_data(offset as usize, &mut image);
        thread.window.write_data(offset as usize, &image);
        let from = thread.window.guest_data() + offset;
        thread.window.set_operation(op::RESTORE_XSTATE, &[from, features, size]);
        thread.respond();
        thread.wait_request(self.core.config.deadline, || ()).map_err(gone)?;
        Ok(thread)
    }

    /// A copy of the process with one thread, stopped.
    pub fn new_process(&mut self) -> Result<Arc<Thread>, Errno> {
        self.end_setup()?;
        self.flush();
        if self.thread.space.is_dead() || !self.is_stopped() {
            return Err(Errno::EAGAIN);
        }
        let core = self.core.clone();
        let windows = core.take_windows()?;
        let slot = self.thread.slot;
        windows.slot(slot).prepare();
        windows.slot(slot).set_spin(self.spin_budget());
        let window = self.thread.window;
        let expected = Expected { number: nr::__NR_clone, args: [FORK_FLAGS, 0, 0, 0, 0, 0], fd: Some(windows.fd()) };
        let post = || window.set_operation(op::FORK, &[FORK_FLAGS]);
        let thread = {
            // No other process is made meanwhile, so the only child that nobody knows is the one made here.
            let _descriptors = self.thread.space.descriptors.lock();
            let _authority = core.authority.lock();
            let claim = core.authorise_alone(&self.thread, &expected, &post).map_err(|_| Errno::EAGAIN)?;
            let pid = match Errno::from_return(claim) {
                Ok(pid) => pid as i32,
                Err(error) => {
                    return Err(error);
                }
            };
            let mut spaces = core.spaces.lock();
            let ours = pid > 0
                && pid != core.group
                && wait(Children::Pid(pid), Wait::TryPeek).is_ok()
                && group(pid) == Ok(core.group);
            if window.kind() != kind::DONE || !ours || spaces.contains_key(&pid) {
                drop(spaces);
                self.thread.space.violated("a false process id");
                core.bury(windows, slot);
                return Err(Errno::EAGAIN);
            }
            let space = Arc::new(Space::new(Arc::downgrade(&core), pid, windows, None, slot));
            spaces.insert(pid, space.clone());
            Arc::new(Thread::new(space, slot, pid))
        };
        if thread.wait_request(self.core.config.deadline, || ()).is_err()
            || thread.window.kind() != kind::DONE
            || thread.window.result() != 0
        {
            thread.space.kill();
            return Err(Errno::EAGAIN);
        }
        Ok(thread)
    }
}

impl Core {
    /// Ends a forked child whose pid its parent has lied about: it serves these windows, so it can be asked to exit, and its
    /// notification tells who it is. The caller holds `authority`.
    fn bury(self: &Arc<Core>, windows: Windows, slot: usize) {
        let space = Arc::new(Space::new(Arc::downgrade(self), 0, windows, None, slot));
        let thread = Thread::new(space, slot, 0);
        if thread.wait_request(self.config.deadline, || ()).is_ok() {
            thread.window.set_operation(op::SYSCALL, &[u64::from(nr::__NR_exit), 0, 0, 0, 0, 0, 0, 0]);
            thread.respond();
            self.dismiss_unknown();
        }
    }

    /// Keeps the host thread of a dropped context for the next one of its space, or has it exit.
    pub fn park(&self, thread: &Thread) {
        let space = &thread.space;
        thread.window.set_spin(0);
        let tid = thread.tid.load(SeqCst);
        let leader = tid == space.pid();
        {
            let mut state = space.state.lock();
            // A dead thread-group leader would make the process unreachable from outside.
            if state.parked.len() < PARKED_MAX || leader {
                let seen = thread.seen.load(SeqCst);
                state.parked.push(Parked { slot: thread.slot, tid, seen });
                return;
            }
        }
        let expected = Expected { number: nr::__NR_exit, args: [0; 6], fd: None };
        let post = || thread.window.set_operation(op::SYSCALL, &[u64::from(nr::__NR_exit), 0, 0, 0, 0, 0, 0, 0]);
        if self.authorise(thread, &expected, Ends::WithThread, &post).is_ok() {
            space.state.lock().tids.remove(&tid);
            space.give_slot(thread.slot);
        }
    }
}
