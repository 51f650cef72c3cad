//! The mount and user namespace of the calling process: what it sees as its root, and as whom.

use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use abi::Errno;

use crate::check;

bitflags::bitflags! {
    /// Properties of a mount.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct MountFlags: u64 {
        /// Nothing can be changed.
        const READ_ONLY = 1;
        /// Set-user-id bits mean nothing.
        const NO_SUID = 2;
        /// Device nodes cannot be opened.
        const NO_DEV = 4;
        /// Nothing can be executed, or mapped for execution.
        const NO_EXEC = 8;
    }
}

/// Maps user and group 0 of the calling process's new user namespace to `uid` and `gid` of the one it came from. Needs no
/// privilege, but gives up `setgroups`.
///
/// # Errors
/// EPERM where the host forbids it, EIO without `/proc`.
pub fn map_own_ids(uid: u32, gid: u32) -> Result<(), Errno> {
    let write = |file: &str, text: String| {
        std::fs::write(format!("/proc/self/{file}"), text)
            .map_err(|error| Errno(error.raw_os_error().unwrap_or(libc::EIO) as u16))
    };
    write("setgroups", "deny".into())?;
    write("gid_map", format!("0 {gid} 1"))?;
    write("uid_map", format!("0 {uid} 1"))
}

/// Stops mounts and unmounts from travelling to and from other namespaces.
///
/// # Errors
/// EPERM outside a mount namespace of our own.
pub fn make_mounts_private() -> Result<(), Errno> {
    let flags = libc::MS_REC | libc::MS_PRIVATE;
    // SAFETY: constant strings; the others are unused with these flags.
    check(unsafe { libc::mount(c"".as_ptr(), c"/".as_ptr(), std::ptr::null(), flags, std::ptr::null()) }.into())
        .map(drop)
}

/// A mount that is not attached anywhere yet; dropped, it is gone.
#[derive(Debug)]
pub struct DetachedMount(OwnedFd);

impl DetachedMount {
    /// A copy of `path` and all that is mounted beneath it (a recursive bind).
    ///
    /// # Errors
    /// ENOENT, EACCES, EPERM (`man 2 open_tree`).
    pub fn copy_of(path: &CStr) -> Result<DetachedMount, Errno> {
        const OPEN_TREE_CLONE: u64 = 1;
        let flags = OPEN_TREE_CLONE | AT_RECURSIVE as u64 | libc::O_CLOEXEC as u64;
        // SAFETY: a C string and numbers; the result is a new descriptor.
        unsafe { own(libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, path.as_ptr(), flags)) }.map(DetachedMount)
    }

    /// A new, empty tmpfs.
    ///
    /// # Errors
    /// EPERM, ENOMEM.
    pub fn tmpfs() -> Result<DetachedMount, Errno> {
        const FSCONFIG_CMD_CREATE: u64 = 6;
        // SAFETY: constant strings and numbers; the results are new descriptors.
        unsafe {
            let context = own(libc::syscall(libc::SYS_fsopen, c"tmpfs".as_ptr(), 1))?;
            check(libc::syscall(libc::SYS_fsconfig, context.as_raw_fd(), FSCONFIG_CMD_CREATE, 0, 0, 0))?;
            own(libc::syscall(libc::SYS_fsmount, context.as_raw_fd(), 1, 0)).map(DetachedMount)
        }
    }

    /// Adds properties to it and to all that is mounted beneath it.
    ///
    /// # Errors
    /// EINVAL, EPERM, ENOSYS before Linux 5.12.
    pub fn restrict(&self, flags: MountFlags) -> Result<(), Errno> {
        set_attributes(self.0.as_fd(), flags, libc::AT_EMPTY_PATH | AT_RECURSIVE)
    }

    /// Attaches it at `path` in `dir`, and gives its root's descriptor back.
    ///
    /// # Errors
    /// ENOENT, ENOTDIR where one is a directory and the other is not, EINVAL.
    pub fn attach(self, dir: BorrowedFd<'_>, path: &CStr) -> Result<OwnedFd, Errno> {
        self.attach_at(dir.as_raw_fd(), path)
    }

    fn attach_at(self, dir: RawFd, path: &CStr) -> Result<OwnedFd, Errno> {
        const MOVE_MOUNT_F_EMPTY_PATH: u64 = 4;
        // SAFETY: C strings and numbers.
        check(unsafe {
            libc::syscall(
                libc::SYS_move_mount,
                self.0.as_raw_fd(),
                c"".as_ptr(),
                dir,
                path.as_ptr(),
                MOVE_MOUNT_F_EMPTY_PATH,
            )
        })?;
        Ok(self.0)
    }

    /// Makes it the root of this mount namespace, and everything that was there before disappear.
    ///
    /// # Errors
    /// EPERM, EINVAL outside a mount namespace of our own.
    pub fn become_root(self) -> Result<OwnedFd, Errno> {
        let root = self.attach_at(libc::AT_FDCWD, c"/")?;
        // The trick of `man 2 pivot_root`: the old root is stacked on the new one, and taken off.
        // SAFETY: constant strings and numbers.
        unsafe {
            check(libc::fchdir(root.as_raw_fd()).into())?;
            check(libc::syscall(libc::SYS_pivot_root, c".".as_ptr(), c".".as_ptr()))?;
            check(libc::umount2(c".".as_ptr(), libc::MNT_DETACH).into())?;
            check(libc::chdir(c"/".as_ptr()).into())?;
        }
        Ok(root)
    }
}

