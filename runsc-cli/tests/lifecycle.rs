//! Sandboxes come and go, in numbers and by force, and leave nothing behind.

mod census;

use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use std::{fs, thread};

use census::{Census, PLATFORMS, Running};

/// Mounts and cgroups of the machine: what a sandbox must leave as it was.
#[derive(PartialEq, Debug)]
struct Machine {
    mounts: usize,
    cgroups: Vec<String>,
}

impl Machine {
    /// `pids`: commands whose cgroups are looked for.
    fn look(pids: &[u32]) -> Machine {
        let mounts = fs::read_to_string("/proc/self/mountinfo").expect("mounts").lines().count();
        let controllers = fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten();
        let cgroups =
            controllers.flat_map(|controller| fs::read_dir(controller.path()).into_iter().flatten().flatten());
        let names = cgroups.map(|entry| entry.path().display().to_string());
        let cgroups = names.filter(|name| pids.iter().any(|pid| name.ends_with(&format!("sandbox-{pid}")))).collect();
        Machine { mounts, cgroups }
    }
}

/// Waits until the processes are gone and the machine looks as before.
fn nothing_is_left(census: &Census, before: &Machine, pids: &[u32]) {
    census.nobody_is_left();
    let deadline = Instant::now() + Duration::from_secs(5);
    while Machine::look(pids) != *before {
        assert!(Instant::now() < deadline, "left behind: {:?}, before: {before:?}", Machine::look(pids));
        thread::sleep(Duration::from_millis(20));
    }
}

fn finished(command: &mut Command) -> ExitStatus {
    command.status().expect("the sandbox starts")
}

#[test]
fn two_hundred_sandboxes_run_one_after_another() {
    let census = Census::begin();
    let before = Machine::look(&[]);
    for n in 0..200 {
        let platform = PLATFORMS[n % 2];
        let mut command = census::run(&["--platform", platform], &["sh", "-c", "exit 7"]);
        let output = command.stderr(Stdio::piped()).output().expect("the sandbox starts");
        let message = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(7), "run {n} on {platform}: {message}");
    }
    nothing_is_left(&census, &before, &[]);
}

#[test]
fn fifty_sandboxes_run_at_once() {
    let census = Census::begin();
    let before = Machine::look(&[]);
    let script = "for i in 1 2 3; do /bin/true || exit 1; done; exit 9";
    let start = |n: usize| census::run(&["--platform", PLATFORMS[n % 2]], &["sh", "-c", script]).spawn();
    let running: Vec<_> = (0..50).map(|n| start(n).expect("the sandbox starts")).collect();
    for (n, mut command) in running.into_iter().enumerate() {
        let status = command.wait().expect("its end");
        assert_eq!(status.code(), Some(9), "sandbox {n}");
    }
    nothing_is_left(&census, &before, &[]);
}

#[test]
fn a_script_runs_five_hundred_commands() {
    let census = Census::begin();
    for platform in PLATFORMS {
        let script = "i=0; while [ $i -lt 500 ]; do /bin/true || exit 1; i=$((i+1)); done; exit 3";
        let status = finished(&mut census::run(&["--platform", platform], &["sh", "-c", script]));
        assert_eq!(status.code(), Some(3), "on {platform}");
        census.nobody_is_left();
    }
}

/// Something that is always in the middle of it: forks, execs, pipes, files.
const BUSY: &str = "echo ready; while :; do ls / | cat > /tmp/x; done";

fn kill(pid: u32) {
    let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid as i32), nix::sys::signal::Signal::SIGKILL);
}

/// Delays that differ from run to run.
fn some_time(n: u64) {
    let noise = Instant::now().elapsed().as_nanos() as u64 + u64::from(std::process::id());
    thread::sleep(Duration::from_millis((noise * 31 + n * 17) % 60));
}

