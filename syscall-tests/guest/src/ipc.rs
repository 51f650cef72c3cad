//! POSIX message queues and System V shared memory, semaphores and message queues.

use crate::harness::memory::{peek, poke, zeroed};
use crate::harness::process::*;
use crate::harness::{Cases, T};

/// A namespace of its own where possible: nothing is left behind, ids start anew.
fn own(t: &T) {
    sys!(unshare(libc::CLONE_NEWIPC));
    t.check("System V calls exist", true);
}

fn queue(t: &T, flags: i32) -> i64 {
    own(t);
    must!(t, mq_open(c"conformance", libc::O_RDWR | libc::O_CREAT | flags, 0o600, &[0u64, 3, 16, 0, 0, 0, 0, 0]))
}

pub fn cases(c: &mut Cases) {
    c.family("ipc");
    c.add("mq_timedreceive/by_priority", |t| {
        let q = queue(t, libc::O_NONBLOCK);
        for (text, priority) in [(c"low", 1), (c"high", 9), (c"low2", 1), (c"full", 5)] {
            call!(t, mq_timedsend(q, text, 4, priority, 0));
        }
        let (mut b, mut p) = ([0u8; 16], 0u32);
        for _ in 0..4 {
            call!(t, mq_timedreceive(q, &mut b, 16, &mut p, 0));
            t.bytes("text", &b[..4]);
            t.show("priority", p);
        }
    });
    c.add("mq_open/flags", |t| {
        let q = queue(t, 0);
        call!(t, fcntl(q, libc::F_GETFD, 0));
        call!(t, mq_open(c"conformance", libc::O_RDWR | libc::O_CREAT | libc::O_EXCL, 0o600, 0));
        let ro = call!(t, mq_open(c"conformance", libc::O_RDONLY, 0, 0));
        call!(t, mq_timedsend(ro, c"x", 1, 0, 0));
        let wo = call!(t, mq_open(c"conformance", libc::O_WRONLY, 0, 0));
        call!(t, mq_timedreceive(wo, &mut [0u8; 16], 16, 0, 0));
        call!(t, mq_unlink(c"conformance"));
        call!(t, mq_unlink(c"conformance"));
        call!(t, mq_open(c"conformance", libc::O_RDWR, 0, 0));
        call!(t, mq_timedsend(wo, c"x", 1, 0, 0));
        for attr in [[0u64, 0, 16, 0, 0, 0, 0, 0], [0, 3, 0, 0, 0, 0, 0, 0], [0, u64::MAX, 16, 0, 0, 0, 0, 0]] {
            call!(t, mq_open(c"other", libc::O_RDWR | libc::O_CREAT, 0o600, &attr));
        }
    });
    c.add("mq_getsetattr/round_trip", |t| {
        let q = queue(t, 0);
        must!(t, mq_timedsend(q, c"x", 1, 0, 0));
        let mut a = [9u64; 8];
        call!(t, mq_getsetattr(q, 0, &mut a));
        t.show("flags, most, size, now", &a[..4]);
        call!(t, mq_getsetattr(q, &[libc::O_NONBLOCK as u64, 99, 99, 99, 0, 0, 0, 0], &mut a));
        call!(t, mq_getsetattr(q, 0, &mut a));
        t.show("flags, most, size, now", &a[..4]);
    });
    c.add("mq_timedreceive/waiting", |t| {
        let q = queue(t, 0);
        let mut b = [0u8; 16];
        call!(t, mq_timedreceive(q, &mut b, 16, 0, &[0u64, 1]));
        call!(t, mq_timedreceive(q, &mut b, 16, 0, &[0u64, 1_000_000_000]));
        let pid = later(t, 15, || {
            sys!(mq_timedsend(q, c"late", 4, 0, 0));
        });
        call!(t, mq_timedreceive(q, &mut b, 16, 0, 0));
        t.show("child", reap(pid));
        alarms(false);
        call!(t, mq_timedreceive(q, &mut b, 16, 0, 0));
    });
    c.add("mq_notify/signal_once", |t| {
        let q = queue(t, libc::O_NONBLOCK);
        handle(libc::SIGUSR1, 0);
        let event = [5u64, libc::SIGUSR1 as u64, 0, 0, 0, 0, 0, 0];
        call!(t, mq_notify(q, &event));
        call!(t, mq_notify(q, &event));
        must!(t, mq_timedsend(q, c"x", 1, 0, 0));
        t.show("handled", was_handled());
        call!(t, mq_notify(q, &event));
        call!(t, mq_notify(q, 0));
    });
    c.add("poll/message_queue", |t| {
        let q = queue(t, 0);
        let mut p = libc::pollfd { fd: q as i32, events: 5, revents: 0 };
        call!(t, poll(&mut p, 1, 0));
        t.show("empty", p.revents);
        for _ in 0..3 {
            must!(t, mq_timedsend(q, c"x", 1, 0, 0));
        }
        call!(t, poll(&mut p, 1, 0));
        t.show("full", p.revents);
        let mut b = [0u8; 80];
        call!(t, read(q, &mut b, 80));
    });
    c.add("shmat/shared_between_processes", |t| {
        own(t);
        let id = must!(t, shmget(0, 8192, 0o600));
        let a = must!(t, shmat(id, 0, 0)) as usize;
        in_child(t, || poke(a + 4096, 7u32));
        t.show("seen", peek::<u32>(a + 4096));
        let b = must!(t, shmat(id, 0, libc::SHM_RDONLY)) as usize;
        t.show("again", peek::<u32>(b + 4096));
        in_child(t, || poke(b, 1u32));
        let mut ds: libc::shmid_ds = zeroed();
        call!(t, shmctl(id, libc::IPC_STAT, &mut ds));
        t.show("size, attached, mode", (ds.shm_segsz, ds.shm_nattch, format!("{:o}", ds.shm_perm.mode)));
        call!(t, shmctl(id, libc::IPC_RMID, 0));
        call!(t, shmctl(id, libc::IPC_STAT, &mut ds));
        t.show("mode", format_args!("{:o}", ds.shm_perm.mode));
        call!(t, shmdt(a));
        call!(t, shmdt(a));
        call!(t, shmdt(b));
        call!(t, shmctl(id, libc::IPC_STAT, &mut ds));
    });
    c.add("shmget/keys", |t| {
        own(t);
        let id = done!(t, shmget(0x7e57, 4096, libc::IPC_CREAT | libc::IPC_EXCL | 0o600));
        call!(t, shmget(0x7e57, 4096, libc::IPC_CREAT | libc::IPC_EXCL | 0o600));
        t.show("found", sys!(shmget(0x7e57, 0, 0)) == id);
        call!(t, shmget(0x7e57, 9000, 0));
        must!(t, shmctl(id, libc::IPC_RMID, 0));
        call!(t, shmget(0x7e57, 0, 0));
        call!(t, shmat(id, 1, 0));
    });
    c.add("semop/counts_and_undo", |t| {
        own(t);
        let id = must!(t, semget(0, 2, 0o600));
        call!(t, semctl(id, 0, libc::SETVAL, 3));
        call!(t, semop(id, &[0u16, -2i16 as u16, 0], 1));
        call!(t, semctl(id, 0, libc::GETVAL, 0));
        call!(t, semop(id, &[0u16, -2i16 as u16, 0x800], 1));
        call!(t, semop(id, &[1u16, 1, 0, 0, -5i16 as u16, 0x800], 2));
        call!(t, semctl(id, 1, libc::GETVAL, 0));
        in_child(t, || {
            sys!(semop(id, &[1u16, 5, 0x1000], 1));
            t.ret("in the child", sys!(semctl(id, 1, libc::GETVAL, 0)));
        });
        call!(t, semctl(id, 1, libc::GETVAL, 0));
        call!(t, semop(id, &[2u16, 1, 0], 1));
        call!(t, semctl(id, 0, libc::SETVAL, 40_000));
        call!(t, semtimedop(id, &[1u16, -1i16 as u16, 0], 1, &[0u64, 1_000_000]));
        let values = [4u16, 5];
        call!(t, semctl(id, 0, libc::SETALL, &values));
        let mut got = [0u16; 2];
        call!(t, semctl(id, 0, libc::GETALL, &mut got));
        t.show("values", got);
        call!(t, semctl(id, 0, libc::IPC_RMID, 0));
        call!(t, semop(id, &[0u16, 1, 0], 1));
    });
    c.add("semop/waits_and_removal_wakes", |t| {
        own(t);
        let id = must!(t, semget(0, 1, 0o600));
        let pid = later(t, 15, || {
            sys!(semop(id, &[0u16, 1, 0], 1));
        });
        call!(t, semop(id, &[0u16, -1i16 as u16, 0], 1));
        t.show("child", reap(pid));
        let pid = later(t, 15, || {
            sys!(semctl(id, 0, libc::IPC_RMID, 0));
        });
        call!(t, semop(id, &[0u16, -1i16 as u16, 0], 1));
        t.show("child", reap(pid));
    });
    c.add("semop/interrupted", |t| {
        own(t);
        let id = must!(t, semget(0, 1, 0o600));
        alarms(true);
        call!(t, semop(id, &[0u16, -1i16 as u16, 0], 1));
        no_alarms();
        must!(t, semctl(id, 0, libc::IPC_RMID, 0));
    });
    c.add("msgrcv/types", |t| {
        own(t);
        let id = must!(t, msgget(0, 0o600));
        for (kind, text) in [(3u64, *b"three   "), (1, *b"one     "), (2, *b"two     "), (3, *b"three2  ")] {
            call!(t, msgsnd(id, &(kind, text), 8, 0));
        }
        let mut m = (0u64, [0u8; 8]);
        for (wanted, flags) in
            [(0i64, 0), (-2, 0), (3, 0), (9, libc::IPC_NOWAIT), (3, 0o20000 | libc::IPC_NOWAIT), (0, libc::IPC_NOWAIT)]
        {
            t.ret(&format!("msgrcv {wanted}"), sys!(msgrcv(id, &mut m, 8, wanted, flags)));
            t.show("type", m.0);
            t.bytes("text", &m.1);
        }
        call!(t, msgsnd(id, &(0u64, *b"zero    "), 8, 0));
        call!(t, msgsnd(id, &(1u64, *b"long    "), 8, 0));
        call!(t, msgrcv(id, &mut m, 4, 0, 0));
        call!(t, msgrcv(id, &mut m, 4, 0, 0o10000));
        let mut ds: libc::msqid_ds = zeroed();
        call!(t, msgctl(id, libc::IPC_STAT, &mut ds));
        t.show("messages, limit", (ds.msg_qnum, ds.msg_qbytes));
        call!(t, msgctl(id, libc::IPC_RMID, 0));
        call!(t, msgrcv(id, &mut m, 8, 0, 0));
    });
    c.add("msgrcv/waits_and_is_interrupted", |t| {
        own(t);
        let id = must!(t, msgget(0, 0o600));
        let pid = later(t, 15, || {
            sys!(msgsnd(id, &(1u64, *b"late    "), 8, 0));
        });
        let mut m = (0u64, [0u8; 8]);
        call!(t, msgrcv(id, &mut m, 8, 0, 0));
        t.show("child", reap(pid));
        alarms(true);
        call!(t, msgrcv(id, &mut m, 8, 0, 0));
        no_alarms();
        must!(t, msgctl(id, libc::IPC_RMID, 0));
    });
    c.add("ipc/permissions_of_a_user", |t| {
        own(t);
        let (shm, sem, msg) =
            (must!(t, shmget(0, 4096, 0o600)), must!(t, semget(0, 1, 0o600)), must!(t, msgget(0, 0o600)));
        in_child(t, || {
            sys!(setresuid(1000, 1000, 1000));
            t.ret("shmat", sys!(shmat(shm, 0, 0)));
            t.ret("semctl", sys!(semctl(sem, 0, libc::GETVAL, 0)));
            t.ret("msgctl", sys!(msgctl(msg, libc::IPC_RMID, 0)));
        });
        sys!(shmctl(shm, libc::IPC_RMID, 0));
        sys!(semctl(sem, 0, libc::IPC_RMID, 0));
        sys!(msgctl(msg, libc::IPC_RMID, 0));
    });
}
