//! Looking up, walking, listing and opening: what is there is found, and nothing else.

mod harness;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;

use abi::Errno;
use gofer::{AttachPoint, Mutability};
use gofer_proto::{Access, FileType, Kinds, NodeId};
use harness::{Gofer, Transport, Tree, contents};

#[test]
fn a_lookup_brings_all_of_statx_on_both_transports() {
    let tree = Tree::new();
    let path = tree.file("file", "12345");
    for transport in [Transport::Memory, Transport::Socket] {
        let gofer = Gofer::start_with(vec![AttachPoint::new(&tree.0, Mutability::ReadOnly)], transport, 0);
        let found = gofer.client().lookup(gofer.root(), b"file").unwrap().unwrap();
        let host = fs::metadata(&path).unwrap();
        assert_eq!((found.attr.size, found.attr.ino, found.attr.mode), (5, host.ino(), host.mode()));
        assert_eq!((found.attr.uid, found.attr.gid, found.attr.nlink), (host.uid(), host.gid(), 1));
        assert_eq!((found.attr.mtime.sec, i64::from(found.attr.mtime.nsec)), (host.mtime(), host.mtime_nsec()));
        assert_eq!(found.attr.dev.encode(), host.dev());
        assert_eq!(gofer.client().get_attr(found.node), Ok(found.attr));
        assert_eq!(contents(gofer.client().open(found.node, Access::Read, Kinds::Plain).unwrap().fd), "12345");
    }
}

#[test]
fn a_missing_name_is_an_answer_and_a_bad_name_an_error() {
    let tree = Tree::new();
    tree.file("dir/file", "");
    let gofer = Gofer::read_only(&tree);
    let (client, root) = (gofer.client(), gofer.root());
    assert_eq!(client.lookup(root, b"none"), Ok(None));
    assert_eq!(client.lookup(root, b""), Err(Errno::ENOENT));
    for name in [&b"."[..], b"..", b"dir/file", b"/", b"a\0b", b"../etc", b"dir/"] {
        assert_eq!(client.lookup(root, name), Err(Errno::EINVAL), "{name:?}");
    }
    assert_eq!(client.lookup(root, &[b'a'; 255]), Ok(None));
    assert_eq!(client.lookup(root, &[b'a'; 256]), Err(Errno::ENAMETOOLONG));
    let file = gofer.find("dir/file");
    assert_eq!(client.lookup(file.node, b"x"), Err(Errno::ENOTDIR));
}

#[test]
fn a_walk_ends_at_the_first_link_and_never_follows_one() {
    let tree = Tree::new();
    tree.file("a/b/file", "x");
    tree.link("a/up", "..");
    tree.link("a/abs", "/etc");
    tree.link("a/magic", "/proc/self/root");
    let gofer = Gofer::read_only(&tree);
    let (client, root) = (gofer.client(), gofer.root());
    for (name, target) in [("up", ".."), ("abs", "/etc"), ("magic", "/proc/self/root")] {
        let walked = client.walk(root, format!("a/{name}/passwd/x").as_bytes()).unwrap();
        assert_eq!(walked.found.len(), 2);
        assert_eq!(walked.found[1].symlink.as_deref(), Some(target.as_bytes()));
        assert_eq!(walked.stopped, None);
        let link = walked.found[1].node;
        assert_eq!(client.read_link(link).unwrap(), target.as_bytes());
        assert_eq!(client.lookup(link, b"passwd"), Err(Errno::ENOTDIR));
        assert_eq!(client.open(link, Access::Read, Kinds::Plain).unwrap_err(), Errno::ELOOP);
        assert_eq!(client.list(link), Err(Errno::ENOTDIR));
    }
    let walked = client.walk(root, b"a/none/x").unwrap();
    assert_eq!((walked.found.len(), walked.stopped), (1, Some(Errno::ENOENT)));
    let walked = client.walk(root, b"a/b/file/x").unwrap();
    assert_eq!((walked.found.len(), walked.stopped), (3, Some(Errno::ENOTDIR)));
    assert_eq!(client.walk(root, b"a/../etc"), Err(Errno::EINVAL));
}

#[test]
fn a_deep_path_is_walked_although_it_needs_several_messages() {
    let tree = Tree::new();
    let path = vec!["d"; 700].join("/");
    // std goes down by whole paths, which may be 4095 bytes long: enough here.
    tree.dir(&path);
    let gofer = Gofer::start_with(vec![AttachPoint::new(&tree.0, Mutability::ReadOnly)], Transport::Memory, 16);
    let walked = gofer.client().walk(gofer.root(), path.as_bytes()).unwrap();
    assert_eq!((walked.found.len(), walked.stopped), (700, None));
    // The middle has long been closed and is found again.
    assert_eq!(gofer.client().lookup(walked.found[350].node, b"d").unwrap().unwrap().attr, walked.found[351].attr);
}

