//! Advisory locks: record locks of processes and of open file descriptions (`man 2 fcntl`), and `flock`.

use std::collections::HashMap;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

use crate::Errno;
use crate::kernel::wait_queue::WaitQueue;

/// Whom a lock belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Owner {
    /// A process: the identity of its descriptor table.
    Process(usize),
    /// An open file description, by id.
    Description(u64),
}

/// Shared or exclusive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LockKind {
    /// `F_RDLCK`, `LOCK_SH`
    Shared,
    /// `F_WRLCK`, `LOCK_EX`
    Exclusive,
}

/// A range of bytes, both ends included.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Range {
    /// First byte.
    pub start: u64,
    /// Last byte; `i64::MAX` for "to the end of the file, however far that is".
    pub end: u64,
}

/// A record lock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RecordLock {
    /// Whose it is.
    pub owner: Owner,
    /// Process id that `F_GETLK` reports; -1 for open file description locks.
    pub pid: i32,
    /// Shared or exclusive.
    pub kind: LockKind,
    /// What it covers.
    pub range: Range,
}

/// The locks of a file system's files.
#[derive(Default)]
pub struct LockTable {
    held: AtomicUsize,
    inodes: Mutex<HashMap<u64, InodeLocks>>,
    queue: WaitQueue,
}

#[derive(Default)]
struct InodeLocks {
    records: Vec<RecordLock>,
    flocks: Vec<(u64, LockKind)>,
}

impl Range {
    fn overlaps(self, other: Range) -> bool {
        self.start <= other.end && other.start <= self.end
    }
    fn touches(self, other: Range) -> bool {
        self.start <= other.end.saturating_add(1) && other.start <= self.end.saturating_add(1)
    }
}

impl LockTable {
    /// Woken when a lock is released or weakened.
    pub fn queue(&self) -> &WaitQueue {
        &self.queue
    }

    /// Whether no file has a lock (then closing need not look).
    pub fn is_empty(&self) -> bool {
        self.held.load(Ordering::SeqCst) == 0
    }

    /// A lock that stands in the way of `wanted`.
    pub fn conflict(&self, ino: u64, wanted: &RecordLock) -> Option<RecordLock> {
        self.inodes.lock().get(&ino)?.conflict(wanted)
    }

    /// Takes `wanted`, which replaces what the owner has in its range.
    ///
    /// # Errors
    /// The lock that stands in the way.
    pub fn set(&self, ino: u64, wanted: RecordLock) -> Result<(), RecordLock> {
        {
            let mut inodes = self.inodes.lock();
            let locks = inodes.entry(ino).or_default();
            if let Some(conflict) = locks.conflict(&wanted) {
                return Err(conflict);
            }
            locks.cut(wanted.owner, wanted.range);
            locks.join(wanted);
            self.settle(&mut inodes, ino);
        }
        // An exclusive lock may have become a shared one.
        self.queue.wake_all();
        Ok(())
    }

    /// Releases what `owner` has in `range`.
    pub fn clear(&self, ino: u64, owner: Owner, range: Range) {
        if self.is_empty() {
            return;
        }
        {
            let mut inodes = self.inodes.lock();
            let Some(locks) = inodes.get_mut(&ino) else { return };
            locks.cut(owner, range);
            self.settle(&mut inodes, ino);
        }
        self.queue.wake_all();
    }

    /// Releases all that `owner` has on one file.
    pub fn clear_file(&self, ino: u64, owner: Owner) {
        self.clear(ino, owner, Range { start: 0, end: u64::MAX });
    }

    /// `flock` for the description `id`; `None` unlocks. A change of kind releases the old lock first, as Linux does.
    ///
    /// # Errors
    /// EAGAIN when another description's lock stands in the way.
    pub fn flock(&self, ino: u64, id: u64, kind: Option<LockKind>) -> Result<(), Errno> {
        let taken = {
            let mut inodes = self.inodes.lock();
            let locks = inodes.entry(ino).or_default();
            if kind.is_some() && locks.flocks.iter().any(|(owner, held)| *owner == id && Some(*held) == kind) {
                return Ok(());
            }
            locks.flocks.retain(|(owner, _)| *owner != id);
            let free =
                |kind| locks.flocks.iter().all(|(_, held)| *held == LockKind::Shared && kind == LockKind::Shared);
            let taken = match kind {
                None => Ok(()),
                Some(kind) if free(kind) => {
                    locks.flocks.push((id, kind));
                    Ok(())
                }
                Some(_) => Err(Errno::EAGAIN),
            };
            self.settle(&mut inodes, ino);
            taken
        };
        if taken.is_ok() {
            self.queue.wake_all();
        }
        taken
    }

    fn settle(&self, inodes: &mut HashMap<u64, InodeLocks>, ino: u64) {
        if inodes.get(&ino).is_some_and(|locks| locks.records.is_empty() && locks.flocks.is_empty()) {
            inodes.remove(&ino);
        }
        self.held.store(inodes.len(), Ordering::SeqCst);
    }

    /// All locks for `/proc/locks`: inode number and lock.
    pub fn records(&self) -> Vec<(u64, RecordLock)> {
        let inodes = self.inodes.lock();
        inodes.iter().flat_map(|(ino, locks)| locks.records.iter().map(|lock| (*ino, *lock))).collect()
    }
}