impl AsFd for DetachedMount {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Adds properties to the mount whose root `root` is, and to no other.
///
/// # Errors
/// EINVAL, EPERM, ENOSYS before Linux 5.12.
pub fn restrict_mount(root: BorrowedFd<'_>, flags: MountFlags) -> Result<(), Errno> {
    set_attributes(root, flags, libc::AT_EMPTY_PATH)
}

const AT_RECURSIVE: i32 = 0x8000;

fn set_attributes(mount: BorrowedFd<'_>, flags: MountFlags, at_flags: i32) -> Result<(), Errno> {
    #[repr(C)]
    struct MountAttr {
        set: u64,
        clear: u64,
        propagation: u64,
        userns_fd: u64,
    }
    let attr = MountAttr { set: flags.bits(), clear: 0, propagation: 0, userns_fd: 0 };
    // SAFETY: a constant string and a structure with its true size.
    check(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            at_flags,
            &raw const attr,
            size_of::<MountAttr>(),
        )
    })
    .map(drop)
}

/// # Safety
/// `result` must come from a call that returns a new descriptor.
unsafe fn own(result: i64) -> Result<OwnedFd, Errno> {
    // SAFETY: by this function's contract.
    check(result).map(|fd| unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// Closes every descriptor but standard error and `keep`; standard input and output become an empty file that cannot be
/// written, so that their numbers are never given to something else. (Not `/dev/null`: not everybody has one.)
///
/// Who calls this must own no other descriptors, or forget them.
///
/// # Errors
/// EMFILE, ENOMEM.
pub fn close_all_but(keep: &[BorrowedFd<'_>]) -> Result<(), Errno> {
    let seals = libc::F_SEAL_WRITE | libc::F_SEAL_GROW | libc::F_SEAL_SHRINK | libc::F_SEAL_SEAL;
    // SAFETY: a constant string and numbers; the result is a new descriptor.
    let nothing = unsafe { own(libc::memfd_create(c"nothing".as_ptr(), libc::MFD_ALLOW_SEALING).into()) }?;
    // SAFETY: plain numbers.
    check(unsafe { libc::fcntl(nothing.as_raw_fd(), libc::F_ADD_SEALS, seals) }.into())?;
    for standard in [0, 1] {
        if nothing.as_raw_fd() != standard {
            // SAFETY: numbers 0 and 1 are nobody's property in a process that is about to lose them.
            check(unsafe { libc::dup2(nothing.as_raw_fd(), standard) }.into())?;
        }
    }
    // Its own number is closed with the others, unless it was a standard one.
    std::mem::forget(nothing);
    let mut keep: Vec<u32> = keep.iter().map(|fd| fd.as_raw_fd() as u32).filter(|&fd| fd > 2).collect();
    keep.sort_unstable();
    let mut from = 3;
    for fd in keep {
        if from < fd {
            close_range(from, fd - 1)?;
        }
        from = fd + 1;
    }
    close_range(from, u32::MAX)
}

fn close_range(first: u32, last: u32) -> Result<(), Errno> {
    // SAFETY: the caller of `close_all_but` gives these descriptors up.
    check(unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) }).map(drop)
}
