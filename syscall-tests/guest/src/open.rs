//! Opening: flags, permissions, links, descriptors by number, openat2's resolution.

use super::read_write::{content, file};
use crate::harness::process::*;
use crate::harness::{Cases, T};
use std::ffi::CStr;

fn tree(t: &T) -> i64 {
    must!(t, mkdir(c"d", 0o755));
    must!(t, mkdir(c"d/sub", 0o755));
    file(t, c"d/f", b"inside");
    file(t, c"outside", b"outside");
    must!(t, symlink(c"f", c"d/rel"));
    must!(t, symlink(c"../outside", c"d/up"));
    must!(t, symlink(c"/dev/null", c"d/abs"));
    must!(t, symlink(c"sub", c"d/dirlink"));
    must!(t, open(c"d", libc::O_RDONLY | libc::O_DIRECTORY, 0))
}

pub fn cases(c: &mut Cases) {
    c.family("open");
    c.add("open/lowest_free_descriptor", |t| {
        let a = call!(t, open(c"/dev/null", 0, 0));
        let b = call!(t, open(c"/dev/null", 0, 0));
        call!(t, open(c"/dev/null", 0, 0));
        must!(t, close(a));
        must!(t, close(b));
        call!(t, open(c"/dev/null", 0, 0));
    });
    c.add("open/creat_uses_the_umask", |t| {
        let mut st: libc::stat = crate::harness::memory::zeroed();
        for (mask, mode) in [(0o22, 0o666), (0o77, 0o777), (0, 0o7777), (0o777, 0o666)] {
            sys!(umask(mask));
            let fd = must!(t, open(c"f", libc::O_CREAT | libc::O_EXCL | libc::O_WRONLY, mode));
            must!(t, fstat(fd, &mut st));
            t.show("mode", format_args!("{:o}", st.st_mode));
            must!(t, unlink(c"f"));
        }
    });
    c.add("open/creat_readonly_file_is_writable_once", |t| {
        let fd = call!(t, open(c"f", libc::O_CREAT | libc::O_RDWR, 0o400));
        call!(t, write(fd, b"x", 1));
        must!(t, fchown(fd, 1000, 1000));
        must!(t, setresuid(1000, 1000, 1000));
        call!(t, open(c"f", libc::O_RDWR, 0));
        call!(t, open(c"f", libc::O_RDONLY, 0));
    });
    c.add("open/trunc_with_readonly", |t| {
        let fd = file(t, c"f", b"data");
        call!(t, open(c"f", libc::O_RDONLY | libc::O_TRUNC, 0));
        content(t, fd);
    });
    for (what, flags) in [
        ("read", 0),
        ("write", 1),
        ("read_write", 2),
        ("three", 3),
        ("append", 0o2001),
        ("sync", 0o4010001),
        ("dsync", 0o10001),
        ("noatime", 0o1000000),
        ("nonblock", 0o4000),
        ("largefile", 0o100000),
        ("path", 0o10000000),
        ("path_directory", 0o10200000),
        ("cloexec", 0o2000000),
        ("async", 0o20000),
        ("unknown", 0x4000_0000),
    ] {
        c.add(format!("open/getfl_{what}"), move |t| {
            file(t, c"f", b"data");
            let fd = call!(t, open(c"f", flags, 0));
            call!(t, fcntl(fd, libc::F_GETFL, 0));
            call!(t, fcntl(fd, libc::F_GETFD, 0));
        });
    }
    c.add("open/path_only_refuses_io", |t| {
        file(t, c"f", b"data");
        let fd = call!(t, open(c"f", libc::O_PATH, 0));
        let mut b = [0u8; 4];
        let mut st: libc::stat = crate::harness::memory::zeroed();
        call!(t, read(fd, &mut b, 4));
        call!(t, fchmod(fd, 0o600));
        call!(t, fchown(fd, 0, 0));
        call!(t, ioctl(fd, libc::FIONREAD, &mut b));
        call!(t, mmap(0, 4096, 1, libc::MAP_PRIVATE, fd, 0));
        call!(t, fsync(fd));
        call!(t, ftruncate(fd, 0));
        call!(t, flock(fd, libc::LOCK_SH));
        call!(t, fgetxattr(fd, c"user.a", 0, 0));
        call!(t, fstat(fd, &mut st));
        t.show("size", st.st_size);
        call!(t, dup(fd));
        call!(t, fcntl(fd, libc::F_GETFL, 0));
    });
    c.add("open/path_of_symlink", |t| {
        must!(t, symlink(c"target", c"link"));
        let fd = call!(t, open(c"link", libc::O_PATH | libc::O_NOFOLLOW, 0));
        let mut b = [0u8; 16];
        call!(t, readlinkat(fd, c"", &mut b, 16));
        t.bytes("target", &b);
        let mut st: libc::stat = crate::harness::memory::zeroed();
        call!(t, newfstatat(fd, c"", &mut st, libc::AT_EMPTY_PATH));
        t.show("mode", format_args!("{:o}", st.st_mode));
    });
    c.add("open/reopen_through_proc_self_fd", |t| {
        file(t, c"f", b"data");
        let fd = must!(t, open(c"f", libc::O_PATH, 0));
        let path = std::ffi::CString::new(format!("/proc/self/fd/{fd}")).unwrap_or_default();
        let again = call!(t, open(path.as_c_str(), libc::O_RDONLY, 0));
        content(t, again);
    });
    c.add("open/dev_fd_and_dev_stdin", |t| {
        let fd = file(t, c"f", b"data");
        must!(t, dup2(fd, 0));
        let again = call!(t, open(c"/dev/stdin", libc::O_RDONLY, 0));
        content(t, again);
        call!(t, open(c"/dev/fd/0", libc::O_RDONLY, 0));
    });
    c.add("open/permissions_of_a_user", |t| {
        for (name, mode, owner) in [
            (c"own_r", 0o400, 1000),
            (c"own_none", 0o077, 1000),
            (c"other_r", 0o004, 0),
            (c"other_none", 0o770, 0),
            (c"group_r", 0o040, 0),
        ] {
            let fd = file(t, name, b"x");
            must!(t, fchmod(fd, mode));
            must!(t, fchown(fd, owner, if mode == 0o040 { 1000 } else { 0 }));
        }
        must!(t, setgroups(0, 0));
        must!(t, setresgid(1000, 1000, 1000));
        must!(t, setresuid(1000, 1000, 1000));
        for name in [c"own_r", c"own_none", c"other_r", c"other_none", c"group_r"] {
            for flags in [0, 1, 2] {
                t.ret(&format!("open {name:?} with {flags}"), sys!(open(name, flags, 0)).min(0));
            }
        }
    });
    c.add("open/directory_permissions_of_a_user", |t| {
        must!(t, mkdir(c"no_x", 0o777));
        file(t, c"no_x/f", b"x");
        must!(t, chmod(c"no_x", 0o666));
        must!(t, mkdir(c"no_w", 0o755));
        must!(t, setresuid(1000, 1000, 1000));
        call!(t, open(c"no_x/f", 0, 0));
        call!(t, open(c"no_w/new", libc::O_CREAT | libc::O_WRONLY, 0o600));
        call!(t, mkdir(c"no_w/d", 0o700));
        call!(t, unlink(c"no_w/none"));
    });
    c.add("open/root_ignores_permissions", |t| {
        let fd = file(t, c"f", b"x");
        must!(t, fchmod(fd, 0));
        call!(t, open(c"f", libc::O_RDWR, 0));
        call!(t, access(c"f", libc::R_OK | libc::W_OK));
        call!(t, access(c"f", libc::X_OK));
    });
    c.add("open/descriptor_limit", |t| {
        must!(t, setrlimit(libc::RLIMIT_NOFILE, &[6u64, 6]));
        for _ in 0..5 {
            call!(t, open(c"/dev/null", 0, 0));
        }
        call!(t, dup(0));
        call!(t, eventfd2(0, 0));
        call!(t, socket(1, 1, 0));
        let mut fds = [0i32; 2];
        call!(t, pipe(&mut fds));
    });
    c.add("open/forty_links", |t| {
        file(t, c"l0", b"end");
        for i in 0..42 {
            let (from, to) = (format!("l{i}\0"), format!("l{}\0", i + 1));
            let c = |s: &str| CStr::from_bytes_with_nul(s.as_bytes()).unwrap_or(c"").to_owned();
            must!(t, symlink(c(&from).as_c_str(), c(&to).as_c_str()));
        }
        call!(t, open(c"l39", 0, 0));
        call!(t, open(c"l40", 0, 0));
        call!(t, open(c"l41", 0, 0));
    });
    c.add("open/text_busy", |t| {
        let mut st: libc::stat = crate::harness::memory::zeroed();
        must!(t, stat(c"/proc/self/exe", &mut st));
        call!(t, open(c"/proc/self/exe", libc::O_WRONLY, 0));
        call!(t, open(c"/proc/self/exe", libc::O_RDONLY, 0));
    });
    c.add("openat/directory_was_removed", |t| {
        must!(t, mkdir(c"d", 0o755));
        let fd = must!(t, open(c"d", libc::O_RDONLY, 0));
        must!(t, rmdir(c"d"));
        call!(t, openat(fd, c"f", libc::O_CREAT | libc::O_WRONLY, 0o600));
        call!(t, openat(fd, c".", 0, 0));
        call!(t, openat(fd, c"..", 0, 0));
    });
    c.add("openat/directory_was_renamed", |t| {
        let fd = tree(t);
        must!(t, rename(c"d", c"e"));
        content(t, call!(t, openat(fd, c"f", 0, 0)));
        content(t, call!(t, openat(fd, c"../outside", 0, 0)));
    });
    c.add("open/tmpfile_and_link", |t| {
        let fd = sys!(open(c".", libc::O_TMPFILE | libc::O_RDWR, 0o600));
        if fd == -(libc::EOPNOTSUPP as i64) {
            t.skip("the file system has no O_TMPFILE");
        }
        call!(t, write(fd, b"nameless", 8));
        let mut st: libc::stat = crate::harness::memory::zeroed();
        call!(t, fstat(fd, &mut st));
        t.show("links", st.st_nlink);
        let path = std::ffi::CString::new(format!("/proc/self/fd/{fd}")).unwrap_or_default();
        call!(t, linkat(libc::AT_FDCWD, path.as_c_str(), libc::AT_FDCWD, c"named", libc::AT_SYMLINK_FOLLOW));
        content(t, call!(t, open(c"named", 0, 0)));
    });
    let resolve: [(&str, u64); 6] =
        [("none", 0), ("no_xdev", 1), ("no_magiclinks", 2), ("no_symlinks", 4), ("beneath", 8), ("in_root", 16)];
    let paths: [&'static CStr; 13] = [
        c"f",
        c"rel",
        c"up",
        c"abs",
        c"dirlink/../f",
        c"sub/../f",
        c"../outside",
        c"/outside",
        c"..",
        c"sub/../../outside",
        c"/dev/null",
        c".",
        c"missing",
    ];
    for (what, flag) in resolve {
        c.add(format!("openat2/resolve_{what}"), move |t| {
            let dir = tree(t);
            for path in paths {
                let r = sys!(openat2(dir, path, &[libc::O_RDONLY as u64, 0, flag], 24));
                t.ret(&format!("{path:?}"), r.min(0));
                if r >= 0 {
                    sys!(close(r));
                }
            }
        });
    }
    c.add("openat2/beneath_through_magic_link", |t| {
        tree(t);
        let fd = must!(t, open(c"/proc/self", libc::O_PATH, 0));
        for flag in [0u64, 2, 8, 16] {
            call!(t, openat2(fd, c"fd/0", &[0u64, 0, flag], 24));
        }
    });
    c.add("openat2/path_with_other_flags", |t| {
        file(t, c"f", b"x");
        for flags in [
            libc::O_PATH,
            libc::O_PATH | libc::O_RDWR,
            libc::O_PATH | libc::O_TRUNC,
            libc::O_PATH | libc::O_CLOEXEC,
            libc::O_PATH | libc::O_CREAT,
        ] {
            t.ret(
                &format!("openat2 with {flags:o}"),
                sys!(openat2(libc::AT_FDCWD, c"f", &[flags as u64, 0, 0], 24)).min(0),
            );
        }
    });
    c.add("close_range/closes_and_spares", |t| {
        for _ in 0..6 {
            must!(t, open(c"/dev/null", 0, 0));
        }
        call!(t, close_range(5, 6, 0));
        for fd in 3..9 {
            call!(t, fcntl(fd, libc::F_GETFD, 0));
        }
        call!(t, close_range(3, u32::MAX, 0));
        call!(t, fcntl(8, libc::F_GETFD, 0));
        call!(t, fcntl(2, libc::F_GETFD, 0));
    });
    c.add("close_range/marks_close_on_exec", |t| {
        for _ in 0..4 {
            must!(t, open(c"/dev/null", 0, 0));
        }
        call!(t, close_range(4, 5, 4));
        for fd in 3..7 {
            call!(t, fcntl(fd, libc::F_GETFD, 0));
        }
    });
    c.add("close_range/unshare_leaves_the_other_table", |t| {
        must!(t, open(c"/dev/null", 0, 0));
        let r = thread(|| sys!(close_range(3, 9, 2))).join().unwrap_or(-1);
        t.ret("close_range in a thread", r);
        call!(t, fcntl(3, libc::F_GETFD, 0));
    });
    c.add("close/shared_table_of_threads", |t| {
        must!(t, open(c"/dev/null", 0, 0));
        t.ret("close in a thread", thread(|| sys!(close(3))).join().unwrap_or(-1));
        call!(t, fcntl(3, libc::F_GETFD, 0));
    });
    c.add("close/fork_has_its_own_table", |t| {
        must!(t, open(c"/dev/null", 0, 0));
        in_child(t, || {
            sys!(close(3));
        });
        call!(t, fcntl(3, libc::F_GETFD, 0));
    });
    c.add("execve/close_on_exec", |t| {
        let fd = must!(t, open(c"/dev/null", libc::O_CLOEXEC, 0));
        let kept = must!(t, open(c"/dev/null", 0, 0));
        for fd in [fd, kept] {
            in_child(t, || {
                exec_child("fd-open", &[&fd.to_string()]);
            });
        }
    });
}
