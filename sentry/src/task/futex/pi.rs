//! Futexes that hand ownership over in the kernel (`FUTEX_LOCK_PI`). The word holds the owner's thread id; priorities are not
//! inherited, because the host schedules the threads: what remains is that a lock passes to the longest waiting.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use super::SharedWaiter;
use super::queue::{PiWaiter, Waiter};
use crate::Errno;
use crate::kernel::executor::suspend;
use crate::kernel::timer::Deadline;
use crate::mm::FutexKey;
use crate::task::Current;
use crate::task::current::current_waker;

const WAITERS: u32 = 0x8000_0000;
const OWNER_DIED: u32 = 0x4000_0000;
const TID_MASK: u32 = 0x3fff_ffff;

/// `FUTEX_LOCK_PI`, `FUTEX_LOCK_PI2`, and with `only_try` `FUTEX_TRYLOCK_PI`.
///
/// # Errors
/// EDEADLK when the caller owns it; EAGAIN when trying and it is owned; ESRCH when its owner does not exist; ETIMEDOUT;
/// ERESTARTNOINTR for a signal.
pub async fn lock_pi(
    current: &mut Current,
    addr: u64,
    private: bool,
    until: Option<Deadline>,
    only_try: bool,
) -> Result<(), Errno> {
    let key = super::key(current, addr, private)?;
    let own = current.task.tid;
    if try_lock(current, addr, own, only_try)? == Attempt::Locked {
        return Ok(());
    }
    if only_try {
        return Err(Errno::EAGAIN);
    }
    let waker = current_waker().await;
    let kernel = current.kernel.clone();
    let pi = PiWaiter { tid: own, addr, owner: Mutex::new(0), failed: AtomicBool::new(false) };
    let queued = kernel.futexes.enqueue(key, Waiter::for_ownership(waker.clone(), pi));
    let waiter = queued.waiter().clone();
    let _timer = until.map(|deadline| kernel.timers.arm(deadline, waker));
    // Queued first, so that an owner who unlocks from now on either finds us or leaves a word that we can take.
    match announce(current, &waiter, addr, own) {
        Ok(Attempt::Locked) if kernel.futexes.withdraw(&waiter) => return Ok(()),
        Ok(_) => {}
        Err(errno) => {
            return if kernel.futexes.withdraw(&waiter) { Err(errno) } else { handed_over(&waiter).await };
        }
    }
    current.context.will_block();
    loop {
        if waiter.is_woken() {
            return handed_over(&waiter).await;
        }
        let ended = if current.has_signal() {
            Errno::ERESTARTNOINTR
        } else if until.is_some_and(Deadline::has_passed) {
            Errno::ETIMEDOUT
        } else {
            suspend().await;
            continue;
        };
        return if kernel.futexes.withdraw(&waiter) { Err(ended) } else { handed_over(&waiter).await };
    }
}

/// `FUTEX_UNLOCK_PI`
///
/// # Errors
/// EPERM when the caller does not own it.
pub fn unlock_pi(current: &mut Current, addr: u64, private: bool) -> Result<(), Errno> {
    let key = super::key(current, addr, private)?;
    let word = current.read_object::<u32>(addr)?;
    if word & TID_MASK != current.task.tid as u32 {
        return Err(Errno::EPERM);
    }
    hand_over(current, key, addr, 0)
}

/// Passes on the words that others wait to get from this task, which exits.
pub fn exit_pi(current: &mut Current) {
    if current.kernel.futexes.pi_waiters.load(Ordering::SeqCst) == 0 {
        return;
    }
    for (key, addr) in current.kernel.futexes.owed_by(current.task.tid) {
        // A word of another address space is passed on by a thread of that space, when it looks at it.
        let is_ours = super::key(current, addr, false) == Ok(key) || super::key(current, addr, true) == Ok(key);
        let owned = current.read_object::<u32>(addr).is_ok_and(|word| word & TID_MASK == current.task.tid as u32);
        if is_ours && owned {
            let _ = hand_over(current, key, addr, OWNER_DIED);
        }
    }
}

