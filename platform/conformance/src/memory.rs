//! The hands in anonymous memory: copies with partial counts, mappings, protection, remapping, advice.

use crate::Case;
use crate::guest::{DATA, DATA_LEN, Guest};
use abi::Errno;
use platform::{Event, MemoryFault, Platform, Prot};

pub const CASES: &[Case] = &[
    ("a_fresh_space_is_empty_but_for_the_fixed_mappings", a_fresh_space_is_empty_but_for_the_fixed_mappings),
    ("copies_read_back", copies_read_back),
    ("a_copy_that_faults_says_how_much_was_done", a_copy_that_faults_says_how_much_was_done),
    ("copies_respect_protection", copies_respect_protection),
    ("nothing_above_the_layout_is_reached", nothing_above_the_layout_is_reached),
    ("write_on_resume_reaches_the_guest", write_on_resume_reaches_the_guest),
    ("write_on_resume_that_faults_is_efault_for_the_guest", write_on_resume_that_faults_is_efault_for_the_guest),
    ("compare_exchange_swaps_or_tells", compare_exchange_swaps_or_tells),
    ("remap_moves_and_grows", remap_moves_and_grows),
    ("dontneed_clears_and_mincore_sees_it", dontneed_clears_and_mincore_sees_it),
    ("advice_on_others_is_refused", advice_on_others_is_refused),
    ("a_space_handle_reads_and_writes", a_space_handle_reads_and_writes),
];

fn a_fresh_space_is_empty_but_for_the_fixed_mappings(platform: &dyn Platform) {
    let mut context = platform.spawn().unwrap();
    let layout = platform.layout();
    for fixed in &layout.fixed {
        assert!(fixed.start < fixed.end && fixed.end <= layout.max, "{fixed:?}");
    }
    if layout.vdso != 0 {
        let mut magic = [0; 4];
        context.read(layout.vdso, &mut magic).expect("the vDSO can be read");
        assert_eq!(&magic, b"\x7fELF");
    }
    let mut vec = Err(Errno::ENOMEM);
    for addr in [0x1_0000, 0x40_0000, 0x5555_5555_4000, 0x7f00_0000_0000] {
        vec = context.resident(addr, 0x1000);
        assert_eq!(vec, Err(Errno::ENOMEM), "{addr:#x} is mapped");
    }
    drop(vec);
    assert!(context.xstate_size() <= layout.xstate_size && context.xstate_size() >= 512);
}

fn copies_read_back(platform: &dyn Platform) {
    let mut guest = Guest::new(platform, &[0xcc]);
    let len = 300_000;
    guest.context.map_anonymous(0x1000_0000, 0x10_0000, Prot::READ_WRITE, true).unwrap();
    let data: Vec<u8> = (0..len).map(|i| (i * 7 % 251) as u8).collect();
    guest.context.write(0x1000_0123, &data).unwrap();
    let mut back = vec![0; len];
    guest.context.read(0x1000_0123, &mut back).unwrap();
    assert!(back == data);
    guest.context.read(DATA, &mut []).unwrap();
    guest.context.write(1, &[]).unwrap();
}

fn a_copy_that_faults_says_how_much_was_done(platform: &dyn Platform) {
    let mut guest = Guest::new(platform, &[0xcc]);
    let end = DATA + DATA_LEN;
    for before in [1, 100, 4096, 5000, DATA_LEN as usize] {
        let mut buf = vec![1; before + 5000];
        assert_eq!(guest.context.read(end - before as u64, &mut buf), Err(MemoryFault { done: before }));
        assert!(buf[..before].iter().all(|&b| b == 0));
    }
    let data = vec![9; 70_000];
    assert_eq!(guest.context.write(end - 4100, &data), Err(MemoryFault { done: 4100 }));
    let mut back = vec![0; 4100];
    guest.context.read(end - 4100, &mut back).unwrap();
    assert!(back.iter().all(|&b| b == 9));
    assert_eq!(guest.context.read(0, &mut [0; 8]), Err(MemoryFault { done: 0 }));
}

fn copies_respect_protection(platform: &dyn Platform) {
    let mut guest = Guest::new(platform, &[0xcc]);
    guest.context.protect(DATA + 0x1000, 0x1000, Prot::READ).unwrap();
    assert_eq!(guest.context.write(DATA + 0xff0, &[1; 32]), Err(MemoryFault { done: 16 }));
    guest.context.read(DATA + 0xff0, &mut [0; 32]).unwrap();
    guest.context.protect(DATA + 0x1000, 0x1000, Prot::NONE).unwrap();
    assert_eq!(guest.context.read(DATA + 0xff0, &mut [0; 32]), Err(MemoryFault { done: 16 }));
    guest.context.protect(DATA + 0x1000, 0x1000, Prot::READ_WRITE).unwrap();
    guest.context.write(DATA + 0xff0, &[1; 32]).unwrap();
    guest.context.unmap(DATA + 0x1000, 0x1000).unwrap();
    assert_eq!(guest.context.read(DATA + 0xff0, &mut [0; 32]), Err(MemoryFault { done: 16 }));
    assert_eq!(guest.context.protect(DATA + 0x1000, 0x1000, Prot::READ), Err(Errno::ENOMEM));
}

