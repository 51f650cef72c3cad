//! timerfd: expirations, intervals, absolute times, cancelling.

use crate::harness::process::*;
use crate::harness::{Cases, T};

const MS: u64 = 1_000_000;

fn ticks(t: &T, fd: i64) -> u64 {
    let mut n = 0u64;
    t.ret("read", sys!(read(fd, &mut n, 8)));
    n
}

pub fn cases(c: &mut Cases) {
    c.family("timerfd");
    for clock in [0, 1, 2, 3, 4, 7, 8, 9, 11, 99] {
        c.add(format!("timerfd_create/clock_{clock}"), move |t| {
            call!(t, timerfd_create(clock, 0));
        });
    }
    for flags in [libc::TFD_NONBLOCK, libc::TFD_CLOEXEC, libc::TFD_NONBLOCK | libc::TFD_CLOEXEC, 1, -1] {
        c.add(format!("timerfd_create/flags_{flags:x}"), move |t| {
            let fd = call!(t, timerfd_create(1, flags));
            call!(t, fcntl(fd, libc::F_GETFD, 0));
            call!(t, fcntl(fd, libc::F_GETFL, 0));
        });
    }
    c.add("read/one_shot", |t| {
        let fd = must!(t, timerfd_create(1, 0));
        call!(t, timerfd_settime(fd, 0, &[0u64, 0, 0, 5 * MS], 0));
        t.show("expirations", ticks(t, fd));
        let mut now = [9u64; 4];
        call!(t, timerfd_gettime(fd, &mut now));
        t.show("disarmed", now);
    });
    c.add("read/interval_counts", |t| {
        let fd = must!(t, timerfd_create(1, 0));
        call!(t, timerfd_settime(fd, 0, &[0, 2 * MS, 0, 2 * MS], 0));
        sleep_ms(20);
        t.show("several", ticks(t, fd) >= 5);
        t.show("at least one more", ticks(t, fd) >= 1);
    });
    c.add("timerfd_settime/absolute_in_the_past", |t| {
        let fd = must!(t, timerfd_create(1, libc::TFD_NONBLOCK));
        call!(t, timerfd_settime(fd, 1, &[0u64, 0, 0, 1], 0));
        t.show("expirations", ticks(t, fd));
    });
    c.add("timerfd_settime/old_value", |t| {
        let fd = must!(t, timerfd_create(1, libc::TFD_NONBLOCK));
        let mut old = [9u64; 4];
        call!(t, timerfd_settime(fd, 0, &[3u64, 0, 100, 0], &mut old));
        t.show("old", old);
        call!(t, timerfd_settime(fd, 0, &[0u64; 4], &mut old));
        t.show("interval", (old[0], old[1]));
        t.show("left", old[2] >= 98 && old[2] < 100);
        t.ret("read when disarmed", sys!(read(fd, &mut old, 8)));
    });
    c.add("timerfd_settime/rearming_forgets_expirations", |t| {
        let fd = must!(t, timerfd_create(1, libc::TFD_NONBLOCK));
        must!(t, timerfd_settime(fd, 0, &[0u64, 0, 0, MS], 0));
        sleep_ms(5);
        must!(t, timerfd_settime(fd, 0, &[0u64, 0, 100, 0], 0));
        ticks(t, fd);
    });
    c.add("timerfd_settime/bad_values", |t| {
        let fd = must!(t, timerfd_create(1, 0));
        for value in [
            [0u64, 0, 0, 1_000_000_000],
            [0, 1_000_000_000, 1, 0],
            [0, 0, u64::MAX, 0],
            [u64::MAX, 0, 1, 0],
            [0, u64::MAX, 1, 0],
        ] {
            call!(t, timerfd_settime(fd, 0, &value, 0));
        }
        call!(t, timerfd_settime(fd, 4, &[0u64; 4], 0));
        call!(t, timerfd_settime(fd, 2, &[0u64; 4], 0));
    });
    c.add("read/interrupted", |t| {
        let fd = must!(t, timerfd_create(1, 0));
        alarms(false);
        ticks(t, fd);
    });
    c.add("read/wrong_sizes", |t| {
        let fd = must!(t, timerfd_create(1, libc::TFD_NONBLOCK));
        must!(t, timerfd_settime(fd, 1, &[0u64, 0, 0, 1], 0));
        let mut b = [0u64; 4];
        call!(t, read(fd, &mut b, 7));
        call!(t, read(fd, &mut b, 32));
        call!(t, write(fd, &b, 8));
    });
    c.add("poll/readiness", |t| {
        let fd = must!(t, timerfd_create(1, 0));
        let mut p = libc::pollfd { fd: fd as i32, events: 5, revents: 0 };
        call!(t, poll(&mut p, 1, 0));
        must!(t, timerfd_settime(fd, 0, &[0u64, 0, 0, 2 * MS], 0));
        call!(t, poll(&mut p, 1, 5000));
        t.show("revents", p.revents);
    });
}
