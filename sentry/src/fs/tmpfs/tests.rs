use super::*;
use crate::task::Credentials;
use crate::task::capability::CapSet;
use crate::vfs::walk::{Origin, WalkFlags};
use crate::vfs::{FileType, Location, Mount, MountFlags, SetAttributes, names};

fn root() -> Location {
    Mount::of(Tmpfs::new(Options::default()), b"tmpfs", MountFlags::empty()).root_location()
}

fn origin(root: &Location) -> Origin<'static> {
    let credentials = Arc::new(Credentials::new(0, 0, Vec::new(), CapSet::FULL));
    Origin { root: root.clone(), start: root.clone(), credentials, current: None }
}

fn make(root: &Location, path: &str, kind: NodeKind) -> Location {
    names::make(&origin(root), path.as_bytes(), kind, 0o755, 0).unwrap()
}

fn find(root: &Location, path: &str) -> Result<Location, Errno> {
    origin(root).find(path.as_bytes(), WalkFlags::FOLLOW)
}

fn rename(root: &Location, from: &str, to: &str, flags: u32) -> Result<(), Errno> {
    names::rename(&origin(root), from.as_bytes(), &origin(root), to.as_bytes(), flags)
}

#[test]
fn walks_follow_links_and_dots() {
    let root = root();
    make(&root, "/a", NodeKind::Directory);
    make(&root, "/a/b", NodeKind::Directory);
    make(&root, "/a/b/f", NodeKind::File);
    make(&root, "/l", NodeKind::Symlink(b"a/b/../b/".to_vec()));
    let f = find(&root, "/a/b/f").unwrap();
    assert!(find(&root, "/l/f").unwrap() == f);
    assert!(find(&root, "/../a/./b//f").unwrap() == f);
    assert_eq!(find(&root, "/a/b/f/").err(), Some(Errno::ENOTDIR));
    assert_eq!(find(&root, "/a/x/f").err(), Some(Errno::ENOENT));
    assert_eq!(find(&root, "").err(), Some(Errno::ENOENT));
    assert_eq!(find(&root, &format!("/{}", "n".repeat(256))).err(), Some(Errno::ENAMETOOLONG));
    let link = origin(&root).find(b"/l", WalkFlags::empty()).unwrap();
    assert_eq!(link.dentry.file_type(), FileType::Symlink);
    assert_eq!(f.path_from(&root), (b"/a/b/f".to_vec(), true));
}

#[test]
fn a_circle_of_links_is_eloop() {
    let root = root();
    make(&root, "/x", NodeKind::Symlink(b"y".to_vec()));
    make(&root, "/y", NodeKind::Symlink(b"x".to_vec()));
    assert_eq!(find(&root, "/x").err(), Some(Errno::ELOOP));
}

#[test]
fn beneath_does_not_leave_its_start() {
    let root = root();
    make(&root, "/d", NodeKind::Directory);
    make(&root, "/d/up", NodeKind::Symlink(b"../d".to_vec()));
    make(&root, "/d/abs", NodeKind::Symlink(b"/d".to_vec()));
    let mut origin = origin(&root);
    origin.start = find(&root, "/d").unwrap();
    let walk = |path: &[u8], flags| origin.find(path, flags | WalkFlags::FOLLOW).map(|l| l.path_from(&root).0);
    assert_eq!(walk(b"..", WalkFlags::BENEATH), Err(Errno::EXDEV));
    assert_eq!(walk(b"up", WalkFlags::BENEATH), Err(Errno::EXDEV));
    assert_eq!(walk(b"abs", WalkFlags::BENEATH), Err(Errno::EXDEV));
    assert_eq!(walk(b"../..", WalkFlags::IN_ROOT), Ok(b"/d".to_vec()));
    assert_eq!(walk(b"abs", WalkFlags::IN_ROOT), Err(Errno::ENOENT));
    assert_eq!(walk(b"up", WalkFlags::NO_SYMLINKS), Err(Errno::ELOOP));
}

#[test]
fn rename_moves_replaces_and_exchanges() {
    let root = root();
    make(&root, "/d", NodeKind::Directory);
    make(&root, "/e", NodeKind::Directory);
    make(&root, "/d/f", NodeKind::File);
    let g = make(&root, "/g", NodeKind::File);
    let f = find(&root, "/d/f").unwrap();
    rename(&root, "/d/f", "/g", 0).unwrap();
    assert!(find(&root, "/g").unwrap() == f);
    assert!(g.dentry.is_removed());
    assert_eq!(f.inode().metadata().unwrap().nlink, 1);
    assert_eq!(g.inode().metadata().unwrap().nlink, 0);
    assert_eq!(find(&root, "/d/f").err(), Some(Errno::ENOENT));
    rename(&root, "/d", "/e/d", 0).unwrap();
    assert_eq!(find(&root, "/e/d").unwrap().path_from(&root).0, b"/e/d");
    assert_eq!(root.inode().metadata().unwrap().nlink, 3);
    assert_eq!(rename(&root, "/e", "/e/d/x", 0), Err(Errno::EINVAL));
    assert_eq!(rename(&root, "/e/d", "/e", 0), Err(Errno::ENOTEMPTY));
    assert_eq!(rename(&root, "/g", "/e", 0), Err(Errno::EISDIR));
    assert_eq!(rename(&root, "/g", "/e/d", 1), Err(Errno::EEXIST));
    rename(&root, "/g", "/e/d", 2).unwrap();
    assert_eq!(find(&root, "/g").unwrap().dentry.file_type(), FileType::Directory);
    assert!(find(&root, "/e/d").unwrap() == f);
    assert_eq!(find(&root, "/g/..").unwrap().path_from(&root).0, b"/");
}

