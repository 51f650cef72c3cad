//! How long the gofer's jail and its calls take: minimum and median of many, in a jailed process of its own.

use std::time::Instant;

use gofer::{AttachPoint, Config, Identity, Mutability};
use gofer_proto::{Access, Client, Connection, Kinds};
use host::launch;

fn main() {
    let dir = std::env::temp_dir().join(format!("gofer-bench-{}", std::process::id()));
    std::fs::create_dir_all(dir.join("a/b/c")).unwrap();
    std::fs::create_dir(dir.join("huge")).unwrap();
    std::fs::write(dir.join("a/b/c/file"), "x").unwrap();
    for i in 0..10_000 {
        std::fs::write(dir.join(format!("huge/file-{i}")), "").unwrap();
    }
    measure(&dir);
    std::fs::remove_dir_all(&dir).unwrap();
}

fn measure(dir: &std::path::Path) {
    for (name, path) in [("jail (a directory)", dir), ("jail (the host's root)", std::path::Path::new("/"))] {
        report_us(name, 50, || jail_time_us(path, false));
    }
    report_us("start to first answer", 50, || jail_time_us(dir, true));

    let (client, child) = start(dir);
    let root = client.attach(0).unwrap().0.node;
    let file = client.walk(root, b"a/b/c/file").unwrap().found[3].node;
    let huge = client.lookup(root, b"huge").unwrap().unwrap().node;
    report("getattr", 20_000, || assert!(client.get_attr(file).is_ok()));
    report("lookup, there", 20_000, || {
        let found = client.lookup(root, b"a").unwrap().unwrap();
        std::hint::black_box(found);
    });
    report("lookup, not there", 20_000, || drop(client.lookup(root, b"none").unwrap()));
    report("walk of 4 components", 5_000, || drop(client.walk(root, b"a/b/c/file").unwrap()));
    report("open (with close)", 5_000, || drop(client.open(file, Access::Read, Kinds::Plain).unwrap()));
    report("list of 10,000 entries", 20, || drop(client.list(huge).unwrap()));
    report("native stat, for comparison", 20_000, || assert!(std::fs::metadata(dir.join("a")).is_ok()));
    drop(client);
    child.wait();
    memory(dir);
}

/// Memory of a gofer that has answered one request.
fn memory(dir: &std::path::Path) {
    let (client, child) = start(dir);
    client.attach(0).unwrap();
    let rollup = std::fs::read_to_string(format!("/proc/{}/smaps_rollup", child.pid())).unwrap();
    for line in rollup.lines().filter(|line| line.starts_with("Pss:") || line.starts_with("Private_Dirty:")) {
        println!("idle gofer {line}");
    }
    drop(client);
    child.wait();
}

fn start(path: &std::path::Path) -> (Client, launch::Child) {
    let (client, server) = Connection::pair().unwrap();
    let mut config = Some(Config::new(vec![AttachPoint::new(path, Mutability::ReadOnly)], server));
    let child = launch::spawn(gofer::NAMESPACES, || {
        let mut config = config.take().unwrap();
        gofer::jail(&mut config, Identity::Caller).unwrap();
        gofer::serve(config).map_or(1, |()| 0)
    });
    drop(config);
    (Client::new(client).unwrap(), child.unwrap())
}

/// Microseconds of the jail alone (told by exit status, in units of 10), or from before the fork to the first answer.
fn jail_time_us(path: &std::path::Path, whole: bool) -> f64 {
    if whole {
        let begin = Instant::now();
        let (client, child) = start(path);
        client.attach(0).unwrap();
        let took = begin.elapsed();
        drop(client);
        child.wait();
        return took.as_secs_f64() * 1e6;
    }
    let (_client, server) = Connection::pair().unwrap();
    let mut config = Some(Config::new(vec![AttachPoint::new(path, Mutability::ReadOnly)], server));
    let child = launch::spawn(gofer::NAMESPACES, || {
        let mut config = config.take().unwrap();
        let begin = Instant::now();
        gofer::jail(&mut config, Identity::Caller).unwrap();
        (begin.elapsed().as_micros() / 10).min(255) as i32
    });
    f64::from((child.unwrap().wait() >> 8) & 255) * 10.0
}

fn report(name: &str, times: usize, mut call: impl FnMut()) {
    let mut took: Vec<u128> = (0..times)
        .map(|_| {
            let begin = Instant::now();
            call();
            begin.elapsed().as_nanos()
        })
        .collect();
    took.sort_unstable();
    println!("{name:30} min {:>10} ns  median {:>10} ns", took[0], took[times / 2]);
}

fn report_us(name: &str, times: usize, mut call: impl FnMut() -> f64) {
    let mut took: Vec<f64> = (0..times).map(|_| call()).collect();
    took.sort_by(f64::total_cmp);
    println!("{name:30} min {:>10.0} µs  median {:>10.0} µs", took[0], took[times / 2]);
}
