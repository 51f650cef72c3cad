//! Futexes (`man 2 futex`): waiting on a word of guest memory until another thread says that it changed.
//!
//! Guest memory is read and changed by the caller's hands, never under a bucket's lock. No wake-up is lost: a waiter queues
//! itself *first* and reads the word *afterwards*; a waker has changed the word before it calls us. So either the waker finds
//! the waiter in the queue, or it looked before the waiter was there, and then the waiter reads the changed word. A waiter
//! that is woken before it has read the word counts as woken, whatever the word is: that is one of the spurious wake-ups that
//! the manual allows, and nobody else is deprived of the wake.

mod pi;
mod queue;
mod robust;

pub use pi::{exit_pi, lock_pi, unlock_pi};
pub use queue::Table;
pub use robust::exit_robust_list;

use std::sync::Arc;

use super::Current;
use super::current::{Restart, current_waker};
use crate::Errno;
use crate::kernel::executor::suspend;
use crate::kernel::timer::Deadline;
use crate::mm::FutexKey;
use queue::{Queued, Waiter};

/// `FUTEX_BITSET_MATCH_ANY`
pub const ANY: u32 = u32::MAX;
/// Most futexes of one `futex_waitv`.
pub const WAITV_MAX: u32 = 128;

/// A word to wait on.
#[derive(Clone, Copy, Debug)]
pub struct Word {
    /// Its address.
    pub addr: u64,
    /// What it must hold.
    pub value: u32,
    /// `FUTEX_PRIVATE_FLAG`
    pub private: bool,
    /// Which wakes are for us.
    pub bitset: u32,
}

/// `FUTEX_WAKE_OP`, decoded.
#[derive(Clone, Copy, Debug)]
pub struct WakeOp(pub u32);

/// The key of a word of the current task.
///
/// # Errors
/// EINVAL when unaligned, EFAULT where nothing can be.
pub fn key(current: &Current, addr: u64, private: bool) -> Result<FutexKey, Errno> {
    current.task.mm()?.futex_key(addr, private)
}

/// Waits on one word (`FUTEX_WAIT`, `FUTEX_WAIT_BITSET`).
///
/// # Errors
/// EAGAIN when the word holds another value; ETIMEDOUT; EFAULT; EINVAL; restart codes.
pub async fn wait(current: &mut Current, word: Word, until: Option<Deadline>) -> Result<(), Errno> {
    match wait_any(current, &[word], until).await {
        Ok(_) => Ok(()),
        Err(Errno::ERESTARTSYS) if until.is_some() => {
            let Word { addr, value, private, bitset } = word;
            current.restart = Some(Restart::Futex { addr, value, until, bitset, private });
            Err(Errno::ERESTART_RESTARTBLOCK)
        }
        Err(errno) => Err(errno),
    }
}

/// Waits on several words at once (`futex_waitv`); the index of one that was woken.
///
/// # Errors
/// As [`wait`], with ERESTARTSYS for a signal.
pub async fn wait_any(current: &mut Current, words: &[Word], until: Option<Deadline>) -> Result<usize, Errno> {
    let waker = current_waker().await;
    let kernel = current.kernel.clone();
    let mut queued: Vec<Queued<'_>> = Vec::with_capacity(words.len());
    for word in words {
        if word.bitset == 0 {
            return Err(Errno::EINVAL);
        }
        let key = key(current, word.addr, word.private)?;
        queued.push(kernel.futexes.enqueue(key, Waiter::new(waker.clone(), word.bitset)));
    }
    for word in words {
        let refused = match current.read_object::<u32>(word.addr) {
            Ok(value) if value == word.value => continue,
            Ok(_) => Errno::EAGAIN,
            Err(errno) => errno,
        };
        return woken(&mut queued).ok_or(refused);
    }
    let _timer = until.map(|deadline| kernel.timers.arm(deadline, waker));
    let mut told = false;
    loop {
        if queued.iter().any(Queued::is_woken) {
            return woken(&mut queued).ok_or(Errno::EAGAIN);
        }
        let ended = if current.has_signal() {
            Errno::ERESTARTSYS
        } else if until.is_some_and(Deadline::has_passed) {
            Errno::ETIMEDOUT
        } else {
            if !std::mem::replace(&mut told, true) {
                current.context.will_block();
            }
            suspend().await;
            continue;
        };
        // A wake that came in between must not be lost for the others.
        return woken(&mut queued).ok_or(ended);
    }
}

/// Leaves all queues; the index of the first that had been woken.
fn woken(queued: &mut Vec<Queued<'_>>) -> Option<usize> {
    let left: Vec<bool> = queued.drain(..).map(Queued::leave).collect();
    left.iter().position(|&still_queued| !still_queued)
}

