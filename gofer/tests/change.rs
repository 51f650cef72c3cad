//! Changing files: what was asked for happens on the host, and nothing at all where that is not allowed.

mod harness;

use std::fs;
use std::os::unix::fs::MetadataExt;

use abi::Errno;
use gofer::{AttachPoint, Mutability};
use gofer_proto::{Access, FileType, Kinds, NewNode, Owner, SetAttr, SetTime, SyncKind, Time};
use harness::{Gofer, Transport, Tree, mode_of};

#[test]
fn new_files_have_the_mode_and_the_contents_that_were_asked_for() {
    use std::io::Write;
    let tree = Tree::new();
    let gofer = Gofer::writable(&tree);
    let (client, root) = (gofer.client(), gofer.root());
    let (found, opened) = client.create(root, b"file", 0o666, None, Access::ReadWrite).unwrap();
    fs::File::from(opened.fd).write_all(b"hello").unwrap();
    assert_eq!(fs::read_to_string(tree.path("file")).unwrap(), "hello");
    assert_eq!(mode_of(&tree.path("file")), 0o100_666);
    assert_eq!(client.get_attr(found.node).unwrap().size, 5);
    assert_eq!(client.create(root, b"file", 0o666, None, Access::Read).unwrap_err(), Errno::EEXIST);
    let dir = client.make_dir(root, b"dir", 0o1777, None).unwrap();
    assert_eq!((mode_of(&tree.path("dir")), dir.attr.mode), (0o41_777, 0o41_777));
    let link = client.symlink(dir.node, b"link", b"../file", None).unwrap();
    assert_eq!(link.symlink.as_deref(), Some(&b"../file"[..]));
    assert_eq!(fs::read_link(tree.path("dir/link")).unwrap().to_str(), Some("../file"));
    assert_eq!(client.make_node(dir.node, b"fifo", NewNode::Fifo, 0o600, None).unwrap().attr.mode, 0o10_600);
    assert_eq!(client.make_node(dir.node, b"sock", NewNode::Socket, 0o600, None).unwrap().attr.mode, 0o140_600);
    let whiteout = client.make_node(dir.node, b"gone", NewNode::Whiteout, 0, None).unwrap();
    assert_eq!((whiteout.attr.file_type(), whiteout.attr.rdev.encode()), (FileType::CharDevice, 0));
    assert_eq!(client.open(whiteout.node, Access::Read, Kinds::PlainOrFifo).unwrap_err(), Errno::ENXIO);
}

#[test]
fn root_gives_new_files_to_their_owner_and_keeps_set_user_id() {
    if !nix_is_root() {
        println!("skipped: only root can give files away");
        return;
    }
    let tree = Tree::new();
    let gofer = Gofer::writable(&tree);
    let owner = Some(Owner { uid: 1234, gid: 4321 });
    let (found, _) = gofer.client().create(gofer.root(), b"file", 0o4755, owner, Access::Write).unwrap();
    assert_eq!((found.attr.uid, found.attr.gid, found.attr.mode), (1234, 4321, 0o104_755));
    let dir = gofer.client().make_dir(gofer.root(), b"dir", 0o2755, owner).unwrap();
    assert_eq!((dir.attr.uid, dir.attr.mode), (1234, 0o42_755));
    let link = gofer.client().symlink(gofer.root(), b"link", b"x", owner).unwrap();
    assert_eq!(link.attr.gid, 4321);
}

fn nix_is_root() -> bool {
    fs::metadata("/proc/self").unwrap().uid() == 0
}

