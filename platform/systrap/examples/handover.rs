//! Prints what a trip between guest and sentry costs, by SIGSYS and by a patched call site, and what the hands cost.
//!
//! Each batch is short, because a competing job steals whole scheduler ticks; trust the minima.

use platform::{Context, Event, Platform, Prot};
use std::task::{Context as WakeContext, Waker};
use std::time::Instant;
use systrap::{Config, Systrap};

const CODE: u64 = 0x40_0000;
const DATA: u64 = 0x50_0000;
const BATCHES: usize = 300;

fn guest(platform: &dyn Platform, code: &[u8]) -> Box<dyn Context> {
    let mut context = platform.spawn().expect("spawn");
    context.map_anonymous(CODE, 0x1000, Prot::READ_WRITE, false).unwrap();
    context.map_anonymous(DATA, 0x10_0000, Prot::READ_WRITE, false).unwrap();
    context.write(CODE, code).unwrap();
    context.protect(CODE, 0x1000, Prot::READ_EXEC).unwrap();
    context.regs_mut().rip = CODE;
    context.regs_mut().rsp = DATA + 0x8000;
    context
}

/// Minimum and median of nanoseconds per call over batches of `calls`.
fn time(name: &str, calls: u32, mut batch: impl FnMut()) {
    batch();
    let mut times: Vec<f64> = (0..BATCHES)
        .map(|_| {
            let start = Instant::now();
            batch();
            start.elapsed().as_nanos() as f64 / f64::from(calls)
        })
        .collect();
    times.sort_by(f64::total_cmp);
    println!("{name:44} {:8.0} / {:8.0} ns", times[0], times[BATCHES / 2]);
}

fn spin(context: &mut dyn Context) {
    context.resume();
    loop {
        if let Some(event) = context.spin_event(10_000) {
            assert_eq!(event, Ok(Event::Syscall));
            return;
        }
    }
}

fn sleep(platform: &dyn Platform, context: &mut dyn Context) {
    context.resume();
    context.will_block();
    let mut cx = WakeContext::from_waker(Waker::noop());
    while context.poll_event(&mut cx).is_pending() {
        platform.wait(None);
    }
}

fn main() {
    let platform = Systrap::new(Config::default()).expect("start systrap");
    let platform = &*platform;
    // syscall; jmp back
    let mut trap = guest(platform, &[0x0f, 0x05, 0xeb, 0xfc]);
    // mov eax, 39; lea rcx, [rip+13]; mov r11, entry; jmp r11; jmp back
    let mut patched = vec![0xb8, 39, 0, 0, 0, 0x48, 0x8d, 0x0d, 13, 0, 0, 0, 0x49, 0xbb];
    patched.extend_from_slice(&platform.layout().syscall_entry.unwrap().to_le_bytes());
    patched.extend_from_slice(&[0x41, 0xff, 0xe3, 0xeb, 0xe5]);
    let mut patched = guest(platform, &patched);

    time("SIGSYS, both sides spin", 100, || (0..100).for_each(|_| spin(&mut *trap)));
    time("patched, both sides spin", 1000, || (0..1000).for_each(|_| spin(&mut *patched)));
    time("patched, both sides sleep", 20, || (0..20).for_each(|_| sleep(platform, &mut *patched)));
    spin(&mut *trap);
    for size in [8, 1024, 4096, 16384, 65536] {
        let mut buf = vec![0; size];
        time(&format!("read of {size} bytes"), 100, || (0..100).for_each(|_| trap.read(DATA, &mut buf).unwrap()));
        time(&format!("write of {size} bytes"), 100, || (0..100).for_each(|_| trap.write(DATA, &buf).unwrap()));
        let space = trap.space();
        time(&format!("process_vm_readv of {size} bytes"), 100, || {
            (0..100).for_each(|_| space.read(DATA, &mut buf).unwrap())
        });
        time(&format!("process_vm_writev of {size} bytes"), 100, || {
            (0..100).for_each(|_| space.write(DATA, &buf).unwrap())
        });
    }
    time("compare and swap", 100, || (0..100).for_each(|_| trap.compare_exchange(DATA, 0, 0).map_or((), drop)));
    time("a pointer to nothing", 20, || (0..20).for_each(|_| assert!(trap.read(0x20_0000, &mut [0; 8]).is_err())));
    time("map and unmap 64 KiB", 20, || {
        for _ in 0..20 {
            trap.map_anonymous(0x1000_0000, 0x1_0000, Prot::READ_WRITE, false).unwrap();
            trap.unmap(0x1000_0000, 0x1_0000).unwrap();
        }
    });
    time("an authorised call (msync)", 10, || (0..10).for_each(|_| trap.sync(DATA, 4096, 4).unwrap()));
    time("fork and drop", 1, || drop(trap.fork().unwrap()));
    time("thread and drop", 1, || drop(trap.clone_thread().unwrap()));
    time("spawn, first call, drop", 1, || {
        let mut context = guest(platform, &[0x0f, 0x05]);
        spin(&mut *context);
    });
}
