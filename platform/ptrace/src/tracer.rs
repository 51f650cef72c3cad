//! One host thread per guest thread: `ptrace` requests must come from the thread that seized the tracee.
//!
//! A context hands its tracer one command at a time through a [`Link`] and waits for the answer, except for `Run`, whose
//! answer is an event that a worker polls. A tracer lives until its tracee is reaped: if it ended before, the host would kill
//! the tracee.

use crate::fault;
use crate::link::{Call, Command, Link, Reply};
use crate::space::Space;
use crate::text::Entry;
use abi::Errno;
use abi::signal::Signal;
use host::ptrace::{Resume, Stop, UserRegs};
use platform::{Event, Regs, SpaceHandle};
use std::sync::Arc;

/// The tracee is dead or no longer answers.
struct Gone;

/// A tracer's life.
pub fn trace(link: &Link) {
    let first = link.next_command();
    // Abandoned: there is nothing to trace.
    let Some((tid, space)) = link.tracee() else { return };
    let mut tracer = Tracer { link, space, tid, regs: UserRegs::default(), newborn: None };
    // The space may have been killed in the meantime, then there is no command.
    if !matches!(first, Some(Command::Attach)) || tracer.attach().is_err() {
        // Whatever it is that cannot be traced must not run on.
        space.kill();
    } else {
        link.attached();
        match tracer.serve() {
            Ok(()) => tracer.leave(),
            // A thread dies only with its whole group. The leader's death is not told before the others are reaped, so
            // their tracers must hear of it, also those that have nothing to do.
            Err(Gone) => space.doom(),
        }
    }
    tracer.bury();
    link.die();
}

struct Tracer<'a> {
    link: &'a Link,
    space: &'a Arc<Space>,
    tid: i32,
    /// As the tracee had them at its last stop in guest code; the segments stay as the guest set them.
    regs: UserRegs,
    /// What the tracee has cloned, until its context knows of it.
    newborn: Option<Newborn>,
}

/// What a clone has made, before its context exists.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Newborn {
    /// It waits in the code page for its tracer.
    Waiting(i32),
    /// It was killed at once, and is reaped.
    Dead,
}

const EAGAIN: u64 = Errno::EAGAIN.to_return() as u64;