impl InodeLocks {
    fn conflict(&self, wanted: &RecordLock) -> Option<RecordLock> {
        let against = |held: &&RecordLock| {
            held.owner != wanted.owner
                && held.range.overlaps(wanted.range)
                && (held.kind == LockKind::Exclusive || wanted.kind == LockKind::Exclusive)
        };
        self.records.iter().filter(against).min_by_key(|held| held.range.start).copied()
    }

    /// Takes `range` away from the owner's locks; what sticks out on either side stays.
    fn cut(&mut self, owner: Owner, range: Range) {
        let mut kept = Vec::with_capacity(self.records.len() + 1);
        for lock in self.records.drain(..) {
            if lock.owner != owner || !lock.range.overlaps(range) {
                kept.push(lock);
                continue;
            }
            if lock.range.start < range.start {
                kept.push(RecordLock { range: Range { start: lock.range.start, end: range.start - 1 }, ..lock });
            }
            if lock.range.end > range.end {
                kept.push(RecordLock { range: Range { start: range.end + 1, end: lock.range.end }, ..lock });
            }
        }
        self.records = kept;
    }

    /// Adds a lock, merged with equal neighbours of the same owner.
    fn join(&mut self, mut lock: RecordLock) {
        self.records.retain(|other| {
            let merges = other.owner == lock.owner && other.kind == lock.kind && other.range.touches(lock.range);
            if merges {
                lock.range.start = lock.range.start.min(other.range.start);
                lock.range.end = lock.range.end.max(other.range.end);
            }
            !merges
        });
        self.records.push(lock);
    }
}

/// Locks of files without a place in the tree (pipes, sockets, anonymous inodes).
pub static NAMELESS: LazyLock<LockTable> = LazyLock::new(LockTable::default);

/// Which owner waits for which: across file systems, for the detection of deadlocks.
static WAITING: Mutex<Vec<(Owner, Owner)>> = Mutex::new(Vec::new());

/// A note that an owner waits for a lock; taken back when dropped.
pub struct Waiting(Owner);

impl Waiting {
    /// Nothing noted yet.
    pub fn new(waiter: Owner) -> Waiting {
        Waiting(waiter)
    }

    /// Notes that the waiter waits for `holder`.
    ///
    /// # Errors
    /// EDEADLK when `holder` waits for the waiter, directly or through others.
    pub fn on(&self, holder: Owner) -> Result<(), Errno> {
        let mut waiting = WAITING.lock();
        waiting.retain(|(waiter, _)| *waiter != self.0);
        // Only processes can be known to wait: a description may be used by anyone.
        let mut at = holder;
        for _ in 0..=waiting.len() {
            if at == self.0 {
                return Err(Errno::EDEADLK);
            }
            match waiting.iter().find(|(waiter, _)| *waiter == at) {
                Some((_, next)) => at = *next,
                None => break,
            }
        }
        waiting.push((self.0, holder));
        Ok(())
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        WAITING.lock().retain(|(waiter, _)| *waiter != self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lock(owner: usize, kind: LockKind, start: u64, end: u64) -> RecordLock {
        RecordLock { owner: Owner::Process(owner), pid: owner as i32, kind, range: Range { start, end } }
    }

    #[test]
    fn unlocking_the_middle_splits_a_lock() {
        let table = LockTable::default();
        table.set(1, lock(1, LockKind::Exclusive, 0, 99)).unwrap();
        table.clear(1, Owner::Process(1), Range { start: 40, end: 59 });
        assert!(table.conflict(1, &lock(2, LockKind::Shared, 40, 59)).is_none());
        assert_eq!(table.conflict(1, &lock(2, LockKind::Shared, 0, 99)).unwrap().range, Range { start: 0, end: 39 });
        assert_eq!(table.conflict(1, &lock(2, LockKind::Shared, 50, 60)).unwrap().range, Range { start: 60, end: 99 });
    }

    #[test]
    fn neighbours_of_one_kind_merge() {
        let table = LockTable::default();
        table.set(1, lock(1, LockKind::Shared, 0, 9)).unwrap();
        table.set(1, lock(1, LockKind::Shared, 10, 19)).unwrap();
        assert_eq!(table.records().len(), 1);
        table.set(1, lock(1, LockKind::Exclusive, 5, 14)).unwrap();
        assert_eq!(table.records().len(), 3);
    }

    #[test]
    fn shared_locks_coexist_and_exclusive_ones_do_not() {
        let table = LockTable::default();
        table.set(1, lock(1, LockKind::Shared, 0, 9)).unwrap();
        table.set(1, lock(2, LockKind::Shared, 0, 9)).unwrap();
        assert!(table.set(1, lock(1, LockKind::Exclusive, 0, 0)).is_err());
        assert!(table.set(2, lock(3, LockKind::Exclusive, 0, 0)).is_ok(), "another file");
    }

    #[test]
    fn a_cycle_of_waiters_is_a_deadlock() {
        let (a, b) = (Owner::Process(0xa), Owner::Process(0xb));
        let first = Waiting::new(a);
        first.on(b).unwrap();
        assert_eq!(Waiting::new(b).on(a), Err(Errno::EDEADLK));
        drop(first);
        assert_eq!(Waiting::new(b).on(a), Ok(()));
    }
}
