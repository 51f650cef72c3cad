//! The portable reference platform: guest code under `PTRACE_SYSEMU`, one tracer thread of the sentry per guest thread.
//!
//! A guest address space is the memory of a *stub* process. A [`Context`](platform::Context) passes commands to its tracer
//! (`tracer.rs`); the tracer sets registers, resumes, waits, and publishes the event. Copies use `process_vm_readv/writev`; every
//! other hand runs one system call in the stub through a code page above the guest's part (`text.rs`), with emulation off for
//! that moment. New spaces are forks of one empty *template* process, forked from the sentry by [`Ptrace::new`] while it has one
//! thread, and emptied by the first [`Platform::spawn`].
//!
//! # What a stub has
//! The guest's mappings, the host's vDSO, the code page (read-execute) and after it a scratch page, and one fd: number 0, an
//! end of a socket pair that all stubs share and by which the sentry passes files to map. Guest code reaches none of it, since
//! none of its system calls is executed; should one ever be, a seccomp filter that knows only the code page kills the process
//! (`filter.rs`). Stubs have a session of their own, so that no terminal signals them. They are children of the sentry (`CLONE_PARENT`), and die with their tracer
//! (`PTRACE_O_EXITKILL`).
//!
//! # System calls of the host that the sentry needs for it
//! In [`Ptrace::new`] also: `socketpair mmap munmap mprotect fork(clone) setsockopt recvfrom mincore`. At run time:
//! - `ptrace`: SEIZE INTERRUPT SYSEMU CONT GETREGS SETREGS GETREGSET SETREGSET GETSIGINFO GET_SYSCALL_INFO
//!   GETEVENTMSG DETACH GET_RSEQ_CONFIGURATION (the last in the first spawn only);
//! - `waitid`: waits for stops, reaps;
//! - `tgkill` (SIGSTOP to stop a running guest), `kill` (SIGKILL of a space);
//! - `process_vm_readv`, `process_vm_writev`: copies;
//! - `sendmsg` (the fd of a file mapping), `recvfrom` (takes back an fd that nobody received);
//! - `getpid`, and `tgkill` with signal 0: no write goes to the sentry itself;
//! - for the tracer threads: `clone3`/`clone`, `mmap munmap mprotect madvise futex set_robust_list rseq sigaltstack
//!   rt_sigprocmask sched_getaffinity sched_yield clock_nanosleep gettid prctl exit`.
//!
//! `clone3` and `futex` come from the threads, so a filter must be in force on them too: install it with TSYNC, or before.
//!
//! # Known differences from hardware
//! A guest that jumps to 32-bit code keeps that code segment through its stops, and a signal handler entered from there too
//! ([`platform::Regs`] has no `cs`). The vsyscall page answers natively. Fault details: see `fault.rs`.
//!
//! Tracing a child needs no capability under Yama's `ptrace_scope` 0 and 1; under 2 and 3 [`Platform::spawn`] fails with EPERM.
//!
//! # Locks
//! `template`, then `channel`, then a link's state or a space's `threads`, then `ready` or `spaces`. No lock of a space is held while a
//! link's is taken.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod context;
mod fault;
mod filter;
mod link;
mod ready;
mod space;
mod text;
mod tracer;
mod xstate;

use abi::{Errno, PAGE_SIZE, nr};
use context::Traced;
use host::cpu::ExtendedState;
use host::template::{TASK_SIZE, Template};
use host::vdso::Vdso;
use parking_lot::Mutex;
use platform::{Context, Error, FixedMapping, Layout, Platform, Prot, SpaceHandle};
use ready::Ready;
use space::Space;
use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;
use xstate::Format;

/// The lowest address that hosts let a process without capabilities map (`vm.mmap_min_addr`).
const MIN_ADDRESS: u64 = 0x1_0000;

/// How late a kill from outside may be noticed in the one case that needs looking for (`Space::notice_death`).
const WATCH_INTERVAL: Duration = Duration::from_millis(500);

/// What contexts, spaces and tracers share.
struct Shared {
    /// The code page; the scratch page follows.
    code: u64,
    /// [`Layout::max`]
    max: u64,
    /// Held while a stub has a file, and while anyone uses a scratch page. Forks take it, or the copy of the process would
    /// keep the file of another thread's mapping.
    channel: Mutex<Channel>,
    xstate: OnceLock<Format>,
    ready: Ready,
    running: AtomicUsize,
    next_space: AtomicU64,
    /// Set before the spaces are killed, tested after a space was added: none slips through.
    is_shut_down: AtomicBool,
    is_watched: AtomicBool,
    spaces: Mutex<HashMap<u64, Weak<Space>>>,
}

