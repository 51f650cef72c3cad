//! A gofer in its jail: it works, as root and as nobody, and has no more rights than it needs.
//!
//! One thread, because each test forks: the harness is libtest-mimic on the main thread.

mod harness;

use std::fs;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use abi::Errno;
use gofer::{AttachPoint, Config, Identity, Mutability};
use gofer_proto::{Access, Client, Connection, Kinds};
use harness::{Tree, contents, mode_of};
use host::launch::{self, Child, Namespaces};
use libtest_mimic::{Arguments, Failed, Trial};

fn main() {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    let is_root = nix::unistd::geteuid().is_root();
    let mut trials = vec![
        trial("a_jailed_gofer_serves_files", serves_files as fn()),
        trial("its_posture_is_what_the_design_says", posture),
        trial("a_read_only_descriptor_cannot_be_opened_again_for_writing", reopening),
        trial("mounts_beneath_an_attach_point_are_seen", submounts),
        trial("the_host_root_can_be_an_attach_point", host_root),
        trial("a_missing_attach_point_is_named", missing),
        trial("the_death_of_a_jailed_gofer_is_an_io_error", death),
        trial("an_idle_gofer_uses_no_cpu", idle),
        trial("the_filter_refuses_what_is_not_listed", filter),
    ];
    if is_root {
        trials.push(trial("it_works_for_an_unprivileged_user", unprivileged));
    }
    libtest_mimic::run(&arguments, trials).exit();
}

fn trial(name: &str, test: fn()) -> Trial {
    Trial::test(name, move || {
        std::panic::catch_unwind(test).map_err(|panic| {
            let text = panic.downcast_ref::<String>().cloned();
            Failed::from(text.or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned())).unwrap_or_default())
        })
    })
}

/// The namespaces and the identity for whoever runs this test.
fn launch_as() -> (Namespaces, Identity) {
    if nix::unistd::geteuid().is_root() {
        return (gofer::NAMESPACES, Identity::Caller);
    }
    let (uid, gid) = launch::ids();
    (gofer::NAMESPACES | Namespaces::USER, Identity::MappedRoot { uid, gid })
}

struct Jailed {
    client: Client,
    child: Child,
}

fn start(points: Vec<AttachPoint>) -> Jailed {
    let (client, server) = Connection::pair().unwrap();
    let (namespaces, identity) = launch_as();
    let mut config = Some(Config::new(points, server));
    let child = launch::spawn(namespaces, || {
        let mut config = config.take().unwrap();
        if let Err(error) = gofer::jail(&mut config, identity) {
            eprintln!("{error}");
            return 2;
        }
        gofer::serve(config).map_or_else(
            |error| {
                eprintln!("{error}");
                3
            },
            |()| 0,
        )
    });
    let child = child.unwrap();
    drop(config);
    Jailed { client: Client::new(client).unwrap(), child }
}

impl Jailed {
    fn status(&self, key: &str) -> String {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.pid())).unwrap();
        let line = status.lines().find(|line| line.starts_with(&format!("{key}:"))).unwrap();
        line.split_once(':').unwrap().1.trim().to_owned()
    }
    /// Ends it in order; its exit status.
    fn end(self) -> i32 {
        drop(self.client);
        self.child.wait()
    }
}

