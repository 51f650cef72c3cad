//! Takes everything away from the gofer's process that brokering files does not need, before it reads a byte of the guest's.
//!
//! The process comes with namespaces of its own ([`NAMESPACES`], made by `host::launch::spawn`). Then: no descriptors but
//! the connection, a root that holds nothing but the attach points (each a recursive bind, `nosuid,nodev`, read-only where
//! it may not be changed), no capabilities but those over files, Landlock as a second wall, and an allow-list of calls.
//!
//! The mounts are not `noexec`: programs are mapped for execution from descriptors that are opened here.

use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use abi::Errno;
use gofer_proto::{Attr, FileType};
use host::capability::{self, Capabilities};
use host::launch::Namespaces;
use host::namespace::{self, DetachedMount, MountFlags};
use host::{file, metadata, seccomp_allow};
use landlock::{
    ABI, Access as _, AccessFs, AccessNet, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetError,
};

use crate::config::{AttachPoint, Config, Mutability};
use crate::filter;

/// The namespaces that a gofer is started in; `USER` is added where the caller is not root.
pub const NAMESPACES: Namespaces =
    Namespaces::MOUNT.union(Namespaces::UTS).union(Namespaces::IPC).union(Namespaces::PID).union(Namespaces::NET);

/// As whom the gofer reaches the host's files.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Identity {
    /// As the user it was started by, in that user's namespace.
    Caller,
    /// It was started in a user namespace of its own ([`Namespaces::USER`]); its root is this user and group outside.
    MappedRoot {
        /// User outside.
        uid: u32,
        /// Group outside.
        gid: u32,
    },
    /// The same, but whoever started it has already written the maps, or will before this is called.
    AlreadyMapped,
}

/// Which step of the jail failed.
#[derive(Debug, thiserror::Error)]
pub enum JailError {
    /// An attach point cannot be bound.
    #[error("cannot bring \"{path}\" into the gofer's root: {errno}")]
    AttachPoint {
        /// Its path on the host.
        path: String,
        /// Why.
        errno: Errno,
    },
    /// A step of the jail.
    #[error("cannot jail the gofer: {step}: {errno}")]
    Step {
        /// What was being done.
        step: &'static str,
        /// Why.
        errno: Errno,
    },
    /// Landlock is there and refuses.
    #[error("cannot jail the gofer: Landlock: {0}")]
    Landlock(#[from] RulesetError),
}

fn step<T>(step: &'static str, result: Result<T, Errno>) -> Result<T, JailError> {
    result.map_err(|errno| JailError::Step { step, errno })
}

/// Jails the calling process, which has one thread and owns nothing but the connection, and makes the sources of the attach
/// points those inside the jail. [`crate::serve`] comes next.
///
/// # Errors
/// The step that failed. The process is in no usable state then: it must end.
pub fn jail(config: &mut Config, identity: Identity) -> Result<(), JailError> {
    if let Identity::MappedRoot { uid, gid } = identity {
        step("user namespace", namespace::map_own_ids(uid, gid))?;
    }
    if identity != Identity::Caller {
        step("user namespace", host::launch::become_root())?;
    }
    let memory = config.connection.memory.as_ref().map(AsFd::as_fd);
    let keep: Vec<BorrowedFd<'_>> = [config.connection.socket.as_fd()].into_iter().chain(memory).collect();
    step("closing descriptors", namespace::close_all_but(&keep))?;
    enter_root(&mut config.attach_points)?;

    let writable = config.attach_points.iter().any(|point| point.mutability == Mutability::Writable);
    let keep = if writable { Capabilities::all() } else { Capabilities::DAC_READ_SEARCH };
    step("capabilities", capability::keep_only(keep))?;
    step("no_new_privs", capability::no_new_privileges())?;
    step("dumpable", capability::forbid_tracing())?;
    // A change of user may have taken this back.
    host::launch::die_with_parent();
    wall(&config.attach_points)?;
    let mut allowed = filter::ALWAYS.to_vec();
    if writable {
        allowed.extend_from_slice(filter::WRITABLE);
    }
    step("seccomp", seccomp_allow::install(&allowed))
}

/// Makes a root that holds nothing but the attach points, by number.
fn enter_root(points: &mut [AttachPoint]) -> Result<(), JailError> {
    step("mount propagation", namespace::make_mounts_private())?;
    let root = step("tmpfs", DetachedMount::tmpfs())?;
    let mut trees = Vec::new();
    for (index, point) in points.iter_mut().enumerate() {
        let path = point.source.display().to_string();
        let tree = bind(&root, index, point);
        trees.push(tree.map_err(|errno| JailError::AttachPoint { path, errno })?);
        point.source = PathBuf::from(format!("/{index}"));
    }
    let root = step("pivot_root", root.become_root())?;
    for (index, tree) in trees.into_iter().enumerate() {
        let attached = CString::new(index.to_string()).map_err(|_| Errno::EINVAL);
        let attached = attached.and_then(|name| tree.attach(root.as_fd(), &name));
        step("attach point", attached)?;
    }
    let all = MountFlags::READ_ONLY | MountFlags::NO_SUID | MountFlags::NO_DEV | MountFlags::NO_EXEC;
    step("read-only root", namespace::restrict_mount(root.as_fd(), all))
}

/// Copies an attach point's mounts, and makes the place for them in the new root.
fn bind(root: &DetachedMount, index: usize, point: &AttachPoint) -> Result<DetachedMount, Errno> {
    let source = CString::new(point.source.as_os_str().as_bytes()).map_err(|_| Errno::EINVAL)?;
    let place = CString::new(index.to_string()).map_err(|_| Errno::EINVAL)?;
    let tree = DetachedMount::copy_of(&source)?;
    let mut flags = MountFlags::NO_SUID | MountFlags::NO_DEV;
    if point.mutability == Mutability::ReadOnly {
        flags |= MountFlags::READ_ONLY;
    }
    tree.restrict(flags)?;
    match Attr::from_statx(&metadata::statx(tree.as_fd())?).file_type() {
        FileType::Directory => file::make_dir(root.as_fd(), &place, 0o700)?,
        _ => file::make_node(root.as_fd(), &place, 0o100_600, 0)?,
    }
    Ok(tree)
}

/// The second wall: Landlock, as much of it as this kernel has. What it does not handle the other walls still do.
fn wall(points: &[AttachPoint]) -> Result<(), JailError> {
    const NEWEST: ABI = ABI::V6;
    let mut rules = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(NEWEST))?
        .handle_access(AccessNet::from_all(NEWEST))?
        .create()?;
    for point in points {
        let Ok(fd) = PathFd::new(&point.source) else { continue };
        let access = match point.mutability {
            Mutability::ReadOnly => AccessFs::ReadFile | AccessFs::ReadDir,
            Mutability::Writable => AccessFs::from_all(NEWEST) & !(AccessFs::Execute | AccessFs::MakeBlock),
        };
        let access = if point.source.is_dir() { access } else { access & AccessFs::from_file(NEWEST) };
        rules = rules.add_rule(PathBeneath::new(fd, access))?;
    }
    rules.restrict_self()?;
    Ok(())
}
