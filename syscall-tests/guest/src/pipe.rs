//! Pipes: capacity, atomicity, end of file, SIGPIPE, blocking.

use crate::harness::memory::edge;
use crate::harness::process::*;
use crate::harness::{Cases, T};

/// A pipe as `[read end, write end]`.
pub fn pipe(t: &T, flags: i32) -> [i32; 2] {
    let mut fds = [0i32; 2];
    must!(t, pipe2(&mut fds, flags));
    fds
}

pub fn cases(c: &mut Cases) {
    c.family("pipe");
    c.add("pipe/lowest_descriptors", |t| {
        let mut fds = [0i32; 2];
        must!(t, close(0));
        call!(t, pipe(&mut fds));
        t.show("fds", fds);
    });
    for (what, flags) in [
        ("none", 0),
        ("cloexec", libc::O_CLOEXEC),
        ("nonblock", libc::O_NONBLOCK),
        ("both", libc::O_CLOEXEC | libc::O_NONBLOCK),
    ] {
        c.add(format!("pipe2/flags_{what}"), move |t| {
            let [r, w] = pipe(t, flags);
            for fd in [r, w] {
                call!(t, fcntl(fd, libc::F_GETFD, 0));
                call!(t, fcntl(fd, libc::F_GETFL, 0));
            }
        });
    }
    c.add("read/what_was_written", |t| {
        let [r, w] = pipe(t, 0);
        let mut b = [0u8; 16];
        call!(t, write(w, b"hello ", 6));
        call!(t, write(w, b"world", 5));
        call!(t, read(r, &mut b, 3));
        t.bytes("first", &b);
        call!(t, read(r, &mut b, 16));
        t.bytes("rest", &b);
    });
    c.add("read/end_of_file_after_close", |t| {
        let [r, w] = pipe(t, 0);
        let mut b = [0u8; 4];
        call!(t, write(w, b"x", 1));
        call!(t, close(w));
        call!(t, read(r, &mut b, 4));
        call!(t, read(r, &mut b, 4));
    });
    c.add("read/zero_bytes_does_not_block", |t| {
        let [r, _w] = pipe(t, 0);
        call!(t, read(r, 0, 0));
    });
    c.add("read/write_end_is_not_readable", |t| {
        let [r, w] = pipe(t, 0);
        let mut b = [0u8; 4];
        call!(t, read(w, &mut b, 4));
        call!(t, write(r, &b, 4));
    });
    c.add("write/broken_pipe_raises_sigpipe", |t| {
        let [r, w] = pipe(t, 0);
        must!(t, close(r));
        handle(libc::SIGPIPE, 0);
        call!(t, write(w, b"x", 1));
        t.show("SIGPIPE", was_handled());
    });
    c.add("write/broken_pipe_kills", |t| {
        in_child(t, || {
            let [r, w] = pipe(t, 0);
            sys!(close(r));
            sys!(write(w, b"x", 1));
        });
    });
    c.add("write/broken_pipe_zero_bytes", |t| {
        let [r, w] = pipe(t, 0);
        must!(t, close(r));
        call!(t, write(w, 0, 0));
    });
    c.add("write/fills_to_capacity", |t| {
        let [r, w] = pipe(t, libc::O_NONBLOCK);
        let block = [7u8; 4096];
        let mut total = 0;
        loop {
            let n = sys!(write(w, &block, 4096));
            if n < 0 {
                t.ret("write to a full pipe", n);
                break;
            }
            total += n;
        }
        t.show("capacity", total);
        call!(t, fcntl(w, libc::F_GETPIPE_SZ, 0));
        let mut n = 0i32;
        call!(t, ioctl(r, libc::FIONREAD, &mut n));
        t.show("readable", n);
    });
    c.add("write/small_writes_share_a_page", |t| {
        let [_r, w] = pipe(t, libc::O_NONBLOCK);
        let mut count = 0;
        while sys!(write(w, b"abcdefgh", 8)) == 8 {
            count += 1;
        }
        t.show("writes of 8 bytes", count);
    });
    c.add("write/up_to_pipe_buf_is_atomic", |t| {
        let [r, w] = pipe(t, libc::O_NONBLOCK);
        let block = [7u8; 65536];
        call!(t, write(w, &block, 65536 - 100));
        call!(t, write(w, &block, 200));
        call!(t, write(w, &block, 4096));
        call!(t, write(w, &block, 4097));
        let mut b = [0u8; 4096];
        call!(t, read(r, &mut b, 4096));
        call!(t, write(w, &block, 200));
    });
    c.add("write/fault_half_way", |t| {
        let [r, w] = pipe(t, libc::O_NONBLOCK);
        call!(t, write(w, edge(t, 10), 20));
        let mut b = [0u8; 64];
        call!(t, read(r, &mut b, 64));
    });
    c.add("write/fault_half_way_across_pages", |t| {
        let [r, w] = pipe(t, libc::O_NONBLOCK);
        call!(t, write(w, edge(t, 8192), 12288));
        let mut n = 0i32;
        call!(t, ioctl(r, libc::FIONREAD, &mut n));
        t.show("readable", n);
    });
    c.add("read/fault_half_way", |t| {
        let [r, w] = pipe(t, libc::O_NONBLOCK);
        must!(t, write(w, b"0123456789abcdefghij", 20));
        call!(t, read(r, edge(t, 10), 20));
        let mut b = [0u8; 64];
        call!(t, read(r, &mut b, 64));
        t.bytes("left", &b);
    });
    c.add("read/interrupted", |t| {
        let [r, _w] = pipe(t, 0);
        let mut b = [0u8; 4];
        alarms(false);
        call!(t, read(r, &mut b, 4));
        t.show("handled", was_handled());
    });
    c.add("read/restarted", |t| {
        let [r, w] = pipe(t, 0);
        alarms(true);
        let mut b = [0u8; 4];
        let pid = later(t, 90, || {
            sys!(write(w, b"late", 4));
        });
        call!(t, read(r, &mut b, 4));
        no_alarms();
        t.show("handled", was_handled());
        t.show("child", reap(pid));
    });
    c.add("write/interrupted_when_full", |t| {
        let [_r, w] = pipe(t, 0);
        must!(t, fcntl(w, libc::F_SETPIPE_SZ, 4096));
        let block = [7u8; 8192];
        alarms(false);
        call!(t, write(w, &block, 8192));
        call!(t, write(w, &block, 1));
    });
    c.add("write/blocks_until_read", |t| {
        let [r, w] = pipe(t, 0);
        must!(t, fcntl(w, libc::F_SETPIPE_SZ, 4096));
        let pid = fork(t, || {
            sleep_ms(20);
            let mut b = [0u8; 4096];
            let mut total = 0;
            while total < 20000 {
                total += sys!(read(r, &mut b, 4096)).max(1);
            }
        });
        let block = [7u8; 20000];
        call!(t, write(w, &block, 20000));
        t.show("reader", reap(pid));
    });
    for (what, size) in [
        ("one", 1),
        ("page", 4096),
        ("odd", 5000),
        ("large", 1 << 20),
        ("huge", 1 << 21),
        ("negative", -1i64),
        ("zero", 0),
    ] {
        c.add(format!("fcntl/pipe_size_{what}"), move |t| {
            let [r, w] = pipe(t, 0);
            // As a user without privileges, whom pipe-max-size limits.
            if size == 1 << 21 {
                must!(t, setresuid(1000, 1000, 1000));
            }
            call!(t, fcntl(r, libc::F_SETPIPE_SZ, size));
            call!(t, fcntl(w, libc::F_GETPIPE_SZ, 0));
        });
    }
    c.add("fcntl/pipe_size_below_content", |t| {
        let [_r, w] = pipe(t, 0);
        must!(t, write(w, &[1u8; 10000], 10000));
        call!(t, fcntl(w, libc::F_SETPIPE_SZ, 4096));
        call!(t, fcntl(w, libc::F_SETPIPE_SZ, 16384));
    });
    c.add("read/packet_mode", |t| {
        let [r, w] = pipe(t, libc::O_DIRECT | libc::O_NONBLOCK);
        let mut b = [0u8; 16];
        must!(t, write(w, b"first", 5));
        must!(t, write(w, b"second", 6));
        call!(t, read(r, &mut b, 3));
        call!(t, read(r, &mut b, 16));
        t.bytes("second", &b);
    });
    c.add("fstat/of_a_pipe", |t| {
        let [r, w] = pipe(t, 0);
        let (mut a, mut b) =
            (crate::harness::memory::zeroed::<libc::stat>(), crate::harness::memory::zeroed::<libc::stat>());
        call!(t, fstat(r, &mut a));
        call!(t, fstat(w, &mut b));
        t.show("mode", format_args!("{:o} {:o}", a.st_mode, b.st_mode));
        t.show("same inode", a.st_ino == b.st_ino);
        t.show("size, links, block size", (a.st_size, a.st_nlink, a.st_blksize));
    });
    c.add("open/fifo_pairs_reader_and_writer", |t| {
        must!(t, mknod(c"fifo", libc::S_IFIFO | 0o600, 0));
        let pid = fork(t, || {
            let w = sys!(open(c"fifo", libc::O_WRONLY, 0));
            sys!(write(w, b"through", 7));
        });
        let r = call!(t, open(c"fifo", libc::O_RDONLY, 0));
        let mut b = [0u8; 16];
        call!(t, read(r, &mut b, 16));
        t.bytes("read", &b);
        t.show("writer", reap(pid));
        call!(t, read(r, &mut b, 16));
    });
    c.add("open/fifo_interrupted", |t| {
        must!(t, mknod(c"fifo", libc::S_IFIFO | 0o600, 0));
        alarms(false);
        call!(t, open(c"fifo", libc::O_RDONLY, 0));
    });
    c.add("open/fifo_read_write_does_not_block", |t| {
        must!(t, mknod(c"fifo", libc::S_IFIFO | 0o600, 0));
        let fd = call!(t, open(c"fifo", libc::O_RDWR, 0));
        call!(t, write(fd, b"x", 1));
        let mut b = [0u8; 4];
        call!(t, read(fd, &mut b, 4));
    });
    c.add("read/nonblocking_fifo_without_writer", |t| {
        must!(t, mknod(c"fifo", libc::S_IFIFO | 0o600, 0));
        let r = must!(t, open(c"fifo", libc::O_RDONLY | libc::O_NONBLOCK, 0));
        let mut b = [0u8; 4];
        call!(t, read(r, &mut b, 4));
        let w = must!(t, open(c"fifo", libc::O_WRONLY | libc::O_NONBLOCK, 0));
        call!(t, read(r, &mut b, 4));
        must!(t, close(w));
        call!(t, read(r, &mut b, 4));
    });
    c.add("fork/child_keeps_the_end_open", |t| {
        let [r, w] = pipe(t, 0);
        let pid = fork(t, || sleep_ms(30));
        must!(t, close(w));
        let mut b = [0u8; 4];
        // Only when the child is gone is there an end of file.
        call!(t, read(r, &mut b, 4));
        let mut status = 0i32;
        t.show("child has ended", sys!(wait4(pid, &mut status, 0, 0)) == pid);
    });
    c.add("open/through_proc_fd", |t| {
        let [r, w] = pipe(t, 0);
        let path = std::ffi::CString::new(format!("/proc/self/fd/{w}")).unwrap_or_default();
        let again = call!(t, open(path.as_c_str(), libc::O_WRONLY, 0));
        must!(t, close(w));
        call!(t, write(again, b"y", 1));
        let mut b = [0u8; 1];
        call!(t, read(r, &mut b, 1));
    });
    c.add("readlink/proc_fd_of_a_pipe", |t| {
        let [r, _w] = pipe(t, 0);
        let path = std::ffi::CString::new(format!("/proc/self/fd/{r}")).unwrap_or_default();
        let mut b = [0u8; 64];
        let n = sys!(readlink(path.as_c_str(), &mut b, 64));
        t.show("starts with pipe:[", n > 6 && b.starts_with(b"pipe:["));
    });
}
