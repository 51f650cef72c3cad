//! eventfd: the counter, semaphore mode, limits, blocking, readiness.

use crate::harness::process::*;
use crate::harness::{Cases, T};

fn get(t: &T, fd: i64) {
    let mut v = 0u64;
    t.ret("read", sys!(read(fd, &mut v, 8)));
    t.show("value", v);
}

pub fn cases(c: &mut Cases) {
    c.family("eventfd");
    for (what, initial, flags) in [
        ("zero", 0u32, libc::EFD_NONBLOCK),
        ("seven", 7, libc::EFD_NONBLOCK),
        ("max", u32::MAX, libc::EFD_NONBLOCK),
        ("semaphore", 3, libc::EFD_NONBLOCK | libc::EFD_SEMAPHORE),
    ] {
        c.add(format!("read/initial_{what}"), move |t| {
            let fd = call!(t, eventfd2(initial, flags));
            (0..4).for_each(|_| get(t, fd));
        });
    }
    c.add("write/adds_up", |t| {
        let fd = must!(t, eventfd2(1, libc::EFD_NONBLOCK));
        call!(t, write(fd, &5u64, 8));
        call!(t, write(fd, &6u64, 8));
        get(t, fd);
        get(t, fd);
    });
    c.add("write/limit", |t| {
        let fd = must!(t, eventfd2(0, libc::EFD_NONBLOCK));
        call!(t, write(fd, &u64::MAX, 8));
        call!(t, write(fd, &(u64::MAX - 1), 8));
        call!(t, write(fd, &1u64, 8));
        call!(t, write(fd, &0u64, 8));
        get(t, fd);
    });
    for size in [0usize, 1, 7, 8, 9, 16] {
        c.add(format!("read/size_{size}"), move |t| {
            let fd = must!(t, eventfd2(1, libc::EFD_NONBLOCK));
            let mut b = [0u64; 4];
            call!(t, read(fd, &mut b, size));
            call!(t, write(fd, &[1u64; 4], size));
        });
    }
    c.add("poll/readiness", |t| {
        let fd = must!(t, eventfd2(0, libc::EFD_NONBLOCK));
        let show = |what: &str| {
            let mut p = libc::pollfd { fd: fd as i32, events: libc::POLLIN | libc::POLLOUT, revents: 0x7fff };
            t.ret(what, sys!(poll(&mut p, 1, 0)));
            t.show("revents", p.revents);
        };
        show("empty");
        sys!(write(fd, &1u64, 8));
        show("one");
        sys!(write(fd, &(u64::MAX - 2), 8));
        show("full");
    });
    c.add("read/interrupted", |t| {
        let fd = must!(t, eventfd2(0, 0));
        alarms(false);
        let mut v = 0u64;
        call!(t, read(fd, &mut v, 8));
    });
    c.add("write/blocks_until_read", |t| {
        let fd = must!(t, eventfd2(0, 0));
        must!(t, write(fd, &(u64::MAX - 1), 8));
        let pid = later(t, 20, || {
            let mut v = 0u64;
            sys!(read(fd, &mut v, 8));
        });
        call!(t, write(fd, &2u64, 8));
        t.show("reader", reap(pid));
        get(t, fd);
    });
    c.add("eventfd/shared_after_fork", |t| {
        let fd = must!(t, eventfd(0));
        let pid = later(t, 10, || {
            sys!(write(fd, &9u64, 8));
        });
        get(t, fd);
        t.show("child", reap(pid));
    });
    c.add("eventfd2/unknown_flags", |t| {
        for flags in [2, 4, 0o10000, -1] {
            call!(t, eventfd2(0, flags));
        }
    });
    c.add("lseek/and_pread", |t| {
        let fd = must!(t, eventfd2(1, 0));
        let mut v = 0u64;
        call!(t, lseek(fd, 0, 0));
        call!(t, pread64(fd, &mut v, 8, 0));
        call!(t, pwrite64(fd, &1u64, 8, 0));
        call!(t, ftruncate(fd, 0));
        call!(t, fsync(fd));
    });
    c.add("read/proc_fdinfo", |t| {
        let fd = must!(t, eventfd2(0x2a, 0));
        super::proc::lines(t, &format!("/proc/self/fdinfo/{fd}"), &["eventfd-count", "flags", "pos"]);
    });
}
