//! How long to spin: as long as it pays.
//!
//! A spin that ends with what was waited for restores the full time, one that does not halves it, down to none. So two
//! sides that share one CPU soon sleep at once instead of keeping each other from running; every sixteenth time a full
//! spin tries whether that has changed.

use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

/// Shorter spins are not worth the look at the clock.
const LEAST_NS: u32 = 1_000;
const PROBE_EVERY: u32 = 16;

/// An adaptive spin, for any number of threads.
#[derive(Debug)]
pub struct Patience {
    full_ns: u32,
    now_ns: AtomicU32,
    turns: AtomicU32,
}

impl Patience {
    /// Spins `full` at the most.
    pub fn new(full: Duration) -> Patience {
        let full_ns = u32::try_from(full.as_nanos()).unwrap_or(u32::MAX);
        Patience { full_ns, now_ns: AtomicU32::new(full_ns), turns: AtomicU32::new(1) }
    }

    /// Spins until `is_ready`, or until patience is at its end; which of the two.
    pub fn spin(&self, mut is_ready: impl FnMut() -> bool) -> bool {
        if is_ready() {
            return true;
        }
        let mut limit = self.now_ns.load(Relaxed);
        if limit < LEAST_NS && self.turns.fetch_add(1, Relaxed).is_multiple_of(PROBE_EVERY) {
            limit = self.full_ns;
        }
        if limit < LEAST_NS {
            return false;
        }
        let (start, limit) = (Instant::now(), Duration::from_nanos(limit.into()));
        loop {
            for _ in 0..16 {
                if is_ready() {
                    self.now_ns.store(self.full_ns, Relaxed);
                    return true;
                }
                std::hint::spin_loop();
            }
            if start.elapsed() >= limit {
                self.now_ns.store(self.now_ns.load(Relaxed) / 2, Relaxed);
                return false;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fruitless_spins_become_shorter_and_a_fruitful_one_restores_them() {
        let patience = Patience::new(Duration::from_micros(64));
        for _ in 0..6 {
            assert!(!patience.spin(|| false));
        }
        assert_eq!(patience.now_ns.load(Relaxed), 1_000);
        assert!(!patience.spin(|| false));
        let mut looks = 0;
        assert!(!patience.spin(|| {
            looks += 1;
            false
        }));
        assert_eq!(looks, 1, "no spin is left");
        for _ in 0..PROBE_EVERY {
            let mut looks = 0;
            patience.spin(|| {
                looks += 1;
                looks > 3
            });
        }
        assert_eq!(patience.now_ns.load(Relaxed), 64_000);
    }
}
