//! Host calls through the stub's `syscall` instruction, which the filter takes for the stub's own.

use crate::Case;
use crate::guest::{CALL_RBX, CODE, DATA, Random, call, spawn};
use platform::{Platform, Prot};
use systrap_stub::layout::{FD, GUEST_MAX, STACKS, TEXT, WINDOWS, WINDOWS_LEN};

pub const CASES: &[Case] = &[
    ("chosen_host_calls_are_refused", chosen_host_calls_are_refused),
    ("every_other_number_is_refused", every_other_number_is_refused),
    ("mappings_stay_in_the_guests_part", mappings_stay_in_the_guests_part),
    ("random_calls_with_interesting_arguments", random_calls_with_interesting_arguments),
    ("a_flood_of_calls_does_not_stop_authorised_ones", a_flood_of_calls_does_not_stop_authorised_ones),
    ("stealing_the_descriptor_of_a_mapping", stealing_the_descriptor_of_a_mapping),
];

const EPERM: i64 = -1;
/// What a notified call that nobody expects fails with.
const REFUSED: [i64; 2] = [EPERM, -117];

fn refused(platform: &dyn Platform, number: u64, args: [u64; 6]) {
    let mut attacker = spawn(platform, CALL_RBX);
    let result = call(platform, &mut *attacker, number, args);
    assert!(result.is_some_and(|r| REFUSED.contains(&r)), "call {number} {args:x?} gave {result:?}");
}

fn chosen_host_calls_are_refused(platform: &dyn Platform) {
    let thread = 0x100 | 0x200 | 0x400 | 0x800 | 0x1_0000 | 0x4_0000;
    for (number, args) in [
        (2, [CODE, 0, 0, 0, 0, 0]),                                     // open
        (257, [u64::MAX, CODE, 0, 0, 0, 0]),                            // openat
        (59, [CODE, 0, 0, 0, 0, 0]),                                    // execve
        (56, [17, 0, 0, 0, 0, 0]),                                      // clone: a process
        (56, [0x8000 | 17, 0, 0, 0, 0, 0]),                             // the very clone the stub makes
        (56, [thread, DATA + 0x800, 0, 0, 0, 0]),                       // a thread
        (57, [0; 6]),                                                   // fork
        (58, [0; 6]),                                                   // vfork
        (435, [DATA, 88, 0, 0, 0, 0]),                                  // clone3
        (60, [0; 6]),                                                   // exit
        (62, [1, 9, 0, 0, 0, 0]),                                       // kill
        (101, [16, 1, 0, 0, 0, 0]),                                     // ptrace
        (310, [1, DATA, 1, DATA, 1, 0]),                                // process_vm_readv
        (14, [0, DATA, 0, 8, 0, 0]),                                    // rt_sigprocmask
        (13, [11, DATA, 0, 8, 0, 0]),                                   // rt_sigaction
        (15, [0; 6]),                                                   // rt_sigreturn
        (317, [1, 0, DATA, 0, 0, 0]),                                   // seccomp
        (157, [38, 1, 0, 0, 0, 0]),                                     // prctl NO_NEW_PRIVS
        (157, [1, 0, 0, 0, 0, 0]),                                      // prctl PDEATHSIG off
        (158, [0x1001, 0, 0, 0, 0, 0]),                                 // arch_prctl
        (202, [DATA, 6, 0, 0, 0, 0]),                                   // futex LOCK_PI
        (202, [DATA, 3, 0, 0, DATA, 0]),                                // futex REQUEUE
        (41, [1, 1, 0, 0, 0, 0]),                                       // socket
        (46, [3, DATA, 0, 0, 0, 0]),                                    // sendmsg
        (33, [0, 1, 0, 0, 0, 0]),                                       // dup2
        (16, [0, 0, 0, 0, 0, 0]),                                       // ioctl
        (28, [DATA, 0x1000, 9, 0, 0, 0]),                               // madvise REMOVE
        (28, [DATA, 0x1000, 12, 0, 0, 0]),                              // madvise MERGEABLE
        (28, [DATA, 0x1000, 100, 0, 0, 0]),                             // madvise HWPOISON
        (25, [DATA, 0x1000, 0x2000, 1, 0, 0]),                          // mremap
        (27, [DATA, 0x1000, DATA, 0, 0, 0]),                            // mincore
        (323, [0; 6]),                                                  // userfaultfd
        (425, [1, DATA, 0, 0, 0, 0]),                                   // io_uring_setup
        (0x4000_0000 | 9, [0x1000_0000, 0x1000, 3, 0x32, u64::MAX, 0]), // x32 mmap
        (0x4000_0000 | 59, [CODE, 0, 0, 0, 0, 0]),                      // x32 execve
        (1 << 32 | 59, [CODE, 0, 0, 0, 0, 0]),                          // high bits, which the host cuts off
    ] {
        refused(platform, number, args);
    }
}

