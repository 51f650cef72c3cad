//! Hidden paths: empty directories, absent files, and the one way to what is excepted.

mod harness;

use abi::Errno;
use gofer::{AttachPoint, Mutability};
use gofer_proto::{Access, Kinds, NewNode, SetAttr};
use harness::{Gofer, Tree, contents};

fn hiding(tree: &Tree, mutability: Mutability) -> Gofer {
    Gofer::start(vec![AttachPoint {
        hidden: vec!["/root".into(), "/home/other".into(), "/etc/shadow".into()],
        visible: vec!["/root/a/project".into()],
        ..AttachPoint::new(&tree.0, mutability)
    }])
}

fn tree() -> Tree {
    let tree = Tree::new();
    tree.file("root/.ssh/id", "secret");
    tree.file("root/a/other", "secret");
    tree.file("root/a/project/main.c", "int main;");
    tree.file("home/other/file", "secret");
    tree.file("home/me/file", "mine");
    tree.file("etc/shadow", "secret");
    tree.file("etc/passwd", "root");
    tree.link("root/a/project/up", "../..");
    tree
}

fn names(gofer: &Gofer, path: &str) -> Vec<String> {
    let node = if path.is_empty() { gofer.root() } else { gofer.find(path).node };
    let mut names: Vec<String> =
        gofer.client().list(node).unwrap().into_iter().map(|e| String::from_utf8(e.name).unwrap()).collect();
    names.sort();
    names
}

#[test]
fn hidden_directories_look_empty_and_hidden_files_absent() {
    let tree = tree();
    let gofer = hiding(&tree, Mutability::ReadOnly);
    assert_eq!(names(&gofer, ""), ["etc", "home", "root"]);
    assert_eq!(names(&gofer, "home"), ["me", "other"]);
    assert_eq!(names(&gofer, "home/other"), [""; 0]);
    assert_eq!(names(&gofer, "etc"), ["passwd"]);
    assert_eq!(gofer.client().lookup(gofer.find("etc").node, b"shadow"), Ok(None));
    let other = gofer.find("home/other");
    assert_eq!((other.attr.mode, other.attr.uid, other.attr.mtime.sec), (0o40_755, 0, 0));
    assert_eq!(gofer.client().get_attr(other.node), Ok(other.attr));
    assert_eq!(gofer.client().lookup(other.node, b"file"), Ok(None));
}

#[test]
fn only_the_way_to_an_excepted_path_is_shown() {
    let tree = tree();
    let gofer = hiding(&tree, Mutability::ReadOnly);
    assert_eq!(names(&gofer, "root"), ["a"]);
    assert_eq!(names(&gofer, "root/a"), ["project"]);
    assert_eq!(names(&gofer, "root/a/project"), ["main.c", "up"]);
    let main = gofer.find("root/a/project/main.c");
    assert_eq!(contents(gofer.client().open(main.node, Access::Read, Kinds::Plain).unwrap().fd), "int main;");
    assert_eq!(gofer.client().lookup(gofer.find("root").node, b".ssh"), Ok(None));
    assert_eq!(gofer.client().lookup(gofer.find("root/a").node, b"other"), Ok(None));
    assert_eq!(gofer.client().walk(gofer.root(), b"root/.ssh/id").unwrap().stopped, Some(Errno::ENOENT));
}

#[test]
fn what_is_hidden_can_not_be_changed_moved_or_replaced() {
    let tree = tree();
    let gofer = hiding(&tree, Mutability::Writable);
    let client = gofer.client();
    let (root, hidden, etc) = (gofer.root(), gofer.find("root").node, gofer.find("etc").node);
    let me = gofer.find("home/me").node;
    assert_eq!(client.create(hidden, b"new", 0o644, None, Access::Write).unwrap_err(), Errno::EACCES);
    assert_eq!(client.make_node(hidden, b"new", NewNode::Fifo, 0o644, None).unwrap_err(), Errno::EACCES);
    assert_eq!(client.set_attr(hidden, SetAttr { mode: Some(0o777), ..SetAttr::default() }), Err(Errno::EACCES));
    assert_eq!(client.get_xattr(hidden, b"user.x"), Err(Errno::ENODATA));
    // Moving a hidden directory, or one above it, would show it under another name.
    assert_eq!(client.rename((root, b"root"), (me, b"root"), 0, None), Err(Errno::EBUSY));
    assert_eq!(client.rename((root, b"home"), (me, b"home"), 0, None), Err(Errno::EBUSY));
    assert_eq!(client.rename((etc, b"shadow"), (me, b"shadow"), 0, None), Err(Errno::EBUSY));
    assert_eq!(client.rename((me, b"file"), (etc, b"shadow"), 0, None), Err(Errno::EBUSY));
    assert_eq!(client.unlink(etc, b"shadow", None), Err(Errno::EBUSY));
    assert_eq!(client.create(etc, b"shadow", 0o644, None, Access::Write).unwrap_err(), Errno::EBUSY);
    // The excepted directory is as writable as any.
    client.create(gofer.find("root/a/project").node, b"out", 0o644, None, Access::Write).unwrap();
    assert!(tree.path("root/a/project/out").exists());
}

#[test]
fn the_hosts_pseudo_file_systems_look_empty() {
    let gofer = Gofer::start(vec![AttachPoint::new("/", Mutability::ReadOnly)]);
    for path in ["proc", "sys"] {
        assert_eq!(names(&gofer, path), [""; 0], "{path}");
        assert_eq!(gofer.client().lookup(gofer.find(path).node, b"self"), Ok(None));
    }
    assert!(!names(&gofer, "etc").is_empty());
}
