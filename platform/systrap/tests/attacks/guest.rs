//! Guests for attacks: one that makes host calls through the stub's own `syscall` instruction, and a patient event loop.

use platform::{Context, Error, Event, Platform, Prot};
use std::task::{Context as WakeContext, Poll, Waker};
use std::time::{Duration, Instant};
use systrap_stub::layout::TEXT;

pub const CODE: u64 = 0x40_0000;
pub const DATA: u64 = 0x50_0000;
/// The number of the call by which the attacker reports a result in rdi.
pub const REPORT: u64 = 1000;

/// `call rbx; mov rdi, rax; mov eax, REPORT; syscall`
pub const CALL_RBX: &[u8] = &[0xff, 0xd3, 0x48, 0x89, 0xc7, 0xb8, 0xe8, 0x03, 0, 0, 0x0f, 0x05];

static STUB: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/stub.bin"));

/// Address of a `syscall; ret` in the stub's text.
pub fn gadget() -> u64 {
    let at = STUB.windows(3).position(|w| w == [0x0f, 0x05, 0xc3]).expect("syscall; ret in the stub");
    TEXT + at as u64
}

/// A space with code at [`CODE`] and 64 KiB of data at [`DATA`].
pub fn spawn(platform: &dyn Platform, code: &[u8]) -> Box<dyn Context> {
    let mut context = platform.spawn().expect("spawn");
    context.map_anonymous(CODE, 0x1000, Prot { read: true, write: true, exec: true }, false).unwrap();
    context.map_anonymous(DATA, 0x1_0000, Prot::READ_WRITE, false).unwrap();
    context.write(CODE, code).unwrap();
    context.regs_mut().rip = CODE;
    context.regs_mut().rsp = DATA + 0x1_0000;
    context
}

/// What became of a run.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    Event(Event),
    Gone,
    /// It resists interruption; its process has been killed.
    Stuck,
}

/// Resumes and waits for an event, interrupts after `patience`, kills after twice that.
pub fn run(platform: &dyn Platform, context: &mut dyn Context, patience: Duration) -> Outcome {
    context.resume();
    wait(platform, context, patience)
}

/// The same for one that runs already.
pub fn wait(platform: &dyn Platform, context: &mut dyn Context, patience: Duration) -> Outcome {
    let start = Instant::now();
    let mut interrupted = false;
    loop {
        match context.poll_event(&mut WakeContext::from_waker(Waker::noop())) {
            Poll::Ready(Ok(event)) => return Outcome::Event(event),
            Poll::Ready(Err(Error::Gone)) => return Outcome::Gone,
            Poll::Ready(Err(error)) => panic!("{error}"),
            Poll::Pending => {}
        }
        if start.elapsed() > patience && !interrupted {
            interrupted = true;
            context.interrupter().interrupt();
        }
        if start.elapsed() > patience * 2 {
            context.space().kill();
            return Outcome::Stuck;
        }
        platform.wait(Some(Duration::from_millis(5)));
        platform.poll();
    }
}

/// Has the attacker make one host call; `None` when that did not come back.
pub fn call(platform: &dyn Platform, context: &mut dyn Context, number: u64, args: [u64; 6]) -> Option<i64> {
    let regs = context.regs_mut();
    (regs.rip, regs.rbx, regs.rax, regs.rsp) = (CODE, gadget(), number, DATA + 0x1_0000);
    [regs.rdi, regs.rsi, regs.rdx, regs.r10, regs.r8, regs.r9] = args;
    let outcome = run(platform, context, Duration::from_millis(500));
    (outcome == Outcome::Event(Event::Syscall) && context.regs().rax == REPORT).then(|| context.regs().rdi as i64)
}

/// An innocent guest still runs.
pub fn platform_serves(platform: &dyn Platform) {
    let mut context = spawn(platform, &[0x0f, 0x05]);
    context.regs_mut().rax = 39;
    assert_eq!(run(platform, &mut *context, Duration::from_secs(5)), Outcome::Event(Event::Syscall));
    let mut child = context.fork().expect("fork");
    child.regs_mut().rip = CODE;
    assert_eq!(run(platform, &mut *child, Duration::from_secs(5)), Outcome::Event(Event::Syscall));
}

/// Numbers that look random and are the same in every run.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}
