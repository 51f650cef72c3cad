//! What `rust.sh` runs; the harness compiles it on the host, since the toolchain lies in a home that sandboxes do not see.

use std::{
    fs,
    io::Write,
    process::Command,
    sync::{Arc, Barrier, Mutex, mpsc},
    thread,
    time::Duration,
};
fn main() {
    // The default hook prints the thread's number.
    std::panic::set_hook(Box::new(|_| {}));
    let total = Arc::new(Mutex::new(0u64));
    let barrier = Arc::new(Barrier::new(6));
    let hs: Vec<_> = (0..6)
        .map(|n| {
            let (t, b) = (total.clone(), barrier.clone());
            thread::spawn(move || {
                b.wait();
                for i in 0..5000 {
                    *t.lock().unwrap() += i * n;
                }
                n
            })
        })
        .collect();
    let s: u64 = hs.into_iter().map(|h| h.join().unwrap()).sum();
    println!("{s} {}", total.lock().unwrap());
    let (tx, rx) = mpsc::channel();
    for i in 0..3 {
        let tx = tx.clone();
        thread::spawn(move || {
            thread::sleep(Duration::from_millis(10 * i));
            tx.send(i).unwrap();
        });
    }
    drop(tx);
    println!("{:?}", rx.iter().collect::<Vec<_>>());
    println!("{:?}", Command::new("sh").args(["-c", "echo out; exit 2"]).output().unwrap());
    let mut f = fs::File::create("x").unwrap();
    f.write_all(&[7; 70000]).unwrap();
    println!("{}", fs::read("x").unwrap().len());
    println!("{:?}", thread::spawn(|| { panic!("expected") }).join().is_err());
    std::process::exit(11);
}
