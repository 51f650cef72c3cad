//! Where a case can run: natively, on a platform of our sandbox, behind a prefix command, in a bundle of an OCI runtime.

use crate::error::{Context, Error, Result};
use crate::options::TargetOptions;
use crate::workdir::{WorkDir, built};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{env, fs};

/// One place to run programs in.
#[derive(Clone, Debug)]
pub struct Target {
    /// What reports call it.
    pub name: String,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    Native,
    Sandbox { binary: PathBuf, platform: String },
    Prefix(Vec<String>),
    Oci(PathBuf),
}

impl Target {
    /// The machine itself.
    pub fn native() -> Target {
        Target { name: "native".into(), kind: Kind::Native }
    }

    /// The targets that the command line asks for.
    pub fn from_options(options: &TargetOptions) -> Result<Vec<Target>> {
        if !options.runtime.is_empty() {
            return options.runtime.iter().map(|runtime| Target::from_runtime(runtime)).collect();
        }
        let mut sandbox = None;
        let mut targets = Vec::new();
        for platform in &options.platform {
            if platform == "native" {
                targets.push(Target { name: "again".into(), kind: Kind::Native });
                continue;
            }
            let binary = match (&sandbox, &options.sandbox) {
                (Some(found), _) => PathBuf::clone(found),
                (None, Some(given)) => given.canonicalize().at("find the sandbox", given)?,
                (None, None) => built("runsc-cli", "sandbox").map_err(|e| {
                    Error(format!(
                        "{e}; or name one with --sandbox PATH, or check the cases alone with --platform native"
                    ))
                })?,
            };
            sandbox = Some(binary.clone());
            targets.push(Target { name: platform.clone(), kind: Kind::Sandbox { binary, platform: platform.clone() } });
        }
        Ok(targets)
    }

    fn from_runtime(runtime: &str) -> Result<Target> {
        let words: Vec<String> = runtime.split_whitespace().map(str::to_owned).collect();
        let Some(program) = words.first() else {
            return Err(Error("--runtime is empty; give a prefix command or the path of an OCI runtime".into()));
        };
        let name = Path::new(program).file_name().unwrap_or_default().to_string_lossy().into_owned();
        let found = which(program)
            .ok_or_else(|| Error(format!("cannot find the runtime {program} in PATH; give its full path")))?;
        let kind = match words.len() {
            1 => Kind::Oci(found),
            _ => Kind::Prefix(words),
        };
        Ok(Target { name, kind })
    }

    /// Whether this is the machine itself.
    pub fn is_native(&self) -> bool {
        matches!(self.kind, Kind::Native)
    }

    /// The command that runs `argv` here, with `cwd` as directory and `shared` visible under its own path.
    pub fn command(&self, argv: &[String], cwd: &Path, shared: &[&Path], work: &WorkDir) -> Result<Command> {
        let mut command = match &self.kind {
            Kind::Native => Command::new(&argv[0]),
            Kind::Sandbox { binary, platform } => {
                let mut command = Command::new(binary);
                command.args(["run", "--platform", platform]);
                for dir in shared {
                    command.arg("--volume").arg(format!("{0}:{0}", dir.display()));
                }
                command.arg("--").arg(&argv[0]);
                command
            }
            Kind::Prefix(words) => {
                let mut command = Command::new(&words[0]);
                command.args(&words[1..]).arg(&argv[0]);
                command
            }
            Kind::Oci(runtime) => {
                let bundle = bundle(argv, cwd, shared, work)?;
                static NEXT: AtomicUsize = AtomicUsize::new(0);
                let id = format!("syscall-tests-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
                let mut command = Command::new(runtime);
                command.arg("--root").arg(work.path().join("oci")).args(["run", "--bundle"]).arg(bundle).arg(id);
                command
            }
        };
        if !matches!(self.kind, Kind::Oci(_)) {
            command.args(&argv[1..]);
        }
        command.current_dir(cwd).env_clear().envs(ENVIRONMENT);
        Ok(command)
    }
}

/// The environment of every case, natively and elsewhere.
const ENVIRONMENT: [(&str, &str); 3] =
    [("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"), ("HOME", "/"), ("LC_ALL", "C")];

fn which(program: &str) -> Option<PathBuf> {
    if program.contains('/') {
        return Path::new(program).canonicalize().ok();
    }
    env::split_paths(&env::var_os("PATH")?).map(|dir| dir.join(program)).find(|path| path.is_file())
}

/// Writes a bundle: an empty root with the usual file systems, the host's programs read-only, and the shared directories.
fn bundle(argv: &[String], cwd: &Path, shared: &[&Path], work: &WorkDir) -> Result<PathBuf> {
    let bundle = work.fresh("bundle")?;
    let root = bundle.join("rootfs");
    fs::create_dir(&root).at("create", &root)?;
    let mut mounts = vec![
        json!({"destination": "/proc", "type": "proc", "source": "proc"}),
        json!({"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"]}),
        json!({"destination": "/dev/pts", "type": "devpts", "source": "devpts", "options": ["newinstance", "ptmxmode=0666", "mode=0620"]}),
        json!({"destination": "/dev/shm", "type": "tmpfs", "source": "shm", "options": ["nosuid", "nodev", "mode=1777"]}),
        json!({"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue"}),
        json!({"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "noexec", "nodev", "ro"]}),
        json!({"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["mode=1777"]}),
    ];
    for dir in ["/usr", "/bin", "/lib", "/lib64", "/sbin", "/etc"] {
        if Path::new(dir).exists() {
            mounts.push(json!({"destination": dir, "type": "bind", "source": dir, "options": ["rbind", "ro"]}));
        }
    }
    for dir in shared {
        mounts.push(json!({"destination": dir, "type": "bind", "source": dir, "options": ["rbind", "rw"]}));
    }
    let capabilities: Vec<String> = CAPABILITIES.iter().map(|name| format!("CAP_{name}")).collect();
    let environment: Vec<String> = ENVIRONMENT.iter().map(|(k, v)| format!("{k}={v}")).collect();
    let namespaces: Vec<_> =
        ["pid", "mount", "ipc", "uts", "network"].iter().map(|kind| json!({"type": kind})).collect();
    let config = json!({
        "ociVersion": "1.0.2",
        "process": {
            "user": {"uid": 0, "gid": 0}, "args": argv, "cwd": cwd, "env": environment,
            "capabilities": {"bounding": capabilities, "effective": capabilities, "permitted": capabilities},
        },
        "root": {"path": "rootfs"}, "hostname": "syscall-tests", "mounts": mounts, "linux": {"namespaces": namespaces},
    });
    let path = bundle.join("config.json");
    fs::write(&path, config.to_string()).at("write", &path)?;
    Ok(bundle)
}

/// All capabilities that the bounding set of a machine is sure to have.
const CAPABILITIES: [&str; 30] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "SETFCAP",
    "SYSLOG",
    "WAKE_ALARM",
];
