//! `/proc/PID/limits`.

use std::fmt::Write;

use super::node::Subject;
use crate::Errno;
use crate::task::{Current, rlimit};

/// Name and unit of each resource, by number.
const RESOURCES: [(&str, &str); rlimit::COUNT] = [
    ("Max cpu time", "seconds"),
    ("Max file size", "bytes"),
    ("Max data size", "bytes"),
    ("Max stack size", "bytes"),
    ("Max core file size", "bytes"),
    ("Max resident set", "bytes"),
    ("Max processes", "processes"),
    ("Max open files", "files"),
    ("Max locked memory", "bytes"),
    ("Max address space", "bytes"),
    ("Max file locks", "locks"),
    ("Max pending signals", "signals"),
    ("Max msgqueue size", "bytes"),
    ("Max nice priority", ""),
    ("Max realtime priority", ""),
    ("Max realtime timeout", "us"),
];

pub(super) fn limits(subject: &Subject, _: &Current) -> Result<Vec<u8>, Errno> {
    let limits = subject.group()?.limits.lock().clone();
    let mut text = format!("{:<25} {:<20} {:<20} {:<10}\n", "Limit", "Soft Limit", "Hard Limit", "Units");
    let value = |limit: u64| if limit == rlimit::INFINITY { "unlimited".to_owned() } else { limit.to_string() };
    for ((name, unit), limit) in RESOURCES.iter().zip(limits.0) {
        let _ = writeln!(text, "{name:<25} {:<20} {:<20} {unit:<10}", value(limit.cur), value(limit.max));
    }
    Ok(text.into_bytes())
}
