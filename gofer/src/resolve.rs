//! Looking names up: one component at a time, in a directory descriptor, through no link.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd};

use abi::Errno;
use abi::types::Statx;
use gofer_proto::{Attr, FileType, Found, NodeId, WALK_MAX, Walked, components, to_c_string};
use host::file::{self, Resolve};
use host::metadata;

use crate::config::PseudoFiles;
use crate::mask::{Seen, View};
use crate::node::{Identity, MountId, NewNode, O_PATH_NOFOLLOW};
use crate::server::Server;

/// File systems that hold the host's state instead of files (`f_type`, `linux/magic.h`).
const PSEUDO: &[i64] = &[
    0x9fa0,      // proc
    0x6265_6572, // sysfs
    0x0027_e0eb, // cgroup
    0x6367_7270, // cgroup2
    0x6462_6720, // debugfs
    0x7472_6163, // tracefs
    0x7363_6673, // securityfs
    0xf97c_ff8c, // selinuxfs
    0x4341_5d53, // smackfs
    0x5a3c_69f0, // apparmorfs
    0x6265_6570, // configfs
    0xcafe_4a11, // bpf
    0x6165_676c, // pstore
    0xde5e_81e4, // efivarfs
    0x4249_4e4d, // binfmt_misc
    0x6573_5543, // fusectl
    0x1980_0202, // mqueue
    0x1cd1,      // devpts
    0x6e73_6673, // nsfs
    0x0958_458f, // hugetlbfs
    0x0187,      // autofs
    0x6759_6969, // rpc_pipefs
];

/// What a look at a name has shown, before it becomes a node.
pub(crate) struct Glimpse {
    pub attr: Attr,
    pub mount: MountId,
    pub seen: Seen,
    pub symlink: Option<Vec<u8>>,
}

impl Server {
    /// Looks `name` up in `dir`; `None`: there is no such name, or it is hidden.
    pub(crate) fn lookup(&mut self, dir: NodeId, name: &[u8]) -> Result<Option<Found>, Errno> {
        let name = to_c_string(name)?;
        self.find(dir, &name)
    }

    /// The same with a checked name.
    pub(crate) fn find(&mut self, dir: NodeId, name: &CStr) -> Result<Option<Found>, Errno> {
        if self.nodes.identity(dir)?.kind != FileType::Directory {
            return Err(Errno::ENOTDIR);
        }
        let fd = self.nodes.descriptor(dir)?;
        match self.glimpse(dir, fd.as_fd(), name)? {
            Some(glimpse) => self.adopt(dir, name.to_owned(), glimpse).map(Some),
            None => Ok(None),
        }
    }

    /// Walks down a path until a link, an end, or something that is not there.
    pub(crate) fn walk(&mut self, dir: NodeId, path: &[u8]) -> Result<Walked, Errno> {
        let mut walked = Walked { found: Vec::new(), stopped: None };
        let mut at = dir;
        let parts = components(path)?;
        if parts.len() > WALK_MAX {
            return Err(Errno::ENAMETOOLONG);
        }
        for part in parts {
            match self.lookup(at, part) {
                Ok(Some(found)) => {
                    let is_link = found.symlink.is_some();
                    at = found.node;
                    walked.found.push(found);
                    if is_link {
                        break;
                    }
                }
                Ok(None) => walked.stopped = Some(Errno::ENOENT),
                // What is wrong with the very first directory is wrong with the call.
                Err(errno) if walked.found.is_empty() => return Err(errno),
                Err(errno) => walked.stopped = Some(errno),
            }
            if walked.stopped.is_some() {
                break;
            }
        }
        Ok(walked)
    }

    /// Looks at a name without making a node of it.
    pub(crate) fn glimpse(&mut self, dir: NodeId, fd: BorrowedFd<'_>, name: &CStr) -> Result<Option<Glimpse>, Errno> {
        let attach = self.attach_of(dir)?;
        let Some(seen) = attach.mask.child(self.nodes.seen(dir)?, name) else { return Ok(None) };
        let statx = match metadata::statx_at(fd, name) {
            Err(Errno::ENOENT) => return Ok(None),
            other => other?,
        };
        let attr = Attr::from_statx(&statx);
        let mount = mount_of(&statx);
        let kind = attr.file_type();
        if seen.view == View::Masked && kind != FileType::Directory {
            return Ok(None);
        }
        let mut seen = seen;
        let crosses = mount != self.nodes.mount(dir)?;
        if crosses && attach.pseudo_files == PseudoFiles::Hide && self.is_pseudo(fd, name)? {
            if kind != FileType::Directory {
                return Ok(None);
            }
            seen = Seen { view: View::Masked, mask: None };
        }
        let symlink = match kind {
            FileType::Symlink => match file::read_link(fd, name) {
                Ok(target) => Some(target),
                // Replaced in between; who asks again gets the new one.
                Err(Errno::ENOENT | Errno::EINVAL) => return Ok(None),
                Err(errno) => return Err(errno),
            },
            _ => None,
        };
        let attr = if seen.view == View::Masked { masked(attr) } else { attr };
        Ok(Some(Glimpse { attr, mount, seen, symlink }))
    }

    /// Makes a node of what was seen.
    pub(crate) fn adopt(&mut self, dir: NodeId, name: CString, glimpse: Glimpse) -> Result<Found, Errno> {
        let node = self.nodes.insert(NewNode {
            attach: self.nodes.attach(dir)?,
            parent: dir,
            name,
            identity: Identity::of(&glimpse.attr),
            mount: glimpse.mount,
            seen: glimpse.seen,
        })?;
        Ok(Found { node, attr: glimpse.attr, symlink: glimpse.symlink })
    }

    fn is_pseudo(&self, dir: BorrowedFd<'_>, name: &CStr) -> Result<bool, Errno> {
        let fd = match file::open_at(dir, name, O_PATH_NOFOLLOW, 0, Resolve::Beneath) {
            Err(Errno::ENOENT) => return Ok(true),
            other => other?,
        };
        is_pseudo(fd.as_fd())
    }
}

/// Whether a file lies on a file system that holds the host's state.
pub(crate) fn is_pseudo(fd: BorrowedFd<'_>) -> Result<bool, Errno> {
    Ok(PSEUDO.contains(&(metadata::statfs(fd)?.f_type & 0xffff_ffff)))
}

/// The mount a name lies on; before Linux 5.8 its device has to do.
pub(crate) fn mount_of(statx: &Statx) -> MountId {
    const STATX_MNT_ID: u32 = 0x1000;
    if statx.stx_mask & STATX_MNT_ID != 0 {
        MountId(statx.stx_mnt_id)
    } else {
        MountId(u64::from(statx.stx_dev_major) << 32 | u64::from(statx.stx_dev_minor))
    }
}

/// A hidden directory as the guest sees it. Inode and device stay, so that it remains the same one.
pub(crate) fn masked(attr: Attr) -> Attr {
    let epoch = gofer_proto::Time::default();
    Attr {
        mode: 0o40_755,
        uid: 0,
        gid: 0,
        nlink: 2,
        size: 0,
        blocks: 0,
        atime: epoch,
        mtime: epoch,
        ctime: epoch,
        ..attr
    }
}