#[test]
fn a_huge_directory_is_listed_whole_with_attributes_and_targets() {
    let tree = Tree::new();
    let mut expected = BTreeMap::new();
    for i in 0..10_000 {
        let name = format!("file-{i:05}-{}", "x".repeat(i % 100));
        fs::write(tree.path(&name), &name[..i % 20]).unwrap();
        expected.insert(name.into_bytes(), (i % 20) as u64);
    }
    tree.link("link", "target");
    let gofer = Gofer::start_with(vec![AttachPoint::new(&tree.0, Mutability::ReadOnly)], Transport::Memory, 64);
    let mut listed = gofer.client().list(gofer.root()).unwrap();
    let link = listed.iter().position(|entry| entry.name == b"link").unwrap();
    let link = listed.swap_remove(link);
    assert_eq!(link.found.symlink.as_deref(), Some(&b"target"[..]));
    let sizes: BTreeMap<_, _> = listed.iter().map(|entry| (entry.name.clone(), entry.found.attr.size)).collect();
    assert_eq!(listed.len(), expected.len());
    assert_eq!(sizes, expected);
    // Their nodes work although nothing has been opened for them, and far more than may be open at a time.
    for entry in listed.iter().step_by(37) {
        let opened = gofer.client().open(entry.found.node, Access::Read, Kinds::Plain).unwrap();
        assert_eq!(opened.attr.ino, entry.found.attr.ino);
    }
    let nodes: Vec<_> = listed.iter().map(|entry| entry.found.node).collect();
    gofer.client().forget(&nodes).unwrap();
    assert_eq!(gofer.client().get_attr(nodes[5]), Err(Errno::ESTALE));
}

#[test]
fn listings_of_many_directories_at_once_do_not_mix() {
    let tree = Tree::new();
    for dir in 0..20 {
        for file in 0..900 {
            tree.file(&format!("{dir}/{dir}-{file}"), "");
        }
    }
    let gofer = Gofer::read_only(&tree);
    std::thread::scope(|scope| {
        for dir in 0..20 {
            let gofer = &gofer;
            scope.spawn(move || {
                let listed = gofer.client().list(gofer.find(&dir.to_string()).node).unwrap();
                assert_eq!(listed.len(), 900);
                let prefix = format!("{dir}-");
                assert!(listed.iter().all(|entry| entry.name.starts_with(prefix.as_bytes())));
            });
        }
    });
}

#[test]
fn only_regular_files_are_opened_and_fifos_on_request() {
    let tree = Tree::new();
    tree.dir("dir");
    nix_fifo(&tree, "fifo");
    let _socket = std::os::unix::net::UnixListener::bind(tree.path("socket")).unwrap();
    let gofer = Gofer::writable(&tree);
    let open = |name: &str, kinds| gofer.client().open(gofer.find(name).node, Access::Read, kinds).map(|_| ());
    assert_eq!(open("dir", Kinds::PlainOrFifo), Err(Errno::EISDIR));
    assert_eq!(open("socket", Kinds::PlainOrFifo), Err(Errno::ENXIO));
    assert_eq!(open("fifo", Kinds::Plain), Err(Errno::EACCES));
    assert_eq!(open("fifo", Kinds::PlainOrFifo), Ok(()));
    let dev = Gofer::start(vec![AttachPoint::new("/dev", Mutability::Writable)]);
    let null = dev.find("null");
    assert_eq!(null.attr.file_type(), FileType::CharDevice);
    assert_eq!(dev.client().open(null.node, Access::ReadWrite, Kinds::PlainOrFifo).unwrap_err(), Errno::ENXIO);
}

fn nix_fifo(tree: &Tree, name: &str) {
    let gofer = Gofer::writable(tree);
    gofer.client().make_node(gofer.root(), name.as_bytes(), gofer_proto::NewNode::Fifo, 0o644, None).unwrap();
    assert!(tree.is_fifo(name));
}

#[test]
fn a_descriptor_has_no_more_rights_than_were_asked_for() {
    use std::io::{Read, Write};
    let tree = Tree::new();
    tree.file("file", "contents");
    let gofer = Gofer::writable(&tree);
    let node = gofer.find("file").node;
    let open = |access| fs::File::from(gofer.client().open(node, access, Kinds::Plain).unwrap().fd);
    assert!(open(Access::Read).write_all(b"x").is_err());
    assert!(open(Access::Write).read(&mut [0; 8]).is_err());
    open(Access::ReadWrite).write_all(b"CON").unwrap();
    assert_eq!(fs::read_to_string(tree.path("file")).unwrap(), "CONtents");
}

