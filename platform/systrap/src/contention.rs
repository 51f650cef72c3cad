//! Notices when other work wants the CPUs, so that spinning is given up for a while.
//!
//! Spinning pays when both sides of a hand-over have a CPU each. When the machine is busy a spinner only keeps the other side
//! from running: 300 µs a trip were measured, against 50 when both sleep. The evidence is a spinner that lost its CPU: a gap
//! between two looks.

use std::arch::asm;
use std::arch::x86_64::{__cpuid_count, _rdtsc};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

/// A gap this long was another task, not an interrupt.
const GAP_US: u64 = 300;
/// For how long spinning is given up: the first time, and when it proves necessary again and again.
const LEAST_US: u64 = 10_000;
const MOST_US: u64 = 320_000;

/// What is known about the competition for CPUs. Times are of the processor's counter.
#[derive(Debug)]
pub struct Contention {
    ticks_per_us: u64,
    /// Nanoseconds of one `pause`: 10 to 60, by processor.
    pause_ns: u64,
    until: AtomicU64,
    length_us: AtomicU64,
}

fn ticks() -> u64 {
    // SAFETY: every x86-64 processor has the counter, and Linux lets programs read it unless they forbid it themselves.
    unsafe { _rdtsc() }
}

/// The CPU that this runs on, as the vDSO finds it.
pub fn current_cpu() -> u32 {
    static HAS_RDPID: LazyLock<bool> = LazyLock::new(|| __cpuid_count(7, 0).ecx & 1 << 22 != 0);
    let number: u64;
    // SAFETY: the processor has the one instruction; the other reads the limit of a segment that Linux keeps for that, and
    // leaves the register alone where there is none.
    unsafe {
        if *HAS_RDPID {
            asm!("rdpid {}", out(reg) number, options(nomem, nostack, preserves_flags));
        } else {
            asm!("lsl {0:e}, {0:e}", inout(reg) 0x7b_u64 => number, options(nomem, nostack));
        }
    }
    number as u32 & 0xfff
}

/// Whether the thread that last woke up on `cpu` (see [`crate::window::Window::cpu`]) and the caller share a CPU. Then neither
/// can wait for the other in a loop: it would only keep it from running, 100 µs at a time, where two sleepers need 5.
pub fn shares_cpu(cpu: u32) -> bool {
    cpu == current_cpu() + 1
}

impl Contention {
    /// Measures the counter and `pause`.
    pub fn new() -> Contention {
        const PAUSES: u64 = 500;
        let measure = |_| {
            let (start, first) = (Instant::now(), ticks());
            (0..PAUSES).for_each(|_| std::hint::spin_loop());
            let elapsed = ticks() - first;
            (start.elapsed().as_nanos() as u64, elapsed)
        };
        let (ns, elapsed) = (0..5).map(measure).min().unwrap_or((1, 1));
        Contention {
            ticks_per_us: (elapsed * 1000 / ns.max(1)).max(1),
            pause_ns: (ns / PAUSES).max(1),
            until: AtomicU64::new(0),
            length_us: AtomicU64::new(LEAST_US),
        }
    }

    /// How many looks with a pause each take `us` microseconds.
    pub fn pauses(&self, us: u32) -> u32 {
        (u64::from(us) * 1000 / self.pause_ns) as u32
    }

    /// Whether spinning does not pay at present.
    pub fn present(&self) -> bool {
        let until = self.until.load(Relaxed);
        until != 0 && ticks() < until
    }

    /// A spinner's clock.
    pub fn watch(&self) -> Watch {
        Watch { gap: GAP_US * self.ticks_per_us, last: ticks() }
    }

    /// A spinner has lost its CPU for a while.
    #[cold]
    pub fn note(&self) {
        let now = ticks();
        let (until, length) = (self.until.load(Relaxed), self.length_us.load(Relaxed));
        // Soon after the last time: it has not ended. Long after: this is something new.
        let soon = now.saturating_sub(until) < length * self.ticks_per_us;
        let length = if until != 0 && soon { (length * 2).min(MOST_US) } else { LEAST_US };
        self.length_us.store(length, Relaxed);
        self.until.store(now + length * self.ticks_per_us, Relaxed);
    }
}

/// Looks for gaps while somebody spins.
pub struct Watch {
    gap: u64,
    last: u64,
}

impl Watch {
    /// Called at each look; `true` when the spinner has lost its CPU since the last.
    #[inline]
    pub fn gap(&mut self) -> bool {
        let now = ticks();
        let gap = now.saturating_sub(self.last);
        self.last = now;
        gap > self.gap
    }
}