fn serves_files() {
    let (one, two) = (Tree::new(), Tree::new());
    one.file("dir/file", "contents");
    let (readonly, writable) = (Mutability::ReadOnly, Mutability::Writable);
    let file = two.file("hosts", "127.0.0.1");
    let jailed = start(vec![
        AttachPoint::new(&one.0, readonly),
        AttachPoint::new(&two.0, writable),
        AttachPoint::new(file, readonly),
    ]);
    let client = &jailed.client;
    let root = client.attach(0).unwrap().0.node;
    let walked = client.walk(root, b"dir/file").unwrap();
    let opened = client.open(walked.found[1].node, Access::Read, Kinds::Plain).unwrap();
    assert_eq!(contents(opened.fd), "contents");
    assert_eq!(client.make_dir(root, b"new", 0o755, None), Err(Errno::EROFS));
    let root = client.attach(1).unwrap().0.node;
    let (found, _) = client.create(root, b"new", 0o4640, None, Access::Write).unwrap();
    assert_eq!(mode_of(&two.path("new")), 0o104_640);
    client.set_attr(found.node, gofer_proto::SetAttr { size: Some(7), ..Default::default() }).unwrap();
    client.make_dir(root, b"a", 0o755, None).unwrap();
    let b = client.make_dir(root, b"b", 0o755, None).unwrap().node;
    client.rename((root, b"new"), (b, b"moved"), 0, Some(found.node)).unwrap();
    assert_eq!(fs::metadata(two.path("b/moved")).unwrap().len(), 7);
    client.make_node(b, b"fifo", gofer_proto::NewNode::Fifo, 0o600, None).unwrap();
    client.symlink(b, b"link", b"/etc/passwd", None).unwrap();
    client.link(found.node, b, b"second").unwrap();
    client.unlink(b, b"second", None).unwrap();
    client.sync(b, gofer_proto::SyncKind::All).unwrap();
    client.statfs(b).unwrap();
    let hosts = client.attach(2).unwrap().0;
    assert_eq!(contents(client.open(hosts.node, Access::Read, Kinds::Plain).unwrap().fd), "127.0.0.1");
    assert_eq!(jailed.end(), 0);
}

fn posture() {
    let tree = Tree::new();
    for (mutability, capabilities) in [(Mutability::ReadOnly, 1 << 2), (Mutability::Writable, 0x1f)] {
        let jailed = start(vec![AttachPoint::new(&tree.0, mutability)]);
        jailed.client.attach(0).unwrap();
        let set = |key| u64::from_str_radix(&jailed.status(key), 16).unwrap();
        assert_eq!(set("CapEff"), capabilities);
        assert_eq!((set("CapPrm"), set("CapBnd")), (capabilities, capabilities));
        assert_eq!((set("CapInh"), set("CapAmb")), (0, 0));
        assert_eq!(jailed.status("NoNewPrivs"), "1");
        assert_eq!(jailed.status("Seccomp"), "2");
        assert_eq!(jailed.status("Threads"), "1");
        let pid = jailed.child.pid();
        if nix::unistd::geteuid().is_root() {
            for namespace in ["mnt", "uts", "ipc", "pid", "net"] {
                let link = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/{namespace}")).unwrap();
                assert_ne!(link(&pid.to_string()), link("self"), "{namespace}");
            }
            let fds: Vec<String> = fs::read_dir(format!("/proc/{pid}/fd"))
                .unwrap()
                .map(|entry| fs::read_link(entry.unwrap().path()).unwrap().to_string_lossy().into_owned())
                .collect();
            // Nothing twice, standard error, the socket, the memory, the attach point's root.
            assert_eq!(fds.len(), 6, "{fds:?}");
            for expected in ["/memfd:nothing", "/memfd:gofer", "socket", "/0"] {
                assert!(fds.iter().any(|fd| fd.starts_with(expected)), "{fds:?}");
            }
            // Nothing of the host is left to see.
            let root: Vec<_> =
                fs::read_dir(format!("/proc/{pid}/root")).unwrap().map(|e| e.unwrap().file_name()).collect();
            assert_eq!(root, ["0"]);
            let mounts = fs::read_to_string(format!("/proc/{pid}/mounts")).unwrap();
            for line in mounts.lines() {
                let options: Vec<&str> = line.split(' ').nth(3).unwrap().split(',').collect();
                assert!(options.contains(&"nosuid") && options.contains(&"nodev"), "{line}");
                let is_root = line.split(' ').nth(1) == Some("/");
                assert_eq!(options.contains(&"ro"), is_root || mutability == Mutability::ReadOnly, "{line}");
            }
        }
        assert_eq!(jailed.end(), 0);
    }
}

