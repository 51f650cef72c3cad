//! signalfd: reading queued signals, its mask, readiness.

use crate::harness::memory::zeroed;
use crate::harness::process::*;
use crate::harness::{Cases, T};

fn block(t: &T, signals: &[i32]) -> u64 {
    let set = signals.iter().fold(0u64, |set, s| set | 1 << (s - 1));
    must!(t, rt_sigprocmask(libc::SIG_BLOCK, &set, 0, 8));
    set
}

pub fn cases(c: &mut Cases) {
    c.family("signalfd");
    c.add("read/one_signal", |t| {
        let set = block(t, &[libc::SIGUSR1]);
        let fd = call!(t, signalfd4(-1, &set, 8, libc::SFD_NONBLOCK));
        let mut info: libc::signalfd_siginfo = zeroed();
        call!(t, read(fd, &mut info, 128));
        must!(t, kill(sys!(getpid()), libc::SIGUSR1));
        call!(t, read(fd, &mut info, 128));
        t.show("signal, code, errno", (info.ssi_signo, info.ssi_code, info.ssi_errno));
        t.show("sender is me", info.ssi_pid as i64 == sys!(getpid()) && info.ssi_uid == 0);
        call!(t, read(fd, &mut info, 128));
    });
    c.add("read/several_at_once", |t| {
        let set = block(t, &[libc::SIGUSR1, libc::SIGUSR2, 40]);
        let fd = must!(t, signalfd4(-1, &set, 8, libc::SFD_NONBLOCK));
        let me = sys!(getpid());
        for s in [40, libc::SIGUSR2, libc::SIGUSR1, libc::SIGUSR1, 40] {
            must!(t, kill(me, s));
        }
        let mut infos: [libc::signalfd_siginfo; 8] = zeroed();
        call!(t, read(fd, &mut infos, 128 * 8));
        t.show("order", infos.iter().map(|i| i.ssi_signo).collect::<Vec<_>>());
    });
    c.add("read/queued_value", |t| {
        let set = block(t, &[40]);
        let fd = must!(t, signalfd4(-1, &set, 8, 0));
        let mut si = [0u32; 32];
        (si[0], si[2], si[6]) = (40, -1i32 as u32, 1234);
        must!(t, rt_sigqueueinfo(sys!(getpid()), 40, &si));
        let mut info: libc::signalfd_siginfo = zeroed();
        call!(t, read(fd, &mut info, 128));
        t.show("code, value", (info.ssi_code, info.ssi_int));
    });
    c.add("read/child_status", |t| {
        let set = block(t, &[libc::SIGCHLD]);
        let fd = must!(t, signalfd4(-1, &set, 8, 0));
        let pid = fork(t, || crate::harness::exit(7));
        let mut info: libc::signalfd_siginfo = zeroed();
        call!(t, read(fd, &mut info, 128));
        t.show("code, status", (info.ssi_code, info.ssi_status));
        t.show("pid", info.ssi_pid as i64 == pid);
    });
    c.add("signalfd4/changes_the_mask", |t| {
        let set = block(t, &[libc::SIGUSR1, libc::SIGUSR2]);
        let fd = must!(t, signalfd4(-1, &(1u64 << 9), 8, libc::SFD_NONBLOCK));
        must!(t, kill(sys!(getpid()), libc::SIGUSR2));
        let mut info: libc::signalfd_siginfo = zeroed();
        call!(t, read(fd, &mut info, 128));
        call!(t, signalfd4(fd, &set, 8, 0));
        call!(t, read(fd, &mut info, 128));
        t.show("signal", info.ssi_signo);
    });
    c.add("read/short_buffer", |t| {
        let set = block(t, &[libc::SIGUSR1]);
        let fd = must!(t, signalfd4(-1, &set, 8, libc::SFD_NONBLOCK));
        must!(t, kill(sys!(getpid()), libc::SIGUSR1));
        let mut b = [0u8; 200];
        call!(t, read(fd, &mut b, 127));
        call!(t, read(fd, &mut b, 200));
    });
    c.add("read/interrupted", |t| {
        let set = block(t, &[libc::SIGUSR1]);
        let fd = must!(t, signalfd4(-1, &set, 8, 0));
        alarms(false);
        let mut b = [0u8; 128];
        call!(t, read(fd, &mut b, 128));
    });
    c.add("poll/readiness", |t| {
        let set = block(t, &[libc::SIGUSR1]);
        let fd = must!(t, signalfd4(-1, &set, 8, 0));
        let mut p = libc::pollfd { fd: fd as i32, events: 5, revents: 0 };
        call!(t, poll(&mut p, 1, 0));
        must!(t, kill(sys!(getpid()), libc::SIGUSR1));
        call!(t, poll(&mut p, 1, 0));
        t.show("revents", p.revents);
    });
    c.add("signalfd4/kill_and_stop_are_dropped", |t| {
        let fd = call!(t, signalfd4(-1, &u64::MAX, 8, 0));
        super::proc::lines(t, &format!("/proc/self/fdinfo/{fd}"), &["sigmask"]);
    });
}
