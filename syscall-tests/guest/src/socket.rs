//! Sockets: Unix pairs and names, descriptors in messages, loopback TCP and UDP, options.

use crate::harness::memory::{as_bytes, zeroed};
use crate::harness::process::*;
use crate::harness::{Cases, T};

fn pair(t: &T, kind: i32) -> [i32; 2] {
    let mut s = [0i32; 2];
    must!(t, socketpair(1, kind, 0, &mut s));
    s
}

/// A `sockaddr_un` of a name (a leading zero byte makes it abstract).
fn unix(name: &[u8]) -> ([u8; 110], usize) {
    let mut a = [0u8; 110];
    a[0] = 1;
    a[2..2 + name.len()].copy_from_slice(name);
    (a, 2 + name.len() + usize::from(name.first() != Some(&0)))
}

fn inet(port: u16) -> [u8; 16] {
    let p = port.to_be_bytes();
    [2, 0, p[0], p[1], 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]
}

/// A listening TCP socket on the loopback and its port; brings the loopback of a fresh network namespace up where needed.
fn listener(t: &T) -> (i64, u16) {
    let l = must!(t, socket(2, 1, 0));
    must!(t, bind(l, &inet(0), 16));
    must!(t, listen(l, 5));
    (l, port(t, l))
}

fn port(t: &T, fd: i64) -> u16 {
    let (mut a, mut len) = ([0u8; 16], 16u32);
    must!(t, getsockname(fd, &mut a, &mut len));
    u16::from_be_bytes([a[2], a[3]])
}

fn tcp_pair(t: &T) -> (i64, i64) {
    let (l, port) = listener(t);
    let c = must!(t, socket(2, 1, 0));
    must!(t, connect(c, &inet(port), 16));
    (c, must!(t, accept(l, 0, 0)))
}

/// Receives with `recvmsg` and records data, flags and control messages.
fn receive(t: &T, fd: i64, size: usize, flags: i32) {
    let (mut data, mut control) = ([0u8; 256], [0u64; 16]);
    let mut iov = [std::ptr::from_mut(&mut data) as usize, size];
    let mut msg: libc::msghdr = zeroed();
    (msg.msg_iov, msg.msg_iovlen) = (std::ptr::from_mut(&mut iov).cast(), 1);
    (msg.msg_control, msg.msg_controllen) = (std::ptr::from_mut(&mut control).cast(), 128);
    let n = sys!(recvmsg(fd, &mut msg, flags));
    t.ret("recvmsg", n);
    if n >= 0 {
        t.bytes("data", &data[..n as usize]);
        t.show("flags, control length", (msg.msg_flags, msg.msg_controllen));
        if msg.msg_controllen >= 16 {
            let words: &[u8] = as_bytes(&control);
            t.show("level, type", (words[8], words[12]));
        }
    }
}

fn send_fds(t: &T, fd: i64, fds: &[i32]) {
    let mut control = [0u32; 40];
    let len = 16 + fds.len() * 4;
    (control[0], control[2], control[3]) = (len as u32, 1, 1);
    for (i, f) in fds.iter().enumerate() {
        control[4 + i] = *f as u32;
    }
    let iov = [c"x".as_ptr() as usize, 1];
    let mut msg: libc::msghdr = zeroed();
    (msg.msg_iov, msg.msg_iovlen) = (std::ptr::from_ref(&iov) as *mut libc::iovec, 1);
    (msg.msg_control, msg.msg_controllen) = (std::ptr::from_mut(&mut control).cast(), len.next_multiple_of(8));
    t.ret("sendmsg with descriptors", sys!(sendmsg(fd, &msg, 0)));
}

