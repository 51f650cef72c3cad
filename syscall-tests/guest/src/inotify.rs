//! inotify: which event each operation makes, masks, moves, overflow, removal.

use super::read_write::file;
use crate::harness::process::*;
use crate::harness::{Cases, T};

/// Reads all events and records them, cookies only as equal or not.
fn events(t: &T, fd: i64) {
    let mut b = [0u8; 8192];
    let n = sys!(read(fd, &mut b, 8192));
    if n < 0 {
        t.ret("read", n);
        return;
    }
    let (mut at, mut cookies) = (0, Vec::new());
    while at < n as usize {
        let word = |o: usize| u32::from_ne_bytes([b[at + o], b[at + o + 1], b[at + o + 2], b[at + o + 3]]);
        let (wd, mask, cookie, len) = (word(0) as i32, word(4), word(8), word(12) as usize);
        let name: Vec<u8> = b[at + 16..at + 16 + len].iter().copied().take_while(|c| *c != 0).collect();
        if cookie != 0 && !cookies.contains(&cookie) {
            cookies.push(cookie);
        }
        let pair = cookies.iter().position(|c| *c == cookie).map_or(0, |i| i + 1);
        t.line(format_args!("  event wd {wd} {mask:#x} pair {pair} padded {len} {}", String::from_utf8_lossy(&name)));
        at += 16 + len;
    }
}

const ALL: u32 = 0xfff;

fn watch(t: &T, mask: u32) -> i64 {
    must!(t, mkdir(c"w", 0o755));
    let fd = must!(t, inotify_init1(libc::IN_NONBLOCK));
    call!(t, inotify_add_watch(fd, c"w", mask));
    fd
}