fn reopening() {
    let tree = Tree::new();
    fs::set_permissions(tree.file("file", "x"), fs::Permissions::from_mode(0o666)).unwrap();
    let jailed = start(vec![AttachPoint::new(&tree.0, Mutability::ReadOnly)]);
    let root = jailed.client.attach(0).unwrap().0.node;
    let file = jailed.client.lookup(root, b"file").unwrap().unwrap();
    let opened = jailed.client.open(file.node, Access::Read, Kinds::Plain).unwrap();
    let path = format!("/proc/self/fd/{}", opened.fd.as_raw_fd());
    let again = fs::OpenOptions::new().write(true).open(path);
    assert_eq!(again.unwrap_err().raw_os_error(), Some(i32::from(Errno::EROFS.0)));
    jailed.end();
}

fn submounts() {
    if !nix::unistd::geteuid().is_root() {
        return println!("skipped: only root can mount");
    }
    let tree = Tree::new();
    tree.dir("mnt");
    tree.dir("proc");
    // In a child with mounts of its own, so that nothing is left behind.
    let child = launch::spawn(Namespaces::MOUNT, || {
        host::namespace::make_mounts_private().unwrap();
        let tmpfs = nix::mount::MsFlags::empty();
        nix::mount::mount(Some("t"), &tree.path("mnt"), Some("tmpfs"), tmpfs, None::<&str>).unwrap();
        nix::mount::mount(Some("p"), &tree.path("proc"), Some("proc"), tmpfs, None::<&str>).unwrap();
        fs::write(tree.path("mnt/file"), "inside").unwrap();
        let jailed = start(vec![AttachPoint::new(&tree.0, Mutability::ReadOnly)]);
        let root = jailed.client.attach(0).unwrap().0.node;
        let walked = jailed.client.walk(root, b"mnt/file").unwrap();
        let opened = jailed.client.open(walked.found[1].node, Access::Read, Kinds::Plain).unwrap();
        let is_right = contents(opened.fd) == "inside";
        let proc = jailed.client.lookup(root, b"proc").unwrap().unwrap();
        let is_hidden = jailed.client.list(proc.node).unwrap().is_empty();
        jailed.end();
        i32::from(!(is_right && is_hidden))
    });
    assert_eq!(child.unwrap().wait(), 0);
}

fn host_root() {
    let jailed =
        start(vec![AttachPoint { hidden: vec!["/root".into()], ..AttachPoint::new("/", Mutability::ReadOnly) }]);
    let root = jailed.client.attach(0).unwrap().0.node;
    let walked = jailed.client.walk(root, b"etc/passwd").unwrap();
    let opened = jailed.client.open(walked.found[1].node, Access::Read, Kinds::Plain).unwrap();
    assert_eq!(contents(opened.fd), fs::read_to_string("/etc/passwd").unwrap());
    for hidden in ["root", "proc", "sys"] {
        let dir = jailed.client.lookup(root, hidden.as_bytes()).unwrap().unwrap();
        assert_eq!(jailed.client.list(dir.node).unwrap(), [], "{hidden}");
    }
    // What it opens can be mapped for execution.
    let walked = jailed.client.walk(root, b"usr/bin/env").unwrap();
    let opened = jailed.client.open(walked.found[2].node, Access::Read, Kinds::Plain).unwrap();
    let length = std::num::NonZeroUsize::new(4096).unwrap();
    use nix::sys::mman::{MapFlags, ProtFlags};
    // SAFETY: a fresh private mapping that nobody uses.
    let mapped =
        unsafe { nix::sys::mman::mmap(None, length, ProtFlags::PROT_EXEC, MapFlags::MAP_PRIVATE, &opened.fd, 0) };
    mapped.unwrap();
    jailed.end();
}

