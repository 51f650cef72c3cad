//! Running guest code: system calls, registers, interruption, waiting.

use crate::Case;
use crate::guest::{CODE, DATA, Guest, wait_event};
use platform::{Event, Platform};
use std::task::{Context as WakeContext, Poll, Waker};
use std::time::{Duration, Instant};

pub const CASES: &[Case] = &[
    ("a_system_call_brings_number_and_arguments", a_system_call_brings_number_and_arguments),
    ("rax_of_a_resume_is_the_result_the_guest_sees", rax_of_a_resume_is_the_result_the_guest_sees),
    ("registers_survive_a_round_trip", registers_survive_a_round_trip),
    ("fs_base_is_applied_at_resume", fs_base_is_applied_at_resume),
    ("int80_is_a_32_bit_system_call", int80_is_a_32_bit_system_call),
    ("a_base_that_only_the_processor_accepts_survives", a_base_that_only_the_processor_accepts_survives),
    ("sysenter_does_not_reach_the_host", sysenter_does_not_reach_the_host),
    ("no_guest_system_call_reaches_the_host", no_guest_system_call_reaches_the_host),
    ("a_patched_call_site_brings_the_same_event", a_patched_call_site_brings_the_same_event),
    ("a_spinning_guest_can_be_interrupted", a_spinning_guest_can_be_interrupted),
    ("an_interrupt_before_resume_loses_nothing", an_interrupt_before_resume_loses_nothing),
    ("kick_ends_the_next_wait", kick_ends_the_next_wait),
    ("running_counts_contexts_in_guest_code", running_counts_contexts_in_guest_code),
    ("many_system_calls_in_a_row", many_system_calls_in_a_row),
];

const SYSCALL_LOOP: &[u8] = &[0x0f, 0x05, 0xeb, 0xfc];
const SPIN: &[u8] = &[0xeb, 0xfe];

fn a_system_call_brings_number_and_arguments(platform: &dyn Platform) {
    let mut guest = Guest::new(platform, SYSCALL_LOOP);
    let regs = guest.context.regs_mut();
    (regs.rax, regs.rdi, regs.rsi, regs.rdx, regs.r10, regs.r8, regs.r9) = (0x1234, 1, 2, 3, u64::MAX, 5, 6);
    assert_eq!(guest.run(), Event::Syscall);
    let regs = guest.context.regs();
    assert_eq!((regs.rax, regs.rdi, regs.rsi, regs.rdx, regs.r10, regs.r8, regs.r9), (0x1234, 1, 2, 3, u64::MAX, 5, 6));
    assert_eq!(regs.rip, CODE + 2);
}

fn rax_of_a_resume_is_the_result_the_guest_sees(platform: &dyn Platform) {
    // syscall; mov rdi, rax; syscall
    let mut guest = Guest::new(platform, &[0x0f, 0x05, 0x48, 0x89, 0xc7, 0x0f, 0x05]);
    // -514 is the host's own ERESTARTNOHAND: it must be a number like any other.
    for result in [0, 42, -14i64 as u64, -514i64 as u64, -4i64 as u64, u64::MAX] {
        guest.context.regs_mut().rip = CODE;
        guest.context.regs_mut().rax = 39;
        assert_eq!(guest.run(), Event::Syscall);
        guest.context.regs_mut().rax = result;
        assert_eq!(guest.run(), Event::Syscall);
        assert_eq!(guest.context.regs().rdi, result);
        assert_eq!(guest.context.regs().rip, CODE + 7);
    }
}

