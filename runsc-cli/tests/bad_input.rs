//! Bad input ends in a sentence that says what and what to do, with the right exit code, and leaves nothing behind.

mod census;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use census::{Census, PLATFORMS, SANDBOX};

struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Scratch {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("bad-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).expect("a directory for the test");
        Scratch(path)
    }

    fn file(&self, name: &str, contents: &[u8], mode: u32) -> String {
        let path = self.0.join(name);
        fs::write(&path, contents).expect("a file");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("its mode");
        path.display().to_string()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn output(command: &mut Command) -> Output {
    let start = Instant::now();
    let output = command.stdin(Stdio::null()).output().expect("the sandbox starts");
    assert!(start.elapsed() < Duration::from_secs(30), "it took {:?}", start.elapsed());
    output
}

/// The command ends with `code` and a message that holds all of `words`.
fn fails(census: &Census, command: &mut Command, code: i32, words: &[&str]) {
    let output = output(command);
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{command:?}: {message}");
    for word in words {
        assert!(message.contains(word), "{command:?}: {word:?} is not in: {message}");
    }
    census.nobody_is_left();
}

/// `sandbox run OPTIONS -- PROGRAM` does, on each platform, in the directory.
fn run_fails(directory: &Scratch, options: &[&str], program: &[&str], code: i32, words: &[&str]) {
    let census = Census::begin();
    for platform in PLATFORMS {
        let mut command = Command::new(SANDBOX);
        command.args(["run", "--platform", platform]).args(options).arg("--").args(program).current_dir(&directory.0);
        fails(&census, &mut command, code, words);
    }
}

#[test]
fn a_missing_program_is_127() {
    let here = Scratch::new("missing");
    run_fails(&here, &[], &["/no/such/program"], 127, &["/no/such/program", "no such file"]);
    run_fails(&here, &[], &["no-such-program-in-the-path"], 127, &["no-such-program-in-the-path"]);
}

#[test]
fn a_program_without_the_permission_is_126() {
    let here = Scratch::new("permission");
    here.file("plain", b"#!/bin/sh\n", 0o644);
    run_fails(&here, &[], &["./plain"], 126, &["plain", "permission denied", "executable"]);
    run_fails(&here, &[], &["/etc"], 126, &["/etc"]);
}

#[test]
fn a_damaged_elf_file_is_126() {
    let here = Scratch::new("elf");
    let good = fs::read("/bin/true").expect("/bin/true");
    here.file("cut-head", &good[..40], 0o755);
    here.file("cut-table", &good[..80], 0o755);
    let mut wild = good.clone();
    wild[32..40].copy_from_slice(&u64::MAX.to_le_bytes());
    here.file("wild-table", &wild, 0o755);
    let mut foreign = good.clone();
    foreign[18] = 183;
    here.file("other-machine", &foreign, 0o755);
    here.file("text", b"no program at all", 0o755);
    for name in ["./cut-head", "./cut-table", "./wild-table", "./other-machine", "./text"] {
        run_fails(&here, &[], &[name], 126, &[name]);
    }
}

#[test]
fn elf_files_cut_anywhere_end_as_they_do_natively() {
    let here = Scratch::new("cut");
    let census = Census::begin();
    let good = fs::read("/bin/true").expect("/bin/true");
    for n in 1..24 {
        let file = here.file("cut", &good[..good.len() * n / 24], 0o755);
        let native = match Command::new(file).status() {
            Ok(status) => status.code().or(status.signal().map(|signal| 128 + signal)),
            Err(_) => Some(126),
        };
        let mut command = Command::new(SANDBOX);
        let output = output(command.args(["run", "--timeout", "20", "--", "./cut"]).current_dir(&here.0));
        assert_eq!(output.status.code(), native, "{n}/24 of it: {output:?}");
    }
    census.nobody_is_left();
}

#[test]
fn a_script_without_its_interpreter_is_127() {
    let here = Scratch::new("interpreter");
    here.file("script", b"#!/no/such/interpreter\n", 0o755);
    run_fails(&here, &[], &["./script"], 127, &["./script"]);
}

#[test]
fn a_rootfs_that_is_not_there_is_named() {
    let here = Scratch::new("rootfs");
    let file = here.file("file", b"", 0o644);
    run_fails(&here, &["--rootfs", "/no/such/root"], &["/bin/true"], 125, &["/no/such/root", "--rootfs", "no such"]);
    run_fails(&here, &["--rootfs", &file], &["/bin/true"], 125, &["not a directory"]);
}

#[test]
fn an_empty_rootfs_has_no_program() {
    let here = Scratch::new("empty");
    let root = here.0.join("root");
    fs::create_dir(&root).expect("a directory");
    let root = root.display().to_string();
    run_fails(&here, &["--rootfs", &root], &["/bin/true"], 127, &["/bin/true", "--rootfs"]);
}

#[test]
fn a_volume_that_is_not_there_is_named() {
    let here = Scratch::new("volume");
    run_fails(&here, &["--volume", "/no/such/dir:/mnt"], &["/bin/true"], 125, &["volume", "/no/such/dir"]);
    run_fails(&here, &["--volume", "nonsense"], &["/bin/true"], 125, &["SRC:DST"]);
    run_fails(&here, &["--volume", "/tmp:relative"], &["/bin/true"], 125, &["absolute"]);
}

#[test]
fn a_working_directory_that_is_not_there_is_named() {
    let here = Scratch::new("workdir");
    run_fails(&here, &["--workdir", "/no/such/dir"], &["/bin/true"], 125, &["/no/such/dir", "--workdir"]);
    run_fails(&here, &["--workdir", "relative"], &["/bin/true"], 125, &["--workdir", "absolute"]);
}

#[test]
fn unknown_flags_and_values_are_125() {
    let here = Scratch::new("flags");
    run_fails(&here, &["--no-such-flag"], &["/bin/true"], 125, &["--no-such-flag", "--help"]);
    for (option, value) in [
        ("--memory", "lots"),
        ("--pids", "0"),
        ("--cpus", "0"),
        ("--timeout", "-1"),
        ("--user", "root"),
        ("--network", "host"),
        ("--overlay", "elsewhere"),
        ("--log-level", "loud"),
        ("--env-file", "/no/such/file"),
        ("--log", "/no/such/dir/log"),
        ("--overlay", "dir=/no/such/dir"),
    ] {
        run_fails(&here, &[&format!("{option}={value}")], &["/bin/true"], 125, &[option]);
    }
    let census = Census::begin();
    fails(&census, &mut Command::new(SANDBOX), 125, &["sandbox run"]);
    fails(&census, Command::new(SANDBOX).arg("fly"), 125, &["fly"]);
    fails(&census, Command::new(SANDBOX).arg("run"), 125, &["PROGRAM"]);
}

#[test]
fn a_memory_limit_of_one_megabyte_ends_in_a_sentence() {
    if !nix::unistd::geteuid().is_root() {
        println!("skipped: not root, so there is no cgroup to make");
        return;
    }
    let here = Scratch::new("memory");
    run_fails(&here, &["--memory", "1M"], &["/bin/true"], 137, &["memory limit", "--memory"]);
}

#[test]
fn a_memory_limit_that_is_reached_is_named() {
    if !nix::unistd::geteuid().is_root() {
        println!("skipped: not root, so there is no cgroup to make");
        return;
    }
    let here = Scratch::new("hog");
    let hog = ["perl", "-e", "my @x; for (;;) { push @x, 'x' x 1000000 }"];
    run_fails(&here, &["--memory", "64M"], &hog, 137, &["memory limit", "67108864", "--memory"]);
}

#[test]
fn a_time_limit_that_is_reached_is_named() {
    let here = Scratch::new("time");
    run_fails(&here, &["--timeout", "300ms"], &["sleep", "60"], 124, &["time limit", "0.3", "--timeout"]);
    run_fails(&here, &["--timeout", "300ms"], &["sh", "-c", "while :; do :; done"], 124, &["--timeout"]);
}

#[test]
fn a_limit_of_tasks_is_told_to_the_program_and_at_the_end() {
    let here = Scratch::new("pids");
    let script = "for i in 1 2 3 4 5 6 7 8; do sleep 5 & done; kill %1; exit 4";
    let census = Census::begin();
    for platform in PLATFORMS {
        let mut command = Command::new(SANDBOX);
        command.args(["run", "--platform", platform, "--pids", "4", "--", "bash", "-c", script]).current_dir(&here.0);
        let output = output(&mut command);
        let message = String::from_utf8_lossy(&output.stderr);
        assert!(message.contains("fork") && message.contains("--pids"), "{message}");
        census.nobody_is_left();
    }
}

#[test]
fn without_user_namespaces_it_says_which_sysctl() {
    let census = Census::begin();
    let script = format!("echo 0 > /proc/sys/user/max_user_namespaces && exec {SANDBOX} run -- /bin/true");
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "sh", "-c", &script]);
    fails(&census, &mut command, 125, &["namespaces", "user.max_user_namespaces"]);
    let script = format!("echo 0 > /proc/sys/user/max_user_namespaces && exec {SANDBOX} doctor");
    let output = output(Command::new("unshare").args(["--user", "--map-root-user", "sh", "-c", &script]));
    let report = String::from_utf8_lossy(&output.stdout);
    assert!(!output.status.success() && report.contains("BROKEN"), "{report}");
    assert!(report.lines().any(|line| line.contains("namespaces") && line.contains("sysctl")), "{report}");
}

#[test]
fn a_working_directory_that_was_removed_is_told() {
    let census = Census::begin();
    let script = format!("mkdir gone && cd gone && rmdir ../gone && exec {SANDBOX} run -- /bin/true");
    let here = Scratch::new("gone");
    fails(&census, Command::new("sh").args(["-c", &script]).current_dir(&here.0), 125, &["working directory"]);
}

#[test]
fn memory_limits_without_the_right_name_the_way_out() {
    if !nix::unistd::geteuid().is_root() {
        println!("skipped: not root, so no other user can be taken on");
        return;
    }
    let census = Census::begin();
    let mut command = Command::new(SANDBOX);
    command.args(["run", "--memory", "64M", "--", "/bin/true"]).current_dir("/").uid(65534).gid(65534);
    fails(&census, &mut command, 125, &["--memory", "root"]);
}
