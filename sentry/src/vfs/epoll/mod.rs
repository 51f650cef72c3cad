//! Epoll (`man 7 epoll`): a set of watched descriptions and the list of those that may be ready.

mod entry;
mod nesting;
mod watchers;

pub use watchers::Watchers;

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock, Weak};

use abi::types::EpollEvent;
use parking_lot::Mutex;

use self::entry::{Entry, Shared};
use super::{File, FileDescription, Metadata, OpenFlags, anonymous};
use crate::Errno;
use crate::kernel::wait_queue::{Readiness, WaitQueue};

bitflags::bitflags! {
    /// The input flags of `epoll_ctl` beyond readiness.
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
    pub struct EpollFlags: u32 {
        /// `EPOLLEXCLUSIVE`
        const EXCLUSIVE = 1 << 28;
        /// `EPOLLWAKEUP`
        const WAKEUP = 1 << 29;
        /// `EPOLLONESHOT`
        const ONESHOT = 1 << 30;
        /// `EPOLLET`
        const EDGE = 1 << 31;
    }
}

/// What may stand beside `EPOLLEXCLUSIVE`.
const WITH_EXCLUSIVE: u32 = Readiness::IN.bits()
    | Readiness::OUT.bits()
    | Readiness::ERR.bits()
    | Readiness::HUP.bits()
    | EpollFlags::all().bits() & !EpollFlags::ONESHOT.bits();

/// An epoll instance.
pub struct Epoll {
    this: Weak<Epoll>,
    /// The one description of it.
    own: OnceLock<Weak<FileDescription>>,
    entries: Mutex<HashMap<Key, Arc<Entry>>>,
    shared: Arc<Shared>,
}

/// The same description may be watched under several descriptors.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    description: u64,
    fd: i32,
}

impl Epoll {
    /// An instance that watches nothing, open.
    pub fn open() -> Arc<FileDescription> {
        let epoll = Arc::new_cyclic(|this| Epoll {
            this: this.clone(),
            own: OnceLock::new(),
            entries: Mutex::default(),
            shared: Arc::default(),
        });
        let description = FileDescription::new(epoll.clone(), None, OpenFlags::RDWR);
        let _ = epoll.own.set(Arc::downgrade(&description));
        description
    }

    /// `EPOLL_CTL_ADD`: watches `description` under the number `fd`.
    ///
    /// # Errors
    /// EEXIST; EPERM for a file that is always ready; EINVAL for this instance itself or bad flags with `EPOLLEXCLUSIVE`;
    /// ELOOP when epolls would watch each other or nest deeper than five.
    pub fn add(&self, fd: i32, description: &Arc<FileDescription>, event: EpollEvent) -> Result<(), Errno> {
        let queue = description.file.wait_queue().ok_or(Errno::EPERM)?;
        let events = event.events;
        if events & EpollFlags::EXCLUSIVE.bits() != 0
            && (events & !WITH_EXCLUSIVE != 0 || description.downcast::<Epoll>().is_some())
        {
            return Err(Errno::EINVAL);
        }
        let key = Key { description: description.id, fd };
        // Held to the end: two instances that are added to each other at the same time must not both be found free of loops.
        let _nesting = match description.downcast::<Epoll>() {
            Some(inner) => Some(nesting::check(self, inner)?),
            None => None,
        };
        let entry = Entry::new(description, &self.shared, event);
        {
            let mut entries = self.entries.lock();
            if entries.contains_key(&key) {
                return Err(Errno::EEXIST);
            }
            entries.insert(key, entry.clone());
        }
        description.watchers.add(&self.this);
        entry.watch(&queue);
        self.shared.offer(&entry, description.file.readiness());
        Ok(())
    }

    /// `EPOLL_CTL_MOD`: replaces events and data; a one-shot entry is armed again.
    ///
    /// # Errors
    /// ENOENT; EINVAL for `EPOLLEXCLUSIVE`, old or new.
    pub fn modify(&self, fd: i32, description: &Arc<FileDescription>, event: EpollEvent) -> Result<(), Errno> {
        let queue = description.file.wait_queue().ok_or(Errno::EPERM)?;
        if event.events & EpollFlags::EXCLUSIVE.bits() != 0 {
            return Err(Errno::EINVAL);
        }
        let entry = self.entries.lock().get(&Key { description: description.id, fd }).cloned().ok_or(Errno::ENOENT)?;
        if entry.setting().events & EpollFlags::EXCLUSIVE.bits() != 0 {
            return Err(Errno::EINVAL);
        }
        entry.set(event);
        entry.watch(&queue);
        self.shared.offer(&entry, description.file.readiness());
        Ok(())
    }

