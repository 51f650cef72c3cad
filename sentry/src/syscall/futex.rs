//! Futexes (`man 2 futex`, `man 2 get_robust_list`, and the newer calls of `futex_waitv`'s family).

use abi::types::Timespec;
use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::Args;
use crate::kernel::timer::Deadline;
use crate::task::futex::{self, ANY, WAITV_MAX, WakeOp, Word};
use crate::task::{Capability, Current};
use crate::time::realtime_deadline;
use crate::{Errno, SysResult};

const PRIVATE: u32 = 128;
const REALTIME: u32 = 256;

const WAIT: u32 = 0;
const WAKE: u32 = 1;
const REQUEUE: u32 = 3;
const CMP_REQUEUE: u32 = 4;
const WAKE_OP: u32 = 5;
const LOCK_PI: u32 = 6;
const UNLOCK_PI: u32 = 7;
const TRYLOCK_PI: u32 = 8;
const WAIT_BITSET: u32 = 9;
const WAKE_BITSET: u32 = 10;
const LOCK_PI2: u32 = 13;

/// Size of `struct robust_list_head`.
const ROBUST_HEAD_SIZE: u64 = 24;
const CLOCK_REALTIME: i32 = 0;
const CLOCK_MONOTONIC: i32 = 1;

/// `futex(uaddr, op, val, timeout | val2, uaddr2, val3)`
pub async fn futex(current: &mut Current, args: Args) -> SysResult {
    let (addr, value) = (args.u64(0), args.u32(2));
    let (op, private) = (args.u32(1) & !(PRIVATE | REALTIME), args.u32(1) & PRIVATE != 0);
    let realtime = args.u32(1) & REALTIME != 0;
    if realtime && !matches!(op, WAIT_BITSET | LOCK_PI2) {
        return Err(Errno::ENOSYS);
    }
    match op {
        WAIT | WAIT_BITSET => {
            let absolute = op == WAIT_BITSET;
            let until = match read_timeout(current, args.u64(3))? {
                None => None,
                Some(ns) if realtime => Some(realtime_deadline(ns)),
                Some(ns) if absolute => Some(Deadline(ns as u64)),
                Some(ns) => Some(Deadline::after_ns(ns as u64)),
            };
            let bitset = if absolute { args.u32(5) } else { ANY };
            futex::wait(current, Word { addr, value, private, bitset }, until).await.map(|()| 0)
        }
        WAKE => wake(current, addr, private, value, ANY),
        WAKE_BITSET => wake(current, addr, private, value, args.u32(5)),
        REQUEUE | CMP_REQUEUE => {
            let expected = (op == CMP_REQUEUE).then(|| args.u32(5));
            let (wake, requeue) = (count(value)?, count(args.u32(3))?);
            let to = (args.u64(4), private);
            futex::requeue(current, (addr, private), to, wake, requeue, expected).map(u64::from)
        }
        WAKE_OP => {
            let counts = (at_least_one(value), at_least_one(args.u32(3)));
            futex::wake_op(current, addr, args.u64(4), private, counts, WakeOp(args.u32(5))).map(u64::from)
        }
        LOCK_PI | LOCK_PI2 => {
            let until = match read_timeout(current, args.u64(3))? {
                None => None,
                Some(ns) if op == LOCK_PI || realtime => Some(realtime_deadline(ns)),
                Some(ns) => Some(Deadline(ns as u64)),
            };
            futex::lock_pi(current, addr, private, until, false).await.map(|()| 0)
        }
        TRYLOCK_PI => futex::lock_pi(current, addr, private, None, true).await.map(|()| 0),
        UNLOCK_PI => futex::unlock_pi(current, addr, private).map(|()| 0),
        _ => Err(Errno::ENOSYS),
    }
}

/// Goes on with a wait that a signal without handler interrupted.
pub async fn restart(current: &mut Current, word: Word, until: Option<Deadline>) -> SysResult {
    futex::wait(current, word, until).await.map(|()| 0)
}

/// `struct futex_waitv`
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
struct WaitV {
    value: u64,
    addr: u64,
    flags: u32,
    reserved: u32,
}

impl WaitV {
    fn word(&self) -> Result<Word, Errno> {
        if self.reserved != 0 || self.value > u64::from(u32::MAX) {
            return Err(Errno::EINVAL);
        }
        let private = check_flags(self.flags)?;
        Ok(Word { addr: self.addr, value: self.value as u32, private, bitset: ANY })
    }
}

/// `futex_waitv(waiters, nr_futexes, flags, timeout, clockid)`
pub async fn futex_waitv(current: &mut Current, args: Args) -> SysResult {
    let count = args.u32(1);
    if args.u32(2) != 0 || count == 0 || count > WAITV_MAX || args.u64(0) == 0 {
        return Err(Errno::EINVAL);
    }
    let until = read_clock_timeout(current, args.u64(3), args.i32(4))?;
    let waiters: Vec<WaitV> = current.read_array(args.u64(0), count as usize)?;
    let words = waiters.iter().map(WaitV::word).collect::<Result<Vec<_>, _>>()?;
    futex::wait_any(current, &words, until).await.map(|index| index as u64)
}

