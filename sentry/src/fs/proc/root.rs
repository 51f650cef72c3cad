//! The top directory of `/proc`.

use super::node::{Entry, Kind, Subject, Target};
use super::{sysctl, system};
use crate::Errno;
use crate::task::Current;

/// What is there beside the processes.
pub(super) static ENTRIES: &[Entry] = &[
    Entry::text("cgroups", |_, _| Ok(b"#subsys_name\thierarchy\tnum_cgroups\tenabled\n".to_vec())),
    Entry::text("cmdline", |_, _| Ok(b"\n".to_vec())),
    Entry::text("cpuinfo", super::cpu::cpuinfo),
    Entry::text("devices", system::devices),
    // No disk is inside, so no line.
    Entry::text("diskstats", |_, _| Ok(Vec::new())),
    Entry::text("filesystems", system::filesystems),
    Entry::text("loadavg", system::loadavg),
    Entry::text("meminfo", system::meminfo),
    Entry::special("net", 0o777, Kind::Link(|_, _| Ok(to("self/net")))),
    Entry::special("mounts", 0o777, Kind::Link(|_, _| Ok(to("self/mounts")))),
    Entry::text("partitions", |_, _| Ok(b"major minor  #blocks  name\n\n".to_vec())),
    Entry::link("self", |_, current| Ok(to(&current.task.group.pid.to_string()))),
    Entry::text("stat", system::stat),
    Entry::text("swaps", |_, _| Ok(b"Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n".to_vec())),
    Entry::table("sys", sysctl::ENTRIES),
    Entry::link("thread-self", thread_self),
    Entry::text("uptime", system::uptime),
    Entry::text("version", system::version),
    Entry::text("vmstat", system::vmstat),
];

fn to(path: &str) -> Target {
    Target { text: path.as_bytes().to_vec(), location: None }
}

fn thread_self(_: &Subject, current: &Current) -> Result<Target, Errno> {
    Ok(to(&format!("{}/task/{}", current.task.group.pid, current.task.tid)))
}
