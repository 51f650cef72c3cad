//! Giving capabilities away for good (`man 7 capabilities`).

use abi::Errno;

use crate::check;

bitflags::bitflags! {
    /// Capabilities that one of our processes may keep.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct Capabilities: u64 {
        /// Change owners.
        const CHOWN = 1 << 0;
        /// Ignore permission bits.
        const DAC_OVERRIDE = 1 << 1;
        /// Ignore permission bits for reading and searching.
        const DAC_READ_SEARCH = 1 << 2;
        /// Act as every file's owner.
        const FOWNER = 1 << 3;
        /// Keep set-user-id and set-group-id bits when files change.
        const FSETID = 1 << 4;
    }
}

/// `CAP_SYS_ADMIN`
pub const SYS_ADMIN: u32 = 21;

#[repr(C)]
struct Header {
    version: u32,
    pid: i32,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Data {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

fn get() -> Result<(Header, [Data; 2]), Errno> {
    const VERSION_3: u32 = 0x2008_0522;
    let mut header = Header { version: VERSION_3, pid: 0 };
    let mut have = [Data::default(); 2];
    // SAFETY: header and data have the layout of version 3 and live on our stack.
    check(unsafe { libc::syscall(libc::SYS_capget, &raw mut header, have.as_mut_ptr()) })?;
    Ok((header, have))
}

/// Whether capability number `capability` (0..=31) is in the effective set.
pub fn has(capability: u32) -> bool {
    get().is_ok_and(|(_, have)| have[0].effective & (1 << capability) != 0)
}

/// Keeps `keep` at the most: everything else leaves the effective, permitted, inheritable, ambient and bounding sets, so that
/// nothing can bring it back.
///
/// # Errors
/// EPERM when the kernel refuses.
pub fn keep_only(keep: Capabilities) -> Result<(), Errno> {
    let (mut header, have) = get()?;
    for capability in 0..64_u64 {
        if keep.bits() & (1 << capability) == 0 {
            // SAFETY: plain numbers. EINVAL: past the kernel's last one; EPERM: without CAP_SETPCAP, and then we have nothing
            // that a bounding set could bring back (checked below by capset).
            let dropped = check(unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) }.into());
            if dropped.is_err() {
                break;
            }
        }
    }
    // SAFETY: plain numbers.
    check(unsafe { libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) }.into())?;
    let permitted = (u64::from(have[0].permitted) | u64::from(have[1].permitted) << 32) & keep.bits();
    let half = |bits: u64| Data { effective: bits as u32, permitted: bits as u32, inheritable: 0 };
    let want = [half(permitted), half(permitted >> 32)];
    // SAFETY: as for capget.
    check(unsafe { libc::syscall(libc::SYS_capset, &raw mut header, want.as_ptr()) }).map(drop)
}

/// Forbids this process and its children to gain rights by executing files.
///
/// # Errors
/// None that a present kernel has.
pub fn no_new_privileges() -> Result<(), Errno> {
    // SAFETY: plain numbers.
    check(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }.into()).map(drop)
}

/// Keeps others of the same user from tracing this process and from reading its `/proc` files, and it from dumping core.
///
/// # Errors
/// None that a present kernel has.
pub fn forbid_tracing() -> Result<(), Errno> {
    set_dumpable(0)
}

/// Lets processes with the same user and no more rights trace this one and its future children: a change of user forbids it.
///
/// # Errors
/// None that a present kernel has.
pub fn permit_tracing() -> Result<(), Errno> {
    set_dumpable(1)
}

fn set_dumpable(value: i32) -> Result<(), Errno> {
    // SAFETY: plain numbers.
    check(unsafe { libc::prctl(libc::PR_SET_DUMPABLE, value, 0, 0, 0) }.into()).map(drop)
}
