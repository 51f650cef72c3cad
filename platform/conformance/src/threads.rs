//! Threads that share a space, and forks that copy it.

use crate::Case;
use crate::guest::{CODE, DATA, Guest, read_word, wait_event};
use platform::{Event, Platform, Prot};

pub const CASES: &[Case] = &[
    (
        "a_thread_shares_memory_and_starts_with_the_same_registers",
        a_thread_shares_memory_and_starts_with_the_same_registers,
    ),
    ("threads_run_at_the_same_time", threads_run_at_the_same_time),
    ("a_thread_outlives_the_first_context", a_thread_outlives_the_first_context),
    ("mappings_by_one_thread_are_seen_by_the_other", mappings_by_one_thread_are_seen_by_the_other),
    ("a_fork_copies_memory_and_registers", a_fork_copies_memory_and_registers),
    ("a_fork_of_a_thread_and_of_a_fork", a_fork_of_a_thread_and_of_a_fork),
    ("a_fork_outlives_its_parent", a_fork_outlives_its_parent),
    ("compare_exchange_is_atomic_against_running_threads", compare_exchange_is_atomic_against_running_threads),
];

// mov [rdi], esi; syscall; jmp back
const STORE_AND_CALL: &[u8] = &[0x89, 0x37, 0x0f, 0x05, 0xeb, 0xfa];

fn a_thread_shares_memory_and_starts_with_the_same_registers(platform: &dyn Platform) {
    let mut guest = Guest::new(platform, STORE_AND_CALL);
    (guest.context.regs_mut().rdi, guest.context.regs_mut().rsi, guest.context.regs_mut().r15) = (DATA, 1, 0xabc);
    assert_eq!(guest.run(), Event::Syscall);
    let mut thread = guest.context.clone_thread().unwrap();
    assert_eq!(thread.regs(), guest.context.regs());
    assert_eq!(thread.space().id(), guest.context.space().id());
    (thread.regs_mut().rdi, thread.regs_mut().rsi, thread.regs_mut().fs_base) = (DATA + 4, 2, DATA + 0x100);
    thread.resume();
    assert_eq!(wait_event(platform, &mut *thread), Ok(Event::Syscall));
    assert_eq!((thread.regs().r15, thread.regs().fs_base), (0xabc, DATA + 0x100));
    assert_eq!((guest.word(DATA), guest.word(DATA + 4)), (1, 2));
    assert_eq!(guest.run(), Event::Syscall);
    assert_ne!(guest.context.regs().fs_base, DATA + 0x100);
}

fn threads_run_at_the_same_time(platform: &dyn Platform) {
    // One spins until the other has stored: cmp dword [rdi], 0; je back; syscall
    let mut guest = Guest::new(platform, &[0x83, 0x3f, 0x00, 0x74, 0xfb, 0x0f, 0x05]);
    guest.context.regs_mut().rdi = DATA;
    let mut threads: Vec<_> = (0..5).map(|_| guest.context.clone_thread().unwrap()).collect();
    for thread in &mut threads {
        thread.resume();
    }
    guest.context.write(DATA, &[1]).unwrap();
    for thread in &mut threads {
        assert_eq!(wait_event(platform, &mut **thread), Ok(Event::Syscall));
    }
    assert_eq!(guest.run(), Event::Syscall);
}

fn a_thread_outlives_the_first_context(platform: &dyn Platform) {
    let mut guest = Guest::new(platform, STORE_AND_CALL);
    let mut thread = guest.context.clone_thread().unwrap();
    drop(guest);
    thread.regs_mut().rdi = DATA;
    thread.regs_mut().rsi = 7;
    thread.resume();
    assert_eq!(wait_event(platform, &mut *thread), Ok(Event::Syscall));
    assert_eq!(read_word(&mut *thread, DATA), 7);
    thread.map_anonymous(0x7000_0000, 0x1000, Prot::READ_WRITE, false).unwrap();
    let mut second = thread.clone_thread().unwrap();
    drop(thread);
    second.write(0x7000_0000, &[1]).unwrap();
    let mut bytes = [0];
    second.space().read(0x7000_0000, &mut bytes).expect("the space is reached after its first thread has left");
    let mut child = second.fork().unwrap();
    child.read(0x7000_0000, &mut bytes).unwrap();
    assert_eq!(bytes, [1]);
}