fn registers_survive_a_round_trip(platform: &dyn Platform) {
    let mut guest = Guest::new(platform, SYSCALL_LOOP);
    for round in 1..=50u64 {
        let regs = guest.context.regs_mut();
        regs.rax = 39;
        regs.rip = CODE;
        for (i, r) in [
            &mut regs.rbx,
            &mut regs.rdx,
            &mut regs.rsi,
            &mut regs.rdi,
            &mut regs.rbp,
            &mut regs.rsp,
            &mut regs.r8,
            &mut regs.r9,
            &mut regs.r10,
            &mut regs.r12,
            &mut regs.r13,
            &mut regs.r14,
            &mut regs.r15,
        ]
        .into_iter()
        .enumerate()
        {
            *r = (round << 32).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ i as u64;
        }
        let before = *guest.context.regs();
        assert_eq!(guest.run(), Event::Syscall);
        let mut after = *guest.context.regs();
        // `syscall` itself overwrites these; a platform may set IF and the reserved flag.
        (after.rcx, after.r11, after.rflags) = (before.rcx, before.r11, before.rflags);
        after.rip = before.rip;
        assert_eq!(after, before);
    }
}

fn fs_base_is_applied_at_resume(platform: &dyn Platform) {
    // mov eax, fs:[8]; mov edi, eax; syscall
    let mut guest = Guest::new(platform, &[0x64, 0x8b, 0x04, 0x25, 8, 0, 0, 0, 0x89, 0xc7, 0x0f, 0x05]);
    guest.context.write(DATA + 0x108, &0xfeed_u32.to_le_bytes()).unwrap();
    guest.context.regs_mut().fs_base = DATA + 0x100;
    assert_eq!(guest.run(), Event::Syscall);
    assert_eq!(guest.context.regs().rdi, 0xfeed);
    assert_eq!(guest.context.regs().fs_base, DATA + 0x100);
}

fn int80_is_a_32_bit_system_call(platform: &dyn Platform) {
    let mut guest = Guest::new(platform, &[0xcd, 0x80, 0xeb, 0xfe]);
    let regs = guest.context.regs_mut();
    (regs.rax, regs.rbx, regs.rcx) = (20, 7, 8);
    assert_eq!(guest.run(), Event::Syscall32);
    let regs = guest.context.regs();
    assert_eq!((regs.rax, regs.rbx, regs.rcx, regs.rip), (20, 7, 8, CODE + 2));
}

fn a_base_that_only_the_processor_accepts_survives(platform: &dyn Platform) {
    // wrfsbase rdi; syscall; rdfsbase rsi; syscall
    let mut guest =
        Guest::new(platform, &[0xf3, 0x48, 0x0f, 0xae, 0xd7, 0x0f, 0x05, 0xf3, 0x48, 0x0f, 0xae, 0xc6, 0x0f, 0x05]);
    guest.context.regs_mut().rdi = 0xffff_8880_0000_0000;
    if let Event::Fault(_) = guest.run() {
        print!("no FSGSBASE here, ");
        return;
    }
    assert_eq!(guest.run(), Event::Syscall);
    assert_eq!(guest.context.regs().rsi, 0xffff_8880_0000_0000);
}

fn sysenter_does_not_reach_the_host(platform: &dyn Platform) {
    let mut guest = Guest::new(platform, &[0x0f, 0x34]);
    // exit_group of i386; AMD does not know the instruction here.
    guest.context.regs_mut().rax = 252;
    guest.context.regs_mut().rbp = DATA;
    let event = guest.run();
    assert!(matches!(event, Event::Syscall32 | Event::Fault(_)), "{event:?}");
}

fn no_guest_system_call_reaches_the_host(platform: &dyn Platform) {
    let mut guest = Guest::new(platform, SYSCALL_LOOP);
    // exit_group, execve, rt_sigreturn, exit, x32 getpid, and numbers out of range.
    for nr in [231, 59, 15, 60, 0x4000_0027, 9999, u64::MAX, 0xffff_ffff] {
        guest.context.regs_mut().rip = CODE;
        guest.context.regs_mut().rax = nr;
        assert_eq!(guest.run(), Event::Syscall, "number {nr:#x}");
        assert_eq!(guest.context.regs().rax, nr);
    }
}

