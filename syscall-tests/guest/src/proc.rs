//! What programs read from /proc and /sys: presence, form, and agreement with calls.

use crate::harness::process::*;
use crate::harness::{Cases, T};
use std::fs::{read_link, read_to_string};

/// Records the lines of a file that start with one of `keys`, their white space squeezed.
pub fn lines(t: &T, path: &str, keys: &[&str]) {
    match read_to_string(path) {
        Ok(text) => {
            for line in text.lines().filter(|l| keys.iter().any(|k| l.starts_with(k))) {
                // Inode and device numbers differ between runs.
                let words: Vec<&str> =
                    line.split_whitespace().filter(|w| !w.starts_with("ino:") && !w.starts_with("sdev:")).collect();
                t.show("line", words.join(" "));
            }
        }
        Err(e) => t.show("no file", e.raw_os_error()),
    }
}

pub fn cases(c: &mut Cases) {
    c.family("proc");
    for (name, keys) in [
        (
            "status",
            &["Name", "Umask", "State", "TracerPid", "Uid", "Gid", "Groups", "Threads", "NoNewPrivs", "Seccomp:"][..],
        ),
        ("limits", &["Max open files", "Max stack size", "Max core file size"]),
        ("oom_score_adj", &[""]),
        ("personality", &[""]),
        ("timerslack_ns", &[""]),
        ("loginuid", &["x"]),
        ("coredump_filter", &[""]),
    ] {
        c.add(format!("read/self_{name}"), move |t| {
            // The same in every process of a test, whatever started it.
            must!(t, setrlimit(libc::RLIMIT_NOFILE, &[100u64, 200]));
            must!(t, setrlimit(libc::RLIMIT_STACK, &[8u64 << 20, 16 << 20]));
            must!(t, setrlimit(libc::RLIMIT_CORE, &[0u64, 0]));
            lines(t, &format!("/proc/self/{name}"), keys);
        });
    }
    for name in [
        "cmdline",
        "environ",
        "stat",
        "statm",
        "maps",
        "smaps",
        "mounts",
        "mountinfo",
        "io",
        "cgroup",
        "auxv",
        "comm",
        "fd/0",
        "fdinfo/0",
        "task",
        "ns/pid",
        "ns/mnt",
        "root",
        "cwd",
        "exe",
        "oom_score",
        "wchan",
        "schedstat",
        "sched",
        "uid_map",
        "gid_map",
        "setgroups",
        "net/dev",
        "net/tcp",
        "net/unix",
        "attr/current",
        "map_files",
        "pagemap",
        "clear_refs",
        "mem",
        "numa_maps",
        "stack",
        "syscall",
        "autogroup",
    ] {
        c.add(format!("stat/self_{name}"), move |t| {
            let mut st: libc::stat = crate::harness::memory::zeroed();
            let path = std::ffi::CString::new(format!("/proc/self/{name}")).unwrap_or_default();
            t.ret("lstat", sys!(lstat(path.as_c_str(), &mut st)));
            t.show("mode", format_args!("{:o}", st.st_mode));
        });
    }
    for path in [
        "cpuinfo",
        "meminfo",
        "stat",
        "uptime",
        "loadavg",
        "version",
        "filesystems",
        "mounts",
        "self",
        "thread-self",
        "sys/kernel/ostype",
        "sys/kernel/osrelease",
        "sys/kernel/hostname",
        "sys/kernel/pid_max",
        "sys/kernel/random/uuid",
        "sys/kernel/random/boot_id",
        "sys/kernel/cap_last_cap",
        "sys/kernel/ngroups_max",
        "sys/kernel/threads-max",
        "sys/kernel/shmmax",
        "sys/kernel/sem",
        "sys/kernel/msgmax",
        "sys/fs/file-max",
        "sys/fs/nr_open",
        "sys/fs/pipe-max-size",
        "sys/fs/inotify/max_user_watches",
        "sys/fs/mqueue/msg_max",
        "sys/vm/overcommit_memory",
        "sys/vm/max_map_count",
        "sys/vm/mmap_min_addr",
        "sys/net/core/somaxconn",
        "sys/net/ipv4/ip_local_port_range",
        "net/dev",
        "sysvipc/shm",
        "devices",
        "partitions",
        "diskstats",
        "vmstat",
        "swaps",
        "cgroups",
        "interrupts",
    ] {
        c.add(format!("read/{path}"), move |t| {
            let text = read_to_string(format!("/proc/{path}"));
            let link = read_link(format!("/proc/{path}"));
            t.show("readable, link", (text.as_ref().is_ok_and(|s| !s.is_empty()), link.is_ok()));
        });
    }
    for path in [
        "/sys/devices/system/cpu/online",
        "/sys/devices/system/cpu/possible",
        "/sys/kernel/mm/transparent_hugepage/enabled",
        "/sys/class/net",
        "/sys/dev/block",
        "/sys/dev/char",
        "/sys/fs/cgroup",
        "/sys/block",
        "/sys/bus",
        "/dev/null",
        "/dev/zero",
        "/dev/full",
        "/dev/random",
        "/dev/urandom",
        "/dev/tty",
        "/dev/ptmx",
        "/dev/pts",
        "/dev/shm",
        "/dev/stdin",
        "/dev/stdout",
        "/dev/stderr",
        "/dev/fd",
    ] {
        c.add(format!("stat{path}"), move |t| {
            let mut st: libc::stat = crate::harness::memory::zeroed();
            let path = std::ffi::CString::new(path).unwrap_or_default();
            t.ret("stat", sys!(lstat(path.as_c_str(), &mut st)));
            t.show("kind", format_args!("{:o}", st.st_mode & libc::S_IFMT));
        });
    }
    c.add("read/fdinfo_of_a_file", |t| {
        let fd = super::read_write::file(t, c"f", b"0123456789");
        must!(t, lseek(fd, 4, 0));
        must!(t, fcntl(fd, libc::F_SETFL, libc::O_APPEND));
        lines(t, &format!("/proc/self/fdinfo/{fd}"), &["pos", "flags"]);
        must!(t, fcntl(fd, libc::F_SETFD, 1));
        lines(t, &format!("/proc/self/fdinfo/{fd}"), &["flags"]);
    });
    c.add("readlink/fd_cwd_exe_root", |t| {
        super::read_write::file(t, c"some-file", b"");
        let end = |p: &str| read_link(p).ok().and_then(|p| p.file_name().map(|n| n.to_string_lossy().into_owned()));
        t.show("fd", end("/proc/self/fd/3"));
        t.show("exe", end("/proc/self/exe"));
        t.show("root", read_link("/proc/self/root").ok());
        must!(t, mkdir(c"work", 0o755));
        must!(t, chdir(c"work"));
        t.show("cwd", end("/proc/self/cwd"));
        must!(t, unlink(c"../some-file"));
        t.show("deleted", end("/proc/self/fd/3"));
        must!(t, rmdir(c"../work"));
        t.show("deleted", end("/proc/self/cwd"));
    });
    c.add("getdents64/fd_lists_what_is_open", |t| {
        must!(t, open(c"/dev/null", 0, 0));
        must!(t, dup2(3, 17));
        let mut names: Vec<u32> = std::fs::read_dir("/proc/self/fd")
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|e| e.file_name().to_string_lossy().parse().ok())
            .collect();
        names.sort();
        // The listing itself holds descriptor 4.
        t.show("fds", names);
    });
    c.add("getdents64/task_lists_threads", |t| {
        let other = thread(|| sleep_ms(100));
        sleep_ms(10);
        t.show("threads", std::fs::read_dir("/proc/self/task").into_iter().flatten().count());
        let _ = other.join();
        lines(t, "/proc/self/status", &["Threads"]);
    });
    c.add("read/stat_fields", |t| {
        let text = read_to_string("/proc/self/stat").unwrap_or_default();
        let fields: Vec<&str> = text.split_whitespace().collect();
        t.show("count", fields.len());
        t.show("name, state", (fields.get(1), fields.get(2)));
        let number = |i: usize| fields.get(i).and_then(|f| f.parse::<i64>().ok()).unwrap_or(-1);
        t.show(
            "ids agree",
            (
                number(0) == sys!(getpid()),
                number(3) == sys!(getppid()),
                number(4) == sys!(getpgrp()),
                number(5) == sys!(getsid(0)),
            ),
        );
        t.show("threads", number(19));
    });
    c.add("read/cmdline_and_environ", |t| {
        let bytes = std::fs::read("/proc/self/cmdline").unwrap_or_default();
        t.show("ends with a zero", bytes.last() == Some(&0));
        let first: Vec<u8> = bytes.iter().copied().take_while(|b| *b != 0).collect();
        t.show("program", String::from_utf8_lossy(&first).ends_with("syscall-guest"));
    });
    c.add("read/zombie_and_stopped_state", |t| {
        let state = |pid: i64| {
            read_to_string(format!("/proc/{pid}/stat"))
                .ok()
                .and_then(|s| s.split_whitespace().nth(2).map(str::to_owned))
        };
        let pid = fork(t, || ());
        sys!(waitid(libc::P_PID, pid, 0, libc::WEXITED | libc::WNOWAIT, 0));
        t.show("zombie", state(pid));
        t.show("no program", read_link(format!("/proc/{pid}/exe")).is_err());
        reap(pid);
        t.show("gone", state(pid));
        let pid = fork(t, || sleep_ms(3000));
        sleep_ms(20);
        t.show("asleep", state(pid));
        must!(t, kill(pid, libc::SIGSTOP));
        must!(t, wait4(pid, 0, libc::WUNTRACED, 0));
        t.show("stopped", state(pid));
        must!(t, kill(pid, libc::SIGKILL));
        reap(pid);
    });
    c.add("write/comm_and_oom_score_adj", |t| {
        t.show("comm", std::fs::write("/proc/self/comm", "renamed").is_ok());
        lines(t, "/proc/self/status", &["Name"]);
        t.show("higher", std::fs::write("/proc/self/oom_score_adj", "500").is_ok());
        lines(t, "/proc/self/oom_score_adj", &[""]);
        t.show("out of range", std::fs::write("/proc/self/oom_score_adj", "5000").map_err(|e| e.raw_os_error()));
        t.show("read-only", std::fs::write("/proc/self/stat", "x").map_err(|e| e.raw_os_error()));
    });
    c.add("read/other_process_as_user", |t| {
        let pid = fork(t, || sleep_ms(2000));
        in_child(t, || {
            sys!(setresgid(1000, 1000, 1000));
            sys!(setresuid(1000, 1000, 1000));
            for file in ["environ", "maps", "mem", "fd", "exe", "status", "cmdline", "stat"] {
                let path = std::ffi::CString::new(format!("/proc/{pid}/{file}")).unwrap_or_default();
                t.ret(file, sys!(open(path.as_c_str(), 0, 0)).min(0));
            }
        });
        must!(t, kill(pid, libc::SIGKILL));
        reap(pid);
    });
    c.add("pread64/in_parts_equals_the_whole", |t| {
        let fd = must!(t, open(c"/proc/self/status", 0, 0));
        let (mut whole, mut part) = (vec![0u8; 8192], [0u8; 7]);
        let n = must!(t, pread64(fd, whole.as_mut_ptr(), 8192, 0)) as usize;
        let name_line = whole[..n].split(|b| *b == b'\n').next().unwrap_or_default().len();
        let mut parts = Vec::new();
        while parts.len() < name_line {
            let got = must!(t, pread64(fd, &mut part, 7, parts.len()));
            parts.extend_from_slice(&part[..got as usize]);
        }
        t.show("same", parts[..name_line] == whole[..name_line]);
        call!(t, lseek(fd, 0, libc::SEEK_END));
        call!(t, write(fd, b"x", 1));
        call!(t, ftruncate(fd, 0));
    });
}
