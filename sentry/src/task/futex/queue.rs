//! Who waits on which word: queues in hashed buckets.

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::Waker;

use parking_lot::{Mutex, MutexGuard};

use crate::mm::FutexKey;

const BUCKETS: usize = 256;

/// All futex queues of the sandbox.
pub struct Table {
    buckets: Box<[Bucket]>,
    hasher: RandomState,
    /// How many waiters want to own their word: an exiting task looks for those it owes a wake only if there are any.
    pub(super) pi_waiters: AtomicUsize,
}

#[derive(Default)]
struct Bucket {
    /// Waiters in the bucket: a wake with nobody to wake does not lock.
    count: AtomicUsize,
    entries: Mutex<VecDeque<Entry>>,
}

struct Entry {
    key: FutexKey,
    waiter: Arc<Waiter>,
}

/// One who waits.
pub struct Waiter {
    woken: AtomicBool,
    /// Where it is queued; changed under the locks of both buckets when it is moved.
    key: Mutex<Option<FutexKey>>,
    bitset: u32,
    waker: Waker,
    /// For priority-inheritance futexes: who waits, and on whom.
    pub(super) pi: Option<PiWaiter>,
}

/// What a waiter for ownership says of itself.
pub struct PiWaiter {
    /// Thread id that will be stored in the word.
    pub(super) tid: i32,
    /// The address of the word in the waiter's address space.
    pub(super) addr: u64,
    /// The owner it last saw.
    pub(super) owner: Mutex<i32>,
    /// The word could not be changed for it.
    pub(super) failed: AtomicBool,
}

impl Waiter {
    /// Waits for wakes that touch `bitset`.
    pub(super) fn new(waker: Waker, bitset: u32) -> Waiter {
        Waiter { woken: AtomicBool::new(false), key: Mutex::new(None), bitset, waker, pi: None }
    }

    /// Waits to own the word.
    pub(super) fn for_ownership(waker: Waker, pi: PiWaiter) -> Waiter {
        Waiter { pi: Some(pi), ..Waiter::new(waker, super::ANY) }
    }

    pub(super) fn is_woken(&self) -> bool {
        self.woken.load(Ordering::SeqCst)
    }

    /// Ends its wait; it is in no queue any more.
    pub(super) fn wake(&self) {
        self.woken.store(true, Ordering::SeqCst);
        self.waker.wake_by_ref();
    }
}

/// A place in a queue; given up when dropped.
pub struct Queued<'a> {
    table: &'a Table,
    waiter: Arc<Waiter>,
}

