//! The families, in the order in which they run.

use crate::harness::Cases;
use crate::{
    credentials, directory, epoll, eventfd, fcntl, futex, inotify, ioctl, ipc, memory, mount, open, pipe, poll, proc,
    process, read_write, signal, signalfd, socket, splice, time, timerfd,
};

/// Adds every family's cases.
pub fn add(c: &mut Cases) {
    for family in [
        read_write::cases,
        open::cases,
        directory::cases,
        fcntl::cases,
        splice::cases,
        pipe::cases,
        ioctl::cases,
        eventfd::cases,
        timerfd::cases,
        signalfd::cases,
        epoll::cases,
        poll::cases,
        inotify::cases,
        memory::cases,
        process::cases,
        credentials::cases,
        signal::cases,
        futex::cases,
        time::cases,
        socket::cases,
        ipc::cases,
        proc::cases,
        mount::cases,
    ] {
        family(c);
    }
}
