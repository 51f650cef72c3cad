//! The families, in the order in which they run.

use crate::harness::Cases;

/// Adds every family's cases.
pub fn add(c: &mut Cases) {
    c.family("pipe");
    c.add("pipe2/nonblock", |t| {
        let mut fds = [0i32; 2];
        call!(t, pipe2(&mut fds, libc::O_NONBLOCK));
        let mut b = [0u8; 4];
        call!(t, read(fds[0], &mut b, 4));
        call!(t, write(fds[1], b"abc", 3));
        call!(t, read(fds[0], &mut b, 4));
        t.bytes("buffer", &b);
    });
}
