//! Many things at once: workers and contexts, hands of two threads of one space, interrupts at any moment.

use crate::Case;
use crate::guest::{CODE, DATA, Guest, read_word, wait_event};
use platform::{Context, Event, Platform, Prot, Sharing};
use std::collections::VecDeque;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context as WakeContext, Poll, Wake, Waker};
use std::time::{Duration, Instant};

pub const CASES: &[Case] = &[
    ("two_workers_serve_many_contexts_without_a_lost_wake_up", two_workers_serve_many_contexts_without_a_lost_wake_up),
    ("forks_beside_file_mappings_of_another_thread", forks_beside_file_mappings_of_another_thread),
    ("hands_work_under_a_storm_of_interrupts", hands_work_under_a_storm_of_interrupts),
    ("hundreds_of_threads_and_forks_exist_at_once", hundreds_of_threads_and_forks_exist_at_once),
    ("a_kill_at_any_moment_hangs_nobody", a_kill_at_any_moment_hangs_nobody),
    ("contexts_of_one_space_are_used_from_many_threads", contexts_of_one_space_are_used_from_many_threads),
];

const SYSCALL_LOOP: &[u8] = &[0x0f, 0x05, 0xeb, 0xfc];

struct Task {
    index: usize,
    queue: Arc<Mutex<VecDeque<usize>>>,
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        self.queue.lock().unwrap().push_back(self.index);
    }
}

fn two_workers_serve_many_contexts_without_a_lost_wake_up(platform: &dyn Platform) {
    const CALLS: u64 = 150;
    let queue = Arc::new(Mutex::new(VecDeque::new()));
    let mut contexts: Vec<Mutex<(Box<dyn Context>, u64)>> = Vec::new();
    for _ in 0..4 {
        let mut guest = Guest::new(platform, SYSCALL_LOOP);
        let thread = guest.context.clone_thread().unwrap();
        contexts.extend([guest.context, thread].map(|context| Mutex::new((context, 0))));
    }
    let wakers: Vec<Waker> =
        (0..contexts.len()).map(|index| Waker::from(Arc::new(Task { index, queue: queue.clone() }))).collect();
    for (context, waker) in contexts.iter().zip(&wakers) {
        context.lock().unwrap().0.resume();
        waker.wake_by_ref();
    }
    let unfinished = AtomicUsize::new(contexts.len());
    let start = Instant::now();
    let worker = || {
        while unfinished.load(Ordering::SeqCst) > 0 {
            let next = queue.lock().unwrap().pop_front();
            let Some(index) = next else {
                if platform.poll() == 0 && queue.lock().unwrap().is_empty() {
                    let before = Instant::now();
                    platform.wait(Some(Duration::from_secs(5)));
                    let timed_out = before.elapsed() > Duration::from_secs(4) && unfinished.load(Ordering::SeqCst) > 0;
                    assert!(!timed_out, "a wake-up was lost");
                }
                continue;
            };
            let (context, calls) = &mut *contexts[index].lock().unwrap();
            while let Poll::Ready(event) = context.poll_event(&mut WakeContext::from_waker(&wakers[index])) {
                assert_eq!(event, Ok(Event::Syscall));
                *calls += 1;
                if *calls == CALLS {
                    unfinished.fetch_sub(1, Ordering::SeqCst);
                    platform.kick();
                    break;
                }
                context.resume();
            }
        }
        platform.kick();
    };
    std::thread::scope(|scope| {
        scope.spawn(worker);
        worker();
    });
    print!("{:.1} µs a call, ", start.elapsed().as_secs_f64() * 1e6 / (CALLS as f64 * contexts.len() as f64));
}

fn forks_beside_file_mappings_of_another_thread(platform: &dyn Platform) {
    let mut guest = Guest::new(platform, SYSCALL_LOOP);
    let mut thread = guest.context.clone_thread().unwrap();
    let file = nix::sys::memfd::memfd_create(c"conformance", nix::sys::memfd::MFdFlags::MFD_CLOEXEC).unwrap();
    nix::unistd::write(&file, &[3; 4096]).unwrap();
    let done = AtomicBool::new(false);
    let at = 0x7000_0000;
    let map = |context: &mut dyn Context| {
        context.map_file(at, 0x1000, Prot::READ, Sharing::Private, file.as_fd(), 0).expect("map a file");
        assert_eq!(read_word(context, at), 0x0303_0303);
    };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::SeqCst) {
                map(&mut *thread);
            }
        });
        for _ in 0..60 {
            let mut child = guest.context.fork().unwrap();
            map(&mut *child);
        }
        done.store(true, Ordering::SeqCst);
    });
}

