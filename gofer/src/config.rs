//! What a gofer is started with.

use std::path::PathBuf;
use std::time::Duration;

use gofer_proto::Connection;

/// Whether an attach point may be changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mutability {
    /// Every change and every open for writing is EROFS.
    ReadOnly,
    /// As the host's permissions allow.
    Writable,
}

/// What becomes of `proc`, `sysfs`, cgroup and similar file systems that are mounted inside an attach point.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PseudoFiles {
    /// They look like empty directories. The host's `/proc` in the guest's hands would be the end of the sandbox.
    Hide,
    /// They are shown: the user has asked for this very path as a volume.
    Show,
}

/// A directory or file of the host that the guest sees.
#[derive(Clone, Debug)]
pub struct AttachPoint {
    /// Where it is on the host, absolute.
    pub source: PathBuf,
    /// Whether it may be changed.
    pub mutability: Mutability,
    /// Whether pseudo file systems inside are shown.
    pub pseudo_files: PseudoFiles,
    /// Paths inside (absolute, from its root, without links) that look like empty directories, or are absent if they are
    /// no directories.
    pub hidden: Vec<PathBuf>,
    /// Paths inside hidden ones that are shown all the same; of the directories above only the way to them is.
    pub visible: Vec<PathBuf>,
}

impl AttachPoint {
    /// All of `source`, pseudo file systems apart.
    pub fn new(source: impl Into<PathBuf>, mutability: Mutability) -> AttachPoint {
        AttachPoint {
            source: source.into(),
            mutability,
            pseudo_files: PseudoFiles::Hide,
            hidden: Vec::new(),
            visible: Vec::new(),
        }
    }
}

/// What a gofer is started with.
#[derive(Debug)]
pub struct Config {
    /// `Client::attach(i)` is the i-th of them.
    pub attach_points: Vec<AttachPoint>,
    /// The server's end.
    pub connection: Connection,
    /// How long it spins for the next request at the most, before it sleeps. Zero on a machine with one CPU.
    pub spin: Duration,
    /// Descriptors that the node table may hold open; 0: three quarters of `RLIMIT_NOFILE`.
    pub max_open_nodes: usize,
}

impl Config {
    /// A break-even of spinning and of waking a sleeper on another CPU.
    pub const DEFAULT_SPIN: Duration = Duration::from_micros(20);

    /// The usual settings.
    pub fn new(attach_points: Vec<AttachPoint>, connection: Connection) -> Config {
        Config { attach_points, connection, spin: Config::DEFAULT_SPIN, max_open_nodes: 0 }
    }
}
