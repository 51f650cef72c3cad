//! Where things lie in a stub process.
//!
//! The guest owns everything below [`GUEST_MAX`]. The filter lets the stub map and unmap `[addr, addr + len)` when
//! `(addr >> 32) + (len >> 32) < RANGE_HIGH`; the end of such a range is below `(RANGE_HIGH + 1) << 32`, which is where
//! the stub's own region begins. Every range below `GUEST_MAX` passes that check.

/// One past the highest address of the guest.
pub const GUEST_MAX: u64 = 0x7ffd_ffff_f000;
/// Lowest address of the guest.
pub const GUEST_MIN: u64 = 0x1_0000;
/// What the filter compares the sum of the high halves of address and length with.
pub const RANGE_HIGH: u64 = 0x7ffe;
/// The vDSO and its data pages are moved to end here.
pub const VDSO_END: u64 = 0x7ffd_fff0_0000;

/// The stub's own region.
pub const REGION: u64 = 0x7fff_0000_0000;
/// The high half of every address in the region.
pub const REGION_HIGH: u64 = 0x7fff;

/// The windows of an address space, one a slot; shared with the sentry.
pub const WINDOWS: u64 = 0x7fff_4000_0000;
/// Stride of the windows and of the private stacks.
pub const SLOT: u64 = 0x2_0000;
/// Host threads a stub process can have.
pub const SLOTS: usize = 4096;
/// Length of all windows.
pub const WINDOWS_LEN: u64 = SLOT * SLOTS as u64;
/// The private (copied by fork) stacks, at the same stride.
pub const STACKS: u64 = WINDOWS + WINDOWS_LEN;
/// From a window to its stacks.
pub const STACK_DELTA: u64 = STACKS - WINDOWS;
/// Signal stack within a slot of [`STACKS`].
pub const ALT_STACK: u64 = 0x2000;
/// Length of the signal stack: room for three nested frames with AVX-512 state.
pub const ALT_STACK_LEN: u64 = 0x8000;
/// Top of the stack that the stub serves on, within a slot of [`STACKS`].
pub const STACK_TOP: u64 = 0x1_0000;
/// Bytes in transit, within a window.
pub const DATA: u64 = 0x1000;
/// Length of the data area.
pub const DATA_LEN: u64 = SLOT - DATA;

/// Bytes that the stub copies before a hand-over lie at the end of the data area, behind a list of what they are.
pub const PREFETCH: u64 = DATA_LEN - PREFETCH_LEN;
/// Length of that part, the list included.
pub const PREFETCH_LEN: u64 = 0x4000;
/// Ranges in the list at the most.
pub const PREFETCH_MAX: usize = 4;
/// Longest range.
pub const PREFETCH_RANGE: u64 = 0xf00;
/// What of a string is copied at once (less at a page border), as the sentry reads strings.
pub const PREFETCH_STRING: u64 = 256;

/// The stub's text.
pub const TEXT: u64 = 0x7fff_c000_0000;
/// Length of the text that stays.
pub const RUN_LEN: u64 = 0x6000;
/// Length of all text, set-up included.
pub const TEXT_LEN: u64 = 0x8000;
/// Text for set-up; the filter trusts it, and it is unmapped before guest code runs.
pub const SETUP_TEXT: u64 = TEXT + RUN_LEN;
/// Stack of the zygote and of set-up, unmapped together with the set-up text.
pub const SETUP_STACK: u64 = TEXT + TEXT_LEN;
/// Length of that stack.
pub const SETUP_STACK_LEN: u64 = 0x8000;
/// What leaves at the end of set-up.
pub const SETUP_LEN: u64 = TEXT_LEN - RUN_LEN + SETUP_STACK_LEN;

/// The doorbell: a page the stub can only read (how many sentry threads sleep), then one it can write (the futex word).
pub const DOORBELL: u64 = TEXT + 0x1_0000;
/// Length of the doorbell.
pub const DOORBELL_LEN: u64 = 0x2000;
/// The futex word within the doorbell.
pub const DOORBELL_WORD: u64 = 0x1000;

/// Descriptor under which the sentry installs a file for one `mmap`.
pub const FD: u64 = 5;
/// Descriptor of the zygote's and the set-up's socket.
pub const SOCKET: u64 = 3;

/// The signal by which the sentry interrupts guest code (SIGUSR1). Not a real-time one: those queue, and a thread that was
/// off its CPU for a while would find a frame for each of them on its signal stack.
pub const INTERRUPT: u32 = 10;

/// Words at the start of the text: magic, then offsets of the entry points from the start.
pub mod header {
    /// First word.
    pub const MAGIC: u32 = 0x5042_5553;
    /// Word index: the entry that patched sites jump to.
    pub const SYSCALL_ENTRY: usize = 1;
    /// Word index: the zygote's entry.
    pub const ZYGOTE_ENTRY: usize = 2;
    /// Words in the header.
    pub const WORDS: usize = 4;
}

/// Ranges in [`Boot::vdso`] at the most.
pub const BOOT_RANGES: usize = 2;

/// One mapping.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct BootRange {
    /// First byte.
    pub start: u64,
    /// Bytes; 0 for an unused entry.
    pub len: u64,
}

/// What the zygote is started with, at the bottom of its first stack.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Boot {
    /// The data pages of the vDSO and its code where they are now, in rising order.
    pub vdso: [BootRange; BOOT_RANGES],
    /// First byte of the temporary copy of text and stack.
    pub temporary: u64,
    /// Its length.
    pub temporary_len: u64,
    /// Memory file with the text.
    pub text_fd: u64,
    /// Memory file with the doorbell.
    pub doorbell_fd: u64,
    /// The zygote's end of its socket.
    pub socket_fd: u64,
    /// Instructions in `filter`.
    pub filter_len: u64,
    /// The seccomp filter.
    pub filter: [u64; 160],
}
