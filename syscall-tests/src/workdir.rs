//! The directory of one run: the guest program, lists of cases, room for the cases; removed at the end.

use crate::error::{Context, Error, Result};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{env, fs};

/// A fresh directory that goes away with the value.
pub struct WorkDir {
    path: PathBuf,
}

impl WorkDir {
    /// Makes a directory under `parent`.
    pub fn new(parent: &Path) -> Result<WorkDir> {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("syscall-tests-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = parent.join(name);
        fs::create_dir_all(&path).at("create the work directory", &path)?;
        let path = path.canonicalize().at("resolve", &path)?;
        Ok(WorkDir { path })
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A new empty directory inside.
    pub fn fresh(&self, name: &str) -> Result<PathBuf> {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let dir = self.path.join(format!("{name}-{:06}", NEXT.fetch_add(1, Ordering::Relaxed)));
        fs::create_dir(&dir).at("create", &dir)?;
        Ok(dir)
    }
}

impl Drop for WorkDir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// Finds a program that was built beside this one, building it first when `cargo` started us.
pub fn built(package: &str, binary: &str) -> Result<PathBuf> {
    let own = env::current_exe().map_err(|e| Error(format!("cannot find the runner's own path: {e}")))?;
    let dir = own.ancestors().skip(1).find(|d| !d.ends_with("deps")).unwrap_or(Path::new("."));
    let path = dir.join(binary);
    if let (Ok(cargo), true) = (env::var("CARGO"), env::var("CARGO_MANIFEST_DIR").is_ok()) {
        let mut build = Command::new(cargo);
        build.args(["build", "--quiet", "-p", package]).current_dir(env!("CARGO_MANIFEST_DIR"));
        if dir.ends_with("release") {
            build.arg("--release");
        }
        match build.status() {
            Ok(status) if status.success() => {}
            _ => return Err(Error(format!("cannot build {package}; see the messages above"))),
        }
    }
    match path.exists() {
        true => Ok(path),
        false => Err(Error(format!("cannot find {}; build it with `cargo build -p {package}`", path.display()))),
    }
}
