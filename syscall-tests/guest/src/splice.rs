//! sendfile, splice, tee, vmsplice, copy_file_range.

use super::pipe::pipe;
use super::read_write::{content, file};
use crate::harness::Cases;
use crate::harness::process::*;

pub fn cases(c: &mut Cases) {
    c.family("splice");
    c.add("sendfile/with_and_without_offset", |t| {
        let from = file(t, c"a", b"0123456789");
        let to = file(t, c"b", b"");
        let mut offset = 4u64;
        call!(t, sendfile(to, from, &mut offset, 3));
        t.show("offset", offset);
        call!(t, lseek(from, 0, 1));
        call!(t, sendfile(to, from, 0, 2));
        call!(t, lseek(from, 0, 1));
        call!(t, sendfile(to, from, &mut offset, 100));
        t.show("offset", offset);
        call!(t, sendfile(to, from, &mut offset, 100));
        content(t, to);
    });
    c.add("sendfile/into_a_pipe_and_socket", |t| {
        let from = file(t, c"a", b"0123456789");
        let [r, w] = pipe(t, 0);
        call!(t, sendfile(w, from, 0, 100));
        let mut b = [0u8; 16];
        call!(t, read(r, &mut b, 16));
        t.bytes("read", &b);
        let mut s = [0i32; 2];
        must!(t, socketpair(1, 1, 0, &mut s));
        must!(t, lseek(from, 0, 0));
        call!(t, sendfile(s[0], from, 0, 100));
        call!(t, read(s[1], &mut b, 16));
    });
    c.add("sendfile/full_pipe_nonblocking", |t| {
        let from = file(t, c"a", b"");
        must!(t, ftruncate(from, 200_000));
        let [_r, w] = pipe(t, libc::O_NONBLOCK);
        let mut total = 0;
        loop {
            let n = sys!(sendfile(w, from, 0, 200_000));
            if n <= 0 {
                t.ret("last", n);
                break;
            }
            total += n;
        }
        t.show("total", total);
    });
    c.add("splice/between_file_and_pipe", |t| {
        let from = file(t, c"a", b"0123456789");
        let to = file(t, c"b", b"");
        let [r, w] = pipe(t, libc::O_NONBLOCK);
        let mut offset = 2u64;
        call!(t, splice(from, &mut offset, w, 0, 5, 0));
        t.show("offset", offset);
        let mut out = 1u64;
        call!(t, splice(r, 0, to, &mut out, 100, 0));
        t.show("offset", out);
        content(t, to);
        call!(t, splice(r, 0, to, 0, 100, libc::SPLICE_F_NONBLOCK));
        must!(t, close(w));
        call!(t, splice(r, 0, to, 0, 100, 0));
    });
    c.add("splice/pipe_to_pipe", |t| {
        let ([r1, w1], [r2, w2]) = (pipe(t, 0), pipe(t, 0));
        must!(t, write(w1, b"0123456789", 10));
        call!(t, splice(r1, 0, w2, 0, 4, 0));
        let mut b = [0u8; 16];
        call!(t, read(r2, &mut b, 16));
        call!(t, read(r1, &mut b, 16));
        t.bytes("left", &b);
        call!(t, splice(r1, 0, w1, 0, 4, 0));
    });
    c.add("tee/copies_without_taking", |t| {
        let ([r1, w1], [r2, w2]) = (pipe(t, 0), pipe(t, 0));
        must!(t, write(w1, b"0123456789", 10));
        call!(t, tee(r1, w2, 4, 0));
        let mut b = [0u8; 16];
        call!(t, read(r2, &mut b, 16));
        t.bytes("copy", &b);
        call!(t, read(r1, &mut b, 16));
        t.bytes("all", &b);
        call!(t, tee(r1, w2, 4, libc::SPLICE_F_NONBLOCK));
        call!(t, tee(r1, w1, 4, 0));
    });
    c.add("vmsplice/into_and_out_of", |t| {
        let [r, w] = pipe(t, 0);
        call!(t, vmsplice(w, &[c"gift".as_ptr() as usize, 4], 1, 0));
        let mut b = [0u8; 8];
        call!(t, vmsplice(r, &[std::ptr::from_mut(&mut b) as usize, 8], 1, 0));
        t.bytes("read", &b);
    });
    c.add("splice/interrupted", |t| {
        let to = file(t, c"b", b"");
        let [r, _w] = pipe(t, 0);
        alarms(false);
        call!(t, splice(r, 0, to, 0, 100, 0));
    });
    c.add("copy_file_range/offsets", |t| {
        let from = file(t, c"a", b"0123456789");
        let to = file(t, c"b", b"");
        let (mut i, mut o) = (2u64, 1u64);
        call!(t, copy_file_range(from, &mut i, to, &mut o, 4, 0));
        t.show("offsets", (i, o));
        call!(t, copy_file_range(from, 0, to, 0, 3, 0));
        call!(t, lseek(from, 0, 1));
        call!(t, lseek(to, 0, 1));
        content(t, to);
        call!(t, copy_file_range(from, &mut i, to, &mut o, 100, 0));
        t.show("offsets", (i, o));
        content(t, to);
    });
    c.add("copy_file_range/same_file", |t| {
        let fd = file(t, c"a", b"0123456789");
        let (mut i, mut o) = (0u64, 10u64);
        call!(t, copy_file_range(fd, &mut i, fd, &mut o, 5, 0));
        content(t, fd);
        let (mut i, mut o) = (0u64, 3u64);
        call!(t, copy_file_range(fd, &mut i, fd, &mut o, 5, 0));
    });
    c.add("copy_file_range/modes", |t| {
        let a = file(t, c"a", b"0123456789");
        file(t, c"b", b"");
        let ro = must!(t, open(c"b", 0, 0));
        let wo = must!(t, open(c"a", 1, 0));
        call!(t, copy_file_range(a, 0, ro, 0, 5, 0));
        call!(t, copy_file_range(wo, 0, a, 0, 5, 0));
        let null = must!(t, open(c"/dev/null", 2, 0));
        call!(t, copy_file_range(a, 0, null, 0, 5, 0));
        call!(t, copy_file_range(null, 0, a, 0, 5, 0));
        call!(t, copy_file_range(a, 0, a, 0, 0, 0));
        let m = must!(t, memfd_create(c"m", 0));
        t.show(
            "across file systems",
            sys!(copy_file_range(a, 0, m, 0, 5, 0)) == 5
                || sys!(copy_file_range(a, 0, m, 0, 5, 0)) == -(libc::EXDEV as i64),
        );
    });
    c.add("copy_file_range/proc_file", |t| {
        let from = must!(t, open(c"/proc/self/status", 0, 0));
        let to = file(t, c"b", b"");
        t.show("not zero bytes in silence", sys!(copy_file_range(from, 0, to, 0, 4096, 0)) != 0);
    });
}
