//! Numbers about a process for people: `status`, and small settings.

use std::fmt::Write;
use std::sync::atomic::Ordering;

use super::node::Subject;
use super::stat::state;
use crate::Errno;
use crate::mm::Sizes;
use crate::task::{Capability, Current, rlimit};

/// `status`
pub(super) fn status(subject: &Subject, current: &Current) -> Result<Vec<u8>, Errno> {
    let group = subject.group()?;
    let task = subject.task().ok();
    let (ppid, pgid, sid, threads) = {
        let family = group.family.lock();
        let parent = family.parent.upgrade().map_or(0, |parent| parent.pid);
        (parent, family.pgid, family.sid, family.threads.len())
    };
    let id = subject.id();
    let mut text = String::new();
    let name = task.as_ref().map_or_else(Vec::new, |task| task.state.lock().name.clone());
    let _ = writeln!(text, "Name:\t{}", String::from_utf8_lossy(&name).escape_default());
    if let Some(task) = &task {
        let _ = writeln!(text, "Umask:\t{:04o}", task.fs().umask());
    }
    let _ = writeln!(text, "State:\t{}", state(group, task.as_ref(), current));
    let _ = writeln!(text, "Tgid:\t{}\nNgid:\t0\nPid:\t{id}\nPPid:\t{ppid}\nTracerPid:\t0", group.pid);
    if let Some(task) = &task {
        let c = task.credentials();
        let _ = writeln!(text, "Uid:\t{}\t{}\t{}\t{}", c.uid, c.euid, c.suid, c.fsuid);
        let _ = writeln!(text, "Gid:\t{}\t{}\t{}\t{}", c.gid, c.egid, c.sgid, c.fsgid);
        let slots = task.files().map_or(0, |files| files.numbers().last().map_or(0, |&last| last as usize + 1));
        let _ = writeln!(text, "FDSize:\t{}", slots.next_power_of_two().max(64));
        let groups: String = c.groups.iter().map(|gid| format!("{gid} ")).collect();
        let _ = writeln!(text, "Groups:\t{groups}");
    }
    let _ = writeln!(text, "NStgid:\t{}\nNSpid:\t{id}\nNSpgid:\t{pgid}\nNSsid:\t{sid}", group.pid);
    let _ = writeln!(text, "Kthread:\t0");
    if let Some(mm) = task.as_ref().and_then(|task| task.mm().ok()) {
        memory(&mut text, &mm.sizes());
        text.push_str("CoreDumping:\t0\nTHP_enabled:\t1\n");
    }
    let _ = writeln!(text, "Threads:\t{threads}");
    signals(&mut text, subject);
    if let Some(task) = &task {
        let c = task.credentials();
        let sets = &c.capabilities;
        let lines = [
            ("CapInh", sets.inheritable),
            ("CapPrm", sets.permitted),
            ("CapEff", sets.effective),
            ("CapBnd", sets.bounding),
            ("CapAmb", sets.ambient),
        ];
        for (name, set) in lines {
            let _ = writeln!(text, "{name}:\t{:016x}", set.0);
        }
        let _ = writeln!(text, "NoNewPrivs:\t{}", u8::from(c.no_new_privs));
        text.push_str("Seccomp:\t0\nSeccomp_filters:\t0\n");
        // A mask of zero was never set: all CPUs.
        let all = host::system::cpus();
        let cpus = match task.state.lock().scheduling.affinity & all {
            0 => all,
            some => some,
        };
        let _ = writeln!(text, "Cpus_allowed:\t{cpus:x}\nCpus_allowed_list:\t{}", super::cpu::list(cpus));
    }
    text.push_str("Mems_allowed:\t1\nMems_allowed_list:\t0\n");
    let usage = group.usage();
    let _ = writeln!(text, "voluntary_ctxt_switches:\t{}", usage.ru_nvcsw);
    let _ = writeln!(text, "nonvoluntary_ctxt_switches:\t{}", usage.ru_nivcsw);
    Ok(text.into_bytes())
}

fn memory(text: &mut String, sizes: &Sizes) {
    let mut line = |name: &str, bytes: u64| text.push_str(&format!("{name}:\t{:8} kB\n", bytes >> 10));
    line("VmPeak", sizes.peak);
    line("VmSize", sizes.total);
    line("VmLck", sizes.locked);
    line("VmData", sizes.data);
    line("VmStk", sizes.stack);
    line("VmExe", sizes.text);
    line("VmLib", sizes.library);
}

fn signals(text: &mut String, subject: &Subject) {
    let Ok(group) = subject.group() else { return };
    let limit = group.limits.lock().get(rlimit::SIGPENDING).cur;
    let (shared, queued, caught, ignored) = {
        let signals = group.signals.lock();
        let (caught, ignored) = signals.actions.caught_and_ignored();
        (signals.pending.set().0, signals.pending.len(), caught.0, ignored.0)
    };
    let (own, blocked, own_queued) = subject.task().map_or((0, 0, 0), |task| {
        let signals = task.signals.lock();
        (signals.pending.set().0, signals.mask.0, signals.pending.len())
    });
    let _ = writeln!(text, "SigQ:\t{}/{limit}", queued + own_queued);
    for (name, set) in
        [("SigPnd", own), ("ShdPnd", shared), ("SigBlk", blocked), ("SigIgn", ignored), ("SigCgt", caught)]
    {
        let _ = writeln!(text, "{name}:\t{set:016x}");
    }
}

