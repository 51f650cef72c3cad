//! Processes, threads and signals for cases: fork and wait, handlers that count, interruption of a call that blocks.

use crate::harness::memory::zeroed;
use crate::harness::{T, exit};
use std::sync::atomic::{AtomicI32, Ordering};

/// Runs `body` in a forked child, which then exits with 0; returns its pid.
pub fn fork(t: &T, body: impl FnOnce()) -> i64 {
    let pid = must!(t, fork());
    if pid == 0 {
        body();
        exit(0);
    }
    pid
}

/// Waits for a child and says how it ended.
pub fn reap(pid: i64) -> String {
    let mut status = 0i32;
    loop {
        match sys!(wait4(pid, &mut status, 0, 0)) {
            r if r == pid => return how(status),
            r if r == -(libc::EINTR as i64) => {}
            r => return format!("wait4 failed: {}", crate::harness::Ret(r)),
        }
    }
}

/// Runs `body` in a child and records how it ended.
pub fn in_child(t: &T, body: impl FnOnce()) {
    let pid = fork(t, body);
    t.line(format_args!("  child: {}", reap(pid)));
}

/// A wait status in words.
pub fn how(status: i32) -> String {
    match status & 0x7f {
        0 => format!("exit {}", status >> 8 & 0xff),
        0x7f if status == 0xffff => "continued".to_owned(),
        0x7f => format!("stopped {}", status >> 8 & 0xff),
        signal => format!("signal {signal}{}", if status & 0x80 != 0 { " core" } else { "" }),
    }
}

/// Sleeps for so many milliseconds, whatever signals come.
pub fn sleep_ms(ms: u64) {
    let mut left = [ms / 1000, ms % 1000 * 1_000_000];
    let at = std::ptr::from_mut(&mut left);
    while sys!(nanosleep(at, at)) == -(libc::EINTR as i64) {}
}

/// How often [`handle`]'s handler ran.
pub static HANDLED: AtomicI32 = AtomicI32::new(0);
/// The last signal that it saw.
pub static LAST: AtomicI32 = AtomicI32::new(0);

extern "C" fn count(signal: i32) {
    LAST.store(signal, Ordering::SeqCst);
    HANDLED.fetch_add(1, Ordering::SeqCst);
}

/// Catches `signal` with a handler that counts.
pub fn handle(signal: i32, flags: i32) {
    let mut action: libc::sigaction = zeroed();
    action.sa_sigaction = count as *const () as usize;
    action.sa_flags = flags;
    // SAFETY: the handler touches atomics only.
    unsafe { libc::sigaction(signal, &action, std::ptr::null_mut()) };
}

/// Catches `signal` with a handler that gets the details.
pub fn handle_info(signal: i32, flags: i32, handler: extern "C" fn(i32, *mut libc::siginfo_t, *mut libc::c_void)) {
    let mut action: libc::sigaction = zeroed();
    action.sa_sigaction = handler as *const () as usize;
    action.sa_flags = flags | libc::SA_SIGINFO;
    // SAFETY: handlers of cases touch atomics, and memory that the case prepared.
    unsafe { libc::sigaction(signal, &action, std::ptr::null_mut()) };
}

/// How many times the counting handler has run, capped at 1: timers that repeat run it more or less often.
pub fn was_handled() -> bool {
    HANDLED.load(Ordering::SeqCst) > 0
}

/// Sends SIGALRM every 20 ms from 20 ms on, caught without `SA_RESTART` (or with it): a call that blocks must feel it.
pub fn alarms(restart: bool) {
    handle(libc::SIGALRM, if restart { libc::SA_RESTART } else { 0 });
    sys!(setitimer(libc::ITIMER_REAL, &[0u64, 20_000, 0, 20_000], 0));
}

/// Ends [`alarms`].
pub fn no_alarms() {
    sys!(setitimer(libc::ITIMER_REAL, &[0u64; 4], 0));
}

/// Forks a helper that waits `ms` and then runs `body`.
pub fn later(t: &T, ms: u64, body: impl FnOnce()) -> i64 {
    fork(t, || {
        sleep_ms(ms);
        body();
    })
}

/// Starts a thread and gives back its handle.
pub fn thread<R: Send + 'static>(body: impl FnOnce() -> R + Send + 'static) -> std::thread::JoinHandle<R> {
    std::thread::Builder::new().stack_size(128 * 1024).spawn(body).unwrap_or_else(|_| exit(crate::harness::BROKEN))
}

/// What the program does when a case has executed it anew: `syscall-guest --child WHAT ARGS`.
pub fn child_main(what: &str, args: &[&str]) -> i32 {
    let number = |i: usize| args.get(i).and_then(|a| a.parse::<i64>().ok()).unwrap_or(-1);
    match what {
        "exit" => number(0) as i32,
        // Whether a descriptor is open: 0 open, 1 closed; plus 2 when it is marked close-on-exec.
        "fd-open" => match sys!(fcntl(number(0), libc::F_GETFD, 0)) {
            r if r < 0 => 1,
            r => (r as i32) << 1,
        },
        "write" => {
            let text = args.get(1).copied().unwrap_or("");
            (sys!(write(number(0), text.as_bytes(), text.len())) < 0) as i32
        }
        "args" => args.len() as i32,
        "blocked" => {
            let mut set = 0u64;
            sys!(rt_sigprocmask(0, 0, &mut set, 8));
            (set >> (number(0) - 1) & 1) as i32
        }
        "disposition" => {
            let mut action = [0u64; 4];
            sys!(rt_sigaction(number(0), 0, &mut action, 8));
            if action[0] > 1 { 2 } else { action[0] as i32 }
        }
        "uid" => sys!(geteuid()) as i32,
        "umask" => sys!(umask(0)) as i32,
        "alarm" => (sys!(alarm(0)) > 0) as i32,
        "nice" => 20 - sys!(getpriority(0, 0)) as i32,
        "nofile" => {
            let mut limit = [0u64; 2];
            sys!(getrlimit(libc::RLIMIT_NOFILE, &mut limit));
            (limit[0] % 251) as i32
        }
        "name" => {
            let mut name = [0u8; 16];
            sys!(prctl(libc::PR_GET_NAME, &mut name));
            name.starts_with(b"syscall-guest") as i32
        }
        "dumpable" => sys!(prctl(libc::PR_GET_DUMPABLE)) as i32,
        "nnp" => sys!(prctl(libc::PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)) as i32,
        "altstack" => {
            let mut stack = [0u64; 3];
            sys!(sigaltstack(0, &mut stack));
            stack[1] as i32
        }
        _ => 99,
    }
}

/// Replaces the process by a fresh one of this program that runs `what`.
pub fn exec_child(what: &str, args: &[&str]) -> i64 {
    let strings: Vec<std::ffi::CString> = ["syscall-guest", "--child", what]
        .iter()
        .chain(args)
        .map(|s| std::ffi::CString::new(*s).unwrap_or_default())
        .collect();
    let mut argv: Vec<usize> = strings.iter().map(|s| s.as_ptr() as usize).collect();
    argv.push(0);
    sys!(execve(c"/proc/self/exe", argv.as_slice(), &[0usize]))
}
