use super::*;
use crate::fs::tmpfs::{Options, Tmpfs};
use crate::task::Credentials;
use crate::task::capability::CapSet;
use crate::vfs::walk::{Origin, WalkFlags};
use crate::vfs::{Location, Mount, MountFlags, NodeKind, SetAttributes, names};

fn origin(root: &Location) -> Origin<'static> {
    let credentials = Arc::new(Credentials::new(0, 0, Vec::new(), CapSet::FULL));
    Origin { root: root.clone(), start: root.clone(), credentials, current: None }
}

fn make(root: &Location, path: &str, kind: NodeKind) -> Location {
    names::make(&origin(root), path.as_bytes(), kind, 0o755, 0).unwrap()
}

fn write(root: &Location, path: &str, text: &str) {
    let file = find(root, path).unwrap_or_else(|_| make(root, path, NodeKind::File));
    file.inode().set_attributes(&SetAttributes { size: Some(0), ..SetAttributes::default() }).unwrap();
    file.inode().write_at(Some(0), text.as_bytes()).unwrap();
}

fn read(root: &Location, path: &str) -> String {
    let mut buf = [0; 100];
    let len = find(root, path).unwrap().inode().read_at(0, &mut buf).unwrap();
    String::from_utf8(buf[..len].to_vec()).unwrap()
}

fn find(root: &Location, path: &str) -> Result<Location, Errno> {
    origin(root).find(path.as_bytes(), WalkFlags::FOLLOW)
}

fn exists(root: &Location, path: &str) -> bool {
    find(root, path).is_ok()
}

fn rename(root: &Location, from: &str, to: &str, flags: u32) -> Result<(), Errno> {
    names::rename(&origin(root), from.as_bytes(), &origin(root), to.as_bytes(), flags)
}

fn unlink(root: &Location, path: &str) {
    names::unlink(&origin(root), path.as_bytes()).unwrap();
}

fn list(root: &Location, path: &str) -> Vec<String> {
    let mut names = Vec::new();
    let dir = find(root, path).unwrap();
    dir.inode()
        .read_dir(2, &mut |entry| {
            let ino = find(root, &format!("{path}/{}", String::from_utf8_lossy(&entry.name)));
            assert_eq!(ino.unwrap().inode().metadata().unwrap().ino, entry.ino, "d_ino is what stat says");
            names.push(String::from_utf8(entry.name).unwrap());
            true
        })
        .unwrap();
    names.sort();
    names
}

struct Fixture {
    root: Location,
    lower: Location,
    upper: Arc<Tmpfs>,
    lower_fs: Arc<Tmpfs>,
}

/// A lower tree `/d/{a,b,sub/deep}`, `/f`, and the links `/h1`, `/h2` of one file.
fn fixture(kind: Upper) -> Fixture {
    let lower_fs = Tmpfs::new(Options::default());
    let lower = Mount::of(lower_fs.clone(), b"lower", MountFlags::empty()).root_location();
    for dir in ["/d", "/d/sub"] {
        make(&lower, dir, NodeKind::Directory);
    }
    for file in ["/d/a", "/d/b", "/d/sub/deep", "/f", "/h1"] {
        write(&lower, file, &format!("lower {file}"));
    }
    names::link(&find(&lower, "/h1").unwrap(), &origin(&lower), b"/h2").unwrap();
    let upper = Tmpfs::new(Options::default());
    let overlay = OverlayFs::new(lower_fs.clone(), upper.clone(), kind).unwrap();
    Fixture { root: Mount::of(overlay, b"overlay", MountFlags::empty()).root_location(), lower, upper, lower_fs }
}

#[test]
fn a_change_leaves_the_lower_file_alone_and_keeps_the_identity() {
    let Fixture { root, lower, .. } = fixture(Upper::Temporary);
    let before = find(&root, "/d/a").unwrap().inode().metadata().unwrap();
    write(&root, "/d/a", "changed");
    let after = find(&root, "/d/a").unwrap().inode().metadata().unwrap();
    assert_eq!((before.dev, before.ino, before.nlink), (after.dev, after.ino, after.nlink));
    assert_eq!(read(&root, "/d/a"), "changed");
    assert_eq!(read(&lower, "/d/a"), "lower /d/a");
    // And again when nothing is cached.
    root.dentry.prune(false);
    assert_eq!(find(&root, "/d/a").unwrap().inode().metadata().unwrap().ino, before.ino);
    assert_eq!(list(&root, "/d"), ["a", "b", "sub"]);
}

#[test]
fn a_file_open_before_its_copy_sees_the_change() {
    let Fixture { root, .. } = fixture(Upper::Temporary);
    let open = find(&root, "/d/a").unwrap().inode().clone();
    write(&root, "/d/a", "new");
    let mut buf = [0; 3];
    open.read_at(0, &mut buf).unwrap();
    assert_eq!(&buf, b"new");
}

