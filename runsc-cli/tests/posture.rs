//! What each process of a running sandbox may do, read from `/proc`: as root and rootless, on both platforms.

mod census;

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};

use census::{Census, PLATFORMS, Running, status, status_of};

/// An unprivileged user for the rootless runs.
const NOBODY: u32 = 65534;
/// CHOWN, DAC_OVERRIDE, DAC_READ_SEARCH, FOWNER, FSETID.
const FILE_CAPABILITIES: u64 = 0b1_1111;

#[derive(Clone, Copy, PartialEq, Debug)]
enum Caller {
    Root,
    Nobody,
}

fn start(platform: &str, caller: Caller) -> Running {
    let mut command = census::run(&["--platform", platform], &["sh", "-c", "echo ready; sleep 60; :"]);
    command.stderr(std::process::Stdio::inherit()).current_dir("/");
    if caller == Caller::Nobody {
        command.uid(NOBODY).gid(NOBODY);
    }
    Running::start(&mut command)
}

fn in_every_posture(check: impl Fn(&Running, &str, Caller)) {
    let census = Census::begin();
    let is_root = nix::unistd::geteuid().is_root();
    let callers: &[Caller] = if is_root { &[Caller::Root, Caller::Nobody] } else { &[Caller::Nobody] };
    if !is_root {
        println!("not root: only the rootless posture is looked at");
    }
    for platform in PLATFORMS {
        for &caller in callers {
            println!("{platform}, started by {caller:?}");
            let mut running = start(platform, caller);
            check(&running, platform, caller);
            running.kill();
            census.nobody_is_left();
        }
    }
}

fn roles(running: &Running) -> Vec<(&'static str, u32)> {
    let stubs = running.stubs.iter().map(|&pid| ("stub", pid));
    [("sentry", running.sentry), ("gofer", running.gofer)].into_iter().chain(stubs).collect()
}

fn namespace(pid: u32, kind: &str) -> PathBuf {
    fs::read_link(format!("/proc/{pid}/ns/{kind}")).expect("a namespace")
}

#[test]
fn namespaces_are_not_the_hosts() {
    in_every_posture(|running, _, caller| {
        for (role, pid) in roles(running) {
            for kind in ["user", "pid", "mnt", "uts", "ipc", "net"] {
                // As root the gofer reaches files as root, which only the host's own user namespace gives.
                if role == "gofer" && kind == "user" && caller == Caller::Root {
                    continue;
                }
                assert_ne!(namespace(pid, kind), namespace(std::process::id(), kind), "{kind} of {role} {pid}");
            }
        }
    });
}

#[test]
fn capabilities_are_gone() {
    in_every_posture(|running, _, _| {
        for (role, pid) in roles(running) {
            for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
                let text = status(pid, set).expect("a capability set");
                let bits = u64::from_str_radix(&text, 16).expect("a number");
                let may_have = if role == "gofer" { FILE_CAPABILITIES } else { 0 };
                assert_eq!(bits & !may_have, 0, "{set} of {role} {pid}: {text}");
            }
        }
    });
}

#[test]
fn every_thread_has_no_new_privileges_and_a_filter() {
    in_every_posture(|running, _, _| {
        for (role, pid) in roles(running) {
            for thread in fs::read_dir(format!("/proc/{pid}/task")).expect("threads").flatten() {
                let file = thread.path().join("status");
                assert_eq!(status_of(&file, "NoNewPrivs").as_deref(), Some("1"), "{role} {file:?}");
                assert_eq!(status_of(&file, "Seccomp").as_deref(), Some("2"), "{role} {file:?}");
            }
        }
    });
}

#[test]
fn sentry_and_stubs_are_nobody_on_the_host() {
    in_every_posture(|running, _, caller| {
        for (role, pid) in roles(running).into_iter().filter(|(role, _)| *role != "gofer") {
            for field in ["Uid", "Gid"] {
                let ids = status(pid, field).expect("ids");
                for id in ids.split_whitespace() {
                    let id: u32 = id.parse().expect("a number");
                    assert_ne!(id, 0, "{field} of {role}: {ids}");
                    assert!(caller != Caller::Nobody || id == NOBODY, "{field} of {role}: {ids}");
                }
            }
        }
    });
}

