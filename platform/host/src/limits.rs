//! Limits and habits of the calling process: open files, file creation mask.

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::stat::{Mode, umask};

/// Raises the soft limit of open files to the hard one; what it is now.
pub fn raise_open_files() -> usize {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return 1024 };
    let now = if setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_ok() { hard } else { soft };
    usize::try_from(now).unwrap_or(usize::MAX)
}

/// Makes new files get exactly the mode that is asked for.
pub fn clear_umask() {
    umask(Mode::empty());
}