fn hands_work_under_a_storm_of_interrupts(platform: &dyn Platform) {
    let mut guest = Guest::new(platform, SYSCALL_LOOP);
    let interrupter = guest.context.interrupter();
    let done = AtomicBool::new(false);
    let mut interrupted = 0;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::SeqCst) {
                interrupter.interrupt();
                std::thread::sleep(Duration::from_micros(50));
            }
        });
        for i in 0..300u64 {
            guest.context.regs_mut().rip = CODE;
            guest.context.regs_mut().rax = i;
            while guest.run() == Event::Interrupted {
                interrupted += 1;
                assert!(interrupted < 100_000, "the guest makes no progress");
            }
            assert_eq!(guest.context.regs().rax, i);
            guest.context.write(DATA, &(i as u32).to_le_bytes()).unwrap();
            assert_eq!(guest.context.compare_exchange(DATA, i as u32, 0), Ok(i as u32));
            guest.context.map_anonymous(0x7000_0000, 0x1000, Prot::READ_WRITE, false).unwrap();
            if i % 10 == 0 {
                let mut child = guest.context.fork().unwrap();
                child.resume();
                // A fork has no interrupt of its own.
                assert_eq!(wait_event(platform, &mut *child), Ok(Event::Syscall));
                drop(guest.context.clone_thread().unwrap());
            }
            guest.context.unmap(0x7000_0000, 0x1000).unwrap();
        }
        done.store(true, Ordering::SeqCst);
    });
}

fn contexts_of_one_space_are_used_from_many_threads(platform: &dyn Platform) {
    let mut guest = Guest::new(platform, SYSCALL_LOOP);
    let contexts: Vec<_> = (0..4).map(|_| guest.context.clone_thread().unwrap()).collect();
    std::thread::scope(|scope| {
        for (i, mut context) in contexts.into_iter().enumerate() {
            scope.spawn(move || {
                let at = 0x7000_0000 + i as u64 * 0x10_0000;
                for round in 0..40u8 {
                    context.map_anonymous(at, 0x4000, Prot::READ_WRITE, false).unwrap();
                    context.write(at + 0x1000, &[round]).unwrap();
                    assert_eq!(context.resident(at, 0x4000), Ok(vec![0, 1, 0, 0]));
                    let mut child = context.fork().unwrap();
                    let mut byte = [0];
                    child.read(at + 0x1000, &mut byte).unwrap();
                    assert_eq!(byte, [round]);
                    context.unmap(at, 0x4000).unwrap();
                    child.read(at + 0x1000, &mut byte).unwrap();
                }
            });
        }
    });
    assert_eq!(guest.run(), Event::Syscall);
}

fn hundreds_of_threads_and_forks_exist_at_once(platform: &dyn Platform) {
    let mut guest = Guest::new(platform, SYSCALL_LOOP);
    let mut contexts: Vec<_> = (0..200).map(|_| guest.context.clone_thread().unwrap()).collect();
    contexts.extend((0..100).map(|_| guest.context.fork().unwrap()));
    for (i, context) in contexts.iter_mut().enumerate() {
        context.regs_mut().rax = i as u64;
        context.resume();
    }
    for (i, context) in contexts.iter_mut().enumerate() {
        assert_eq!(wait_event(platform, &mut **context), Ok(Event::Syscall));
        assert_eq!(context.regs().rax, i as u64);
    }
}

fn a_kill_at_any_moment_hangs_nobody(platform: &dyn Platform) {
    let file = nix::sys::memfd::memfd_create(c"conformance", nix::sys::memfd::MFdFlags::MFD_CLOEXEC).unwrap();
    nix::unistd::write(&file, &[3; 4096]).unwrap();
    let at = 0x7000_0000;
    for round in 0..60 {
        let mut guest = Guest::new(platform, SYSCALL_LOOP);
        let space = guest.context.space();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                std::thread::sleep(Duration::from_micros(round * 40));
                space.kill();
            });
            let start = Instant::now();
            let mut busy = || -> Option<()> {
                guest.context.map_file(at, 0x1000, Prot::READ, Sharing::Private, file.as_fd(), 0).ok()?;
                drop(guest.context.fork().ok()?);
                let mut thread = guest.context.clone_thread().ok()?;
                thread.resume();
                guest.context.resume();
                wait_event(platform, &mut *guest.context).ok()?;
                wait_event(platform, &mut *thread).ok()?;
                guest.context.compare_exchange(DATA, 0, 0).ok()?;
                guest.context.save_xstate(DATA).ok()
            };
            while busy().is_some() {
                assert!(start.elapsed() < Duration::from_secs(10), "the kill is not noticed");
            }
        });
        // What the dead has left behind harms no other.
        let mut other = Guest::new(platform, SYSCALL_LOOP);
        other.context.map_file(at, 0x1000, Prot::READ, Sharing::Private, file.as_fd(), 0).unwrap();
        assert_eq!(other.word(at), 0x0303_0303);
        assert_eq!(other.run(), Event::Syscall);
    }
}