/// Gives the word, which the current task owns, to the longest waiting, or frees it.
pub(super) fn hand_over(current: &mut Current, key: FutexKey, addr: u64, flags: u32) -> Result<(), Errno> {
    let kernel = current.kernel.clone();
    loop {
        // Read before looking for waiters: one who queues itself afterwards changes the word, and the exchange below fails.
        let word = current.read_object::<u32>(addr)?;
        let Some(waiter) = kernel.futexes.claim(key) else {
            if exchange(current, addr, word, flags)? == word {
                return Ok(());
            }
            continue;
        };
        let tid = waiter.pi.as_ref().map_or(0, |pi| pi.tid as u32);
        // Whether others wait is not looked at: the bit at worst makes the next owner unlock by the kernel.
        let result = give(current, addr, tid | flags | WAITERS);
        if let (Err(_), Some(pi)) = (&result, &waiter.pi) {
            pi.failed.store(true, Ordering::SeqCst);
        }
        waiter.wake();
        return result;
    }
}

fn give(current: &mut Current, addr: u64, new: u32) -> Result<(), Errno> {
    let mut word = current.read_object::<u32>(addr)?;
    while word & TID_MASK == current.task.tid as u32 {
        match exchange(current, addr, word, new)? {
            seen if seen == word => return Ok(()),
            seen => word = seen,
        }
    }
    // The program itself has overwritten a word that we owned.
    Err(Errno::EINVAL)
}

fn exchange(current: &mut Current, addr: u64, old: u32, new: u32) -> Result<u32, Errno> {
    current.context.compare_exchange(addr, old, new).map_err(|_| Errno::EFAULT)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Attempt {
    Locked,
    Owned,
}

fn try_lock(current: &mut Current, addr: u64, own: i32, only_try: bool) -> Result<Attempt, Errno> {
    let mut word = current.read_object::<u32>(addr)?;
    loop {
        let owner = word & TID_MASK;
        if owner == own as u32 {
            return Err(Errno::EDEADLK);
        }
        if owner != 0 {
            if !only_try && current.kernel.pids.task(owner as i32).is_none() {
                return Err(Errno::ESRCH);
            }
            return Ok(Attempt::Owned);
        }
        let new = word & (OWNER_DIED | WAITERS) | own as u32;
        let seen = exchange(current, addr, word, new)?;
        if seen == word {
            return Ok(Attempt::Locked);
        }
        word = seen;
    }
}

/// Sets the bit that makes the owner unlock by the kernel, or takes a word that became free.
fn announce(current: &mut Current, waiter: &Arc<Waiter>, addr: u64, own: i32) -> Result<Attempt, Errno> {
    let mut word = current.read_object::<u32>(addr)?;
    loop {
        let owner = word & TID_MASK;
        // It has just been handed to us.
        if owner == own as u32 {
            return Ok(Attempt::Owned);
        }
        let new = if owner == 0 { word & (OWNER_DIED | WAITERS) | own as u32 } else { word | WAITERS };
        if owner != 0 {
            if let Some(pi) = &waiter.pi {
                *pi.owner.lock() = owner as i32;
            }
            if current.kernel.pids.task(owner as i32).is_none() {
                return Err(Errno::ESRCH);
            }
        }
        let seen = exchange(current, addr, word, new)?;
        if seen == word {
            return Ok(if owner == 0 { Attempt::Locked } else { Attempt::Owned });
        }
        word = seen;
    }
}

/// Someone has taken the waiter out of the queue to give it the word: waits for that to be done, which takes no time.
async fn handed_over(waiter: &SharedWaiter) -> Result<(), Errno> {
    while !waiter.is_woken() {
        suspend().await;
    }
    let failed = waiter.pi.as_ref().is_some_and(|pi| pi.failed.load(Ordering::SeqCst));
    if failed { Err(Errno::EFAULT) } else { Ok(()) }
}
