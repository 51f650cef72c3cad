//! proc (`man 5 proc`): the kernel's state as files. One file a subject; [`node`] makes files and directories of tables.
//!
//! Everything is made when it is looked at. What the kernel does not know is not there (ENOENT), rather than made up.

mod cpu;
mod fd;
mod limits;
mod links;
mod memory;
mod mounts;
mod net;
mod node;
mod process;
mod root;
mod stat;
mod status;
mod sysctl;
mod system;

pub use cpu::list as cpu_list;
pub(super) use node::child_ino;

use std::sync::{Arc, Weak};

use abi::types::Statfs;

use self::node::{ProcInode, Subject, What};
use crate::Errno;
use crate::fs::tmpfs::anonymous_device;
use crate::kernel::Kernel;
use crate::vfs::{FileSystem, Inode, Timestamps, anonymous};

const MAGIC: i64 = 0x9fa0;
const ROOT_INO: u64 = 1;

/// The file system. All instances show the same.
pub struct Proc {
    this: Weak<Proc>,
    kernel: Weak<Kernel>,
    dev: u64,
    times: Timestamps,
}

impl Proc {
    /// Shows `kernel`.
    pub fn new(kernel: &Arc<Kernel>) -> Arc<Proc> {
        Arc::new_cyclic(|this| Proc {
            this: this.clone(),
            kernel: Arc::downgrade(kernel),
            dev: anonymous_device(),
            times: anonymous::times_now(),
        })
    }

    /// The kernel, as long as it is there.
    fn kernel(&self) -> Result<Arc<Kernel>, Errno> {
        self.kernel.upgrade().ok_or(Errno::EIO)
    }
}

/// Makes `proc` known to `mount`.
pub fn register() {
    super::register("proc", |_, _, current| Ok(Proc::new(&current.kernel)));
}

impl FileSystem for Proc {
    fn name(&self) -> &'static str {
        "proc"
    }

    fn statfs(&self) -> Result<Statfs, Errno> {
        Ok(Statfs { f_type: MAGIC, f_bsize: 4096, f_frsize: 4096, f_namelen: 255, ..Statfs::default() })
    }

    fn root(&self) -> Arc<dyn Inode> {
        match self.this.upgrade() {
            Some(fs) => ProcInode::new(&fs, ROOT_INO, Subject::System, What::Root),
            None => unreachable!("a method runs on a live file system"),
        }
    }
}
