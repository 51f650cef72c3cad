//! Operations on a process or thread (`man 2 prctl`) and its x86-64 part (`man 2 arch_prctl`).

use std::sync::atomic::Ordering;

use abi::signal::Signal;

use super::Args;
use crate::task::capability::CapSet;
use crate::task::credentials::SecureBits;
use crate::task::{Capability, Credentials, Current};
use crate::{Errno, SysResult};

/// Longest `comm`, NUL included (`TASK_COMM_LEN`).
const COMM_LEN: usize = 16;

/// `prctl(option, arg2, arg3, arg4, arg5)`
pub fn prctl(current: &mut Current, args: Args) -> SysResult {
    use abi::uapi::prctl::*;

    /// Options newer than our headers' numbers, or x86's own.
    const PR_SET_PTRACER: u32 = 0x5961_6d61;

    let value = args.u64(1);
    let rest_is_zero = args.u64(2) | args.u64(3) | args.u64(4) == 0;
    let only_option = value == 0 && rest_is_zero;
    match args.u32(0) {
        PR_SET_PDEATHSIG => {
            let signal = if value == 0 { None } else { Some(Signal::new(value).ok_or(Errno::EINVAL)?) };
            current.task.signals.lock().parent_death_signal = signal;
            Ok(0)
        }
        PR_GET_PDEATHSIG => {
            let signal = current.task.signals.lock().parent_death_signal;
            current.write_object(value, &signal.map_or(0, |signal| i32::from(signal.number())))?;
            Ok(0)
        }
        PR_GET_DUMPABLE => Ok(u64::from(current.task.group.dumpable.load(Ordering::Relaxed))),
        PR_SET_DUMPABLE if value <= 1 => {
            current.task.group.dumpable.store(value == 1, Ordering::Relaxed);
            Ok(0)
        }
        PR_SET_NAME => set_name(current, value),
        PR_GET_NAME => {
            let mut name = current.task.state.lock().name.clone();
            name.resize(COMM_LEN, 0);
            current.write_bytes(value, &name)?;
            Ok(0)
        }
        PR_GET_KEEPCAPS => {
            let bits = current.task.credentials().secure_bits;
            Ok(u64::from(bits.contains(SecureBits::KEEP_CAPS)))
        }
        PR_SET_KEEPCAPS if value <= 1 => change(current, |new| {
            if new.secure_bits.contains(SecureBits::KEEP_CAPS_LOCKED) {
                return Err(Errno::EPERM);
            }
            new.secure_bits.set(SecureBits::KEEP_CAPS, value == 1);
            Ok(())
        }),
        PR_GET_SECUREBITS => Ok(u64::from(current.task.credentials().secure_bits.bits())),
        PR_SET_SECUREBITS => set_secure_bits(current, value),
        PR_CAPBSET_READ => {
            let capability = Capability::new(value).ok_or(Errno::EINVAL)?;
            Ok(u64::from(current.task.credentials().capabilities.bounding.contains(capability)))
        }
        PR_CAPBSET_DROP => {
            if !current.task.credentials().has(Capability::SETPCAP) {
                return Err(Errno::EPERM);
            }
            let capability = Capability::new(value).ok_or(Errno::EINVAL)?;
            change(current, |new| {
                let bounding = &mut new.capabilities.bounding;
                *bounding = bounding.without(CapSet::of(&[capability]));
                Ok(())
            })
        }
        PR_CAP_AMBIENT => ambient(current, args),
        PR_SET_NO_NEW_PRIVS if value == 1 && rest_is_zero => change(current, |new| {
            new.no_new_privs = true;
            Ok(())
        }),
        PR_GET_NO_NEW_PRIVS if only_option => Ok(u64::from(current.task.credentials().no_new_privs)),
        PR_SET_CHILD_SUBREAPER => {
            current.task.group.family.lock().is_subreaper = value != 0;
            Ok(0)
        }
        PR_GET_CHILD_SUBREAPER => {
            let is_subreaper = current.task.group.family.lock().is_subreaper;
            current.write_object(value, &i32::from(is_subreaper))?;
            Ok(0)
        }
        PR_SET_TIMERSLACK => {
            let slack = if value as i64 > 0 { value } else { 50_000 };
            current.task.state.lock().scheduling.timer_slack_ns = slack;
            Ok(0)
        }
        PR_GET_TIMERSLACK => Ok(current.task.state.lock().scheduling.timer_slack_ns),
        PR_GET_TID_ADDRESS => {
            let addr = current.task.state.lock().clear_child_tid;
            current.write_object(value, &addr)?;
            Ok(0)
        }
        PR_GET_TIMING => Ok(0),
        PR_SET_TIMING if value == 0 => Ok(0),
        PR_GET_TSC => {
            current.write_object(value, &PR_TSC_ENABLE)?;
            Ok(0)
        }
        PR_SET_TSC if value == u64::from(PR_TSC_ENABLE) => Ok(0),
        PR_TASK_PERF_EVENTS_DISABLE | PR_TASK_PERF_EVENTS_ENABLE => Ok(0),
        // Memory errors are the host's to handle, by its default.
        PR_MCE_KILL_GET if only_option => Ok(u64::from(PR_MCE_KILL_DEFAULT)),
        PR_SET_THP_DISABLE if rest_is_zero => {
            current.task.group.huge_pages_off.store(value != 0, Ordering::Relaxed);
            Ok(0)
        }
        PR_GET_THP_DISABLE if only_option => Ok(u64::from(current.task.group.huge_pages_off.load(Ordering::Relaxed))),
        PR_GET_SECCOMP => Ok(0),
        PR_SET_VMA => set_vma(current, args),
        PR_SET_MM if !current.task.credentials().has(Capability::SYS_RESOURCE) => Err(Errno::EPERM),
        PR_SET_IO_FLUSHER | PR_GET_IO_FLUSHER => Err(Errno::EPERM),
        // Not refused by us, so it cannot be asked for; asking for nothing is fine.
        PR_SET_MDWE | PR_GET_MDWE if only_option => Ok(0),
        PR_GET_SPECULATION_CTRL if value <= u64::from(PR_SPEC_INDIRECT_BRANCH) && rest_is_zero => {
            // The host's setting holds for its processes; nothing can be changed from here.
            Ok(u64::from(PR_SPEC_NOT_AFFECTED))
        }
        PR_GET_SPECULATION_CTRL | PR_SET_SPECULATION_CTRL => Err(Errno::ENODEV),
        PR_GET_MEMORY_MERGE if only_option => Ok(0),
        PR_SET_SYSCALL_USER_DISPATCH if value == 0 && rest_is_zero => Ok(0),
        // Linux without Yama does not know it.
        PR_SET_PTRACER => Err(Errno::EINVAL),
        _ => Err(Errno::EINVAL),
    }
}

