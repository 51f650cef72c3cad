//! Dispositions: what a process does with each signal (`man 2 sigaction`).

use abi::signal::{SigAction, SigSet, Signal};
use parking_lot::Mutex;

/// `SIG_DFL`
pub const SIG_DFL: u64 = 0;
/// `SIG_IGN`
pub const SIG_IGN: u64 = 1;

bitflags::bitflags! {
    /// `SA_*` (`man 2 sigaction`).
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
    pub struct ActionFlags: u64 {
        /// `SA_NOCLDSTOP`
        const NOCLDSTOP = 0x1;
        /// `SA_NOCLDWAIT`
        const NOCLDWAIT = 0x2;
        /// `SA_SIGINFO`
        const SIGINFO = 0x4;
        /// `SA_UNSUPPORTED`: always cleared, so that programs can find out which flags are known.
        const UNSUPPORTED = 0x400;
        /// `SA_EXPOSE_TAGBITS`
        const EXPOSE_TAGBITS = 0x800;
        /// `SA_RESTORER`
        const RESTORER = 0x0400_0000;
        /// `SA_ONSTACK`
        const ONSTACK = 0x0800_0000;
        /// `SA_RESTART`
        const RESTART = 0x1000_0000;
        /// `SA_NODEFER`
        const NODEFER = 0x4000_0000;
        /// `SA_RESETHAND`
        const RESETHAND = 0x8000_0000;
    }
}

/// The flags that `rt_sigaction` keeps (Linux's `UAPI_SA_FLAGS` on x86).
pub const KNOWN_FLAGS: ActionFlags = ActionFlags::all().difference(ActionFlags::UNSUPPORTED);

/// What a signal does without a handler (`man 7 signal`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DefaultAction {
    /// Nothing.
    Ignore,
    /// Stops the process.
    Stop,
    /// Ends the process.
    Terminate,
    /// Ends the process with a core dump.
    Core,
}

/// Signals whose default action is to stop.
pub const STOP_SIGNALS: SigSet = of(&[Signal::SIGSTOP, Signal::SIGTSTP, Signal::SIGTTIN, Signal::SIGTTOU]);
/// Signals that are ignored unless there is a handler.
pub const IGNORED_SIGNALS: SigSet = of(&[Signal::SIGCONT, Signal::SIGCHLD, Signal::SIGWINCH, Signal::SIGURG]);
/// Signals whose default action dumps core.
pub const CORE_SIGNALS: SigSet = of(&[
    Signal::SIGQUIT,
    Signal::SIGILL,
    Signal::SIGTRAP,
    Signal::SIGABRT,
    Signal::SIGFPE,
    Signal::SIGSEGV,
    Signal::SIGBUS,
    Signal::SIGSYS,
    Signal::SIGXCPU,
    Signal::SIGXFSZ,
]);
/// Signals raised by the instruction that is being executed; they are delivered before all others.
pub const SYNCHRONOUS_SIGNALS: SigSet =
    of(&[Signal::SIGSEGV, Signal::SIGBUS, Signal::SIGILL, Signal::SIGTRAP, Signal::SIGFPE, Signal::SIGSYS]);

const fn of(signals: &[Signal]) -> SigSet {
    let mut bits = 0;
    let mut n = 0;
    while n < signals.len() {
        bits |= SigSet::of(signals[n]).0;
        n += 1;
    }
    SigSet(bits)
}

/// What `signal` does by default.
pub fn default_action(signal: Signal) -> DefaultAction {
    if IGNORED_SIGNALS.contains(signal) {
        DefaultAction::Ignore
    } else if STOP_SIGNALS.contains(signal) {
        DefaultAction::Stop
    } else if CORE_SIGNALS.contains(signal) {
        DefaultAction::Core
    } else {
        DefaultAction::Terminate
    }
}

/// The dispositions of a process, shared with others by `CLONE_SIGHAND`.
pub struct ActionTable(Mutex<[SigAction; 64]>);

impl Default for ActionTable {
    fn default() -> ActionTable {
        ActionTable(Mutex::new([SigAction::default(); 64]))
    }
}

impl ActionTable {
    /// A copy for `fork`.
    pub fn copy(&self) -> ActionTable {
        ActionTable(Mutex::new(*self.0.lock()))
    }

    /// What is set for `signal`.
    pub fn get(&self, signal: Signal) -> SigAction {
        self.0.lock()[index(signal)]
    }

    /// Sets it and returns what was there.
    pub fn set(&self, signal: Signal, action: SigAction) -> SigAction {
        std::mem::replace(&mut self.0.lock()[index(signal)], action)
    }

    /// Resets handlers to the default, as `execve` does; ignored signals stay ignored.
    pub fn reset_handlers(&self) {
        for action in self.0.lock().iter_mut() {
            let handler = if action.handler == SIG_IGN { SIG_IGN } else { SIG_DFL };
            *action = SigAction { handler, ..SigAction::default() };
        }
    }

    /// Whether delivery of `signal` would do nothing.
    pub fn ignores(&self, signal: Signal) -> bool {
        match self.get(signal).handler {
            SIG_IGN => true,
            SIG_DFL => IGNORED_SIGNALS.contains(signal),
            _ => false,
        }
    }

    /// All signals with a handler, and all that are explicitly ignored (`SigCgt`, `SigIgn` of `/proc/PID/status`).
    pub fn caught_and_ignored(&self) -> (SigSet, SigSet) {
        let (mut caught, mut ignored) = (SigSet::EMPTY, SigSet::EMPTY);
        for (n, action) in self.0.lock().iter().enumerate() {
            match action.handler {
                SIG_DFL => {}
                SIG_IGN => ignored.0 |= 1 << n,
                _ => caught.0 |= 1 << n,
            }
        }
        (caught, ignored)
    }
}

fn index(signal: Signal) -> usize {
    usize::from(signal.number()) - 1
}
