//! Finds the processes of a sandbox, and what is left when it is over.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};
use std::{fs, thread};

/// The program under test.
pub const SANDBOX: &str = env!("CARGO_BIN_EXE_sandbox");
/// Both platforms.
#[allow(dead_code, reason = "not every test file goes through both")]
pub const PLATFORMS: [&str; 2] = ["systrap", "ptrace"];

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Orphans come to the test's process while this lives, so that what a sandbox leaves behind is seen. One test at a time.
pub struct Census(#[allow(dead_code, reason = "held for its drop")] MutexGuard<'static, ()>);

impl Census {
    pub fn begin() -> Census {
        let guard = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        nix::sys::prctl::set_child_subreaper(true).expect("a subreaper");
        Census(guard)
    }

    /// Waits until no process is left that the test has started, directly or not. Panics when one stays.
    pub fn nobody_is_left(&self) {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let left = descendants(std::process::id());
            for process in &left {
                let pid = nix::unistd::Pid::from_raw(process.pid as i32);
                let _ = nix::sys::wait::waitpid(pid, Some(nix::sys::wait::WaitPidFlag::WNOHANG));
            }
            if left.is_empty() {
                return;
            }
            assert!(Instant::now() < deadline, "left behind: {left:?}");
            thread::sleep(Duration::from_millis(10));
        }
    }
}

#[derive(Clone, Debug)]
pub struct Process {
    pub pid: u32,
    pub name: String,
    pub parent: u32,
}

/// All descendants of a process, nearest first.
pub fn descendants(of: u32) -> Vec<Process> {
    let all: Vec<Process> = fs::read_dir("/proc")
        .expect("/proc")
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(process)
        .collect();
    let mut found: Vec<Process> = Vec::new();
    let mut next = vec![of];
    while let Some(parent) = next.pop() {
        for process in all.iter().filter(|process| process.parent == parent) {
            next.push(process.pid);
            found.push(process.clone());
        }
    }
    found
}

fn process(pid: u32) -> Option<Process> {
    let parent = status(pid, "PPid")?.parse().ok()?;
    Some(Process { pid, name: status(pid, "Name")?, parent })
}

/// A field of `/proc/PID/status`.
pub fn status(pid: u32, field: &str) -> Option<String> {
    status_of(Path::new(&format!("/proc/{pid}/status")), field)
}

/// A field of a status file.
pub fn status_of(file: &Path, field: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    text.lines().find_map(|line| Some(line.strip_prefix(field)?.strip_prefix(':')?.trim().to_owned()))
}

/// `sandbox run OPTIONS -- COMMAND`, with nothing to read and its output dropped.
#[allow(dead_code, reason = "not every test file needs output dropped")]
pub fn run(options: &[&str], command: &[&str]) -> Command {
    let mut run = Command::new(SANDBOX);
    run.arg("run").args(options).arg("--").args(command);
    run.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    run
}

/// A sandbox whose program runs, and its processes.
#[allow(dead_code, reason = "not every test file looks into sandboxes")]
pub struct Running {
    pub command: Child,
    pub sentry: u32,
    pub gofer: u32,
    pub stubs: Vec<u32>,
}

#[allow(dead_code, reason = "not every test file looks into sandboxes")]
impl Running {
    /// Starts `command` and waits until its program prints a line.
    pub fn start(command: &mut Command) -> Running {
        let mut command = command.stdout(Stdio::piped()).spawn().expect("the sandbox starts");
        let mut line = String::new();
        let mut output = std::io::BufReader::new(command.stdout.take().expect("a pipe"));
        std::io::BufRead::read_line(&mut output, &mut line).expect("a line");
        assert_eq!(line, "ready\n", "the program has not started");
        command.stdout = Some(output.into_inner());
        // Spare stubs are made in the background.
        thread::sleep(Duration::from_millis(100));
        let all = descendants(command.id());
        let named = |name: &str| all.iter().find(|process| process.name == name).expect(name).pid;
        let (sentry, gofer) = (named("sandbox-sentry"), named("sandbox-gofer"));
        let is_stub = |process: &&Process| ![sentry, gofer].contains(&process.pid) && process.name != "sandbox-janitor";
        let mut stubs: Vec<u32> = all.iter().filter(is_stub).map(|process| process.pid).collect();
        // The zygote or template comes first.
        stubs.sort_unstable();
        Running { command, sentry, gofer, stubs }
    }

    /// Ends it.
    pub fn kill(&mut self) {
        let _ = self.command.kill();
        let _ = self.command.wait();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}