fn a_patched_call_site_brings_the_same_event(platform: &dyn Platform) {
    let Some(entry) = platform.layout().syscall_entry else { return };
    // mov eax, 39; lea rcx, [rip+10]; mov r11, entry; jmp r11 -- what a patch's trampoline does
    let mut code = vec![0xb8, 39, 0, 0, 0, 0x48, 0x8d, 0x0d, 13, 0, 0, 0, 0x49, 0xbb];
    code.extend_from_slice(&entry.to_le_bytes());
    code.extend_from_slice(&[0x41, 0xff, 0xe3, 0x89, 0xc7, 0x0f, 0x05]);
    let mut guest = Guest::new(platform, &code);
    assert_eq!(guest.run(), Event::Syscall);
    assert_eq!((guest.context.regs().rax, guest.context.regs().rip), (39, CODE + 25));
    guest.context.regs_mut().rax = 77;
    assert_eq!(guest.run(), Event::Syscall);
    assert_eq!(guest.context.regs().rdi, 77);
}

fn a_spinning_guest_can_be_interrupted(platform: &dyn Platform) {
    let mut guest = Guest::new(platform, SPIN);
    for _ in 0..20 {
        let interrupter = guest.context.interrupter();
        guest.context.resume();
        let thread = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(2));
            interrupter.interrupt();
        });
        assert_eq!(guest.wait(), Event::Interrupted);
        thread.join().unwrap();
        assert_eq!(guest.context.regs().rip, CODE);
    }
}

fn an_interrupt_before_resume_loses_nothing(platform: &dyn Platform) {
    let mut guest = Guest::new(platform, SYSCALL_LOOP);
    for nr in 0..50 {
        guest.context.regs_mut().rax = nr;
        guest.context.regs_mut().rip = CODE;
        guest.context.interrupter().interrupt();
        guest.context.read(DATA, &mut [0; 8]).unwrap();
        guest.context.protect(DATA, 0x1000, platform::Prot::READ_WRITE).unwrap();
        let mut event = guest.run();
        let mut interruptions = 0;
        while event == Event::Interrupted {
            interruptions += 1;
            assert!(interruptions <= 2, "one interrupt stops a context over and over");
            event = guest.run();
        }
        assert_eq!((event, guest.context.regs().rax), (Event::Syscall, nr));
    }
}

fn kick_ends_the_next_wait(platform: &dyn Platform) {
    let start = Instant::now();
    platform.kick();
    platform.wait(Some(Duration::from_secs(5)));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(20));
            platform.kick();
        });
        platform.wait(Some(Duration::from_secs(5)));
    });
    assert!(start.elapsed() < Duration::from_secs(4), "a kick was missed");
    let start = Instant::now();
    // Left-over wake-ups may end a few waits early, never all of them.
    while start.elapsed() < Duration::from_millis(30) {
        platform.wait(Some(Duration::from_millis(30)));
    }
    assert!(start.elapsed() < Duration::from_secs(4), "the timeout was missed");
}

fn running_counts_contexts_in_guest_code(platform: &dyn Platform) {
    let mut guest = Guest::new(platform, SPIN);
    let before = platform.running();
    guest.context.resume();
    assert_eq!(platform.running(), before + 1);
    let mut cx = WakeContext::from_waker(Waker::noop());
    assert!(matches!(guest.context.poll_event(&mut cx), Poll::Pending));
    guest.context.interrupter().interrupt();
    assert_eq!(guest.wait(), Event::Interrupted);
    assert_eq!(platform.running(), before);
}

fn many_system_calls_in_a_row(platform: &dyn Platform) {
    let mut guest = Guest::new(platform, SYSCALL_LOOP);
    let start = Instant::now();
    for i in 0..2000 {
        // Not 335 and 336: Linux lets `uretprobe` and `uprobe` pass every filter, and raises SIGILL itself.
        let i = i % 300;
        guest.context.regs_mut().rax = i;
        guest.context.resume();
        let event = match guest.context.spin_event(200) {
            Some(event) => event,
            None => wait_event(platform, &mut *guest.context),
        };
        assert_eq!((event, guest.context.regs().rax), (Ok(Event::Syscall), i));
    }
    print!("{:.2} µs a call, ", start.elapsed().as_secs_f64() * 1e6 / 2000.0);
}
