//! Waiting for host file descriptors: epoll, timerfd, eventfd.

use std::os::fd::{AsFd, BorrowedFd};

use abi::Errno;
use nix::sys::epoll::{self, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};

use crate::errno;

/// An epoll instance whose members carry a key.
pub struct Epoll(epoll::Epoll);

impl Epoll {
    /// A new instance.
    ///
    /// # Errors
    /// EMFILE, ENOMEM.
    pub fn new() -> Result<Epoll, Errno> {
        epoll::Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).map(Epoll).map_err(errno)
    }

    /// Reports `key` as long as `fd` is readable.
    ///
    /// # Errors
    /// EPERM for files that cannot be polled.
    pub fn add_level(&self, fd: BorrowedFd<'_>, key: u64) -> Result<(), Errno> {
        self.0.add(fd, EpollEvent::new(EpollFlags::EPOLLIN, key)).map_err(errno)
    }

    /// Reports `key` at each change of readiness of `fd`.
    ///
    /// # Errors
    /// EPERM for files that cannot be polled.
    pub fn add_edge(&self, fd: BorrowedFd<'_>, key: u64) -> Result<(), Errno> {
        let all = EpollFlags::EPOLLIN
            | EpollFlags::EPOLLOUT
            | EpollFlags::EPOLLPRI
            | EpollFlags::EPOLLRDHUP
            | EpollFlags::EPOLLET;
        self.0.add(fd, EpollEvent::new(all, key)).map_err(errno)
    }

    /// Forgets `fd`.
    pub fn remove(&self, fd: BorrowedFd<'_>) {
        let _ = self.0.delete(fd);
    }

    /// Blocks until something happens; (key, `EPOLL*` bits) of each.
    pub fn wait(&self) -> Vec<(u64, u32)> {
        let mut events = [EpollEvent::empty(); 32];
        let count = self.0.wait(&mut events, EpollTimeout::NONE).unwrap_or(0);
        events[..count].iter().map(|e| (e.data(), e.events().bits() as u32)).collect()
    }
}

/// A timer on the monotonic clock that becomes readable.
pub struct Timer(TimerFd);

impl Timer {
    /// A disarmed timer.
    ///
    /// # Errors
    /// EMFILE, ENOMEM.
    pub fn new() -> Result<Timer, Errno> {
        let flags = TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK;
        TimerFd::new(ClockId::CLOCK_MONOTONIC, flags).map(Timer).map_err(errno)
    }

    /// Fires at `ns` on the monotonic clock; at once when that has passed.
    pub fn set_monotonic(&self, ns: u64) {
        let at = ns.clamp(1, i64::MAX as u64) as i64;
        let at = TimeSpec::new(at / 1_000_000_000, at % 1_000_000_000);
        let _ = self.0.set(Expiration::OneShot(at), TimerSetTimeFlags::TFD_TIMER_ABSTIME);
    }

    /// Makes it unreadable again after it fired.
    pub fn acknowledge(&self) {
        let mut count = [0; 8];
        let _ = nix::unistd::read(&self.0, &mut count);
    }
}

impl AsFd for Timer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A flag that becomes readable: wakes a thread in [`Epoll::wait`].
pub struct Notifier(EventFd);

impl Notifier {
    /// Not notified.
    ///
    /// # Errors
    /// EMFILE, ENOMEM.
    pub fn new() -> Result<Notifier, Errno> {
        EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK).map(Notifier).map_err(errno)
    }
    /// Makes it readable.
    pub fn notify(&self) {
        let _ = self.0.write(1);
    }
}

impl AsFd for Notifier {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
