//! Inotify (`man 7 inotify`): events at watched files as something to read.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Weak};

use abi::uapi::general::{
    IN_ALL_EVENTS, IN_IGNORED, IN_MASK_ADD, IN_MASK_CREATE, IN_ONESHOT, IN_ONLYDIR, IN_Q_OVERFLOW, IN_UNMOUNT,
};
use abi::uapi::ioctl::FIONREAD;
use parking_lot::Mutex;

use super::notify::{self, Events, Watch, Watcher};
use super::{File, FileDescription, IoPosition, Location, Metadata, OpenFlags, anonymous};
use crate::kernel::wait_queue::{Readiness, WaitQueue};
use crate::task::Current;
use crate::{Errno, SysResult};

/// `/proc/sys/fs/inotify/max_queued_events`
pub const MAX_QUEUED_EVENTS: usize = 16384;
/// Where the queue has room for one more: for the event that tells of the overflow.
const LAST_EVENT: usize = MAX_QUEUED_EVENTS - 1;
/// `/proc/sys/fs/inotify/max_user_watches`
pub const MAX_USER_WATCHES: usize = 65536;
/// `struct inotify_event` without the name.
const HEADER: usize = 16;

/// An inotify instance.
pub struct Inotify {
    this: Weak<Inotify>,
    state: Mutex<State>,
    queue: WaitQueue,
}

#[derive(Default)]
struct State {
    events: VecDeque<Event>,
    watches: HashMap<i32, Watched>,
    /// Watch descriptor by super block (its address) and inode number: an inode has one in each instance.
    by_inode: HashMap<(usize, u64), i32>,
    last_descriptor: i32,
}

struct Watched {
    target: Arc<Target>,
    inode: (usize, u64),
    _watch: Watch,
}

/// What the file system calls.
struct Target {
    instance: Weak<Inotify>,
    descriptor: i32,
    mask: AtomicU32,
}

#[derive(PartialEq, Eq)]
struct Event {
    descriptor: i32,
    mask: u32,
    cookie: u32,
    name: Option<Vec<u8>>,
}

impl Event {
    /// The name is padded with NULs, at least one, to a multiple of the header's size.
    fn name_size(&self) -> usize {
        self.name.as_ref().map_or(0, |name| (name.len() + 1).next_multiple_of(HEADER))
    }

    fn size(&self) -> usize {
        HEADER + self.name_size()
    }

    fn write_to(&self, out: &mut [u8]) {
        let words = [self.descriptor as u32, self.mask, self.cookie, self.name_size() as u32];
        for (slot, word) in out.chunks_exact_mut(4).zip(words) {
            slot.copy_from_slice(&word.to_ne_bytes());
        }
        let padded = &mut out[HEADER..];
        padded.fill(0);
        if let Some(name) = &self.name {
            padded[..name.len()].copy_from_slice(name);
        }
    }
}

impl Inotify {
    /// An open instance that watches nothing.
    pub fn open(flags: OpenFlags) -> Arc<FileDescription> {
        let inotify =
            Arc::new_cyclic(|this| Inotify { this: this.clone(), state: Mutex::default(), queue: WaitQueue::new() });
        FileDescription::new(inotify, None, flags)
    }

    /// Watches `location` for the events of `mask` (`IN_*`), or changes an existing watch of it. Gives the watch descriptor.
    ///
    /// # Errors
    /// EEXIST with `IN_MASK_CREATE`, ENOSPC when there are too many.
    pub fn add(&self, location: &Location, mask: u32) -> Result<i32, Errno> {
        let inode = (Arc::as_ptr(&location.mount.superblock) as usize, location.inode().metadata()?.ino);
        let kept = mask & !(IN_MASK_ADD | IN_MASK_CREATE | IN_ONLYDIR);
        let descriptor = {
            let mut state = self.state.lock();
            if let Some(watched) = state.by_inode.get(&inode).and_then(|descriptor| state.watches.get(descriptor)) {
                if mask & IN_MASK_CREATE != 0 {
                    return Err(Errno::EEXIST);
                }
                let old = if mask & IN_MASK_ADD != 0 { watched.target.mask.load(Ordering::SeqCst) } else { 0 };
                watched.target.mask.store(kept | old, Ordering::SeqCst);
                return Ok(watched.target.descriptor);
            }
            if state.watches.len() >= MAX_USER_WATCHES {
                return Err(Errno::ENOSPC);
            }
            state.last_descriptor = state.last_descriptor.checked_add(1).ok_or(Errno::ENOSPC)?;
            state.last_descriptor
        };
        let target = Arc::new(Target { instance: self.this.clone(), descriptor, mask: AtomicU32::new(kept) });
        let watch = notify::watch(location, target.clone())?;
        let mut state = self.state.lock();
        state.by_inode.insert(inode, descriptor);
        state.watches.insert(descriptor, Watched { target, inode, _watch: watch });
        Ok(descriptor)
    }

