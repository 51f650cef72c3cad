//! A small seeded generator of numbers (SplitMix64): the same seed gives the same sequence on every machine and version.

/// The generator.
pub struct Random(u64);

impl Random {
    /// Starts from `seed` and the name of a family, so that families do not repeat each other.
    pub fn new(seed: u64, family: &str) -> Random {
        Random(family.bytes().fold(seed, |state, byte| state.wrapping_mul(0x100_0000_01b3) ^ u64::from(byte)))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    /// A number below `bound` (0 when there is none).
    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    /// One of `list`.
    pub fn pick<'a>(&mut self, list: &[&'a str]) -> &'a str {
        list.get(self.below(list.len())).copied().unwrap_or("")
    }
}