/// `comm`
pub(super) fn comm(subject: &Subject, _: &Current) -> Result<Vec<u8>, Errno> {
    let mut name = subject.task()?.state.lock().name.clone();
    name.push(b'\n');
    Ok(name)
}

/// Threads may name each other, and nobody else.
pub(super) fn set_comm(subject: &Subject, data: &[u8], current: &Current) -> Result<(), Errno> {
    const LONGEST: usize = 15;
    let task = subject.task()?;
    if task.group.pid != current.task.group.pid {
        return Err(Errno::EINVAL);
    }
    let end = data.iter().position(|&byte| byte == 0 || byte == b'\n').unwrap_or(data.len());
    task.state.lock().name = data[..end.min(LONGEST)].to_vec();
    Ok(())
}

/// `task/TID/children`
pub(super) fn children(subject: &Subject, _: &Current) -> Result<Vec<u8>, Errno> {
    let group = subject.group()?;
    // Children belong to processes here: the leader shows them.
    if subject.id() != group.pid {
        return Ok(Vec::new());
    }
    let children = group.family.lock().children.clone();
    Ok(children.iter().map(|child| format!("{} ", child.pid)).collect::<String>().into_bytes())
}

/// `personality`
pub(super) fn personality(subject: &Subject, _: &Current) -> Result<Vec<u8>, Errno> {
    Ok(format!("{:08x}\n", subject.task()?.state.lock().personality).into_bytes())
}

/// `timerslack_ns`
pub(super) fn timer_slack(subject: &Subject, _: &Current) -> Result<Vec<u8>, Errno> {
    Ok(format!("{}\n", subject.task()?.state.lock().scheduling.timer_slack_ns).into_bytes())
}

/// `sched`: what of it is known.
pub(super) fn sched(subject: &Subject, _: &Current) -> Result<Vec<u8>, Errno> {
    let task = subject.task()?;
    let (name, scheduling, threads) = {
        let state = task.state.lock();
        (state.name.clone(), state.scheduling, task.group.threads().len())
    };
    let name = String::from_utf8_lossy(&name).into_owned();
    let mut text = format!("{name} ({}, #threads: {threads})\n{}\n", task.tid, "-".repeat(67));
    let _ = writeln!(text, "{:<45}:{:>21}", "policy", scheduling.policy);
    let _ = writeln!(text, "{:<45}:{:>21}", "prio", 120 + scheduling.nice);
    Ok(text.into_bytes())
}

/// `oom_score_adj`: kept, and without effect: a host cgroup bounds the memory of all.
pub(super) fn oom_score_adj(subject: &Subject, _: &Current) -> Result<Vec<u8>, Errno> {
    Ok(format!("{}\n", subject.group()?.oom_score_adj.load(Ordering::Relaxed)).into_bytes())
}

pub(super) fn set_oom_score_adj(subject: &Subject, data: &[u8], current: &Current) -> Result<(), Errno> {
    let value = parse(data).filter(|value| (-1000..=1000).contains(value)).ok_or(Errno::EINVAL)?;
    let setting = &subject.group()?.oom_score_adj;
    if value < setting.load(Ordering::Relaxed) && !current.task.credentials().has(Capability::SYS_RESOURCE) {
        return Err(Errno::EACCES);
    }
    setting.store(value, Ordering::Relaxed);
    Ok(())
}

/// `oom_adj`: the same in the old scale of -17..=15.
pub(super) fn oom_adj(subject: &Subject, _: &Current) -> Result<Vec<u8>, Errno> {
    let value = subject.group()?.oom_score_adj.load(Ordering::Relaxed);
    let old = if value == 1000 { 15 } else { value * 17 / 1000 };
    Ok(format!("{old}\n").into_bytes())
}

pub(super) fn set_oom_adj(subject: &Subject, data: &[u8], current: &Current) -> Result<(), Errno> {
    let old = parse(data).filter(|value| (-17..=15).contains(value)).ok_or(Errno::EINVAL)?;
    let value = if old == 15 { 1000 } else { old * 1000 / 17 };
    set_oom_score_adj(subject, value.to_string().as_bytes(), current)
}

/// `oom_score`: nobody is ever chosen here.
pub(super) fn oom_score(subject: &Subject, _: &Current) -> Result<Vec<u8>, Errno> {
    let adjustment = subject.group()?.oom_score_adj.load(Ordering::Relaxed);
    Ok(format!("{}\n", (666 + adjustment * 2 / 3).max(0)).into_bytes())
}

/// A decimal number with blanks around it.
pub(super) fn parse(data: &[u8]) -> Option<i32> {
    std::str::from_utf8(data).ok()?.trim_matches(['\0', ' ', '\n', '\t']).parse().ok()
}