pub fn cases(c: &mut Cases) {
    c.family("socket");
    for (what, kind) in [("stream", 1), ("dgram", 2), ("seqpacket", 5)] {
        c.add(format!("socketpair/boundaries_{what}"), move |t| {
            let [a, b] = pair(t, kind);
            call!(t, write(a, b"first", 5));
            call!(t, write(a, b"second", 6));
            let mut buf = [0u8; 16];
            call!(t, read(b, &mut buf, 3));
            call!(t, read(b, &mut buf, 16));
            t.bytes("second read", &buf);
            call!(t, recvfrom(b, &mut buf, 16, libc::MSG_DONTWAIT, 0, 0));
            call!(t, write(a, 0, 0));
            call!(t, recvfrom(b, &mut buf, 16, libc::MSG_DONTWAIT, 0, 0));
        });
        c.add(format!("shutdown/both_ends_{what}"), move |t| {
            let [a, b] = pair(t, kind);
            must!(t, write(a, b"left", 4));
            call!(t, shutdown(a, 1));
            let mut buf = [0u8; 16];
            handle(libc::SIGPIPE, 0);
            call!(t, write(a, b"x", 1));
            call!(t, recvfrom(b, &mut buf, 16, libc::MSG_DONTWAIT, 0, 0));
            call!(t, recvfrom(b, &mut buf, 16, libc::MSG_DONTWAIT, 0, 0));
            call!(t, sendto(b, b"back", 4, libc::MSG_DONTWAIT, 0, 0));
            call!(t, shutdown(a, 0));
            call!(t, sendto(b, b"more", 4, libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL, 0, 0));
            call!(t, recvfrom(a, &mut buf, 16, libc::MSG_DONTWAIT, 0, 0));
            t.show("SIGPIPE", HANDLED.load(std::sync::atomic::Ordering::SeqCst));
            call!(t, shutdown(a, 3));
        });
        c.add(format!("close/peer_gone_{what}"), move |t| {
            let [a, b] = pair(t, kind);
            must!(t, write(b, b"unread", 6));
            must!(t, close(b));
            let mut buf = [0u8; 16];
            call!(t, recvfrom(a, &mut buf, 16, libc::MSG_DONTWAIT, 0, 0));
            call!(t, recvfrom(a, &mut buf, 16, libc::MSG_DONTWAIT, 0, 0));
            call!(t, sendto(a, b"x", 1, libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT, 0, 0));
        });
        c.add(format!("close/unread_data_resets_{what}"), move |t| {
            let [a, b] = pair(t, kind);
            must!(t, write(a, b"never read", 10));
            must!(t, close(b));
            call!(t, recvfrom(a, &mut [0u8; 16], 16, libc::MSG_DONTWAIT, 0, 0));
            call!(t, recvfrom(a, &mut [0u8; 16], 16, libc::MSG_DONTWAIT, 0, 0));
        });
        c.add(format!("recvmsg/truncation_{what}"), move |t| {
            let [a, b] = pair(t, kind);
            must!(t, write(a, b"0123456789", 10));
            receive(t, b as i64, 4, libc::MSG_PEEK);
            receive(t, b as i64, 4, libc::MSG_TRUNC);
            receive(t, b as i64, 100, libc::MSG_DONTWAIT);
        });
        c.add(format!("sendmsg/descriptors_{what}"), move |t| {
            let [a, b] = pair(t, kind);
            let [r, w] = super::pipe::pipe(t, 0);
            send_fds(t, a as i64, &[w, w]);
            must!(t, close(w));
            receive(t, b as i64, 16, libc::MSG_CMSG_CLOEXEC);
            call!(t, fcntl(w, libc::F_GETFD, 0));
            call!(t, write(w, b"through", 7));
            call!(t, read(r, &mut [0u8; 16], 16));
        });
    }
    c.add("sendmsg/descriptor_errors", |t| {
        let [a, b] = pair(t, 1);
        send_fds(t, a as i64, &[900]);
        send_fds(t, a as i64, &[]);
        send_fds(t, a as i64, &[a, b]);
        receive(t, b as i64, 16, libc::MSG_DONTWAIT);
    });
    c.add("recvmsg/descriptors_without_room", |t| {
        let [a, b] = pair(t, 1);
        send_fds(t, a as i64, &[0, 1]);
        let mut buf = [0u8; 4];
        call!(t, read(b, &mut buf, 4));
        send_fds(t, a as i64, &[0, 1]);
        let mut iov = [std::ptr::from_mut(&mut buf) as usize, 4];
        let mut control = [0u64; 3];
        let mut msg: libc::msghdr = zeroed();
        (msg.msg_iov, msg.msg_iovlen) = (std::ptr::from_mut(&mut iov).cast(), 1);
        (msg.msg_control, msg.msg_controllen) = (std::ptr::from_mut(&mut control).cast(), 20);
        call!(t, recvmsg(b, &mut msg, 0));
        t.show("flags, length", (msg.msg_flags, msg.msg_controllen));
        call!(t, fcntl(5, libc::F_GETFD, 0));
        call!(t, fcntl(6, libc::F_GETFD, 0));
    });
    c.add("recvmsg/credentials", |t| {
        let [a, b] = pair(t, 1);
        must!(t, setsockopt(b, 1, libc::SO_PASSCRED, &1i32, 4));
        must!(t, write(a, b"x", 1));
        receive(t, b as i64, 16, 0);
        let (mut cred, mut len) = ([9i32; 3], 12u32);
        call!(t, getsockopt(a, 1, libc::SO_PEERCRED, &mut cred, &mut len));
        t.show("peer is me", cred[0] as i64 == sys!(getpid()));
        t.show("uid, gid", (cred[1], cred[2]));
    });
    c.add("bind/unix_path", |t| {
        let (name, len) = unix(b"sock");
        let s = must!(t, socket(1, 1, 0));
        call!(t, bind(s, &name, len));
        call!(t, bind(s, &name, len));
        let other = must!(t, socket(1, 1, 0));
        call!(t, bind(other, &name, len));
        call!(t, connect(other, &name, len));
        call!(t, listen(s, 1));
        call!(t, connect(other, &name, len));
        call!(t, connect(other, &name, len));
        let mut st: libc::stat = zeroed();
        must!(t, stat(c"sock", &mut st));
        t.show("mode", format_args!("{:o}", st.st_mode));
        call!(t, open(c"sock", 2, 0));
        let (mut peer, mut plen) = ([0u8; 110], 110u32);
        let got = call!(t, accept(s, &mut peer, &mut plen));
        t.show("peer length", plen);
        (peer, plen) = ([0u8; 110], 110);
        call!(t, getpeername(other, &mut peer, &mut plen));
        t.bytes("name", &peer[..plen.min(110) as usize]);
        call!(t, write(other, b"hello", 5));
        call!(t, read(got, &mut [0u8; 8], 8));
        must!(t, unlink(c"sock"));
        call!(t, connect(must!(t, socket(1, 1, 0)), &name, len));
    });
    c.add("bind/unix_abstract", |t| {
        let tag = format!("\0conformance-{}", sys!(getpid()));
        let (name, len) = unix(tag.as_bytes());
        let s = must!(t, socket(1, 2, 0));
        call!(t, bind(s, &name, len));
        let c2 = must!(t, socket(1, 2, 0));
        call!(t, sendto(c2, b"datagram", 8, 0, &name, len));
        call!(t, sendto(c2, b"datagram", 8, 0, &name, len - 1));
        let (mut from, mut flen) = ([0u8; 110], 110u32);
        let mut b = [0u8; 16];
        call!(t, recvfrom(s, &mut b, 16, 0, &mut from, &mut flen));
        t.show("sender's length", flen);
        must!(t, close(s));
        call!(t, sendto(c2, b"datagram", 8, 0, &name, len));
    });
    c.add("connect/unix_backlog_full", |t| {
        let (name, len) = unix(b"sock");
        let s = must!(t, socket(1, 1, 0));
        must!(t, bind(s, &name, len));
        must!(t, listen(s, 0));
        for _ in 0..3 {
            let c2 = must!(t, socket(1, 1 | libc::SOCK_NONBLOCK, 0));
            call!(t, connect(c2, &name, len));
        }
    });
    c.add("connect/unix_wrong_type_and_permission", |t| {
        let (name, len) = unix(b"sock");
        let s = must!(t, socket(1, 1, 0));
        must!(t, bind(s, &name, len));
        must!(t, listen(s, 1));
        call!(t, connect(must!(t, socket(1, 2, 0)), &name, len));
        must!(t, chmod(c"sock", 0o600));
        must!(t, setresuid(1000, 1000, 1000));
        call!(t, connect(must!(t, socket(1, 1, 0)), &name, len));
    });
    c.add("write/unix_stream_fills", |t| {
        let [a, b] = pair(t, 1 | libc::SOCK_NONBLOCK);
        let mut total = 0;
        loop {
            let n = sys!(write(a, &[1u8; 4096], 4096));
            if n < 0 {
                t.ret("last", n);
                break;
            }
            total += n;
        }
        t.show("took some", total > 4096);
        let mut p = libc::pollfd { fd: a, events: 5, revents: 0 };
        call!(t, poll(&mut p, 1, 0));
        let mut left = total;
        while left > 0 {
            left -= sys!(read(b, &mut [0u8; 4096], 4096)).max(1);
        }
        call!(t, poll(&mut p, 1, 0));
        t.show("revents", p.revents);
    });
    c.add("recvfrom/wait_all_and_timeout", |t| {
        let [a, b] = pair(t, 1);
        let pid = later(t, 15, || {
            sys!(write(a, b"cd", 2));
        });
        must!(t, write(a, b"ab", 2));
        let mut buf = [0u8; 8];
        call!(t, recvfrom(b, &mut buf, 4, libc::MSG_WAITALL, 0, 0));
        t.bytes("all", &buf[..4]);
        t.show("child", reap(pid));
        must!(t, setsockopt(b, 1, libc::SO_RCVTIMEO, &[0u64, 10_000], 16));
        call!(t, read(b, &mut buf, 4));
        let (mut tv, mut len) = ([9u64; 2], 16u32);
        call!(t, getsockopt(b, 1, libc::SO_RCVTIMEO, &mut tv, &mut len));
        // Rounded up to the kernel's ticks, which are of a length of its own.
        t.show("timeout", tv[0] == 0 && (10_000..=20_000).contains(&tv[1]));
        call!(t, setsockopt(b, 1, libc::SO_RCVTIMEO, &[0u64, 2_000_000], 16));
    });
    c.add("read/interrupted", |t| {
        let [a, _b] = pair(t, 1);
        alarms(false);
        call!(t, read(a, &mut [0u8; 4], 4));
        let (l, _) = listener(t);
        call!(t, accept(l, 0, 0));
    });
    c.add("read/timeout_is_not_restarted", |t| {
        let [a, _b] = pair(t, 1);
        must!(t, setsockopt(a, 1, libc::SO_RCVTIMEO, &[5u64, 0], 16));
        alarms(true);
        call!(t, read(a, &mut [0u8; 4], 4));
    });
    c.add("tcp/connect_accept_talk", |t| {
        let (c2, s) = tcp_pair(t);
        call!(t, write(c2, b"request", 7));
        let mut b = [0u8; 16];
        call!(t, read(s, &mut b, 16));
        t.bytes("request", &b[..7]);
        call!(t, sendto(s, b"reply", 5, 0, 0, 0));
        call!(t, recvfrom(c2, &mut b, 16, libc::MSG_PEEK, 0, 0));
        call!(t, recvfrom(c2, &mut b, 16, 0, 0, 0));
        must!(t, shutdown(c2, 1));
        call!(t, read(s, &mut b, 16));
        call!(t, write(s, b"late", 4));
        call!(t, read(c2, &mut b, 16));
        must!(t, close(s));
        call!(t, read(c2, &mut b, 16));
    });
    c.add("tcp/names", |t| {
        let (l, port_of_listener) = listener(t);
        let c2 = must!(t, socket(2, 1, 0));
        must!(t, connect(c2, &inet(port_of_listener), 16));
        let (mut a, mut len) = ([0u8; 16], 16u32);
        let s = must!(t, accept4(l, &mut a, &mut len, libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK));
        t.show("length, family, address", (len, a[0], &a[4..8]));
        t.show("peer's port", u16::from_be_bytes([a[2], a[3]]) == port(t, c2));
        call!(t, fcntl(s, libc::F_GETFD, 0));
        call!(t, fcntl(s, libc::F_GETFL, 0));
        let (mut a, mut len) = ([0u8; 16], 16u32);
        call!(t, getpeername(c2, &mut a, &mut len));
        t.show("listener's port", u16::from_be_bytes([a[2], a[3]]) == port_of_listener);
    });
    c.add("tcp/refused", |t| {
        let s = must!(t, socket(2, 1, 0));
        must!(t, bind(s, &inet(0), 16));
        let port = port(t, s);
        let c2 = must!(t, socket(2, 1, 0));
        call!(t, connect(c2, &inet(port), 16));
        call!(t, write(c2, b"x", 1));
        call!(t, read(c2, &mut [0u8; 4], 4));
        call!(t, getpeername(c2, &mut [0u8; 16], &mut 16u32));
    });
    c.add("tcp/nonblocking_connect", |t| {
        let (_l, port) = listener(t);
        let c2 = must!(t, socket(2, 1 | libc::SOCK_NONBLOCK, 0));
        let r = sys!(connect(c2, &inet(port), 16));
        t.show("at once or in progress", r == 0 || r == -(libc::EINPROGRESS as i64));
        let mut p = libc::pollfd { fd: c2 as i32, events: 4, revents: 0 };
        call!(t, poll(&mut p, 1, 5000));
        t.show("revents", p.revents);
        let (mut e, mut len) = (9i32, 4u32);
        call!(t, getsockopt(c2, 1, libc::SO_ERROR, &mut e, &mut len));
        t.show("error", e);
        call!(t, connect(c2, &inet(port), 16));
    });
    c.add("tcp/address_in_use", |t| {
        let (_l, port) = listener(t);
        let s = must!(t, socket(2, 1, 0));
        call!(t, bind(s, &inet(port), 16));
        must!(t, setsockopt(s, 1, libc::SO_REUSEADDR, &1i32, 4));
        call!(t, bind(s, &inet(port), 16));
    });
    c.add("tcp/reset_by_linger", |t| {
        let (c2, s) = tcp_pair(t);
        must!(t, setsockopt(s, 1, libc::SO_LINGER, &[1i32, 0], 8));
        must!(t, close(s));
        let mut p = libc::pollfd { fd: c2 as i32, events: 5 | 0x2000, revents: 0 };
        call!(t, poll(&mut p, 1, 5000));
        t.show("revents", format_args!("{:#x}", p.revents));
        call!(t, read(c2, &mut [0u8; 4], 4));
        call!(t, read(c2, &mut [0u8; 4], 4));
        call!(t, sendto(c2, b"x", 1, libc::MSG_NOSIGNAL, 0, 0));
    });
    c.add("tcp/ioctl_counts", |t| {
        let (c2, s) = tcp_pair(t);
        must!(t, write(c2, b"0123456789", 10));
        let mut p = libc::pollfd { fd: s as i32, events: 1, revents: 0 };
        must!(t, poll(&mut p, 1, 5000));
        let mut n = 0i32;
        call!(t, ioctl(s, libc::FIONREAD, &mut n));
        t.show("readable", n);
        let (l, _) = listener(t);
        call!(t, ioctl(l, libc::FIONREAD, &mut n));
    });
    c.add("tcp/large_transfer", |t| {
        let (c2, s) = tcp_pair(t);
        let pid = fork(t, || {
            let block = [5u8; 65536];
            let mut left = 4 << 20;
            while left > 0 {
                left -= sys!(write(c2, &block, left.min(65536))).max(0);
            }
        });
        must!(t, close(c2));
        let (mut total, mut b) = (0i64, vec![0u8; 65536]);
        loop {
            match sys!(read(s, b.as_mut_ptr(), 65536)) {
                n @ 1.. => total += n,
                n => break t.ret("end", n),
            }
        }
        t.show("bytes", total);
        t.show("child", reap(pid));
    });
    c.add("udp/send_receive_connect", |t| {
        let (a, b) = (must!(t, socket(2, 2, 0)), must!(t, socket(2, 2, 0)));
        must!(t, bind(a, &inet(0), 16));
        let to = inet(port(t, a));
        call!(t, sendto(b, b"one", 3, 0, &to, 16));
        call!(t, sendto(b, 0, 0, 0, &to, 16));
        let (mut from, mut len, mut buf) = ([0u8; 16], 16u32, [0u8; 16]);
        call!(t, recvfrom(a, &mut buf, 2, libc::MSG_TRUNC, &mut from, &mut len));
        t.show("from", (len, from[0], &from[4..8]));
        call!(t, recvfrom(a, &mut buf, 16, 0, 0, 0));
        call!(t, recvfrom(a, &mut buf, 16, libc::MSG_DONTWAIT, 0, 0));
        call!(t, connect(b, &to, 16));
        call!(t, write(b, b"two", 3));
        call!(t, read(a, &mut buf, 16));
        must!(t, close(a));
        call!(t, write(b, b"x", 1));
        sleep_ms(5);
        call!(t, write(b, b"x", 1));
        call!(t, connect(b, &[0u8; 16], 16));
        call!(t, write(b, b"x", 1));
    });
    c.add("udp/message_too_long", |t| {
        let (a, b) = (must!(t, socket(2, 2, 0)), must!(t, socket(2, 2, 0)));
        must!(t, bind(a, &inet(0), 16));
        let to = inet(port(t, a));
        let big = vec![0u8; 70_000];
        for size in [65_507, 65_508, 70_000] {
            t.ret(&format!("sendto {size}"), sys!(sendto(b, big.as_slice(), size, 0, &to, 16)));
        }
    });
    c.add("sendmmsg/and_recvmmsg", |t| {
        let [a, b] = pair(t, 2);
        let iovs = [[c"one".as_ptr() as usize, 3], [c"three".as_ptr() as usize, 5]];
        let entry = |i: usize| -> [usize; 8] { [0, 0, std::ptr::from_ref(&iovs[i]) as usize, 1, 0, 0, 0, 0] };
        let mut list = [entry(0), entry(1)];
        call!(t, sendmmsg(a, &mut list, 2, 0));
        t.show("lengths", (list[0][7], list[1][7]));
        let mut bufs = [[0u8; 16]; 3];
        let iovs: Vec<[usize; 2]> = bufs.iter_mut().map(|b| [b.as_mut_ptr() as usize, 16]).collect();
        let mut list: Vec<[usize; 8]> = iovs.iter().map(|v| [0, 0, v.as_ptr() as usize, 1, 0, 0, 0, 0]).collect();
        call!(t, recvmmsg(b, list.as_slice(), 3, libc::MSG_DONTWAIT, 0));
        list.truncate(2);
        t.show("lengths", list.iter().map(|e| e[7]).collect::<Vec<_>>());
        call!(t, recvmmsg(b, list.as_slice(), 2, libc::MSG_DONTWAIT, 0));
    });
    for (what, option, value) in [
        ("reuseaddr", libc::SO_REUSEADDR, 5),
        ("keepalive", libc::SO_KEEPALIVE, 1),
        ("broadcast", libc::SO_BROADCAST, 1),
        ("oobinline", libc::SO_OOBINLINE, 1),
        ("sndbuf", libc::SO_SNDBUF, 20_000),
        ("rcvbuf", libc::SO_RCVBUF, 20_000),
        ("rcvbuf_tiny", libc::SO_RCVBUF, 1),
        ("priority", libc::SO_PRIORITY, 3),
        ("rcvlowat", libc::SO_RCVLOWAT, 9),
        ("timestamp", libc::SO_TIMESTAMP, 1),
        ("reuseport", libc::SO_REUSEPORT, 1),
        ("mark", libc::SO_MARK, 4),
        ("passcred", libc::SO_PASSCRED, 1),
        ("type", libc::SO_TYPE, 1),
        ("acceptconn", libc::SO_ACCEPTCONN, 1),
        ("incoming_cpu", libc::SO_INCOMING_CPU, 0),
    ] {
        c.add(format!("setsockopt/{what}"), move |t| {
            for (name, fd) in [
                ("unix", must!(t, socket(1, 1, 0))),
                ("tcp", must!(t, socket(2, 1, 0))),
                ("udp", must!(t, socket(2, 2, 0))),
            ] {
                let (mut v, mut len) = (-7i32, 4u32);
                t.ret(name, sys!(setsockopt(fd, 1, option, &value, 4)));
                t.ret("getsockopt", sys!(getsockopt(fd, 1, option, &mut v, &mut len)));
                t.show("value", v);
            }
        });
    }
    for (what, option) in [
        ("nodelay", 1),
        ("maxseg", 2),
        ("cork", 3),
        ("keepidle", 4),
        ("keepintvl", 5),
        ("keepcnt", 6),
        ("syncnt", 7),
        ("linger2", 8),
        ("defer_accept", 9),
        ("quickack", 12),
        ("user_timeout", 18),
    ] {
        c.add(format!("setsockopt/tcp_{what}"), move |t| {
            let fd = must!(t, socket(2, 1, 0));
            let (mut v, mut len) = (-7i32, 4u32);
            call!(t, getsockopt(fd, 6, option, &mut v, &mut len));
            t.show("at first", v);
            call!(t, setsockopt(fd, 6, option, &7i32, 4));
            call!(t, getsockopt(fd, 6, option, &mut v, &mut len));
            t.show("then", v);
            call!(t, setsockopt(fd, 6, option, &-1i32, 4));
        });
    }
    c.add("socket/families_as_user", |t| {
        must!(t, setresuid(1000, 1000, 1000));
        for (family, kind, protocol) in
            [(1, 1, 0), (2, 1, 0), (2, 3, 1), (10, 2, 0), (16, 3, 0), (17, 3, 0), (99, 1, 0), (2, 5, 0)]
        {
            t.ret(&format!("socket {family} {kind} {protocol}"), sys!(socket(family, kind, protocol)).min(0));
        }
    });
    c.add("bind/privileged_port_as_user", |t| {
        must!(t, setresuid(1000, 1000, 1000));
        call!(t, bind(must!(t, socket(2, 1, 0)), &inet(80), 16));
    });
    c.add("netlink/route_dump_has_loopback", |t| {
        let fd = must!(t, socket(16, 3, 0));
        let request = [20u32, 18 | 0x301 << 16, 1, 0, 0];
        call!(t, sendto(fd, &request, 20, 0, 0, 0));
        let mut b = [0u8; 8192];
        let n = sys!(recvfrom(fd, &mut b, 8192, 0, 0, 0));
        t.show("answer", n > 16 && u16::from_ne_bytes([b[4], b[5]]) == 16);
        t.show("names lo", b.windows(3).any(|w| w == b"lo\0"));
    });
}
