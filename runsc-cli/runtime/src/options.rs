//! What a run is asked to do, checked for form but not yet against the host.

use std::path::PathBuf;
use std::time::Duration;

/// How guest code runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum PlatformKind {
    /// Seccomp traps and patched call sites.
    #[default]
    Systrap,
    /// The portable reference.
    Ptrace,
}

/// Where writes to the root file system go.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Overlay {
    /// To memory; they vanish with the sandbox.
    #[default]
    Memory,
    /// Straight to the host's files.
    None,
    /// To this directory of the host.
    Directory(PathBuf),
}

/// A host directory or file shown in the sandbox.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Volume {
    /// On the host.
    pub source: PathBuf,
    /// In the sandbox, absolute.
    pub target: PathBuf,
    /// No writes.
    pub read_only: bool,
}

/// Everything that `sandbox run` can be told.
#[derive(Clone, Debug, Default)]
pub struct RunOptions {
    /// Program and arguments; never empty.
    pub command: Vec<Vec<u8>>,
    /// How guest code runs.
    pub platform: PlatformKind,
    /// Root file system; `None` is the host's own.
    pub rootfs: Option<PathBuf>,
    /// Where writes go.
    pub overlay: Overlay,
    /// Further host directories.
    pub volumes: Vec<Volume>,
    /// Working directory; `None`: the present one with the host's root, else `/`.
    pub workdir: Option<PathBuf>,
    /// The whole environment.
    pub environment: Vec<Vec<u8>>,
    /// User and group; `None`: root inside when root outside or rootless.
    pub user: Option<(u32, u32)>,
    /// Host name inside.
    pub hostname: Option<String>,
    /// Bytes of memory for the whole sandbox.
    pub memory: Option<u64>,
    /// Most tasks at a time.
    pub pids: Option<usize>,
    /// CPU time per wall time, in CPUs.
    pub cpus: Option<f64>,
    /// Wall time for the run.
    pub timeout: Option<Duration>,
    /// Run without root's rights, with a user namespace of our own making.
    pub rootless: bool,
    /// Calls to trace: empty for none, `all`, or names.
    pub strace: Option<Vec<String>>,
    /// Where the log goes; `None` for stderr.
    pub log: Option<PathBuf>,
    /// `error`, `warn`, `info`, `debug`, `trace`.
    pub log_level: String,
}