/// The socket pair that carries files to stubs.
struct Channel {
    ours: OwnedFd,
    /// Kept to take back what no stub has received.
    theirs: OwnedFd,
}

impl Shared {
    fn scratch(&self) -> u64 {
        self.code + PAGE_SIZE
    }

    /// Starts the thread that notices deaths of processes with more than one thread.
    fn watch(self: &Arc<Shared>) -> Result<(), Errno> {
        if self.is_watched.swap(true, Ordering::SeqCst) {
            return Ok(());
        }
        let shared = Arc::downgrade(self);
        let builder = std::thread::Builder::new().name("watch".to_owned()).stack_size(256 << 10);
        let started = builder.spawn(move || {
            while let Some(shared) = shared.upgrade().filter(|s| !s.is_shut_down.load(Ordering::SeqCst)) {
                if shared.running.load(Ordering::SeqCst) > 0 {
                    shared.all_spaces().iter().for_each(|space| space.notice_death());
                }
                drop(shared);
                std::thread::sleep(WATCH_INTERVAL);
            }
        });
        started.map(drop).map_err(|_| {
            self.is_watched.store(false, Ordering::SeqCst);
            Errno::EAGAIN
        })
    }

    fn all_spaces(&self) -> Vec<Arc<Space>> {
        self.spaces.lock().values().filter_map(Weak::upgrade).collect()
    }

    /// How many of `len` bytes at `addr` lie in the guest's part.
    fn reachable(&self, addr: u64, len: usize) -> usize {
        usize::try_from(self.max.saturating_sub(addr)).map_or(len, |below| below.min(len))
    }
}

/// The process that every space is a fork of.
enum Origin {
    /// Forked, not yet traced: still a copy of the sentry.
    Raw(i32),
    /// Empty.
    Ready(Traced),
    /// It could not be made, or the platform was shut down.
    Gone(Error),
}

/// The `ptrace` platform.
pub struct Ptrace {
    shared: Arc<Shared>,
    origin: Mutex<Origin>,
    layout: Layout,
    vdso: Option<Vdso>,
    cpu: ExtendedState,
}

impl Ptrace {
    /// Forks the template. The sentry must have one thread, and be in the namespaces and with the credentials that it keeps.
    ///
    /// # Errors
    /// [`Error::Host`] when the host has no process or memory for it.
    pub fn new() -> Result<Arc<Ptrace>, Error> {
        let Template { pid, code, ours, theirs } = host::template::start(&text::code()).map_err(Error::Host)?;
        let cpu = host::cpu::extended_state();
        let vdso = host::vdso::find().filter(|vdso| vdso.end <= code);
        let shared = Arc::new(Shared {
            code,
            max: code,
            channel: Mutex::new(Channel { ours, theirs }),
            xstate: OnceLock::new(),
            ready: Ready::default(),
            running: AtomicUsize::new(0),
            next_space: AtomicU64::new(1),
            is_shut_down: AtomicBool::new(false),
            is_watched: AtomicBool::new(false),
            spaces: Mutex::default(),
        });
        let layout = Layout {
            min: MIN_ADDRESS,
            max: code,
            fixed: vdso.iter().flat_map(fixed_mappings).collect(),
            vdso: vdso.map_or(0, |vdso| vdso.code),
            syscall_entry: None,
            xstate_size: cpu.len + size_of::<u32>(),
        };
        let origin = Mutex::new(Origin::Raw(pid));
        Ok(Arc::new(Ptrace { shared, origin, layout, vdso, cpu }))
    }

    /// Traces the template and takes from it what it still has of the sentry.
    fn empty_template(&self, pid: i32) -> Result<Traced, Errno> {
        let template = Traced::of_process(&self.shared, pid)?;
        // The signal was for the time before it was traced, and goes off when the *thread* that has forked it ends.
        template.call(nr::__NR_prctl, [u64::from(abi::uapi::prctl::PR_SET_PDEATHSIG), 0, 0, 0, 0, 0])?;
        // Or the host would store to the registered place in what is unmapped next.
        let rseq = template.rseq()?;
        if rseq.addr != 0 {
            let unregister = 1;
            template
                .call(nr::__NR_rseq, [rseq.addr, u64::from(rseq.len), unregister, u64::from(rseq.signature), 0, 0])?;
        }
        let code_end = self.shared.scratch() + PAGE_SIZE;
        let kept = self.vdso.iter().map(|vdso| (vdso.data, vdso.end)).chain([(self.shared.code, code_end)]);
        let mut next = 0;
        for (start, end) in kept.chain([(TASK_SIZE, TASK_SIZE)]) {
            if next < start {
                template.call(nr::__NR_munmap, [next, start - next, 0, 0, 0, 0])?;
            }
            next = end;
        }
        let regset = template.xstate(64 << 10)?;
        let format = Format::new(&self.cpu, regset.len()).ok_or(Errno::EINVAL)?;
        template.set_xstate(format.initial())?;
        let _ = self.shared.xstate.set(format);
        self.confine(&template)?;
        Ok(template)
    }

