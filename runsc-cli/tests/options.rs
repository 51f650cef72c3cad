//! What the options of `sandbox run` do to the program.

mod census;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use census::{Census, PLATFORMS, SANDBOX};

struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Scratch {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("options-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).expect("a directory for the test");
        Scratch(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Runs a script in the directory on each platform; standard output must be `expected`, the exit code `code`.
fn prints(here: &Path, options: &[&str], script: &str, expected: &str, code: i32) {
    let census = Census::begin();
    for platform in PLATFORMS {
        let mut command = Command::new(SANDBOX);
        command.args(["run", "--platform", platform]).args(options).args(["--", "sh", "-c", script]);
        let output = command.current_dir(here).stdin(Stdio::null()).output().expect("the sandbox starts");
        let message = String::from_utf8_lossy(&output.stderr);
        assert_eq!(String::from_utf8_lossy(&output.stdout), expected, "{options:?} on {platform}: {message}");
        assert_eq!(output.status.code(), Some(code), "{options:?} on {platform}: {message}");
        census.nobody_is_left();
    }
}

#[test]
fn the_exit_status_is_the_programs() {
    let here = Scratch::new("status");
    prints(&here.0, &[], "exit 0", "", 0);
    prints(&here.0, &[], "exit 77", "", 77);
    prints(&here.0, &[], "kill -TERM $$", "", 143);
    prints(&here.0, &[], "kill -SEGV $$", "", 139);
}

#[test]
fn user_host_name_and_environment_are_as_asked() {
    let here = Scratch::new("identity");
    prints(&here.0, &["--user", "1000:100"], "id -u; id -g", "1000\n100\n", 0);
    prints(&here.0, &["--hostname", "box"], "uname -n", "box\n", 0);
    prints(&here.0, &["--clear-env", "--env", "A=1"], "echo $A; env | grep -c ^HOME", "1\n0\n", 1);
    fs::write(here.0.join("file"), "# comment\nB=2\nA=9\n").expect("a file");
    let file = here.0.join("file").display().to_string();
    prints(&here.0, &["--env-file", &file, "--env", "A=1"], "echo $A $B", "1 2\n", 0);
    prints(&here.0, &["--workdir", "/usr"], "pwd", "/usr\n", 0);
}

#[test]
fn writes_vanish_unless_the_overlay_says_otherwise() {
    let here = Scratch::new("overlay");
    fs::write(here.0.join("kept"), "old\n").expect("a file");
    prints(&here.0, &[], "echo new > kept; echo x > made; cat kept made", "new\nx\n", 0);
    assert_eq!(fs::read_to_string(here.0.join("kept")).expect("the file"), "old\n");
    assert!(!here.0.join("made").exists());
    prints(&here.0, &["--overlay", "none"], "echo new > kept; cat kept", "new\n", 0);
    assert_eq!(fs::read_to_string(here.0.join("kept")).expect("the file"), "new\n");
}

#[test]
fn volumes_are_shown_where_asked() {
    let here = Scratch::new("volume");
    let shared = here.0.join("shared");
    fs::create_dir(&shared).expect("a directory");
    fs::write(shared.join("file"), "in\n").expect("a file");
    let volume = format!("{}:/data", shared.display());
    prints(&here.0, &["--volume", &volume], "cat /data/file; echo out > /data/new", "in\n", 0);
    assert_eq!(fs::read_to_string(shared.join("new")).expect("the file"), "out\n");
    let read_only = format!("{}:/data:ro", shared.display());
    prints(&here.0, &["--volume", &read_only], "cat /data/file; echo x 2>/dev/null > /data/no", "in\n", 2);
    assert!(!shared.join("no").exists());
    let single = format!("{}:/etc/answer:ro", shared.join("file").display());
    prints(&here.0, &["--volume", &single], "cat /etc/answer", "in\n", 0);
}

#[test]
fn homes_of_others_and_secrets_are_hidden_but_the_working_directory_is_not() {
    let here = Scratch::new("hidden");
    prints(
        &here.0,
        &[],
        "ls -A /root /home /boot /var/log /run 2>/dev/null | grep -v : | grep -v '^$' | head -3",
        "",
        0,
    );
    prints(&here.0, &[], "cat /etc/shadow 2>/dev/null", "", 1);
    for parent in ["/tmp", "/root", "/home"] {
        let directory = PathBuf::from(parent).join(format!("sandbox-test-{}", std::process::id()));
        if fs::create_dir(&directory).is_err() {
            println!("{parent} cannot be written: not looked at");
            continue;
        }
        let directory = Removed(directory);
        fs::write(directory.0.join("file"), "seen\n").expect("a file");
        let shell = fs::read("/bin/echo").expect("/bin/echo");
        fs::write(directory.0.join("binary"), shell).expect("a file");
        fs::set_permissions(directory.0.join("binary"), std::os::unix::fs::PermissionsExt::from_mode(0o755))
            .expect("a mode");
        prints(&directory.0, &[], "cat file; ./binary yes", "seen\nyes\n", 0);
    }
}

struct Removed(PathBuf);

impl Drop for Removed {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn the_log_names_calls_that_are_not_there_and_traces_on_demand() {
    let here = Scratch::new("log");
    let log = here.0.join("log").display().to_string();
    prints(&here.0, &["--log", &log, "--strace=getppid,openat"], "cat /dev/null", "", 0);
    let text = fs::read_to_string(&log).expect("the log");
    assert!(text.contains("openat"), "{text}");
}
