//! What the stub copies before a hand-over is what the sentry reads, until something changes it.

use platform::{Event, Platform, Prot};
use platform_conformance::{CODE, DATA, Guest};

fn main() {
    let platform = systrap::Systrap::new(systrap::Config::default()).expect("start systrap");
    snapshots_are_served_until_the_sentry_writes(&*platform);
    strings_at_the_end_of_memory_are_read(&*platform);
    pointers_to_nothing_are_faults(&*platform);
    println!("prefetch: 3 cases passed");
}

const WRITE: u64 = 1;
const OPEN: u64 = 2;

fn call(guest: &mut Guest<'_>, number: u64, args: [u64; 3]) {
    let regs = guest.context.regs_mut();
    (regs.rip, regs.rax, regs.rdi, regs.rsi, regs.rdx) = (CODE, number, args[0], args[1], args[2]);
    assert_eq!(guest.run(), Event::Syscall);
}

fn snapshots_are_served_until_the_sentry_writes(platform: &dyn Platform) {
    let mut guest = Guest::new(platform, &[0x0f, 0x05]);
    guest.context.write(DATA, b"first").unwrap();
    call(&mut guest, WRITE, [1, DATA, 5]);
    // Changed behind the context's back: the snapshot of the call is what counts.
    guest.context.space().write(DATA, b"other").unwrap();
    let mut buf = [0; 5];
    guest.context.read(DATA, &mut buf).unwrap();
    assert_eq!(&buf, b"first", "served from what the stub had copied");
    guest.context.read(DATA + 2, &mut buf[..2]).unwrap();
    assert_eq!(&buf[..2], b"rs");
    let mut longer = [0; 6];
    guest.context.read(DATA, &mut longer).unwrap();
    assert_eq!(&longer, b"other\0", "more than was copied is fetched");
    guest.context.write(DATA, b"third").unwrap();
    guest.context.read(DATA, &mut buf).unwrap();
    assert_eq!(&buf, b"third", "a write makes it void");
    call(&mut guest, WRITE, [1, DATA, 5]);
    guest.context.space().write(DATA, b"fresh").unwrap();
    guest.context.will_block();
    guest.context.read(DATA, &mut buf).unwrap();
    assert_eq!(&buf, b"fresh", "after a sleep memory is read anew");
}

fn strings_at_the_end_of_memory_are_read(platform: &dyn Platform) {
    let mut guest = Guest::new(platform, &[0x0f, 0x05]);
    guest.context.map_anonymous(0x7000_0000, 0x1000, Prot::READ_WRITE, false).unwrap();
    guest.context.write(0x7000_0ffa, b"/path\0").unwrap();
    call(&mut guest, OPEN, [0x7000_0ffa, 0, 0]);
    let mut buf = [0; 6];
    guest.context.read(0x7000_0ffa, &mut buf).unwrap();
    assert_eq!(&buf, b"/path\0");
    let fault = guest.context.read(0x7000_0ffa, &mut [0; 7]).unwrap_err();
    assert_eq!(fault.done, 6);
}

fn pointers_to_nothing_are_faults(platform: &dyn Platform) {
    let mut guest = Guest::new(platform, &[0x0f, 0x05]);
    for address in [8, 0x7000_0000, u64::MAX - 3, 0x7fff_4000_0000, 0x8000_0000_0000] {
        call(&mut guest, OPEN, [address, 0, 0]);
        assert!(guest.context.read(address, &mut [0; 4]).is_err(), "{address:#x}");
        call(&mut guest, WRITE, [1, address, 4]);
        assert!(guest.context.read(address, &mut [0; 4]).is_err(), "{address:#x}");
    }
}
