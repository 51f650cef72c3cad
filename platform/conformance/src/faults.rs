//! Processor exceptions, in the terms of the signal that Linux sends.

use crate::Case;
use crate::guest::{CODE, DATA, Guest};
use abi::signal::Signal;
use platform::{Event, Fault, Platform, Prot};

pub const CASES: &[Case] = &[
    ("an_unmapped_address_is_segv_maperr", an_unmapped_address_is_segv_maperr),
    ("a_write_to_read_only_memory_is_segv_accerr", a_write_to_read_only_memory_is_segv_accerr),
    ("executing_data_is_segv_at_rip", executing_data_is_segv_at_rip),
    ("a_non_canonical_address_is_a_general_protection_fault", a_non_canonical_address_is_a_general_protection_fault),
    ("ud2_is_sigill", ud2_is_sigill),
    ("division_by_zero_is_sigfpe", division_by_zero_is_sigfpe),
    ("int3_is_sigtrap_after_the_instruction", int3_is_sigtrap_after_the_instruction),
    ("a_single_step_is_sigtrap", a_single_step_is_sigtrap),
    ("a_fault_can_be_repaired_and_resumed", a_fault_can_be_repaired_and_resumed),
    ("a_wild_stack_pointer_harms_only_the_guest", a_wild_stack_pointer_harms_only_the_guest),
];

fn fault(guest: &mut Guest<'_>) -> Fault {
    match guest.run() {
        Event::Fault(fault) => fault,
        other => panic!("{other:?} instead of a fault"),
    }
}

fn an_unmapped_address_is_segv_maperr(platform: &dyn Platform) {
    let mut guest = Guest::new(platform, &[0x8b, 0x07]);
    guest.context.regs_mut().rdi = 0x1234_5678;
    let fault = fault(&mut guest);
    assert_eq!((fault.signal, fault.code, fault.addr, fault.trapno), (Signal::SIGSEGV, 1, 0x1234_5678, 14));
    assert_eq!(fault.error_code & 4, 4, "from user mode");
    assert_eq!(guest.context.regs().rip, CODE);
}

fn a_write_to_read_only_memory_is_segv_accerr(platform: &dyn Platform) {
    let mut guest = Guest::new(platform, &[0x89, 0x07]);
    guest.context.read(DATA, &mut [0; 1]).unwrap();
    guest.context.protect(DATA, 0x1000, Prot::READ).unwrap();
    guest.context.regs_mut().rdi = DATA + 8;
    let fault = fault(&mut guest);
    assert_eq!((fault.signal, fault.code, fault.addr, fault.trapno), (Signal::SIGSEGV, 2, DATA + 8, 14));
    assert_eq!(fault.error_code & 6, 6, "a write from user mode");
}

fn executing_data_is_segv_at_rip(platform: &dyn Platform) {
    let mut guest = Guest::new(platform, &[0xcc]);
    guest.context.regs_mut().rip = DATA;
    let fault = fault(&mut guest);
    assert_eq!((fault.signal, fault.code, fault.addr, fault.trapno), (Signal::SIGSEGV, 2, DATA, 14));
    assert_eq!(guest.context.regs().rip, DATA);
}

fn a_non_canonical_address_is_a_general_protection_fault(platform: &dyn Platform) {
    let mut guest = Guest::new(platform, &[0x8b, 0x07]);
    guest.context.regs_mut().rdi = 0x8000_0000_0000_0000;
    let fault = fault(&mut guest);
    assert_eq!((fault.signal, fault.code, fault.addr, fault.trapno), (Signal::SIGSEGV, 0x80, 0, 13));
}

fn ud2_is_sigill(platform: &dyn Platform) {
    let mut guest = Guest::new(platform, &[0x0f, 0x0b]);
    let fault = fault(&mut guest);
    assert_eq!((fault.signal, fault.code, fault.addr, fault.trapno), (Signal::SIGILL, 2, CODE, 6));
}

fn division_by_zero_is_sigfpe(platform: &dyn Platform) {
    let mut guest = Guest::new(platform, &[0x31, 0xc9, 0x31, 0xd2, 0xf7, 0xf1]);
    let fault = fault(&mut guest);
    assert_eq!((fault.signal, fault.code, fault.addr, fault.trapno), (Signal::SIGFPE, 1, CODE + 4, 0));
}

fn int3_is_sigtrap_after_the_instruction(platform: &dyn Platform) {
    let mut guest = Guest::new(platform, &[0xcc, 0x0f, 0x05]);
    let fault = fault(&mut guest);
    assert_eq!((fault.signal, fault.code, fault.trapno), (Signal::SIGTRAP, 0x80, 3));
    assert_eq!(guest.context.regs().rip, CODE + 1);
    assert_eq!(guest.run(), Event::Syscall);
}

fn a_single_step_is_sigtrap(platform: &dyn Platform) {
    let mut guest = Guest::new(platform, &[0x90, 0x90, 0x0f, 0x05]);
    guest.context.regs_mut().rflags |= 0x100;
    let step = fault(&mut guest);
    assert_eq!((step.signal, step.code, step.addr, step.trapno), (Signal::SIGTRAP, 2, CODE + 1, 1));
    assert_eq!(guest.context.regs().rflags & 0x100, 0x100, "the guest's own trap flag stays visible");
    guest.context.read(DATA, &mut [0; 1]).unwrap();
    guest.context.protect(DATA, 0x1000, Prot::READ).unwrap();
    let step = fault(&mut guest);
    assert_eq!((step.signal, step.addr), (Signal::SIGTRAP, CODE + 2));
    guest.context.regs_mut().rflags &= !0x100;
    assert_eq!(guest.run(), Event::Syscall);
}

fn a_fault_can_be_repaired_and_resumed(platform: &dyn Platform) {
    // mov edi, [rsi]; syscall
    let mut guest = Guest::new(platform, &[0x8b, 0x3e, 0x0f, 0x05]);
    guest.context.regs_mut().rsi = 0x7000_0000;
    assert_eq!(fault(&mut guest).addr, 0x7000_0000);
    guest.context.map_anonymous(0x7000_0000, 0x1000, Prot::READ_WRITE, false).unwrap();
    guest.context.write(0x7000_0000, &11u32.to_le_bytes()).unwrap();
    assert_eq!(guest.run(), Event::Syscall);
    assert_eq!(guest.context.regs().rdi, 11);
}

fn a_wild_stack_pointer_harms_only_the_guest(platform: &dyn Platform) {
    let mut guest = Guest::new(platform, &[0x0f, 0x05, 0x50]);
    for rsp in [0, 8, u64::MAX, 0x8000_0000_0000_0000, platform.layout().max] {
        guest.context.regs_mut().rip = CODE;
        guest.context.regs_mut().rsp = rsp;
        assert_eq!(guest.run(), Event::Syscall);
        assert_eq!(guest.context.regs().rsp, rsp);
        if rsp != platform.layout().max {
            let fault = fault(&mut guest);
            assert!(fault.signal == Signal::SIGSEGV || fault.signal == Signal::SIGBUS);
        }
    }
}
