//! `/proc/sys`: settings of the kernel (`man 5 proc_sys`). What can be set has an effect or is refused.

use std::sync::OnceLock;
use std::sync::atomic::Ordering;

use super::node::{Entry, Subject};
use crate::Errno;
use crate::fs::dev::ENTROPY_BITS;
use crate::kernel::uts;
use crate::mm::{MAX_MAP_COUNT, MMAP_MIN_ADDR};
use crate::task::capability::Capability;
use crate::task::{Current, pid};
use crate::tty::pty;
use crate::vfs::{NR_OPEN, inotify, pipe};

macro_rules! fixed {
    ($name:literal, $value:expr) => {
        Entry::text($name, |_, _| Ok(format!("{}\n", $value).into_bytes()))
    };
}

pub(super) static ENTRIES: &[Entry] =
    &[Entry::table("fs", FS), Entry::table("kernel", KERNEL), Entry::table("net", NET), Entry::table("vm", VM)];

static FS: &[Entry] = &[
    Entry::table("inotify", INOTIFY),
    fixed!("file-max", i64::MAX),
    fixed!("file-nr", "0\t0\t9223372036854775807"),
    fixed!("lease-break-time", 45),
    fixed!("nr_open", NR_OPEN),
    fixed!("overflowgid", 65534),
    fixed!("overflowuid", 65534),
    Entry::writable("pipe-max-size", pipe_max_size, set_pipe_max_size),
    fixed!("protected_fifos", 0),
    fixed!("protected_hardlinks", 1),
    fixed!("protected_regular", 0),
    fixed!("protected_symlinks", 0),
    fixed!("suid_dumpable", 0),
];

static INOTIFY: &[Entry] = &[
    fixed!("max_queued_events", inotify::MAX_QUEUED_EVENTS),
    fixed!("max_user_instances", 128),
    fixed!("max_user_watches", inotify::MAX_USER_WATCHES),
];

static KERNEL: &[Entry] = &[
    fixed!("cap_last_cap", Capability::LAST),
    fixed!("core_pattern", "core"),
    fixed!("core_uses_pid", 0),
    Entry::writable("domainname", domainname, set_domainname),
    fixed!("dmesg_restrict", 1),
    Entry::writable("hostname", hostname, set_hostname),
    fixed!("kptr_restrict", 2),
    fixed!("msgmax", 8192),
    fixed!("msgmnb", 16384),
    fixed!("msgmni", 32000),
    fixed!("ngroups_max", 65536),
    fixed!("osrelease", uts::RELEASE),
    fixed!("ostype", "Linux"),
    fixed!("overflowgid", 65534),
    fixed!("overflowuid", 65534),
    fixed!("perf_event_paranoid", 4),
    fixed!("pid_max", pid::PID_MAX),
    fixed!("printk", "4\t4\t1\t7"),
    Entry::table("pty", PTY),
    Entry::table("random", RANDOM),
    fixed!("randomize_va_space", 2),
    fixed!("sem", "32000\t1024000000\t500\t32000"),
    fixed!("shmall", 18446744073692774399_u64),
    fixed!("shmmax", 18446744073692774399_u64),
    fixed!("shmmni", 4096),
    fixed!("threads-max", pid::PID_MAX),
    fixed!("unprivileged_bpf_disabled", 2),
    fixed!("version", uts::VERSION),
    Entry::table("yama", YAMA),
];

static PTY: &[Entry] = &[
    fixed!("max", pty::MAX),
    Entry::text("nr", |_, current| Ok(format!("{}\n", current.kernel.terminals.ptys.numbers().len()).into_bytes())),
    fixed!("reserve", 0),
];

static RANDOM: &[Entry] = &[
    Entry::text("boot_id", boot_id),
    fixed!("entropy_avail", ENTROPY_BITS),
    fixed!("poolsize", ENTROPY_BITS),
    Entry::text("uuid", |_, _| Ok(format!("{}\n", new_uuid()).into_bytes())),
];

static YAMA: &[Entry] = &[fixed!("ptrace_scope", 0)];

static VM: &[Entry] = &[
    fixed!("max_map_count", MAX_MAP_COUNT),
    fixed!("mmap_min_addr", MMAP_MIN_ADDR),
    fixed!("overcommit_memory", 0),
    fixed!("overcommit_ratio", 50),
    fixed!("swappiness", 60),
];

static NET: &[Entry] = &[Entry::table("core", NET_CORE), Entry::table("ipv4", NET_IPV4)];

static NET_CORE: &[Entry] = &[fixed!("somaxconn", 4096)];

static NET_IPV4: &[Entry] =
    &[fixed!("ip_local_port_range", "32768\t60999"), fixed!("ip_unprivileged_port_start", 1024)];

/// Reads a setting that only the administrator writes.
fn require_admin(current: &Current) -> Result<(), Errno> {
    if current.task.credentials().has(Capability::SYS_ADMIN) { Ok(()) } else { Err(Errno::EPERM) }
}

fn line(text: Vec<u8>) -> Vec<u8> {
    [text, b"\n".to_vec()].concat()
}

fn hostname(_: &Subject, current: &Current) -> Result<Vec<u8>, Errno> {
    Ok(line(current.kernel.uts.hostname()))
}

fn set_hostname(_: &Subject, data: &[u8], current: &Current) -> Result<(), Errno> {
    require_admin(current)?;
    current.kernel.uts.set_hostname(name(data));
    Ok(())
}

fn domainname(_: &Subject, current: &Current) -> Result<Vec<u8>, Errno> {
    Ok(line(current.kernel.uts.domainname()))
}

fn set_domainname(_: &Subject, data: &[u8], current: &Current) -> Result<(), Errno> {
    require_admin(current)?;
    current.kernel.uts.set_domainname(name(data));
    Ok(())
}

fn name(data: &[u8]) -> &[u8] {
    let end = data.iter().position(|&byte| byte == b'\n' || byte == 0).unwrap_or(data.len());
    &data[..end.min(uts::NAME_MAX)]
}

fn pipe_max_size(_: &Subject, _: &Current) -> Result<Vec<u8>, Errno> {
    Ok(format!("{}\n", pipe::MAX_SIZE.load(Ordering::Relaxed)).into_bytes())
}

fn set_pipe_max_size(_: &Subject, data: &[u8], current: &Current) -> Result<(), Errno> {
    require_admin(current)?;
    let size = super::status::parse(data).and_then(|size| u32::try_from(size).ok()).ok_or(Errno::EINVAL)?;
    let size = size.max(pipe::PIPE_BUF as u32).checked_next_power_of_two().ok_or(Errno::EINVAL)?;
    pipe::MAX_SIZE.store(size, Ordering::Relaxed);
    Ok(())
}

fn boot_id(_: &Subject, _: &Current) -> Result<Vec<u8>, Errno> {
    static ID: OnceLock<String> = OnceLock::new();
    Ok(format!("{}\n", ID.get_or_init(new_uuid)).into_bytes())
}

/// A random UUID (version 4).
fn new_uuid() -> String {
    let mut bytes = [0; 16];
    host::random::fill(&mut bytes);
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let mut text = String::new();
    for (index, byte) in bytes.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        text.push_str(&format!("{byte:02x}"));
    }
    text
}
