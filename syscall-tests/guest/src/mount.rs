//! Mounts in a namespace of the case's own: tmpfs, binds, flags, moving, propagation, the new mount calls.

use super::read_write::{content, file};
use crate::harness::memory::zeroed;
use crate::harness::{Cases, T};

/// A mount namespace of its own, in which nothing goes back to the outside.
fn own(t: &T) {
    if sys!(unshare(libc::CLONE_NEWNS)) < 0 {
        t.skip("no mount namespace can be made");
    }
    must!(t, mount(c"none", c"/", 0, libc::MS_REC | libc::MS_PRIVATE, 0));
    must!(t, mkdir(c"m", 0o755));
    must!(t, mkdir(c"n", 0o755));
}

pub fn cases(c: &mut Cases) {
    c.family("mount");
    c.add("mount/tmpfs_hides_and_umount_uncovers", |t| {
        own(t);
        file(t, c"m/below", b"below");
        call!(t, mount(c"none", c"m", c"tmpfs", 0, c"size=64k,mode=700"));
        let mut st: libc::stat = zeroed();
        must!(t, stat(c"m", &mut st));
        t.show("mode", format_args!("{:o}", st.st_mode));
        call!(t, open(c"m/below", 0, 0));
        let fd = file(t, c"m/above", b"above");
        let mut s: libc::statfs = zeroed();
        must!(t, statfs(c"m", &mut s));
        t.show("blocks", s.f_blocks * s.f_bsize as u64);
        t.show("too much", sys!(write(fd, vec![0u8; 100_000].as_slice(), 100_000)));
        call!(t, write(fd, b"x", 1));
        call!(t, umount2(c"m", 0));
        must!(t, close(fd));
        call!(t, umount2(c"m", 0));
        call!(t, umount2(c"m", 0));
        content(t, call!(t, open(c"m/below", 0, 0)));
    });
    c.add("umount2/detach_while_busy", |t| {
        own(t);
        must!(t, mount(c"none", c"m", c"tmpfs", 0, 0));
        let fd = file(t, c"m/f", b"busy");
        call!(t, umount2(c"m", libc::MNT_DETACH));
        content(t, fd);
        call!(t, open(c"m/f", 0, 0));
    });
    c.add("mount/bind_and_readonly", |t| {
        own(t);
        file(t, c"m/f", b"data");
        call!(t, mount(c"m", c"n", 0, libc::MS_BIND, 0));
        content(t, must!(t, open(c"n/f", 2, 0)));
        call!(t, mount(c"none", c"n", 0, libc::MS_BIND | libc::MS_REMOUNT | libc::MS_RDONLY, 0));
        call!(t, open(c"n/f", 2, 0));
        call!(t, unlink(c"n/f"));
        call!(t, mkdir(c"n/d", 0o755));
        call!(t, open(c"m/f", 2, 0));
        call!(t, rename(c"m/f", c"n/g"));
        call!(t, link(c"m/f", c"n/g"));
        call!(t, access(c"n/f", 2));
        call!(t, utimensat(libc::AT_FDCWD, c"n/f", 0, 0));
    });
    c.add("mount/bind_of_a_file", |t| {
        own(t);
        file(t, c"a", b"A");
        file(t, c"b", b"B");
        call!(t, mount(c"a", c"b", 0, libc::MS_BIND, 0));
        content(t, must!(t, open(c"b", 0, 0)));
        call!(t, unlink(c"b"));
        call!(t, rename(c"b", c"c"));
        call!(t, mount(c"a", c"m", 0, libc::MS_BIND, 0));
        call!(t, mount(c"m", c"a", 0, libc::MS_BIND, 0));
    });
    c.add("mount/nodev_noexec_nosuid", |t| {
        own(t);
        must!(t, mount(c"none", c"m", c"tmpfs", libc::MS_NODEV | libc::MS_NOEXEC | libc::MS_NOSUID, 0));
        must!(t, mknod(c"m/null", libc::S_IFCHR | 0o666, libc::makedev(1, 3)));
        call!(t, open(c"m/null", 0, 0));
        let fd = must!(t, open(c"m/run", libc::O_CREAT | libc::O_WRONLY, 0o755));
        must!(t, write(fd, b"#!/bin/true\n", 12));
        must!(t, close(fd));
        call!(t, execve(c"m/run", &[0usize], &[0usize]));
        done!(t, mmap(0, 4096, 4, 2, must!(t, open(c"m/run", 0, 0)), 0));
        call!(t, access(c"m/run", 1));
        let mut s = [0u64; 15];
        must!(t, statfs(c"m", &mut s));
        t.show("flags", format_args!("{:#x}", s[10]));
    });
    c.add("mount/move", |t| {
        own(t);
        must!(t, mount(c"none", c"m", c"tmpfs", 0, 0));
        file(t, c"m/f", b"moved");
        call!(t, mount(c"m", c"n", 0, libc::MS_MOVE, 0));
        content(t, call!(t, open(c"n/f", 0, 0)));
        call!(t, open(c"m/f", 0, 0));
        call!(t, mount(c"m", c"n", 0, libc::MS_MOVE, 0));
    });
    c.add("mount/propagation", |t| {
        own(t);
        must!(t, mount(c"none", c"m", c"tmpfs", 0, 0));
        call!(t, mount(c"none", c"m", 0, libc::MS_SHARED, 0));
        call!(t, mount(c"m", c"n", 0, libc::MS_BIND, 0));
        must!(t, mkdir(c"m/sub", 0o755));
        must!(t, mount(c"none", c"m/sub", c"tmpfs", 0, 0));
        file(t, c"m/sub/f", b"propagated");
        content(t, call!(t, open(c"n/sub/f", 0, 0)));
        call!(t, mount(c"none", c"n", 0, libc::MS_SLAVE | libc::MS_PRIVATE, 0));
    });
    c.add("mount/errors", |t| {
        own(t);
        call!(t, mount(c"none", c"m", c"no-such-fs", 0, 0));
        call!(t, mount(c"none", c"m", 0, 0, 0));
        call!(t, mount(0, c"m", c"tmpfs", 0, c"nonsense=1"));
        call!(t, mount(c"none", c"missing", c"tmpfs", 0, 0));
        call!(t, mount(c"none", c"m", 0, libc::MS_REMOUNT, 0));
        call!(t, mount(c"missing", c"m", 0, libc::MS_BIND, 0));
        call!(t, umount2(c"m", 0));
        call!(t, umount2(c"m", 0x100));
        must!(t, mount(c"none", c"m", c"tmpfs", 0, 0));
        call!(t, rmdir(c"m"));
        call!(t, rename(c"m", c"x"));
        must!(t, setresuid(1000, 1000, 1000));
        call!(t, mount(c"none", c"m", c"tmpfs", 0, 0));
        call!(t, umount2(c"m", 0));
    });
    c.add("rename/across_mounts", |t| {
        own(t);
        must!(t, mount(c"none", c"m", c"tmpfs", 0, 0));
        file(t, c"f", b"x");
        call!(t, rename(c"f", c"m/f"));
        call!(t, link(c"f", c"m/f"));
        t.show(
            "openat2 without crossing",
            crate::harness::Ret(sys!(openat2(libc::AT_FDCWD, c"m/f", &[0u64, 0, 1], 24))),
        );
    });
    c.add("fsopen/new_calls_make_a_tmpfs", |t| {
        own(t);
        let fs = call!(t, fsopen(c"tmpfs", 1));
        call!(t, fsconfig(fs, 1, c"size", c"64k", 0));
        call!(t, fsconfig(fs, 1, c"nonsense", c"1", 0));
        call!(t, fsconfig(fs, 6, 0, 0, 0));
        let m = call!(t, fsmount(fs, 1, 0));
        call!(t, fcntl(m, libc::F_GETFD, 0));
        call!(t, move_mount(m, c"", libc::AT_FDCWD, c"m", 4));
        file(t, c"m/f", b"x");
        let tree = call!(t, open_tree(libc::AT_FDCWD, c"m", 1));
        content(t, call!(t, openat(tree, c"f", 0, 0)));
        call!(t, move_mount(tree, c"", libc::AT_FDCWD, c"n", 4));
        content(t, call!(t, open(c"n/f", 0, 0)));
        call!(t, mount_setattr(libc::AT_FDCWD, c"n", 0, &[1u64, 0, 0, 0], 32));
        call!(t, open(c"n/f", 2, 0));
        call!(t, open(c"m/f", 2, 0));
    });
    c.add("pivot_root/into_a_tmpfs", |t| {
        own(t);
        must!(t, mount(c"none", c"m", c"tmpfs", 0, 0));
        must!(t, mkdir(c"m/old", 0o755));
        file(t, c"m/f", b"new root");
        call!(t, pivot_root(c"m", c"n"));
        call!(t, pivot_root(c"m", c"m/old"));
        content(t, call!(t, open(c"/f", 0, 0)));
        call!(t, access(c"/old/proc", 0));
        call!(t, chdir(c"/"));
        call!(t, umount2(c"/old", libc::MNT_DETACH));
        call!(t, access(c"/old/proc", 0));
    });
    c.add("chroot/then_mount_namespace_refuses_pivot", |t| {
        own(t);
        must!(t, chroot(c"m"));
        call!(t, pivot_root(c"/", c"/"));
    });
}