#[test]
fn attributes_change_as_asked_and_only_those() {
    let tree = Tree::new();
    tree.file("file", "0123456789");
    tree.link("link", "nowhere");
    let gofer = Gofer::writable(&tree);
    let node = gofer.find("file").node;
    let set = |set| gofer.client().set_attr(node, set).unwrap();
    assert_eq!(set(SetAttr { mode: Some(0o640), ..SetAttr::default() }).mode, 0o100_640);
    assert_eq!(set(SetAttr { size: Some(4), ..SetAttr::default() }).size, 4);
    assert_eq!(fs::read_to_string(tree.path("file")).unwrap(), "0123");
    let at = Time { sec: 1_000_000, nsec: 123_456_789 };
    let attr = set(SetAttr { mtime: Some(SetTime::At(at)), ..SetAttr::default() });
    assert_eq!((attr.mtime, attr.mode), (at, 0o100_640));
    assert!(attr.atime.sec > at.sec);
    // The link itself, not what it points at.
    let link = gofer.find("link").node;
    let attr = gofer.client().set_attr(link, SetAttr { mtime: Some(SetTime::At(at)), ..SetAttr::default() }).unwrap();
    assert_eq!((attr.mtime, attr.file_type()), (at, FileType::Symlink));
    let bad = SetAttr { mtime: Some(SetTime::At(Time { sec: 0, nsec: 2_000_000_000 })), ..SetAttr::default() };
    assert_eq!(gofer.client().set_attr(node, bad), Err(Errno::EINVAL));
    let truncate = SetAttr { size: Some(0), ..SetAttr::default() };
    assert_eq!(gofer.client().set_attr(gofer.root(), truncate), Err(Errno::EISDIR));
    assert_eq!(gofer.client().set_attr(link, truncate), Err(Errno::EINVAL));
}

#[test]
fn names_are_linked_moved_and_removed() {
    let tree = Tree::new();
    tree.file("a/file", "x");
    tree.dir("b");
    let gofer = Gofer::start_with(vec![AttachPoint::new(&tree.0, Mutability::Writable)], Transport::Memory, 8);
    let client = gofer.client();
    let (a, b, file) = (gofer.find("a").node, gofer.find("b").node, gofer.find("a/file").node);
    let second = client.link(file, b, b"second").unwrap();
    assert_eq!((second.attr.nlink, second.attr.ino), (2, client.get_attr(file).unwrap().ino));
    assert_eq!(client.link(b, a, b"dir"), Err(Errno::EPERM));
    client.rename((a, b"file"), (b, b"moved"), 0, Some(file)).unwrap();
    // It is found by its new name after its descriptor has been closed.
    for i in 0..64 {
        tree.file(&format!("other/{i}/x"), "");
        gofer.find(&format!("other/{i}/x"));
    }
    assert_eq!(client.open(file, Access::Read, Kinds::Plain).unwrap().attr.nlink, 2);
    assert_eq!(client.rename((b, b"moved"), (b, b"second"), 1, None), Err(Errno::EEXIST));
    assert_eq!(client.rename((b, b"moved"), (b, b"second"), 64, None), Err(Errno::EINVAL));
    assert_eq!(client.remove_dir(gofer.root(), b"b"), Err(Errno::ENOTEMPTY));
    assert_eq!(client.unlink(gofer.root(), b"b", None), Err(Errno::EISDIR));
    client.unlink(b, b"moved", Some(file)).unwrap();
    client.unlink(b, b"second", None).unwrap();
    client.remove_dir(gofer.root(), b"b").unwrap();
    assert!(!tree.path("b").exists());
    // What was removed by its node is still there for whoever holds that.
    assert_eq!(client.get_attr(file).unwrap().nlink, 0);
    client.set_attr(file, SetAttr { mode: Some(0o600), ..SetAttr::default() }).unwrap();
}

#[test]
fn a_directory_can_not_be_made_its_own_ancestor_in_the_table() {
    let tree = Tree::new();
    tree.dir("x/y");
    let gofer = Gofer::writable(&tree);
    let client = gofer.client();
    let (x, y) = (gofer.find("x").node, gofer.find("x/y").node);
    assert_eq!(client.lookup(y, b"z"), Ok(None));
    // Behind the gofer's back y (of which it holds a descriptor) leaves x; then x moves into y, which the host allows now.
    fs::rename(tree.path("x/y"), tree.path("y")).unwrap();
    client.rename((gofer.root(), b"x"), (y, b"x"), 0, Some(x)).unwrap();
    for i in 0..64 {
        tree.file(&format!("other/{i}/x"), "");
        gofer.find(&format!("other/{i}/x"));
    }
    let _ = client.lookup(x, b"y");
    assert!(tree.path("y/x").exists());
    client.forget(&[x, y]).unwrap();
}

