//! poll, ppoll, select, pselect6: readiness of every kind of file, write-back, timeouts, signals.

use super::pipe::pipe;
use crate::harness::process::*;
use crate::harness::{Cases, T};

fn one(t: &T, what: &str, fd: i64, events: i16) {
    let mut p = libc::pollfd { fd: fd as i32, events, revents: 0x7777 };
    t.ret(what, sys!(poll(&mut p, 1, 0)));
    t.show("revents", format_args!("{:#x}", p.revents));
}

const ALL: i16 = 0x1 | 0x2 | 0x4 | 0x40 | 0x80 | 0x100 | 0x200 | 0x2000;

pub fn cases(c: &mut Cases) {
    c.family("poll");
    c.add("poll/pipe_states", |t| {
        let [r, w] = pipe(t, libc::O_NONBLOCK);
        one(t, "empty, read end", r as i64, ALL);
        one(t, "empty, write end", w as i64, ALL);
        must!(t, write(w, b"x", 1));
        one(t, "filled, read end", r as i64, ALL);
        while sys!(write(w, &[0u8; 4096], 4096)) > 0 {}
        one(t, "full, write end", w as i64, ALL);
        must!(t, close(r));
        one(t, "no reader", w as i64, ALL);
        let [r, w] = pipe(t, 0);
        must!(t, close(w));
        one(t, "no writer", r as i64, ALL);
        one(t, "no writer, nothing asked", r as i64, 0);
    });
    c.add("poll/kinds_of_files", |t| {
        one(t, "regular", must!(t, open(c"f", libc::O_RDWR | libc::O_CREAT, 0o600)), ALL);
        one(t, "directory", must!(t, open(c".", 0, 0)), ALL);
        one(t, "null", must!(t, open(c"/dev/null", 2, 0)), ALL);
        one(t, "zero", must!(t, open(c"/dev/zero", 2, 0)), ALL);
        one(t, "full", must!(t, open(c"/dev/full", 2, 0)), ALL);
        one(t, "path", must!(t, open(c".", libc::O_PATH, 0)), ALL);
        one(t, "memfd", must!(t, memfd_create(c"m", 0)), ALL);
        one(t, "epoll", must!(t, epoll_create1(0)), ALL);
        one(t, "inotify", must!(t, inotify_init1(0)), ALL);
        one(t, "closed", 700, ALL);
        one(t, "negative", -7, ALL);
    });
    c.add("poll/sockets", |t| {
        let mut s = [0i32; 2];
        must!(t, socketpair(1, 1, 0, &mut s));
        one(t, "idle", s[0] as i64, ALL);
        must!(t, write(s[1], b"x", 1));
        one(t, "readable", s[0] as i64, ALL);
        must!(t, shutdown(s[1], 1));
        one(t, "peer shut for writing", s[0] as i64, ALL);
        must!(t, close(s[1]));
        one(t, "peer closed", s[0] as i64, ALL);
        one(t, "unconnected stream", must!(t, socket(1, 1, 0)), ALL);
        one(t, "unconnected datagram", must!(t, socket(1, 2, 0)), ALL);
        one(t, "unconnected tcp", must!(t, socket(2, 1, 0)), ALL);
        one(t, "idle udp", must!(t, socket(2, 2, 0)), ALL);
    });
    c.add("poll/writes_back_all_revents", |t| {
        let [r, w] = pipe(t, 0);
        must!(t, write(w, b"x", 1));
        let mut p = [[r, 0x1111_0001], [-1, 0x1111_0001], [w, 0x1111_0001], [900, 0x1111_0001], [w, 0x1111_0004]];
        call!(t, poll(&mut p, 5, 0));
        t.show("events and revents", p.map(|e| format!("{:#x}", e[1])));
    });
    c.add("poll/readonly_array", |t| {
        let [r, _w] = pipe(t, 0);
        let addr = crate::harness::memory::pages(t, 1);
        crate::harness::memory::poke(addr, [r, 1]);
        must!(t, mprotect(addr, 4096, 1));
        call!(t, poll(addr, 1, 0));
    });
    c.add("poll/same_descriptor_twice", |t| {
        let [r, w] = pipe(t, 0);
        must!(t, write(w, b"x", 1));
        let mut p = [[r, 1], [r, 1]];
        call!(t, poll(&mut p, 2, 0));
    });
    c.add("poll/woken_by_a_write", |t| {
        let [r, w] = pipe(t, 0);
        let pid = later(t, 15, || {
            sys!(write(w, b"x", 1));
        });
        let mut p = [r, 1];
        call!(t, poll(&mut p, 1, -1));
        t.show("revents", p[1] >> 16);
        t.show("child", reap(pid));
    });
    c.add("poll/woken_by_hang_up", |t| {
        let [r, w] = pipe(t, 0);
        let pid = later(t, 15, || ());
        must!(t, close(w));
        let mut p = [r, 0];
        call!(t, poll(&mut p, 1, -1));
        t.show("revents", p[1] >> 16);
        t.show("child", reap(pid));
    });
    c.add("poll/interrupted_even_with_restart", |t| {
        alarms(true);
        call!(t, poll(0, 0, -1));
        call!(t, select(0, 0, 0, 0, 0));
        call!(t, ppoll(0, 0, 0, 0, 8));
        call!(t, pselect6(0, 0, 0, 0, 0, 0));
    });
    c.add("poll/times_out", |t| {
        let [r, _w] = pipe(t, 0);
        let mut p = [r, 1 | 0x7fff_0000];
        call!(t, poll(&mut p, 1, 10));
        t.show("revents", p[1] >> 16);
    });
    c.add("poll/descriptor_limit", |t| {
        must!(t, setrlimit(libc::RLIMIT_NOFILE, &[4u64, 4]));
        let mut p = [[-1i32, 0]; 6];
        call!(t, poll(&mut p, 4, 0));
        call!(t, poll(&mut p, 5, 0));
    });
    c.add("ppoll/timeout_is_written_back", |t| {
        let mut ts = [0u64, 8_000_000];
        call!(t, ppoll(0, 0, &mut ts, 0, 8));
        t.show("left", ts);
        let [r, w] = pipe(t, 0);
        must!(t, write(w, b"x", 1));
        let (mut p, mut ts) = ([r, 1], [100u64, 0]);
        call!(t, ppoll(&mut p, 1, &mut ts, 0, 8));
        t.show("nearly all left", ts[0] >= 98 && ts[0] < 101);
    });
    c.add("ppoll/signal_mask_is_swapped", |t| {
        handle(libc::SIGUSR1, 0);
        must!(t, rt_sigprocmask(libc::SIG_BLOCK, &(1u64 << 9), 0, 8));
        must!(t, kill(sys!(getpid()), libc::SIGUSR1));
        call!(t, poll(0, 0, 5));
        t.show("handled", was_handled());
        call!(t, ppoll(0, 0, &mut [5u64, 0], &0u64, 8));
        t.show("handled", was_handled());
        let mut mask = 0u64;
        must!(t, rt_sigprocmask(0, 0, &mut mask, 8));
        t.show("mask", mask);
    });
    c.add("select/sets_are_overwritten", |t| {
        let [r, w] = pipe(t, 0);
        let (mut rs, mut ws, mut es) = ([1u64 << r | 1 << w, 0], [1u64 << r | 1 << w, 0], [1u64 << r | 1 << w, 0]);
        must!(t, write(w, b"x", 1));
        call!(t, select(w + 1, &mut rs, &mut ws, &mut es, &mut [0u64, 0]));
        t.show("sets", (rs, ws, es));
    });
    c.add("select/bits_above_nfds_stay", |t| {
        let [r, w] = pipe(t, 0);
        let mut ws = [1u64 << r | 1 << w, u64::MAX];
        call!(t, select(r + 1, 0, &mut ws, 0, &mut [0u64, 0]));
        t.show("set", ws);
    });
    c.add("select/timeout_is_written_back", |t| {
        let mut tv = [0u64, 8000];
        call!(t, select(0, 0, 0, 0, &mut tv));
        t.show("left", tv);
        let mut tv = [0u64, 999_999];
        alarms(false);
        call!(t, select(0, 0, 0, 0, &mut tv));
        t.show("some left", tv[0] == 0 && tv[1] > 0 && tv[1] < 999_999);
    });
    c.add("select/usec_normalised", |t| {
        call!(t, select(0, 0, 0, 0, &mut [0u64, 1_000]));
        call!(t, select(0, 0, 0, 0, &mut [0u64, u64::MAX]));
        call!(t, select(0, 0, 0, 0, &mut [u64::MAX, 0]));
    });
    c.add("select/hang_up_is_readable_and_exceptional_is_not", |t| {
        let [r, w] = pipe(t, 0);
        must!(t, close(w));
        let (mut rs, mut es) = ([1u64 << r, 0], [1u64 << r, 0]);
        call!(t, select(r + 1, &mut rs, 0, &mut es, &mut [0u64, 0]));
        t.show("sets", (rs, es));
    });
    c.add("pselect6/mask_and_timeout", |t| {
        handle(libc::SIGUSR1, 0);
        must!(t, rt_sigprocmask(libc::SIG_BLOCK, &(1u64 << 9), 0, 8));
        must!(t, kill(sys!(getpid()), libc::SIGUSR1));
        let mask = 0u64;
        call!(t, pselect6(0, 0, 0, 0, &mut [5u64, 0], &[std::ptr::from_ref(&mask) as usize, 8]));
        t.show("handled", was_handled());
        call!(t, pselect6(0, 0, 0, 0, &mut [0u64, 1000], &[0usize, 8]));
        call!(t, pselect6(0, 0, 0, 0, &mut [0u64, 1000], &[0usize, 0]));
        call!(t, pselect6(0, 0, 0, 0, &mut [0u64, 1000], &[std::ptr::from_ref(&mask) as usize, 4]));
    });
}
