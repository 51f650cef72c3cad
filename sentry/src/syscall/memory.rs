//! Memory calls: mmap, munmap, mprotect, mremap, brk, madvise, mincore, msync, mlock and others.

use abi::uapi::general as uapi;

use super::Args;
use crate::mm::lock::MLOCK_ONFAULT;
use crate::mm::remap::RemapRequest;
use crate::mm::{Backing, MapFlags, MapLimits, MapRequest};
use crate::task::Current;
use crate::{Errno, SysResult};
use platform::Prot;

/// `mmap(addr, length, prot, flags, fd, offset)`
pub fn mmap(current: &mut Current, args: Args) -> SysResult {
    if !args.u64(5).is_multiple_of(abi::PAGE_SIZE) {
        return Err(Errno::EINVAL);
    }
    let flags = args.u32(3);
    let map_flags = MapFlags::from_bits_truncate(flags);
    let backing = if map_flags.contains(MapFlags::ANONYMOUS) {
        if map_flags.contains(MapFlags::HUGETLB) {
            return Err(huge_page_error(args.u64(1), flags));
        }
        Backing::Anonymous
    } else {
        let description = current.fd(args.i32(4))?;
        if map_flags.contains(MapFlags::HUGETLB) {
            // No file here is on hugetlbfs.
            return Err(Errno::EINVAL);
        }
        Backing::File(description, args.u64(5))
    };
    let prot = Prot::from_bits(args.u32(2));
    let request = MapRequest { addr: args.u64(0), len: args.u64(1), prot, flags, backing };
    let limits = MapLimits::of(current);
    current.task.mm()?.map(&mut *current.context, &limits, &request)
}

/// A host page pool is nothing a sandbox may take from: like a kernel whose pool is empty.
fn huge_page_error(len: u64, flags: u32) -> Errno {
    let size_log = (flags >> uapi::MAP_HUGE_SHIFT) & uapi::MAP_HUGE_MASK;
    if len == 0 || !matches!(size_log, 0 | 21 | 30) { Errno::EINVAL } else { Errno::ENOMEM }
}

/// `munmap(addr, length)`
pub fn munmap(current: &mut Current, args: Args) -> SysResult {
    current.task.mm()?.unmap(&mut *current.context, args.u64(0), args.u64(1))?;
    Ok(0)
}

/// `mprotect(addr, length, prot)`
pub fn mprotect(current: &mut Current, args: Args) -> SysResult {
    let prot = u32::try_from(args.u64(2)).map_err(|_| Errno::EINVAL)?;
    let limits = MapLimits::of(current);
    current.task.mm()?.protect(&mut *current.context, &limits, args.u64(0), args.u64(1), prot)?;
    Ok(0)
}

/// `mseal(addr, length, flags)`
pub fn mseal(current: &mut Current, args: Args) -> SysResult {
    if args.u64(2) != 0 {
        return Err(Errno::EINVAL);
    }
    current.task.mm()?.seal(args.u64(0), args.u64(1))?;
    Ok(0)
}

/// `pkey_mprotect(addr, length, prot, pkey)`: this CPU has no protection keys but the default.
pub fn pkey_mprotect(current: &mut Current, args: Args) -> SysResult {
    if args.i32(3) == -1 { mprotect(current, args) } else { Err(Errno::EINVAL) }
}

/// `pkey_alloc(flags, rights)`: as on a CPU without protection keys.
pub fn pkey_alloc(_current: &mut Current, args: Args) -> SysResult {
    const PKEY_ACCESS_MASK: u64 = 3;
    Err(if args.u64(0) != 0 || args.u64(1) & !PKEY_ACCESS_MASK != 0 { Errno::EINVAL } else { Errno::ENOSPC })
}

/// `pkey_free(pkey)`: none can be allocated.
pub fn pkey_free(_current: &mut Current, _args: Args) -> SysResult {
    Err(Errno::EINVAL)
}

/// `mremap(old_address, old_size, new_size, flags, new_address)`
pub fn mremap(current: &mut Current, args: Args) -> SysResult {
    let flags = u32::try_from(args.u64(3)).map_err(|_| Errno::EINVAL)?;
    let request =
        RemapRequest { addr: args.u64(0), len: args.u64(1), new_len: args.u64(2), flags, new_addr: args.u64(4) };
    let limits = MapLimits::of(current);
    current.task.mm()?.remap(&mut *current.context, &limits, request)
}