fn nothing_above_the_layout_is_reached(platform: &dyn Platform) {
    let mut guest = Guest::new(platform, &[0xcc]);
    let max = platform.layout().max;
    let context = &mut *guest.context;
    for addr in [max, max.wrapping_sub(4), 0xffff_8000_0000_0000, u64::MAX - 3] {
        assert_eq!(context.read(addr, &mut [0; 8]).map_err(|_| ()), Err(()), "read {addr:#x}");
        assert_eq!(context.write(addr, &[0; 8]).map_err(|_| ()), Err(()), "write {addr:#x}");
        assert!(context.write_on_resume(addr, &[0; 8]).is_err());
    }
    assert!(context.compare_exchange(max, 0, 1).is_err());
    assert!(context.compare_exchange(u64::MAX - 3, 0, 1).is_err());
    for (addr, len) in [(max, 0x1000), (max - 0x1000, 0x2000), (0x1_0000, !0xfff), (!0xfff, 0x1000)] {
        assert!(context.map_anonymous(addr, len, Prot::READ_WRITE, false).is_err(), "map {addr:#x}+{len:#x}");
        assert!(context.unmap(addr, len).is_err(), "unmap {addr:#x}+{len:#x}");
        assert!(context.protect(addr, len, Prot::READ_WRITE).is_err(), "protect {addr:#x}+{len:#x}");
        assert!(context.remap(addr, len, DATA, 0x1000, false).is_err());
        assert!(context.remap(DATA, 0x1000, addr, len, false).is_err());
        assert!(context.advise(addr, len, 4).is_err());
        assert!(context.sync(addr, len, 4).is_err());
        assert!(context.resident(addr, len).is_err());
    }
    assert!(context.save_xstate(max).is_err());
    assert!(context.restore_xstate(max).is_err());
    assert!(context.space().read(max, &mut [0; 8]).is_err());
    assert!(context.space().write(max, &[0; 8]).is_err());
    // The context still works.
    context.write(DATA, &[1]).unwrap();
}

fn write_on_resume_reaches_the_guest(platform: &dyn Platform) {
    // mov edi, [rsi]; syscall
    let mut guest = Guest::new(platform, &[0x8b, 0x3e, 0x0f, 0x05]);
    guest.context.regs_mut().rsi = DATA;
    guest.context.regs_mut().rax = 5;
    guest.context.write_on_resume(DATA, &77u32.to_le_bytes()).unwrap();
    assert_eq!(guest.run(), Event::Syscall);
    assert_eq!((guest.context.regs().rdi, guest.context.regs().rax), (77, 5));
    // A hand in between sees it already.
    guest.context.write_on_resume(DATA + 8, &78u32.to_le_bytes()).unwrap();
    assert_eq!(guest.word(DATA + 8), 78);
}

fn write_on_resume_that_faults_is_efault_for_the_guest(platform: &dyn Platform) {
    // syscall; mov rdi, rax; syscall
    let mut guest = Guest::new(platform, &[0x0f, 0x05, 0x48, 0x89, 0xc7, 0x0f, 0x05]);
    assert_eq!(guest.run(), Event::Syscall);
    guest.context.regs_mut().rax = 3;
    // A platform may copy at once and then say so itself.
    let now = guest.context.write_on_resume(0x1000, &[1; 8]);
    assert_eq!(guest.run(), Event::Syscall);
    assert!(now == Err(MemoryFault { done: 0 }) || guest.context.regs().rdi == -14i64 as u64);
}

fn compare_exchange_swaps_or_tells(platform: &dyn Platform) {
    let mut guest = Guest::new(platform, &[0xcc]);
    let before = *guest.context.regs();
    guest.context.write(DATA, &5u32.to_le_bytes()).unwrap();
    assert_eq!(guest.context.compare_exchange(DATA, 4, 9), Ok(5));
    assert_eq!(guest.word(DATA), 5);
    assert_eq!(guest.context.compare_exchange(DATA, 5, 0xffff_fff0), Ok(5));
    assert_eq!(guest.context.compare_exchange(DATA, 0xffff_fff0, 1), Ok(0xffff_fff0));
    assert_eq!(guest.word(DATA), 1);
    assert_eq!(guest.context.compare_exchange(0x1000, 0, 1), Err(MemoryFault { done: 0 }));
    guest.context.protect(DATA, 0x1000, Prot::READ).unwrap();
    assert_eq!(guest.context.compare_exchange(DATA, 1, 2), Err(MemoryFault { done: 0 }));
    assert_eq!(*guest.context.regs(), before, "the hand left traces in the registers");
}

