//! The directory of a process, and of a thread in its `task`.

use super::node::{Entry, Kind, Read, Subject};
use super::{limits, links, memory, mounts, net, stat, status};
use crate::Errno;
use crate::task::Current;

/// What is in the directory of `subject`.
pub(super) fn entries(subject: &Subject) -> &'static [Entry] {
    if matches!(subject, Subject::Thread(..)) { THREAD } else { PROCESS }
}

static PROCESS: &[Entry] = &[
    Entry::special("task", 0o555, Kind::Threads),
    Entry::special("fd", 0o500, Kind::Fds),
    Entry::special("fdinfo", 0o555, Kind::FdInfos),
    Entry::table("net", net::ENTRIES),
    Entry::table("ns", links::NAMESPACES),
    Entry::private("auxv", memory::auxv),
    Entry::text("cgroup", cgroup),
    Entry::text("cmdline", memory::cmdline),
    Entry::writable("comm", status::comm, status::set_comm),
    Entry::link("cwd", links::cwd),
    Entry::private("environ", memory::environ),
    Entry::link("exe", links::exe),
    Entry::writable("gid_map", whole_map, not_permitted),
    Entry::private("io", stat::io),
    Entry::text("limits", limits::limits),
    Entry::text("loginuid", unset_login),
    Entry::text("maps", memory::maps),
    Entry::special("mem", 0o600, Kind::Memory),
    Entry::text("mountinfo", mounts::mountinfo),
    Entry::text("mounts", mounts::mounts),
    Entry::private("mountstats", mounts::mountstats),
    Entry::writable("oom_adj", status::oom_adj, status::set_oom_adj),
    Entry::text("oom_score", status::oom_score),
    Entry::writable("oom_score_adj", status::oom_score_adj, status::set_oom_score_adj),
    Entry::private("personality", status::personality),
    Entry::link("root", links::root),
    Entry::writable("sched", status::sched, |_, _, _| Ok(())),
    Entry::text("schedstat", stat::schedstat),
    Entry::text("sessionid", unset_login),
    Entry::writable("setgroups", |_, _| Ok(b"allow\n".to_vec()), not_permitted),
    Entry::text("smaps", memory::smaps),
    Entry::text("stat", stat::stat),
    Entry::text("statm", stat::statm),
    Entry::text("status", status::status),
    Entry::text("timerslack_ns", status::timer_slack),
    Entry::writable("uid_map", whole_map, not_permitted),
    Entry::text("wchan", |_, _| Ok(b"0".to_vec())),
];

static THREAD: &[Entry] = &[
    Entry::special("fd", 0o500, Kind::Fds),
    Entry::special("fdinfo", 0o555, Kind::FdInfos),
    Entry::table("ns", links::NAMESPACES),
    Entry::private("auxv", memory::auxv),
    Entry::text("cgroup", cgroup),
    Entry::text("children", status::children),
    Entry::text("cmdline", memory::cmdline),
    Entry::writable("comm", status::comm, status::set_comm),
    Entry::link("cwd", links::cwd),
    Entry::private("environ", memory::environ),
    Entry::link("exe", links::exe),
    Entry::writable("gid_map", whole_map, not_permitted),
    Entry::private("io", stat::io),
    Entry::text("limits", limits::limits),
    Entry::text("maps", memory::maps),
    Entry::special("mem", 0o600, Kind::Memory),
    Entry::text("mountinfo", mounts::mountinfo),
    Entry::text("mounts", mounts::mounts),
    Entry::text("oom_score", status::oom_score),
    Entry::writable("oom_score_adj", status::oom_score_adj, status::set_oom_score_adj),
    Entry::private("personality", status::personality),
    Entry::link("root", links::root),
    Entry::writable("sched", status::sched, |_, _, _| Ok(())),
    Entry::text("schedstat", stat::schedstat),
    Entry::text("smaps", memory::smaps),
    Entry::text("stat", stat::stat),
    Entry::text("statm", stat::statm),
    Entry::text("status", status::status),
    Entry::writable("uid_map", whole_map, not_permitted),
    Entry::text("wchan", |_, _| Ok(b"0".to_vec())),
];

/// Texts that show the inside of a process, although their permissions let everyone open them.
static INSIDE: [Read; 5] = [memory::maps, memory::smaps, memory::environ, memory::auxv, stat::io];

/// Refuses to open what `current` may not see.
///
/// # Errors
/// EACCES, ESRCH.
pub(super) fn check_open(read: Read, subject: &Subject, current: &Current) -> Result<(), Errno> {
    if INSIDE.iter().any(|&inside| std::ptr::fn_addr_eq(inside, read)) {
        subject.private_task(current)?;
    }
    Ok(())
}

/// One group for all, at the root of the one hierarchy.
fn cgroup(_: &Subject, _: &Current) -> Result<Vec<u8>, Errno> {
    Ok(b"0::/\n".to_vec())
}

/// No user namespaces: all ids stand for themselves.
fn whole_map(_: &Subject, _: &Current) -> Result<Vec<u8>, Errno> {
    Ok(b"         0          0 4294967295\n".to_vec())
}

/// What is fixed for the only user namespace.
fn not_permitted(_: &Subject, _: &[u8], _: &Current) -> Result<(), Errno> {
    Err(Errno::EPERM)
}

/// Nobody logged in.
fn unset_login(_: &Subject, _: &Current) -> Result<Vec<u8>, Errno> {
    Ok(b"4294967295".to_vec())
}