fn mappings_by_one_thread_are_seen_by_the_other(platform: &dyn Platform) {
    let mut guest = Guest::new(platform, STORE_AND_CALL);
    let mut thread = guest.context.clone_thread().unwrap();
    guest.context.map_anonymous(0x7000_0000, 0x1000, Prot::READ_WRITE, false).unwrap();
    thread.regs_mut().rdi = 0x7000_0000;
    thread.regs_mut().rsi = 3;
    thread.resume();
    assert_eq!(wait_event(platform, &mut *thread), Ok(Event::Syscall));
    assert_eq!(guest.word(0x7000_0000), 3);
}

fn a_fork_copies_memory_and_registers(platform: &dyn Platform) {
    let mut guest = Guest::new(platform, STORE_AND_CALL);
    (guest.context.regs_mut().rdi, guest.context.regs_mut().rsi, guest.context.regs_mut().rbx) = (DATA, 1, 0xb0b);
    assert_eq!(guest.run(), Event::Syscall);
    let mut child = guest.context.fork().unwrap();
    assert_eq!(child.regs(), guest.context.regs());
    assert_ne!(child.space().id(), guest.context.space().id());
    assert_eq!(read_word(&mut *child, DATA), 1);
    child.regs_mut().rsi = 2;
    child.resume();
    assert_eq!(wait_event(platform, &mut *child), Ok(Event::Syscall));
    assert_eq!(child.regs().rip, CODE + 4);
    assert_eq!((read_word(&mut *child, DATA), guest.word(DATA)), (2, 1));
    guest.context.regs_mut().rsi = 3;
    assert_eq!(guest.run(), Event::Syscall);
    assert_eq!((read_word(&mut *child, DATA), guest.word(DATA)), (2, 3));
    assert_eq!((child.regs().rbx, guest.context.regs().rbx), (0xb0b, 0xb0b));
    child.map_anonymous(0x7000_0000, 0x1000, Prot::READ, false).unwrap();
    assert!(guest.context.read(0x7000_0000, &mut [0; 1]).is_err());
}

fn a_fork_of_a_thread_and_of_a_fork(platform: &dyn Platform) {
    let mut guest = Guest::new(platform, STORE_AND_CALL);
    guest.context.regs_mut().rdi = DATA;
    let mut thread = guest.context.clone_thread().unwrap();
    let mut child = thread.fork().unwrap();
    let mut grandchild = child.fork().unwrap();
    let mut childs_thread = child.clone_thread().unwrap();
    for (i, context) in [&mut thread, &mut child, &mut grandchild, &mut childs_thread].into_iter().enumerate() {
        context.regs_mut().rsi = 10 + i as u64;
        context.resume();
        assert_eq!(wait_event(platform, &mut **context), Ok(Event::Syscall));
    }
    assert_eq!(guest.word(DATA), 10);
    assert_eq!(read_word(&mut *child, DATA), 13);
    assert_eq!(read_word(&mut *grandchild, DATA), 12);
}

fn a_fork_outlives_its_parent(platform: &dyn Platform) {
    let mut guest = Guest::new(platform, STORE_AND_CALL);
    guest.context.regs_mut().rdi = DATA;
    for generation in 1..=20 {
        guest.context = guest.context.fork().unwrap();
        guest.context.regs_mut().rip = CODE;
        guest.context.regs_mut().rsi = generation;
        assert_eq!(guest.run(), Event::Syscall);
        assert_eq!(u64::from(guest.word(DATA)), generation);
    }
}

fn compare_exchange_is_atomic_against_running_threads(platform: &dyn Platform) {
    // The guest adds 2 atomically until rcx is 0: lock add dword [rdi], 2; dec rcx; jnz back; syscall
    let code = [0xf0, 0x83, 0x07, 0x02, 0x48, 0xff, 0xc9, 0x75, 0xf7, 0x0f, 0x05];
    let mut guest = Guest::new(platform, &code);
    let mut thread = guest.context.clone_thread().unwrap();
    let rounds = 20_000_000;
    (thread.regs_mut().rdi, thread.regs_mut().rcx) = (DATA, rounds);
    thread.resume();
    let mut added = 0;
    while added < 200 {
        let old = guest.word(DATA);
        if guest.context.compare_exchange(DATA, old, old.wrapping_add(1)) == Ok(old) {
            added += 1;
        }
        if u64::from(old) >= 2 * rounds {
            break;
        }
    }
    assert_eq!(wait_event(platform, &mut *thread), Ok(Event::Syscall));
    assert_eq!(u64::from(guest.word(DATA)), 2 * rounds + added);
}
