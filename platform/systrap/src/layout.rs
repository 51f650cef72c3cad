//! Where the guest's part ends, where the vDSO is, how large extended state gets, and what the platform asks of the host.

use host::vdso::Vdso;
use platform::{FixedMapping, Layout, Prot};
use systrap_stub::layout::{GUEST_MAX, GUEST_MIN, TEXT, VDSO_END, header};

/// The stub's text, header first.
pub static STUB: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/stub.bin"));

/// A word of the stub's header.
pub fn header_word(index: usize) -> u32 {
    let mut bytes = [0; 4];
    bytes.copy_from_slice(&STUB[4 * index..4 * index + 4]);
    u32::from_le_bytes(bytes)
}

/// Host system calls that the platform makes in the sentry after [`crate::Systrap::new`], and what for.
pub const fn host_syscalls() -> &'static [(&'static str, &'static str)] {
    &[
        ("futex", "sleep and wake between workers and stubs, locks"),
        ("ioctl", "SECCOMP_IOCTL_NOTIF_RECV, _SEND and _ADDFD on the stubs' listener"),
        ("ppoll", "wait for a notification with a deadline"),
        ("tgkill", "interrupt a guest thread; check that a thread belongs to a process"),
        ("kill", "end a stub process"),
        ("getpgid", "check that a process is a stub"),
        ("waitid", "notice and reap dead stubs"),
        ("memfd_create", "windows of a new address space"),
        ("ftruncate", "their size"),
        ("fallocate", "wipe windows for their next use"),
        ("mmap", "map windows; allocator"),
        ("munmap", "unmap windows; allocator"),
        ("socketpair", "hand descriptors to a stub in set-up"),
        ("sendmsg", "the same, and requests to the zygote"),
        ("recvmsg", "answers of the zygote"),
        ("close", "windows and sockets that are done with"),
        ("process_vm_readv", "reach a space of which no context is stopped"),
        ("process_vm_writev", "the same"),
        ("clock_gettime", "deadlines, where the vDSO does not answer"),
        ("sched_yield", "give way in long spins"),
    ]
}

/// Whether this processor and kernel can run the platform: FSGSBASE enabled, XSAVE.
pub fn supported() -> bool {
    const AT_HWCAP2: u64 = 26;
    // SAFETY: plain call.
    let fsgsbase = unsafe { libc::getauxval(AT_HWCAP2) } & 2 != 0;
    fsgsbase && std::arch::is_x86_feature_detected!("xsave")
}

/// The layout of every space, given where the vDSO of this process is.
pub fn layout(vdso: Option<Vdso>, xstate_size: u64) -> Layout {
    let mut fixed = vec![];
    if let Some(vdso) = vdso {
        let (data, code) = (vdso.code - vdso.data, vdso.end - vdso.code);
        let (start, end) = (VDSO_END - code, VDSO_END);
        fixed.push(FixedMapping { start: start - data, end: start, prot: Prot::READ, name: "[vvar]" });
        fixed.push(FixedMapping { start, end, prot: Prot::READ_EXEC, name: "[vdso]" });
    }
    Layout {
        min: GUEST_MIN,
        max: GUEST_MAX,
        vdso: fixed.last().map_or(0, |m| m.start),
        fixed,
        syscall_entry: Some(TEXT + u64::from(header_word(header::SYSCALL_ENTRY))),
        xstate_size: xstate_size as usize + 4,
    }
}