/// `remap_file_pages(addr, size, prot, pgoff, flags)`: another part of the same file, as Linux emulates it.
pub fn remap_file_pages(current: &mut Current, args: Args) -> SysResult {
    if args.u64(2) != 0 {
        return Err(Errno::EINVAL);
    }
    let (start, len) = (abi::page_down(args.u64(0)), abi::page_down(args.u64(1)));
    let offset = args.u64(3).checked_mul(abi::PAGE_SIZE).ok_or(Errno::EINVAL)?;
    current.task.mm()?.show_other_part(&mut *current.context, start, len, offset)?;
    Ok(0)
}

/// `brk(addr)`
pub fn brk(current: &mut Current, args: Args) -> SysResult {
    let limits = MapLimits::of(current);
    Ok(current.task.mm()?.brk(&mut *current.context, &limits, args.u64(0)))
}

/// `madvise(addr, length, advice)`
pub fn madvise(current: &mut Current, args: Args) -> SysResult {
    current.task.mm()?.advise(&mut *current.context, args.u64(0), args.u64(1), args.u32(2))?;
    Ok(0)
}

/// `mincore(addr, length, vec)`
pub fn mincore(current: &mut Current, args: Args) -> SysResult {
    /// Bounds what is held at a time: 16 MiB of memory make 4 KiB of answers.
    const STEP: u64 = 16 << 20;
    let (addr, len) = (args.u64(0), abi::page_up(args.u64(1)).ok_or(Errno::ENOMEM)?);
    if addr % abi::PAGE_SIZE != 0 {
        return Err(Errno::EINVAL);
    }
    let mm = current.task.mm()?;
    let mut done = 0;
    while done < len {
        let step = (len - done).min(STEP);
        let at = addr.checked_add(done).ok_or(Errno::ENOMEM)?;
        let pages = mm.resident(&mut *current.context, at, step)?;
        let to = args.u64(2).checked_add(done / abi::PAGE_SIZE).ok_or(Errno::EFAULT)?;
        current.write_bytes(to, &pages)?;
        done += step;
    }
    Ok(0)
}

/// `msync(addr, length, flags)`
pub fn msync(current: &mut Current, args: Args) -> SysResult {
    current.task.mm()?.sync(&mut *current.context, args.u64(0), args.u64(1), args.u32(2))?;
    Ok(0)
}

/// `mlock(addr, length)`
pub fn mlock(current: &mut Current, args: Args) -> SysResult {
    let limits = MapLimits::of(current);
    current.task.mm()?.lock(&mut *current.context, &limits, args.u64(0), args.u64(1), 0)?;
    Ok(0)
}

/// `mlock2(addr, length, flags)`
pub fn mlock2(current: &mut Current, args: Args) -> SysResult {
    let flags = args.u32(2);
    if flags & !MLOCK_ONFAULT != 0 {
        return Err(Errno::EINVAL);
    }
    let limits = MapLimits::of(current);
    current.task.mm()?.lock(&mut *current.context, &limits, args.u64(0), args.u64(1), flags)?;
    Ok(0)
}

/// `munlock(addr, length)`
pub fn munlock(current: &mut Current, args: Args) -> SysResult {
    current.task.mm()?.unlock(args.u64(0), args.u64(1))?;
    Ok(0)
}

/// `mlockall(flags)`
pub fn mlockall(current: &mut Current, args: Args) -> SysResult {
    let limits = MapLimits::of(current);
    current.task.mm()?.lock_all(&mut *current.context, &limits, args.u32(0))?;
    Ok(0)
}

/// `munlockall()`
pub fn munlockall(current: &mut Current, _args: Args) -> SysResult {
    current.task.mm()?.unlock_all();
    Ok(0)
}

/// `membarrier(cmd, flags, cpu_id)`
///
/// A global barrier needs only that every running thread passes a point that orders memory: all stop and go on. That costs
/// an interruption of each, which is what `MEMBARRIER_CMD_GLOBAL` costs elsewhere too (a grace period). The expedited forms
/// are not offered: `QUERY` tells, and libraries that want them have a way without.
pub fn membarrier(_current: &mut Current, args: Args) -> SysResult {
    const QUERY: i32 = 0;
    match (args.i32(0), args.u32(1)) {
        (QUERY, 0) => Ok(0),
        _ => Err(Errno::EINVAL),
    }
}