/// `futex_wait(uaddr, val, mask, flags, timeout, clockid)`
pub async fn futex_wait(current: &mut Current, args: Args) -> SysResult {
    let private = check_flags(args.u32(3))?;
    let until = read_clock_timeout(current, args.u64(4), args.i32(5))?;
    let (value, bitset) = (u32::try_from(args.u64(1)), u32::try_from(args.u64(2)));
    let (Ok(value), Ok(bitset)) = (value, bitset) else { return Err(Errno::EINVAL) };
    futex::wait(current, Word { addr: args.u64(0), value, private, bitset }, until).await.map(|()| 0)
}

/// `futex_wake(uaddr, mask, nr, flags)`
pub fn futex_wake(current: &mut Current, args: Args) -> SysResult {
    let private = check_flags(args.u32(3))?;
    let bitset = u32::try_from(args.u64(1)).map_err(|_| Errno::EINVAL)?;
    let key = futex::key(current, args.u64(0), private)?;
    if bitset == 0 {
        return Err(Errno::EINVAL);
    }
    // Unlike FUTEX_WAKE, zero wakes nobody here (`FLAGS_STRICT`).
    Ok(u64::from(current.kernel.futexes.wake(key, args.i32(2).max(0) as u32, bitset)))
}

/// `futex_requeue(waiters, flags, nr_wake, nr_requeue)`
pub fn futex_requeue(current: &mut Current, args: Args) -> SysResult {
    if args.u32(1) != 0 || args.u64(0) == 0 {
        return Err(Errno::EINVAL);
    }
    let waiters: Vec<WaitV> = current.read_array(args.u64(0), 2)?;
    let (from, to) = (waiters[0].word()?, waiters[1].word()?);
    let (wake, requeue) = (count(args.u32(2))?, count(args.u32(3))?);
    let (source, target) = ((from.addr, from.private), (to.addr, to.private));
    futex::requeue(current, source, target, wake, requeue, Some(from.value)).map(u64::from)
}

/// `set_robust_list(head, len)`
pub fn set_robust_list(current: &mut Current, args: Args) -> SysResult {
    if args.u64(1) != ROBUST_HEAD_SIZE {
        return Err(Errno::EINVAL);
    }
    current.task.state.lock().robust_list = args.u64(0);
    Ok(0)
}

/// `get_robust_list(pid, head, len)`
pub fn get_robust_list(current: &mut Current, args: Args) -> SysResult {
    let task = match args.i32(0) {
        0 => current.task.clone(),
        tid => current.kernel.pids.task(tid).ok_or(Errno::ESRCH)?,
    };
    let (own, theirs) = (current.task.credentials(), task.credentials());
    let same = [theirs.uid, theirs.euid, theirs.suid].iter().all(|&uid| uid == own.uid);
    if !same && !own.has(Capability::SYS_PTRACE) {
        return Err(Errno::EPERM);
    }
    let head = task.state.lock().robust_list;
    current.write_object(args.u64(2), &ROBUST_HEAD_SIZE)?;
    current.write_object(args.u64(1), &head)?;
    Ok(0)
}

fn wake(current: &mut Current, addr: u64, private: bool, value: u32, bitset: u32) -> SysResult {
    if bitset == 0 {
        return Err(Errno::EINVAL);
    }
    let key = futex::key(current, addr, private)?;
    Ok(u64::from(current.kernel.futexes.wake(key, at_least_one(value), bitset)))
}

/// Linux wakes one where zero or less was asked for.
fn at_least_one(value: u32) -> u32 {
    (value as i32).max(1) as u32
}

fn count(value: u32) -> Result<u32, Errno> {
    if (value as i32) < 0 { Err(Errno::EINVAL) } else { Ok(value) }
}

/// Whether `FUTEX2_PRIVATE` is set; only 32-bit words are supported, as in Linux.
fn check_flags(flags: u32) -> Result<bool, Errno> {
    const SIZE_32: u32 = 2;
    match flags & !PRIVATE {
        SIZE_32 => Ok(flags & PRIVATE != 0),
        _ => Err(Errno::EINVAL),
    }
}

fn read_timeout(current: &mut Current, addr: u64) -> Result<Option<i64>, Errno> {
    if addr == 0 {
        return Ok(None);
    }
    let timeout: Timespec = current.read_object(addr)?;
    if timeout.is_valid() { Ok(Some(timeout.to_ns())) } else { Err(Errno::EINVAL) }
}

fn read_clock_timeout(current: &mut Current, addr: u64, clock: i32) -> Result<Option<Deadline>, Errno> {
    if addr == 0 {
        return Ok(None);
    }
    if clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC {
        return Err(Errno::EINVAL);
    }
    let ns = read_timeout(current, addr)?.unwrap_or(0);
    Ok(Some(if clock == CLOCK_REALTIME { realtime_deadline(ns) } else { Deadline(ns as u64) }))
}
