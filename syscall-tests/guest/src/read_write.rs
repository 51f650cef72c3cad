//! Reading and writing files: positions, appending, vectors, holes, limits, sharing of the position.

use crate::harness::memory::{bytes_at, edge, pages, poke};
use crate::harness::process::*;
use crate::harness::{Cases, T};

/// A file `name` with `content`, open for reading and writing at its start.
pub fn file(t: &T, name: &std::ffi::CStr, content: &[u8]) -> i64 {
    let fd = must!(t, open(name, libc::O_RDWR | libc::O_CREAT | libc::O_TRUNC, 0o644));
    if !content.is_empty() {
        must!(t, pwrite64(fd, content, content.len(), 0));
    }
    fd
}

/// Records all of a file.
pub fn content(t: &T, fd: i64) {
    let mut b = [0u8; 256];
    let n = sys!(pread64(fd, &mut b, 256, 0));
    t.bytes("content", &b[..n.clamp(0, 256) as usize]);
}

pub fn cases(c: &mut Cases) {
    c.family("read_write");
    c.add("read/moves_the_position", |t| {
        let fd = file(t, c"f", b"0123456789");
        let mut b = [0u8; 4];
        call!(t, read(fd, &mut b, 4));
        t.bytes("first", &b);
        call!(t, read(fd, &mut b, 4));
        t.bytes("second", &b);
        call!(t, read(fd, &mut b, 4));
        call!(t, read(fd, &mut b, 4));
        call!(t, lseek(fd, 0, libc::SEEK_CUR));
    });
    c.add("write/past_the_end_leaves_a_hole", |t| {
        let fd = file(t, c"f", b"ab");
        call!(t, lseek(fd, 6, libc::SEEK_SET));
        call!(t, write(fd, b"cd", 2));
        content(t, fd);
    });
    c.add("write/append_ignores_the_position", |t| {
        let fd = file(t, c"f", b"abc");
        let a = must!(t, open(c"f", libc::O_WRONLY | libc::O_APPEND, 0));
        call!(t, write(a, b"1", 1));
        call!(t, lseek(a, 0, libc::SEEK_SET));
        call!(t, write(a, b"2", 1));
        call!(t, lseek(a, 0, libc::SEEK_CUR));
        call!(t, pwrite64(a, b"3", 1, 0));
        content(t, fd);
    });
    c.add("pwrite64/keeps_the_position", |t| {
        let fd = file(t, c"f", b"abcdef");
        call!(t, pwrite64(fd, b"XY", 2, 2));
        call!(t, lseek(fd, 0, libc::SEEK_CUR));
        content(t, fd);
    });
    c.add("read/position_is_shared_by_dup_and_fork", |t| {
        let fd = file(t, c"f", b"0123456789");
        let copy = must!(t, dup(fd));
        let mut b = [0u8; 2];
        call!(t, read(copy, &mut b, 2));
        in_child(t, || {
            sys!(lseek(fd, 3, libc::SEEK_CUR));
        });
        call!(t, read(fd, &mut b, 2));
        t.bytes("read", &b);
    });
    c.add("read/own_open_has_its_own_position", |t| {
        let fd = file(t, c"f", b"0123456789");
        let other = must!(t, open(c"f", libc::O_RDONLY, 0));
        let mut b = [0u8; 2];
        must!(t, read(fd, &mut b, 2));
        call!(t, read(other, &mut b, 2));
        t.bytes("read", &b);
    });
    c.add("read/half_into_a_bad_buffer", |t| {
        let fd = file(t, c"f", b"0123456789");
        let addr = edge(t, 4);
        call!(t, read(fd, addr, 10));
        t.bytes("buffer", &bytes_at(addr, 4));
        call!(t, lseek(fd, 0, libc::SEEK_CUR));
    });
    c.add("write/half_from_a_bad_buffer", |t| {
        let fd = file(t, c"f", b"");
        let addr = edge(t, 4);
        poke(addr, *b"data");
        call!(t, write(fd, addr, 10));
        call!(t, lseek(fd, 0, libc::SEEK_CUR));
    });
    c.add("write/across_pages_into_a_bad_one", |t| {
        let fd = file(t, c"f", b"");
        call!(t, write(fd, edge(t, 8192), 3 * 4096));
        call!(t, lseek(fd, 0, libc::SEEK_CUR));
    });
    c.add("readv/fills_one_after_the_other", |t| {
        let fd = file(t, c"f", b"0123456789");
        let (mut a, mut b) = ([0u8; 3], [0u8; 4]);
        let iov = [std::ptr::from_mut(&mut a) as usize, 3, std::ptr::from_mut(&mut b) as usize, 4];
        call!(t, readv(fd, &iov, 2));
        t.bytes("a", &a);
        t.bytes("b", &b);
    });
    c.add("readv/second_buffer_is_bad", |t| {
        let fd = file(t, c"f", b"0123456789");
        let a = pages(t, 1);
        call!(t, readv(fd, &[a, 3, 16, 4], 2));
        t.bytes("a", &bytes_at(a, 3));
        call!(t, lseek(fd, 0, libc::SEEK_CUR));
    });
    c.add("writev/gathers", |t| {
        let fd = file(t, c"f", b"");
        let iov = [c"ab".as_ptr() as usize, 2, 0, 0, c"cde".as_ptr() as usize, 3];
        call!(t, writev(fd, &iov, 3));
        content(t, fd);
    });
    c.add("writev/iov_count_limits", |t| {
        let fd = file(t, c"f", b"");
        let iov = [c"x".as_ptr() as usize, 1].repeat(1025);
        call!(t, writev(fd, iov.as_slice(), 1024));
        call!(t, writev(fd, iov.as_slice(), 1025));
    });
    c.add("preadv/offset_halves", |t| {
        let fd = file(t, c"f", b"0123456789");
        let b = pages(t, 1);
        call!(t, preadv(fd, &[b, 4], 1, 3, 0));
        t.bytes("read", &bytes_at(b, 4));
        call!(t, preadv(fd, &[b, 4], 1, 0, 1));
    });
    for (what, flags) in
        [("hipri", 1), ("dsync", 2), ("sync", 4), ("nowait", 8), ("append", 16), ("noappend", 32), ("unknown", 1 << 20)]
    {
        c.add(format!("pwritev2/{what}"), move |t| {
            let fd = file(t, c"f", b"0123456789");
            let r = sys!(pwritev2(fd, &[c"xy".as_ptr() as usize, 2], 1, 0, 0, flags));
            // Whether a write without waiting succeeds is the file system's affair.
            if flags != 8 {
                t.ret("pwritev2", r);
                content(t, fd);
            }
        });
    }
    for (what, size) in [("shorter", 4i64), ("longer", 20), ("zero", 0)] {
        c.add(format!("ftruncate/{what}"), move |t| {
            let fd = file(t, c"f", b"0123456789");
            must!(t, lseek(fd, 7, libc::SEEK_SET));
            call!(t, ftruncate(fd, size));
            call!(t, lseek(fd, 0, libc::SEEK_CUR));
            call!(t, lseek(fd, 0, libc::SEEK_END));
            content(t, fd);
        });
    }
    c.add("truncate/readonly_file_as_user", |t| {
        let fd = file(t, c"f", b"0123456789");
        must!(t, fchmod(fd, 0o444));
        must!(t, fchown(fd, 1000, 1000));
        must!(t, setresuid(1000, 1000, 1000));
        call!(t, truncate(c"f", 1));
        call!(t, ftruncate(fd, 1));
    });
    c.add("ftruncate/readonly_descriptor", |t| {
        file(t, c"f", b"x");
        let fd = must!(t, open(c"f", libc::O_RDONLY, 0));
        call!(t, ftruncate(fd, 0));
    });
    c.add("write/file_size_limit", |t| {
        let fd = file(t, c"f", b"");
        must!(t, setrlimit(libc::RLIMIT_FSIZE, &[10u64, 10]));
        handle(libc::SIGXFSZ, 0);
        call!(t, write(fd, b"0123456789abcdef", 16));
        t.show("SIGXFSZ", was_handled());
        call!(t, write(fd, b"x", 1));
        t.show("SIGXFSZ", was_handled());
        call!(t, ftruncate(fd, 11));
        call!(t, fallocate(fd, 0, 0, 11));
    });
    c.add("write/file_size_limit_kills", |t| {
        in_child(t, || {
            let fd = file(t, c"f", b"");
            sys!(setrlimit(libc::RLIMIT_FSIZE, &[0u64, 0]));
            sys!(write(fd, b"x", 1));
        });
    });
    c.add("lseek/seek_data_and_hole", |t| {
        let fd = file(t, c"f", b"");
        must!(t, ftruncate(fd, 1 << 20));
        must!(t, pwrite64(fd, b"x", 1, 512 << 10));
        must!(t, fsync(fd));
        call!(t, lseek(fd, 0, libc::SEEK_DATA));
        call!(t, lseek(fd, 0, libc::SEEK_HOLE));
        call!(t, lseek(fd, 512 << 10, libc::SEEK_HOLE));
        call!(t, lseek(fd, (512 << 10) + 4096, libc::SEEK_DATA));
        call!(t, lseek(fd, 1 << 20, libc::SEEK_HOLE));
    });
    c.add("lseek/overflow", |t| {
        let fd = file(t, c"f", b"x");
        call!(t, lseek(fd, 1i64 << 40, libc::SEEK_SET));
        call!(t, lseek(fd, i64::MAX, libc::SEEK_CUR));
        call!(t, lseek(fd, i64::MIN, libc::SEEK_CUR));
        call!(t, lseek(fd, -2, libc::SEEK_END));
        call!(t, lseek(fd, 0, libc::SEEK_CUR));
    });
    c.add("lseek/directory", |t| {
        must!(t, mkdir(c"d", 0o755));
        let fd = must!(t, open(c"d", libc::O_RDONLY, 0));
        call!(t, lseek(fd, 0, libc::SEEK_SET));
        call!(t, lseek(fd, -1, libc::SEEK_SET));
    });
    for (what, mode, offset, len) in [
        ("plain", 0, 0i64, 100i64),
        ("beyond", 0, 50, 100),
        ("keep_size", 1, 0, 100),
        ("punch", 3, 2, 4),
        ("zero", 16, 2, 4),
        ("zero_keep", 17, 8, 10),
        ("collapse_odd", 8, 1, 2),
        ("insert_odd", 32, 1, 2),
        ("collapse_and_keep", 9, 0, 4096),
        ("unshare", 64, 0, 4),
    ] {
        c.add(format!("fallocate/{what}"), move |t| {
            let fd = file(t, c"f", b"0123456789");
            let r = sys!(fallocate(fd, mode, offset, len));
            // Only what every file system does the same way is recorded of the rarer modes.
            if mode & (8 | 16 | 32 | 64) == 0 {
                t.ret("fallocate", r);
                call!(t, lseek(fd, 0, libc::SEEK_END));
                content(t, fd);
            } else {
                t.show("fails or works", r <= 0);
            }
        });
    }
    c.add("read/zero_device", |t| {
        let fd = must!(t, open(c"/dev/zero", libc::O_RDONLY, 0));
        let mut b = [1u8; 8];
        call!(t, read(fd, &mut b, 8));
        t.bytes("buffer", &b);
        call!(t, lseek(fd, 5, libc::SEEK_SET));
    });
    c.add("read/null_device", |t| {
        let fd = must!(t, open(c"/dev/null", libc::O_RDWR, 0));
        let mut b = [1u8; 8];
        call!(t, read(fd, &mut b, 8));
        call!(t, write(fd, &b, 8));
        call!(t, write(fd, 16, 8));
        call!(t, lseek(fd, 5, libc::SEEK_SET));
    });
    c.add("write/full_device", |t| {
        let fd = must!(t, open(c"/dev/full", libc::O_RDWR, 0));
        let mut b = [1u8; 8];
        call!(t, write(fd, &b, 8));
        call!(t, write(fd, &b, 0));
        call!(t, read(fd, &mut b, 8));
        t.bytes("buffer", &b);
    });
    c.add("read/urandom_device", |t| {
        let fd = must!(t, open(c"/dev/urandom", libc::O_RDONLY, 0));
        let (mut a, mut b) = ([0u8; 16], [0u8; 16]);
        call!(t, read(fd, &mut a, 16));
        call!(t, read(fd, &mut b, 16));
        t.show("differ", a != b);
    });
    c.add("write/largest_count", |t| {
        let fd = must!(t, open(c"/dev/null", libc::O_RDWR, 0));
        call!(t, write(fd, 0x10000, 0x7fff_f000usize));
        call!(t, write(fd, 0x10000, 0x7fff_ffffusize));
        call!(t, write(fd, 0x10000, 0x8000_0000usize));
        call!(t, write(fd, 0x10000, 1usize << 63));
    });
    c.add("close/then_use", |t| {
        let fd = file(t, c"f", b"x");
        call!(t, close(fd));
        call!(t, close(fd));
        call!(t, lseek(fd, 0, 0));
        let mut b = [0u8; 1];
        call!(t, read(fd, &mut b, 1));
    });
    c.add("fsync/kinds_of_files", |t| {
        let fd = file(t, c"f", b"x");
        call!(t, fsync(fd));
        call!(t, fdatasync(fd));
        must!(t, mkdir(c"d", 0o755));
        call!(t, fsync(must!(t, open(c"d", 0, 0))));
        call!(t, fsync(super::pipe::pipe(t, 0)[0]));
        call!(t, fsync(must!(t, open(c"/dev/null", 0, 0))));
    });
    c.add("unlink/open_file_lives_on", |t| {
        let fd = file(t, c"f", b"still here");
        call!(t, unlink(c"f"));
        content(t, fd);
        call!(t, write(fd, b"STILL", 5));
        content(t, fd);
        let mut st: libc::stat = crate::harness::memory::zeroed();
        call!(t, fstat(fd, &mut st));
        t.show("links", st.st_nlink);
        call!(t, open(c"f", 0, 0));
    });
    c.add("readahead/and_fadvise", |t| {
        let fd = file(t, c"f", b"x");
        call!(t, readahead(fd, 0, 4096));
        for advice in 0..7 {
            call!(t, fadvise64(fd, 0, 0, advice));
        }
        call!(t, fadvise64(fd, 0, -1, 0));
    });
    c.add("cachestat/of_a_fresh_file", |t| {
        let fd = file(t, c"f", b"x");
        let mut out = [0u64; 5];
        call!(t, cachestat(fd, &[0u64, 4096], &mut out, 0));
        t.show("cached pages", out[0]);
    });
}