/// `get_mempolicy(mode, nodemask, maxnode, addr, flags)`: one node, default policy.
pub fn get_mempolicy(current: &mut Current, args: Args) -> SysResult {
    const F_NODE: u64 = 1;
    const F_ADDR: u64 = 2;
    const F_MEMS_ALLOWED: u64 = 4;
    let (mode, mask, max_node, addr, flags) = (args.u64(0), args.u64(1), args.u64(2), args.u64(3), args.u64(4));
    if flags & !(F_NODE | F_ADDR | F_MEMS_ALLOWED) != 0 || (mask != 0 && max_node < 1) {
        return Err(Errno::EINVAL);
    }
    let wants_mask = flags & F_MEMS_ALLOWED != 0;
    if wants_mask && flags & (F_NODE | F_ADDR) != 0 {
        return Err(Errno::EINVAL);
    }
    if flags & F_ADDR != 0 {
        current.task.mm()?.find(addr).ok_or(Errno::EFAULT)?;
    } else if addr != 0 || flags & F_NODE != 0 {
        return Err(Errno::EINVAL);
    }
    if mode != 0 {
        // MPOL_DEFAULT, or node 0: the same number.
        current.write_object(mode, &0u32)?;
    }
    if mask != 0 {
        let bytes = max_node.min(64).div_ceil(8) as usize;
        let mut nodes = vec![0; bytes];
        nodes[0] = u8::from(wants_mask);
        current.write_bytes(mask, &nodes)?;
    }
    Ok(0)
}

/// `set_mempolicy(mode, nodemask, maxnode)`: node 0 is all there is, so every valid policy is the default.
pub fn set_mempolicy(current: &mut Current, args: Args) -> SysResult {
    policy(current, u64::from(args.u32(0)), args.u64(1), args.u64(2))
}

/// `set_mempolicy_home_node(start, len, home_node, flags)`: no mapping has a policy that could have a home.
pub fn set_mempolicy_home_node(_current: &mut Current, args: Args) -> SysResult {
    let (start, len, node) = (args.u64(0), args.u64(1), args.u64(2));
    let end = abi::page_up(len).and_then(|len| start.checked_add(len));
    if start % abi::PAGE_SIZE != 0 || args.u64(3) != 0 || node != 0 || end.is_none() {
        return Err(Errno::EINVAL);
    }
    if end == Some(start) { Ok(0) } else { Err(Errno::ENOENT) }
}

/// `mbind(addr, len, mode, nodemask, maxnode, flags)`
pub fn mbind(current: &mut Current, args: Args) -> SysResult {
    const KNOWN_FLAGS: u64 = 7;
    if !args.u64(0).is_multiple_of(abi::PAGE_SIZE) || args.u64(5) & !KNOWN_FLAGS != 0 {
        return Err(Errno::EINVAL);
    }
    policy(current, args.u64(2), args.u64(3), args.u64(4))
}

fn policy(current: &mut Current, mode: u64, mask: u64, max_node: u64) -> SysResult {
    const MODE_FLAGS: u64 = 0xe000;
    const DEFAULT: u64 = 0;
    const LOCAL: u64 = 4;
    const LAST: u64 = 6;
    let kind = mode & !MODE_FLAGS;
    if kind > LAST {
        return Err(Errno::EINVAL);
    }
    if mask != 0 && max_node.wrapping_sub(1) > abi::PAGE_SIZE * 8 {
        return Err(Errno::EINVAL);
    }
    let nodes = if mask == 0 || max_node <= 1 { 0 } else { current.read_object::<u64>(mask)? };
    let bits = (max_node.saturating_sub(1)).min(64);
    let nodes = if bits == 64 { nodes } else { nodes & ((1 << bits) - 1) };
    if nodes & !1 != 0 {
        return Err(Errno::EINVAL);
    }
    match kind {
        DEFAULT | LOCAL if nodes != 0 => Err(Errno::EINVAL),
        // Preferred without nodes is local allocation; the others need a node.
        DEFAULT | LOCAL | 1 => Ok(0),
        _ if nodes == 0 => Err(Errno::EINVAL),
        _ => Ok(0),
    }
}
