//! Terminals and other ioctl: pseudo-terminals, line discipline, job control, hang-up.

use crate::harness::process::*;
use crate::harness::{Cases, T};

/// A pseudo-terminal as (master, slave).
fn pty(t: &T) -> (i64, i64) {
    let master = must!(t, open(c"/dev/ptmx", libc::O_RDWR | libc::O_NOCTTY, 0));
    must!(t, ioctl(master, libc::TIOCSPTLCK, &0i32));
    let mut n = 0u32;
    must!(t, ioctl(master, libc::TIOCGPTN, &mut n));
    let path = std::ffi::CString::new(format!("/dev/pts/{n}")).unwrap_or_default();
    (master, must!(t, open(path.as_c_str(), libc::O_RDWR | libc::O_NOCTTY, 0)))
}

type Termios = [u32; 9];

fn termios(t: &T, fd: i64) -> Termios {
    let mut tio = [0u32; 9];
    must!(t, ioctl(fd, libc::TCGETS, &mut tio));
    tio
}

fn raw_mode(t: &T, fd: i64) {
    let mut tio = termios(t, fd);
    tio[0] = 0;
    tio[1] = 0;
    tio[3] = 0;
    must!(t, ioctl(fd, libc::TCSETS, &tio));
}

/// Reads what there is. A terminal passes bytes on in its own time, so it gets some.
fn drain(t: &T, what: &str, fd: i64) {
    sleep_ms(10);
    sys!(fcntl(fd, libc::F_SETFL, libc::O_RDWR | libc::O_NONBLOCK));
    let mut b = [0u8; 256];
    let n = sys!(read(fd, &mut b, 256));
    t.ret(what, n);
    t.bytes("text", &b[..n.clamp(0, 256) as usize]);
    sys!(fcntl(fd, libc::F_SETFL, libc::O_RDWR));
}

