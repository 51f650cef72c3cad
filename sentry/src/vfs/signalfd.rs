//! Signalfd (`man 2 signalfd`): pending signals as something to read.

use std::sync::{Arc, Weak};

use abi::signal::{SigInfo, SigSet, Signal};
use parking_lot::Mutex;

use super::{File, FileDescription, IoPosition, Metadata, OpenFlags, anonymous};
use crate::Errno;
use crate::kernel::wait_queue::{Readiness, WaitQueue};
use crate::signal;
use crate::task::{Current, Task};

/// Size of `struct signalfd_siginfo`.
const RECORD: usize = 128;

/// A signalfd. A read takes signals of the task that reads; readiness is that of the task which made it or read it last.
pub struct SignalFd {
    mask: Mutex<SigSet>,
    task: Mutex<Weak<Task>>,
}

impl SignalFd {
    /// An open signalfd for the signals of `mask`.
    pub fn open(current: &Current, mask: SigSet, flags: OpenFlags) -> Arc<FileDescription> {
        let signalfd = SignalFd {
            mask: Mutex::new(mask.without(SigSet::UNBLOCKABLE)),
            task: Mutex::new(Arc::downgrade(&current.task)),
        };
        FileDescription::new(Arc::new(signalfd), None, flags | OpenFlags::RDWR)
    }

    /// Replaces the set of signals.
    pub fn set_mask(&self, mask: SigSet) {
        *self.mask.lock() = mask.without(SigSet::UNBLOCKABLE);
        if let Some(queue) = self.wait_queue() {
            queue.wake(Readiness::READABLE);
        }
    }
}

impl File for SignalFd {
    fn read(&self, _at: IoPosition, buf: &mut [u8], current: &Current) -> Result<usize, Errno> {
        if buf.len() < RECORD {
            return Err(Errno::EINVAL);
        }
        *self.task.lock() = Arc::downgrade(&current.task);
        let mask = *self.mask.lock();
        let mut done = 0;
        for slot in buf.chunks_exact_mut(RECORD) {
            let Some(info) = signal::dequeue(&current.task, mask) else { break };
            slot.copy_from_slice(&record(&info));
            done += RECORD;
        }
        if done == 0 { Err(Errno::EAGAIN) } else { Ok(done) }
    }

    fn readiness(&self) -> Readiness {
        let Some(task) = self.task.lock().upgrade() else { return Readiness::empty() };
        let mask = *self.mask.lock();
        if signal::pending(&task).and(mask).is_empty() { Readiness::empty() } else { Readiness::IN }
    }

    fn wait_queue(&self) -> Option<WaitQueue> {
        let task = self.task.lock().upgrade();
        Some(task.map_or_else(WaitQueue::new, |task| task.group.signals.lock().arrivals.clone()))
    }

    fn metadata(&self) -> Result<Metadata, Errno> {
        Ok(anonymous::metadata())
    }

    fn description(&self) -> String {
        "anon_inode:[signalfd]".into()
    }

    fn fdinfo(&self) -> String {
        format!("sigmask:\t{:016x}\n", self.mask.lock().0)
    }
}

/// `struct signalfd_siginfo`: which fields of `siginfo` count depends on where the signal comes from (Linux's
/// `siginfo_layout`).
fn record(info: &SigInfo) -> [u8; RECORD] {
    let mut out = [0; RECORD];
    let mut put = |at: usize, bytes: &[u8]| out[at..at + bytes.len()].copy_from_slice(bytes);
    let field = |from: usize, len: usize| &info.fields[from..from + len];
    put(0, &info.signo.to_ne_bytes());
    put(4, &info.errno.to_ne_bytes());
    put(8, &info.code.to_ne_bytes());
    let is = |signal: Signal| info.signo == i32::from(signal.number());
    let from_kernel = info.code > 0 && info.code != SigInfo::SI_KERNEL;
    if info.code == SigInfo::SI_TIMER {
        put(24, field(0, 4)); // tid
        put(32, field(4, 4)); // overrun
        put(44, field(8, 4)); // int
        put(48, field(8, 8)); // ptr
        return out;
    }
    if from_kernel
        && [Signal::SIGSEGV, Signal::SIGBUS, Signal::SIGILL, Signal::SIGFPE, Signal::SIGTRAP].into_iter().any(is)
    {
        put(72, field(0, 8)); // addr
        return out;
    }
    if from_kernel && is(Signal::SIGIO) {
        put(28, field(0, 4)); // band
        put(20, field(8, 4)); // fd
        return out;
    }
    if from_kernel && is(Signal::SIGSYS) {
        put(88, field(0, 8)); // call_addr
        put(84, field(8, 4)); // syscall
        put(96, field(12, 4)); // arch
        return out;
    }
    put(12, field(0, 4)); // pid
    put(16, field(4, 4)); // uid
    if from_kernel && is(Signal::SIGCHLD) {
        put(40, field(8, 4)); // status
        put(56, field(16, 8)); // utime
        put(64, field(24, 8)); // stime
    } else if info.code < 0 && info.code != SigInfo::SI_TKILL {
        put(44, field(8, 4)); // int
        put(48, field(8, 8)); // ptr
    }
    out
}
