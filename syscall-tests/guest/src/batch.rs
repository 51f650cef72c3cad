//! Runs cases one after the other, each in a forked child with its own session and an empty directory of its own.
//!
//! Frames on standard output: `@case NAME`, the record with a tab before each line, `@end HOW` with HOW one of `exit N`,
//! `signal N`, `timeout`. A case without its end is the one that took the whole sandbox down.

use crate::harness::process::how;
use crate::harness::{BROKEN, Ret, T, exit, print};
use std::ffi::CString;

/// Runs the cases named in `file`; `rest` is the directory for the cases' own directories, the seconds each may take, and
/// `private` to do so in fresh namespaces.
pub fn run(file: &str, rest: &[&str]) -> i32 {
    if rest.get(2) == Some(&"private") {
        private();
    }
    let tmp = rest.first().copied().unwrap_or("/tmp");
    let seconds: u64 = rest.get(1).and_then(|s| s.parse().ok()).unwrap_or(10);
    let list = match read_file(file) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(e) => {
            print(&format!("cannot read the list of cases {file}: {}\n", Ret(e)));
            return 2;
        }
    };
    sys!(close_range(3, u32::MAX, 0));
    sys!(umask(0o22));
    let known = crate::all();
    let t = T::new();
    for (i, line) in list.lines().enumerate() {
        let (name, program) = line.split_once('\t').map_or((line, None), |(n, p)| (n, Some(p)));
        print(&format!("@case {name}\n"));
        t.clear();
        // Of one length everywhere: getcwd tells it.
        let dir = format!("{tmp}/case-{:010}-{i:06}", sys!(getpid()));
        let end = one(&t, &dir, seconds, || match (program, known.iter().find(|case| case.name == name)) {
            (Some(program), _) => crate::sequence::run(&t, program),
            (None, Some(case)) => (case.run)(&t),
            (None, None) => t.fail(format_args!("no case is called {name}")),
        });
        remove_tree(&dir);
        let text: String = t.text().lines().map(|l| format!("\t{l}\n")).collect();
        print(&format!("{text}@end {end}\n"));
    }
    0
}

/// Makes this process the first of fresh pid, mount, IPC and UTS namespaces, as a sandbox would: natively, no case may reach
/// the machine (`kill(-1)`, a mount, a host name). Without the right to do so it goes on as it is.
fn private() {
    let flags = libc::CLONE_NEWPID | libc::CLONE_NEWNS | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS;
    if sys!(unshare(flags)) < 0 {
        return;
    }
    let pid = sys!(fork());
    if pid > 0 {
        let mut status = 0i32;
        sys!(wait4(pid, &mut status, 0, 0));
        exit(if status == 0 { 0 } else { 1 });
    }
    sys!(prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL));
    sys!(mount(c"none", c"/", 0, libc::MS_REC | libc::MS_PRIVATE, 0));
    sys!(mount(c"proc", c"/proc", c"proc", 0, 0));
}

/// Runs one case in this very process, for a debugger or a sandbox that cannot fork.
pub fn run_single(name: &str) -> i32 {
    let t = T::new();
    crate::run(&t, name, None);
    print(&t.text());
    0
}

fn one(t: &T, dir: &str, seconds: u64, body: impl FnOnce()) -> String {
    let path = CString::new(dir).unwrap_or_default();
    let pid = sys!(fork());
    if pid == 0 {
        sys!(setsid());
        sys!(mkdir(path.as_c_str(), 0o755));
        let r = sys!(chdir(path.as_c_str()));
        if r < 0 {
            t.fail(format_args!("cannot enter {dir}: {}", Ret(r)));
        }
        // The same limits everywhere; without core files a killed child looks the same whatever the machine allows.
        sys!(setrlimit(libc::RLIMIT_CORE, &[0u64, 0]));
        sys!(setrlimit(libc::RLIMIT_NOFILE, &[1024u64, 4096]));
        let null = sys!(open(c"/dev/null", libc::O_RDWR, 0));
        for fd in 0..3 {
            if null >= 0 {
                sys!(dup2(null, fd));
            }
        }
        if null > 2 {
            sys!(close(null));
        }
        body();
        exit(0);
    }
    if pid < 0 {
        return format!("exit {BROKEN} (fork: {})", Ret(pid));
    }
    let end = wait(pid, seconds);
    // What the case left running belongs to its session; other groups of it are the case's own business.
    sys!(kill(-pid, libc::SIGKILL));
    while sys!(wait4(-1, 0, libc::WNOHANG, 0)) > 0 {}
    end
}

/// Waits with short naps: a wait that could be interrupted by an alarm would need signals, which cases are about.
fn wait(pid: i64, seconds: u64) -> String {
    let (mut status, mut nap, mut slept) = (0i32, 20_000u64, 0u64);
    loop {
        let r = sys!(wait4(pid, &mut status, libc::WNOHANG, 0));
        if r == pid {
            return how(status);
        }
        if r < 0 {
            return format!("exit {BROKEN} (wait4: {})", Ret(r));
        }
        if slept > seconds * 1_000_000_000 {
            sys!(kill(-pid, libc::SIGKILL));
            sys!(kill(pid, libc::SIGKILL));
            sys!(wait4(pid, 0, 0, 0));
            return "timeout".to_owned();
        }
        sys!(nanosleep(&[0u64, nap], 0));
        slept += nap;
        nap = (nap * 5 / 4).min(3_000_000);
    }
}

fn read_file(path: &str) -> Result<Vec<u8>, i64> {
    let path = CString::new(path).unwrap_or_default();
    let fd = sys!(open(path.as_c_str(), libc::O_RDONLY, 0));
    if fd < 0 {
        return Err(fd);
    }
    let mut all = Vec::new();
    let mut part = vec![0u8; 65536];
    loop {
        match sys!(read(fd, part.as_mut_ptr(), part.len())) {
            0 => break,
            n if n < 0 => return Err(n),
            n => all.extend_from_slice(&part[..n as usize]),
        }
    }
    sys!(close(fd));
    Ok(all)
}

/// Removes what a case left, without following anything it made.
fn remove_tree(dir: &str) {
    if let Ok(entries) = std::fs::read_dir(dir) {
        for entry in entries.flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                remove_tree(&entry.path().to_string_lossy());
            } else {
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }
    let _ = std::fs::remove_dir(dir);
}
