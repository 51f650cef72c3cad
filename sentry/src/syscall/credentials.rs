//! Users, groups and capabilities (`man 7 credentials`, `man 7 capabilities`).

use std::sync::Arc;

use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::Args;
use crate::task::capability::CapSet;
use crate::task::credentials::MAX_GROUPS;
use crate::task::{Capability, Credentials, Current, Task};
use crate::{Errno, SysResult};

/// `(uid_t) -1`: leave as it is.
const UNCHANGED: u32 = u32::MAX;

fn optional(id: u32) -> Option<u32> {
    (id != UNCHANGED).then_some(id)
}

fn valid(id: u32) -> Result<u32, Errno> {
    if id == UNCHANGED { Err(Errno::EINVAL) } else { Ok(id) }
}

/// `getuid()`
pub fn getuid(current: &mut Current) -> SysResult {
    Ok(u64::from(current.task.credentials().uid))
}

/// `geteuid()`
pub fn geteuid(current: &mut Current) -> SysResult {
    Ok(u64::from(current.task.credentials().euid))
}

/// `getgid()`
pub fn getgid(current: &mut Current) -> SysResult {
    Ok(u64::from(current.task.credentials().gid))
}

/// `getegid()`
pub fn getegid(current: &mut Current) -> SysResult {
    Ok(u64::from(current.task.credentials().egid))
}

/// `getresuid(ruid, euid, suid)`
pub fn getresuid(current: &mut Current, args: Args) -> SysResult {
    let own = current.task.credentials();
    write_ids(current, args, [own.uid, own.euid, own.suid])
}

/// `getresgid(rgid, egid, sgid)`
pub fn getresgid(current: &mut Current, args: Args) -> SysResult {
    let own = current.task.credentials();
    write_ids(current, args, [own.gid, own.egid, own.sgid])
}

fn write_ids(current: &mut Current, args: Args, ids: [u32; 3]) -> SysResult {
    for (n, id) in ids.iter().enumerate() {
        current.write_object(args.u64(n), id)?;
    }
    Ok(0)
}

/// `setuid(uid)`
pub fn setuid(current: &mut Current, args: Args) -> SysResult {
    change(current, |own| own.set_uid(valid(args.u32(0))?))
}

/// `setgid(gid)`
pub fn setgid(current: &mut Current, args: Args) -> SysResult {
    change(current, |own| own.set_gid(valid(args.u32(0))?))
}

/// `setreuid(ruid, euid)`
pub fn setreuid(current: &mut Current, args: Args) -> SysResult {
    change(current, |own| own.set_re_uid(optional(args.u32(0)), optional(args.u32(1))))
}

/// `setregid(rgid, egid)`
pub fn setregid(current: &mut Current, args: Args) -> SysResult {
    change(current, |own| own.set_re_gid(optional(args.u32(0)), optional(args.u32(1))))
}

/// `setresuid(ruid, euid, suid)`
pub fn setresuid(current: &mut Current, args: Args) -> SysResult {
    change(current, |own| own.set_res_uid([0, 1, 2].map(|n| optional(args.u32(n)))))
}

/// `setresgid(rgid, egid, sgid)`
pub fn setresgid(current: &mut Current, args: Args) -> SysResult {
    change(current, |own| own.set_res_gid([0, 1, 2].map(|n| optional(args.u32(n)))))
}

/// `setfsuid(fsuid)`: gives the former one, whether it changed or not.
pub fn setfsuid(current: &mut Current, args: Args) -> SysResult {
    let old = current.task.credentials();
    if let Some(new) = optional(args.u32(0)).and_then(|uid| old.set_fs_uid(uid)) {
        current.task.set_credentials(new);
    }
    Ok(u64::from(old.fsuid))
}

/// `setfsgid(fsgid)`
pub fn setfsgid(current: &mut Current, args: Args) -> SysResult {
    let old = current.task.credentials();
    if let Some(new) = optional(args.u32(0)).and_then(|gid| old.set_fs_gid(gid)) {
        current.task.set_credentials(new);
    }
    Ok(u64::from(old.fsgid))
}

/// `getgroups(size, list)`
pub fn getgroups(current: &mut Current, args: Args) -> SysResult {
    let own = current.task.credentials();
    let size = usize::try_from(args.i32(0)).map_err(|_| Errno::EINVAL)?;
    if size > 0 {
        if own.groups.len() > size {
            return Err(Errno::EINVAL);
        }
        current.write_array(args.u64(1), &own.groups)?;
    }
    Ok(own.groups.len() as u64)
}

