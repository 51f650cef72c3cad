//! epoll: interest, level and edge triggering, one shot, nesting, order, wake-ups.

use super::pipe::pipe;
use crate::harness::process::*;
use crate::harness::{Cases, T};

#[repr(C, packed)]
#[derive(Clone, Copy, Default)]
struct Event {
    events: u32,
    data: u64,
}

fn add(t: &T, ep: i64, fd: i64, events: u32) {
    must!(t, epoll_ctl(ep, 1, fd, &Event { events, data: fd as u64 }));
}

fn wait(t: &T, ep: i64, timeout: i32) {
    let mut out = [Event::default(); 8];
    let n = sys!(epoll_wait(ep, &mut out, 8, timeout));
    t.ret("epoll_wait", n);
    for event in &out[..n.clamp(0, 8) as usize] {
        let (events, data) = (event.events, event.data);
        t.show("event", format_args!("{events:#x} of {data}"));
    }
}

pub fn cases(c: &mut Cases) {
    c.family("epoll");
    c.add("epoll_wait/level_triggered", |t| {
        let [r, w] = pipe(t, 0);
        let ep = call!(t, epoll_create1(0));
        add(t, ep, r as i64, 1);
        wait(t, ep, 0);
        must!(t, write(w, b"xy", 2));
        wait(t, ep, 0);
        wait(t, ep, 0);
        must!(t, read(r, &mut [0u8; 2], 2));
        wait(t, ep, 0);
    });
    c.add("epoll_wait/edge_triggered", |t| {
        let [r, w] = pipe(t, 0);
        let ep = must!(t, epoll_create1(0));
        add(t, ep, r as i64, 1 | 1 << 31);
        must!(t, write(w, b"x", 1));
        wait(t, ep, 0);
        wait(t, ep, 0);
        must!(t, write(w, b"y", 1));
        wait(t, ep, 0);
        must!(t, read(r, &mut [0u8; 1], 1));
        wait(t, ep, 0);
    });
    c.add("epoll_wait/one_shot", |t| {
        let [r, w] = pipe(t, 0);
        let ep = must!(t, epoll_create1(0));
        add(t, ep, r as i64, 1 | 1 << 30);
        must!(t, write(w, b"x", 1));
        wait(t, ep, 0);
        must!(t, write(w, b"y", 1));
        wait(t, ep, 0);
        call!(t, epoll_ctl(ep, 3, r, &Event { events: 1 | 1 << 30, data: 77 }));
        wait(t, ep, 0);
        wait(t, ep, 0);
    });
    c.add("epoll_wait/hang_up_and_error", |t| {
        let [r, w] = pipe(t, 0);
        let ep = must!(t, epoll_create1(0));
        add(t, ep, r as i64, 1);
        must!(t, write(w, b"x", 1));
        must!(t, close(w));
        wait(t, ep, 0);
        must!(t, read(r, &mut [0u8; 1], 1));
        wait(t, ep, 0);
        let [r, w] = pipe(t, 0);
        let ep = must!(t, epoll_create1(0));
        add(t, ep, w as i64, 0);
        must!(t, close(r));
        wait(t, ep, 0);
    });
    c.add("epoll_wait/socket_shutdown", |t| {
        let mut s = [0i32; 2];
        must!(t, socketpair(1, 1, 0, &mut s));
        let ep = must!(t, epoll_create1(0));
        add(t, ep, s[0] as i64, 0x2000 | 1 | 4);
        wait(t, ep, 0);
        must!(t, shutdown(s[1], 1));
        wait(t, ep, 0);
        must!(t, close(s[1]));
        wait(t, ep, 0);
    });
    c.add("epoll_wait/close_removes", |t| {
        let [r, w] = pipe(t, 0);
        let ep = must!(t, epoll_create1(0));
        must!(t, write(w, b"x", 1));
        add(t, ep, r as i64, 1);
        must!(t, close(r));
        wait(t, ep, 0);
    });
    c.add("epoll_wait/duplicate_keeps_alive", |t| {
        let [r, w] = pipe(t, 0);
        let ep = must!(t, epoll_create1(0));
        must!(t, write(w, b"x", 1));
        add(t, ep, r as i64, 1);
        let copy = must!(t, dup(r));
        must!(t, close(r));
        wait(t, ep, 0);
        call!(t, epoll_ctl(ep, 2, r, 0));
        must!(t, close(copy));
        wait(t, ep, 0);
    });
    c.add("epoll_ctl/add_twice_and_remove", |t| {
        let [r, _w] = pipe(t, 0);
        let ep = must!(t, epoll_create1(0));
        let e = Event { events: 1, data: 0 };
        call!(t, epoll_ctl(ep, 1, r, &e));
        call!(t, epoll_ctl(ep, 1, r, &e));
        let copy = must!(t, dup(r));
        call!(t, epoll_ctl(ep, 1, copy, &e));
        call!(t, epoll_ctl(ep, 2, r, 0));
        call!(t, epoll_ctl(ep, 2, r, 0));
        call!(t, epoll_ctl(ep, 3, r, &e));
        call!(t, epoll_ctl(ep, 9, r, &e));
    });
    c.add("epoll_ctl/nesting", |t| {
        let [r, w] = pipe(t, 0);
        let (inner, outer) = (must!(t, epoll_create1(0)), must!(t, epoll_create1(0)));
        add(t, inner, r as i64, 1);
        add(t, outer, inner, 1);
        wait(t, outer, 0);
        must!(t, write(w, b"x", 1));
        wait(t, outer, 0);
        call!(t, epoll_ctl(inner, 1, outer, &Event { events: 1, data: 0 }));
        call!(t, epoll_ctl(outer, 1, outer, &Event { events: 1, data: 0 }));
    });
    c.add("epoll_ctl/nesting_depth", |t| {
        let mut below = must!(t, epoll_create1(0));
        for _ in 0..6 {
            let ep = must!(t, epoll_create1(0));
            call!(t, epoll_ctl(ep, 1, below, &Event { events: 1, data: 0 }));
            below = ep;
        }
    });
    c.add("epoll_ctl/exclusive", |t| {
        let [r, _w] = pipe(t, 0);
        let ep = must!(t, epoll_create1(0));
        call!(t, epoll_ctl(ep, 1, r, &Event { events: 1 | 1 << 28, data: 0 }));
        call!(t, epoll_ctl(ep, 3, r, &Event { events: 1, data: 0 }));
        let other = must!(t, epoll_create1(0));
        call!(t, epoll_ctl(other, 1, ep, &Event { events: 1 | 1 << 28, data: 0 }));
    });
    c.add("epoll_wait/round_robin", |t| {
        let ep = must!(t, epoll_create1(0));
        for _ in 0..4 {
            let [r, w] = pipe(t, 0);
            must!(t, write(w, b"x", 1));
            add(t, ep, r as i64, 1);
        }
        for _ in 0..4 {
            let mut out = [Event::default(); 2];
            call!(t, epoll_wait(ep, &mut out, 2, 0));
            let (a, b) = (out[0].data, out[1].data);
            t.show("ready", (a, b));
        }
    });
    c.add("epoll_wait/woken_by_a_write", |t| {
        let [r, w] = pipe(t, 0);
        let ep = must!(t, epoll_create1(0));
        add(t, ep, r as i64, 1);
        let pid = later(t, 15, || {
            sys!(write(w, b"x", 1));
        });
        wait(t, ep, -1);
        t.show("child", reap(pid));
    });
    c.add("epoll_wait/added_while_waiting", |t| {
        let [r, w] = pipe(t, 0);
        must!(t, write(w, b"x", 1));
        let ep = must!(t, epoll_create1(0));
        let adder = thread(move || {
            sleep_ms(15);
            sys!(epoll_ctl(ep, 1, r, &Event { events: 1, data: 5 }))
        });
        wait(t, ep, 5000);
        t.ret("epoll_ctl in a thread", adder.join().unwrap_or(-1));
    });
    c.add("epoll_wait/times_out", |t| {
        let ep = must!(t, epoll_create1(0));
        wait(t, ep, 5);
        wait(t, ep, 0);
    });
    c.add("epoll_wait/interrupted", |t| {
        let ep = must!(t, epoll_create1(0));
        alarms(true);
        wait(t, ep, -1);
    });
    c.add("epoll_pwait/unblocks_during_the_wait", |t| {
        let ep = must!(t, epoll_create1(0));
        handle(libc::SIGUSR1, 0);
        must!(t, rt_sigprocmask(libc::SIG_BLOCK, &(1u64 << 9), 0, 8));
        must!(t, kill(sys!(getpid()), libc::SIGUSR1));
        let mut out = [Event::default(); 2];
        t.show("handled", was_handled());
        call!(t, epoll_pwait(ep, &mut out, 2, 5000, &0u64, 8));
        t.show("handled", was_handled());
        let mut now = 0u64;
        must!(t, rt_sigprocmask(libc::SIG_BLOCK, 0, &mut now, 8));
        t.show("mask afterwards", now);
    });
    c.add("epoll_ctl/kinds_of_files", |t| {
        let ep = must!(t, epoll_create1(0));
        for (what, fd) in [
            ("regular", sys!(open(c"f", libc::O_RDWR | libc::O_CREAT, 0o600))),
            ("directory", sys!(open(c".", 0, 0))),
            ("null", sys!(open(c"/dev/null", 2, 0))),
            ("zero", sys!(open(c"/dev/zero", 2, 0))),
            ("urandom", sys!(open(c"/dev/urandom", 0, 0))),
            ("eventfd", sys!(eventfd2(1, 0))),
            ("inotify", sys!(inotify_init1(0))),
            ("memfd", sys!(memfd_create(c"m", 0))),
            ("path", sys!(open(c".", libc::O_PATH, 0))),
            ("proc", sys!(open(c"/proc/self/status", 0, 0))),
            ("mounts", sys!(open(c"/proc/self/mounts", 0, 0))),
            ("tcp", sys!(socket(2, 1, 0))),
            ("udp", sys!(socket(2, 2, 0))),
        ] {
            t.ret(what, sys!(epoll_ctl(ep, 1, fd, &Event { events: 5, data: 0 })));
        }
    });
    c.add("epoll_wait/idle_sockets", |t| {
        for (what, fd) in [
            ("tcp", must!(t, socket(2, 1, 0))),
            ("udp", must!(t, socket(2, 2, 0))),
            ("unix", must!(t, socket(1, 1, 0))),
        ] {
            let ep = must!(t, epoll_create1(0));
            add(t, ep, fd, 0x2000 | 5);
            t.show(what, ());
            wait(t, ep, 0);
        }
    });
    c.add("close/of_epoll_itself", |t| {
        let [r, w] = pipe(t, 0);
        let ep = must!(t, epoll_create1(libc::EPOLL_CLOEXEC));
        add(t, ep, r as i64, 1);
        call!(t, fcntl(ep, libc::F_GETFD, 0));
        call!(t, close(ep));
        must!(t, write(w, b"x", 1));
        call!(t, read(r, &mut [0u8; 1], 1));
    });
    c.add("read/proc_fdinfo", |t| {
        let [r, _w] = pipe(t, 0);
        let ep = must!(t, epoll_create1(0));
        add(t, ep, r as i64, 1);
        super::proc::lines(t, &format!("/proc/self/fdinfo/{ep}"), &["tfd"]);
    });
}
