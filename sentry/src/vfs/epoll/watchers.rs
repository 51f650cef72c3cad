//! The epoll instances that watch a description, so that they forget it when it goes.

use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use super::Epoll;

/// Part of a file description; its drop is the description's end.
pub struct Watchers {
    description: u64,
    epolls: Mutex<Vec<Weak<Epoll>>>,
}

impl Watchers {
    /// For the description with this id, watched by none.
    pub fn new(description: u64) -> Watchers {
        Watchers { description, epolls: Mutex::default() }
    }

    pub(super) fn add(&self, epoll: &Weak<Epoll>) {
        let mut epolls = self.epolls.lock();
        epolls.retain(|watcher| watcher.strong_count() > 0 && !watcher.ptr_eq(epoll));
        epolls.push(epoll.clone());
    }

    pub(super) fn epolls(&self) -> Vec<Arc<Epoll>> {
        self.epolls.lock().iter().filter_map(Weak::upgrade).collect()
    }
}

impl Drop for Watchers {
    fn drop(&mut self) {
        for epoll in self.epolls.get_mut().drain(..) {
            if let Some(epoll) = epoll.upgrade() {
                epoll.forget(self.description);
            }
        }
    }
}
