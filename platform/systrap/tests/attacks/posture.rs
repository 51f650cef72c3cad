//! What a stub process has, seen from outside.

use crate::Case;
use crate::guest::{Outcome, run, spawn};
use platform::{Event, Platform};
use std::time::Duration;

pub const CASES: &[Case] = &[("a_stub_has_nothing", a_stub_has_nothing)];

fn check(pid: i32) {
    let fds: Vec<_> = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().collect();
    assert!(fds.is_empty(), "descriptors of {pid}: {fds:?}");
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    for line in [
        "Seccomp:\t2",
        "Seccomp_filters:\t1",
        "NoNewPrivs:\t1",
        "SigBlk:\t0000000000000000",
        "SigPnd:\t0000000000000000",
    ] {
        assert!(status.contains(line), "{line} is not in\n{status}");
    }
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    for line in maps.lines() {
        let guest = line.starts_with("00400000-") || line.starts_with("00500000-");
        let stub = line.starts_with("7fff");
        let vdso = line.contains("[v");
        assert!(guest || stub || vdso, "a mapping too many: {line}");
        assert!(!(stub && line.contains("w") && line.contains("x")), "writable and executable: {line}");
        assert!(!stub || !line.starts_with("7fffc0006000"), "the set-up text is there: {line}");
    }
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    assert!(
        limits.lines().any(|l| l.starts_with("Max core file size") && l.contains(" 0 ")),
        "no core dumps: {limits}"
    );
}

fn a_stub_has_nothing(platform: &dyn Platform) {
    let mut context = spawn(platform, &[0x0f, 0x05]);
    assert_eq!(run(platform, &mut *context, Duration::from_secs(1)), Outcome::Event(Event::Syscall));
    let child = context.fork().unwrap();
    let _thread = context.clone_thread().unwrap();
    check(context.space().host_pid().unwrap());
    check(child.space().host_pid().unwrap());
}
