//! fcntl and flock: flags, duplication, record locks, open-file locks, leases, owners.

use super::read_write::file;
use crate::harness::Cases;
use crate::harness::process::*;

/// `struct flock` of a type, start and length, from the file's beginning.
fn lock(kind: i32, start: i64, len: i64) -> [i64; 4] {
    [kind as i64, start, len, 0]
}

fn shown(l: [i64; 4]) -> (i64, i64, i64) {
    (l[0] & 0xffff, l[1], l[2])
}

pub fn cases(c: &mut Cases) {
    c.family("fcntl");
    c.add("fcntl/setfl_changes_only_some", |t| {
        let fd = file(t, c"f", b"x");
        for flags in [
            libc::O_APPEND,
            libc::O_NONBLOCK,
            libc::O_APPEND | libc::O_NONBLOCK | libc::O_NOATIME,
            libc::O_WRONLY | libc::O_CREAT | libc::O_SYNC | libc::O_CLOEXEC,
            0,
        ] {
            call!(t, fcntl(fd, libc::F_SETFL, flags));
            call!(t, fcntl(fd, libc::F_GETFL, 0));
        }
    });
    c.add("fcntl/status_flags_are_shared_by_dup", |t| {
        let fd = file(t, c"f", b"x");
        let copy = must!(t, dup(fd));
        call!(t, fcntl(copy, libc::F_SETFL, libc::O_APPEND));
        call!(t, fcntl(fd, libc::F_GETFL, 0));
        call!(t, fcntl(copy, libc::F_SETFD, 1));
        call!(t, fcntl(fd, libc::F_GETFD, 0));
        call!(t, fcntl(copy, libc::F_GETFD, 0));
        call!(t, fcntl(fd, libc::F_SETFD, -1));
        call!(t, fcntl(fd, libc::F_GETFD, 0));
    });
    c.add("fcntl/append_only_as_user_noatime", |t| {
        let fd = file(t, c"f", b"x");
        must!(t, setresuid(1000, 1000, 1000));
        call!(t, fcntl(fd, libc::F_SETFL, libc::O_NOATIME));
    });
    c.add("fcntl/dupfd_lowest_from", |t| {
        must!(t, open(c"/dev/null", 0, 0));
        call!(t, fcntl(3, libc::F_DUPFD, 10));
        call!(t, fcntl(3, libc::F_DUPFD, 10));
        call!(t, fcntl(3, libc::F_DUPFD, 0));
        call!(t, fcntl(3, libc::F_DUPFD_CLOEXEC, 10));
        call!(t, fcntl(12, libc::F_GETFD, 0));
        call!(t, fcntl(11, libc::F_GETFD, 0));
    });
    c.add("dup/clears_close_on_exec", |t| {
        let fd = must!(t, open(c"/dev/null", libc::O_CLOEXEC, 0));
        let copy = call!(t, dup(fd));
        call!(t, fcntl(copy, libc::F_GETFD, 0));
        call!(t, dup2(fd, 20));
        call!(t, fcntl(20, libc::F_GETFD, 0));
        call!(t, dup2(fd, fd));
        call!(t, fcntl(fd, libc::F_GETFD, 0));
        call!(t, dup3(20, 21, libc::O_CLOEXEC));
        call!(t, fcntl(21, libc::F_GETFD, 0));
        call!(t, dup3(20, 21, libc::O_NONBLOCK));
    });
    c.add("dup2/replaces_an_open_descriptor", |t| {
        let [r, w] = super::pipe::pipe(t, 0);
        let fd = file(t, c"f", b"x");
        call!(t, dup2(fd, w));
        call!(t, read(r, &mut [0u8; 1], 1));
        call!(t, lseek(w, 0, libc::SEEK_END));
    });
    c.add("fcntl/record_locks_conflict", |t| {
        let fd = file(t, c"f", b"0123456789");
        call!(t, fcntl(fd, libc::F_SETLK, &lock(libc::F_WRLCK, 2, 3)));
        in_child(t, || {
            for (kind, start, len) in [
                (libc::F_WRLCK, 0, 2),
                (libc::F_WRLCK, 0, 3),
                (libc::F_RDLCK, 4, 1),
                (libc::F_RDLCK, 5, 1),
                (libc::F_WRLCK, 0, 0),
            ] {
                let mut l = lock(kind, start, len);
                t.ret("F_SETLK", sys!(fcntl(fd, libc::F_SETLK, &l)));
                t.ret("F_GETLK", sys!(fcntl(fd, libc::F_GETLK, &mut l)));
                t.show("lock", shown(l));
                t.show("holder is parent", l[3] as i32 as i64 == sys!(getppid()));
            }
        });
    });
    c.add("fcntl/record_locks_split_and_merge", |t| {
        let fd = file(t, c"f", b"0123456789");
        must!(t, fcntl(fd, libc::F_SETLK, &lock(libc::F_WRLCK, 0, 10)));
        must!(t, fcntl(fd, libc::F_SETLK, &lock(libc::F_UNLCK, 4, 2)));
        must!(t, fcntl(fd, libc::F_SETLK, &lock(libc::F_RDLCK, 8, 1)));
        in_child(t, || {
            for start in 0..11 {
                let mut l = lock(libc::F_WRLCK, start, 1);
                sys!(fcntl(fd, libc::F_GETLK, &mut l));
                t.show("at", (start, shown(l)));
            }
        });
    });
    c.add("fcntl/record_locks_go_with_any_close", |t| {
        let fd = file(t, c"f", b"0123456789");
        let other = must!(t, open(c"f", 0, 0));
        must!(t, fcntl(fd, libc::F_SETLK, &lock(libc::F_WRLCK, 0, 0)));
        must!(t, close(other));
        in_child(t, || {
            t.ret("F_SETLK", sys!(fcntl(fd, libc::F_SETLK, &lock(libc::F_WRLCK, 0, 0))));
        });
    });
    c.add("fcntl/record_locks_are_not_inherited", |t| {
        let fd = file(t, c"f", b"0123456789");
        must!(t, fcntl(fd, libc::F_SETLK, &lock(libc::F_WRLCK, 0, 0)));
        in_child(t, || {
            t.ret("unlock in child", sys!(fcntl(fd, libc::F_SETLK, &lock(libc::F_UNLCK, 0, 0))));
            t.ret("lock in child", sys!(fcntl(fd, libc::F_SETLK, &lock(libc::F_RDLCK, 0, 0))));
        });
    });
    c.add("fcntl/setlkw_waits", |t| {
        let fd = file(t, c"f", b"0123456789");
        let [r, w] = super::pipe::pipe(t, 0);
        let pid = fork(t, || {
            sys!(fcntl(fd, libc::F_SETLK, &lock(libc::F_WRLCK, 0, 0)));
            sys!(write(w, b"x", 1));
            sleep_ms(20);
        });
        must!(t, read(r, &mut [0u8; 1], 1));
        call!(t, fcntl(fd, libc::F_SETLKW, &lock(libc::F_WRLCK, 0, 0)));
        t.show("child", reap(pid));
    });
    c.add("fcntl/setlkw_interrupted", |t| {
        let fd = file(t, c"f", b"0123456789");
        let [r, w] = super::pipe::pipe(t, 0);
        fork(t, || {
            sys!(fcntl(fd, libc::F_SETLK, &lock(libc::F_WRLCK, 0, 0)));
            sys!(write(w, b"x", 1));
            sleep_ms(3000);
        });
        must!(t, read(r, &mut [0u8; 1], 1));
        alarms(false);
        call!(t, fcntl(fd, libc::F_SETLKW, &lock(libc::F_WRLCK, 0, 0)));
    });
    c.add("fcntl/deadlock_is_found", |t| {
        let fd = file(t, c"f", b"0123456789");
        let [r, w] = super::pipe::pipe(t, 0);
        must!(t, fcntl(fd, libc::F_SETLK, &lock(libc::F_WRLCK, 0, 1)));
        let pid = fork(t, || {
            sys!(fcntl(fd, libc::F_SETLK, &lock(libc::F_WRLCK, 1, 1)));
            sys!(write(w, b"x", 1));
            sys!(fcntl(fd, libc::F_SETLKW, &lock(libc::F_WRLCK, 0, 1)));
        });
        must!(t, read(r, &mut [0u8; 1], 1));
        sleep_ms(20);
        call!(t, fcntl(fd, libc::F_SETLKW, &lock(libc::F_WRLCK, 1, 1)));
        call!(t, fcntl(fd, libc::F_SETLK, &lock(libc::F_UNLCK, 0, 0)));
        t.show("child", reap(pid));
    });
    c.add("fcntl/lock_ranges", |t| {
        let fd = file(t, c"f", b"0123456789");
        for (start, len) in
            [(-1, 1), (0, -1), (5, -5), (5, -6), (i64::MAX, 1), (i64::MAX, 2), (i64::MAX - 1, 2), (1, i64::MAX)]
        {
            t.ret(&format!("F_SETLK {start} {len}"), sys!(fcntl(fd, libc::F_SETLK, &lock(libc::F_RDLCK, start, len))));
        }
    });
    c.add("fcntl/open_file_locks", |t| {
        let fd = file(t, c"f", b"0123456789");
        let other = must!(t, open(c"f", libc::O_RDWR, 0));
        let copy = must!(t, dup(fd));
        call!(t, fcntl(fd, libc::F_OFD_SETLK, &lock(libc::F_WRLCK, 0, 5)));
        call!(t, fcntl(copy, libc::F_OFD_SETLK, &lock(libc::F_WRLCK, 0, 5)));
        call!(t, fcntl(other, libc::F_OFD_SETLK, &lock(libc::F_WRLCK, 0, 5)));
        call!(t, fcntl(other, libc::F_SETLK, &lock(libc::F_WRLCK, 0, 5)));
        let mut l = lock(libc::F_WRLCK, 0, 5);
        call!(t, fcntl(other, libc::F_OFD_GETLK, &mut l));
        t.show("lock", (shown(l), l[3]));
        must!(t, close(fd));
        call!(t, fcntl(other, libc::F_OFD_SETLK, &lock(libc::F_WRLCK, 0, 5)));
        must!(t, close(copy));
        call!(t, fcntl(other, libc::F_OFD_SETLK, &lock(libc::F_WRLCK, 0, 5)));
    });
    c.add("flock/shared_and_exclusive", |t| {
        let fd = file(t, c"f", b"x");
        let other = must!(t, open(c"f", 0, 0));
        call!(t, flock(fd, libc::LOCK_SH));
        call!(t, flock(other, libc::LOCK_SH | libc::LOCK_NB));
        call!(t, flock(fd, libc::LOCK_EX | libc::LOCK_NB));
        call!(t, flock(other, libc::LOCK_UN));
        call!(t, flock(fd, libc::LOCK_EX | libc::LOCK_NB));
        call!(t, flock(other, libc::LOCK_SH | libc::LOCK_NB));
        let copy = must!(t, dup(fd));
        call!(t, flock(copy, libc::LOCK_UN));
        call!(t, flock(other, libc::LOCK_EX | libc::LOCK_NB));
    });
    c.add("flock/released_by_the_last_close", |t| {
        let fd = file(t, c"f", b"x");
        let other = must!(t, open(c"f", 0, 0));
        must!(t, flock(fd, libc::LOCK_EX));
        let copy = must!(t, dup(fd));
        must!(t, close(fd));
        call!(t, flock(other, libc::LOCK_EX | libc::LOCK_NB));
        must!(t, close(copy));
        call!(t, flock(other, libc::LOCK_EX | libc::LOCK_NB));
    });
    c.add("flock/interrupted", |t| {
        let fd = file(t, c"f", b"x");
        let other = must!(t, open(c"f", 0, 0));
        must!(t, flock(fd, libc::LOCK_EX));
        alarms(false);
        call!(t, flock(other, libc::LOCK_EX));
    });
    c.add("flock/independent_of_fcntl", |t| {
        let fd = file(t, c"f", b"x");
        must!(t, flock(fd, libc::LOCK_EX));
        in_child(t, || {
            t.ret("F_SETLK", sys!(fcntl(fd, libc::F_SETLK, &lock(libc::F_WRLCK, 0, 0))));
        });
    });
    c.add("fcntl/leases", |t| {
        let fd = file(t, c"f", b"x");
        must!(t, close(fd));
        let fd = must!(t, open(c"f", libc::O_RDONLY, 0));
        call!(t, fcntl(fd, libc::F_GETLEASE, 0));
        call!(t, fcntl(fd, libc::F_SETLEASE, libc::F_RDLCK));
        call!(t, fcntl(fd, libc::F_GETLEASE, 0));
        call!(t, fcntl(fd, libc::F_SETLEASE, libc::F_UNLCK));
        call!(t, fcntl(fd, libc::F_SETLEASE, 99));
    });
    c.add("fcntl/owner_and_signal", |t| {
        let [r, w] = super::pipe::pipe(t, libc::O_NONBLOCK);
        let me = sys!(getpid());
        call!(t, fcntl(r, libc::F_GETOWN, 0));
        done!(t, fcntl(r, libc::F_SETOWN, me));
        t.show("owner is me", sys!(fcntl(r, libc::F_GETOWN, 0)) == me);
        call!(t, fcntl(r, 10, 40));
        call!(t, fcntl(r, 11, 0));
        handle(40, 0);
        call!(t, fcntl(r, libc::F_SETFL, libc::O_ASYNC | libc::O_NONBLOCK));
        call!(t, write(w, b"x", 1));
        t.show("signal", LAST.load(std::sync::atomic::Ordering::SeqCst));
        let mut owner = [0i32; 2];
        call!(t, fcntl(r, 16, &mut owner));
        t.show("owner type", owner[0]);
        call!(t, fcntl(r, libc::F_SETOWN, 0x7fff_fffe));
        call!(t, fcntl(r, 15, &[9, 0]));
    });
    c.add("fcntl/seals", |t| {
        let m = must!(t, memfd_create(c"m", libc::MFD_ALLOW_SEALING));
        must!(t, write(m, b"0123456789", 10));
        call!(t, fcntl(m, libc::F_GET_SEALS, 0));
        call!(t, fcntl(m, libc::F_ADD_SEALS, libc::F_SEAL_SHRINK));
        call!(t, ftruncate(m, 5));
        call!(t, ftruncate(m, 20));
        call!(t, fcntl(m, libc::F_ADD_SEALS, libc::F_SEAL_GROW));
        call!(t, ftruncate(m, 30));
        call!(t, pwrite64(m, b"abc", 3, 19));
        call!(t, pwrite64(m, b"abc", 3, 20));
        call!(t, fallocate(m, 0, 0, 100));
        let map = must!(t, mmap(0, 4096, 3, libc::MAP_SHARED, m, 0));
        call!(t, fcntl(m, libc::F_ADD_SEALS, libc::F_SEAL_WRITE));
        must!(t, munmap(map, 4096));
        call!(t, fcntl(m, libc::F_ADD_SEALS, libc::F_SEAL_WRITE));
        call!(t, pwrite64(m, b"abc", 3, 0));
        done!(t, mmap(0, 4096, 3, libc::MAP_SHARED, m, 0));
        done!(t, mmap(0, 4096, 1, libc::MAP_SHARED, m, 0));
        done!(t, mmap(0, 4096, 3, libc::MAP_PRIVATE, m, 0));
        call!(t, fcntl(m, libc::F_ADD_SEALS, libc::F_SEAL_SEAL));
        call!(t, fcntl(m, libc::F_ADD_SEALS, libc::F_SEAL_EXEC));
        call!(t, fcntl(m, libc::F_GET_SEALS, 0));
    });
    for flags in [0u32, 1, 2, 3, 8, 16, 24, 0x100] {
        c.add(format!("memfd_create/flags_{flags:x}"), move |t| {
            let fd = call!(t, memfd_create(c"m", flags));
            call!(t, fcntl(fd, libc::F_GET_SEALS, 0));
            call!(t, fcntl(fd, libc::F_GETFD, 0));
            let mut st: libc::stat = crate::harness::memory::zeroed();
            call!(t, fstat(fd, &mut st));
            t.show("mode", format_args!("{:o}", st.st_mode));
        });
    }
    c.add("memfd_create/name_in_proc", |t| {
        let fd = must!(t, memfd_create(c"some name", 0));
        let path = std::ffi::CString::new(format!("/proc/self/fd/{fd}")).unwrap_or_default();
        let mut b = [0u8; 64];
        let n = sys!(readlink(path.as_c_str(), &mut b, 64));
        t.bytes("link", &b[..n.clamp(0, 64) as usize]);
    });
}
