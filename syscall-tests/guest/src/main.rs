//! The guest of the conformance runner: one process a case, which makes system calls and says what it saw.
//!
//! `syscall-guest --list` prints the cases, `syscall-guest NAME` runs one in this process, `syscall-guest --batch FILE` runs
//! each line of FILE in a forked child and frames what it recorded. Expectations are not written here: the native run is
//! the expectation. [`harness`] holds what cases are made of; [`matrix`] derives the systematic ones (bad pointers, bad
//! descriptors, unknown flags) from the call table; every other module is one call family.
#![no_main]

#[macro_use]
mod harness;
mod batch;
mod credentials;
mod directory;
mod epoll;
mod eventfd;
mod families;
mod fcntl;
mod futex;
mod inotify;
mod ioctl;
mod ipc;
mod matrix;
mod memory;
mod mount;
mod open;
mod pipe;
mod poll;
mod proc;
mod process;
mod read_write;
mod sequence;
mod signal;
mod signalfd;
mod socket;
mod splice;
mod time;
mod timerfd;

use harness::{Cases, T};
use std::ffi::{CStr, c_char, c_int};

/// The C entry point: without Rust's own start-up, which makes calls of its own (`poll`, `sigaction`, `sigaltstack`).
///
/// # Safety
/// For the C runtime only, which passes `argc` valid strings that live as long as the process.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn main(argc: c_int, argv: *const *const c_char) -> c_int {
    let args: Vec<&str> = (1..argc as usize)
        // SAFETY: the C runtime passes `argc` valid strings that live as long as the process.
        .map(|i| unsafe { CStr::from_ptr(*argv.add(i)) }.to_str().unwrap_or(""))
        .collect();
    match args[..] {
        ["--list"] => {
            let names: Vec<String> = all().into_iter().map(|case| case.name).collect();
            harness::print(&(names.join("\n") + "\n"));
            0
        }
        ["--batch", file, ref rest @ ..] => batch::run(file, rest),
        ["--child", what, ref rest @ ..] => harness::process::child_main(what, rest),
        [name] if !name.starts_with('-') => batch::run_single(name),
        _ => {
            harness::print("usage: syscall-guest --list | NAME | --batch FILE [TMP [SECONDS]]\n");
            2
        }
    }
}

/// Every case, in the order of the families.
pub fn all() -> Vec<harness::Case> {
    let mut cases = Cases::default();
    families::add(&mut cases);
    matrix::add(&mut cases);
    cases.list
}

/// Runs one case or, when it carries a program, one generated sequence.
fn run(t: &T, name: &str, program: Option<&str>) {
    match program {
        Some(program) => sequence::run(t, program),
        None => match all().into_iter().find(|case| case.name == name) {
            Some(case) => (case.run)(t),
            None => t.fail(format_args!("no case is called {name}")),
        },
    }
}
