//! Which host directories the sandbox sees, and where.

use std::path::{Path, PathBuf};

use crate::options::Overlay;
use crate::{Error, RunOptions};

/// With the host's root as root: secrets and state of other people and of the machine's services.
const HIDDEN: &[&str] = &[
    "/root",
    "/run",
    "/var/run",
    "/home",
    "/lost+found",
    "/boot",
    "/mnt",
    "/media",
    "/var/lib/docker",
    "/var/lib/containerd",
    "/var/lib/kubelet",
    "/var/lib/rancher",
    "/var/lib/cni",
    "/var/lib/etcd",
    "/var/lib/lxc",
    "/var/lib/lxd",
    "/var/lib/libvirt",
    "/var/lib/postgresql",
    "/var/lib/mysql",
    "/var/lib/private",
    "/var/log",
    "/var/mail",
    "/var/spool",
    "/var/backups",
    "/etc/shadow",
    "/etc/shadow-",
    "/etc/gshadow",
    "/etc/gshadow-",
    "/etc/sudoers",
    "/etc/sudoers.d",
    "/etc/ssl/private",
    "/etc/ssh",
    "/etc/kubernetes",
    "/etc/docker",
    "/etc/wireguard",
    "/proc",
    "/sys",
    "/dev",
    "/tmp",
];

/// A host directory that the gofer serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Export {
    /// On the host, absolute, without symbolic links.
    pub source: PathBuf,
    /// In the sandbox, absolute.
    pub target: PathBuf,
    /// The gofer refuses every change.
    pub read_only: bool,
    /// Writes go to memory instead (the export itself is read-only then).
    pub memory_overlay: bool,
    /// Paths below `source` (absolute on the host) that appear empty.
    pub hidden: Vec<PathBuf>,
    /// Exceptions from `hidden`.
    pub visible: Vec<PathBuf>,
}

/// The exports of a run (the root first) and its working directory inside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// In mount order.
    pub exports: Vec<Export>,
    /// Upper layer on the host (`--overlay dir=`), served as a writable export of its own.
    pub upper: Option<PathBuf>,
    /// Working directory inside.
    pub workdir: PathBuf,
}

/// Decides what is seen where.
///
/// # Errors
/// A directory that is not there, named with the option that asked for it.
pub fn view(options: &RunOptions) -> Result<View, Error> {
    let host_root = options.rootfs.is_none();
    let root = options.rootfs.clone().unwrap_or_else(|| PathBuf::from("/"));
    let source = root.canonicalize().map_err(|error| {
        Error::new(format!("cannot open rootfs {root:?}: {}; give --rootfs a directory that exists", reason(&error)))
    })?;
    if !source.is_dir() {
        return Err(Error::new(format!("cannot open rootfs {root:?}: not a directory")));
    }
    let cwd =
        std::env::current_dir().map_err(|error| Error::new(format!("cannot find the working directory: {error}")))?;
    let memory = options.overlay == Overlay::Memory;
    let upper = match &options.overlay {
        Overlay::Directory(path) => Some(path.canonicalize().map_err(|error| {
            Error::new(format!("cannot open --overlay directory {path:?}: {}; create it first", reason(&error)))
        })?),
        _ => None,
    };
    let mut exports = vec![Export {
        source,
        target: "/".into(),
        read_only: memory || upper.is_some(),
        memory_overlay: memory,
        hidden: if host_root { HIDDEN.iter().map(PathBuf::from).collect() } else { Vec::new() },
        visible: Vec::new(),
    }];
    if host_root {
        // The working directory may lie below something hidden or below a mount of our own: it gets a mount for itself then.
        if HIDDEN.iter().any(|hidden| cwd.starts_with(hidden)) {
            let export = Export {
                source: cwd.clone(),
                target: cwd.clone(),
                read_only: memory || upper.is_some(),
                memory_overlay: memory || upper.is_some(),
                hidden: Vec::new(),
                visible: Vec::new(),
            };
            exports.push(export);
        }
    }
    for volume in &options.volumes {
        let source = volume.source.canonicalize().map_err(|error| {
            Error::new(format!(
                "cannot open volume {:?}: {}; the source must exist on the host",
                volume.source,
                reason(&error)
            ))
        })?;
        exports.push(Export {
            source,
            target: volume.target.clone(),
            read_only: volume.read_only,
            memory_overlay: false,
            hidden: Vec::new(),
            visible: Vec::new(),
        });
    }
    let default_workdir = if host_root { cwd } else { "/".into() };
    let workdir = options.workdir.clone().unwrap_or(default_workdir);
    if !workdir.is_absolute() {
        return Err(Error::new(format!("--workdir {workdir:?} must be an absolute path inside the sandbox")));
    }
    Ok(View { exports, upper, workdir })
}

fn reason(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "no such file or directory".into(),
        std::io::ErrorKind::PermissionDenied => "permission denied".into(),
        _ => error.to_string(),
    }
}

/// Parses `SRC:DST[:ro|:rw]`.
///
/// # Errors
/// A sentence that says what is wrong with it.
pub fn parse_volume(text: &str) -> Result<crate::options::Volume, String> {
    let parts: Vec<&str> = text.split(':').collect();
    let (source, target, mode) = match parts[..] {
        [source, target] => (source, target, "rw"),
        [source, target, mode] => (source, target, mode),
        _ => return Err("write SRC:DST or SRC:DST:ro".into()),
    };
    if source.is_empty() || !Path::new(target).is_absolute() {
        return Err("the target must be an absolute path inside the sandbox".into());
    }
    let read_only = match mode {
        "ro" => true,
        "rw" => false,
        other => return Err(format!("\"{other}\" is neither ro nor rw")),
    };
    Ok(crate::options::Volume { source: source.into(), target: target.into(), read_only })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn volumes_are_parsed_or_refused() {
        assert!(parse_volume("/a:/b:ro").unwrap().read_only);
        assert!(!parse_volume("a:/b").unwrap().read_only);
        for bad in ["/a", "/a:b", ":/b", "/a:/b:rx", "/a:/b:ro:x"] {
            assert!(parse_volume(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_missing_rootfs_is_named() {
        let options = RunOptions { rootfs: Some("/no/such/rootfs".into()), ..RunOptions::default() };
        let error = view(&options).unwrap_err();
        assert!(error.message.contains("/no/such/rootfs") && error.message.contains("no such file"), "{error}");
    }
}
