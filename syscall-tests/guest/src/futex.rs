//! Futexes: every operation, robust lists, waiting on several.

use crate::harness::memory::{pages, peek, poke};
use crate::harness::process::*;
use crate::harness::{Cases, T};

/// A word that threads and forked children share.
fn word(t: &T) -> usize {
    must!(t, mmap(0, 4096, 3, libc::MAP_SHARED | libc::MAP_ANONYMOUS, -1, 0)) as usize
}

const PRIVATE: i32 = 128;

pub fn cases(c: &mut Cases) {
    c.family("futex");
    for (what, flag) in [("shared", 0), ("private", PRIVATE)] {
        c.add(format!("futex/wait_and_wake_{what}"), move |t| {
            let w = word(t);
            let waiter = thread(move || sys!(futex(w, flag, 0, 0, 0, 0)));
            sleep_ms(20);
            poke(w, 1u32);
            call!(t, futex(w, 1 | flag, 1, 0, 0, 0));
            t.ret("waiter", waiter.join().unwrap_or(-1));
            call!(t, futex(w, 1 | flag, 1, 0, 0, 0));
        });
    }
    c.add("futex/wake_across_fork", |t| {
        let w = word(t);
        let pid = fork(t, || {
            let woken = sys!(futex(w, 0, 0, 0, 0, 0));
            // After the parent has recorded how many it woke.
            sleep_ms(20);
            t.ret("child", woken);
        });
        sleep_ms(20);
        call!(t, futex(w, 1, 10, 0, 0, 0));
        t.show("child", reap(pid));
    });
    c.add("futex/wake_by_another_mapping_of_a_file", |t| {
        let fd = must!(t, memfd_create(c"m", 0));
        must!(t, ftruncate(fd, 4096));
        let a = must!(t, mmap(0, 4096, 3, libc::MAP_SHARED, fd, 0)) as usize;
        let b = must!(t, mmap(0, 4096, 3, libc::MAP_SHARED, fd, 0)) as usize;
        let waiter = thread(move || sys!(futex(a + 8, 0, 0, 0, 0, 0)));
        sleep_ms(20);
        call!(t, futex(b + 8, 1, 1, 0, 0, 0));
        t.ret("waiter", waiter.join().unwrap_or(-1));
    });
    c.add("futex/wake_count", |t| {
        let w = word(t);
        let waiters: Vec<_> = (0..3).map(|_| thread(move || sys!(futex(w, 0, 0, 0, 0, 0)))).collect();
        sleep_ms(30);
        call!(t, futex(w, 1, 2, 0, 0, 0));
        call!(t, futex(w, 1, i32::MAX, 0, 0, 0));
        for waiter in waiters {
            t.ret("waiter", waiter.join().unwrap_or(-1));
        }
    });
    c.add("futex/wait_times_out", |t| {
        let w = word(t);
        call!(t, futex(w, 0, 0, &[0u64, 2_000_000], 0, 0));
        call!(t, futex(w, 9, 0, &[0u64, 1], 0, 0xffff_ffffu32));
        call!(t, futex(w, 9 | 256, 0, &[0u64, 1], 0, 0xffff_ffffu32));
        call!(t, futex(w, 256, 0, &[0u64, 1], 0, 0));
    });
    c.add("futex/wait_interrupted", |t| {
        let w = word(t);
        alarms(false);
        call!(t, futex(w, 0, 0, 0, 0, 0));
        call!(t, futex(w, 0, 0, &[5u64, 0], 0, 0));
    });
    c.add("futex/wait_restarted", |t| {
        let w = word(t);
        alarms(true);
        let pid = later(t, 70, || {
            sys!(futex(w, 1, 1, 0, 0, 0));
        });
        call!(t, futex(w, 0, 0, 0, 0, 0));
        no_alarms();
        t.show("child", reap(pid));
    });
    c.add("futex/bitset_selects", |t| {
        let w = word(t);
        let one = thread(move || sys!(futex(w, 9, 0, 0, 0, 1)));
        let two = thread(move || sys!(futex(w, 9, 0, 0, 0, 2)));
        sleep_ms(30);
        call!(t, futex(w, 10, 10, 0, 0, 4));
        call!(t, futex(w, 10, 10, 0, 0, 2));
        t.ret("two", two.join().unwrap_or(-1));
        call!(t, futex(w, 10, 10, 0, 0, 3));
        t.ret("one", one.join().unwrap_or(-1));
    });
    c.add("futex/requeue", |t| {
        let w = word(t);
        let waiters: Vec<_> = (0..3).map(|_| thread(move || sys!(futex(w, 0, 0, 0, 0, 0)))).collect();
        sleep_ms(30);
        call!(t, futex(w, 4, 1, 10, w + 64, 5));
        call!(t, futex(w, 4, 1, 10, w + 64, 0));
        call!(t, futex(w, 1, 10, 0, 0, 0));
        call!(t, futex(w + 64, 1, 10, 0, 0, 0));
        for waiter in waiters {
            t.ret("waiter", waiter.join().unwrap_or(-1));
        }
        call!(t, futex(w, 3, -1, 1, w + 64, 0));
        call!(t, futex(w, 3, 1, -1, w + 64, 0));
    });
    for (what, op) in
        [("set", 0u32), ("add", 1), ("or", 2), ("andn", 3), ("xor", 4), ("shifted_or", 10), ("unknown", 5)]
    {
        c.add(format!("futex/wake_op_{what}"), move |t| {
            let w = word(t);
            poke(w + 4, 12u32);
            // Operation, comparison "equal", operand 5, compared with 12.
            call!(t, futex(w, 5, 1, 1, w + 4, op << 28 | 5 << 12 | 12));
            t.show("second word", peek::<u32>(w + 4));
            call!(t, futex(w, 5, 1, 1, w + 4, op << 28 | 9 << 24 | 5 << 12 | 12));
        });
    }
    c.add("futex/pi_lock_and_unlock", |t| {
        let w = word(t);
        call!(t, futex(w, 6, 0, 0, 0, 0));
        t.show("owner is me", peek::<u32>(w) as i64 == sys!(gettid()));
        call!(t, futex(w, 6, 0, 0, 0, 0));
        call!(t, futex(w, 8, 0, 0, 0, 0));
        let other = thread(move || {
            (sys!(futex(w, 8, 0, 0, 0, 0)), sys!(futex(w, 7, 0, 0, 0, 0)), sys!(futex(w, 6, 0, &[0u64, 1], 0, 0)))
        });
        let (try_lock, unlock, lock) = other.join().unwrap_or((-1, -1, -1));
        t.ret("trylock by another", try_lock);
        t.ret("unlock by another", unlock);
        t.ret("lock by another, time over", lock);
        call!(t, futex(w, 7, 0, 0, 0, 0));
        t.show("word", peek::<u32>(w));
        poke(w, 0x3fff_fffeu32);
        call!(t, futex(w, 6, 0, 0, 0, 0));
    });
    c.add("futex/pi_handed_over", |t| {
        let w = word(t);
        must!(t, futex(w, 6, 0, 0, 0, 0));
        let other = thread(move || {
            let r = sys!(futex(w, 6, 0, 0, 0, 0));
            (r, peek::<u32>(w) as i64 & 0x3fff_ffff == sys!(gettid()), sys!(futex(w, 7, 0, 0, 0, 0)))
        });
        sleep_ms(30);
        call!(t, futex(w, 7, 0, 0, 0, 0));
        t.show("other", other.join().ok());
        t.show("word", peek::<u32>(w));
    });
    c.add("set_robust_list/owner_died", |t| {
        let w = word(t);
        in_child(t, || {
            // One entry whose lock word lies 16 bytes behind it.
            let head = pages(t, 1);
            poke(head, [w as u64 + 64, 16, 0]);
            poke(w + 64, head as u64);
            poke(w + 80, sys!(gettid()) as u32 | 0x8000_0000);
            sys!(set_robust_list(head, 24));
        });
        t.show("word", format_args!("{:#x}", peek::<u32>(w + 80)));
    });
    c.add("set_robust_list/pending_operation", |t| {
        let w = word(t);
        in_child(t, || {
            let head = pages(t, 1);
            poke(head, [head as u64, 16, w as u64 + 64]);
            poke(w + 80, sys!(gettid()) as u32);
            sys!(set_robust_list(head, 24));
        });
        t.show("word", format_args!("{:#x}", peek::<u32>(w + 80)));
    });
    c.add("set_robust_list/wakes_a_waiter", |t| {
        let w = word(t);
        let pid = fork(t, || {
            let head = pages(t, 1);
            poke(head, [w as u64 + 64, 16, 0]);
            poke(w + 64, head as u64);
            let value = sys!(gettid()) as u32 | 0x8000_0000;
            poke(w + 80, value);
            sys!(set_robust_list(head, 24));
            sleep_ms(40);
        });
        sleep_ms(15);
        let value = peek::<u32>(w + 80);
        call!(t, futex(w + 80, 0, value, &[5u64, 0], 0, 0));
        t.show("owner died", peek::<u32>(w + 80) & 0x4000_0000 != 0);
        t.show("child", reap(pid));
    });
    c.add("set_robust_list/of_the_c_library", |t| {
        let (mut head, mut len) = (0usize, 0usize);
        call!(t, get_robust_list(0, &mut head, &mut len));
        t.show("set, length", (head != 0, len));
        call!(t, set_robust_list(head, 23));
        call!(t, get_robust_list(1, &mut head, &mut len));
    });
    c.add("set_tid_address/cleared_and_woken_at_exit", |t| {
        let w = word(t);
        poke(w, 77u32);
        in_child(t, || {
            sys!(set_tid_address(w));
        });
        t.show("a lone process does not clear it", peek::<u32>(w));
        poke(w, 77u32);
        let stack = pages(t, 4);
        let flags = libc::CLONE_VM
            | libc::CLONE_FS
            | libc::CLONE_FILES
            | libc::CLONE_SIGHAND
            | libc::CLONE_THREAD
            | libc::CLONE_SYSVSEM
            | libc::CLONE_CHILD_CLEARTID;
        t.show("thread", super::process::raw_thread(flags, stack + 4 * 4096, w) > 0);
        while peek::<u32>(w) == 77 {
            sys!(futex(w, 0, 77, &[0u64, 10_000_000], 0, 0));
        }
        t.show("cleared", peek::<u32>(w));
    });
    c.add("futex_waitv/wakes_with_the_index", |t| {
        let w = word(t);
        let entry = |i: usize| [0u64, (w + i * 16) as u64, 2];
        let list = [entry(0), entry(1), entry(2)];
        let pid = later(t, 20, || {
            sys!(futex(w + 16, 1, 1, 0, 0, 0));
        });
        call!(t, futex_waitv(&list, 3, 0, 0, 1));
        t.show("child", reap(pid));
        poke(w + 32, 1u32);
        call!(t, futex_waitv(&list, 3, 0, 0, 1));
        poke(w + 32, 0u32);
        call!(t, futex_waitv(&list, 3, 0, &[0u64, 1], 1));
        call!(t, futex_waitv(&list, 3, 1, 0, 1));
        call!(t, futex_waitv(&list, 3, 0, &[0u64, 1], 5));
    });
    c.add("futex_wait/new_calls", |t| {
        let w = word(t);
        let waiter = thread(move || sys!(futex_wait(w, 0, 0xffff_ffffu32, 2, 0, 1)));
        sleep_ms(20);
        call!(t, futex_wake(w, 0xffff_ffffu32, 1, 2));
        t.ret("waiter", waiter.join().unwrap_or(-1));
        call!(t, futex_wait(w, 1, 0xffff_ffffu32, 2, 0, 1));
        call!(t, futex_wake(w, 0, 1, 2));
    });
}