#[test]
fn killing_any_process_ends_all_and_leaves_nothing() {
    type Victim = fn(&Running) -> u32;
    let victims: [(&str, Victim); 4] = [
        ("command", |running| running.command.id()),
        ("sentry", |running| running.sentry),
        ("gofer", |running| running.gofer),
        ("zygote", |running| running.stubs[0]),
    ];
    let census = Census::begin();
    let is_root = nix::unistd::geteuid().is_root();
    for n in 0..3 {
        for platform in PLATFORMS {
            for (name, victim) in victims {
                if name == "zygote" && platform == "ptrace" {
                    continue;
                }
                let limits: &[&str] = if is_root && n == 0 { &["--memory", "512M"] } else { &[] };
                let options = [&["--platform", platform], limits].concat();
                let before = Machine::look(&[]);
                let mut running = Running::start(&mut census::run(&options, &["sh", "-c", BUSY]));
                some_time(n);
                let pid = running.command.id();
                kill(victim(&running));
                if name == "zygote" {
                    // The program may go on until it needs a new process; then it is told so. Nobody must hang.
                    thread::sleep(Duration::from_millis(100));
                    kill(pid);
                }
                let status = running.command.wait().expect("its end");
                assert!(!status.success(), "the {name} was killed on {platform}");
                println!("the {name} on {platform}, {options:?}: {status}");
                nothing_is_left(&census, &before, &[pid]);
            }
        }
    }
}

#[test]
fn killing_a_stub_is_the_death_of_its_process_only() {
    let census = Census::begin();
    for platform in PLATFORMS {
        let script = "sleep 50 & echo ready; wait $!; echo $?; exit 5";
        let mut running = Running::start(&mut census::run(&["--platform", platform], &["sh", "-c", script]));
        // Which stub is whose cannot be seen from outside. The last made is sleep's or a spare one.
        running.stubs.iter().skip(1).rev().for_each(|&pid| kill(pid));
        let status = running.command.wait().expect("its end");
        assert!(!status.success(), "{platform}: {status}");
        census.nobody_is_left();
    }
}

/// User and system time of a process, in ticks.
fn cpu_ticks(pid: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let after_name = stat.rsplit(") ").next().unwrap_or_default();
    after_name.split(' ').skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap_or(0)).sum()
}

/// Voluntary and involuntary switches of all threads of a process: how often it has run.
fn switches(pid: u32) -> u64 {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let count = |path: &std::path::Path| -> u64 {
        let fields = ["voluntary_ctxt_switches", "nonvoluntary_ctxt_switches"];
        fields.iter().filter_map(|field| census::status_of(path, field)?.parse::<u64>().ok()).sum()
    };
    threads.map(|thread| count(&thread.path().join("status"))).sum()
}

#[test]
fn an_idle_sandbox_uses_no_cpu() {
    let census = Census::begin();
    for platform in PLATFORMS {
        let mut running =
            Running::start(&mut census::run(&["--platform", platform], &["sh", "-c", "echo ready; sleep 30; :"]));
        thread::sleep(Duration::from_millis(1500));
        let all = || {
            let mut pids: Vec<u32> = running.stubs.clone();
            pids.extend([running.command.id(), running.sentry, running.gofer]);
            pids
        };
        let look = || -> Vec<(u32, u64, u64)> { all().into_iter().map(|p| (p, cpu_ticks(p), switches(p))).collect() };
        let before = look();
        thread::sleep(Duration::from_secs(2));
        let after = look();
        for (before, after) in before.iter().zip(&after) {
            let name = census::status(after.0, "Name").unwrap_or_default();
            assert_eq!(before.1, after.1, "{platform}: ticks of {name} {}", after.0);
            // ptrace looks twice a second whether a stub was killed from outside.
            let may_wake = if platform == "ptrace" && name == "sandbox-sentry" { 10 } else { 0 };
            assert!(after.2 - before.2 <= may_wake, "{platform}: {name} ran {} times", after.2 - before.2);
        }
        running.kill();
        census.nobody_is_left();
    }
}

#[test]
fn the_end_is_never_taken_for_a_crash() {
    let census = Census::begin();
    for n in 0..60 {
        let mut command = census::run(&["--platform", PLATFORMS[n % 2]], &["/bin/true"]);
        let output = command.stderr(Stdio::piped()).output().expect("the sandbox starts");
        let message = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && message.is_empty(), "run {n}: {}: {message}", output.status);
    }
    census.nobody_is_left();
}
