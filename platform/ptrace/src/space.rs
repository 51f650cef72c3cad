//! An address space: the thread group that holds it, and which of its threads are alive.

use crate::Shared;
use crate::link::Link;
use abi::signal::Signal;
use parking_lot::RwLock;
use platform::{MemoryFault, SpaceHandle};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

/// A thread group of the host that holds one guest address space.
pub struct Space {
    shared: Arc<Shared>,
    id: u64,
    /// The thread group's id. It stays taken while `threads` is not empty.
    tgid: i32,
    /// Threads whose context is neither dropped nor dead. A tracer removes its own before reaping it, so that while this
    /// lock is held none of these ids can come to mean something else.
    threads: RwLock<Vec<(i32, Weak<Link>)>>,
    /// Set before the tracers are told, tested after one was added.
    is_doomed: AtomicBool,
}

impl Space {
    /// For the process `tgid`, whose threads are added as they are attached.
    pub fn new(shared: Arc<Shared>, tgid: i32) -> Arc<Space> {
        let id = shared.next_space.fetch_add(1, Ordering::Relaxed);
        let space = Arc::new(Space { shared, id, tgid, threads: RwLock::default(), is_doomed: AtomicBool::new(false) });
        space.shared.spaces.lock().insert(id, Arc::downgrade(&space));
        space
    }

    /// Adds a thread that is about to be traced.
    pub fn add_thread(&self, tid: i32, link: Weak<Link>) {
        self.threads.write().push((tid, link.clone()));
        if self.is_doomed.load(Ordering::SeqCst)
            && let Some(link) = link.upgrade()
        {
            link.doom();
        }
        if self.shared.is_shut_down.load(Ordering::SeqCst) {
            self.kill();
        }
    }

    /// Tells every tracer that the process was killed.
    pub fn doom(&self) {
        self.is_doomed.store(true, Ordering::SeqCst);
        let links: Vec<_> = self.threads.read().iter().filter_map(|(_, link)| link.upgrade()).collect();
        for link in links {
            link.doom();
        }
    }

    /// Notices a death that no tracer waits for: the leader runs, all others stand, and someone outside has killed the process.
    /// The host tells of the leader only when the others are reaped, and their tracers wait for commands.
    pub fn notice_death(&self) {
        let threads = self.threads.read();
        let Some(&(other, _)) = threads.iter().find(|t| t.0 != self.tgid && threads.len() > 1) else { return };
        let is_dead = host::ptrace::is_dead(other);
        drop(threads);
        if is_dead {
            self.doom();
        }
    }

    fn any_thread(threads: &[(i32, Weak<Link>)]) -> Result<i32, MemoryFault> {
        threads.first().map(|t| t.0).ok_or(MemoryFault { done: 0 })
    }

    /// Takes out a thread that is about to be reaped or to leave; says whether it was the last one.
    pub fn remove_thread(&self, tid: i32) -> bool {
        let mut threads = self.threads.write();
        threads.retain(|t| t.0 != tid);
        threads.is_empty()
    }

    /// Stops a running thread with SIGSTOP, which cannot be blocked and which its tracer swallows.
    pub fn stop_thread(&self, tid: i32) {
        let threads = self.threads.read();
        if threads.iter().any(|t| t.0 == tid) {
            // It may have died already; then its tracer finds out by itself.
            let _ = host::ptrace::signal_thread(self.tgid, tid, Signal::SIGSTOP);
        }
    }

    /// Kills the thread group although `threads` may be empty: for a tracer whose tracee is not reaped yet.
    pub fn kill_unreaped(&self) {
        let _ = host::ptrace::kill(self.tgid);
    }

    /// Reads through any live thread: the leader may have exited before the others, and has no memory then.
    pub fn copy_out(&self, addr: u64, buf: &mut [u8]) -> Result<(), MemoryFault> {
        let reachable = self.shared.reachable(addr, buf.len());
        let threads = self.threads.read();
        let tid = Space::any_thread(&threads)?;
        let done = host::process_memory::read(tid, addr, &mut buf[..reachable]).unwrap_or(0);
        if done == buf.len() { Ok(()) } else { Err(MemoryFault { done }) }
    }

    /// Writes through any live thread.
    pub fn copy_in(&self, addr: u64, data: &[u8]) -> Result<(), MemoryFault> {
        let reachable = self.shared.reachable(addr, data.len());
        let threads = self.threads.read();
        let tid = Space::any_thread(&threads)?;
        let done = host::process_memory::write(tid, addr, &data[..reachable]).unwrap_or(0);
        if done == data.len() { Ok(()) } else { Err(MemoryFault { done }) }
    }

    /// Reads the scratch page, which lies above the guest's part.
    pub fn read_scratch(&self, buf: &mut [u8]) -> Result<(), MemoryFault> {
        let threads = self.threads.read();
        let tid = Space::any_thread(&threads)?;
        match host::process_memory::read(tid, self.shared.scratch(), buf) {
            Ok(done) if done == buf.len() => Ok(()),
            _ => Err(MemoryFault { done: 0 }),
        }
    }

    /// Writes the scratch page.
    pub fn write_scratch(&self, data: &[u8]) -> Result<(), MemoryFault> {
        let threads = self.threads.read();
        let tid = Space::any_thread(&threads)?;
        match host::process_memory::write(tid, self.shared.scratch(), data) {
            Ok(done) if done == data.len() => Ok(()),
            _ => Err(MemoryFault { done: 0 }),
        }
    }
}

impl SpaceHandle for Space {
    fn id(&self) -> u64 {
        self.id
    }

    fn read(&self, addr: u64, buf: &mut [u8]) -> Result<(), MemoryFault> {
        self.copy_out(addr, buf)
    }

    fn write(&self, addr: u64, data: &[u8]) -> Result<(), MemoryFault> {
        self.copy_in(addr, data)
    }

    fn host_pid(&self) -> Option<i32> {
        Space::any_thread(&self.threads.read()).ok()
    }

    fn kill(&self) {
        let threads = self.threads.read();
        if !threads.is_empty() {
            let _ = host::ptrace::kill(self.tgid);
        }
        drop(threads);
        self.doom();
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        self.shared.spaces.lock().remove(&self.id);
    }
}
