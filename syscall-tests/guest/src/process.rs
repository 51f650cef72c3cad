//! Processes and threads: fork, vfork, clone, clone3, exec, exit, waiting, sessions, pidfds, prctl.

use super::pipe::pipe;
use super::read_write::file;
use crate::harness::memory::{peek, poke, zeroed};
use crate::harness::process::*;
use crate::harness::{Cases, T, exit, nr, raw};

/// Starts a raw thread on `stack_top` that does nothing but end; returns its id.
pub fn raw_thread(flags: i32, stack_top: usize, child_tid: usize) -> i64 {
    let r: i64;
    // SAFETY: the new thread uses no memory: it ends at once by the thread's own `exit`.
    unsafe {
        std::arch::asm!("syscall", "test rax, rax", "jnz 2f", "xor edi, edi", "mov eax, 60", "syscall", "2:",
            inlateout("rax") nr("clone") as i64 => r, in("rdi") flags as i64, in("rsi") stack_top, in("rdx") 0, in("r10") child_tid, in("r8") 0,
            lateout("rcx") _, lateout("r11") _);
    }
    r
}

/// clone3 with a structure of 11 words; the child gets 0.
fn clone3(args: &[u64; 11]) -> i64 {
    raw(nr("clone3"), &[args.as_ptr() as usize, 88])
}

fn waitid_line(t: &T, what: &str, kind: i32, id: i64, options: i32, expected: i64) {
    let mut info = [0i32; 32];
    t.ret(what, sys!(waitid(kind, id, &mut info, options, 0)));
    t.show("signo, code, status", (info[0], info[2], info[6]));
    t.show("pid is the child's, uid", (info[4] as i64 == expected, info[5]));
}

