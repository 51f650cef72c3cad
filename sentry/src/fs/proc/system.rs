//! The system as a whole: time, load, memory, what the kernel is and can.

use std::fmt::Write;

use abi::uapi::general::CLOCK_BOOTTIME;

use super::node::Subject;
use crate::Errno;
use crate::kernel::uts;
use crate::task::Current;

const NS: u64 = 1_000_000_000;
const TICK_NS: u64 = 10_000_000;

fn boottime_ns() -> u64 {
    host::clock::clock_ns(CLOCK_BOOTTIME as i32).max(0) as u64
}

fn cpu_count() -> u64 {
    u64::from(host::system::cpus().count_ones())
}

/// User and system time of all living processes, in ticks.
fn busy_ticks(current: &Current) -> (u64, u64) {
    let groups = current.kernel.pids.groups();
    let times = groups.iter().map(|group| group.cpu_ticks());
    times.fold((0, 0), |(user, system), (utime, stime)| (user + utime.max(0) as u64, system + stime.max(0) as u64))
}

/// Threads, and those of them that run.
fn threads(current: &Current) -> (usize, usize) {
    let groups = current.kernel.pids.groups();
    let all: Vec<_> = groups.iter().flat_map(|group| group.threads()).collect();
    // The reader runs, too, though it is not in the guest at this moment.
    let running = all.iter().filter(|task| task.is_in_guest()).count() + 1;
    (all.len(), running)
}

/// `uptime`
pub(super) fn uptime(_: &Subject, current: &Current) -> Result<Vec<u8>, Errno> {
    let up = boottime_ns();
    let (user, system) = busy_ticks(current);
    let idle = (up * cpu_count()).saturating_sub((user + system) * TICK_NS);
    let seconds = |ns: u64| format!("{}.{:02}", ns / NS, ns % NS / TICK_NS);
    Ok(format!("{} {}\n", seconds(up), seconds(idle)).into_bytes())
}

/// `loadavg`
pub(super) fn loadavg(_: &Subject, current: &Current) -> Result<Vec<u8>, Errno> {
    let [one, five, fifteen] = host::system::memory().load;
    let (all, running) = threads(current);
    let last = current.kernel.pids.last();
    Ok(format!("{one:.2} {five:.2} {fifteen:.2} {running}/{all} {last}\n").into_bytes())
}

/// `version`
pub(super) fn version(_: &Subject, _: &Current) -> Result<Vec<u8>, Errno> {
    Ok(format!("Linux version {} (sandbox) {}\n", uts::RELEASE, uts::VERSION).into_bytes())
}

/// `meminfo`: what the host has; how it is used is not known in here.
pub(super) fn meminfo(_: &Subject, _: &Current) -> Result<Vec<u8>, Errno> {
    let memory = host::system::memory();
    let lines = [
        ("MemTotal", memory.total),
        ("MemFree", memory.free),
        ("MemAvailable", memory.free),
        ("Buffers", 0),
        ("Cached", 0),
        ("SwapCached", 0),
        ("SwapTotal", memory.swap_total),
        ("SwapFree", memory.swap_free),
    ];
    let mut text = String::new();
    for (name, bytes) in lines {
        let _ = writeln!(text, "{:<16}{:8} kB", format!("{name}:"), bytes >> 10);
    }
    Ok(text.into_bytes())
}

/// `stat`
pub(super) fn stat(_: &Subject, current: &Current) -> Result<Vec<u8>, Errno> {
    let up = boottime_ns();
    let cpus = cpu_count();
    let (user, system) = busy_ticks(current);
    let idle = (up / TICK_NS * cpus).saturating_sub(user + system);
    let mut text = format!("cpu  {user} 0 {system} {idle} 0 0 0 0 0 0\n");
    for n in 0..cpus {
        // Which CPU did what is the host's to know: all did the same.
        let (user, system, idle) = (user / cpus, system / cpus, idle / cpus);
        let _ = writeln!(text, "cpu{n} {user} 0 {system} {idle} 0 0 0 0 0 0");
    }
    let booted = host::clock::realtime_ns().saturating_sub(up as i64) / NS as i64;
    let (_, running) = threads(current);
    let processes = current.kernel.pids.last();
    let _ = write!(
        text,
        "intr 0\nctxt 0\nbtime {booted}\nprocesses {processes}\nprocs_running {running}\nprocs_blocked 0\nsoftirq 0\n"
    );
    Ok(text.into_bytes())
}

/// `vmstat`
pub(super) fn vmstat(_: &Subject, _: &Current) -> Result<Vec<u8>, Errno> {
    let free = host::system::memory().free / abi::PAGE_SIZE;
    Ok(format!("nr_free_pages {free}\n").into_bytes())
}

/// `filesystems`: those without a block device are marked, which all are.
pub(super) fn filesystems(_: &Subject, _: &Current) -> Result<Vec<u8>, Errno> {
    Ok(crate::fs::names().iter().map(|name| format!("nodev\t{name}\n")).collect::<String>().into_bytes())
}

/// `devices`
pub(super) fn devices(_: &Subject, _: &Current) -> Result<Vec<u8>, Errno> {
    Ok(b"Character devices:\n  1 mem\n  5 /dev/tty\n  5 /dev/console\n  5 /dev/ptmx\n136 pts\n\nBlock devices:\n"
        .to_vec())
}
