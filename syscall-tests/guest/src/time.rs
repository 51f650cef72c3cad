//! Clocks, sleeps, interval and POSIX timers, times, scheduling, identity of the machine.

use crate::harness::memory::zeroed;
use crate::harness::process::*;
use crate::harness::{Cases, T};
use std::sync::atomic::Ordering::SeqCst;

fn now(clock: i64) -> u64 {
    let mut ts = [0u64; 2];
    sys!(clock_gettime(clock, &mut ts));
    ts[0] * 1_000_000_000 + ts[1]
}

const MS: u64 = 1_000_000;

pub fn cases(c: &mut Cases) {
    c.family("time");
    for clock in 0..12 {
        c.add(format!("clock_gettime/clock_{clock}"), move |t| {
            let mut ts = [0u64; 2];
            call!(t, clock_gettime(clock, &mut ts));
            let (a, b) = (now(clock), now(clock));
            t.show("does not go back", b >= a);
            call!(t, clock_getres(clock, &mut ts));
            t.show("resolution", ts);
        });
    }
    c.add("clock_gettime/agree_with_each_other", |t| {
        let mut tv = [0u64; 2];
        call!(t, gettimeofday(&mut tv, 0));
        let (real, coarse) = (now(0), now(5));
        t.show("gettimeofday", real / 1_000_000_000 - tv[0] <= 1);
        t.show("coarse", real.abs_diff(coarse) < 50 * MS);
        t.show("time", sys!(time(0)).abs_diff((real / 1_000_000_000) as i64) <= 1);
        t.show("boot time", now(7).abs_diff(now(1)) < 1_000_000_000 || now(7) > now(1));
    });
    c.add("clock_gettime/cpu_time_of_self", |t| {
        let (p, th) = (now(2), now(3));
        let mut x = 0u64;
        for i in 0..20_000_000u64 {
            x = std::hint::black_box(x ^ i);
        }
        t.show("grow", (now(2) > p, now(3) > th));
        let before = now(3);
        sleep_ms(20);
        t.show("not while asleep", now(3) - before < 15 * MS);
    });
    c.add("clock_gettime/cpu_clock_of_a_process", |t| {
        let pid = fork(t, || sleep_ms(2000));
        let id = !pid << 3 | 2;
        let mut ts = [0u64; 2];
        call!(t, clock_gettime(id, &mut ts));
        must!(t, kill(pid, libc::SIGKILL));
        reap(pid);
        call!(t, clock_gettime(id, &mut ts));
    });
    c.add("nanosleep/takes_its_time", |t| {
        let start = now(1);
        call!(t, nanosleep(&[0u64, 5 * MS], 0));
        t.show("at least", now(1) - start >= 5 * MS);
    });
    c.add("nanosleep/interrupted_leaves_the_rest", |t| {
        let mut rest = [0u64; 2];
        alarms(true);
        call!(t, nanosleep(&[3u64, 0], &mut rest));
        t.show("rest", rest[0] == 2 && rest[1] > 500 * MS);
    });
    c.add("clock_nanosleep/absolute_leaves_no_rest", |t| {
        let mut rest = [7u64; 2];
        let until = now(1) + 3_000 * MS;
        alarms(false);
        call!(t, clock_nanosleep(1, 1, &[until / 1_000_000_000, until % 1_000_000_000], &mut rest));
        t.show("untouched", rest);
    });
    c.add("clock_nanosleep/clocks", |t| {
        // Clock 2 would wait for time that the sleeping process does not use.
        for clock in (0..12).filter(|clock| *clock != 2) {
            t.ret(&format!("clock {clock}"), sys!(clock_nanosleep(clock, 0, &[0u64, 1000], 0)));
        }
    });
    c.add("nanosleep/stopped_and_continued", |t| {
        let pid = fork(t, || {
            let r = sys!(nanosleep(&[0u64, 80 * MS], 0));
            crate::harness::exit(if r == 0 { 1 } else { 2 });
        });
        sleep_ms(10);
        must!(t, kill(pid, libc::SIGSTOP));
        must!(t, wait4(pid, 0, libc::WUNTRACED, 0));
        must!(t, kill(pid, libc::SIGCONT));
        t.show("child", reap(pid));
    });
    for which in 0..3 {
        c.add(format!("setitimer/kind_{which}"), move |t| {
            let signal = [libc::SIGALRM, libc::SIGVTALRM, libc::SIGPROF][which];
            handle(signal, 0);
            call!(t, setitimer(which, &[0u64, 5000, 0, 5000], 0));
            let end = now(1) + 2_000 * MS;
            while HANDLED.load(SeqCst) < 3 && now(1) < end {
                // User time has to pass, whatever a look at the clock costs.
                (0..100_000).for_each(|n| _ = std::hint::black_box(n));
            }
            t.show("came", HANDLED.load(SeqCst) >= 3);
            let mut old = [0u64; 4];
            call!(t, setitimer(which, &[0u64; 4], &mut old));
            t.show("interval", old[1] >= 5000 && old[1] <= 12_000);
        });
    }
    c.add("alarm/replaces_and_rounds", |t| {
        call!(t, alarm(50));
        call!(t, alarm(10));
        let mut it = [0u64; 4];
        call!(t, getitimer(0, &mut it));
        t.show("left", it[2] == 9 || it[2] == 10);
        call!(t, setitimer(0, &[0u64, 0, 1, 500_000], 0));
        call!(t, alarm(0));
        call!(t, setitimer(0, &[0u64, 0, 0, 400], 0));
    });
    c.add("alarm/survives_exec", |t| {
        must!(t, alarm(100));
        exec_child_in_place(t);
    });
    c.add("timer_create/signal_and_overrun", |t| {
        let mut id = 9i32;
        must!(t, rt_sigprocmask(0, &(1u64 << 9), 0, 8));
        call!(t, timer_create(1, &[77u64, 10, 0, 0, 0, 0, 0, 0], &mut id));
        t.show("id", id);
        call!(t, timer_settime(id, 0, &[0, MS, 0, MS], 0));
        sleep_ms(30);
        let mut info = [0i32; 32];
        call!(t, rt_sigtimedwait(&(1u64 << 9), &mut info, &[1u64, 0], 8));
        t.show("code, value", (info[2], info[6]));
        t.show("overrun", info[5] > 5);
        t.show("same by call", sys!(timer_getoverrun(id)) > 5);
        let mut left = [0u64; 4];
        call!(t, timer_gettime(id, &mut left));
        t.show("interval", left[1]);
        call!(t, timer_delete(id));
        call!(t, timer_gettime(id, &mut left));
    });
    c.add("timer_create/to_a_thread", |t| {
        handle(libc::SIGUSR1, 0);
        let mut id = 0i32;
        let tid = sys!(gettid()) as u64;
        call!(t, timer_create(1, &[0u64, 10 | 4 << 32, tid, 0, 0, 0, 0, 0], &mut id));
        call!(t, timer_settime(id, 0, &[0, 0, 0, MS], 0));
        sleep_ms(15);
        t.show("handled", was_handled());
        call!(t, timer_create(1, &[0u64, 10 | 4 << 32, 0x7fff_fffe, 0, 0, 0, 0, 0], &mut id));
    });
    c.add("timer_settime/absolute", |t| {
        let mut id = 0i32;
        handle(libc::SIGALRM, 0);
        must!(t, timer_create(1, 0, &mut id));
        call!(t, timer_settime(id, 1, &[0u64, 0, 0, 1], 0));
        sleep_ms(5);
        t.show("handled", was_handled());
    });
    c.add("timer_create/not_inherited", |t| {
        let mut id = 0i32;
        must!(t, timer_create(1, 0, &mut id));
        in_child(t, || crate::harness::exit(-sys!(timer_delete(id)) as i32));
    });
    c.add("times/child_times", |t| {
        let pid = fork(t, || {
            let end = now(2) + 60 * MS;
            while now(2) < end {}
        });
        let mut tms = [0i64; 4];
        done!(t, times(&mut tms));
        t.show("before the wait", tms[2]);
        reap(pid);
        done!(t, times(&mut tms));
        t.show("after the wait", tms[2] + tms[3] >= 4);
        let mut usage: libc::rusage = zeroed();
        call!(t, getrusage(-1, &mut usage));
        t.show("rusage", usage.ru_utime.tv_usec + usage.ru_stime.tv_usec >= 40_000);
    });
    c.add("uname/fields", |t| {
        let mut u = [0u8; 390];
        call!(t, uname(&mut u));
        t.bytes("system", &u[..6]);
        t.bytes("machine", &u[4 * 65..4 * 65 + 7]);
        t.show("release is 4 or later", u[130] >= b'4');
    });
    c.add("sethostname/in_a_namespace", |t| {
        if sys!(unshare(libc::CLONE_NEWUTS)) < 0 {
            t.skip("no UTS namespace can be made");
        }
        call!(t, sethostname(c"conformance", 11));
        call!(t, setdomainname(c"example", 7));
        let mut u = [0u8; 390];
        must!(t, uname(&mut u));
        t.bytes("node", &u[65..65 + 12]);
        t.bytes("domain", &u[5 * 65..5 * 65 + 8]);
        t.show("proc", std::fs::read_to_string("/proc/sys/kernel/hostname").ok());
        must!(t, setresuid(1000, 1000, 1000));
        call!(t, sethostname(c"x", 1));
    });
    c.add("sysinfo/plausible", |t| {
        let mut s: libc::sysinfo = zeroed();
        call!(t, sysinfo(&mut s));
        t.show(
            "memory, unit, processes",
            (s.totalram > 0 && s.freeram <= s.totalram, s.mem_unit, s.procs > 0, s.uptime > 0),
        );
    });
    c.add("getrandom/fills_and_differs", |t| {
        let (mut a, mut b) = ([0u8; 300], [0u8; 300]);
        call!(t, getrandom(&mut a, 300, 0));
        call!(t, getrandom(&mut b, 300, 1));
        t.show("differ", a != b);
        call!(t, getrandom(&mut a, 300, 8));
    });
    c.add("getcpu/within_affinity", |t| {
        must!(t, sched_setaffinity(0, 8, &1u64));
        let mut cpu = 9u32;
        call!(t, getcpu(&mut cpu, 0, 0));
        t.show("cpu", cpu);
        let mut mask = [0u64; 16];
        call!(t, sched_getaffinity(0, 128, &mut mask));
        t.show("mask", mask[0]);
        call!(t, sched_setaffinity(0, 8, &0u64));
        call!(t, sched_setaffinity(0, 8, &(1u64 << 63)));
        in_child(t, || {
            let mut mask = 0u64;
            sys!(sched_getaffinity(0, 8, &mut mask));
            crate::harness::exit(mask as i32);
        });
    });
    for policy in [0, 1, 2, 3, 4, 5, 6] {
        c.add(format!("sched_setscheduler/policy_{policy}_as_user"), move |t| {
            must!(t, setresuid(1000, 1000, 1000));
            call!(t, sched_setscheduler(0, policy, &0u32));
            call!(t, sched_setscheduler(0, policy, &1u32));
            call!(t, sched_getscheduler(0));
            call!(t, sched_get_priority_max(policy));
            call!(t, sched_get_priority_min(policy));
        });
    }
    c.add("setpriority/as_user", |t| {
        call!(t, setpriority(0, 0, -5));
        call!(t, getpriority(0, 0));
        must!(t, setresuid(1000, 1000, 1000));
        call!(t, setpriority(0, 0, 3));
        call!(t, getpriority(0, 0));
        call!(t, setpriority(0, 0, 2));
        call!(t, setpriority(0, 0, 100));
        call!(t, getpriority(0, 0));
        in_child(t, || {
            exec_child("nice", &[]);
        });
    });
    c.add("membarrier/commands", |t| {
        t.show("query has global", sys!(membarrier(0, 0, 0)) & 1);
        call!(t, membarrier(1, 0, 0));
        call!(t, membarrier(8, 0, 0));
        call!(t, membarrier(16, 0, 0));
        call!(t, membarrier(8, 0, 0));
        call!(t, membarrier(0, 1, 0));
        call!(t, membarrier(3, 0, 0));
    });
    c.add("rseq/registration", |t| {
        let r = thread(|| {
            let area = [0u32; 64];
            let at = (std::ptr::from_ref(&area) as usize).next_multiple_of(32);
            // The C library has registered its own already, so this one is refused.
            (sys!(rseq(at, 32, 0, 0x5305_3053)), sys!(rseq(at, 32, 1, 0x5305_3053)))
        });
        t.show("results", r.join().ok().map(|(a, b)| (crate::harness::Ret(a), crate::harness::Ret(b))));
    });
    c.add("arch_prctl/fs_and_gs", |t| {
        let (mut fs, mut gs) = (0u64, 9u64);
        call!(t, arch_prctl(0x1003, &mut fs));
        t.show("fs is set", fs != 0);
        let word = 0x1122_3344_5566u64;
        call!(t, arch_prctl(0x1001, &word));
        call!(t, arch_prctl(0x1004, &mut gs));
        t.show("gs", gs == std::ptr::from_ref(&word) as u64);
        let seen: u64;
        // SAFETY: GS points at `word`.
        unsafe { std::arch::asm!("mov {}, gs:[0]", out(reg) seen) };
        t.show("through gs", format_args!("{seen:#x}"));
        in_child(t, || {
            let mut gs = 0u64;
            sys!(arch_prctl(0x1004, &mut gs));
            crate::harness::exit((gs == std::ptr::from_ref(&word) as u64) as i32);
        });
    });
}

fn exec_child_in_place(t: &T) {
    in_child(t, || {
        sys!(alarm(100));
        exec_child("alarm", &[]);
    });
}
