//! Directories and names: listing, links, renaming, removal, working directory, times, owners, attributes.

use super::read_write::{content, file};
use crate::harness::memory::zeroed;
use crate::harness::process::*;
use crate::harness::{Cases, T};
use std::ffi::CStr;

/// The names and kinds of a directory, sorted.
fn listing(t: &T, what: &str, fd: i64) {
    let mut all = Vec::new();
    let mut b = [0u8; 1024];
    loop {
        let n = sys!(getdents64(fd, &mut b, 1024));
        if n <= 0 {
            t.ret(what, n);
            break;
        }
        let mut at = 0;
        while at < n as usize {
            let len = u16::from_ne_bytes([b[at + 16], b[at + 17]]) as usize;
            let name: Vec<u8> = b[at + 19..at + len].iter().copied().take_while(|c| *c != 0).collect();
            all.push((String::from_utf8_lossy(&name).into_owned(), b[at + 18]));
            at += len;
        }
    }
    all.sort();
    t.show("entries", all);
}

fn stat_of(t: &T, path: &CStr) -> libc::stat {
    let mut st: libc::stat = zeroed();
    t.ret(&format!("lstat {path:?}"), sys!(lstat(path, &mut st)));
    st
}

pub fn cases(c: &mut Cases) {
    c.family("directory");
    c.add("getdents64/kinds", |t| {
        file(t, c"file", b"x");
        must!(t, mkdir(c"dir", 0o755));
        must!(t, symlink(c"file", c"link"));
        must!(t, mknod(c"fifo", libc::S_IFIFO | 0o600, 0));
        must!(t, mknod(c"sock", libc::S_IFSOCK | 0o600, 0));
        listing(t, "end", must!(t, open(c".", 0, 0)));
    });
    c.add("getdents64/empty_and_rewound", |t| {
        must!(t, mkdir(c"d", 0o755));
        let fd = must!(t, open(c"d", 0, 0));
        listing(t, "first", fd);
        listing(t, "at the end", fd);
        file(t, c"d/new", b"");
        call!(t, lseek(fd, 0, 0));
        listing(t, "rewound", fd);
    });
    c.add("getdents64/many_entries", |t| {
        for i in 0..300 {
            let name = std::ffi::CString::new(format!("entry-{i:04}")).unwrap_or_default();
            must!(t, close(must!(t, open(name.as_c_str(), libc::O_CREAT | libc::O_WRONLY, 0o600))));
        }
        let fd = must!(t, open(c".", 0, 0));
        let (mut b, mut count, mut calls) = ([0u8; 2048], 0, 0);
        loop {
            let n = sys!(getdents64(fd, &mut b, 2048));
            if n <= 0 {
                t.ret("last", n);
                break;
            }
            let mut at = 0;
            while at < n as usize {
                at += u16::from_ne_bytes([b[at + 16], b[at + 17]]) as usize;
                count += 1;
            }
            calls += 1;
        }
        t.show("entries", count);
        t.show("several calls", calls > 2);
    });
    c.add("getdents64/removed_directory", |t| {
        must!(t, mkdir(c"d", 0o755));
        let fd = must!(t, open(c"d", 0, 0));
        must!(t, rmdir(c"d"));
        let mut b = [0u8; 256];
        call!(t, getdents64(fd, &mut b, 256));
    });
    c.add("getdents64/remove_while_listing", |t| {
        for name in [c"a", c"b", c"c", c"d", c"e"] {
            file(t, name, b"");
        }
        let fd = must!(t, open(c".", 0, 0));
        let mut b = [0u8; 64];
        must!(t, getdents64(fd, &mut b, 64));
        for name in [c"a", c"b", c"c", c"d", c"e"] {
            must!(t, unlink(name));
        }
        must!(t, lseek(fd, 0, 0));
        listing(t, "end", fd);
    });
    c.add("link/counts", |t| {
        file(t, c"a", b"x");
        t.show("links", stat_of(t, c"a").st_nlink);
        call!(t, link(c"a", c"b"));
        let (a, b) = (stat_of(t, c"a"), stat_of(t, c"b"));
        t.show("links, same inode", (a.st_nlink, a.st_ino == b.st_ino));
        call!(t, link(c"a", c"b"));
        call!(t, unlink(c"a"));
        t.show("links", stat_of(t, c"b").st_nlink);
        content(t, must!(t, open(c"b", 0, 0)));
    });
    c.add("mkdir/link_counts_of_parents", |t| {
        must!(t, mkdir(c"d", 0o755));
        call!(t, mkdir(c"d/a", 0o755));
        call!(t, mkdir(c"d/b", 0o755));
        call!(t, mkdir(c"d/b", 0o755));
        call!(t, rmdir(c"d"));
        call!(t, rmdir(c"d/a"));
        call!(t, rmdir(c"d/b/."));
        call!(t, rmdir(c"d/b/.."));
        call!(t, unlink(c"d"));
        call!(t, rmdir(c"d/b"));
        call!(t, rmdir(c"d"));
    });
    c.add("mkdir/set_group_id_is_inherited", |t| {
        must!(t, mkdir(c"d", 0o755));
        must!(t, chown(c"d", 0, 1234));
        must!(t, chmod(c"d", 0o2755));
        must!(t, mkdir(c"d/sub", 0o755));
        file(t, c"d/f", b"");
        let (s, f) = (stat_of(t, c"d/sub"), stat_of(t, c"d/f"));
        t.show("sub", format_args!("{:o} {}", s.st_mode, s.st_gid));
        t.show("file", format_args!("{:o} {}", f.st_mode, f.st_gid));
    });
    c.add("unlink/sticky_directory", |t| {
        must!(t, mkdir(c"d", 0o777));
        must!(t, chmod(c"d", 0o1777));
        file(t, c"d/root", b"");
        file(t, c"d/user", b"");
        must!(t, chown(c"d/user", 1000, 1000));
        must!(t, setresuid(1000, 1000, 1000));
        call!(t, unlink(c"d/root"));
        call!(t, rename(c"d/root", c"d/other"));
        call!(t, unlink(c"d/user"));
    });
    for (what, from, to) in [
        ("over_file", c"a", c"b"),
        ("over_hard_link", c"a", c"same"),
        ("over_symlink", c"a", c"link"),
        ("of_symlink", c"link", c"new"),
        ("over_empty_dir", c"d", c"e"),
        ("over_full_dir", c"e", c"d"),
        ("dot", c"d/.", c"x"),
        ("to_dot", c"d", c"."),
        ("dotdot", c"d/..", c"x"),
        ("slash_file", c"a", c"x/"),
        ("slash_dir", c"d", c"x/"),
        ("below_itself", c"d", c"d/f/x"),
    ] {
        c.add(format!("rename/{what}"), move |t| {
            file(t, c"a", b"A");
            file(t, c"b", b"B");
            must!(t, link(c"a", c"same"));
            must!(t, symlink(c"b", c"link"));
            must!(t, mkdir(c"d", 0o755));
            must!(t, mkdir(c"e", 0o755));
            file(t, c"d/f", b"F");
            call!(t, rename(from, to));
            listing(t, "end", must!(t, open(c".", 0, 0)));
        });
    }
    for flags in 0..8 {
        c.add(format!("renameat2/flags_{flags}"), move |t| {
            file(t, c"a", b"A");
            file(t, c"b", b"B");
            must!(t, mkdir(c"d", 0o755));
            call!(t, renameat2(libc::AT_FDCWD, c"a", libc::AT_FDCWD, c"b", flags & 3));
            call!(t, renameat2(libc::AT_FDCWD, c"b", libc::AT_FDCWD, c"new", flags & 3));
            call!(t, renameat2(libc::AT_FDCWD, c"b", libc::AT_FDCWD, c"d", flags & 3));
            listing(t, "end", must!(t, open(c".", 0, 0)));
        });
    }
    c.add("symlink/texts", |t| {
        for (text, name) in [(c"", c"l1"), (c"/", c"l2"), (c"missing/../x", c"l3"), (c"l4", c"l4")] {
            call!(t, symlink(text, name));
            t.show("size", stat_of(t, name).st_size);
        }
        let long = std::ffi::CString::new("x".repeat(4095)).unwrap_or_default();
        let too_long = std::ffi::CString::new("x".repeat(4096)).unwrap_or_default();
        t.ret("4095 characters", sys!(symlink(long.as_c_str(), c"l5")));
        t.ret("4096 characters", sys!(symlink(too_long.as_c_str(), c"l6")));
        call!(t, symlink(c"x", c"l1"));
    });
    c.add("chdir/getcwd_follows", |t| {
        must!(t, mkdir(c"a", 0o755));
        must!(t, mkdir(c"a/b", 0o755));
        must!(t, symlink(c"a/b", c"link"));
        let mut before = [0u8; 512];
        let n = must!(t, getcwd(&mut before, 512)) as usize;
        call!(t, chdir(c"link"));
        let mut after = [0u8; 512];
        let m = must!(t, getcwd(&mut after, 512)) as usize;
        t.bytes("below", &after[n - 1..m]);
        call!(t, chdir(c"../.."));
        t.show("the same again", must!(t, getcwd(&mut after, 512)) as usize == n);
        t.ret("exact size", sys!(getcwd(&mut after, n)) - n as i64);
        call!(t, getcwd(&mut after, n - 1));
    });
    c.add("getcwd/removed_directory", |t| {
        must!(t, mkdir(c"d", 0o755));
        must!(t, chdir(c"d"));
        must!(t, rmdir(c"../d"));
        let mut b = [0u8; 512];
        call!(t, getcwd(&mut b, 512));
        call!(t, mkdir(c"x", 0o755));
        call!(t, open(c".", 0, 0));
        call!(t, chdir(c".."));
    });
    c.add("chdir/is_per_process_and_shared_by_threads", |t| {
        must!(t, mkdir(c"d", 0o755));
        file(t, c"here", b"");
        in_child(t, || {
            sys!(chdir(c"d"));
        });
        call!(t, access(c"here", 0));
        t.ret("chdir in a thread", thread(|| sys!(chdir(c"d"))).join().unwrap_or(-1));
        call!(t, access(c"here", 0));
        call!(t, access(c"../here", 0));
    });
    c.add("chroot/confines", |t| {
        must!(t, mkdir(c"jail", 0o755));
        file(t, c"jail/f", b"in");
        file(t, c"f", b"out");
        let out = must!(t, open(c".", 0, 0));
        call!(t, chroot(c"jail"));
        content(t, call!(t, open(c"/f", 0, 0)));
        call!(t, open(c"/../f", 0, 0));
        content(t, call!(t, openat(out, c"f", 0, 0)));
        must!(t, chdir(c"/"));
        let mut b = [0u8; 64];
        call!(t, getcwd(&mut b, 64));
        t.bytes("cwd", &b[..4]);
        must!(t, fchdir(out));
        let n = sys!(getcwd(&mut b, 64));
        t.show("unreachable", n > 0 && b.starts_with(b"(unreachable)"));
    });
    c.add("chroot/needs_privilege", |t| {
        must!(t, setresuid(1000, 1000, 1000));
        call!(t, chroot(c"/"));
    });
    c.add("umask/returns_the_old_one", |t| {
        for mask in [0o77, 0o7777, 0o10022, 0] {
            t.show("old", format_args!("{:o}", sys!(umask(mask))));
        }
    });
    c.add("chmod/special_bits", |t| {
        let fd = file(t, c"f", b"x");
        must!(t, mkdir(c"d", 0o755));
        for mode in [0o7777, 0o4755, 0o2644, 0o1000, 0] {
            call!(t, fchmod(fd, mode));
            t.show("file", format_args!("{:o}", stat_of(t, c"f").st_mode));
            call!(t, chmod(c"d", mode));
            t.show("dir", format_args!("{:o}", stat_of(t, c"d").st_mode));
        }
    });
    c.add("chmod/as_user", |t| {
        file(t, c"mine", b"x");
        file(t, c"other", b"x");
        must!(t, chown(c"mine", 1000, 2000));
        must!(t, setgroups(0, 0));
        must!(t, setresgid(1000, 1000, 1000));
        must!(t, setresuid(1000, 1000, 1000));
        call!(t, chmod(c"other", 0o777));
        call!(t, chmod(c"mine", 0o6755));
        t.show("set-group-id dropped", format_args!("{:o}", stat_of(t, c"mine").st_mode));
        call!(t, chown(c"mine", 1000, 1000));
        call!(t, chown(c"mine", 0, -1));
        call!(t, chown(c"mine", -1, 3000));
        call!(t, chown(c"mine", -1, -1));
        call!(t, chown(c"other", -1, -1));
    });
    c.add("chown/clears_set_id_bits", |t| {
        let fd = file(t, c"f", b"x");
        for mode in [0o6755, 0o6745, 0o6644] {
            must!(t, fchmod(fd, mode));
            call!(t, fchown(fd, 5, 6));
            let st = stat_of(t, c"f");
            t.show("after", format_args!("{:o} {} {}", st.st_mode, st.st_uid, st.st_gid));
        }
    });
    c.add("write/clears_set_id_bits", |t| {
        let fd = file(t, c"f", b"x");
        must!(t, fchown(fd, 1000, 1000));
        must!(t, fchmod(fd, 0o6755));
        must!(t, setresuid(1000, 1000, 1000));
        must!(t, pwrite64(fd, b"y", 1, 0));
        t.show("after", format_args!("{:o}", stat_of(t, c"f").st_mode));
    });
    c.add("lchown/of_a_symlink", |t| {
        file(t, c"f", b"x");
        must!(t, symlink(c"f", c"l"));
        call!(t, lchown(c"l", 7, 8));
        let (l, f) = (stat_of(t, c"l"), stat_of(t, c"f"));
        t.show("owners", (l.st_uid, l.st_gid, f.st_uid, f.st_gid));
        call!(t, fchownat(libc::AT_FDCWD, c"l", 9, 9, 0));
        t.show("owner of the file", stat_of(t, c"f").st_uid);
    });
    c.add("utimensat/sets_what_it_is_told", |t| {
        file(t, c"f", b"x");
        const OMIT: u64 = 0x3fff_fffe;
        const NOW: u64 = 0x3fff_ffff;
        for times in [[1u64, 2, 3, 4], [0, OMIT, 5, 6], [7, 8, 0, OMIT], [0, OMIT, 0, OMIT]] {
            call!(t, utimensat(libc::AT_FDCWD, c"f", &times, 0));
            let st = stat_of(t, c"f");
            t.show("times", (st.st_atime, st.st_atime_nsec, st.st_mtime, st.st_mtime_nsec));
        }
        call!(t, utimensat(libc::AT_FDCWD, c"f", &[0, NOW, 100, 0], 0));
        let st = stat_of(t, c"f");
        t.show("now and 100", (st.st_atime > 1_000_000_000, st.st_mtime));
        must!(t, symlink(c"f", c"l"));
        call!(t, utimensat(libc::AT_FDCWD, c"l", &[11u64, 0, 12, 0], libc::AT_SYMLINK_NOFOLLOW));
        t.show("of the link", stat_of(t, c"l").st_mtime);
        t.show("of the file", stat_of(t, c"f").st_mtime);
    });
    c.add("utimensat/as_user", |t| {
        let fd = file(t, c"other", b"x");
        must!(t, fchmod(fd, 0o666));
        must!(t, setresuid(1000, 1000, 1000));
        call!(t, utimensat(libc::AT_FDCWD, c"other", 0, 0));
        call!(t, utimensat(libc::AT_FDCWD, c"other", &[1u64, 0, 1, 0], 0));
        call!(t, utimensat(libc::AT_FDCWD, c"other", &[0u64, 0x3fff_fffe, 0, 0x3fff_ffff], 0));
    });
    c.add("stat/times_follow_changes", |t| {
        let fd = file(t, c"f", b"x");
        must!(t, utimensat(libc::AT_FDCWD, c"f", &[1u64, 0, 1, 0], 0));
        let before = stat_of(t, c"f");
        sleep_ms(10);
        must!(t, write(fd, b"yy", 2));
        let written = stat_of(t, c"f");
        t.show(
            "write changes",
            (
                written.st_mtime != before.st_mtime,
                written.st_atime != before.st_atime,
                written.st_ctime_nsec != before.st_ctime_nsec,
            ),
        );
        must!(t, utimensat(libc::AT_FDCWD, c"f", &[1u64, 0, 1, 0], 0));
        must!(t, fchmod(fd, 0o600));
        let modes = stat_of(t, c"f");
        t.show("chmod changes", (modes.st_mtime, modes.st_atime));
        must!(t, ftruncate(fd, 2));
        t.show("truncate to the same size changes", stat_of(t, c"f").st_mtime > 1);
    });
    c.add("statx/fields_and_mask", |t| {
        file(t, c"f", b"0123456789");
        let mut x: libc::statx = zeroed();
        for mask in [0u32, 0x7ff, 0xfff, 0x200, 1] {
            call!(t, statx(libc::AT_FDCWD, c"f", 0, mask, &mut x));
            t.show("basic bits", format_args!("{:#x}", x.stx_mask & 0x7ff));
            t.show("size, mode, links", (x.stx_size, format!("{:o}", x.stx_mode), x.stx_nlink));
        }
        let mut st: libc::stat = zeroed();
        must!(t, stat(c"f", &mut st));
        t.show(
            "agrees with stat",
            x.stx_ino == st.st_ino && x.stx_blksize as i64 == st.st_blksize && x.stx_mtime.tv_sec == st.st_mtime,
        );
        t.show("same device", libc::makedev(x.stx_dev_major, x.stx_dev_minor) == st.st_dev);
        call!(t, statx(libc::AT_FDCWD, c"", 0, 0x7ff, &mut x));
        call!(t, statx(libc::AT_FDCWD, c"", libc::AT_EMPTY_PATH, 0x7ff, &mut x));
        t.show("mode of the working directory", format_args!("{:o}", x.stx_mode));
    });
    c.add("stat/devices", |t| {
        for path in [c"/dev/null", c"/dev/zero", c"/dev/full", c"/dev/random", c"/dev/urandom", c"/dev/tty"] {
            let st = stat_of(t, path);
            t.show("kind and number", format_args!("{:o} {:#x}", st.st_mode & libc::S_IFMT, st.st_rdev));
        }
    });
    c.add("stat/empty_and_sparse", |t| {
        let fd = file(t, c"f", b"");
        let st = stat_of(t, c"f");
        t.show("size, blocks", (st.st_size, st.st_blocks));
        must!(t, ftruncate(fd, 1 << 30));
        let st = stat_of(t, c"f");
        t.show("size, few blocks", (st.st_size, st.st_blocks < 1000));
    });
    c.add("faccessat2/real_and_effective", |t| {
        let fd = file(t, c"f", b"x");
        must!(t, fchmod(fd, 0o600));
        must!(t, setresuid(1000, 0, 0));
        call!(t, access(c"f", 4));
        call!(t, faccessat2(libc::AT_FDCWD, c"f", 4, libc::AT_EACCESS));
        must!(t, setresuid(0, 1000, 0));
        call!(t, access(c"f", 4));
        call!(t, faccessat2(libc::AT_FDCWD, c"f", 4, libc::AT_EACCESS));
    });
    c.add("xattr/round_trip", |t| {
        let fd = file(t, c"f", b"x");
        if sys!(setxattr(c"f", c"user.a", b"value", 5, 0)) == -(libc::EOPNOTSUPP as i64) {
            t.skip("the file system has no user attributes");
        }
        let mut b = [0u8; 64];
        call!(t, getxattr(c"f", c"user.a", &mut b, 64));
        t.bytes("value", &b[..5]);
        call!(t, getxattr(c"f", c"user.a", 0, 0));
        call!(t, getxattr(c"f", c"user.a", &mut b, 4));
        call!(t, getxattr(c"f", c"user.b", &mut b, 64));
        call!(t, setxattr(c"f", c"user.a", b"x", 1, libc::XATTR_CREATE));
        call!(t, setxattr(c"f", c"user.b", b"x", 1, libc::XATTR_REPLACE));
        call!(t, fsetxattr(fd, c"user.b", b"second", 6, libc::XATTR_CREATE));
        let n = call!(t, flistxattr(fd, &mut b, 64));
        let mut names: Vec<&[u8]> =
            b[..n.clamp(0, 64) as usize].split(|c| *c == 0).filter(|n| n.starts_with(b"user.")).collect();
        names.sort();
        t.show("names", names.iter().map(|n| String::from_utf8_lossy(n).into_owned()).collect::<Vec<_>>());
        call!(t, fremovexattr(fd, c"user.a"));
        call!(t, fremovexattr(fd, c"user.a"));
        call!(t, getxattr(c"f", c"user.", &mut b, 64));
        call!(t, setxattr(c"f", c"", b"x", 1, 0));
        call!(t, setxattr(c"f", c"trusted.x", b"x", 1, 0));
        must!(t, fchmod(fd, 0o644));
        must!(t, setresuid(1000, 1000, 1000));
        call!(t, setxattr(c"f", c"user.c", b"x", 1, 0));
        call!(t, getxattr(c"f", c"user.b", &mut b, 64));
        call!(t, getxattr(c"f", c"trusted.x", &mut b, 64));
    });
    c.add("statfs/of_proc_and_shm", |t| {
        for path in [c"/proc", c"/dev/shm"] {
            let mut s: libc::statfs = zeroed();
            t.ret(&format!("{path:?}"), sys!(statfs(path, &mut s)));
            t.show("type, block size, name length", (s.f_type, s.f_bsize, s.f_namelen));
        }
    });
    c.add("mknod/device_as_root_and_user", |t| {
        call!(t, mknod(c"null", libc::S_IFCHR | 0o666, libc::makedev(1, 3)));
        t.show("number", format_args!("{:#x}", stat_of(t, c"null").st_rdev));
        must!(t, chmod(c".", 0o777));
        must!(t, setresuid(1000, 1000, 1000));
        call!(t, mknod(c"null2", libc::S_IFCHR | 0o666, libc::makedev(1, 3)));
        call!(t, mknod(c"fifo", libc::S_IFIFO | 0o666, 0));
    });
}