fn every_other_number_is_refused(platform: &dyn Platform) {
    // futex, mmap, munmap, mprotect, close, madvise, sigaltstack, prctl: allowed in part. exit_group ends the guest.
    // uretprobe, uprobe: no filter sees them, they raise SIGILL.
    let allowed = [202, 9, 11, 10, 3, 28, 131, 157, 231, 335, 336];
    let mut attacker = spawn(platform, CALL_RBX);
    for number in (0..600).filter(|n| !allowed.contains(n)) {
        let result = call(platform, &mut *attacker, number, [0; 6]);
        assert!(result.is_some_and(|r| REFUSED.contains(&r)), "call {number} gave {result:?}");
    }
}

fn mappings_stay_in_the_guests_part(platform: &dyn Platform) {
    const FIXED: u64 = 0x32;
    let mut attacker = spawn(platform, CALL_RBX);
    let mmap = |flags| move |addr: u64, len: u64| (9, [addr, len, 3, flags, u64::MAX, 0]);
    assert_eq!(call(platform, &mut *attacker, 9, mmap(FIXED)(0x1000_0000, 0x1000).1), Some(0x1000_0000));
    for (addr, len) in [
        (TEXT, 0x1000),
        (WINDOWS, 0x1000),
        (WINDOWS, WINDOWS_LEN),
        (STACKS, 0x1000),
        (TEXT - 0x1000, 0x2000),
        (0x7ffd_ffff_f000, 0x1_0000_0000),
        (0x7ffe_ffff_f000, 0x1_0000_0000),
        (0x7ffd_ffff_f000, 0x1_ffff_f000),
        (0x1000, 0x7fff_c000_0000),
        (0x1000, 0xffff_ffff_ffff_f000),
        (0xffff_ffff_ffff_f000, 0x2000),
        (0xffff_ffff_ffff_f000, 0x1000),
        (0x8000_0000_0000, 0x1000),
        (GUEST_MAX, 0x1_0000_0000),
    ] {
        for (number, args) in [
            mmap(FIXED)(addr, len),
            mmap(FIXED | 0x4000)(addr, len),
            (11, [addr, len, 0, 0, 0, 0]),
            (10, [addr, len, 7, 0, 0, 0]),
            (28, [addr, len, 4, 0, 0, 0]),
        ] {
            let result = call(platform, &mut *attacker, number, args);
            assert!(result.is_some_and(|r| r < 0), "call {number} {args:x?} gave {result:?}");
        }
    }
    // No shared, growing, locked or file mappings, no odd protections.
    for flags in [0x31, 0x22, 0x132, 0x2032, 0x8032, 0x12, 0x11, 0x4_0032, 0x10_0032, 1 << 32 | 0x32] {
        let (number, args) = mmap(flags)(0x1000_0000, 0x1000);
        let result = call(platform, &mut *attacker, number, args);
        assert!(result.is_some_and(|r| REFUSED.contains(&r)), "flags {flags:#x} gave {result:?}");
    }
    for prot in [8, 0x0100_0003, 0x0200_0003, 1 << 32 | 3] {
        let result = call(platform, &mut *attacker, 10, [DATA, 0x1000, prot, 0, 0, 0]);
        assert!(result.is_some_and(|r| REFUSED.contains(&r)), "prot {prot:#x} gave {result:?}");
    }
}

