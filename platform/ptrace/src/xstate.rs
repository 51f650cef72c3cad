//! The extended state in signal-frame form: what `ptrace` gives, plus `sw_reserved` and the magic word at the end.
//!
//! `struct _fpx_sw_bytes` at byte 464: magic1, extended_size, xfeatures (64 bits), xstate_size; then padding to 512, where the
//! xsave header begins.

use host::cpu::ExtendedState;

const MAGIC1: u32 = 0x4650_5853;
const MAGIC2: u32 = 0x4650_5845;
/// Length of the `fxsave` image.
pub const LEGACY_LEN: usize = 512;
const HEADER_END: usize = LEGACY_LEN + 64;
const SW_RESERVED: usize = 464;
const FEATURES_LEGACY: u64 = 3;
const FEATURE_PKRU: u64 = 1 << 9;
/// What a fresh thread has in PKRU: access to key 0 only.
const PKRU_INITIAL: u32 = 0x5555_5554;

/// The form of the extended state in a signal frame and in the kernel's regset.
#[derive(Clone, Copy, Debug)]
pub struct Format {
    /// Bytes of an image in a frame, without the magic word that follows it.
    len: usize,
    /// Bytes of the kernel's regset: more where the processor has components that a process must ask for.
    pub regset_len: usize,
    features: u64,
    pkru_at: Option<usize>,
}

impl Format {
    /// The frame's form is the processor's, the regset's length is learned from a tracee.
    pub fn new(cpu: &ExtendedState, regset_len: usize) -> Option<Format> {
        let format = Format { len: cpu.len, regset_len, features: cpu.features, pkru_at: cpu.pkru_at };
        (cpu.len >= HEADER_END && cpu.len <= regset_len).then_some(format)
    }

    /// Bytes in a signal frame.
    pub fn frame_len(&self) -> usize {
        self.len + size_of_val(&MAGIC2)
    }

    /// The state of a fresh thread.
    pub fn initial(&self) -> Vec<u8> {
        let mut image = vec![0; self.regset_len];
        put(&mut image, 0, &0x37fu16.to_le_bytes());
        put(&mut image, 24, &0x1f80u32.to_le_bytes());
        let mut present = FEATURES_LEGACY;
        if let Some(at) = self.pkru_at {
            put(&mut image, at, &PKRU_INITIAL.to_le_bytes());
            present |= FEATURE_PKRU;
        }
        put(&mut image, LEGACY_LEN, &present.to_le_bytes());
        image
    }

    /// Makes a frame of an image that `ptrace` gave.
    pub fn frame_of(&self, mut image: Vec<u8>) -> Vec<u8> {
        image.truncate(self.len);
        put(&mut image, SW_RESERVED, &[0; LEGACY_LEN - SW_RESERVED]);
        put(&mut image, SW_RESERVED, &MAGIC1.to_le_bytes());
        put(&mut image, SW_RESERVED + 4, &(self.frame_len() as u32).to_le_bytes());
        put(&mut image, SW_RESERVED + 8, &self.features.to_le_bytes());
        put(&mut image, SW_RESERVED + 16, &(self.len as u32).to_le_bytes());
        // The legacy components are always written, so they are always said to be there (as the kernel does).
        let present = u64_at(&image, LEGACY_LEN).unwrap_or(0) | FEATURES_LEGACY;
        put(&mut image, LEGACY_LEN, &present.to_le_bytes());
        image.extend_from_slice(&MAGIC2.to_le_bytes());
        image
    }

    /// How many bytes of a frame count, by what its first [`LEGACY_LEN`] bytes claim: the whole with its magic word, or only
    /// the legacy part (as the kernel's `check_xstate_in_sigframe` decides).
    pub fn claimed_len(&self, legacy: &[u8]) -> usize {
        let claim = |at| u32_at(legacy, SW_RESERVED + at).unwrap_or(0);
        let (extended, size) = (claim(4) as usize, claim(16) as usize);
        let is_extended = claim(0) == MAGIC1 && size >= HEADER_END && size <= self.len && size <= extended;
        if is_extended { size + size_of_val(&MAGIC2) } else { LEGACY_LEN }
    }

    /// Makes an image for `ptrace` of a frame of [`Format::claimed_len`] bytes. What it claims to hold is left to the kernel
    /// to check, which refuses what the processor would.
    pub fn image_of(&self, frame: &[u8]) -> Vec<u8> {
        let mut image = vec![0; self.regset_len];
        let body = frame.len().saturating_sub(size_of_val(&MAGIC2));
        if frame.len() > LEGACY_LEN && u32_at(frame, body) == Some(MAGIC2) {
            let body = body.min(self.len);
            put(&mut image, 0, &frame[..body]);
            // XRSTOR loads only what both the frame's mask and the header name; the header's reserved part stays to be checked.
            let mask = u64_at(frame, SW_RESERVED + 8).unwrap_or(0);
            let present = u64_at(frame, LEGACY_LEN).unwrap_or(0);
            put(&mut image, LEGACY_LEN, &(present & (mask | !self.features)).to_le_bytes());
        } else {
            put(&mut image, 0, frame.get(..LEGACY_LEN).unwrap_or_default());
            put(&mut image, LEGACY_LEN, &FEATURES_LEGACY.to_le_bytes());
        }
        // The bytes that the kernel's regset does not interpret.
        put(&mut image, SW_RESERVED, &[0; LEGACY_LEN - SW_RESERVED]);
        image
    }
}

fn put(image: &mut [u8], at: usize, bytes: &[u8]) {
    if let Some(place) = image.get_mut(at..at + bytes.len()) {
        place.copy_from_slice(bytes);
    }
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from(u32_at(bytes, at)?) | u64::from(u32_at(bytes, at + 4)?) << 32)
}
