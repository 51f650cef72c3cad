//! What the processor says about itself: extended state (`CPUID` leaf 0xd), capabilities for the auxiliary vector.

use core::arch::x86_64::__cpuid_count;

/// Components that the kernel gives a process only on request (AMX).
const DYNAMIC: u64 = 1 << 17 | 1 << 18;

/// The components of the standard `xsave` image that every process may use, and where they lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExtendedState {
    /// Component bits, as in XCR0.
    pub features: u64,
    /// Bytes of an image with all of them: legacy part, header, components.
    pub len: usize,
    /// Where PKRU lies.
    pub pkru_at: Option<usize>,
}

/// Asks the processor. Without `xsave` this is the 512-byte legacy part and an empty header.
#[allow(unused_unsafe, reason = "CPUID is safe to ask for in newer versions of the language")]
pub fn extended_state() -> ExtendedState {
    // SAFETY: every x86-64 processor has CPUID; a leaf it does not know gives numbers without meaning to us.
    let leaf = |sub| unsafe { __cpuid_count(0xd, sub) };
    // SAFETY: as above.
    let has_xsave = unsafe { __cpuid_count(0, 0) }.eax >= 0xd && unsafe { __cpuid_count(1, 0) }.ecx & 1 << 27 != 0;
    let mut state = ExtendedState { features: 3, len: 576, pkru_at: None };
    if !has_xsave {
        return state;
    }
    let main = leaf(0);
    state.features = (u64::from(main.eax) | u64::from(main.edx) << 32) & !DYNAMIC;
    for component in (2..63).filter(|c| state.features & 1 << c != 0) {
        let sub = leaf(component);
        state.len = state.len.max(sub.ebx as usize + sub.eax as usize);
        if component == 9 {
            state.pkru_at = Some(sub.ebx as usize);
        }
    }
    state
}

/// `AT_HWCAP`: the features of CPUID leaf 1, EDX.
pub fn hwcap() -> u64 {
    auxiliary(libc::AT_HWCAP)
}

/// `AT_HWCAP2`: features that a kernel enables.
pub fn hwcap2() -> u64 {
    auxiliary(libc::AT_HWCAP2)
}

fn auxiliary(key: libc::c_ulong) -> u64 {
    // SAFETY: the function only looks a number up.
    unsafe { libc::getauxval(key) }
}