#[test]
fn a_replaced_file_is_stale_once_its_descriptor_has_been_closed() {
    let tree = Tree::new();
    tree.file("file", "old");
    for i in 0..64 {
        tree.file(&format!("other/{i}/x"), "");
    }
    let gofer = Gofer::start_with(vec![AttachPoint::new(&tree.0, Mutability::ReadOnly)], Transport::Memory, 8);
    let node = gofer.find("file").node;
    tree.file("new", "new");
    fs::rename(tree.path("new"), tree.path("file")).unwrap();
    assert_eq!(gofer.client().open(node, Access::Read, Kinds::Plain).unwrap_err(), Errno::ESTALE);
    assert_eq!(contents(gofer.client().open(gofer.find("file").node, Access::Read, Kinds::Plain).unwrap().fd), "new");
}

#[test]
fn a_directory_moved_away_while_it_is_walked_never_leads_outside() {
    let tree = Tree::new();
    tree.file("inside/a/b/file", "inside");
    let outside = Tree::new();
    outside.file("b/file", "outside");
    outside.dir("place");
    let gofer = Gofer::start(vec![AttachPoint::new(tree.path("inside"), Mutability::ReadOnly)]);
    std::thread::scope(|scope| {
        let mover = scope.spawn(|| {
            // The directory goes to and fro across the attach point's border, and a link takes its place.
            for _ in 0..2000 {
                fs::rename(tree.path("inside/a"), outside.path("place/a")).unwrap();
                std::os::unix::fs::symlink(&outside.0, tree.path("inside/a")).unwrap();
                fs::remove_file(tree.path("inside/a")).unwrap();
                fs::rename(outside.path("place/a"), tree.path("inside/a")).unwrap();
            }
        });
        while !mover.is_finished() {
            let walked = gofer.client().walk(gofer.root(), b"a/b/file").unwrap();
            if let Some(last) = walked.found.get(2)
                && let Ok(opened) = gofer.client().open(last.node, Access::Read, Kinds::Plain)
            {
                assert_eq!(contents(opened.fd), "inside");
            }
            gofer.client().forget(&walked.found.iter().map(|f| f.node).collect::<Vec<_>>()).unwrap();
        }
        mover.join().unwrap();
    });
}

#[test]
fn many_threads_get_each_its_own_answers_and_descriptors() {
    let tree = Tree::new();
    for i in 0..8 {
        tree.file(&format!("file{i}"), &format!("contents {i}"));
    }
    let gofer = Gofer::read_only(&tree);
    std::thread::scope(|scope| {
        for i in 0..8 {
            let gofer = &gofer;
            scope.spawn(move || {
                for _ in 0..500 {
                    let found = gofer.find(&format!("file{i}"));
                    let opened = gofer.client().open(found.node, Access::Read, Kinds::Plain).unwrap();
                    assert_eq!(contents(opened.fd), format!("contents {i}"));
                    gofer.client().forget(&[found.node]).unwrap();
                }
            });
        }
    });
}

#[test]
fn an_attach_point_can_be_a_single_file() {
    let tree = Tree::new();
    tree.file("hosts", "127.0.0.1");
    tree.file("secret", "no");
    let gofer = Gofer::start(vec![AttachPoint::new(tree.path("hosts"), Mutability::ReadOnly)]);
    let (root, info) = gofer.client().attach(0).unwrap();
    assert!(info.readonly);
    assert_eq!(contents(gofer.client().open(root.node, Access::Read, Kinds::Plain).unwrap().fd), "127.0.0.1");
    assert_eq!(gofer.client().lookup(root.node, b"secret"), Err(Errno::ENOTDIR));
    assert_eq!(gofer.client().attach(1).unwrap_err(), Errno::ENOENT);
}

#[test]
fn forgotten_nodes_are_stale_and_roots_stay() {
    let tree = Tree::new();
    tree.file("dir/file", "");
    let gofer = Gofer::read_only(&tree);
    let (client, root) = (gofer.client(), gofer.root());
    let (dir, file) = (gofer.find("dir").node, gofer.find("dir/file").node);
    client.forget(&[dir, root, NodeId(u64::MAX)]).unwrap();
    assert_eq!(client.get_attr(dir), Err(Errno::ESTALE));
    assert!(client.get_attr(root).is_ok());
    // The way to a node that is in use is kept.
    assert!(client.open(file, Access::Read, Kinds::Plain).is_ok());
    // A slot that is used again has another id.
    client.forget(&[file]).unwrap();
    let again = gofer.find("dir/file").node;
    assert_ne!(again, file);
    assert_eq!(client.get_attr(file), Err(Errno::ESTALE));
}