#[test]
fn removed_names_stay_removed_and_can_be_made_again() {
    let Fixture { root, lower, .. } = fixture(Upper::Temporary);
    unlink(&root, "/d/a");
    assert!(!exists(&root, "/d/a"));
    root.dentry.prune(false);
    assert!(!exists(&root, "/d/a"));
    assert_eq!(list(&root, "/d"), ["b", "sub"]);
    write(&root, "/d/a", "again");
    assert_eq!(read(&root, "/d/a"), "again");
    assert!(exists(&lower, "/d/a"));
    assert_eq!(names::rmdir(&origin(&root), b"/d"), Err(Errno::ENOTEMPTY));
    for path in ["/d/a", "/d/b", "/d/sub/deep"] {
        unlink(&root, path);
    }
    names::rmdir(&origin(&root), b"/d/sub").unwrap();
    names::rmdir(&origin(&root), b"/d").unwrap();
    assert!(!exists(&root, "/d"));
    make(&root, "/d", NodeKind::Directory);
    root.dentry.prune(false);
    assert!(list(&root, "/d").is_empty(), "a new directory hides the removed one");
}

#[test]
fn a_renamed_directory_takes_its_lower_contents_along() {
    for kind in [Upper::Temporary, Upper::Persistent] {
        let Fixture { root, lower, .. } = fixture(kind);
        let ino = find(&root, "/d").unwrap().inode().metadata().unwrap().ino;
        rename(&root, "/d", "/e", 0).unwrap();
        root.dentry.prune(false);
        assert!(!exists(&root, "/d"));
        assert_eq!(read(&root, "/e/sub/deep"), "lower /d/sub/deep");
        assert_eq!(list(&root, "/e"), ["a", "b", "sub"]);
        assert_eq!(find(&root, "/e").unwrap().inode().metadata().unwrap().ino, ino);
        write(&root, "/e/sub/deep", "x");
        make(&root, "/d", NodeKind::Directory);
        rename(&root, "/e", "/d", 0).unwrap();
        root.dentry.prune(false);
        assert_eq!(read(&root, "/d/sub/deep"), "x");
        assert_eq!(read(&lower, "/d/sub/deep"), "lower /d/sub/deep");
    }
}

#[test]
fn files_move_replace_and_exchange() {
    let Fixture { root, .. } = fixture(Upper::Temporary);
    rename(&root, "/f", "/d/a", 0).unwrap();
    assert!(!exists(&root, "/f"));
    assert_eq!(read(&root, "/d/a"), "lower /f");
    rename(&root, "/d/a", "/d/sub", 2).unwrap();
    root.dentry.prune(false);
    assert_eq!(read(&root, "/d/sub"), "lower /f");
    assert_eq!(read(&root, "/d/a/deep"), "lower /d/sub/deep");
    assert_eq!(list(&root, "/d"), ["a", "b", "sub"]);
}

#[test]
fn hard_links_stay_one_file_through_a_copy() {
    let Fixture { root, .. } = fixture(Upper::Temporary);
    write(&root, "/h1", "both");
    assert_eq!(read(&root, "/h2"), "both");
    let links = |path| find(&root, path).unwrap().inode().metadata().unwrap().nlink;
    assert_eq!((links("/h1"), links("/h2")), (2, 2));
    root.dentry.prune(false);
    assert_eq!(read(&root, "/h2"), "both");
    assert_eq!(links("/h2"), 2);
    unlink(&root, "/h1");
    assert_eq!(links("/h2"), 1);
    root.dentry.prune(false);
    assert_eq!(read(&root, "/h2"), "both");
    assert_eq!(links("/h2"), 1);
    names::link(&find(&root, "/h2").unwrap(), &origin(&root), b"/h3").unwrap();
    assert_eq!(links("/h3"), 2);
}

#[test]
fn an_open_file_can_be_changed_after_its_name_is_gone() {
    let Fixture { root, .. } = fixture(Upper::Temporary);
    let open = find(&root, "/d/a").unwrap().inode().clone();
    unlink(&root, "/d/a");
    assert_eq!(open.metadata().unwrap().nlink, 0);
    open.write_at(Some(0), b"LOWER").unwrap();
    let mut buf = [0; 8];
    open.read_at(0, &mut buf).unwrap();
    assert_eq!(&buf, b"LOWER /d");
    assert!(!exists(&root, "/d/a"));
    assert_eq!(open.metadata().unwrap().nlink, 0);
}

#[test]
fn a_persistent_upper_can_be_read_again() {
    let Fixture { root, upper, lower_fs, .. } = fixture(Upper::Persistent);
    write(&root, "/d/a", "kept");
    unlink(&root, "/f");
    rename(&root, "/d/sub", "/moved", 0).unwrap();
    for path in ["/d/a", "/d/b"] {
        unlink(&root, path);
    }
    names::rmdir(&origin(&root), b"/d").unwrap();
    make(&root, "/d", NodeKind::Directory);
    write(&root, "/d/new", "n");
    drop(root);
    let overlay = OverlayFs::new(lower_fs, upper, Upper::Persistent).unwrap();
    let root = Mount::of(overlay, b"overlay", MountFlags::empty()).root_location();
    assert_eq!(list(&root, "/"), ["d", "h1", "h2", "moved"]);
    assert_eq!(list(&root, "/d"), ["new"]);
    assert_eq!(read(&root, "/moved/deep"), "lower /d/sub/deep");
}
