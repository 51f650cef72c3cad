//! Numbers about a process for programs: `stat`, `statm`, `io`, `schedstat`.

use std::sync::Arc;

use abi::PAGE_SIZE;

use super::node::Subject;
use crate::Errno;
use crate::mm::Sizes;
use crate::signal;
use crate::task::{Current, Task, ThreadGroup, rlimit};

const TICK_NS: u64 = 10_000_000;

/// The letter and word of a thread's state.
pub(super) fn state(group: &Arc<ThreadGroup>, task: Option<&Arc<Task>>, current: &Current) -> &'static str {
    let Some(task) = task else { return "Z (zombie)" };
    if signal::is_stopped(group) {
        return "T (stopped)";
    }
    if Arc::ptr_eq(task, &current.task) || task.is_in_guest() { "R (running)" } else { "S (sleeping)" }
}

/// `stat`
pub(super) fn stat(subject: &Subject, current: &Current) -> Result<Vec<u8>, Errno> {
    let group = subject.group()?;
    let task = subject.task().ok();
    let (ppid, pgid, sid, threads, exit_signal, exit_status) = {
        let family = group.family.lock();
        let parent = family.parent.upgrade().map_or(0, |parent| parent.pid);
        let threads = family.threads.len();
        (parent, family.pgid, family.sid, threads, family.exit_signal, family.exit_status.unwrap_or(0))
    };
    let tty = current.kernel.terminals.of_session(sid);
    let (tty_number, tty_group) = tty.map_or((0, -1), |tty| (tty.device as i32, tty.foreground_group().unwrap_or(-1)));
    let name = task.as_ref().map_or_else(Vec::new, |task| task.state.lock().name.clone());
    let mm = task.as_ref().and_then(|task| task.mm().ok());
    let sizes = mm.as_ref().map_or_else(Sizes::default, |mm| mm.sizes());
    let image = mm.as_ref().map(|mm| mm.image()).unwrap_or_default();
    let scheduling = task.as_ref().map(|task| task.state.lock().scheduling).unwrap_or_default();
    let (pending, blocked) = task.as_ref().map_or((0, 0), |task| {
        let own = task.signals.lock();
        (own.pending.set().0, own.mask.0)
    });
    let (caught, ignored) = group.signals.lock().actions.caught_and_ignored();
    let usage = group.usage();
    let (utime, stime) = group.cpu_ticks();
    let children = group.children_usage();
    let ticks = |time: abi::types::Timeval| time.tv_sec * 100 + time.tv_usec / 10_000;
    let rss_limit = group.limits.lock().get(rlimit::RSS).cur;
    let letter = &state(group, task.as_ref(), current)[..1];

    let mut text = format!("{} (", subject.id()).into_bytes();
    text.extend(name);
    let fields: [i64; 10] = [
        ppid.into(),
        pgid.into(),
        sid.into(),
        tty_number.into(),
        tty_group.into(),
        0x40_0000, // PF_RANDOMIZE
        usage.ru_minflt,
        children.ru_minflt,
        usage.ru_majflt,
        children.ru_majflt,
    ];
    text.extend(format!(") {letter}").into_bytes());
    fields.iter().for_each(|field| text.extend(format!(" {field}").into_bytes()));
    let priority = 20 + i64::from(scheduling.nice);
    let more: [u64; 34] = [
        utime as u64,
        stime as u64,
        ticks(children.ru_utime) as u64,
        ticks(children.ru_stime) as u64,
        priority as u64,
        scheduling.nice as i64 as u64,
        threads as u64,
        0,
        group.started_ns / TICK_NS,
        sizes.total,
        // How much is in memory only the host knows.
        0,
        rss_limit,
        image.code_start,
        image.code_end,
        image.stack_start,
        0,
        0,
        pending,
        blocked,
        ignored.0,
        caught.0,
        0,
        0,
        0,
        u64::from(exit_signal),
        0,
        scheduling.priority as u64,
        u64::from(scheduling.policy),
        0,
        0,
        0,
        image.data_start,
        image.data_end,
        0,
    ];
    for (index, field) in more.iter().enumerate() {
        // Niceness is the one that may be negative.
        let shown = if index == 5 { (*field as i64).to_string() } else { field.to_string() };
        text.extend(format!(" {shown}").into_bytes());
    }
    let last = [image.arg_start, image.arg_end, image.env_start, image.env_end, exit_status as u64];
    last.iter().for_each(|field| text.extend(format!(" {field}").into_bytes()));
    text.push(b'\n');
    Ok(text)
}

/// `statm`, in pages
pub(super) fn statm(subject: &Subject, _: &Current) -> Result<Vec<u8>, Errno> {
    let Ok(task) = subject.task() else { return Ok(b"0 0 0 0 0 0 0\n".to_vec()) };
    let sizes = task.mm().map_or_else(|_| Sizes::default(), |mm| mm.sizes());
    let pages = |bytes: u64| bytes / PAGE_SIZE;
    let (total, text, data) = (pages(sizes.total), pages(sizes.text), pages(sizes.data + sizes.stack));
    Ok(format!("{total} 0 0 {text} 0 {data} 0\n").into_bytes())
}

/// `io`: nothing is counted yet but by the host's block layer, which is out of sight.
pub(super) fn io(subject: &Subject, current: &Current) -> Result<Vec<u8>, Errno> {
    subject.private_task(current)?;
    let names = ["rchar", "wchar", "syscr", "syscw", "read_bytes", "write_bytes", "cancelled_write_bytes"];
    Ok(names.iter().map(|name| format!("{name}: 0\n")).collect::<String>().into_bytes())
}

/// `schedstat`: time on a CPU; the other numbers are the host scheduler's.
pub(super) fn schedstat(subject: &Subject, _: &Current) -> Result<Vec<u8>, Errno> {
    let usage = subject.group()?.usage();
    let ns = |time: abi::types::Timeval| (time.tv_sec * 1_000_000 + time.tv_usec) * 1000;
    Ok(format!("{} 0 0\n", ns(usage.ru_utime) + ns(usage.ru_stime)).into_bytes())
}