#[test]
fn hard_links_share_an_inode_and_directories_have_none() {
    let root = root();
    let f = make(&root, "/f", NodeKind::File);
    let d = make(&root, "/d", NodeKind::Directory);
    names::link(&f, &origin(&root), b"/g").unwrap();
    assert_eq!(find(&root, "/g").unwrap().inode().metadata().unwrap().nlink, 2);
    assert_eq!(names::link(&d, &origin(&root), b"/h"), Err(Errno::EPERM));
    names::unlink(&origin(&root), b"/f").unwrap();
    assert_eq!(find(&root, "/g").unwrap().inode().metadata().unwrap().nlink, 1);
    assert_eq!(names::unlink(&origin(&root), b"/d"), Err(Errno::EISDIR));
    make(&root, "/d/x", NodeKind::File);
    assert_eq!(names::rmdir(&origin(&root), b"/d"), Err(Errno::ENOTEMPTY));
    names::unlink(&origin(&root), b"/d/x").unwrap();
    names::rmdir(&origin(&root), b"/d").unwrap();
    assert_eq!(d.inode().metadata().unwrap().nlink, 0);
}

#[test]
fn mounts_are_crossed_both_ways() {
    let root = root();
    make(&root, "/m", NodeKind::Directory);
    let mount = Mount::of(Tmpfs::new(Options::default()), b"none", MountFlags::empty());
    mount.attach(&find(&root, "/m").unwrap()).unwrap();
    make(&root, "/m/f", NodeKind::File);
    let f = find(&root, "/m/f").unwrap();
    assert_eq!(f.path_from(&root).0, b"/m/f");
    assert!(Arc::ptr_eq(&f.mount, &mount));
    assert!(find(&root, "/m/..").unwrap() == root);
    assert_eq!(names::rmdir(&origin(&root), b"/m"), Err(Errno::EBUSY));
    assert_eq!(rename(&root, "/m/f", "/f", 0), Err(Errno::EXDEV));
    drop(f);
    mount.detach(false).unwrap();
    assert_eq!(find(&root, "/m/f").err(), Some(Errno::ENOENT));
}

#[test]
fn the_size_limit_holds_for_small_and_large_files() {
    let fs = Tmpfs::new(Options { size: 256 << 10, ..Options::default() });
    let mut content = content::Content::default();
    assert_eq!(content.write(&fs, 0, &[1; 128 << 10]), Ok(128 << 10));
    let mut other = content::Content::default();
    assert_eq!(other.write(&fs, 0, &[1; 64 << 10]), Ok(64 << 10));
    assert_eq!(other.write(&fs, 64 << 10, &[1; 65 << 10]), Ok(64 << 10), "as much as there is room for");
    assert_eq!(other.write(&fs, 128 << 10, &[1]), Err(Errno::ENOSPC));
    content.resize(&fs, 0).unwrap();
    assert_eq!(other.write(&fs, 64 << 10, &[2; 65 << 10]), Ok(65 << 10));
    let mut buf = [0; 2];
    assert_eq!(other.read((64 << 10) - 1, &mut buf), Ok(2));
    assert_eq!(buf, [1, 2]);
    content.release(&fs);
    other.release(&fs);
    assert_eq!(fs.blocks.load(Ordering::Relaxed), 0);
}

#[test]
fn truncation_reads_as_zeros() {
    let root = root();
    let f = make(&root, "/f", NodeKind::File);
    for size in [5, 100 << 10, 70 << 10, 0, 10] {
        f.inode().set_attributes(&SetAttributes { size: Some(size), ..SetAttributes::default() }).unwrap();
        assert_eq!(f.inode().metadata().unwrap().size, size);
    }
}

#[test]
fn a_deep_tree_is_dropped_without_recursion() {
    let root = root();
    let mut at = origin(&root);
    for _ in 0..20_000 {
        at.start = names::make(&at, b"d", NodeKind::Directory, 0o755, 0).unwrap();
    }
    drop(at);
    drop(root);
}

#[test]
fn unused_names_leave_the_cache() {
    let root = root();
    make(&root, "/d", NodeKind::Directory);
    let kept = make(&root, "/d/kept", NodeKind::File);
    make(&root, "/d/dropped", NodeKind::File);
    root.dentry.prune(false);
    let d = find(&root, "/d").unwrap();
    assert!(
        d.dentry.cached(b"kept").is_some_and(|found| found.is_some_and(|dentry| Arc::ptr_eq(&dentry, &kept.dentry)))
    );
    assert!(d.dentry.cached(b"dropped").is_none());
    assert!(find(&root, "/d/dropped").is_ok());
}

#[test]
#[ignore = "a measurement: run it in release mode"]
fn cached_walk_speed() {
    let root = root();
    for path in ["/usr", "/usr/lib", "/usr/lib/x86", "/usr/lib/x86/libc.so"] {
        make(&root, path, NodeKind::Directory);
    }
    let origin = origin(&root);
    let start = std::time::Instant::now();
    for _ in 0..1_000_000 {
        std::hint::black_box(origin.find(b"/usr/lib/x86/libc.so", WalkFlags::FOLLOW).unwrap());
    }
    println!("{:?} a walk of 4 components", start.elapsed() / 1_000_000);
}
