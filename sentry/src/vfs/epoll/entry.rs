//! One watched description, and the list of those that may be ready.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Wake, Waker};

use abi::types::EpollEvent;
use parking_lot::Mutex;

use super::EpollFlags;
use crate::kernel::wait_queue::{Readiness, Registration, WaitQueue};
use crate::vfs::FileDescription;

/// What entries and their instance share: wakes come here, from any thread, without a lock of the instance.
#[derive(Default)]
pub(super) struct Shared {
    pub queue: WaitQueue,
    ready: Mutex<VecDeque<Arc<Entry>>>,
}

/// A watched description.
pub(super) struct Entry {
    pub description: Weak<FileDescription>,
    /// Whether it is on the ready list.
    pub queued: AtomicBool,
    shared: Weak<Shared>,
    setting: Mutex<EpollEvent>,
    registration: Mutex<Option<Registration>>,
}

impl Shared {
    /// Number of entries that may be ready.
    pub fn ready_count(&self) -> usize {
        self.ready.lock().len()
    }

    /// Takes the first entry that may be ready; its `queued` is still set.
    pub fn take(&self) -> Option<Arc<Entry>> {
        self.ready.lock().pop_front()
    }

    /// All entries that may be ready.
    pub fn candidates(&self) -> Vec<Arc<Entry>> {
        self.ready.lock().iter().cloned().collect()
    }

    /// Appends `entry` unless it is there already.
    pub fn push(&self, entry: &Arc<Entry>) {
        if !entry.queued.swap(true, Ordering::SeqCst) {
            self.ready.lock().push_back(entry.clone());
        }
    }

    /// Lists `entry` and wakes those who wait, when `ready` has something it asks for.
    pub fn offer(&self, entry: &Arc<Entry>, ready: Readiness) {
        if ready.intersects(entry.interest()) {
            self.push(entry);
            self.queue.wake(Readiness::READABLE);
        }
    }
}

impl Entry {
    pub fn new(description: &Arc<FileDescription>, shared: &Arc<Shared>, event: EpollEvent) -> Arc<Entry> {
        Arc::new(Entry {
            description: Arc::downgrade(description),
            queued: AtomicBool::new(false),
            shared: Arc::downgrade(shared),
            setting: Mutex::new(with_always(event)),
            registration: Mutex::new(None),
        })
    }

    /// Events and data as last set.
    pub fn setting(&self) -> EpollEvent {
        *self.setting.lock()
    }

    /// Replaces them; errors and hang-ups are always reported.
    pub fn set(&self, event: EpollEvent) {
        *self.setting.lock() = with_always(event);
    }

    /// Registers with the file's queue, in place of an earlier registration.
    pub fn watch(self: &Arc<Self>, queue: &WaitQueue) {
        let interest = self.interest();
        let new = (!interest.is_empty()).then(|| queue.register(interest, Waker::from(self.clone())));
        let old = std::mem::replace(&mut *self.registration.lock(), new);
        drop(old);
    }

    /// Readiness it asks for; nothing once a one-shot event was given.
    pub fn interest(&self) -> Readiness {
        Readiness::from_bits_truncate(self.setting().events)
    }

    /// What the file is ready for of what is asked.
    pub fn ready_events(&self) -> Readiness {
        match self.description.upgrade() {
            Some(description) => description.file.readiness() & self.interest(),
            None => Readiness::empty(),
        }
    }

    /// After a one-shot event: silent until modified.
    pub fn disarm(&self) {
        let old = self.registration.lock().take();
        drop(old);
        self.setting.lock().events &= EpollFlags::all().bits();
    }

    /// It was removed from its instance.
    pub fn retire(self: &Arc<Self>) {
        // A wake that is under way may still list it; it then has nothing to tell.
        self.setting.lock().events = 0;
        let old = self.registration.lock().take();
        drop(old);
        if let Some(shared) = self.shared.upgrade() {
            shared.ready.lock().retain(|entry| !Arc::ptr_eq(entry, self));
        }
    }
}

fn with_always(event: EpollEvent) -> EpollEvent {
    EpollEvent { events: event.events | (Readiness::ERR | Readiness::HUP).bits(), data: event.data }
}

impl Wake for Entry {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if let Some(shared) = self.shared.upgrade() {
            shared.push(self);
            shared.queue.wake(Readiness::READABLE);
        }
    }
}