fn change(current: &Current, edit: impl FnOnce(&mut Credentials) -> Result<(), Errno>) -> SysResult {
    let mut new = (*current.task.credentials()).clone();
    edit(&mut new)?;
    current.task.set_credentials(new);
    Ok(0)
}

fn set_name(current: &mut Current, addr: u64) -> SysResult {
    let name = match current.read_cstr(addr, COMM_LEN - 1) {
        Ok(name) => name,
        Err(Errno::ENAMETOOLONG) => {
            let mut name = vec![0; COMM_LEN - 1];
            current.read_bytes(addr, &mut name)?;
            name
        }
        Err(errno) => return Err(errno),
    };
    current.task.state.lock().name = name;
    Ok(0)
}

fn set_secure_bits(current: &Current, value: u64) -> SysResult {
    let wanted = u32::try_from(value).ok().and_then(SecureBits::from_bits).ok_or(Errno::EPERM)?;
    let own = current.task.credentials();
    let old = own.secure_bits;
    // A lock bit lies one above the bit that it locks.
    let locked = SecureBits::from_bits_truncate((old & SecureBits::LOCKS).bits() >> 1);
    let changes_locked = (old ^ wanted).intersects(locked);
    let unlocks = (old & SecureBits::LOCKS).intersects(!wanted);
    if changes_locked || unlocks || !own.has(Capability::SETPCAP) {
        return Err(Errno::EPERM);
    }
    change(current, |new| {
        new.secure_bits = wanted;
        Ok(())
    })
}