pub fn cases(c: &mut Cases) {
    c.family("ioctl");
    c.add("ioctl/termios_at_first", |t| {
        let (m, s) = pty(t);
        t.show("slave", format_args!("{:x?}", termios(t, s)));
        t.show("master", format_args!("{:x?}", termios(t, m)));
    });
    c.add("ioctl/winsize", |t| {
        let (m, s) = pty(t);
        let mut w = [9u16; 4];
        call!(t, ioctl(s, libc::TIOCGWINSZ, &mut w));
        t.show("size", w);
        call!(t, ioctl(m, libc::TIOCSWINSZ, &[24u16, 80, 1, 2]));
        call!(t, ioctl(s, libc::TIOCGWINSZ, &mut w));
        t.show("size", w);
    });
    c.add("read/canonical_line", |t| {
        let (m, s) = pty(t);
        must!(t, write(m, b"hel", 3));
        drain(t, "half a line", s);
        must!(t, write(m, b"lo\nrest", 7));
        drain(t, "a line", s);
        drain(t, "echo", m);
    });
    c.add("read/canonical_editing", |t| {
        let (m, s) = pty(t);
        must!(t, write(m, b"abc\x7fd\n", 6));
        drain(t, "erase", s);
        must!(t, write(m, b"some words\x17x\n", 13));
        drain(t, "word erase", s);
        must!(t, write(m, b"gone\x15kept\n", 10));
        drain(t, "kill", s);
        must!(t, write(m, b"\x16\x03\n", 3));
        drain(t, "literal next", s);
        drain(t, "echo", m);
    });
    c.add("read/canonical_end_of_file", |t| {
        let (m, s) = pty(t);
        must!(t, write(m, b"\x04", 1));
        drain(t, "at once", s);
        must!(t, write(m, b"part\x04", 5));
        drain(t, "part of a line", s);
    });
    c.add("read/line_in_parts", |t| {
        let (m, s) = pty(t);
        must!(t, write(m, b"0123456789\n", 11));
        let mut b = [0u8; 4];
        for _ in 0..3 {
            call!(t, read(s, &mut b, 4));
        }
    });
    c.add("read/raw_mode", |t| {
        let (m, s) = pty(t);
        raw_mode(t, s);
        must!(t, write(m, b"a\x03\r\n", 4));
        drain(t, "all bytes", s);
        drain(t, "no echo", m);
        must!(t, write(s, b"x\n", 2));
        drain(t, "no translation", m);
    });
    c.add("read/min_and_time", |t| {
        let (m, s) = pty(t);
        raw_mode(t, s);
        let mut tio = termios(t, s);
        let mut cc = |min: u8, time: u8| {
            let bytes: &mut [u8; 36] = {
                // SAFETY: the same 36 bytes of the structure, seen as bytes.
                unsafe { &mut *std::ptr::from_mut(&mut tio).cast() }
            };
            bytes[17 + 6] = min;
            bytes[17 + 5] = time;
            must!(t, ioctl(s, libc::TCSETS, &tio));
        };
        let mut b = [0u8; 8];
        cc(0, 0);
        call!(t, read(s, &mut b, 8));
        cc(0, 1);
        call!(t, read(s, &mut b, 8));
        cc(3, 0);
        must!(t, write(m, b"abc", 3));
        call!(t, read(s, &mut b, 8));
    });
    c.add("write/newline_becomes_cr_nl", |t| {
        let (m, s) = pty(t);
        call!(t, write(s, b"a\nb\n", 4));
        drain(t, "master", m);
    });
    c.add("read/slave_closed", |t| {
        let (m, s) = pty(t);
        must!(t, write(s, b"last", 4));
        must!(t, close(s));
        let mut b = [0u8; 8];
        call!(t, read(m, &mut b, 8));
        call!(t, read(m, &mut b, 8));
        let mut p = libc::pollfd { fd: m as i32, events: 5, revents: 0 };
        call!(t, poll(&mut p, 1, 0));
        t.show("revents", format_args!("{:#x}", p.revents));
    });
    c.add("read/master_closed", |t| {
        let (m, s) = pty(t);
        must!(t, close(m));
        let mut b = [0u8; 8];
        call!(t, read(s, &mut b, 8));
        call!(t, write(s, b"x", 1));
        call!(t, ioctl(s, libc::TCGETS, &mut [0u32; 9]));
        let mut p = libc::pollfd { fd: s as i32, events: 5, revents: 0 };
        call!(t, poll(&mut p, 1, 0));
        t.show("revents", format_args!("{:#x}", p.revents));
    });
    c.add("ioctl/locked_slave", |t| {
        let m = must!(t, open(c"/dev/ptmx", libc::O_RDWR | libc::O_NOCTTY, 0));
        let (mut n, mut locked) = (0u32, 7i32);
        must!(t, ioctl(m, libc::TIOCGPTN, &mut n));
        call!(t, ioctl(m, 0x8004_5439u32, &mut locked));
        t.show("locked", locked);
        let path = std::ffi::CString::new(format!("/dev/pts/{n}")).unwrap_or_default();
        t.ret("open the slave", sys!(open(path.as_c_str(), libc::O_RDWR | libc::O_NOCTTY, 0)).min(0));
    });
    c.add("ioctl/get_peer", |t| {
        let m = must!(t, open(c"/dev/ptmx", libc::O_RDWR | libc::O_NOCTTY, 0));
        must!(t, ioctl(m, libc::TIOCSPTLCK, &0i32));
        let s = call!(t, ioctl(m, 0x5441, libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC));
        call!(t, fcntl(s, libc::F_GETFD, 0));
        must!(t, write(s, b"peer", 4));
        drain(t, "master", m);
    });
    c.add("ioctl/packet_mode", |t| {
        let (m, s) = pty(t);
        call!(t, ioctl(m, libc::TIOCPKT, &1i32));
        must!(t, write(s, b"x", 1));
        drain(t, "data", m);
        must!(t, ioctl(s, libc::TCFLSH, 0));
        drain(t, "flush", m);
    });
    c.add("ioctl/flush_input", |t| {
        let (m, s) = pty(t);
        must!(t, write(m, b"line\n", 5));
        sleep_ms(10);
        let mut n = 0i32;
        call!(t, ioctl(s, libc::FIONREAD, &mut n));
        t.show("n", n);
        call!(t, ioctl(s, libc::TCFLSH, 0));
        call!(t, ioctl(s, libc::FIONREAD, &mut n));
        t.show("n", n);
        call!(t, ioctl(s, libc::TCFLSH, 9));
    });
    c.add("ioctl/exclusive", |t| {
        let (m, s) = pty(t);
        call!(t, ioctl(s, libc::TIOCEXCL, 0));
        let mut n = 0u32;
        must!(t, ioctl(m, libc::TIOCGPTN, &mut n));
        call!(t, ioctl(s, libc::TIOCNXCL, 0));
    });
    c.add("ioctl/controlling_terminal", |t| {
        let (m, s) = pty(t);
        let mut id = 0i32;
        call!(t, ioctl(s, libc::TIOCGPGRP, &mut id));
        call!(t, ioctl(s, libc::TIOCGSID, &mut id));
        call!(t, open(c"/dev/tty", libc::O_RDWR, 0));
        call!(t, ioctl(s, libc::TIOCSCTTY, 0));
        call!(t, ioctl(s, libc::TIOCGPGRP, &mut id));
        t.show("foreground is mine", id as i64 == sys!(getpgrp()));
        call!(t, ioctl(s, libc::TIOCGSID, &mut id));
        t.show("session is mine", id as i64 == sys!(getsid(0)));
        let tty = done!(t, open(c"/dev/tty", libc::O_RDWR, 0));
        must!(t, write(tty, b"to me", 5));
        drain(t, "master", m);
        handle(libc::SIGHUP, 0);
        handle(libc::SIGCONT, 0);
        call!(t, ioctl(tty, libc::TIOCNOTTY, 0));
        t.show("signals", HANDLED.load(std::sync::atomic::Ordering::SeqCst));
        call!(t, open(c"/dev/tty", libc::O_RDWR, 0));
    });
    c.add("open/slave_becomes_controlling", |t| {
        let m = must!(t, open(c"/dev/ptmx", libc::O_RDWR | libc::O_NOCTTY, 0));
        must!(t, ioctl(m, libc::TIOCSPTLCK, &0i32));
        let mut n = 0u32;
        must!(t, ioctl(m, libc::TIOCGPTN, &mut n));
        let path = std::ffi::CString::new(format!("/dev/pts/{n}")).unwrap_or_default();
        must!(t, open(path.as_c_str(), libc::O_RDWR, 0));
        done!(t, open(c"/dev/tty", libc::O_RDWR, 0));
    });
    for (what, byte, signal) in
        [("interrupt", 3u8, libc::SIGINT), ("quit", 0x1c, libc::SIGQUIT), ("suspend", 0x1a, libc::SIGTSTP)]
    {
        c.add(format!("write/{what}_character_signals"), move |t| {
            let (m, s) = pty(t);
            must!(t, ioctl(s, libc::TIOCSCTTY, 0));
            handle(signal, 0);
            must!(t, write(m, &byte, 1));
            sleep_ms(10);
            t.show("signal", LAST.load(std::sync::atomic::Ordering::SeqCst));
            drain(t, "echo", m);
        });
    }
    c.add("ioctl/window_change_signals", |t| {
        let (m, s) = pty(t);
        must!(t, ioctl(s, libc::TIOCSCTTY, 0));
        handle(libc::SIGWINCH, 0);
        must!(t, ioctl(m, libc::TIOCSWINSZ, &[24u16, 80, 0, 0]));
        t.show("signals", HANDLED.load(std::sync::atomic::Ordering::SeqCst));
        must!(t, ioctl(m, libc::TIOCSWINSZ, &[24u16, 80, 0, 0]));
        t.show("not for the same size", HANDLED.load(std::sync::atomic::Ordering::SeqCst));
    });
    c.add("close/hang_up_signals_the_session", |t| {
        let (m, s) = pty(t);
        must!(t, ioctl(s, libc::TIOCSCTTY, 0));
        handle(libc::SIGHUP, 0);
        must!(t, close(m));
        t.show("signal", LAST.load(std::sync::atomic::Ordering::SeqCst));
        call!(t, read(s, &mut [0u8; 4], 4));
        call!(t, open(c"/dev/tty", libc::O_RDWR, 0));
    });
    c.add("read/background_stops", |t| {
        let (_m, s) = pty(t);
        must!(t, ioctl(s, libc::TIOCSCTTY, 0));
        let pid = fork(t, || {
            sys!(setpgid(0, 0));
            sys!(read(s, &mut [0u8; 4], 4));
        });
        let mut status = 0i32;
        must!(t, wait4(pid, &mut status, libc::WUNTRACED, 0));
        t.show("child", how(status));
        must!(t, kill(pid, libc::SIGKILL));
        t.show("child", reap(pid));
    });
    c.add("read/background_ignoring_fails", |t| {
        let (_m, s) = pty(t);
        must!(t, ioctl(s, libc::TIOCSCTTY, 0));
        in_child(t, || {
            sys!(setpgid(0, 0));
            sys!(rt_sigaction(libc::SIGTTIN, &[1u64, 0, 0, 0], 0, 8));
            t.ret("read", sys!(read(s, &mut [0u8; 4], 4)));
            t.ret("write", sys!(write(s, b"x", 1)));
            let group = sys!(getpgrp()) as i32;
            sys!(rt_sigaction(libc::SIGTTOU, &[1u64, 0, 0, 0], 0, 8));
            t.ret("TIOCSPGRP", sys!(ioctl(s, libc::TIOCSPGRP, &group)));
        });
    });
    c.add("ioctl/set_foreground_group", |t| {
        let (_m, s) = pty(t);
        must!(t, ioctl(s, libc::TIOCSCTTY, 0));
        call!(t, ioctl(s, libc::TIOCSPGRP, &-1i32));
        call!(t, ioctl(s, libc::TIOCSPGRP, &0x7fff_fffei32));
        let pid = fork(t, || sleep_ms(200));
        must!(t, setpgid(pid, pid));
        call!(t, ioctl(s, libc::TIOCSPGRP, &(pid as i32)));
        must!(t, kill(pid, libc::SIGKILL));
        t.show("child", reap(pid));
    });
    c.add("ioctl/close_on_exec_and_nonblock", |t| {
        let [r, _w] = super::pipe::pipe(t, 0);
        call!(t, ioctl(r, libc::FIOCLEX, 0));
        call!(t, fcntl(r, libc::F_GETFD, 0));
        call!(t, ioctl(r, libc::FIONCLEX, 0));
        call!(t, fcntl(r, libc::F_GETFD, 0));
        call!(t, ioctl(r, libc::FIONBIO, &1i32));
        call!(t, fcntl(r, libc::F_GETFL, 0));
        call!(t, ioctl(r, libc::FIOASYNC, &1i32));
        call!(t, fcntl(r, libc::F_GETFL, 0));
    });
    c.add("vhangup/without_terminal", |t| {
        call!(t, vhangup());
    });
}