impl Tracer<'_> {
    fn attach(&mut self) -> Result<(), Gone> {
        if let Err(error) = host::ptrace::seize(self.tid) {
            tracing::error!(%error, tid = self.tid, "cannot trace a stub");
            return Err(Gone);
        }
        host::ptrace::interrupt(self.tid).map_err(|_| Gone)?;
        match host::ptrace::wait(self.tid) {
            Stop::Dead => return Err(Gone),
            _ => self.regs = host::ptrace::registers(self.tid).map_err(|_| Gone)?,
        }
        Ok(())
    }

    /// Carries out commands until the one to leave.
    fn serve(&mut self) -> Result<(), Gone> {
        loop {
            match self.link.next_command().ok_or(Gone)? {
                Command::Run(regs) => {
                    let (regs, event) = self.run(regs)?;
                    self.link.finish(Some(regs), Ok(event));
                }
                Command::Inject(entry, call) => {
                    let reply = self.inject(entry, call)?;
                    self.link.reply(reply);
                }
                Command::Xstate(len) => {
                    let mut image = vec![0; len];
                    let result = gone(host::ptrace::xstate(self.tid, &mut image))?;
                    self.link.reply(Reply::Xstate(result.map(|len| {
                        image.truncate(len);
                        image
                    })));
                }
                Command::SetXstate(image) => {
                    let result = gone(host::ptrace::set_xstate(self.tid, &image))?;
                    self.link.reply(Reply::Done(result));
                }
                Command::Rseq => {
                    let result = gone(host::ptrace::rseq(self.tid))?;
                    self.link.reply(Reply::Rseq(result));
                }
                Command::Attach | Command::Leave => return Ok(()),
            }
        }
    }

    /// Runs guest code until something happens that the sentry must know of.
    fn run(&mut self, regs: Regs) -> Result<(Regs, Event), Gone> {
        if self.link.take_interrupt() {
            return Ok((regs, Event::Interrupted));
        }
        if (regs.fs_base, regs.gs_base) != (self.regs.fs_base, self.regs.gs_base)
            && let Err(error) = gone(host::ptrace::set_bases(self.tid, regs.fs_base, regs.gs_base))?
        {
            // The sentry lets no base through that the host refuses; so the guest keeps the ones it has.
            tracing::warn!(%error, regs.fs_base, regs.gs_base, "segment bases were refused");
        }
        to_user(&regs, &mut self.regs);
        gone(host::ptrace::set_registers(self.tid, &self.regs))?.map_err(|_| Gone)?;
        loop {
            host::ptrace::resume(self.tid, Resume::Emulate).map_err(|_| Gone)?;
            let stop = host::ptrace::wait(self.tid);
            let event = match stop {
                Stop::Dead => return Err(Gone),
                Stop::Trap | Stop::Clone => None,
                Stop::Syscall => Some(match host::ptrace::is_64_bit_syscall(self.tid).map_err(|_| Gone)? {
                    true => Event::Syscall,
                    false => Event::Syscall32,
                }),
                Stop::Signal(signal) if signal == Signal::SIGSTOP.number() => Some(Event::Interrupted),
                Stop::Signal(_) => self.fault()?.map(Event::Fault),
            };
            if let Some(event) = event {
                self.regs = host::ptrace::registers(self.tid).map_err(|_| Gone)?;
                let mut regs = from_user(&self.regs);
                if stop == Stop::Syscall {
                    regs.rax = self.regs.orig_rax;
                }
                return Ok((regs, event));
            }
        }
    }

    fn fault(&self) -> Result<Option<platform::Fault>, Gone> {
        let info = host::ptrace::signal_info(self.tid).map_err(|_| Gone)?;
        let regs = host::ptrace::registers(self.tid).map_err(|_| Gone)?;
        let is_readable = |addr| host::process_memory::read(self.tid, addr, &mut [0]).is_ok();
        Ok(fault::from_signal(&info, regs.rip, is_readable))
    }

    /// Runs the code page with real system calls.
    fn inject(&mut self, entry: Entry, call: Call) -> Result<Reply, Gone> {
        let page = self.link.code();
        let mut regs = self.regs;
        regs.rax = call.rax;
        [regs.rdi, regs.rsi, regs.rdx, regs.r10, regs.r8, regs.r9] = call.args;
        regs.rip = page + entry.start();
        regs.orig_rax = u64::MAX;
        regs.eflags = 0x202;
        (regs.cs, regs.ss) = (0x33, 0x2b);
        gone(host::ptrace::set_registers(self.tid, &regs))?.map_err(|_| Gone)?;
        loop {
            host::ptrace::resume(self.tid, Resume::Execute).map_err(|_| Gone)?;
            match self.wait_cloning()? {
                Stop::Dead => return Err(Gone),
                Stop::Clone if self.newborn.is_none() => {
                    let newborn = host::ptrace::newborn(self.tid).map_err(|_| Gone)?;
                    self.release(newborn, host::ptrace::wait(newborn));
                }
                Stop::Signal(signal) if signal == Signal::SIGTRAP.number() => {
                    let regs = host::ptrace::registers(self.tid).map_err(|_| Gone)?;
                    if regs.rip == page + entry.end() {
                        let is_stillborn = self.newborn.take() == Some(Newborn::Dead);
                        return Ok(Reply::Value(if is_stillborn { EAGAIN } else { regs.rax }));
                    }
                }
                Stop::Signal(signal) if signal == Signal::SIGSTOP.number() => {
                    self.link.keep_interrupt();
                }
                Stop::Signal(signal) if [Signal::SIGSEGV, Signal::SIGBUS].map(Signal::number).contains(&signal) => {
                    let info = host::ptrace::signal_info(self.tid).map_err(|_| Gone)?;
                    if info.code > 0 {
                        return Ok(Reply::Fault);
                    }
                }
                Stop::Signal(_) | Stop::Trap | Stop::Clone | Stop::Syscall => {}
            }
        }
    }

    /// Waits for the tracee while it may clone. What it clones may be told of first, and may die with it: waiting for the
    /// tracee alone would not end when that is the leader of a killed group, which is told of last.
    fn wait_cloning(&mut self) -> Result<Stop, Gone> {
        loop {
            match host::ptrace::wait_any().ok_or(Gone)? {
                (tid, stop) if tid == self.tid => return Ok(stop),
                (newborn, stop) => self.release(newborn, stop),
            }
        }
    }

    /// Lets go what the tracee has cloned: it waits in the code page for a tracer of its own. Traced from its birth, it cannot
    /// get lost when the tracee is killed at this moment.
    fn release(&mut self, newborn: i32, stop: Stop) {
        if stop == Stop::Dead {
            host::ptrace::reap(newborn);
            self.newborn = Some(Newborn::Dead);
        } else {
            // Where this fails it is being killed, and told of again as dead.
            self.newborn = Some(Newborn::Waiting(newborn));
            let _ = host::ptrace::detach(newborn);
        }
    }

    /// Waits for the end of the tracee and of what it has left behind, and reaps them.
    fn bury(&mut self) {
        if let Some(Newborn::Waiting(newborn)) = self.newborn.take() {
            let _ = host::ptrace::kill(newborn);
            host::ptrace::reap(newborn);
        }
        let mut is_reaped = false;
        while let Some((tid, stop)) = host::ptrace::wait_any() {
            if stop != Stop::Dead {
                // It stands for the last time, with its death on the way or refused.
                let _ = host::ptrace::kill(tid);
                let _ = host::ptrace::resume(tid, Resume::Emulate);
                continue;
            }
            if tid == self.tid {
                self.space.remove_thread(tid);
                is_reaped = true;
            }
            host::ptrace::reap(tid);
        }
        if !is_reaped {
            // It was never traced: then it is a child of this process, or a thread that nobody has to reap.
            while host::ptrace::wait(self.tid) != Stop::Dead {}
            self.space.remove_thread(self.tid);
            host::ptrace::reap(self.tid);
        }
    }

    /// Ends the tracee: alone while others use the address space, else with all that is left of it.
    fn leave(&mut self) {
        if self.space.remove_thread(self.tid) {
            self.space.kill_unreaped();
        } else {
            let exit = Call { rax: u64::from(abi::nr::__NR_exit), args: [0; 6] };
            let _ = self.inject(Entry::Call, exit);
        }
    }
}