fn missing() {
    let (_client, server) = Connection::pair().unwrap();
    let (namespaces, identity) = launch_as();
    let mut config = Some(Config::new(vec![AttachPoint::new("/no/such/place", Mutability::ReadOnly)], server));
    let child = launch::spawn(namespaces, || match gofer::jail(&mut config.take().unwrap(), identity) {
        Err(gofer::JailError::AttachPoint { path, errno: Errno::ENOENT }) if path == "/no/such/place" => 0,
        other => {
            eprintln!("{other:?}");
            1
        }
    });
    assert_eq!(child.unwrap().wait(), 0);
}

fn death() {
    let tree = Tree::new();
    let jailed = start(vec![AttachPoint::new(&tree.0, Mutability::ReadOnly)]);
    let root = jailed.client.attach(0).unwrap().0.node;
    let start = Instant::now();
    std::thread::scope(|scope| {
        let caller = scope.spawn(|| {
            loop {
                if let Err(errno) = jailed.client.lookup(root, b"x") {
                    return errno;
                }
            }
        });
        std::thread::sleep(Duration::from_millis(20));
        jailed.child.kill();
        assert_eq!(caller.join().unwrap(), Errno::EIO);
    });
    assert!(start.elapsed() < Duration::from_secs(1));
    assert_eq!(jailed.client.lookup(root, b"x"), Err(Errno::EIO));
    jailed.child.wait();
}

fn idle() {
    let tree = Tree::new();
    let jailed = start(vec![AttachPoint::new(&tree.0, Mutability::ReadOnly)]);
    let root = jailed.client.attach(0).unwrap().0.node;
    let wakes = || {
        let switches = |key| jailed.status(key).parse::<u64>().unwrap();
        switches("voluntary_ctxt_switches") + switches("nonvoluntary_ctxt_switches")
    };
    (0..100).for_each(|_| drop(jailed.client.lookup(root, b"x")));
    std::thread::sleep(Duration::from_millis(50));
    let before = wakes();
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(wakes(), before);
    jailed.end();
}

fn filter() {
    let tree = Tree::new();
    let (_client, server) = Connection::pair().unwrap();
    let (namespaces, identity) = launch_as();
    let mut config = Some(Config::new(vec![AttachPoint::new(&tree.0, Mutability::ReadOnly)], server));
    let child = launch::spawn(namespaces, || {
        let mut config = config.take().unwrap();
        if gofer::jail(&mut config, identity).is_err() {
            return 100;
        }
        let refused = [
            std::net::TcpStream::connect("127.0.0.1:1").is_err_and(|e| e.raw_os_error() == Some(1)),
            nix::unistd::mkdir("/0/dir", nix::sys::stat::Mode::empty()) == Err(nix::Error::EPERM),
            nix::unistd::chroot("/0") == Err(nix::Error::EPERM),
            nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWUSER) == Err(nix::Error::EPERM),
            nix::unistd::dup2_stdout(&config.connection.socket).is_err(),
            nix::sys::prctl::set_dumpable(true).is_err(),
            std::process::Command::new("/0/x").spawn().is_err(),
        ];
        refused.iter().position(|refused| !refused).map_or(0, |at| at as i32 + 1)
    });
    assert_eq!(child.unwrap().wait(), 0);
}

fn unprivileged() {
    let tree = Tree::new();
    fs::set_permissions(&tree.0, fs::Permissions::from_mode(0o777)).unwrap();
    let child = launch::spawn(Namespaces::empty(), || {
        use nix::unistd::{Gid, Uid, setgroups, setresgid, setresuid};
        let (uid, gid) = (Uid::from_raw(65534), Gid::from_raw(65534));
        setgroups(&[]).unwrap();
        setresgid(gid, gid, gid).unwrap();
        setresuid(uid, uid, uid).unwrap();
        nix::sys::prctl::set_dumpable(true).unwrap();
        serves_files();
        posture();
        host_root();
        0
    });
    assert_eq!(child.unwrap().wait(), 0);
}
