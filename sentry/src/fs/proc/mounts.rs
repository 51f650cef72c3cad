//! What is mounted where: `mounts`, `mountinfo`, `mountstats`.

use std::sync::Arc;

use super::node::Subject;
use crate::Errno;
use crate::task::Current;
use crate::vfs::special::{major, minor};
use crate::vfs::{Location, Mount, MountFlags};

/// The mounts that a process can reach, with their paths from its root, the root's own first.
fn reachable(subject: &Subject) -> Result<Vec<(Arc<Mount>, Vec<u8>)>, Errno> {
    let root = subject.task()?.fs().root();
    let below = |mount: Arc<Mount>| {
        let (path, reachable) = mount.root_location().path_from(&root);
        if Arc::ptr_eq(&mount, &root.mount) { Some((mount, b"/".to_vec())) } else { reachable.then_some((mount, path)) }
    };
    Ok(root.mount.tree().into_iter().filter_map(below).collect())
}

/// Blanks and backslashes as octal numbers.
fn escape(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for &byte in text {
        match byte {
            b' ' | b'\t' | b'\n' | b'\\' => out.extend(format!("\\{byte:03o}").into_bytes()),
            _ => out.push(byte),
        }
    }
    out
}

fn mount_options(mount: &Mount) -> String {
    let flags = mount.flags();
    let mut options = String::from(if flags.contains(MountFlags::RDONLY) { "ro" } else { "rw" });
    let names = [
        (MountFlags::NOSUID, ",nosuid"),
        (MountFlags::NODEV, ",nodev"),
        (MountFlags::NOEXEC, ",noexec"),
        (MountFlags::NOATIME, ",noatime"),
        (MountFlags::NODIRATIME, ",nodiratime"),
        (MountFlags::RELATIME, ",relatime"),
        (MountFlags::NOSYMFOLLOW, ",nosymfollow"),
    ];
    names.iter().filter(|(flag, _)| flags.contains(*flag)).for_each(|(_, name)| options.push_str(name));
    options
}

fn file_system_options(mount: &Mount) -> String {
    let access = if mount.file_system().is_read_only() { "ro" } else { "rw" };
    match mount.file_system().options() {
        options if options.is_empty() => access.to_owned(),
        options => format!("{access},{options}"),
    }
}

fn source(mount: &Mount) -> Vec<u8> {
    if mount.source.is_empty() { b"none".to_vec() } else { escape(&mount.source) }
}

/// `mounts`
pub(super) fn mounts(subject: &Subject, _: &Current) -> Result<Vec<u8>, Errno> {
    let mut text = Vec::new();
    for (mount, path) in reachable(subject)? {
        let mut options = mount_options(&mount);
        let own = mount.file_system().options();
        if !own.is_empty() {
            options = format!("{options},{own}");
        }
        text.extend([&source(&mount)[..], b" ", &escape(&path)].concat());
        text.extend(format!(" {} {options} 0 0\n", mount.file_system().name()).into_bytes());
    }
    Ok(text)
}

/// `mountinfo`
pub(super) fn mountinfo(subject: &Subject, _: &Current) -> Result<Vec<u8>, Errno> {
    let mut text = Vec::new();
    for (mount, path) in reachable(subject)? {
        let parent = mount.mountpoint().map_or(mount.id, |at| at.mount.id);
        let dev = mount.root_location().inode().metadata().map_or(0, |metadata| metadata.dev);
        let top = Location { mount: mount.clone(), dentry: mount.superblock.root.clone() };
        let root = inner_path(&mount, &top);
        text.extend(format!("{} {parent} {}:{} ", mount.id, major(dev), minor(dev)).into_bytes());
        text.extend([&escape(&root)[..], b" ", &escape(&path), b" "].concat());
        text.extend(format!("{} - {} ", mount_options(&mount), mount.file_system().name()).into_bytes());
        text.extend([&source(&mount)[..], b" "].concat());
        text.extend(format!("{}\n", file_system_options(&mount)).into_bytes());
    }
    Ok(text)
}

/// What of the file system is mounted: `/` except for bind mounts.
fn inner_path(mount: &Arc<Mount>, top: &Location) -> Vec<u8> {
    let mut names = Vec::new();
    let mut at = mount.root.clone();
    while !Arc::ptr_eq(&at, &top.dentry) {
        let (parent, name) = at.place();
        names.push(name);
        match parent {
            Some(parent) => at = parent,
            None => break,
        }
    }
    let mut path: Vec<u8> = names.iter().rev().flat_map(|name| [b"/", &name[..]].concat()).collect();
    if path.is_empty() {
        path.push(b'/');
    }
    path
}

/// `mountstats`
pub(super) fn mountstats(subject: &Subject, _: &Current) -> Result<Vec<u8>, Errno> {
    let mut text = Vec::new();
    for (mount, path) in reachable(subject)? {
        text.extend([b"device ", &source(&mount)[..], b" mounted on ", &escape(&path)].concat());
        text.extend(format!(" with fstype {}\n", mount.file_system().name()).into_bytes());
    }
    Ok(text)
}