/// ESRCH is how `ptrace` says that the tracee was killed where it stood.
fn gone<T>(result: Result<T, Errno>) -> Result<Result<T, Errno>, Gone> {
    match result {
        Err(Errno::ESRCH) => Err(Gone),
        other => Ok(other),
    }
}

fn to_user(regs: &Regs, user: &mut UserRegs) {
    *user = UserRegs {
        r15: regs.r15,
        r14: regs.r14,
        r13: regs.r13,
        r12: regs.r12,
        rbp: regs.rbp,
        rbx: regs.rbx,
        r11: regs.r11,
        r10: regs.r10,
        r9: regs.r9,
        r8: regs.r8,
        rax: regs.rax,
        rcx: regs.rcx,
        rdx: regs.rdx,
        rsi: regs.rsi,
        rdi: regs.rdi,
        rip: regs.rip,
        eflags: regs.rflags,
        rsp: regs.rsp,
        fs_base: regs.fs_base,
        gs_base: regs.gs_base,
        // Not in a system call: the host must not restart one.
        orig_rax: u64::MAX,
        ..*user
    };
}

fn from_user(user: &UserRegs) -> Regs {
    Regs {
        rax: user.rax,
        rbx: user.rbx,
        rcx: user.rcx,
        rdx: user.rdx,
        rsi: user.rsi,
        rdi: user.rdi,
        rbp: user.rbp,
        rsp: user.rsp,
        r8: user.r8,
        r9: user.r9,
        r10: user.r10,
        r11: user.r11,
        r12: user.r12,
        r13: user.r13,
        r14: user.r14,
        r15: user.r15,
        rip: user.rip,
        rflags: user.eflags,
        fs_base: user.fs_base,
        gs_base: user.gs_base,
    }
}