#[test]
fn extended_attributes_of_the_user_can_be_changed_and_no_others() {
    let tree = Tree::new();
    tree.file("file", "");
    let gofer = Gofer::writable(&tree);
    let (client, node) = (gofer.client(), gofer.find("file").node);
    let value = vec![7; 3000];
    match client.set_xattr(node, b"user.test", &value, 0) {
        Err(Errno::EOPNOTSUPP) => return println!("skipped: no extended attributes on this file system"),
        other => other.unwrap(),
    }
    assert_eq!(client.get_xattr(node, b"user.test"), Ok(value));
    assert_eq!(client.list_xattr(node), Ok(b"user.test\0".to_vec()));
    assert_eq!(client.set_xattr(node, b"user.test", b"", 1), Err(Errno::EEXIST));
    assert_eq!(client.get_xattr(node, b"user.none"), Err(Errno::ENODATA));
    for name in [&b"security.capability"[..], b"trusted.overlay.opaque", b"system.posix_acl_access"] {
        assert_eq!(client.set_xattr(node, name, b"x", 0), Err(Errno::EPERM));
        assert_eq!(client.remove_xattr(node, name), Err(Errno::EPERM));
    }
    client.remove_xattr(node, b"user.test").unwrap();
    assert_eq!(client.list_xattr(node), Ok(Vec::new()));
}

#[test]
fn a_read_only_attach_point_refuses_every_change() {
    let tree = Tree::new();
    let mode = mode_of(&tree.file("dir/file", "x"));
    let gofer = Gofer::read_only(&tree);
    let (client, root) = (gofer.client(), gofer.root());
    let (dir, file) = (gofer.find("dir").node, gofer.find("dir/file").node);
    let rofs = Errno::EROFS;
    assert_eq!(client.open(file, Access::Write, Kinds::Plain).unwrap_err(), rofs);
    assert_eq!(client.open(file, Access::ReadWrite, Kinds::Plain).unwrap_err(), rofs);
    assert_eq!(client.create(dir, b"new", 0o644, None, Access::Read).unwrap_err(), rofs);
    assert_eq!(client.make_dir(dir, b"new", 0o755, None).unwrap_err(), rofs);
    assert_eq!(client.make_node(dir, b"new", NewNode::Fifo, 0o644, None).unwrap_err(), rofs);
    assert_eq!(client.symlink(dir, b"new", b"x", None).unwrap_err(), rofs);
    assert_eq!(client.link(file, dir, b"new").unwrap_err(), rofs);
    assert_eq!(client.unlink(dir, b"file", Some(file)), Err(rofs));
    assert_eq!(client.remove_dir(root, b"dir"), Err(rofs));
    assert_eq!(client.rename((dir, b"file"), (root, b"file"), 0, Some(file)), Err(rofs));
    for set in [
        SetAttr { size: Some(0), ..SetAttr::default() },
        SetAttr { mode: Some(0), ..SetAttr::default() },
        SetAttr { uid: Some(0), ..SetAttr::default() },
        SetAttr { gid: Some(0), ..SetAttr::default() },
        SetAttr { mtime: Some(SetTime::Now), ..SetAttr::default() },
        SetAttr::default(),
    ] {
        assert_eq!(client.set_attr(file, set), Err(rofs));
    }
    assert_eq!(client.set_xattr(file, b"user.x", b"x", 0), Err(rofs));
    assert_eq!(client.remove_xattr(file, b"user.x"), Err(rofs));
    assert_eq!(fs::read_to_string(tree.path("dir/file")).unwrap(), "x");
    assert_eq!(mode_of(&tree.path("dir/file")), mode);
    // What changes nothing works.
    client.sync(file, SyncKind::All).unwrap();
    client.sync(dir, SyncKind::Data).unwrap();
    assert!(client.statfs(root).unwrap().blocks > 0);
}

#[test]
fn attach_points_are_apart() {
    let (one, two) = (Tree::new(), Tree::new());
    one.file("file", "x");
    let points = vec![AttachPoint::new(&one.0, Mutability::Writable), AttachPoint::new(&two.0, Mutability::Writable)];
    let gofer = Gofer::start(points);
    let client = gofer.client();
    let (a, b) = (client.attach(0).unwrap().0.node, client.attach(1).unwrap().0.node);
    let file = gofer.find("file").node;
    assert_eq!(client.link(file, b, b"file"), Err(Errno::EXDEV));
    assert_eq!(client.rename((a, b"file"), (b, b"file"), 0, None), Err(Errno::EXDEV));
    assert_eq!(client.attach(2).unwrap_err(), Errno::ENOENT);
}