pub fn cases(c: &mut Cases) {
    c.family("process");
    for status in [0, 1, 77, 255, 256, -1] {
        c.add(format!("exit_group/status_{status}"), move |t| in_child(t, || exit(status)));
    }
    c.add("exit/of_the_only_thread", |t| {
        in_child(t, || {
            sys!(exit(6));
        })
    });
    c.add("exit/main_thread_first", |t| {
        in_child(t, || {
            thread(|| {
                sleep_ms(20);
                exit(4)
            });
            sys!(exit(9));
        })
    });
    c.add("fork/copies_memory_and_shares_files", |t| {
        let fd = file(t, c"f", b"");
        let page = crate::harness::memory::pages(t, 1);
        poke(page, 1u32);
        in_child(t, || {
            poke(page, 2u32);
            sys!(write(fd, b"child", 5));
        });
        t.show("memory", peek::<u32>(page));
        call!(t, lseek(fd, 0, libc::SEEK_CUR));
    });
    c.add("fork/ids", |t| {
        let (me, group, session) = (sys!(getpid()), sys!(getpgrp()), sys!(getsid(0)));
        in_child(t, || {
            t.show("parent", sys!(getppid()) == me);
            t.show("own pid", sys!(getpid()) != me && sys!(getpid()) == sys!(gettid()));
            t.show("group, session", (sys!(getpgrp()) == group, sys!(getsid(0)) == session));
        });
    });
    c.add("fork/times_and_alarms_start_anew", |t| {
        must!(t, alarm(100));
        in_child(t, || exit(sys!(alarm(0)) as i32));
        t.show("parent's", sys!(alarm(0)) > 0);
    });
    c.add("vfork/parent_waits_for_exit", |t| {
        let page = must!(t, mmap(0, 4096, 3, libc::MAP_SHARED | libc::MAP_ANONYMOUS, -1, 0)) as usize;
        let pid = must!(t, clone(libc::CLONE_VFORK | libc::SIGCHLD, 0, 0, 0, 0));
        if pid == 0 {
            sleep_ms(20);
            poke(page, 5u32);
            exit(0);
        }
        t.show("seen", peek::<u32>(page));
        t.show("child", reap(pid));
    });
    c.add("vfork/exec_releases", |t| {
        let pid = must!(t, clone(libc::CLONE_VFORK | libc::SIGCHLD, 0, 0, 0, 0));
        if pid == 0 {
            exec_child("exit", &["12"]);
            exit(99);
        }
        t.show("child", reap(pid));
    });
    c.add("clone/exit_signal", |t| {
        handle(libc::SIGUSR1, 0);
        for signal in [libc::SIGUSR1, 0] {
            let pid = must!(t, clone(signal, 0, 0, 0, 0));
            if pid == 0 {
                exit(0);
            }
            sleep_ms(15);
            t.show("signal", LAST.load(std::sync::atomic::Ordering::SeqCst));
            call!(t, wait4(pid, 0, libc::WNOHANG, 0));
            done!(t, wait4(pid, 0, 0x4000_0000, 0));
            LAST.store(0, std::sync::atomic::Ordering::SeqCst);
        }
    });
    c.add("clone/tid_words", |t| {
        let (mut parent_word, mut child_word) = (0i32, 7i32);
        let flags = libc::CLONE_PARENT_SETTID | libc::CLONE_CHILD_SETTID | libc::SIGCHLD;
        let pid = must!(t, clone(flags, 0, &mut parent_word, &mut child_word, 0));
        if pid == 0 {
            // SAFETY: the kernel wrote the word.
            exit((unsafe { std::ptr::read_volatile(&child_word) } as i64 == sys!(gettid())) as i32);
        }
        t.show("parent's word", parent_word as i64 == pid);
        t.show("child", reap(pid));
        t.show("parent's copy of the child's", child_word);
    });
    c.add("clone/shared_files_and_cwd", |t| {
        must!(t, mkdir(c"d", 0o755));
        let fd = must!(t, open(c"/dev/null", 0, 0));
        let pid = must!(t, clone(libc::CLONE_FILES | libc::CLONE_FS | libc::SIGCHLD, 0, 0, 0, 0));
        if pid == 0 {
            sys!(close(fd));
            sys!(chdir(c"d"));
            sys!(umask(0o70));
            exit(0);
        }
        t.show("child", reap(pid));
        call!(t, fcntl(fd, libc::F_GETFD, 0));
        call!(t, access(c"../d", 0));
        t.show("umask", format_args!("{:o}", sys!(umask(0))));
    });
    c.add("clone/parent_flag", |t| {
        let [r, w] = pipe(t, 0);
        let me = sys!(getpid());
        let pid = fork(t, || {
            let pid = sys!(clone(libc::CLONE_PARENT | libc::SIGCHLD, 0, 0, 0, 0));
            if pid == 0 {
                sys!(write(w, &[(sys!(getppid()) == me) as u8], 1));
                exit(21);
            }
        });
        t.show("first", reap(pid));
        let mut b = [9u8];
        must!(t, read(r, &mut b, 1));
        t.show("my child too", b[0]);
        let mut status = 0i32;
        done!(t, wait4(-1, &mut status, 0, 0));
        t.show("second", how(status));
    });
    c.add("clone3/plain_and_pidfd", |t| {
        let mut pidfd = -1i32;
        let mut args = [0u64; 11];
        (args[0], args[1], args[4]) =
            (libc::CLONE_PIDFD as u64, std::ptr::from_mut(&mut pidfd) as u64, libc::SIGCHLD as u64);
        let pid = clone3(&args);
        if pid == 0 {
            exit(8);
        }
        t.done("clone3", pid);
        t.show("pidfd", pidfd);
        call!(t, fcntl(pidfd, libc::F_GETFD, 0));
        waitid_line(t, "waitid by pidfd", 3, pidfd as i64, libc::WEXITED, pid);
    });
    c.add("clone3/set_tid", |t| {
        let wanted = [0x7fff_ffffi32];
        let mut args = [0u64; 11];
        (args[4], args[8], args[9]) = (libc::SIGCHLD as u64, wanted.as_ptr() as u64, 1);
        t.ret("too large a pid", clone3(&args));
        args[9] = 99;
        t.ret("too many levels", clone3(&args));
        args[8] = 0;
        args[9] = 1;
        t.ret("no array", clone3(&args));
    });
    c.add("clone3/clear_sighand", |t| {
        handle(libc::SIGUSR1, 0);
        must!(t, rt_sigaction(libc::SIGUSR2, &[1u64, 0, 0, 0], 0, 8));
        let mut args = [0u64; 11];
        (args[0], args[4]) = (1 << 32, libc::SIGCHLD as u64);
        let pid = clone3(&args);
        if pid == 0 {
            let (mut a, mut b) = ([9u64; 4], [9u64; 4]);
            sys!(rt_sigaction(libc::SIGUSR1, 0, &mut a, 8));
            sys!(rt_sigaction(libc::SIGUSR2, 0, &mut b, 8));
            exit((a[0] * 10 + b[0]) as i32);
        }
        t.done("clone3", pid);
        t.show("child", reap(pid));
    });
    for (what, flags) in [
        ("thread_alone", 0x10000u64),
        ("sighand_alone", 0x800),
        ("thread_sighand_no_vm", 0x10800),
        ("pidfd_and_thread", 0x11900),
        ("newpid_and_thread", 0x2001_0900),
        ("fs_and_newns", 0x20200),
        ("clear_and_share_sighand", 0x1_0000_0900),
        ("detached", 0x40_0000),
    ] {
        c.add(format!("clone3/refused_{what}"), move |t| {
            let mut args = [0u64; 11];
            (args[0], args[4]) = (flags, 0);
            let r = clone3(&args);
            if r == 0 {
                exit(0);
            }
            t.done("clone3", r);
        });
    }
    c.add("wait4/statuses", |t| {
        for (what, signal) in [("exit", 0), ("SIGTERM", libc::SIGTERM), ("SIGKILL", libc::SIGKILL)] {
            let pid = fork(t, || {
                sys!(kill(sys!(getpid()), signal));
                exit(33);
            });
            t.show(what, reap(pid));
        }
    });
    c.add("wait4/no_hang_and_none_left", |t| {
        call!(t, wait4(-1, 0, libc::WNOHANG, 0));
        let pid = fork(t, || sleep_ms(30));
        call!(t, wait4(-1, 0, libc::WNOHANG, 0));
        call!(t, wait4(0, 0, libc::WNOHANG, 0));
        call!(t, wait4(-0x7ffe, 0, libc::WNOHANG, 0));
        done!(t, wait4(pid, 0, 0, 0));
        call!(t, wait4(pid, 0, 0, 0));
        call!(t, wait4(-1, 0, 0x1234_0000, 0));
    });
    c.add("wait4/interrupted", |t| {
        let pid = fork(t, || sleep_ms(3000));
        alarms(false);
        call!(t, wait4(-1, 0, 0, 0));
        no_alarms();
        must!(t, kill(pid, libc::SIGKILL));
        t.show("child", reap(pid));
    });
    c.add("wait4/by_group", |t| {
        let a = fork(t, || exit(1));
        let b = fork(t, || {
            sys!(setpgid(0, 0));
            exit(2)
        });
        sys!(setpgid(b, b));
        let mut status = 0i32;
        t.show("first of my group", sys!(wait4(0, &mut status, 0, 0)) == a);
        sleep_ms(10);
        t.show("that of the other", sys!(wait4(-b, &mut status, 0, 0)) == b || sys!(wait4(b, &mut status, 0, 0)) == b);
        t.show("status", how(status));
    });
    c.add("wait4/usage_of_the_child", |t| {
        let pid = fork(t, || {
            let mut x = 0u64;
            for i in 0..30_000_000u64 {
                x = std::hint::black_box(x ^ i);
            }
        });
        let mut usage: libc::rusage = zeroed();
        done!(t, wait4(pid, 0, 0, &mut usage));
        t.show(
            "time was used",
            usage.ru_utime.tv_sec * 1_000_000 + usage.ru_utime.tv_usec + usage.ru_stime.tv_usec > 0,
        );
        t.show("memory was used", usage.ru_maxrss > 0);
    });
    c.add("waitid/kinds", |t| {
        let pid = fork(t, || exit(42));
        waitid_line(t, "peek", libc::P_PID as i32, pid, libc::WEXITED | libc::WNOWAIT, pid);
        waitid_line(t, "take", libc::P_ALL as i32, 0, libc::WEXITED, pid);
        waitid_line(t, "none left", libc::P_PID as i32, pid, libc::WEXITED, pid);
        let pid = fork(t, || {
            sys!(kill(sys!(getpid()), libc::SIGSTOP));
            sleep_ms(2000);
        });
        waitid_line(t, "stopped", libc::P_PID as i32, pid, libc::WSTOPPED, pid);
        must!(t, kill(pid, libc::SIGCONT));
        waitid_line(t, "continued", libc::P_PID as i32, pid, libc::WCONTINUED, pid);
        waitid_line(t, "nothing yet", libc::P_PID as i32, pid, libc::WEXITED | libc::WNOHANG, pid);
        must!(t, kill(pid, libc::SIGKILL));
        waitid_line(t, "killed", libc::P_PID as i32, pid, libc::WEXITED, pid);
    });
    c.add("waitid/dumped_core_code", |t| {
        let pid = fork(t, || {
            sys!(setrlimit(libc::RLIMIT_CORE, &[0u64, 0]));
            sys!(kill(sys!(getpid()), libc::SIGABRT));
        });
        waitid_line(t, "aborted", libc::P_PID as i32, pid, libc::WEXITED, pid);
    });
    c.add("waitid/bad_arguments", |t| {
        for (kind, id, options) in [
            (0, 0, 0),
            (4, 0, 4),
            (1, 0, 4),
            (1, -1, 4),
            (2, -1, 4),
            (3, -1, 4),
            (3, 0, 4),
            (0, 0, 0x100),
            (0, 0, 4 | 0x8000_0000u32 as i32),
        ] {
            t.ret(&format!("waitid {kind} {id} {options:#x}"), sys!(waitid(kind, id, 0, options, 0)));
        }
    });
    c.add("prctl/subreaper_adopts", |t| {
        must!(t, prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0));
        let [r, w] = pipe(t, 0);
        let me = sys!(getpid());
        let pid = fork(t, || {
            fork(t, || {
                sleep_ms(20);
                sys!(write(w, &[(sys!(getppid()) == me) as u8], 1));
                exit(13);
            });
        });
        t.show("child", reap(pid));
        let mut b = [9u8];
        must!(t, read(r, &mut b, 1));
        t.show("adopted", b[0]);
        let mut status = 0i32;
        done!(t, wait4(-1, &mut status, 0, 0));
        t.show("grandchild", how(status));
    });
    c.add("prctl/parent_death_signal", |t| {
        let [r, w] = pipe(t, 0);
        let pid = fork(t, || {
            fork(t, || {
                sys!(prctl(libc::PR_SET_PDEATHSIG, libc::SIGUSR1, 0, 0, 0));
                handle(libc::SIGUSR1, 0);
                sys!(write(w, b"r", 1));
                for _ in 0..200 {
                    sleep_ms(5);
                    if was_handled() {
                        sys!(write(w, b"d", 1));
                        exit(0);
                    }
                }
            });
            let mut b = [0u8];
            sys!(read(r, &mut b, 1));
        });
        t.show("child", reap(pid));
        let mut b = [0u8];
        call!(t, read(r, &mut b, 1));
        t.bytes("grandchild", &b);
    });
    c.add("prctl/names", |t| {
        let mut name = [0u8; 16];
        call!(t, prctl(libc::PR_SET_NAME, c"a name of more than fifteen"));
        call!(t, prctl(libc::PR_GET_NAME, &mut name));
        t.bytes("name", &name);
        t.show("comm", std::fs::read_to_string("/proc/self/comm").ok());
        in_child(t, || {
            let mut b = [0u8; 16];
            sys!(prctl(libc::PR_GET_NAME, &mut b));
            exit((b == name) as i32);
        });
        in_child(t, || {
            exec_child("name", &[]);
        });
    });
    c.add("prctl/dumpable_and_no_new_privs_over_exec", |t| {
        must!(t, prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0));
        must!(t, prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
        in_child(t, || {
            exec_child("dumpable", &[]);
        });
        in_child(t, || {
            exec_child("nnp", &[]);
        });
    });
    c.add("execve/arguments", |t| {
        in_child(t, || {
            exec_child("args", &["one", "two", ""]);
        });
    });
    c.add("execve/script", |t| {
        let exe = std::fs::read_link("/proc/self/exe").unwrap_or_default();
        let fd = must!(t, open(c"script", libc::O_CREAT | libc::O_WRONLY, 0o755));
        let text = format!("#! {} --child\n", exe.display());
        must!(t, write(fd, text.as_bytes(), text.len()));
        must!(t, close(fd));
        in_child(t, || {
            // The interpreter gets the optional argument, the script's path, then the arguments.
            let argv = [c"script".as_ptr() as usize, c"5".as_ptr() as usize, 0];
            t.ret("execve", sys!(execve(c"script", &argv, &[0usize])));
        });
    });
    for (what, text) in [
        ("empty", &b""[..]),
        ("no_interpreter", b"#!\n"),
        ("missing_interpreter", b"#!/nonexistent\n"),
        ("garbage", b"garbage\n"),
        ("truncated_elf", b"\x7fELF\x02\x01\x01\0"),
        ("script_of_itself", b"#!./bad\n"),
    ] {
        c.add(format!("execve/bad_program_{what}"), move |t| {
            let fd = must!(t, open(c"bad", libc::O_CREAT | libc::O_WRONLY, 0o755));
            if !text.is_empty() {
                must!(t, write(fd, text, text.len()));
            }
            must!(t, close(fd));
            in_child(t, || {
                t.ret("execve", sys!(execve(c"./bad", &[c"bad".as_ptr() as usize, 0], &[0usize])));
            });
        });
    }
    c.add("execve/no_permission", |t| {
        let fd = file(t, c"f", b"#!/bin/true\n");
        must!(t, fchmod(fd, 0o644));
        call!(t, execve(c"f", &[0usize], &[0usize]));
        must!(t, fchmod(fd, 0o755));
        call!(t, execve(c"f", &[0usize], &[0usize]));
    });
    c.add("execve/too_long_arguments", |t| {
        let long = std::ffi::CString::new("x".repeat(131_072)).unwrap_or_default();
        let argv = [c"x".as_ptr() as usize, long.as_ptr() as usize, 0];
        t.ret("one argument of 128 KiB", sys!(execve(c"/proc/self/exe", &argv, &[0usize])));
        let part = std::ffi::CString::new("x".repeat(100_000)).unwrap_or_default();
        let mut many: Vec<usize> = vec![part.as_ptr() as usize; 100];
        many.push(0);
        t.ret("10 MB of arguments", sys!(execve(c"/proc/self/exe", many.as_slice(), &[0usize])));
    });
    c.add("execve/ends_other_threads", |t| {
        in_child(t, || {
            for _ in 0..3 {
                thread(|| sleep_ms(5000));
            }
            exec_child("exit", &["7"]);
        });
    });
    c.add("execve/from_a_thread_keeps_the_pid", |t| {
        let pid = fork(t, || {
            thread(|| exec_child("exit", &["17"]));
            sleep_ms(5000);
        });
        t.show("child", reap(pid));
    });
    c.add("execveat/by_descriptor", |t| {
        let fd = must!(t, open(c"/proc/self/exe", libc::O_RDONLY | libc::O_CLOEXEC, 0));
        let argv = ["syscall-guest\0", "--child\0", "exit\0", "14\0"].map(|s| s.as_ptr() as usize);
        let argv = [argv[0], argv[1], argv[2], argv[3], 0];
        in_child(t, || {
            t.ret("execveat", sys!(execveat(fd, c"", &argv, &[0usize], libc::AT_EMPTY_PATH)));
        });
        in_child(t, || {
            t.ret("execveat", sys!(execveat(fd, c"", &argv, &[0usize], 0)));
        });
    });
    c.add("setsid/and_groups", |t| {
        in_child(t, || {
            t.done("setsid", sys!(setsid()));
            t.show("leader", sys!(getsid(0)) == sys!(getpid()) && sys!(getpgrp()) == sys!(getpid()));
            t.ret("again", sys!(setsid()));
            t.ret("setpgid of a leader", sys!(setpgid(0, 0)));
        });
        let pid = fork(t, || sleep_ms(2000));
        call!(t, setpgid(pid, pid));
        t.show("group", sys!(getpgid(pid)) == pid);
        call!(t, setpgid(pid, sys!(getpgrp())));
        call!(t, setpgid(pid, 1));
        call!(t, setpgid(sys!(getpid()), pid));
        call!(t, getpgid(0x7fff_fffe));
        call!(t, getsid(0x7fff_fffe));
        must!(t, kill(pid, libc::SIGKILL));
        reap(pid);
    });
    c.add("setpgid/after_exec", |t| {
        let pid = fork(t, || {
            exec_child("read-forever", &[]);
        });
        sleep_ms(30);
        let r = sys!(setpgid(pid, pid));
        t.show("refused or gone", r == -(libc::EACCES as i64) || r == 0 || r == -(libc::ESRCH as i64));
        reap(pid);
    });
    c.add("setpgid/orphaned_group_gets_hangup", |t| {
        let [r, w] = pipe(t, 0);
        let pid = fork(t, || {
            let child = fork(t, || {
                handle(libc::SIGHUP, 0);
                sys!(write(w, b"r", 1));
                sys!(kill(sys!(getpid()), libc::SIGSTOP));
                sleep_ms(10);
                sys!(write(w, if was_handled() { b"h" } else { b"n" }, 1));
            });
            sys!(setpgid(child, child));
            let mut b = [0u8];
            sys!(read(r, &mut b, 1));
            sys!(wait4(child, 0, libc::WUNTRACED, 0));
        });
        t.show("child", reap(pid));
        let mut b = [0u8];
        call!(t, read(r, &mut b, 1));
        t.bytes("grandchild", &b);
    });
    c.add("pidfd/poll_and_signal", |t| {
        let pid = fork(t, || sleep_ms(3000));
        let fd = must!(t, pidfd_open(pid, 0));
        call!(t, fcntl(fd, libc::F_GETFD, 0));
        let mut p = libc::pollfd { fd: fd as i32, events: 1, revents: 0 };
        call!(t, poll(&mut p, 1, 0));
        call!(t, pidfd_send_signal(fd, 0, 0, 0));
        call!(t, pidfd_send_signal(fd, libc::SIGTERM, 0, 0));
        call!(t, poll(&mut p, 1, 5000));
        t.show("revents", p.revents);
        call!(t, pidfd_send_signal(fd, 0, 0, 0));
        waitid_line(t, "waitid", 3, fd, libc::WEXITED, pid);
        call!(t, pidfd_send_signal(fd, 0, 0, 0));
        call!(t, poll(&mut p, 1, 0));
        call!(t, read(fd, &mut [0u8; 8], 8));
    });
    c.add("pidfd/nonblocking_wait", |t| {
        let pid = fork(t, || sleep_ms(3000));
        let fd = must!(t, pidfd_open(pid, 0o4000));
        call!(t, waitid(3, fd, 0, libc::WEXITED, 0));
        must!(t, kill(pid, libc::SIGKILL));
        reap(pid);
    });
    c.add("pidfd/getfd", |t| {
        let [r, w] = pipe(t, 0);
        let pid = fork(t, || sleep_ms(3000));
        let fd = must!(t, pidfd_open(pid, 0));
        must!(t, close(w));
        let got = call!(t, pidfd_getfd(fd, w, 0));
        call!(t, fcntl(got, libc::F_GETFD, 0));
        call!(t, write(got, b"through", 7));
        let mut b = [0u8; 8];
        call!(t, read(r, &mut b, 8));
        call!(t, pidfd_getfd(fd, 99, 0));
        call!(t, pidfd_getfd(r, 0, 0));
        must!(t, kill(pid, libc::SIGKILL));
        reap(pid);
        call!(t, pidfd_getfd(fd, w, 0));
    });
    c.add("pidfd_open/of_a_thread", |t| {
        let (send, recv) = std::sync::mpsc::channel();
        let other = thread(move || {
            let _ = send.send(sys!(gettid()));
            sleep_ms(30);
        });
        let tid = recv.recv().unwrap_or(0);
        call!(t, pidfd_open(tid, 0));
        call!(t, pidfd_open(tid, 0o200));
        let _ = other.join();
    });
    c.add("kcmp/files", |t| {
        let a = must!(t, open(c"/dev/null", 0, 0));
        let b = must!(t, dup(a));
        let other = must!(t, open(c"/dev/null", 0, 0));
        let me = sys!(getpid());
        call!(t, kcmp(me, me, 0, a, b));
        t.show("others differ", sys!(kcmp(me, me, 0, a, other)) != 0);
    });
    c.add("unshare/files_of_a_thread", |t| {
        must!(t, open(c"/dev/null", 0, 0));
        let r = thread(|| {
            let r = sys!(unshare(libc::CLONE_FILES));
            sys!(close(3));
            r
        });
        t.ret("unshare", r.join().unwrap_or(-1));
        call!(t, fcntl(3, libc::F_GETFD, 0));
    });
    c.add("personality/round_trip", |t| {
        call!(t, personality(0xffff_ffffu32));
        call!(t, personality(0x0040000));
        call!(t, personality(0xffff_ffffu32));
    });
    c.add("ptrace/traceme_and_exec_stop", |t| {
        let pid = fork(t, || {
            // Without a tracer nobody would wake it from the stop.
            if sys!(ptrace(0, 0, 0, 0)) < 0 {
                exit(4);
            }
            sys!(kill(sys!(getpid()), libc::SIGSTOP));
            exit(3);
        });
        let mut status = 0i32;
        must!(t, wait4(pid, &mut status, 0, 0));
        t.show("child", how(status));
        let mut regs = [0u64; 27];
        call!(t, ptrace(12, pid, 0, &mut regs));
        t.show("stopped in kill", regs[15]);
        call!(t, ptrace(24, pid, 0, 0));
        must!(t, wait4(pid, &mut status, 0, 0));
        t.show("child", how(status));
        call!(t, ptrace(7, pid, 0, 0));
        t.show("child", reap(pid));
    });
}
