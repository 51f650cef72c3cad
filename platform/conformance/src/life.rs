//! Death and what is left behind: kills from outside, drops in every state, many cycles.

use crate::Case;
use crate::guest::{DATA, Guest, wait_event};
use platform::{Error, Event, Platform};
use std::time::{Duration, Instant};

pub const CASES: &[Case] = &[
    ("a_killed_space_is_gone_for_every_context", a_killed_space_is_gone_for_every_context),
    ("a_kill_while_stopped_is_noticed_by_the_hands", a_kill_while_stopped_is_noticed_by_the_hands),
    (
        "a_kill_of_a_running_leader_with_stopped_threads_is_noticed",
        a_kill_of_a_running_leader_with_stopped_threads_is_noticed,
    ),
    ("one_space_dies_alone", one_space_dies_alone),
    ("a_running_context_can_be_dropped", a_running_context_can_be_dropped),
    ("spawn_and_drop_leave_nothing", spawn_and_drop_leave_nothing),
    ("threads_and_forks_leave_nothing", threads_and_forks_leave_nothing),
];

const SPIN: &[u8] = &[0xeb, 0xfe];

/// Threads of this process and processes below it, of which dead ones not reaped.
fn census() -> (usize, usize, usize) {
    let me = std::process::id();
    let threads = std::fs::read_dir("/proc/self/task").unwrap().count();
    let (mut children, mut zombies) = (0, 0);
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else { continue };
        let Some((_, rest)) = stat.rsplit_once(')') else { continue };
        let fields: Vec<&str> = rest.split_whitespace().collect();
        if fields[1].parse() == Ok(me) {
            children += 1;
            zombies += usize::from(fields[0] == "Z");
        }
    }
    (threads, children, zombies)
}

/// Waits until no more threads and children are there than `before`: tear-down may happen off the critical path.
fn settles(before: (usize, usize, usize), slack: usize) {
    let start = Instant::now();
    loop {
        let now = census();
        if now.0 <= before.0 + slack && now.1 <= before.1 + slack && now.2 == 0 {
            return;
        }
        assert!(start.elapsed() < Duration::from_secs(10), "(threads, children, zombies) {before:?} became {now:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn a_killed_space_is_gone_for_every_context(platform: &dyn Platform) {
    let mut guest = Guest::new(platform, SPIN);
    let mut thread = guest.context.clone_thread().unwrap();
    guest.context.resume();
    thread.resume();
    let space = guest.context.space();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(5));
            space.kill();
        });
        assert_eq!(wait_event(platform, &mut *guest.context), Err(Error::Gone));
    });
    assert_eq!(wait_event(platform, &mut *thread), Err(Error::Gone));
    assert!(guest.context.read(DATA, &mut [0; 1]).is_err());
    assert!(guest.context.fork().is_err());
    guest.context.resume();
    assert_eq!(wait_event(platform, &mut *guest.context), Err(Error::Gone));
    guest.context.interrupter().interrupt();
    drop((guest, thread));
    assert!(space.read(DATA, &mut [0; 1]).is_err());
    space.kill();
}

fn a_kill_while_stopped_is_noticed_by_the_hands(platform: &dyn Platform) {
    let mut guest = Guest::new(platform, SPIN);
    guest.context.space().kill();
    let start = Instant::now();
    while guest.context.read(DATA, &mut [0; 1]).is_ok() {
        assert!(start.elapsed() < Duration::from_secs(10));
    }
    assert!(guest.context.map_anonymous(DATA, 0x1000, platform::Prot::READ, false).is_err());
    assert!(guest.context.compare_exchange(DATA, 0, 1).is_err());
    assert!(guest.context.save_xstate(DATA).is_err());
    assert!(guest.context.clone_thread().is_err());
    guest.context.resume();
    assert_eq!(wait_event(platform, &mut *guest.context), Err(Error::Gone));
}

fn a_kill_of_a_running_leader_with_stopped_threads_is_noticed(platform: &dyn Platform) {
    let mut guest = Guest::new(platform, SPIN);
    let _stopped = guest.context.clone_thread().unwrap();
    let pid = guest.context.space().host_pid().unwrap();
    guest.context.resume();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL).unwrap();
    assert_eq!(wait_event(platform, &mut *guest.context), Err(Error::Gone));
}

fn one_space_dies_alone(platform: &dyn Platform) {
    let mut parent = Guest::new(platform, &[0x0f, 0x05]);
    let child = parent.context.fork().unwrap();
    child.space().kill();
    drop(child);
    assert_eq!(parent.run(), Event::Syscall);
}

fn a_running_context_can_be_dropped(platform: &dyn Platform) {
    let before = census();
    for _ in 0..10 {
        let mut guest = Guest::new(platform, SPIN);
        let mut thread = guest.context.clone_thread().unwrap();
        thread.resume();
        drop(thread);
        guest.context.write(DATA, &[1]).unwrap();
        guest.context.resume();
    }
    settles(before, 8);
}

fn spawn_and_drop_leave_nothing(platform: &dyn Platform) {
    drop(platform.spawn());
    let before = census();
    let start = Instant::now();
    for i in 0..200 {
        let mut guest = Guest::new(platform, &[0x0f, 0x05]);
        if i % 2 == 0 {
            assert_eq!(guest.run(), Event::Syscall);
        }
    }
    print!("{:.0} µs a cycle, ", start.elapsed().as_secs_f64() * 1e6 / 200.0);
    settles(before, 8);
}

fn threads_and_forks_leave_nothing(platform: &dyn Platform) {
    let before = census();
    let mut guest = Guest::new(platform, &[0x0f, 0x05]);
    for round in 0..30 {
        let mut threads: Vec<_> = (0..3).map(|_| guest.context.clone_thread().unwrap()).collect();
        let mut child = threads[0].fork().unwrap();
        for context in threads.iter_mut().chain([&mut child]) {
            context.resume();
        }
        if round % 2 == 0 {
            for context in threads.iter_mut().chain([&mut child]) {
                assert_eq!(wait_event(platform, &mut **context), Ok(Event::Syscall));
            }
        }
    }
    drop(guest);
    settles(before, 8);
}