impl Queued<'_> {
    pub(super) fn is_woken(&self) -> bool {
        self.waiter.is_woken()
    }

    pub(super) fn waiter(&self) -> &Arc<Waiter> {
        &self.waiter
    }

    /// Leaves the queue. False when it had been taken out to be woken.
    pub(super) fn leave(self) -> bool {
        self.table.withdraw(&self.waiter)
    }
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        self.table.withdraw(&self.waiter);
        if self.waiter.pi.is_some() {
            self.table.pi_waiters.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

impl Default for Table {
    fn default() -> Table {
        Table {
            buckets: (0..BUCKETS).map(|_| Bucket::default()).collect(),
            hasher: RandomState::new(),
            pi_waiters: AtomicUsize::new(0),
        }
    }
}

impl Table {
    /// Queues a waiter on `key`. It reads the word afterwards.
    pub(super) fn enqueue(&self, key: FutexKey, waiter: Waiter) -> Queued<'_> {
        let waiter = Arc::new(waiter);
        if waiter.pi.is_some() {
            self.pi_waiters.fetch_add(1, Ordering::SeqCst);
        }
        let bucket = self.bucket(&key);
        let mut entries = bucket.entries.lock();
        *waiter.key.lock() = Some(key);
        entries.push_back(Entry { key, waiter: waiter.clone() });
        bucket.count.store(entries.len(), Ordering::SeqCst);
        drop(entries);
        Queued { table: self, waiter }
    }

    /// Wakes at most `count` waiters of `key` whose bits meet `bitset`, the longest waiting first.
    pub fn wake(&self, key: FutexKey, count: u32, bitset: u32) -> u32 {
        let bucket = self.bucket(&key);
        // Sequentially consistent on both sides: the waiter counts itself before it reads the word, the waker changed the
        // word before it reads the count.
        if bucket.count.load(Ordering::SeqCst) == 0 {
            return 0;
        }
        let mut chosen = Vec::new();
        {
            let mut entries = bucket.entries.lock();
            let matches = |e: &Entry| e.key == key && e.waiter.bitset & bitset != 0 && e.waiter.pi.is_none();
            take(bucket, &mut entries, count, matches, &mut chosen);
        }
        chosen.iter().for_each(|waiter| waiter.wake());
        chosen.len() as u32
    }

    /// Wakes `wake` waiters of `from` and moves `requeue` others to `to`; how many in all.
    pub(super) fn requeue(&self, from: FutexKey, to: FutexKey, wake: u32, requeue: u32) -> u32 {
        let mut chosen = Vec::new();
        let mut moved = Vec::new();
        let (source, target) = (self.index(&from), self.index(&to));
        {
            let (mut entries, mut others) = self.lock_both(source, target);
            let matches = |e: &Entry| e.key == from && e.waiter.pi.is_none();
            take(&self.buckets[source], &mut entries, wake, matches, &mut chosen);
            if from == to {
                moved.extend(entries.iter().filter(|e| matches(e)).take(requeue as usize).map(|e| e.waiter.clone()));
            } else {
                take(&self.buckets[source], &mut entries, requeue, matches, &mut moved);
                let target_entries = others.as_mut().unwrap_or(&mut entries);
                for waiter in &moved {
                    *waiter.key.lock() = Some(to);
                    target_entries.push_back(Entry { key: to, waiter: waiter.clone() });
                }
                self.buckets[target].count.store(target_entries.len(), Ordering::SeqCst);
            }
        }
        chosen.iter().for_each(|waiter| waiter.wake());
        (chosen.len() + moved.len()) as u32
    }

    /// Takes the first waiter for ownership of `key` out of its queue.
    pub(super) fn claim(&self, key: FutexKey) -> Option<Arc<Waiter>> {
        let bucket = self.bucket(&key);
        let mut entries = bucket.entries.lock();
        let mut chosen = Vec::new();
        take(bucket, &mut entries, 1, |e| e.key == key && e.waiter.pi.is_some(), &mut chosen);
        chosen.pop()
    }

    /// The words that others wait to get from `owner`.
    pub(super) fn owed_by(&self, owner: i32) -> Vec<(FutexKey, u64)> {
        let mut owed = Vec::new();
        for bucket in self.buckets.iter().filter(|bucket| bucket.count.load(Ordering::SeqCst) > 0) {
            for entry in bucket.entries.lock().iter() {
                if let Some(pi) = entry.waiter.pi.as_ref().filter(|pi| *pi.owner.lock() == owner) {
                    owed.push((entry.key, pi.addr));
                }
            }
        }
        owed.sort_unstable();
        owed.dedup();
        owed
    }

    /// Takes a waiter out of its queue. False when it is in none.
    pub(super) fn withdraw(&self, waiter: &Arc<Waiter>) -> bool {
        loop {
            let Some(key) = *waiter.key.lock() else { return false };
            let bucket = self.bucket(&key);
            let mut entries = bucket.entries.lock();
            let now = *waiter.key.lock();
            if now != Some(key) {
                // It was moved or taken out before the bucket was locked.
                continue;
            }
            if let Some(at) = entries.iter().position(|e| Arc::ptr_eq(&e.waiter, waiter)) {
                entries.remove(at);
            }
            *waiter.key.lock() = None;
            bucket.count.store(entries.len(), Ordering::SeqCst);
            return true;
        }
    }

    fn index(&self, key: &FutexKey) -> usize {
        self.hasher.hash_one(key) as usize % BUCKETS
    }

    fn bucket(&self, key: &FutexKey) -> &Bucket {
        &self.buckets[self.index(key)]
    }

    /// Locks two buckets in the order of their numbers; the second is `None` when they are one.
    fn lock_both(&self, first: usize, second: usize) -> (Locked<'_>, Option<Locked<'_>>) {
        if first == second {
            return (self.buckets[first].entries.lock(), None);
        }
        if first < second {
            let a = self.buckets[first].entries.lock();
            return (a, Some(self.buckets[second].entries.lock()));
        }
        let b = self.buckets[second].entries.lock();
        (self.buckets[first].entries.lock(), Some(b))
    }
}

type Locked<'a> = MutexGuard<'a, VecDeque<Entry>>;

/// Takes at most `count` matching waiters out of a bucket.
fn take(
    bucket: &Bucket,
    entries: &mut VecDeque<Entry>,
    count: u32,
    matches: impl Fn(&Entry) -> bool,
    chosen: &mut Vec<Arc<Waiter>>,
) {
    let mut at = 0;
    let mut taken = 0;
    while taken < count && at < entries.len() {
        if !matches(&entries[at]) {
            at += 1;
            continue;
        }
        if let Some(entry) = entries.remove(at) {
            *entry.waiter.key.lock() = None;
            chosen.push(entry.waiter);
            taken += 1;
        }
    }
    bucket.count.store(entries.len(), Ordering::SeqCst);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiter(bitset: u32) -> Waiter {
        Waiter::new(Waker::noop().clone(), bitset)
    }

    const A: FutexKey = FutexKey::Private(1, 0x1000);
    const B: FutexKey = FutexKey::Private(1, 0x2000);

    #[test]
    fn the_longest_waiting_is_woken_first_and_only_by_its_bits() {
        let table = Table::default();
        let (first, second) = (table.enqueue(A, waiter(1)), table.enqueue(A, waiter(3)));
        assert_eq!(table.wake(B, 1, 1), 0);
        assert_eq!(table.wake(A, 1, 2), 1);
        assert!(!first.is_woken() && second.is_woken());
        assert_eq!(table.wake(A, 5, 1), 1);
        assert!(first.is_woken());
        assert!(!first.leave());
    }

    #[test]
    fn a_moved_waiter_is_woken_at_its_new_word_and_can_leave_it() {
        let table = Table::default();
        let (first, second, third) =
            (table.enqueue(A, waiter(1)), table.enqueue(A, waiter(1)), table.enqueue(A, waiter(1)));
        assert_eq!(table.requeue(A, B, 1, 2), 3);
        assert!(first.is_woken() && !second.is_woken());
        assert_eq!(table.wake(A, 9, 1), 0);
        assert!(second.leave());
        assert_eq!(table.wake(B, 9, 1), 1);
        assert!(third.is_woken());
    }

    #[test]
    fn who_leaves_is_not_woken() {
        let table = Table::default();
        let first = table.enqueue(A, waiter(1));
        assert!(first.leave());
        assert_eq!(table.wake(A, 1, 1), 0);
    }
}
