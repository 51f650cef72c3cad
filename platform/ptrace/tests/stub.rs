//! What a stub process has, and when it dies.

use platform::{Error, Event, Platform, Prot};
use platform_conformance::Guest;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

fn main() {
    if std::env::args().any(|a| a == "victim") {
        victim();
    }
    stubs_die_with_the_sentry();
    // Threads of the test are no harm: nothing runs beside this one.
    let platform = ptrace::Ptrace::new().expect("start the ptrace platform");
    a_stub_has_one_fd_and_nothing_of_the_sentry(&*platform);
    the_layout_tells_every_mapping(&*platform);
    the_vsyscall_page_works_or_faults(&*platform);
    a_platform_that_was_shut_down_has_no_processes(&*platform);
    println!("5 cases passed");
}

fn maps(pid: i32) -> Vec<(u64, u64, String, String)> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    text.lines()
        .map(|line| {
            let mut fields = line.split_whitespace();
            let (start, end) = fields.next().unwrap().split_once('-').unwrap();
            let number = |s| u64::from_str_radix(s, 16).unwrap();
            let prot = fields.next().unwrap().to_owned();
            (number(start), number(end), prot, fields.nth(3).unwrap_or("").to_owned())
        })
        .filter(|m| m.3 != "[vsyscall]")
        .collect()
}

fn a_stub_has_one_fd_and_nothing_of_the_sentry(platform: &dyn Platform) {
    let context = platform.spawn().unwrap();
    let pid = context.space().host_pid().unwrap();
    let fds: Vec<_> = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten().collect();
    assert_eq!(fds.len(), 1, "{fds:?}");
    assert_eq!(fds[0].file_name(), "0");
    assert!(std::fs::read_link(fds[0].path()).unwrap().to_string_lossy().starts_with("socket:"));
    for (start, _, prot, name) in maps(pid) {
        assert!(start >= platform.layout().max || name.starts_with("[v"), "{start:x} {prot} {name}");
        assert!(!prot.starts_with("rwx"));
    }
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    for line in ["Seccomp:\t2", "NoNewPrivs:\t1"] {
        assert!(status.contains(line), "{line}");
    }
    println!("a_stub_has_one_fd_and_nothing_of_the_sentry ... ok");
}

fn the_layout_tells_every_mapping(platform: &dyn Platform) {
    let mut context = platform.spawn().unwrap();
    let layout = platform.layout();
    for (start, end, _, name) in maps(context.space().host_pid().unwrap()) {
        let is_told = layout.fixed.iter().any(|f| f.start <= start && end <= f.end);
        assert!(is_told || start >= layout.max, "{start:x}-{end:x} {name}");
    }
    assert!(layout.vdso != 0, "this host has a vDSO");
    // All that is below the platform's part can be the guest's, the vDSO's place too.
    for fixed in &layout.fixed {
        context.unmap(fixed.start, fixed.end - fixed.start).unwrap();
    }
    context.map_anonymous(layout.min, 0x1000, Prot::READ_WRITE, false).unwrap();
    context.map_anonymous(layout.max - 0x1000, 0x1000, Prot::READ_WRITE, false).unwrap();
    context.write(layout.max - 4, &[1; 4]).unwrap();
    println!("the_layout_tells_every_mapping ... ok");
}

fn the_vsyscall_page_works_or_faults(platform: &dyn Platform) {
    // mov rax, 0xffffffffff600400 (time); xor edi, edi; call rax; mov rbx, rax; syscall
    let code = [0x48, 0xc7, 0xc0, 0, 4, 0x60, 0xff, 0x31, 0xff, 0xff, 0xd0, 0x48, 0x89, 0xc3, 0x0f, 0x05];
    let mut guest = Guest::new(platform, &code);
    match guest.run() {
        Event::Syscall => assert!(guest.context.regs().rbx > 1_700_000_000),
        event => assert!(matches!(event, Event::Fault(_)), "{event:?}"),
    }
    println!("the_vsyscall_page_works_or_faults ... ok");
}

fn is_alive(pid: i32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with(['Z', 'X'])))
}

fn dies(pid: i32) {
    let start = Instant::now();
    while is_alive(pid) {
        assert!(start.elapsed() < Duration::from_secs(10), "process {pid} is still there");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A sentry with a stopped guest, a running one, and a fork; prints their pids and waits to be killed.
fn victim() -> ! {
    let platform = ptrace::Ptrace::new().unwrap();
    let stopped = Guest::new(&*platform, &[0x0f, 0x05]);
    let mut running = Guest::new(&*platform, &[0xeb, 0xfe]);
    let fork = running.context.fork().unwrap();
    running.context.resume();
    let pids = [&stopped.context, &running.context, &fork].map(|c| c.space().host_pid().unwrap());
    println!("pids {} {} {}", pids[0], pids[1], pids[2]);
    loop {
        std::thread::sleep(Duration::from_secs(60));
    }
}

fn stubs_die_with_the_sentry() {
    let mut sentry =
        Command::new(std::env::current_exe().unwrap()).arg("victim").stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(sentry.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let mut pids: Vec<i32> = line.split_whitespace().skip(1).map(|p| p.parse().unwrap()).collect();
    assert_eq!(pids.len(), 3, "{line}");
    pids.extend(children(sentry.id()));
    assert!(pids.iter().all(|&pid| is_alive(pid)));
    sentry.kill().unwrap();
    sentry.wait().unwrap();
    pids.into_iter().for_each(dies);
    println!("stubs_die_with_the_sentry ... ok");
}

fn children(pid: u32) -> Vec<i32> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten();
    let lists = tasks.filter_map(|t| std::fs::read_to_string(t.path().join("children")).ok());
    lists.flat_map(|l| l.split_whitespace().map(|p| p.parse().unwrap()).collect::<Vec<_>>()).collect()
}

fn a_platform_that_was_shut_down_has_no_processes(platform: &dyn Platform) {
    let mut stopped = Guest::new(platform, &[0x0f, 0x05]);
    let mut running = Guest::new(platform, &[0xeb, 0xfe]);
    running.context.resume();
    let pids = [&stopped.context, &running.context].map(|c| c.space().host_pid().unwrap());
    platform.shutdown();
    assert_eq!(platform_conformance::wait_event(platform, &mut *running.context), Err(Error::Gone));
    stopped.context.resume();
    assert_eq!(platform_conformance::wait_event(platform, &mut *stopped.context), Err(Error::Gone));
    assert!(platform.spawn().is_err());
    pids.into_iter().for_each(dies);
    drop((stopped, running));
    let start = Instant::now();
    while !children(std::process::id()).is_empty() {
        assert!(start.elapsed() < Duration::from_secs(10), "children are left: {:?}", children(std::process::id()));
        std::thread::sleep(Duration::from_millis(5));
    }
    println!("a_platform_that_was_shut_down_has_no_processes ... ok");
}