fn random_calls_with_interesting_arguments(platform: &dyn Platform) {
    let mut random = Random(0x5eed_5eed_5eed_5eed);
    let values = [
        0,
        1,
        3,
        5,
        7,
        9,
        0x11,
        0x12,
        0x32,
        0x4032,
        0x1000,
        0x2000,
        0x8011,
        0xffff_f000,
        1 << 32,
        CODE,
        DATA,
        DATA + 0xff0,
        0x1000_0000,
        GUEST_MAX - 0x1000,
        GUEST_MAX,
        0x7ffe_0000_0000,
        WINDOWS,
        WINDOWS_LEN,
        STACKS,
        TEXT,
        u64::MAX,
        0x8000_0000_0000,
        0xffff_ffff_ff60_0000,
    ];
    let numbers = [9, 10, 11, 28, 202, 3, 131, 157, 56, 60, 25, 26, 27, 15];
    let mut attacker = spawn(platform, CALL_RBX);
    let mut ended = 0;
    for _ in 0..3000 {
        let number = numbers[random.next() as usize % numbers.len()];
        let mut args = [0; 6].map(|_: u64| values[random.next() as usize % values.len()]);
        if number == 202 && args[1] == 0 {
            // FUTEX_WAIT on a matching word waits for ever, which is the guest's good right.
            args[2] = 12345;
        }
        if call(platform, &mut *attacker, number, args).is_none() {
            ended += 1;
            attacker = spawn(platform, CALL_RBX);
        }
    }
    print!("{ended} of 3000 calls ended their guest, ");
}

/// `1: mov eax, 56; mov edi, 17; xor esi, esi; call rbx; jmp 1b`
const CLONE_LOOP: &[u8] = &[0xb8, 56, 0, 0, 0, 0xbf, 17, 0, 0, 0, 0x31, 0xf6, 0xff, 0xd3, 0xeb, 0xf0];

fn a_flood_of_calls_does_not_stop_authorised_ones(platform: &dyn Platform) {
    let mut flood = spawn(platform, CLONE_LOOP);
    flood.regs_mut().rbx = crate::guest::gadget();
    let mut second = flood.clone_thread().unwrap();
    second.regs_mut().rsp = DATA + 0x8000;
    flood.resume();
    second.resume();
    let mut victim = spawn(platform, &[0x0f, 0x05]);
    crate::guest::run(platform, &mut *victim, std::time::Duration::from_secs(5));
    for _ in 0..20 {
        victim.sync(DATA, 0x1000, 4).unwrap();
        let child = victim.fork().unwrap();
        drop(child);
    }
}

/// `1: mov r8d, FD; call r12 with mmap(WINDOWS, all, RW, SHARED|FIXED, FD, 0); jmp 1b`, without and with close(FD).
fn thief(close: bool) -> Vec<u8> {
    let mut code = vec![];
    if close {
        code.extend_from_slice(&[0xb8, 3, 0, 0, 0, 0xbf, FD as u8, 0, 0, 0]);
    } else {
        code.extend_from_slice(&[0xb8, 9, 0, 0, 0, 0x48, 0xbf]);
        code.extend_from_slice(&WINDOWS.to_le_bytes());
        code.push(0xbe);
        code.extend_from_slice(&(WINDOWS_LEN as u32).to_le_bytes());
        code.extend_from_slice(&[
            0xba, 3, 0, 0, 0, 0x41, 0xba, 0x11, 0, 0, 0, 0x41, 0xb8, FD as u8, 0, 0, 0, 0x45, 0x31, 0xc9,
        ]);
    }
    code.extend_from_slice(&[0xff, 0xd3, 0xe9]);
    let back = -(code.len() as i32 + 4);
    code.extend_from_slice(&back.to_le_bytes());
    code
}

fn stealing_the_descriptor_of_a_mapping(platform: &dyn Platform) {
    let file = host::memory::memfd("victim", 0x4000).unwrap();
    let (mut worked, mut failed) = (0, 0);
    for close in [true, false] {
        for _ in 0..2 {
            let mut owner = spawn(platform, &thief(close));
            let mut thread = owner.clone_thread().unwrap();
            thread.regs_mut().rbx = crate::guest::gadget();
            thread.regs_mut().rsp = DATA + 0x8000;
            thread.resume();
            for _ in 0..20 {
                use std::os::fd::AsFd;
                let mapped =
                    owner.map_file(0x2000_0000, 0x4000, Prot::READ, platform::Sharing::Shared, file.as_fd(), 0).is_ok();
                let forked = owner.fork().is_ok();
                worked += usize::from(mapped) + usize::from(forked);
                failed += usize::from(!mapped) + usize::from(!forked);
                if owner.space().host_pid().is_none() {
                    break;
                }
            }
        }
    }
    print!("{worked} worked, {failed} failed, ");
}
