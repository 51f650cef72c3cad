//! Delivery: what a task does about its signals before it returns to the guest, and how an interrupted call goes on.

use abi::signal::{SigAction, SigInfo, SigSet, Signal};
use platform::Fault;

use super::action::{ActionFlags, DefaultAction, SIG_DFL, SIG_IGN, default_action};
use super::{force_signal, frame, send, stop, take_next};
use crate::Errno;
use crate::task::{Current, session};

/// `restart_syscall`
const NR_RESTART_SYSCALL: u64 = abi::nr::__NR_restart_syscall as u64;
/// Length of `syscall` and of `int $0x80`.
const SYSCALL_LEN: u64 = 2;

/// What the task loop does next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Delivery {
    /// Go on with the guest.
    Continue,
    /// Stop with the group by this signal, then deliver again.
    Stop(Signal),
    /// The whole process ends by this signal.
    Exit {
        /// The signal for the wait status.
        signal: Signal,
        /// Its action is to dump core.
        core: bool,
    },
}

/// Delivers what is pending. The task loop calls it before it lets the guest run, when [`crate::task::Task::take_work`] says
/// so *or* a system call returned a restart code.
///
/// The loop has put the result of a system call, restart codes included, into `rax`, and the call's number into
/// [`Current::orig_rax`], as Linux does. That the process exits, or that a sibling calls `execve`, is the loop's to see.
pub fn deliver(current: &mut Current) -> Delivery {
    let task = current.task.clone();
    loop {
        if take_next(&task, SigSet(!SigSet::of(Signal::SIGKILL).0)).is_some() && !is_init(current, Signal::SIGKILL) {
            return Delivery::Exit { signal: Signal::SIGKILL, core: false };
        }
        if let Some(signal) = stop::pending_stop(&task) {
            return Delivery::Stop(signal);
        }
        let mask = task.signals.lock().mask;
        let Some(info) = take_next(&task, mask) else { break };
        let Some(signal) = Signal::new(info.signo as u64) else { continue };
        let action = take_action(current, signal);
        match action.handler {
            SIG_IGN => {}
            SIG_DFL => {
                if let Some(ending) = by_default(current, signal) {
                    return ending;
                }
            }
            _ => handle(current, signal, &action, &info),
        }
    }
    finish_call_without_handler(current);
    Delivery::Continue
}

/// Turns a processor exception into a signal that cannot be escaped, and keeps what the frame will tell about it.
pub fn force_fault(current: &mut Current, fault: &Fault) {
    /// Page fault: the only one that sets cr2.
    const PAGE_FAULT: u64 = 14;
    current.fault.trapno = fault.trapno;
    current.fault.error_code = fault.error_code;
    if fault.trapno == PAGE_FAULT {
        current.fault.cr2 = fault.addr;
    }
    force_signal(&current.task, SigInfo::from_fault(fault.signal, fault.code, fault.addr));
}

fn is_init(current: &Current, signal: Signal) -> bool {
    // What was sent from inside was dropped when it was sent, so this one comes from outside.
    current.task.group.signals.lock().unkillable && !SigSet::UNBLOCKABLE.contains(signal)
}

fn take_action(current: &Current, signal: Signal) -> SigAction {
    let actions = current.task.group.signals.lock().actions.clone();
    let action = actions.get(signal);
    let resets = ActionFlags::from_bits_retain(action.flags).contains(ActionFlags::RESETHAND);
    if action.handler > SIG_IGN && resets {
        actions.set(signal, SigAction { handler: SIG_DFL, ..action });
    }
    action
}

fn by_default(current: &mut Current, signal: Signal) -> Option<Delivery> {
    let default = default_action(signal);
    if default == DefaultAction::Ignore || is_init(current, signal) {
        return None;
    }
    match default {
        DefaultAction::Ignore => None,
        DefaultAction::Stop => {
            // Nobody could continue a process of an orphaned group from its terminal (POSIX, 2.4.3). The first process's group is
            // none: whoever started the sandbox is told, and continues it.
            let pgid = current.task.group.family.lock().pgid;
            let stops = signal == Signal::SIGSTOP || current.kernel.is_main(pgid);
            if stops || !session::is_orphaned(&current.kernel, pgid) {
                stop::start(&current.task.group, signal);
            }
            None
        }
        DefaultAction::Terminate => Some(Delivery::Exit { signal, core: false }),
        DefaultAction::Core => Some(Delivery::Exit { signal, core: true }),
    }
}

fn handle(current: &mut Current, signal: Signal, action: &SigAction, info: &SigInfo) {
    finish_call_before_handler(current, action);
    let (mask, saved) = {
        let mut own = current.task.signals.lock();
        (own.mask, own.saved_mask.take())
    };
    if frame::push(current, signal, action, info, saved.unwrap_or(mask)).is_err() {
        // The mask of a temporary one stays in force in the frame of SIGSEGV, as far as that one can be built.
        current.task.signals.lock().saved_mask = saved;
        force_segv(current, signal);
        return;
    }
    let mut blocked = mask.or(action.mask);
    if !ActionFlags::from_bits_retain(action.flags).contains(ActionFlags::NODEFER) {
        blocked.add(signal);
    }
    super::set_mask(&current.task, blocked);
}

/// SIGSEGV because a frame of `signal` could not be written or read; that of SIGSEGV itself kills.
pub(super) fn force_segv(current: &mut Current, signal: Signal) {
    let info = SigInfo::new(Signal::SIGSEGV, SigInfo::SI_KERNEL);
    if signal == Signal::SIGSEGV {
        send::force_fatal_signal(&current.task, info);
    } else {
        force_signal(&current.task, info);
    }
}

fn restart_code(current: &Current) -> Option<Errno> {
    current.orig_rax?;
    let errno = Errno::from_return(current.context.regs().rax as i64).err()?;
    errno.is_restart().then_some(errno)
}

fn finish_call_before_handler(current: &mut Current, action: &SigAction) {
    let restarts = ActionFlags::from_bits_retain(action.flags).contains(ActionFlags::RESTART);
    match restart_code(current) {
        Some(Errno::ERESTARTNOINTR) => restart(current, current.orig_rax),
        Some(Errno::ERESTARTSYS) if restarts => restart(current, current.orig_rax),
        Some(_) => current.context.regs_mut().rax = Errno::EINTR.to_return() as u64,
        None => {}
    }
    current.orig_rax = None;
}

fn finish_call_without_handler(current: &mut Current) {
    match restart_code(current) {
        Some(Errno::ERESTART_RESTARTBLOCK) => restart(current, Some(NR_RESTART_SYSCALL)),
        Some(_) => restart(current, current.orig_rax),
        None => {}
    }
    current.orig_rax = None;
    super::end_temporary_mask(&current.task, false);
}

fn restart(current: &mut Current, number: Option<u64>) {
    let Some(number) = number else { return };
    let regs = current.context.regs_mut();
    regs.rax = number;
    regs.rip = regs.rip.wrapping_sub(SYSCALL_LEN);
}
