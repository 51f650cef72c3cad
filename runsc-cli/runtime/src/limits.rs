//! Limits that the host enforces for the whole sandbox: memory and CPU, by a cgroup of its own (v1 or v2).

use std::path::{Path, PathBuf};

use crate::{Error, RunOptions};

const ROOT: &str = "/sys/fs/cgroup";
/// `cpu.cfs_period_us`
const PERIOD_US: u64 = 100_000;

/// A sandbox's cgroups: removed when dropped.
#[derive(Debug, Default)]
pub struct Cgroups {
    directories: Vec<PathBuf>,
    memory: Option<PathBuf>,
}

impl Cgroups {
    /// Makes cgroups for the limits that `options` asks for; none, when it asks for none.
    ///
    /// # Errors
    /// When a limit was asked for that this host cannot enforce.
    pub fn create(options: &RunOptions) -> Result<Cgroups, Error> {
        let mut cgroups = Cgroups::default();
        let name = format!("sandbox-{}", std::process::id());
        if let Some(bytes) = options.memory {
            let directory = cgroups.make("memory", &name, "--memory")?;
            let settings: &[(&str, u64)] = match is_v2(&directory) {
                true => &[("memory.max", bytes), ("memory.swap.max", 0)],
                false => &[("memory.limit_in_bytes", bytes), ("memory.memsw.limit_in_bytes", bytes)],
            };
            write(&directory, settings[0].0, &settings[0].1.to_string(), "--memory")?;
            // Kernels without swap accounting have no such file, and then nothing to limit.
            let _ = std::fs::write(directory.join(settings[1].0), settings[1].1.to_string());
            cgroups.memory = Some(directory);
        }
        if let Some(cpus) = options.cpus {
            let directory = cgroups.make("cpu", &name, "--cpus")?;
            let quota = (cpus * PERIOD_US as f64).max(1000.0) as u64;
            if is_v2(&directory) {
                write(&directory, "cpu.max", &format!("{quota} {PERIOD_US}"), "--cpus")?;
            } else {
                write(&directory, "cpu.cfs_period_us", &PERIOD_US.to_string(), "--cpus")?;
                write(&directory, "cpu.cfs_quota_us", &quota.to_string(), "--cpus")?;
            }
        }
        Ok(cgroups)
    }

    /// Moves a process in; its children follow.
    ///
    /// # Errors
    /// When the host refuses.
    pub fn add(&self, pid: i32) -> Result<(), Error> {
        self.directories
            .iter()
            .try_for_each(|directory| write(directory, "cgroup.procs", &pid.to_string(), "the limits"))
    }

    /// Whether the kernel killed something for reaching the memory limit.
    pub fn memory_limit_was_reached(&self) -> bool {
        let Some(directory) = &self.memory else { return false };
        ["memory.events", "memory.oom_control"].iter().any(|file| {
            let text = std::fs::read_to_string(directory.join(file)).unwrap_or_default();
            text.lines().any(|line| line.strip_prefix("oom_kill ").is_some_and(|count| count.trim() != "0"))
        })
    }

    /// The directories, for whoever removes them when this process was killed.
    pub fn directories(&self) -> &[PathBuf] {
        &self.directories
    }

    fn make(&mut self, controller: &str, name: &str, option: &str) -> Result<PathBuf, Error> {
        let parent = parent_of(controller)
            .ok_or_else(|| Error::new(format!("{option} needs the {controller} cgroup controller, which this host has not mounted under {ROOT}; see `sandbox doctor`")))?;
        let directory = parent.join(name);
        if !self.directories.contains(&directory) {
            std::fs::create_dir(&directory).map_err(|error| {
                Error::new(format!(
                    "{option} needs a cgroup, but {directory:?} cannot be made: {error}; run as root, or drop {option}"
                ))
            })?;
            self.directories.push(directory.clone());
        }
        Ok(directory)
    }
}

impl Drop for Cgroups {
    fn drop(&mut self) {
        remove(&self.directories);
    }
}

/// Removes cgroups once their last process is gone (it may still be dying: the kernel says EBUSY until then).
pub fn remove(directories: &[PathBuf]) {
    for directory in directories {
        for _ in 0..2000 {
            match std::fs::remove_dir(directory) {
                Err(error) if error.kind() == std::io::ErrorKind::ResourceBusy => {
                    std::thread::sleep(std::time::Duration::from_millis(5))
                }
                _ => break,
            }
        }
    }
}

/// Where cgroups of a controller are made: a v1 hierarchy, or the v2 root when it offers the controller.
pub fn parent_of(controller: &str) -> Option<PathBuf> {
    let v1 = Path::new(ROOT).join(controller);
    if v1.join("cgroup.procs").exists() {
        return Some(v1);
    }
    let offered = std::fs::read_to_string(Path::new(ROOT).join("cgroup.subtree_control")).ok()?;
    offered.split_whitespace().any(|name| name == controller).then(|| PathBuf::from(ROOT))
}

fn is_v2(directory: &Path) -> bool {
    directory.join("cgroup.events").exists()
}

fn write(directory: &Path, file: &str, value: &str, option: &str) -> Result<(), Error> {
    std::fs::write(directory.join(file), value)
        .map_err(|error| Error::new(format!("{option}: cannot write {value} to {:?}: {error}", directory.join(file))))
}
