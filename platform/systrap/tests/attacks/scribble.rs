//! A second thread that writes to the windows of the first while the sentry works with them.

use crate::Case;
use crate::guest::{CODE, DATA, Outcome, run, spawn};
use platform::{Event, Platform, Prot};
use std::time::{Duration, Instant};
use systrap_stub::layout::{DOORBELL, DOORBELL_WORD, PREFETCH, WINDOWS};

pub const CASES: &[Case] = &[
    ("scribbling_over_single_words", scribbling_over_single_words),
    ("scribbling_over_everything", scribbling_over_everything),
    ("scribbling_while_cloning", scribbling_while_cloning),
    ("a_busy_doorbell_loses_no_wake_up", a_busy_doorbell_loses_no_wake_up),
];

/// At [`CODE`]: `syscall; jmp back`. At `CODE + 0x40`: `1: mov [rdi], eax; lea eax, [rax*4+eax+1]; jmp 1b` (one word).
/// At `CODE + 0x80`: the same over `rcx` bytes from rdi on, again and again.
fn code() -> Vec<u8> {
    let mut code = vec![0x90; 0x100];
    code[..4].copy_from_slice(&[0x0f, 0x05, 0xeb, 0xfc]);
    code[0x40..0x48].copy_from_slice(&[0x89, 0x07, 0x67, 0x8d, 0x44, 0x80, 0x01, 0xeb]);
    code[0x48] = 0xf7;
    // xor edx, edx; 1: mov [rdi+rdx], eax; lea eax, [eax+eax*4+1]; add edx, 4; and edx, ecx; jmp 1b
    code[0x80..0x91].copy_from_slice(&[
        0x31, 0xd2, 0x89, 0x04, 0x17, 0x67, 0x8d, 0x44, 0x80, 0x01, 0x83, 0xc2, 0x04, 0x21, 0xca, 0xeb, 0xf1,
    ]);
    code
}

/// Lets the first thread make calls and the sentry use its hands until the process is gone or time is over.
fn work(platform: &dyn Platform, entry: u64, target: u64, mask: u64, time: Duration, clone: bool) -> bool {
    let mut owner = spawn(platform, &code());
    let mut scribbler = owner.clone_thread().unwrap();
    let regs = scribbler.regs_mut();
    (regs.rip, regs.rdi, regs.rcx, regs.rax) = (CODE + entry, target, mask, 7);
    scribbler.resume();
    let start = Instant::now();
    let mut buf = [0; 64];
    while start.elapsed() < time {
        owner.regs_mut().rip = CODE;
        match run(platform, &mut *owner, Duration::from_millis(200)) {
            Outcome::Event(Event::Syscall | Event::Interrupted | Event::Fault(_) | Event::Syscall32) => {}
            Outcome::Gone | Outcome::Stuck => return false,
        }
        let _ = owner.read(DATA, &mut buf);
        let _ = owner.write(DATA, &buf);
        let _ = owner.compare_exchange(DATA, 0, 1);
        let _ = owner.map_anonymous(0x1000_0000, 0x4000, Prot::READ_WRITE, false);
        let _ = owner.resident(0x1000_0000, 0x4000);
        if clone {
            let _ = owner.clone_thread();
            let _ = owner.fork();
        }
    }
    true
}

fn scribbling_over_single_words(platform: &dyn Platform) {
    // The control page of slot 0, word by word where it matters, and the list of prefetched ranges.
    let (mut survived, mut tried) = (0, 0);
    let words = (0..0x220).step_by(4).chain([0x1000, PREFETCH + 0x1000, PREFETCH + 0x1008]);
    for offset in words {
        tried += 1;
        survived += usize::from(work(platform, 0x40, WINDOWS + offset, 0, Duration::from_millis(4), false));
    }
    print!("{survived} of {tried} guests lived on, ");
}

fn scribbling_over_everything(platform: &dyn Platform) {
    for mask in [0x3c, 0xfc, 0x3fc, 0xffc, 0x1_fffc] {
        work(platform, 0x80, WINDOWS, mask, Duration::from_millis(20), false);
        work(platform, 0x80, WINDOWS + 0x100, mask, Duration::from_millis(20), false);
    }
}

fn scribbling_while_cloning(platform: &dyn Platform) {
    for offset in [0, 4, 8, 12, 0x100, 0x104, 0x108, 0x10c, 0x110, 0x118, 0x120, 0x180, 0x188, 0x18c] {
        work(platform, 0x40, WINDOWS + offset, 0, Duration::from_millis(10), true);
    }
    for mask in [0x3c, 0x1fc, 0xffc] {
        work(platform, 0x80, WINDOWS, mask, Duration::from_millis(20), true);
    }
}

fn a_busy_doorbell_loses_no_wake_up(platform: &dyn Platform) {
    let mut hostile = spawn(platform, &code());
    let regs = hostile.regs_mut();
    (regs.rip, regs.rdi, regs.rax) = (CODE + 0x40, DOORBELL + DOORBELL_WORD, 7);
    hostile.resume();
    let mut guest = spawn(platform, &code());
    let start = Instant::now();
    for _ in 0..50 {
        assert_eq!(run(platform, &mut *guest, Duration::from_secs(5)), Outcome::Event(Event::Syscall));
    }
    assert!(start.elapsed() < Duration::from_secs(10));
    // The count of sleepers cannot be written.
    let mut hostile = spawn(platform, &code());
    let regs = hostile.regs_mut();
    (regs.rip, regs.rdi, regs.rax) = (CODE + 0x40, DOORBELL, 7);
    assert!(matches!(run(platform, &mut *hostile, Duration::from_secs(1)), Outcome::Event(Event::Fault(_))));
}
