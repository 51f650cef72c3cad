//! Descriptors that refer to a process (`man 2 pidfd_open`).

use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use super::{Current, ThreadGroup};
use crate::Errno;
use crate::kernel::wait_queue::{Readiness, WaitQueue};
use crate::vfs::{File, FileDescription, OpenFlags};

/// The file behind a pidfd: readable once the process has exited.
#[derive(Default)]
pub struct PidFd {
    group: Mutex<Weak<ThreadGroup>>,
}

impl PidFd {
    /// Refers to `group`.
    pub fn new(group: &Arc<ThreadGroup>) -> Arc<PidFd> {
        Arc::new(PidFd { group: Mutex::new(Arc::downgrade(group)) })
    }

    /// The process.
    ///
    /// # Errors
    /// ESRCH when it has been reaped.
    pub fn group(&self) -> Result<Arc<ThreadGroup>, Errno> {
        self.group.lock().upgrade().ok_or(Errno::ESRCH)
    }
}

impl File for PidFd {
    fn readiness(&self) -> Readiness {
        match self.group() {
            Ok(group) if group.family.lock().exit_status.is_none() => Readiness::empty(),
            _ => Readiness::READABLE,
        }
    }

    fn wait_queue(&self) -> Option<WaitQueue> {
        self.group().ok().map(|group| group.exit_queue.clone())
    }

    fn description(&self) -> String {
        "anon_inode:[pidfd]".into()
    }

    fn fdinfo(&self) -> String {
        let pid = self.group().map_or(-1, |group| group.pid);
        format!("Pid:\t{pid}\nNSpid:\t{pid}\n")
    }
}

/// A pidfd made before its process (`CLONE_PIDFD`).
pub struct Prepared {
    file: Arc<PidFd>,
    files: Arc<crate::vfs::FdTable>,
    fd: i32,
    complete: bool,
}

/// Installs a pidfd that refers to nothing yet and stores its number at `addr`.
///
/// # Errors
/// EMFILE, EFAULT.
pub fn prepare(current: &mut Current, addr: u64) -> Result<Prepared, Errno> {
    let file = Arc::<PidFd>::default();
    let files = current.task.files()?;
    let description = FileDescription::new(file.clone(), None, OpenFlags::RDWR);
    let limit = super::rlimit::nofile(current);
    let fd = files.insert(description, 0, limit, true)?;
    let prepared = Prepared { file, files, fd, complete: false };
    current.write_object(addr, &fd)?;
    Ok(prepared)
}

impl Prepared {
    /// The process exists now.
    pub fn complete(mut self, group: &Arc<ThreadGroup>) {
        *self.file.group.lock() = Arc::downgrade(group);
        self.complete = true;
    }
}

impl Drop for Prepared {
    fn drop(&mut self) {
        if !self.complete {
            let _ = self.files.remove(self.fd);
        }
    }
}
