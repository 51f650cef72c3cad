//! A client that sends anything at all, and a gofer that answers anything or nothing.

mod harness;

use std::os::fd::AsFd;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use abi::Errno;
use gofer::{AttachPoint, Config, Mutability};
use gofer_proto::{
    Access, Client, Connection, Kinds, MAX_MESSAGE, NodeId, Packet, Reply, Request, SLOTS, decode, encode,
};
use harness::{Transport, Tree};
use host::channel_memory::ChannelMemory;
use host::unix::{self, Blocking};

/// A small generator (splitmix64): the same bytes in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    fn bytes(&mut self, max: usize) -> Vec<u8> {
        let len = self.next() as usize % max;
        (0..len).map(|_| self.next() as u8).collect()
    }
}

fn raw_gofer(tree: &Tree, mutability: Mutability) -> (Connection, std::thread::JoinHandle<()>) {
    let (client, server) = Connection::pair().unwrap();
    let config = Config { max_open_nodes: 32, ..Config::new(vec![AttachPoint::new(&tree.0, mutability)], server) };
    (client, std::thread::spawn(move || gofer::serve(config).unwrap()))
}

/// Asks by the socket.
fn ask(connection: &Connection, request: &Request<'_>) -> Reply {
    let mut buffer = vec![0; MAX_MESSAGE];
    let bytes = encode(request, &mut buffer).unwrap();
    connection.send(77, bytes, None, Blocking::Yes).unwrap();
    let mut packet = vec![0; Connection::BUFFER];
    loop {
        match connection.receive(&mut packet, Blocking::Yes).unwrap() {
            Packet::Message(77, answer, _) => return decode(answer).unwrap(),
            Packet::Message(..) => {}
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn random_packets_get_answers_and_do_no_harm() {
    let tree = Tree::new();
    tree.file("file", "x");
    let (connection, server) = raw_gofer(&tree, Mutability::ReadOnly);
    let mut random = Random(1);
    let mut packet = vec![0; Connection::BUFFER];
    for _ in 0..50_000 {
        let mut bytes = random.bytes(200);
        // An empty packet cannot be told from the end of the connection, and is taken for it.
        bytes.push(0);
        unix::send(connection.socket.as_fd(), &bytes, &[], Blocking::Yes).ok();
        while connection.receive(&mut packet, Blocking::No).is_ok() {}
    }
    // Oversized packets and unwanted descriptors are dropped, too.
    unix::send(connection.socket.as_fd(), &vec![1; Connection::BUFFER + 1], &[], Blocking::Yes).unwrap();
    let fds = [connection.socket.as_fd(); 4];
    unix::send(connection.socket.as_fd(), &[1; 20], &fds, Blocking::Yes).unwrap();
    unix::send(connection.socket.as_fd(), &[], &fds[..1], Blocking::Yes).unwrap();
    assert!(matches!(ask(&connection, &Request::Attach { index: 0 }), Reply::Attached { .. }));
    drop(connection);
    server.join().unwrap();
    assert_eq!(std::fs::read_to_string(tree.path("file")).unwrap(), "x");
}

#[test]
fn mutated_requests_never_touch_anything_outside_the_attach_point() {
    let outer = Tree::new();
    outer.file("secret", "untouched");
    outer.file("inside/a/b", "x");
    outer.link("inside/up", "../secret");
    let (client, server) = Connection::pair().unwrap();
    let points = vec![AttachPoint::new(outer.path("inside"), Mutability::Writable)];
    let config = Config { max_open_nodes: 32, ..Config::new(points, server) };
    let server = std::thread::spawn(move || gofer::serve(config).unwrap());
    let Reply::Attached { root, .. } = ask(&client, &Request::Attach { index: 0 }) else { panic!() };
    let mut random = Random(2);
    let names: [&[u8]; 8] = [b"a", b"b", b"up", b"..", b"../secret", b"new", b"/", b"secret"];
    let mut nodes = vec![root.node];
    for round in 0..30_000 {
        let name = names[random.next() as usize % names.len()];
        let to_name = names[random.next() as usize % names.len()];
        let node = nodes[random.next() as usize % nodes.len()];
        let dir = nodes[random.next() as usize % nodes.len()];
        let mode = random.next() as u32;
        let request = match random.next() % 14 {
            0 => Request::Lookup { dir, name },
            1 => Request::Walk { dir, path: b"a/b/../../../secret" },
            2 => Request::Create { dir, name, mode, owner: None, access: Access::ReadWrite },
            3 => Request::MakeDir { dir, name, mode, owner: None },
            4 => Request::Symlink { dir, name, target: b"../../secret", owner: None },
            5 => Request::Link { node, dir, name },
            6 => Request::Unlink { dir, name, node: Some(node) },
            7 => Request::RemoveDir { dir, name },
            8 => Request::Rename { from: node, from_name: name, to: dir, to_name, flags: mode % 8, node: Some(node) },
            9 => Request::Open { node, access: Access::ReadWrite, kinds: Kinds::PlainOrFifo },
            10 => Request::SetAttr { node, set: gofer_proto::SetAttr { mode: Some(mode), ..Default::default() } },
            11 => Request::Forget { nodes: vec![NodeId(random.next()), node] },
            12 => Request::List { dir, cursor: gofer_proto::Cursor(random.next() % 3) },
            _ => Request::Lookup { dir, name: b"a" },
        };
        let reply = if round % 3 == 0 {
            // The same with a bit flipped.
            let mut buffer = vec![0; 4096];
            let len = encode(&request, &mut buffer).unwrap().len();
            let bit = random.next() as usize % (len * 8);
            buffer[bit / 8] ^= 1 << (bit % 8);
            client.send(1, &buffer[..len], None, Blocking::Yes).unwrap();
            let mut packet = vec![0; Connection::BUFFER];
            match client.receive(&mut packet, Blocking::Yes).unwrap() {
                Packet::Message(_, answer, _) => decode(answer).unwrap(),
                other => panic!("{other:?}"),
            }
        } else {
            ask(&client, &request)
        };
        if let Reply::Lookup(Some(found)) | Reply::Made(found) | Reply::Created(found) = reply {
            nodes.push(found.node);
        }
        if nodes.len() > 200 {
            nodes.truncate(20);
        }
    }
    drop(client);
    server.join().unwrap();
    let mut left: Vec<_> = std::fs::read_dir(&outer.0).unwrap().map(|e| e.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["inside", "secret"]);
    assert_eq!(std::fs::read_to_string(outer.path("secret")).unwrap(), "untouched");
}

#[test]
fn scribbling_over_the_shared_memory_does_no_harm() {
    let tree = Tree::new();
    tree.file("file", "x");
    let (connection, server) = raw_gofer(&tree, Mutability::ReadOnly);
    // The layout of gofer/proto/src/channel.rs.
    let len = 4096 + SLOTS * 2 * MAX_MESSAGE;
    let memory = ChannelMemory::map(connection.memory.as_ref().unwrap().as_fd(), len).unwrap();
    let mut random = Random(3);
    let mut packet = vec![0; Connection::BUFFER];
    for round in 0..20_000_u32 {
        let slot = random.next() as usize % SLOTS;
        memory.write(4096 + slot * 2 * MAX_MESSAGE, &random.bytes(300));
        let slot = 64 + slot * 192;
        memory.word(slot + 4).store(random.next() as u32 >> (random.next() % 32), Ordering::SeqCst);
        memory.word(slot + 128).store(random.next() as u32, Ordering::SeqCst);
        memory.word(slot + 64).store(random.next() as u32, Ordering::SeqCst);
        memory.word(slot).store(random.next() as u32, Ordering::SeqCst);
        memory.word(0).store(random.next() as u32 % 2, Ordering::SeqCst);
        if round % 8 == 0 {
            connection.ring();
            while connection.receive(&mut packet, Blocking::No).is_ok() {}
        }
    }
    connection.ring();
    assert!(matches!(ask(&connection, &Request::Attach { index: 0 }), Reply::Attached { .. }));
    drop(connection);
    server.join().unwrap();
}

#[test]
fn memory_that_could_be_truncated_is_refused() {
    let file = std::fs::File::open("/dev/zero").unwrap();
    assert!(ChannelMemory::map(file.as_fd(), 4096).is_err());
    let small = ChannelMemory::create(c"small", 4096).unwrap();
    let (socket, _other) = unix::packet_pair().unwrap();
    assert!(Client::new(Connection { socket, memory: Some(small) }).is_err());
}

#[test]
fn the_death_of_the_gofer_is_an_io_error_at_once_and_for_ever() {
    for transport in [Transport::Memory, Transport::Socket] {
        let (client, server) = match transport {
            Transport::Memory => Connection::pair().unwrap(),
            Transport::Socket => Connection::socket_pair().unwrap(),
        };
        let client = Client::new(client).unwrap();
        let start = Instant::now();
        std::thread::scope(|scope| {
            // Four calls are under way, nobody answers, then the other side goes away.
            let calls: Vec<_> = (0..4).map(|_| scope.spawn(|| client.attach(0).unwrap_err())).collect();
            std::thread::sleep(Duration::from_millis(20));
            drop(server);
            calls.into_iter().for_each(|call| assert_eq!(call.join().unwrap(), Errno::EIO));
        });
        assert_eq!(client.attach(0).unwrap_err(), Errno::EIO);
        assert!(client.is_dead());
        assert!(start.elapsed() < Duration::from_secs(2), "{transport:?}: {:?}", start.elapsed());
    }
}

#[test]
fn answers_of_random_bytes_are_io_errors() {
    for seed in 0..200 {
        let (client, server) = Connection::socket_pair().unwrap();
        let client = Client::new(client).unwrap();
        let answering = std::thread::spawn(move || {
            let mut random = Random(seed);
            let mut packet = vec![0; Connection::BUFFER];
            let Ok(Packet::Message(tag, _, _)) = server.receive(&mut packet, Blocking::Yes) else { panic!() };
            let fd = (seed % 2 == 0).then_some(server.socket.as_fd());
            server.send(tag, &random.bytes(64), fd, Blocking::Yes).unwrap();
        });
        // Neither a panic nor an answer that is not one. (That random bytes are a plain errno is possible.)
        assert!(client.list_chunk(NodeId(1), Default::default()).is_err());
        answering.join().unwrap();
    }
}

#[test]
fn a_server_that_lies_about_names_and_kinds_is_not_believed() {
    use gofer_proto::{Attr, Entry, Found};
    let found = |mode, symlink: Option<&[u8]>| Found {
        node: NodeId(1),
        attr: Attr { mode, ..Attr::default() },
        symlink: symlink.map(<[u8]>::to_vec),
    };
    let listed = |name: &[u8], found| Reply::Listed { entries: vec![Entry { name: name.to_vec(), found }], next: None };
    let lies = [
        listed(b"..", found(0o100_644, None)),
        listed(b"a/b", found(0o100_644, None)),
        listed(b"", found(0o100_644, None)),
        listed(b"x", found(0o100_644, Some(b"target"))),
        listed(b"x", found(0o120_777, None)),
        listed(b"x", found(0, None)),
        listed(b"x", Found { node: NodeId(0), ..found(0o100_644, None) }),
        Reply::Done,
        Reply::Failed(512),
        Reply::Failed(0),
    ];
    for lie in lies {
        let (client, server) = Connection::socket_pair().unwrap();
        let client = Client::new(client).unwrap();
        let answering = std::thread::spawn(move || {
            let mut packet = vec![0; Connection::BUFFER];
            let Ok(Packet::Message(tag, _, _)) = server.receive(&mut packet, Blocking::Yes) else { panic!() };
            let mut buffer = vec![0; 4096];
            server.send(tag, encode(&lie, &mut buffer).unwrap(), None, Blocking::Yes).unwrap();
        });
        assert_eq!(client.list_chunk(NodeId(1), Default::default()).unwrap_err(), Errno::EIO);
        answering.join().unwrap();
    }
}
