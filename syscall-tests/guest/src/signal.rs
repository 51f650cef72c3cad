//! Signals: dispositions, masks, queues, what handlers get, stacks, restart, waiting.

use crate::harness::memory::{pages, zeroed};
use crate::harness::process::*;
use crate::harness::{Cases, T};
use std::sync::atomic::Ordering::SeqCst;

fn me() -> i64 {
    sys!(getpid())
}

fn set(signals: &[i32]) -> u64 {
    signals.iter().fold(0, |s, n| s | 1 << (n - 1))
}

fn block(signals: &[i32]) {
    sys!(rt_sigprocmask(libc::SIG_BLOCK, &set(signals), 0, 8));
}

fn unblock(signals: &[i32]) {
    sys!(rt_sigprocmask(libc::SIG_UNBLOCK, &set(signals), 0, 8));
}

/// Records what a handler is given.
extern "C" fn report(signal: i32, info: *mut libc::siginfo_t, _context: *mut libc::c_void) {
    let t = T::again();
    // SAFETY: the kernel passes a valid record to a handler with SA_SIGINFO; its words are read as numbers.
    let words: [i32; 8] = unsafe { std::ptr::read(info.cast()) };
    t.show("signal", signal);
    t.show("signo, errno, code", (words[0], words[1], words[2]));
    t.show("sender is me, uid", (words[4] as i64 == sys!(getpid()), words[5]));
    t.show("value", words[6]);
}