/// Wakes at most `count` waiters on a word of the current task's memory, shared or private.
pub fn wake_at(current: &mut Current, addr: u64, count: u32) -> u32 {
    match key(current, addr, false) {
        Ok(key) => current.kernel.futexes.wake(key, count, ANY),
        Err(_) => 0,
    }
}

/// `FUTEX_REQUEUE` and `FUTEX_CMP_REQUEUE`: wakes `wake` waiters and moves `requeue` others to another word. Returns how many
/// were woken or moved.
///
/// # Errors
/// EAGAIN when the word does not hold `expected`; EFAULT, EINVAL.
pub fn requeue(
    current: &mut Current,
    from: (u64, bool),
    to: (u64, bool),
    wake: u32,
    requeue: u32,
    expected: Option<u32>,
) -> Result<u32, Errno> {
    let (from_key, to_key) = (key(current, from.0, from.1)?, key(current, to.0, to.1)?);
    if let Some(expected) = expected
        && current.read_object::<u32>(from.0)? != expected
    {
        return Err(Errno::EAGAIN);
    }
    Ok(current.kernel.futexes.requeue(from_key, to_key, wake, requeue))
}

/// `FUTEX_WAKE_OP`: changes the word at `second`, wakes `count` waiters of `first`, and `count2` of `second` if its old value
/// compares as asked for.
///
/// # Errors
/// EFAULT, EINVAL, ENOSYS for an unknown operation.
pub fn wake_op(
    current: &mut Current,
    first: u64,
    second: u64,
    private: bool,
    counts: (u32, u32),
    op: WakeOp,
) -> Result<u32, Errno> {
    let (first, second_key) = (key(current, first, private)?, key(current, second, private)?);
    let mut old = current.read_object::<u32>(second)?;
    loop {
        let seen = current.context.compare_exchange(second, old, op.apply(old)?).map_err(|_| Errno::EFAULT)?;
        if seen == old {
            break;
        }
        old = seen;
    }
    let also_second = op.compare(old)?;
    let mut woken = current.kernel.futexes.wake(first, counts.0, ANY);
    if also_second {
        woken += current.kernel.futexes.wake(second_key, counts.1, ANY);
    }
    Ok(woken)
}

impl WakeOp {
    fn operand(self) -> u32 {
        let operand = sign_extend(self.0 >> 12);
        // FUTEX_OP_OPARG_SHIFT
        if self.0 & 8 << 28 != 0 { 1u32.wrapping_shl(operand) } else { operand }
    }

    fn apply(self, old: u32) -> Result<u32, Errno> {
        let operand = self.operand();
        Ok(match self.0 >> 28 & 7 {
            0 => operand,
            1 => old.wrapping_add(operand),
            2 => old | operand,
            3 => old & !operand,
            4 => old ^ operand,
            _ => return Err(Errno::ENOSYS),
        })
    }

    fn compare(self, old: u32) -> Result<bool, Errno> {
        let (old, with) = (old as i32, sign_extend(self.0) as i32);
        Ok(match self.0 >> 24 & 15 {
            0 => old == with,
            1 => old != with,
            2 => old < with,
            3 => old <= with,
            4 => old > with,
            5 => old >= with,
            _ => return Err(Errno::ENOSYS),
        })
    }
}

/// The low 12 bits as a signed number.
fn sign_extend(value: u32) -> u32 {
    ((value << 20) as i32 >> 20) as u32
}

/// Wakers and waiters meet here.
pub(super) type SharedWaiter = Arc<Waiter>;

#[cfg(test)]
mod tests {
    use super::*;

    fn op(op: u32, operand: u32, cmp: u32, with: u32) -> WakeOp {
        WakeOp(op << 28 | cmp << 24 | (operand & 0xfff) << 12 | with & 0xfff)
    }

    #[test]
    fn a_wake_op_changes_and_compares_as_the_manual_says() {
        assert_eq!(op(0, 5, 0, 0).apply(9), Ok(5));
        assert_eq!(op(1, 0xfff, 0, 0).apply(9), Ok(8));
        assert_eq!(op(3, 1, 0, 0).apply(9), Ok(8));
        assert_eq!(op(8, 4, 0, 0).apply(9), Ok(16));
        assert_eq!(op(5, 0, 0, 0).apply(9), Err(Errno::ENOSYS));
        assert_eq!(op(0, 0, 2, 0).compare(u32::MAX), Ok(true));
        assert_eq!(op(0, 0, 4, 0xfff).compare(0), Ok(true));
        assert_eq!(op(0, 0, 9, 0).compare(0), Err(Errno::ENOSYS));
    }
}
