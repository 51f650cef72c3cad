//! Users, groups, capabilities, limits.

use crate::harness::process::*;
use crate::harness::{Cases, T};

fn ids(t: &T) {
    let (mut u, mut g) = ([9i32; 3], [9i32; 3]);
    let at = |list: &mut [i32; 3], i: usize| std::ptr::from_mut(&mut list[i]) as usize;
    sys!(getresuid(at(&mut u, 0), at(&mut u, 1), at(&mut u, 2)));
    sys!(getresgid(at(&mut g, 0), at(&mut g, 1), at(&mut g, 2)));
    t.show("uids, gids", (u, g));
}

fn caps(t: &T, what: &str) {
    let mut data = [0u32; 6];
    t.ret(what, sys!(capget(&[0x2008_0522u32, 0], &mut data)));
    // Which capabilities the machine grants differs: whether there are any does not.
    t.show("effective, permitted, inheritable", (data[0] != 0, data[1] != 0, data[2] != 0));
}

pub fn cases(c: &mut Cases) {
    c.family("credentials");
    for (what, r, e, s) in
        [("all", 1, 2, 3), ("effective", -1, 5, -1), ("real", 5, -1, -1), ("saved", -1, -1, 5), ("nothing", -1, -1, -1)]
    {
        c.add(format!("setresuid/{what}"), move |t| {
            call!(t, setresgid(r, e, s));
            call!(t, setresuid(r, e, s));
            ids(t);
            caps(t, "capget");
            call!(t, setresuid(0, 0, 0));
            call!(t, setresuid(-1, 1, -1));
            call!(t, setresuid(-1, 3, -1));
            ids(t);
        });
    }
    for (what, r, e) in [("swap", 1000, 0), ("effective_only", -1, 1000), ("real_only", 1000, -1), ("both", 1000, 1000)]
    {
        c.add(format!("setreuid/{what}"), move |t| {
            call!(t, setregid(r, e));
            call!(t, setreuid(r, e));
            ids(t);
            call!(t, setreuid(e, r));
            ids(t);
        });
    }
    c.add("setuid/as_root_sets_all", |t| {
        call!(t, setgid(7));
        call!(t, setuid(7));
        ids(t);
        caps(t, "capget");
        call!(t, setuid(0));
        call!(t, setgid(0));
        call!(t, setuid(7));
    });
    c.add("setuid/as_user_sets_effective", |t| {
        must!(t, setresuid(1000, 1000, 2000));
        call!(t, setuid(2000));
        ids(t);
        call!(t, setuid(1000));
        call!(t, setuid(3000));
    });
    c.add("setfsuid/old_value_and_files", |t| {
        call!(t, setfsuid(1000));
        call!(t, setfsuid(-1));
        call!(t, mkdir(c"/proc/x", 0o755));
        call!(t, setfsgid(1000));
        call!(t, setfsgid(-1));
        let fd = sys!(open(c"f", libc::O_CREAT | libc::O_WRONLY, 0o600));
        t.ret("create in root's directory", fd.min(0));
    });
    c.add("setfsuid/follows_effective", |t| {
        must!(t, setresuid(-1, 1000, -1));
        call!(t, setfsuid(-1));
        call!(t, setfsuid(5));
        call!(t, setfsuid(-1));
    });
    c.add("setgroups/round_trip", |t| {
        call!(t, setgroups(3, &[30i32, 10, 20]));
        let mut g = [0i32; 8];
        call!(t, getgroups(0, 0));
        call!(t, getgroups(8, &mut g));
        t.show("groups", g);
        call!(t, getgroups(2, &mut g));
        call!(t, getgroups(-1, &mut g));
        must!(t, setresuid(1000, 1000, 1000));
        call!(t, setgroups(0, 0));
    });
    c.add("setresuid/keep_capabilities", |t| {
        must!(t, prctl(libc::PR_SET_KEEPCAPS, 1, 0, 0, 0));
        must!(t, setresuid(1000, 1000, 1000));
        caps(t, "kept");
        call!(t, prctl(libc::PR_GET_KEEPCAPS, 0, 0, 0, 0));
    });
    c.add("setresuid/capabilities_come_back_with_saved_root", |t| {
        must!(t, setresuid(-1, 1000, 0));
        caps(t, "as user");
        must!(t, setresuid(-1, 0, -1));
        caps(t, "as root again");
    });
    c.add("capset/drop_and_raise", |t| {
        let mut data = [0u32; 6];
        must!(t, capget(&[0x2008_0522u32, 0], &mut data));
        let header = [0x2008_0522u32, 0];
        let mut less = data;
        less[0] &= !1;
        call!(t, capset(&header, &less));
        call!(t, capset(&header, &data));
        less[1] &= !1;
        call!(t, capset(&header, &less));
        call!(t, capset(&header, &data));
        file(t);
        call!(t, chown(c"f", 5, 5));
    });
    c.add("prctl/bounding_set", |t| {
        call!(t, prctl(libc::PR_CAPBSET_READ, 10, 0, 0, 0));
        call!(t, prctl(libc::PR_CAPBSET_DROP, 10, 0, 0, 0));
        call!(t, prctl(libc::PR_CAPBSET_READ, 10, 0, 0, 0));
        call!(t, prctl(libc::PR_CAPBSET_DROP, 999, 0, 0, 0));
        must!(t, setresuid(1000, 1000, 1000));
        call!(t, prctl(libc::PR_CAPBSET_DROP, 11, 0, 0, 0));
    });
    c.add("prctl/ambient", |t| {
        call!(t, prctl(libc::PR_CAP_AMBIENT, 2, 0, 0, 0));
        let mut data = [0u32; 6];
        must!(t, capget(&[0x2008_0522u32, 0], &mut data));
        data[2] |= 1;
        must!(t, capset(&[0x2008_0522u32, 0], &data));
        call!(t, prctl(libc::PR_CAP_AMBIENT, 2, 0, 0, 0));
        call!(t, prctl(libc::PR_CAP_AMBIENT, 1, 0, 0, 0));
        call!(t, prctl(libc::PR_CAP_AMBIENT, 3, 0, 0, 0));
        call!(t, prctl(libc::PR_CAP_AMBIENT, 1, 0, 0, 0));
        call!(t, prctl(libc::PR_CAP_AMBIENT, 1, 99, 0, 0));
        call!(t, prctl(libc::PR_CAP_AMBIENT, 9, 0, 0, 0));
    });
    c.add("prctl/secure_bits", |t| {
        for bits in [1, 3, 0, 0x40, 0x100] {
            call!(t, prctl(libc::PR_SET_SECUREBITS, bits, 0, 0, 0));
            call!(t, prctl(libc::PR_GET_SECUREBITS, 0, 0, 0, 0));
        }
    });
    c.add("execve/uid_and_umask", |t| {
        sys!(umask(0o70));
        for (what, uid) in [("uid", 77), ("umask", 0)] {
            in_child(t, || {
                sys!(setresuid(uid, uid, uid));
                exec_child(what, &[]);
            });
        }
    });
    const CAP_SYS_RESOURCE: u32 = 24;
    for which in 0..17 {
        c.add(format!("setrlimit/resource_{which}"), move |t| {
            // Not every machine's root may raise limits; without the right all are the same.
            let (header, mut caps) = ([0x2008_0522u32, 0], [0u32; 6]);
            must!(t, capget(&header, &mut caps));
            caps[0] &= !(1 << CAP_SYS_RESOURCE);
            must!(t, capset(&header, &caps));
            let mut l = [0u64; 2];
            call!(t, setrlimit(which, &[5u64, 10]));
            call!(t, getrlimit(which, &mut l));
            t.show("limit", (l[0] == 5, l[1] == 10));
            call!(t, setrlimit(which, &[10u64, 5]));
            must!(t, setresuid(1000, 1000, 1000));
            call!(t, setrlimit(which, &[5u64, 20]));
            call!(t, setrlimit(which, &[6u64, 8]));
        });
    }
    c.add("prlimit64/of_a_child", |t| {
        let pid = fork(t, || sleep_ms(3000));
        let (mut old, new) = ([0u64; 2], [50u64, 60]);
        call!(t, prlimit64(pid, libc::RLIMIT_NOFILE, &new, 0));
        call!(t, prlimit64(pid, libc::RLIMIT_NOFILE, 0, &mut old));
        t.show("limit", old);
        in_child(t, || {
            sys!(setresuid(1000, 1000, 1000));
            t.ret("as a user", sys!(prlimit64(pid, libc::RLIMIT_NOFILE, 0, &mut old)));
        });
        must!(t, kill(pid, libc::SIGKILL));
        reap(pid);
    });
    c.add("setrlimit/inherited_by_fork_and_exec", |t| {
        must!(t, setrlimit(libc::RLIMIT_NOFILE, &[123u64, 200]));
        in_child(t, || {
            exec_child("nofile", &[]);
        });
    });
    c.add("setrlimit/process_count", |t| {
        must!(t, setresuid(31337, 31337, 31337));
        must!(t, setrlimit(libc::RLIMIT_NPROC, &[1u64, 1]));
        call!(t, fork());
    });
    c.add("setrlimit/cpu_time", |t| {
        in_child(t, || {
            sys!(setrlimit(libc::RLIMIT_CPU, &[1u64, 2]));
            handle(libc::SIGXCPU, 0);
            while !was_handled() {}
            crate::harness::exit(4);
        });
    });
    c.add("setrlimit/stack", |t| {
        must!(t, setrlimit(libc::RLIMIT_STACK, &[1u64 << 20, 8 << 20]));
        in_child(t, || {
            extern "C" fn deep(n: usize) -> usize {
                let block = std::hint::black_box([n as u8; 4096]);
                if n == 0 { block[0] as usize } else { deep(n - 1) + block[5] as usize }
            }
            std::hint::black_box(deep(2000));
        });
    });
}

fn file(t: &T) {
    must!(t, close(must!(t, open(c"f", libc::O_CREAT | libc::O_WRONLY, 0o600))));
}