    /// `EPOLL_CTL_DEL`
    ///
    /// # Errors
    /// ENOENT
    pub fn delete(&self, fd: i32, description: &FileDescription) -> Result<(), Errno> {
        let removed = self.entries.lock().remove(&Key { description: description.id, fd });
        removed.ok_or(Errno::ENOENT)?.retire();
        Ok(())
    }

    /// At most `max` events that are there now; none is not an error. Level-triggered entries stay in the list.
    pub fn collect(&self, max: usize) -> Vec<EpollEvent> {
        let mut events = Vec::new();
        let mut again = VecDeque::new();
        // Each entry is looked at once: those put back while this runs wait for the next call.
        for _ in 0..self.shared.ready_count() {
            if events.len() == max {
                break;
            }
            let Some(entry) = self.shared.take() else { break };
            // A wake between this and the look at the file puts the entry on the list again.
            entry.queued.store(false, Ordering::SeqCst);
            let ready = entry.ready_events();
            if ready.is_empty() {
                continue;
            }
            let setting = entry.setting();
            events.push(EpollEvent { events: ready.bits(), data: setting.data });
            if setting.events & EpollFlags::ONESHOT.bits() != 0 {
                entry.disarm();
            } else if setting.events & EpollFlags::EDGE.bits() == 0 {
                again.push_back(entry);
            }
        }
        let stays_ready = !again.is_empty();
        again.iter().for_each(|entry| self.shared.push(entry));
        if stays_ready {
            // Others who sleep in `epoll_wait` may take what a level-triggered entry still has.
            self.shared.queue.wake(Readiness::READABLE);
        }
        events
    }

    /// Puts events that could not be delivered back: their entries are looked at again.
    pub fn restore(&self) {
        let entries: Vec<_> = self.entries.lock().values().cloned().collect();
        entries.iter().filter(|entry| !entry.ready_events().is_empty()).for_each(|entry| self.shared.push(entry));
    }

    /// Woken when [`Epoll::collect`] may find something.
    pub fn queue(&self) -> &WaitQueue {
        &self.shared.queue
    }

    /// Forgets a description that is gone.
    fn forget(&self, description: u64) {
        let removed: Vec<_> = {
            let mut entries = self.entries.lock();
            let keys: Vec<_> = entries.keys().filter(|key| key.description == description).copied().collect();
            keys.iter().filter_map(|key| entries.remove(key)).collect()
        };
        removed.iter().for_each(|entry| entry.retire());
    }

    /// The epolls among what this one watches.
    fn inner_epolls(&self) -> Vec<Arc<FileDescription>> {
        let watched: Vec<_> = self.entries.lock().values().filter_map(|entry| entry.description.upgrade()).collect();
        watched.into_iter().filter(|description| description.downcast::<Epoll>().is_some()).collect()
    }
}

impl File for Epoll {
    fn readiness(&self) -> Readiness {
        let candidates = self.shared.candidates();
        if candidates.iter().any(|entry| !entry.ready_events().is_empty()) {
            Readiness::READABLE
        } else {
            Readiness::empty()
        }
    }

    fn wait_queue(&self) -> Option<WaitQueue> {
        Some(self.shared.queue.clone())
    }

    fn metadata(&self) -> Result<Metadata, Errno> {
        Ok(anonymous::metadata())
    }

    fn description(&self) -> String {
        "anon_inode:[eventpoll]".into()
    }

    fn fdinfo(&self) -> String {
        let entries: Vec<_> = self.entries.lock().iter().map(|(key, entry)| (key.fd, entry.clone())).collect();
        let line = |(fd, entry): (i32, Arc<Entry>)| {
            let setting = entry.setting();
            let (events, data) = (setting.events, setting.data);
            let metadata = entry.description.upgrade().and_then(|d| d.file.metadata().ok());
            let (ino, dev) = metadata.map_or((0, 0), |m| (m.ino, m.dev));
            format!("tfd: {fd:8} events: {events:8x} data: {data:16x}  pos:0 ino:{ino:x} sdev:{dev:x}\n")
        };
        entries.into_iter().map(line).collect()
    }
}

impl Drop for Epoll {
    fn drop(&mut self) {
        self.entries.get_mut().values().for_each(|entry| entry.retire());
    }
}