fn remap_moves_and_grows(platform: &dyn Platform) {
    let mut guest = Guest::new(platform, &[0xcc]);
    let context = &mut *guest.context;
    context.write(DATA, b"hello").unwrap();
    context.remap(DATA, DATA_LEN, 0x2000_0000, 2 * DATA_LEN, false).unwrap();
    let mut buf = [0; 5];
    context.read(0x2000_0000, &mut buf).unwrap();
    assert_eq!(&buf, b"hello");
    assert!(context.read(DATA, &mut buf).is_err());
    context.write(0x2000_0000 + 2 * DATA_LEN - 1, &[1]).unwrap();
    context.remap(0x2000_0000, 2 * DATA_LEN, 0x2000_0000, 0x1000, false).unwrap();
    assert!(context.read(0x2000_1000, &mut buf).is_err());
    context.remap(0x2000_0000, 0x1000, 0x2000_0000, 0x3000, false).unwrap();
    context.write(0x2000_2fff, &[1]).unwrap();
    context.remap(0x2000_0000, 0x1000, 0x3000_0000, 0x1000, true).unwrap();
    context.read(0x3000_0000, &mut buf).unwrap();
    assert_eq!(&buf, b"hello");
    context.read(0x2000_0000, &mut buf).unwrap();
    assert_eq!(buf, [0; 5], "MREMAP_DONTUNMAP leaves empty pages");
    assert_eq!(context.remap(0x7000_0000, 0x1000, 0x7100_0000, 0x1000, false), Err(Errno::EFAULT));
}

fn dontneed_clears_and_mincore_sees_it(platform: &dyn Platform) {
    let mut guest = Guest::new(platform, &[0xcc]);
    let context = &mut *guest.context;
    context.write(DATA + 0x1000, &[1]).unwrap();
    assert_eq!(context.resident(DATA, DATA_LEN), Ok(vec![0, 1, 0, 0]));
    context.advise(DATA, DATA_LEN, 4).unwrap();
    assert_eq!(context.resident(DATA, DATA_LEN), Ok(vec![0; 4]));
    let mut byte = [9];
    context.read(DATA + 0x1000, &mut byte).unwrap();
    assert_eq!(byte, [0]);
    // More pages than any platform's transit area has bytes.
    let pages = 70_000;
    context.map_anonymous(0x1_0000_0000, pages * 0x1000, Prot::READ_WRITE, true).unwrap();
    context.write(0x1_0000_0000 + 69_999 * 0x1000, &[1]).unwrap();
    let vec = context.resident(0x1_0000_0000, pages * 0x1000).unwrap();
    assert_eq!(vec.len(), pages as usize);
    assert!(vec[69_999] & 1 == 1 && vec[..60_000].iter().all(|b| b & 1 == 0));
}

fn advice_on_others_is_refused(platform: &dyn Platform) {
    let mut guest = Guest::new(platform, &[0xcc]);
    // MADV_REMOVE, MADV_HWPOISON, MADV_SOFT_OFFLINE and nonsense.
    for advice in [9, 100, 101, 0xffff_ffff] {
        assert_eq!(guest.context.advise(DATA, 0x1000, advice), Err(Errno::EINVAL), "advice {advice}");
    }
}

fn a_space_handle_reads_and_writes(platform: &dyn Platform) {
    // inc dword [rdi]; jmp back: memory changes while the handle looks
    let mut guest = Guest::new(platform, &[0xff, 0x07, 0xeb, 0xfc]);
    guest.context.regs_mut().rdi = DATA;
    let space = guest.context.space();
    assert_eq!(space.id(), guest.context.space().id());
    assert_ne!(space.id(), platform.spawn().unwrap().space().id());
    guest.context.resume();
    let start = std::time::Instant::now();
    let mut bytes = [0; 4];
    while u32::from_le_bytes(bytes) < 1000 {
        space.read(DATA, &mut bytes).unwrap();
        assert!(start.elapsed().as_secs() < 10);
    }
    space.write(DATA + 16, b"outside").unwrap();
    assert_eq!(space.read(0x1000, &mut bytes), Err(MemoryFault { done: 0 }));
    assert!(space.host_pid().is_some_and(|pid| pid > 0));
    guest.context.interrupter().interrupt();
    assert_eq!(guest.wait(), Event::Interrupted);
    let mut back = [0; 7];
    guest.context.read(DATA + 16, &mut back).unwrap();
    assert_eq!(&back, b"outside");
}