#[test]
fn roots_are_empty_or_hold_attach_points_only() {
    in_every_posture(|running, _, _| {
        for (role, pid) in roles(running) {
            let mounts = fs::read_to_string(format!("/proc/{pid}/mountinfo")).expect("mounts");
            let root = mounts.lines().find(|line| line.split(' ').nth(4) == Some("/")).expect("a root");
            assert!(root.split(' ').nth(5).is_some_and(|flags| flags.starts_with("ro,")), "{role}: {root}");
            let entries = fs::read_dir(format!("/proc/{pid}/root")).expect("its root").flatten();
            let names: Vec<String> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
            if role == "gofer" {
                assert!(names.iter().all(|name| name.parse::<u32>().is_ok()), "{role}: {names:?}");
            } else {
                assert_eq!(mounts.lines().count(), 1, "{role}: {mounts}");
                assert!(names.is_empty(), "{role}: {names:?}");
            }
        }
    });
}

/// Descriptors of a process: where each leads, and its file.
fn descriptors(pid: u32) -> Vec<(String, PathBuf)> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).expect("descriptors").flatten();
    entries.map(|entry| (fs::read_link(entry.path()).unwrap_or_default().display().to_string(), entry.path())).collect()
}

fn is_read_only(file: &Path) -> bool {
    const O_ACCMODE: u32 = 3;
    let info = file.display().to_string().replace("/fd/", "/fdinfo/");
    let flags = status_of(Path::new(&info), "flags").expect("flags");
    u32::from_str_radix(&flags, 8).expect("octal") & O_ACCMODE == 0
}

#[test]
fn the_sentry_holds_no_descriptor_that_leads_out() {
    in_every_posture(|running, _, _| {
        for (number, (target, file)) in descriptors(running.sentry).into_iter().enumerate() {
            let kinds = ["socket:[", "pipe:[", "/memfd:", "anon_inode:[eventpoll]", "anon_inode:[eventfd]"];
            let more = ["anon_inode:[timerfd]", "anon_inode:seccomp notify", "/dev/null", "/dev/pts/", "/dev/tty"];
            if kinds.iter().chain(&more).any(|kind| target.starts_with(kind)) {
                continue;
            }
            let Ok(metadata) = fs::metadata(&file) else { continue };
            // Standard error is the test's own, whatever that is; else only files that the guest has opened or mapped.
            let is_standard = target == fs::read_link("/proc/self/fd/2").expect("stderr").display().to_string();
            let is_device = metadata.file_type().is_block_device() || metadata.file_type().is_char_device();
            assert!(!metadata.is_dir() && !is_device, "descriptor {number} is {target}");
            assert!(is_standard || is_read_only(&file), "descriptor {number}, {target}, can be written");
        }
    });
}

#[test]
fn stubs_hold_no_descriptors() {
    in_every_posture(|running, platform, _| {
        let counts: Vec<usize> = running.stubs.iter().map(|&pid| descriptors(pid).len()).collect();
        for &pid in &running.stubs {
            // The zygote and stubs not yet in use have the one socket by which they are set up; ptrace's are handed files by it,
            // which no guest code can call.
            let all = descriptors(pid);
            assert!(all.len() <= 1 && all.iter().all(|(target, _)| target.starts_with("socket:")), "{pid}: {all:?}");
        }
        if platform == "systrap" {
            // The shell's and sleep's.
            assert!(counts.iter().filter(|&&count| count == 0).count() >= 2, "descriptors of the stubs: {counts:?}");
        }
    });
}

#[test]
fn nobody_may_look_into_the_sentry() {
    in_every_posture(|running, _, caller| {
        // The files in /proc of a process that is not dumpable are root's, whoever it runs as.
        for pid in [running.sentry, running.gofer] {
            let owner = fs::metadata(format!("/proc/{pid}/environ")).expect("its environ").uid();
            assert_eq!(owner, 0, "{pid} started by {caller:?} is dumpable");
        }
    });
}