    /// Puts the filter on the template, and so on all its forks.
    fn confine(&self, template: &Traced) -> Result<(), Errno> {
        let program = filter::program(self.shared.code);
        // struct sock_fprog, and the instructions after it.
        let mut bytes = (program.len() as u64).to_le_bytes().to_vec();
        bytes.extend_from_slice(&(self.shared.scratch() + 16).to_le_bytes());
        bytes.extend(program.iter().flatten());
        template.write_scratch(&bytes)?;
        template.call(nr::__NR_prctl, [u64::from(abi::uapi::prctl::PR_SET_NO_NEW_PRIVS), 1, 0, 0, 0, 0])?;
        // Guest code under a filter would otherwise run with speculation controls, slowly, on some hosts.
        let (set_mode_filter, spec_allow) = (1, 4);
        template.call(nr::__NR_seccomp, [set_mode_filter, spec_allow, self.shared.scratch(), 0, 0, 0])?;
        template.write_scratch(&vec![0; bytes.len()])
    }
}

fn fixed_mappings(vdso: &Vdso) -> Vec<FixedMapping> {
    let data = FixedMapping { start: vdso.data, end: vdso.code, prot: Prot::READ, name: "[vvar]" };
    let code = FixedMapping { start: vdso.code, end: vdso.end, prot: Prot::READ_EXEC, name: "[vdso]" };
    if vdso.data < vdso.code { vec![data, code] } else { vec![code] }
}

impl Platform for Ptrace {
    fn name(&self) -> &'static str {
        "ptrace"
    }

    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn spawn(&self) -> Result<Box<dyn Context>, Error> {
        let mut origin = self.origin.lock();
        if let Origin::Raw(pid) = *origin {
            *origin = match self.empty_template(pid) {
                Ok(template) => Origin::Ready(template),
                Err(errno) => {
                    tracing::error!(%errno, "cannot set up an empty process; the host may forbid ptrace");
                    Origin::Gone(Error::Host(errno))
                }
            };
        }
        match &mut *origin {
            Origin::Ready(template) => template.fork().map_err(Error::Host),
            Origin::Gone(error) => Err(*error),
            Origin::Raw(_) => Err(Error::Gone),
        }
    }

    fn poll(&self) -> usize {
        self.shared.ready.take()
    }

    fn wait(&self, timeout: Option<Duration>) {
        self.shared.ready.wait(timeout);
    }

    fn kick(&self) {
        self.shared.ready.kick();
    }

    fn running(&self) -> usize {
        self.shared.running.load(Ordering::SeqCst)
    }

    fn shutdown(&self) {
        self.shared.is_shut_down.store(true, Ordering::SeqCst);
        let origin = std::mem::replace(&mut *self.origin.lock(), Origin::Gone(Error::Gone));
        match origin {
            Origin::Raw(pid) => {
                let _ = host::ptrace::kill(pid);
                host::ptrace::reap(pid);
            }
            // Reaped here, or it would be left to whoever outlives the sentry.
            Origin::Ready(template) => template.end(Duration::from_secs(1)),
            Origin::Gone(_) => {}
        }
        for space in self.shared.all_spaces() {
            space.kill();
        }
    }
}

impl Drop for Ptrace {
    fn drop(&mut self) {
        self.shutdown();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_that_the_code_page_does_not_make_kills_the_stub() {
        let platform = Ptrace::new().unwrap();
        drop(platform.spawn().unwrap());
        let Origin::Ready(template) = &mut *platform.origin.lock() else { panic!("no template") };
        assert_eq!(template.call(nr::__NR_munmap, [0x10_0000, 0x1000, 0, 0, 0, 0]), Ok(0));
        assert_eq!(template.call(nr::__NR_getpid, [0; 6]), Err(Errno::ESRCH));
        assert!(template.fork().is_err());
    }
}
