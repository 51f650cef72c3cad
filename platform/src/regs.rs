//! The integer registers of a guest thread.

/// What a thread has in its registers, without the extended (FPU, SSE, AVX) state, which stays with the platform.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
#[allow(missing_docs, reason = "the names are the architecture's")]
pub struct Regs {
    pub rax: u64,
    pub rbx: u64,
    pub rcx: u64,
    pub rdx: u64,
    pub rsi: u64,
    pub rdi: u64,
    pub rbp: u64,
    pub rsp: u64,
    pub r8: u64,
    pub r9: u64,
    pub r10: u64,
    pub r11: u64,
    pub r12: u64,
    pub r13: u64,
    pub r14: u64,
    pub r15: u64,
    pub rip: u64,
    pub rflags: u64,
    /// A platform applies a change of it at the next `resume`.
    pub fs_base: u64,
    /// As the guest sees it; a platform that needs GS for itself gives the guest another way to it.
    pub gs_base: u64,
}