    /// Ends a watch; the last event of it is `IN_IGNORED`.
    ///
    /// # Errors
    /// EINVAL for a descriptor that is none.
    pub fn remove(&self, descriptor: i32) -> Result<(), Errno> {
        let removed = {
            let mut state = self.state.lock();
            let removed = state.watches.remove(&descriptor).ok_or(Errno::EINVAL)?;
            state.by_inode.remove(&removed.inode);
            removed
        };
        drop(removed);
        self.push(Event { descriptor, mask: IN_IGNORED, cookie: 0, name: None });
        Ok(())
    }

    fn push(&self, event: Event) {
        {
            let mut state = self.state.lock();
            if state.events.back() == Some(&event) {
                return;
            }
            match state.events.len() {
                MAX_QUEUED_EVENTS.. => return,
                LAST_EVENT => {
                    state.events.push_back(Event { descriptor: -1, mask: IN_Q_OVERFLOW, cookie: 0, name: None });
                }
                _ => state.events.push_back(event),
            }
        }
        self.queue.wake(Readiness::READABLE);
    }
}

impl Watcher for Target {
    fn event(&self, events: Events, cookie: u32, name: Option<&[u8]>) {
        let Some(instance) = self.instance.upgrade() else { return };
        let mask = self.mask.load(Ordering::SeqCst);
        let always = IN_UNMOUNT;
        if events.bits() & (mask & IN_ALL_EVENTS | always) != 0 {
            let name = name.map(<[u8]>::to_vec);
            instance.push(Event { descriptor: self.descriptor, mask: events.bits(), cookie, name });
            if mask & IN_ONESHOT != 0 {
                let _ = instance.remove(self.descriptor);
                return;
            }
        }
        if events.intersects(Events::DELETE_SELF | Events::UNMOUNT) {
            let _ = instance.remove(self.descriptor);
        }
    }
}

impl File for Inotify {
    fn read(&self, _at: IoPosition, buf: &mut [u8], _current: &Current) -> Result<usize, Errno> {
        let mut state = self.state.lock();
        let mut done = 0;
        while let Some(event) = state.events.front() {
            let size = event.size();
            let Some(out) = buf.get_mut(done..done + size) else {
                return if done == 0 { Err(Errno::EINVAL) } else { Ok(done) };
            };
            event.write_to(out);
            done += size;
            state.events.pop_front();
        }
        if done == 0 { Err(Errno::EAGAIN) } else { Ok(done) }
    }

    fn readiness(&self) -> Readiness {
        if self.state.lock().events.is_empty() { Readiness::empty() } else { Readiness::READABLE }
    }

    fn wait_queue(&self) -> Option<WaitQueue> {
        Some(self.queue.clone())
    }

    fn ioctl(&self, current: &mut Current, command: u32, argument: u64) -> SysResult {
        if command != FIONREAD {
            return Err(Errno::ENOTTY);
        }
        let bytes: usize = self.state.lock().events.iter().map(Event::size).sum();
        current.write_object(argument, &(bytes as i32))?;
        Ok(0)
    }

    fn metadata(&self) -> Result<Metadata, Errno> {
        Ok(anonymous::metadata())
    }

    fn description(&self) -> String {
        "anon_inode:inotify".into()
    }

    fn fdinfo(&self) -> String {
        let state = self.state.lock();
        let line = |watched: &Watched| {
            let (descriptor, ino) = (watched.target.descriptor, watched.inode.1);
            let mask = watched.target.mask.load(Ordering::SeqCst);
            format!("inotify wd:{descriptor:x} ino:{ino:x} sdev:0 mask:{mask:x} ignored_mask:0\n")
        };
        state.watches.values().map(line).collect()
    }
}