/// `setgroups(size, list)`
pub fn setgroups(current: &mut Current, args: Args) -> SysResult {
    if !current.task.credentials().has(Capability::SETGID) {
        return Err(Errno::EPERM);
    }
    let size = usize::try_from(args.u32(0)).map_err(|_| Errno::EINVAL)?;
    if size > MAX_GROUPS {
        return Err(Errno::EINVAL);
    }
    let groups: Vec<u32> = current.read_array(args.u64(1), size)?;
    if groups.contains(&UNCHANGED) {
        return Err(Errno::EINVAL);
    }
    change(current, |own| own.set_groups(groups))
}

fn change(current: &mut Current, next: impl FnOnce(&Credentials) -> Result<Credentials, Errno>) -> SysResult {
    let new = next(&current.task.credentials())?;
    current.task.set_credentials(new);
    Ok(0)
}

const VERSION_1: u32 = 0x1998_0330;
const VERSION_2: u32 = 0x2007_1026;
const VERSION_3: u32 = 0x2008_0522;

/// `struct __user_cap_data_struct`
#[derive(Clone, Copy, Default, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
struct CapData {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// `capget(hdrp, datap)`
pub fn capget(current: &mut Current, args: Args) -> SysResult {
    let words = match read_version(current, args.u64(0)) {
        Ok(words) => words,
        // Asking for the version alone is not an error.
        Err(Errno::EINVAL) if args.u64(1) == 0 => return Ok(0),
        Err(errno) => return Err(errno),
    };
    if args.u64(1) == 0 {
        return Ok(0);
    }
    let target = cap_target(current, args.u64(0))?;
    let own = target.credentials();
    let capabilities = &own.capabilities;
    let data = [0, 32].map(|shift| CapData {
        effective: (capabilities.effective.0 >> shift) as u32,
        permitted: (capabilities.permitted.0 >> shift) as u32,
        inheritable: (capabilities.inheritable.0 >> shift) as u32,
    });
    current.write_array(args.u64(1), &data[..words])?;
    Ok(0)
}

/// `capset(hdrp, datap)`
pub fn capset(current: &mut Current, args: Args) -> SysResult {
    let words = read_version(current, args.u64(0))?;
    let pid: i32 = current.read_object(args.u64(0).wrapping_add(4))?;
    if pid != 0 && pid != current.task.tid {
        return Err(Errno::EPERM);
    }
    let data: Vec<CapData> = current.read_array(args.u64(1), words)?;
    let set = |of: fn(&CapData) -> u32| {
        let bits = data.iter().rev().fold(0, |high: u64, word| high << 32 | u64::from(of(word)));
        CapSet(bits).and(CapSet::FULL)
    };
    let (effective, permitted) = (set(|d| d.effective), set(|d| d.permitted));
    let inheritable = set(|d| d.inheritable);
    change(current, |own| {
        let old = &own.capabilities;
        let may_inherit = own.has(Capability::SETPCAP) || old.inheritable.or(old.permitted).includes(inheritable);
        let allowed = may_inherit
            && old.inheritable.or(old.bounding).includes(inheritable)
            && old.permitted.includes(permitted)
            && permitted.includes(effective);
        if !allowed {
            return Err(Errno::EPERM);
        }
        let mut new = own.clone();
        new.capabilities.effective = effective;
        new.capabilities.permitted = permitted;
        new.capabilities.inheritable = inheritable;
        new.capabilities.trim_ambient();
        Ok(new)
    })
}

/// How many 32-bit words the header's version has. For an unknown one the header gets the version that is preferred.
fn read_version(current: &mut Current, header: u64) -> Result<usize, Errno> {
    match current.read_object::<u32>(header)? {
        VERSION_1 => Ok(1),
        VERSION_2 | VERSION_3 => Ok(2),
        _ => {
            current.write_object(header, &VERSION_3)?;
            Err(Errno::EINVAL)
        }
    }
}

fn cap_target(current: &mut Current, header: u64) -> Result<Arc<Task>, Errno> {
    match current.read_object::<i32>(header.wrapping_add(4))? {
        0 => Ok(current.task.clone()),
        pid if pid < 0 => Err(Errno::EINVAL),
        pid => current.kernel.pids.task(pid).ok_or(Errno::ESRCH),
    }
}