fn ambient(current: &Current, args: Args) -> SysResult {
    const IS_SET: u64 = 1;
    const RAISE: u64 = 2;
    const LOWER: u64 = 3;
    const CLEAR_ALL: u64 = 4;
    let (operation, number) = (args.u64(1), args.u64(2));
    if args.u64(3) | args.u64(4) != 0 {
        return Err(Errno::EINVAL);
    }
    if operation == CLEAR_ALL {
        if number != 0 {
            return Err(Errno::EINVAL);
        }
        return change(current, |new| {
            new.capabilities.ambient = CapSet::EMPTY;
            Ok(())
        });
    }
    let capability = Capability::new(number).ok_or(Errno::EINVAL)?;
    let one = CapSet::of(&[capability]);
    match operation {
        IS_SET => Ok(u64::from(current.task.credentials().capabilities.ambient.contains(capability))),
        RAISE => change(current, |new| {
            let own = &mut new.capabilities;
            let forbidden = new.secure_bits.contains(SecureBits::NO_CAP_AMBIENT_RAISE);
            if forbidden || !own.permitted.contains(capability) || !own.inheritable.contains(capability) {
                return Err(Errno::EPERM);
            }
            own.ambient = own.ambient.or(one);
            Ok(())
        }),
        LOWER => change(current, |new| {
            new.capabilities.ambient = new.capabilities.ambient.without(one);
            Ok(())
        }),
        _ => Err(Errno::EINVAL),
    }
}

fn set_vma(current: &mut Current, args: Args) -> SysResult {
    const ANON_NAME: u64 = 0;
    const MAX_NAME: usize = 80;
    if args.u64(1) != ANON_NAME {
        return Err(Errno::EINVAL);
    }
    let name = match args.u64(4) {
        0 => None,
        addr => {
            let name = current.read_cstr(addr, MAX_NAME).map_err(|errno| match errno {
                Errno::ENAMETOOLONG => Errno::EINVAL,
                other => other,
            })?;
            let allowed = |b: &u8| (0x20..0x7f).contains(b) && !b"\\`$[]".contains(b);
            if !name.iter().all(allowed) {
                return Err(Errno::EINVAL);
            }
            Some(name)
        }
    };
    current.task.mm()?.set_name(args.u64(2), args.u64(3), name.as_deref())?;
    Ok(0)
}

/// `arch_prctl(code, addr)`
pub fn arch_prctl(current: &mut Current, args: Args) -> SysResult {
    const SET_GS: u32 = 0x1001;
    const SET_FS: u32 = 0x1002;
    const GET_FS: u32 = 0x1003;
    const GET_GS: u32 = 0x1004;
    const GET_CPUID: u32 = 0x1011;
    const SET_CPUID: u32 = 0x1012;
    const GET_XCOMP_SUPPORTED: u32 = 0x1021;
    const GET_XCOMP_PERMITTED: u32 = 0x1022;

    let addr = args.u64(1);
    match args.u32(0) {
        SET_GS | SET_FS => {
            if addr >> 47 != 0 {
                return Err(Errno::EPERM);
            }
            let regs = current.context.regs_mut();
            if args.u32(0) == SET_FS {
                regs.fs_base = addr;
            } else {
                regs.gs_base = addr;
            }
            Ok(0)
        }
        GET_FS | GET_GS => {
            let regs = current.context.regs();
            let base = if args.u32(0) == GET_FS { regs.fs_base } else { regs.gs_base };
            current.write_object(addr, &base)?;
            Ok(0)
        }
        GET_CPUID => Ok(1),
        SET_CPUID => Err(Errno::ENODEV),
        GET_XCOMP_SUPPORTED | GET_XCOMP_PERMITTED => {
            // What needs asking for (AMX) is not to be had: its state would not fit the window.
            current.write_object(addr, &host::cpu::extended_state().features)?;
            Ok(0)
        }
        _ => Err(Errno::EINVAL),
    }
}
