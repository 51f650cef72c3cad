//! The life of a task: run, serve what comes, deliver signals, until it exits.

use std::sync::Arc;

use platform::{Event, Fault};

use super::current::Exit;
use super::{Current, Task, exit};
use crate::kernel::Kernel;
use crate::mm::MapLimits;
use crate::observe::Traced;
use crate::signal::{self, Delivery};
use crate::syscall::{self, Args};

/// Schedules a new task. `make` gets nothing it could not be given before; it exists so that the waker is known first.
pub fn start(kernel: &Arc<Kernel>, current: Current) {
    kernel.executor.spawn(move |waker| {
        current.publish(waker);
        Box::pin(main(current))
    });
}

/// Runs a task whose context holds a program.
pub async fn main(mut current: Current) {
    let mut lifeline = Lifeline(Some((current.kernel.clone(), current.task.clone())));
    loop {
        if let Some(how) = before_guest(&mut current).await {
            lifeline.0 = None;
            exit::exit_task(current, how);
            return;
        }
        current.orig_rax = None;
        match current.run().await {
            Ok(Event::Syscall) => {
                serve(&mut current).await;
                // `execve` may have given the thread the leader's number.
                if let Some((_, task)) = &mut lifeline.0 {
                    task.clone_from(&current.task);
                }
            }
            Ok(Event::Syscall32) => current.context.regs_mut().rax = abi::Errno::ENOSYS.to_return() as u64,
            Ok(Event::Fault(fault)) => serve_fault(&mut current, &fault),
            Ok(Event::Interrupted) => current.orig_rax = None,
            Err(error) => {
                tracing::warn!(tid = current.task.tid, %error, "a guest thread is lost");
                current.task.group.exit(exit::status_of_signal(abi::signal::Signal::SIGKILL, false));
            }
        }
    }
}

/// Takes the process down when its task is dropped without having exited: a panic in the kernel while it served this task
/// ends this process only.
struct Lifeline(Option<(Arc<Kernel>, Arc<Task>)>);

impl Drop for Lifeline {
    fn drop(&mut self) {
        if let Some((kernel, task)) = self.0.take() {
            let status = exit::status_of_signal(abi::signal::Signal::SIGKILL, false);
            task.group.exit(status);
            exit::remove(&kernel, &task, exit::Reason::Group(status));
        }
    }
}

/// What must happen before the guest runs on; the wait status when the task must end instead.
async fn before_guest(current: &mut Current) -> Option<exit::Reason> {
    if let Some(how) = current.exit.take() {
        return Some(match how {
            Exit::Thread(code) => exit::Reason::Thread(code),
            Exit::Group(code) => exit::Reason::Group(i32::from(code) << 8),
        });
    }
    let restarting = current.orig_rax.is_some()
        && abi::Errno::from_return(current.context.regs().rax as i64).is_err_and(|e| e.is_restart());
    if !current.task.has_work() && !restarting {
        return None;
    }
    loop {
        current.task.take_work();
        if let Some(reason) = must_end(&current.task) {
            return Some(reason);
        }
        match signal::deliver(current) {
            Delivery::Continue => return None,
            Delivery::Stop(signal) => exit::stop_group(current, signal).await,
            Delivery::Exit { signal, .. } => {
                // No core file is ever written, and the status tells of a core only where there is one.
                return Some(exit::Reason::Group(exit::status_of_signal(signal, false)));
            }
        }
    }
}

/// Whether the group exits, or another thread of it calls `execve`.
fn must_end(task: &Task) -> Option<exit::Reason> {
    let family = task.group.family.lock();
    match (family.exiting, family.exec_by) {
        (Some(status), _) => Some(exit::Reason::Group(status)),
        (None, Some(tid)) if tid != task.tid => Some(exit::Reason::Thread(0)),
        _ => None,
    }
}

async fn serve(current: &mut Current) {
    let regs = *current.context.regs();
    current.orig_rax = Some(regs.rax);
    if current.context.entered_by_trap()
        && let Ok(mm) = current.task.mm()
    {
        mm.patch_site(&mut *current.context, regs.rip);
    }
    let args = Args([regs.rdi, regs.rsi, regs.rdx, regs.r10, regs.r8, regs.r9]);
    let traced = current.kernel.observe.traces(regs.rax).then(|| Traced::begin(current, regs.rax, args));
    let result = syscall::dispatch(current, regs.rax, args).await;
    if let Some(traced) = traced {
        traced.finish(current, result);
    }
    let value = match result {
        Ok(value) => value,
        Err(errno) => errno.to_return() as u64,
    };
    current.context.regs_mut().rax = value;
}

fn serve_fault(current: &mut Current, fault: &Fault) {
    let limits = MapLimits::of(current);
    if current.task.mm().is_ok_and(|mm| mm.handle_fault(&mut *current.context, &limits, fault)) {
        return;
    }
    signal::force_fault(current, fault);
}
