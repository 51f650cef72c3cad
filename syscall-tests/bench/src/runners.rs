//! Ways to run a command: natively, in the sandbox, in a peer.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A way to run a command: words that are put before it.
pub struct Runner {
    /// As in the table.
    pub name: &'static str,
    prefix: Vec<OsString>,
}

/// A directory for what workloads make, removed at the end.
pub struct Scratch(PathBuf);

impl Scratch {
    /// A new directory outside of `/tmp`, which sandboxes have for their own.
    pub fn new() -> std::io::Result<Scratch> {
        let path = PathBuf::from(format!("/var/tmp/sandbox-bench-{}", std::process::id()));
        std::fs::create_dir(&path)?;
        Ok(Scratch(path))
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Runner {
    /// Native first, then all that this machine could have.
    pub fn all(sandbox: &Path, scratch: &Scratch) -> Vec<Runner> {
        let words = |list: &[&str]| list.iter().map(OsString::from).collect::<Vec<_>>();
        let ours = |platform: &str| {
            let mut prefix = vec![sandbox.as_os_str().to_owned()];
            prefix.extend(words(&["run", "--platform", platform, "--"]));
            prefix
        };
        let bwrap = [
            "bwrap",
            "--unshare-all",
            "--die-with-parent",
            "--bind",
            "/",
            "/",
            "--proc",
            "/proc",
            "--dev",
            "/dev",
            "--tmpfs",
            "/tmp",
        ];
        let mut runc = vec![runc_script(scratch).into_os_string()];
        runc.extend(words(&[]));
        vec![
            Runner { name: "native", prefix: Vec::new() },
            Runner { name: "systrap", prefix: ours("systrap") },
            Runner { name: "ptrace", prefix: ours("ptrace") },
            Runner { name: "bwrap", prefix: words(&bwrap) },
            Runner { name: "runc", prefix: runc },
            Runner { name: "runsc", prefix: words(&["runsc", "--network=none", "--platform=ptrace", "do"]) },
        ]
    }

    /// The command that runs `words` in this way.
    pub fn command(&self, words: &[OsString]) -> Command {
        let mut all = self.prefix.iter().chain(words);
        let mut command = Command::new(all.next().expect("a program"));
        // Not /dev/null: runsc gives its standard input to another user, which would be the machine's own device.
        command.args(all).stdin(Stdio::piped());
        command
    }

    /// Whether it can run anything here.
    ///
    /// # Errors
    /// Why not.
    pub fn works(&self, guest: &Path) -> Result<(), String> {
        let output = self
            .command(&[guest.as_os_str().to_owned(), "nothing".into()])
            .output()
            .map_err(|error| error.to_string())?;
        if output.status.success() {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&output.stderr);
        Err(format!("{}: {}", output.status, text.lines().next_back().unwrap_or_default()))
    }
}

/// runc wants a bundle: a script that writes one for its arguments, runs it and removes it.
fn runc_script(scratch: &Scratch) -> PathBuf {
    let path = scratch.path().join("runc-do");
    let script = include_str!("runc-do.py");
    let written = std::fs::write(&path, script);
    if written.is_ok() {
        use std::os::unix::fs::PermissionsExt;
        let _ = std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755));
    }
    path
}
