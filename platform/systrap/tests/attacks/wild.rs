//! Jumps to places in the stub that were not meant for guests, and guests that try not to be stopped.

use crate::Case;
use crate::guest::{CALL_RBX, CODE, DATA, Outcome, Random, call, gadget, run, spawn};
use platform::{Event, Platform};
use std::time::Duration;
use systrap_stub::layout::{RUN_LEN, SETUP_TEXT, STACKS, TEXT, WINDOWS};

pub const CASES: &[Case] = &[
    ("jumps_to_any_place_of_the_stub", jumps_to_any_place_of_the_stub),
    ("the_set_up_text_is_gone", the_set_up_text_is_gone),
    ("a_moved_signal_stack_harms_only_its_owner", a_moved_signal_stack_harms_only_its_owner),
    ("a_guest_asleep_in_the_host_is_found", a_guest_asleep_in_the_host_is_found),
    ("own_gs_bases_are_kept", own_gs_bases_are_kept),
];

fn jumps_to_any_place_of_the_stub(platform: &dyn Platform) {
    let mut random = Random(42);
    let (mut gone, mut stuck, mut events) = (0, 0, 0);
    let mut context = spawn(platform, &[0x0f, 0x05]);
    let used = 0x1200;
    for offset in (0..used).chain((used..RUN_LEN).step_by(512)) {
        let values = [0, 1, DATA + 0x100, DATA + 0x8000, WINDOWS, WINDOWS + 0x20000, STACKS + 0x9f00, CODE, u64::MAX];
        let mut pick = || values[random.next() as usize % values.len()];
        let regs = context.regs_mut();
        (regs.rip, regs.rsp) = (TEXT + offset, DATA + 0x8000);
        (regs.rax, regs.rbx, regs.rcx, regs.rdx) = (pick(), pick(), pick(), pick());
        (regs.rsi, regs.rdi, regs.rbp, regs.r8) = (pick(), pick(), pick(), pick());
        (regs.r9, regs.r10, regs.r11, regs.r12) = (pick(), pick(), pick(), pick());
        match run(platform, &mut *context, Duration::from_millis(15)) {
            Outcome::Event(_) => {
                events += 1;
                continue;
            }
            Outcome::Gone => gone += 1,
            Outcome::Stuck => stuck += 1,
        }
        context = spawn(platform, &[0x0f, 0x05]);
    }
    print!("{events} events, {gone} gone, {stuck} stuck, ");
}

fn the_set_up_text_is_gone(platform: &dyn Platform) {
    let mut context = spawn(platform, &[0x0f, 0x05]);
    for offset in [0, 0x10, 0x1000, 0x2000, 0x9000] {
        context.regs_mut().rip = SETUP_TEXT + offset;
        let outcome = run(platform, &mut *context, Duration::from_secs(1));
        assert!(matches!(outcome, Outcome::Event(Event::Fault(_))), "{outcome:?} at {offset:#x}");
    }
}

fn a_moved_signal_stack_harms_only_its_owner(platform: &dyn Platform) {
    // sigaltstack through the stub's instruction, then spin; the stack_t lies at DATA.
    let code = [CALL_RBX, &[0xeb, 0xfe]].concat();
    for (sp, flags, size) in
        [(DATA + 0x2000, 0u64, 0x4000u64), (STACKS + 0x20000, 0, 0x8000), (0, 2, 0), (WINDOWS, 0, 0x8000)]
    {
        let mut context = spawn(platform, &code);
        context.write(DATA, &[sp.to_le_bytes(), flags.to_le_bytes(), size.to_le_bytes()].concat()).unwrap();
        // What comes of it may be an event, an end, or a guest that cannot be stopped and is killed.
        let reported = call(platform, &mut *context, 131, [DATA, 0, 0, 0, 0, 0]);
        if reported.is_some() {
            let _ = run(platform, &mut *context, Duration::from_millis(50));
        }
    }
}

fn a_guest_asleep_in_the_host_is_found(platform: &dyn Platform) {
    // FUTEX_WAIT in the host, where the sentry cannot see it and an interrupt does not end it: the deadline does.
    let mut context = spawn(platform, CALL_RBX);
    let regs = context.regs_mut();
    (regs.rip, regs.rbx, regs.rax, regs.rdi, regs.rsi, regs.rdx, regs.r10) = (CODE, gadget(), 202, DATA, 0, 0, 0);
    let outcome = run(platform, &mut *context, Duration::from_millis(1500));
    assert_eq!(outcome, Outcome::Gone, "the platform itself kills what cannot be interrupted");
}

fn own_gs_bases_are_kept(platform: &dyn Platform) {
    // wrgsbase rdi; mov rax, gs:[0]; syscall; then through the entry for patched sites; rdgsbase rsi; syscall
    let entry = platform.layout().syscall_entry.unwrap();
    let mut code = vec![0xf3, 0x48, 0x0f, 0xae, 0xdf, 0x65, 0x48, 0x8b, 0x04, 0x25, 0, 0, 0, 0, 0x0f, 0x05];
    let site = code.len() as u64;
    // mov eax, 7; lea rcx, [rip+15] (after the syscall below); mov r11, entry; jmp r11; syscall
    code.extend_from_slice(&[0xb8, 7, 0, 0, 0, 0x48, 0x8d, 0x0d, 15, 0, 0, 0, 0x49, 0xbb]);
    code.extend_from_slice(&entry.to_le_bytes());
    code.extend_from_slice(&[0x41, 0xff, 0xe3, 0x0f, 0x05]);
    let after = code.len() as u64;
    code.extend_from_slice(&[0xf3, 0x48, 0x0f, 0xae, 0xce, 0x0f, 0x05]);
    let mut context = spawn(platform, &code);
    context.write(DATA + 0x100, &0xfeed_u64.to_le_bytes()).unwrap();
    context.regs_mut().rdi = DATA + 0x100;
    assert_eq!(run(platform, &mut *context, Duration::from_secs(1)), Outcome::Event(Event::Syscall));
    assert_eq!((context.regs().rax, context.regs().gs_base), (0xfeed, DATA + 0x100));
    assert_eq!(run(platform, &mut *context, Duration::from_secs(1)), Outcome::Event(Event::Syscall));
    assert_eq!((context.regs().rax, context.regs().rip), (7, CODE + after), "the site at {site:#x} traps instead");
    assert_eq!(run(platform, &mut *context, Duration::from_secs(1)), Outcome::Event(Event::Syscall));
    assert_eq!(context.regs().rsi, DATA + 0x100);
    let mut bytes = [0; 8];
    context.read(DATA + 0x100, &mut bytes).unwrap();
    assert_eq!(u64::from_le_bytes(bytes), 0xfeed, "nothing was stored through the guest's base");
}