pub fn cases(c: &mut Cases) {
    c.family("signal");
    for signal in 1..=64 {
        c.add(format!("kill/default_of_{signal}"), move |t| {
            let pid = fork(t, || {
                for s in 1..=64 {
                    sys!(rt_sigaction(s, &[0u64; 4], 0, 8));
                }
                sys!(setrlimit(libc::RLIMIT_CORE, &[0u64, 0]));
                sys!(kill(sys!(getpid()), signal));
                crate::harness::exit(3);
            });
            let mut status = 0i32;
            must!(t, wait4(pid, &mut status, libc::WUNTRACED, 0));
            t.show("child", how(status & !0x80));
            if status & 0xff == 0x7f {
                sys!(kill(pid, libc::SIGKILL));
                t.show("child", reap(pid));
            }
        });
    }
    c.add("rt_sigaction/round_trip", |t| {
        let mut old = [9u64; 4];
        for action in [[0x1000u64, 0x1000_0004, 0, 0], [1, 0, 0, u64::MAX], [0, 0x9c00_0007, 0, 5]] {
            call!(t, rt_sigaction(libc::SIGUSR1, &action, &mut old, 8));
            call!(t, rt_sigaction(libc::SIGUSR1, 0, &mut old, 8));
            t.show("handler, flags, mask", format_args!("{:#x} {:#x} {:#x}", old[0], old[1], old[3]));
        }
    });
    c.add("rt_sigaction/unknown_flags_are_dropped", |t| {
        must!(t, rt_sigaction(libc::SIGUSR1, &[0u64, 0xffff_ffff, 0, 0], 0, 8));
        let mut old = [0u64; 4];
        must!(t, rt_sigaction(libc::SIGUSR1, 0, &mut old, 8));
        t.show("flags", format_args!("{:#x}", old[1]));
    });
    c.add("rt_sigaction/ignoring_discards_pending", |t| {
        block(&[libc::SIGUSR1]);
        handle(libc::SIGUSR1, 0);
        must!(t, kill(me(), libc::SIGUSR1));
        must!(t, rt_sigaction(libc::SIGUSR1, &[1u64, 0, 0, 0], 0, 8));
        let mut pending = 0u64;
        must!(t, rt_sigpending(&mut pending, 8));
        t.show("pending", pending);
    });
    c.add("rt_sigaction/reset_hand", |t| {
        handle(libc::SIGUSR1, libc::SA_RESETHAND);
        must!(t, kill(me(), libc::SIGUSR1));
        let mut old = [9u64; 4];
        must!(t, rt_sigaction(libc::SIGUSR1, 0, &mut old, 8));
        t.show("handled, handler now", (was_handled(), old[0]));
    });
    c.add("rt_sigaction/mask_during_the_handler", |t| {
        extern "C" fn look(_signal: i32, _info: *mut libc::siginfo_t, _context: *mut libc::c_void) {
            let mut mask = 0u64;
            sys!(rt_sigprocmask(0, 0, &mut mask, 8));
            T::again().show("mask", format_args!("{mask:#x}"));
        }
        t.keep();
        handle_info(libc::SIGUSR1, 0, look);
        must!(t, kill(me(), libc::SIGUSR1));
        handle_info(libc::SIGUSR1, libc::SA_NODEFER, look);
        must!(t, kill(me(), libc::SIGUSR1));
        let mut mask = 0u64;
        must!(t, rt_sigprocmask(0, 0, &mut mask, 8));
        t.show("afterwards", mask);
    });
    c.add("rt_sigprocmask/how", |t| {
        let mut old = 0u64;
        for (how, mask) in [(0, 0x200u64), (0, 0x800), (1, 0x200), (2, 0x40000200), (2, 0)] {
            call!(t, rt_sigprocmask(how, &mask, &mut old, 8));
            t.show("old", format_args!("{old:#x}"));
        }
        call!(t, rt_sigprocmask(3, &1u64, 0, 8));
        call!(t, rt_sigprocmask(3, 0, &mut old, 8));
    });
    c.add("kill/standard_signals_merge_and_real_time_queue", |t| {
        block(&[libc::SIGUSR1, 40]);
        handle(libc::SIGUSR1, 0);
        handle(40, 0);
        for _ in 0..3 {
            must!(t, kill(me(), libc::SIGUSR1));
            must!(t, kill(me(), 40));
        }
        let mut pending = 0u64;
        call!(t, rt_sigpending(&mut pending, 8));
        t.show("pending", format_args!("{pending:#x}"));
        unblock(&[libc::SIGUSR1]);
        t.show("handled", HANDLED.load(SeqCst));
        unblock(&[40]);
        t.show("handled", HANDLED.load(SeqCst));
    });
    c.add("kill/order_of_delivery", |t| {
        extern "C" fn note(signal: i32, _info: *mut libc::siginfo_t, _context: *mut libc::c_void) {
            T::again().show("ran", signal);
        }
        t.keep();
        let signals = [40, libc::SIGUSR2, 34, libc::SIGTERM, libc::SIGUSR1, libc::SIGHUP];
        block(&signals);
        for s in signals {
            handle_info(s, 0, note);
            must!(t, kill(me(), s));
        }
        unblock(&signals);
    });
    for (what, which) in [
        ("kill", 0),
        ("tkill", 1),
        ("tgkill", 2),
        ("sigqueue", 3),
        ("tgsigqueue", 4),
        ("timer", 5),
        ("child", 6),
        ("pidfd", 7),
        ("alarm", 8),
    ] {
        c.add(format!("siginfo/from_{what}"), move |t| {
            t.keep();
            let signal = if which == 6 {
                libc::SIGCHLD
            } else if which == 8 {
                libc::SIGALRM
            } else {
                libc::SIGUSR1
            };
            handle_info(signal, 0, report);
            let (pid, tid) = (me(), sys!(gettid()));
            let mut si = [0i32; 32];
            (si[0], si[2], si[4], si[5], si[6]) = (signal, -1, pid as i32, 0, 4321);
            match which {
                0 => drop(must!(t, kill(pid, signal))),
                1 => drop(must!(t, tkill(tid, signal))),
                2 => drop(must!(t, tgkill(pid, tid, signal))),
                3 => drop(must!(t, rt_sigqueueinfo(pid, signal, &si))),
                4 => drop(must!(t, rt_tgsigqueueinfo(pid, tid, signal, &si))),
                5 => {
                    let mut id = 0i32;
                    must!(t, timer_create(1, &[555u64, signal as u64, 0, 0, 0, 0, 0, 0], &mut id));
                    must!(t, timer_settime(id, 0, &[0u64, 0, 0, 1_000_000], 0));
                    sleep_ms(20);
                }
                6 => {
                    let child = fork(t, || crate::harness::exit(9));
                    sleep_ms(20);
                    reap(child);
                }
                7 => {
                    let fd = must!(t, pidfd_open(pid, 0));
                    must!(t, pidfd_send_signal(fd, signal, 0, 0));
                }
                _ => {
                    must!(t, setitimer(0, &[0u64, 0, 0, 1000], 0));
                    sleep_ms(20);
                }
            }
        });
    }
    c.add("rt_sigqueueinfo/forged_codes", |t| {
        block(&[40]);
        let child = fork(t, || sleep_ms(500));
        for code in [0, -1, -6, -2, 1, 0x80] {
            let mut si = [0i32; 32];
            (si[0], si[2]) = (40, code);
            t.ret(&format!("to self {code}"), sys!(rt_sigqueueinfo(me(), 40, &si)));
            if code == 0 || code == -6 || code > 0 {
                t.ret(&format!("to child {code}"), sys!(rt_sigqueueinfo(child, 40, &si)));
            }
        }
        must!(t, kill(child, libc::SIGKILL));
        t.show("child", reap(child));
    });
    c.add("kill/groups_and_permissions", |t| {
        let child = fork(t, || {
            sys!(setpgid(0, 0));
            sleep_ms(2000);
        });
        sys!(setpgid(child, child));
        call!(t, kill(-child, 0));
        call!(t, kill(child, 0));
        call!(t, kill(-0x7fff_fffe, 0));
        call!(t, kill(child, 65));
        in_child(t, || {
            sys!(setresuid(1000, 1000, 1000));
            t.ret("as another user", sys!(kill(child, 0)));
            t.ret("to init", sys!(kill(1, 0)));
            t.ret("SIGCONT", sys!(kill(child, libc::SIGCONT)));
        });
        must!(t, kill(-child, libc::SIGTERM));
        t.show("child", reap(child));
        call!(t, kill(child, 0));
    });
    c.add("kill/own_group", |t| {
        handle(libc::SIGUSR1, 0);
        call!(t, kill(0, libc::SIGUSR1));
        t.show("handled", was_handled());
    });
    c.add("kill/zombie", |t| {
        let child = fork(t, || ());
        sys!(waitid(libc::P_PID, child, 0, libc::WEXITED | libc::WNOWAIT, 0));
        call!(t, kill(child, libc::SIGTERM));
        t.show("child", reap(child));
    });
    c.add("tgkill/wrong_group", |t| {
        let child = fork(t, || sleep_ms(500));
        call!(t, tgkill(me(), child, 0));
        call!(t, tgkill(child, child, 0));
        must!(t, kill(child, libc::SIGKILL));
        reap(child);
    });
    c.add("sigaltstack/handler_runs_on_it", |t| {
        extern "C" fn look(_signal: i32, _info: *mut libc::siginfo_t, _context: *mut libc::c_void) {
            let here = 0u8;
            let mut stack = [0u64; 3];
            sys!(sigaltstack(0, &mut stack));
            let at = std::ptr::from_ref(&here) as u64;
            let t = T::again();
            t.show("on the stack, flags", (at >= stack[0] && at < stack[0] + stack[2], stack[1] as u32));
            t.ret("change while on it", sys!(sigaltstack(&[0u64, 2, 0], 0)));
        }
        t.keep();
        let area = pages(t, 8) as u64;
        call!(t, sigaltstack(&[area, 0, 32768], 0));
        handle_info(libc::SIGUSR1, libc::SA_ONSTACK, look);
        must!(t, kill(me(), libc::SIGUSR1));
        call!(t, sigaltstack(&[area, 1u64 << 31, 32768], 0));
        must!(t, kill(me(), libc::SIGUSR1));
        let mut stack = [0u64; 3];
        call!(t, sigaltstack(0, &mut stack));
        t.show("flags", format_args!("{:#x}", stack[1] as u32));
    });
    c.add("sigaltstack/fork_keeps_exec_drops", |t| {
        let area = pages(t, 8) as u64;
        must!(t, sigaltstack(&[area, 0, 32768], 0));
        in_child(t, || {
            let mut stack = [0u64; 3];
            sys!(sigaltstack(0, &mut stack));
            crate::harness::exit((stack[2] == 32768) as i32);
        });
        in_child(t, || {
            exec_child("altstack", &[]);
        });
    });
    c.add("execve/dispositions", |t| {
        handle(libc::SIGUSR1, 0);
        must!(t, rt_sigaction(libc::SIGUSR2, &[1u64, 0, 0, 0], 0, 8));
        block(&[libc::SIGTERM]);
        for (what, signal) in [
            ("disposition", libc::SIGUSR1),
            ("disposition", libc::SIGUSR2),
            ("blocked", libc::SIGTERM),
            ("blocked", libc::SIGHUP),
        ] {
            in_child(t, || {
                exec_child(what, &[&signal.to_string()]);
            });
        }
    });
    c.add("fork/pending_is_not_inherited", |t| {
        block(&[libc::SIGUSR1]);
        must!(t, kill(me(), libc::SIGUSR1));
        in_child(t, || {
            let (mut pending, mut mask) = (0u64, 0u64);
            sys!(rt_sigpending(&mut pending, 8));
            sys!(rt_sigprocmask(0, 0, &mut mask, 8));
            t.show("pending, mask", (pending, mask));
        });
    });
    c.add("rt_sigtimedwait/takes_the_lowest", |t| {
        block(&[libc::SIGUSR1, libc::SIGUSR2, 40]);
        for s in [40, libc::SIGUSR2, libc::SIGUSR1] {
            must!(t, kill(me(), s));
        }
        let mut info = [0i32; 32];
        for _ in 0..4 {
            call!(t, rt_sigtimedwait(&set(&[libc::SIGUSR1, libc::SIGUSR2, 40]), &mut info, &[0u64, 0], 8));
            t.show("signo, code", (info[0], info[2]));
        }
    });
    c.add("rt_sigtimedwait/waits_and_is_interrupted", |t| {
        block(&[libc::SIGUSR1]);
        let parent = me();
        let pid = later(t, 20, || {
            sys!(kill(parent, libc::SIGUSR1));
        });
        call!(t, rt_sigtimedwait(&set(&[libc::SIGUSR1]), 0, 0, 8));
        t.show("child", reap(pid));
        call!(t, rt_sigtimedwait(&set(&[libc::SIGUSR1]), 0, &[0u64, 2_000_000], 8));
        alarms(true);
        call!(t, rt_sigtimedwait(&set(&[libc::SIGUSR1]), 0, 0, 8));
    });
    c.add("rt_sigsuspend/swaps_the_mask", |t| {
        handle(libc::SIGUSR1, libc::SA_RESTART);
        block(&[libc::SIGUSR1]);
        must!(t, kill(me(), libc::SIGUSR1));
        call!(t, rt_sigsuspend(&0u64, 8));
        t.show("handled", was_handled());
        let mut mask = 0u64;
        must!(t, rt_sigprocmask(0, 0, &mut mask, 8));
        t.show("mask", mask);
        call!(t, rt_sigsuspend(&0u64, 4));
    });
    c.add("pause/ends_with_a_signal", |t| {
        alarms(true);
        call!(t, pause());
        t.show("handled", was_handled());
    });
    c.add("pause/ignored_signals_do_not_end_it", |t| {
        must!(t, rt_sigaction(libc::SIGUSR1, &[1u64, 0, 0, 0], 0, 8));
        let parent = me();
        fork(t, || {
            sleep_ms(10);
            sys!(kill(parent, libc::SIGUSR1));
        });
        handle(libc::SIGALRM, 0);
        must!(t, setitimer(0, &[0u64, 0, 0, 50_000], 0));
        call!(t, pause());
        t.show("last", LAST.load(SeqCst));
    });
    c.add("stop/and_continue", |t| {
        let pid = fork(t, || sleep_ms(3000));
        let mut status = 0i32;
        must!(t, kill(pid, libc::SIGSTOP));
        must!(t, wait4(pid, &mut status, libc::WUNTRACED, 0));
        t.show("child", how(status));
        must!(t, kill(pid, libc::SIGCONT));
        must!(t, wait4(pid, &mut status, libc::WCONTINUED, 0));
        t.show("child", how(status));
        must!(t, kill(pid, libc::SIGKILL));
        t.show("child", reap(pid));
    });
    c.add("stop/kill_ends_a_stopped_one", |t| {
        let pid = fork(t, || sleep_ms(3000));
        must!(t, kill(pid, libc::SIGSTOP));
        must!(t, wait4(pid, 0, libc::WUNTRACED, 0));
        must!(t, kill(pid, libc::SIGTERM));
        call!(t, wait4(pid, 0, libc::WNOHANG, 0));
        must!(t, kill(pid, libc::SIGKILL));
        t.show("child", reap(pid));
    });
    c.add("exit/sigchld_ignored_reaps", |t| {
        must!(t, rt_sigaction(libc::SIGCHLD, &[1u64, 0, 0, 0], 0, 8));
        fork(t, || ());
        call!(t, wait4(-1, 0, 0, 0));
        must!(t, rt_sigaction(libc::SIGCHLD, &[0u64, libc::SA_NOCLDWAIT as u64, 0, 0], 0, 8));
        fork(t, || ());
        call!(t, wait4(-1, 0, 0, 0));
    });
    c.add("stop/no_child_stop", |t| {
        handle(libc::SIGCHLD, libc::SA_NOCLDSTOP);
        let pid = fork(t, || sleep_ms(3000));
        must!(t, kill(pid, libc::SIGSTOP));
        must!(t, wait4(pid, 0, libc::WUNTRACED, 0));
        t.show("signals", HANDLED.load(SeqCst));
        must!(t, kill(pid, libc::SIGKILL));
        t.show("child", reap(pid));
        t.show("signals", HANDLED.load(SeqCst));
    });
    c.add("fpe/and_ill_codes", |t| {
        extern "C" fn code(signal: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
            // SAFETY: the kernel passes valid pointers to a handler with SA_SIGINFO.
            let (info, context) = unsafe { (&*info, &*context.cast::<libc::ucontext_t>()) };
            // SAFETY: a fault fills the address.
            let at_rip = unsafe { info.si_addr() } as i64 == context.uc_mcontext.gregs[libc::REG_RIP as usize];
            let t = T::again();
            t.show("signal, code, address is rip", (signal, info.si_code, at_rip));
            t.show("trap", context.uc_mcontext.gregs[libc::REG_TRAPNO as usize]);
            crate::harness::exit(0);
        }
        t.keep();
        for s in [libc::SIGFPE, libc::SIGILL, libc::SIGTRAP, libc::SIGSEGV, libc::SIGBUS] {
            handle_info(s, 0, code);
        }
        // SAFETY: each child dies or reports in the handler.
        in_child(t, || unsafe {
            std::arch::asm!("xor edx, edx", "xor eax, eax", "div edx", out("eax") _, out("edx") _)
        });
        // SAFETY: as above.
        in_child(t, || unsafe { std::arch::asm!("ud2") });
        // SAFETY: as above.
        in_child(t, || unsafe { std::arch::asm!("int3") });
        // SAFETY: as above.
        in_child(t, || unsafe { std::arch::asm!("hlt") });
    });
    c.add("rt_sigreturn/registers_survive", |t| {
        alarms(true);
        let mut wrong = 0;
        for round in 0..200_000u64 {
            let (a, b): (u64, u64);
            // SAFETY: plain arithmetic, interrupted by signals.
            unsafe { std::arch::asm!("mov {a}, {r}", "lea {b}, [{r} + 5]", "movq xmm5, {a}", "movq {a}, xmm5", a = out(reg) a, b = out(reg) b, r = in(reg) round, out("xmm5") _) };
            wrong += (a != round || b != round + 5) as u32;
        }
        no_alarms();
        t.show("wrong", wrong);
    });
    c.add("rt_sigpending/of_thread_and_process", |t| {
        block(&[libc::SIGUSR1, libc::SIGUSR2]);
        must!(t, kill(me(), libc::SIGUSR1));
        must!(t, tgkill(me(), sys!(gettid()), libc::SIGUSR2));
        let other = thread(|| {
            let mut pending = 0u64;
            sys!(rt_sigpending(&mut pending, 8));
            pending
        });
        t.show("in another thread", other.join().ok());
        let mut pending = 0u64;
        must!(t, rt_sigpending(&mut pending, 8));
        t.show("here", pending);
    });
    c.add("rt_sigqueueinfo/queue_limit", |t| {
        must!(t, setresuid(1234, 1234, 1234));
        must!(t, setrlimit(libc::RLIMIT_SIGPENDING, &[3u64, 3]));
        block(&[40, libc::SIGUSR1]);
        let mut si = [0i32; 32];
        (si[0], si[2]) = (40, -1);
        for _ in 0..5 {
            t.ret("rt_sigqueueinfo", sys!(rt_sigqueueinfo(me(), 40, &si)));
        }
        call!(t, kill(me(), libc::SIGUSR1));
    });
    let _ = zeroed::<u8>;
}
