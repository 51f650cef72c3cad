//! The sentry's jail: what its process gives up before it looks at anything of the guest's.
//!
//! It comes with namespaces of its own ([`NAMESPACES`]). Then, in this order: user 0 of its user namespace, which is nobody
//! outside; no descriptors but those it works with; an empty read-only root; no capabilities, none in the bounding set;
//! no_new_privs. The platform is started in that state, so stubs inherit it; only then the process forbids tracing and takes its
//! filter of calls ([`crate::filter`]), which stubs must not have.

use std::os::fd::BorrowedFd;

use abi::Errno;
use host::capability::{self, Capabilities};
use host::launch::{self, Namespaces};
use host::namespace::{self, DetachedMount, MountFlags};
use host::seccomp_allow::{self, Violation};

use crate::filter;
use crate::options::PlatformKind;

/// The namespaces of a sentry that it makes for itself, in parallel with what its parent does.
pub const NAMESPACES: Namespaces =
    Namespaces::MOUNT.union(Namespaces::UTS).union(Namespaces::IPC).union(Namespaces::NET);

/// A step of the jail that failed, and why.
pub type Failure = (&'static str, Errno);

/// Leaves the host's file tree for an empty read-only one, and all rights behind. Of the descriptors, standard error and `keep` stay.
///
/// # Errors
/// The step and the host's errno.
pub fn enter(keep: &[BorrowedFd<'_>]) -> Result<(), Failure> {
    step("user namespace", launch::become_root())?;
    step("closing descriptors", namespace::close_all_but(keep))?;
    step("empty root", enter_empty_root())?;
    step("capabilities", capability::keep_only(Capabilities::empty()))?;
    step("no_new_privs", capability::no_new_privileges())?;
    // Changes of user take both back.
    launch::die_with_parent();
    step("tracing of stubs", capability::permit_tracing())
}

/// The last step, once the platform has forked what it needs: nobody may look into this process, and it may only make the host
/// calls that the sentry needs.
///
/// # Errors
/// The step and the host's errno.
pub fn seal(platform: PlatformKind) -> Result<(), Failure> {
    step("dumpable", capability::forbid_tracing())?;
    let mut allowed = filter::ALWAYS.to_vec();
    allowed.extend_from_slice(match platform {
        PlatformKind::Systrap => filter::SYSTRAP,
        PlatformKind::Ptrace => filter::PTRACE,
    });
    step("seccomp", seccomp_allow::install_for_all_threads(&allowed, filter::MISSING, Violation::Report))
}

fn step<T>(step: &'static str, result: Result<T, Errno>) -> Result<T, Failure> {
    result.map_err(|errno| (step, errno))
}

fn enter_empty_root() -> Result<(), Errno> {
    namespace::make_mounts_private()?;
    let root = DetachedMount::tmpfs()?.become_root()?;
    let all = MountFlags::READ_ONLY | MountFlags::NO_SUID | MountFlags::NO_DEV | MountFlags::NO_EXEC;
    namespace::restrict_mount(std::os::fd::AsFd::as_fd(&root), all)
}
