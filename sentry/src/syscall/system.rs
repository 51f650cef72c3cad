//! The system as a whole: names, memory, randomness, personality, and what only its administrator may do.

use abi::types::{Sysinfo, Utsname};

use super::Args;
use crate::kernel::uts::{NAME_MAX, RELEASE, VERSION};
use crate::task::{Capability, Current};
use crate::{Errno, SysResult};

/// `uname(buf)`
pub fn uname(current: &mut Current, args: Args) -> SysResult {
    let uts = &current.kernel.uts;
    let names = Utsname {
        sysname: field(b"Linux"),
        nodename: field(&uts.hostname()),
        release: field(RELEASE.as_bytes()),
        version: field(VERSION.as_bytes()),
        machine: field(b"x86_64"),
        domainname: field(&uts.domainname()),
    };
    current.write_object(args.u64(0), &names)?;
    Ok(0)
}

fn field(text: &[u8]) -> [u8; 65] {
    let mut field = [0; 65];
    let len = text.len().min(NAME_MAX);
    field[..len].copy_from_slice(&text[..len]);
    field
}

/// `sethostname(name, len)`
pub fn sethostname(current: &mut Current, args: Args) -> SysResult {
    let name = new_name(current, args)?;
    current.kernel.uts.set_hostname(&name);
    Ok(0)
}

/// `setdomainname(name, len)`
pub fn setdomainname(current: &mut Current, args: Args) -> SysResult {
    let name = new_name(current, args)?;
    current.kernel.uts.set_domainname(&name);
    Ok(0)
}

fn new_name(current: &mut Current, args: Args) -> Result<Vec<u8>, Errno> {
    require(current, Capability::SYS_ADMIN)?;
    let len = usize::try_from(args.i32(1)).ok().filter(|&len| len <= NAME_MAX).ok_or(Errno::EINVAL)?;
    let mut name = vec![0; len];
    current.read_bytes(args.u64(0), &mut name)?;
    Ok(name)
}

/// `sysinfo(info)`
pub fn sysinfo(current: &mut Current, args: Args) -> SysResult {
    /// Loads are fixed-point with 16 bits after the point.
    const LOAD_UNIT: f64 = 65536.0;
    let memory = host::system::memory();
    let info = Sysinfo {
        uptime: (host::clock::clock_ns(abi::uapi::general::CLOCK_BOOTTIME as i32) / 1_000_000_000).max(1),
        loads: memory.load.map(|load| (load * LOAD_UNIT) as u64),
        totalram: memory.total,
        freeram: memory.free,
        totalswap: memory.swap_total,
        freeswap: memory.swap_free,
        procs: u16::try_from(current.kernel.pids.task_count()).unwrap_or(u16::MAX),
        mem_unit: 1,
        ..Sysinfo::default()
    };
    current.write_object(args.u64(0), &info)?;
    Ok(0)
}

/// `getrandom(buf, buflen, flags)`
pub fn getrandom(current: &mut Current, args: Args) -> SysResult {
    const NONBLOCK: u32 = 1;
    const RANDOM: u32 = 2;
    const INSECURE: u32 = 4;
    const STEP: u64 = 64 << 10;
    let flags = args.u32(2);
    if flags & !(NONBLOCK | RANDOM | INSECURE) != 0 || flags & (RANDOM | INSECURE) == RANDOM | INSECURE {
        return Err(Errno::EINVAL);
    }
    let len = args.u64(1).min(i32::MAX as u64);
    let mut done = 0;
    while done < len {
        let mut bytes = vec![0; (len - done).min(STEP) as usize];
        host::random::fill(&mut bytes);
        let at = args.u64(0).checked_add(done).ok_or(Errno::EFAULT)?;
        match current.context.write(at, &bytes) {
            Ok(()) => done += bytes.len() as u64,
            Err(fault) if done + fault.done as u64 > 0 => return Ok(done + fault.done as u64),
            Err(_) => return Err(Errno::EFAULT),
        }
        if current.has_signal() && done < len {
            return Ok(done);
        }
    }
    Ok(done)
}

/// `personality(persona)`
pub fn personality(current: &mut Current, args: Args) -> SysResult {
    const ASK: u32 = 0xffff_ffff;
    const READ_IMPLIES_EXEC: u32 = 0x0040_0000;
    let wanted = args.u32(0);
    let old = current.task.state.lock().personality;
    if wanted != ASK {
        current.task.state.lock().personality = wanted;
        current.task.mm()?.set_read_implies_exec(wanted & READ_IMPLIES_EXEC != 0);
    }
    Ok(u64::from(old))
}

/// `syslog(type, bufp, len)`: there is a kernel log, and it is empty.
pub fn syslog(current: &mut Current, args: Args) -> SysResult {
    const CLOSE: i32 = 0;
    const OPEN: i32 = 1;
    const READ_ALL: i32 = 3;
    const SIZE_UNREAD: i32 = 9;
    const SIZE_BUFFER: i32 = 10;
    let kind = args.i32(0);
    if !matches!(kind, READ_ALL | SIZE_BUFFER) {
        require(current, Capability::SYSLOG)?;
    }
    match kind {
        CLOSE | OPEN | SIZE_UNREAD => Ok(0),
        READ_ALL if args.u64(1) == 0 || args.i32(2) < 0 => Err(Errno::EINVAL),
        READ_ALL => Ok(0),
        SIZE_BUFFER => Ok(1 << 18),
        2..=8 => Ok(0),
        _ => Err(Errno::EINVAL),
    }
}

/// What administers the machine (`reboot`, `swapon`, `init_module`, `acct`, `iopl` …) is refused as it is in a container:
/// the sandbox has no machine of its own.
pub fn refused(_current: &mut Current) -> SysResult {
    Err(Errno::EPERM)
}

fn require(current: &Current, capability: Capability) -> Result<(), Errno> {
    if current.task.credentials().has(capability) { Ok(()) } else { Err(Errno::EPERM) }
}