pub fn cases(c: &mut Cases) {
    c.family("inotify");
    c.add("read/create_write_close", |t| {
        let fd = watch(t, ALL);
        let f = must!(t, open(c"w/f", libc::O_CREAT | libc::O_RDWR, 0o600));
        must!(t, write(f, b"x", 1));
        must!(t, pread64(f, &mut [0u8; 1], 1, 0));
        must!(t, close(f));
        events(t, fd);
        events(t, fd);
    });
    c.add("read/truncating_open", |t| {
        let fd = watch(t, 0);
        t.show("empty mask", fd > 0);
        let fd = must!(t, inotify_init1(libc::IN_NONBLOCK));
        file(t, c"w/f", b"data");
        must!(t, inotify_add_watch(fd, c"w/f", ALL));
        let f = must!(t, open(c"w/f", libc::O_WRONLY | libc::O_TRUNC, 0));
        must!(t, close(f));
        events(t, fd);
    });
    c.add("read/truncate_calls", |t| {
        let fd = watch(t, ALL);
        let f = file(t, c"w/f", b"data");
        events(t, fd);
        must!(t, truncate(c"w/f", 2));
        must!(t, ftruncate(f, 1));
        must!(t, fallocate(f, 0, 0, 10));
        events(t, fd);
    });
    c.add("read/rename_inside", |t| {
        let fd = watch(t, ALL);
        must!(t, close(file(t, c"w/a", b"")));
        events(t, fd);
        must!(t, rename(c"w/a", c"w/b"));
        events(t, fd);
    });
    c.add("read/rename_in_and_out", |t| {
        let fd = watch(t, ALL);
        must!(t, close(file(t, c"outside", b"")));
        must!(t, rename(c"outside", c"w/in"));
        must!(t, rename(c"w/in", c"out"));
        events(t, fd);
    });
    c.add("read/rename_over_existing", |t| {
        let fd = watch(t, ALL);
        must!(t, close(file(t, c"w/a", b"")));
        must!(t, close(file(t, c"w/b", b"")));
        events(t, fd);
        must!(t, rename(c"w/a", c"w/b"));
        events(t, fd);
    });
    c.add("read/attributes", |t| {
        let fd = watch(t, ALL);
        must!(t, close(file(t, c"w/f", b"")));
        events(t, fd);
        must!(t, chmod(c"w/f", 0o600));
        must!(t, chown(c"w/f", 1, 1));
        must!(t, utimensat(libc::AT_FDCWD, c"w/f", &[1u64, 0, 1, 0], 0));
        must!(t, link(c"w/f", c"w/g"));
        events(t, fd);
    });
    c.add("read/identical_events_merge", |t| {
        let fd = watch(t, ALL);
        let f = file(t, c"w/f", b"");
        events(t, fd);
        for _ in 0..5 {
            must!(t, write(f, b"x", 1));
        }
        events(t, fd);
    });
    c.add("read/directories", |t| {
        let fd = watch(t, ALL);
        must!(t, mkdir(c"w/d", 0o755));
        must!(t, rename(c"w/d", c"w/e"));
        must!(t, rmdir(c"w/e"));
        must!(t, symlink(c"x", c"w/l"));
        must!(t, unlink(c"w/l"));
        events(t, fd);
    });
    c.add("read/watched_file_is_deleted", |t| {
        let f = file(t, c"f", b"");
        let fd = must!(t, inotify_init1(libc::IN_NONBLOCK));
        must!(t, inotify_add_watch(fd, c"f", ALL));
        must!(t, unlink(c"f"));
        events(t, fd);
        must!(t, close(f));
        events(t, fd);
        call!(t, inotify_rm_watch(fd, 1));
    });
    c.add("read/watched_directory_is_deleted", |t| {
        let fd = watch(t, ALL);
        must!(t, rmdir(c"w"));
        events(t, fd);
    });
    c.add("read/watched_file_is_renamed", |t| {
        must!(t, close(file(t, c"f", b"")));
        let fd = must!(t, inotify_init1(libc::IN_NONBLOCK));
        must!(t, inotify_add_watch(fd, c"f", ALL));
        must!(t, rename(c"f", c"g"));
        must!(t, chmod(c"g", 0o600));
        events(t, fd);
    });
    c.add("inotify_add_watch/same_inode_same_descriptor", |t| {
        must!(t, close(file(t, c"f", b"")));
        must!(t, link(c"f", c"g"));
        let fd = must!(t, inotify_init1(libc::IN_NONBLOCK));
        call!(t, inotify_add_watch(fd, c"f", libc::IN_ATTRIB));
        call!(t, inotify_add_watch(fd, c"g", libc::IN_OPEN));
        must!(t, chmod(c"f", 0o600));
        events(t, fd);
        call!(t, inotify_add_watch(fd, c"f", libc::IN_ATTRIB | libc::IN_MASK_ADD));
        must!(t, chmod(c"f", 0o644));
        must!(t, close(must!(t, open(c"f", 0, 0))));
        events(t, fd);
        call!(t, inotify_add_watch(fd, c"f", libc::IN_ATTRIB | libc::IN_MASK_CREATE));
        call!(t, inotify_add_watch(fd, c"f", libc::IN_MASK_ADD | libc::IN_MASK_CREATE | 1));
    });
    c.add("inotify_add_watch/one_shot", |t| {
        let fd = watch(t, libc::IN_CREATE | libc::IN_ONESHOT);
        file(t, c"w/a", b"");
        file(t, c"w/b", b"");
        events(t, fd);
    });
    c.add("inotify_rm_watch/makes_ignored", |t| {
        let fd = watch(t, ALL);
        call!(t, inotify_rm_watch(fd, 1));
        call!(t, inotify_rm_watch(fd, 1));
        events(t, fd);
        call!(t, inotify_add_watch(fd, c"w", ALL));
    });
    c.add("inotify_add_watch/dont_follow", |t| {
        must!(t, symlink(c"missing", c"l"));
        let fd = must!(t, inotify_init1(libc::IN_NONBLOCK));
        call!(t, inotify_add_watch(fd, c"l", ALL));
        call!(t, inotify_add_watch(fd, c"l", ALL | libc::IN_DONT_FOLLOW));
    });
    c.add("inotify_add_watch/unreadable_as_user", |t| {
        must!(t, close(file(t, c"f", b"")));
        must!(t, chmod(c"f", 0o200));
        let fd = must!(t, inotify_init1(libc::IN_NONBLOCK));
        must!(t, setresuid(1000, 1000, 1000));
        call!(t, inotify_add_watch(fd, c"f", ALL));
    });
    c.add("read/buffer_sizes", |t| {
        let fd = watch(t, libc::IN_CREATE);
        file(t, c"w/a", b"");
        file(t, c"w/a-name-of-seventeen", b"");
        let mut b = [0u8; 64];
        call!(t, read(fd, &mut b, 16));
        call!(t, read(fd, &mut b, 32));
        call!(t, read(fd, &mut b, 32));
        call!(t, read(fd, &mut b, 64));
    });
    c.add("ioctl/fionread", |t| {
        let fd = watch(t, libc::IN_CREATE);
        let mut n = 7i32;
        call!(t, ioctl(fd, libc::FIONREAD, &mut n));
        t.show("n", n);
        file(t, c"w/a", b"");
        call!(t, ioctl(fd, libc::FIONREAD, &mut n));
        t.show("n", n);
    });
    c.add("read/blocks_until_an_event", |t| {
        must!(t, mkdir(c"w", 0o755));
        let fd = must!(t, inotify_init1(0));
        must!(t, inotify_add_watch(fd, c"w", libc::IN_CREATE));
        let pid = later(t, 15, || {
            sys!(open(c"w/new", libc::O_CREAT | libc::O_WRONLY, 0o600));
        });
        events(t, fd);
        t.show("child", reap(pid));
    });
    c.add("read/interrupted", |t| {
        let fd = must!(t, inotify_init1(0));
        alarms(false);
        call!(t, read(fd, &mut [0u8; 64], 64));
    });
    c.add("read/writes_by_mapping_are_silent", |t| {
        let fd = watch(t, libc::IN_MODIFY);
        let f = file(t, c"w/f", b"data");
        events(t, fd);
        let map = must!(t, mmap(0, 4096, 3, libc::MAP_SHARED, f, 0)) as usize;
        crate::harness::memory::poke(map, 1u8);
        must!(t, msync(map, 4096, libc::MS_SYNC));
        events(t, fd);
    });
    c.add("read/copy_file_range_and_splice", |t| {
        let fd = watch(t, libc::IN_MODIFY | libc::IN_ACCESS);
        let (a, b) = (file(t, c"w/a", b"0123456789"), file(t, c"w/b", b""));
        events(t, fd);
        must!(t, copy_file_range(a, 0, b, 0, 5, 0));
        events(t, fd);
    });
    c.add("read/exec_of_a_watched_program_is_open", |t| {
        let fd = must!(t, inotify_init1(libc::IN_NONBLOCK));
        if sys!(inotify_add_watch(fd, c"/proc/self/exe", libc::IN_OPEN)) < 0 {
            t.skip("the program itself cannot be watched");
        }
        in_child(t, || {
            exec_child("exit", &["3"]);
        });
        let n = sys!(read(fd, &mut [0u8; 64], 64));
        t.show("an event", n > 0);
    });
}
