//! Runs a generated sequence of calls and records each result.
//!
//! A program is a list of steps separated by `;`. A step is a call in the notation of [`crate::matrix`], with `$N` for what an
//! earlier step left in slot N (`N=CALL …` leaves its result there) and `%N` for page N of the sequence's memory area; or one
//! of the steps below, which look at state in a way that does not depend on the run.

use crate::harness::memory::{PAGE, bytes_at, peek, poke, zeroed};
use crate::harness::process::*;
use crate::harness::{T, raw};
use crate::matrix::values::World;
use abi::table::{Returns, by_name};
use std::sync::atomic::Ordering::SeqCst;

/// Pages of the memory area.
const AREA: usize = 32;
/// Where it is: far from where the kernel puts mappings that may lie anywhere, so that none falls into a hole of it.
const AREA_AT: usize = 0x1000_0000_0000;

struct Machine<'a> {
    t: &'a T,
    world: World,
    slots: [i64; 16],
    area: usize,
}

/// Runs `program`.
pub fn run(t: &T, program: &str) {
    let mut machine = Machine { t, world: World::default(), slots: [-1; 16], area: 0 };
    if program.contains('%') || program.contains("!touch") {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_FIXED_NOREPLACE;
        machine.area = must!(t, mmap(AREA_AT, AREA * PAGE, 0, flags, -1, 0)) as usize;
    }
    // What would wait for ever ends with EINTR instead.
    handle(libc::SIGALRM, 0);
    sys!(setitimer(libc::ITIMER_REAL, &[0u64, 60_000, 0, 60_000], 0));
    for (i, step) in program.split(';').filter(|s| !s.trim().is_empty()).enumerate() {
        let (slot, step) = match step.split_once('=') {
            Some((slot, rest)) if slot.parse::<usize>().is_ok() => (slot.parse().ok(), rest),
            _ => (None, step),
        };
        let words: Vec<&str> = step.split_whitespace().collect();
        let label = format!("{i} {step}");
        let result = match words[..] {
            [name, ref args @ ..] if name.starts_with('!') => machine.look(&label, name, args),
            [name, ref args @ ..] => machine.call(&label, name, args),
            [] => 0,
        };
        if let Some(kept) = slot.and_then(|s: usize| machine.slots.get_mut(s)) {
            *kept = result;
        }
    }
}

impl Machine<'_> {
    fn value(&mut self, word: &str) -> usize {
        match (word.strip_prefix('$'), word.strip_prefix('%')) {
            (Some(slot), _) => self.slot(slot) as usize,
            (_, Some(page)) => self.area + page.parse::<usize>().unwrap_or(0) % AREA * PAGE,
            _ if word.starts_with(['[', '{', '(']) && word.contains('$') => {
                let filled: Vec<String> = word[1..word.len() - 1]
                    .split(',')
                    .map(|w| w.strip_prefix('$').map_or(w.to_owned(), |slot| (self.slot(slot) as u32).to_string()))
                    .collect();
                let word = format!("{}{}{}", &word[..1], filled.join(","), &word[word.len() - 1..]);
                self.world.value(self.t, &word)
            }
            _ => self.world.value(self.t, word),
        }
    }

    fn slot(&self, slot: &str) -> i64 {
        slot.parse::<usize>().ok().and_then(|s| self.slots.get(s).copied()).unwrap_or(-1)
    }

    fn call(&mut self, label: &str, name: &str, args: &[&str]) -> i64 {
        let Some(call) = by_name(name) else { self.t.fail(format_args!("the sequence has the unknown call {name}")) };
        let values: Vec<usize> = args.iter().map(|word| self.value(word)).collect();
        let r = raw(call.number, &values);
        match call.returns {
            Returns::Addr
                if r >= 0 && self.area != 0 && (self.area..self.area + AREA * PAGE).contains(&(r as usize)) =>
            {
                self.t.ret(label, (r as usize - self.area) as i64 / PAGE as i64);
            }
            Returns::Addr | Returns::Pid => self.t.done(label, r),
            _ => self.t.ret(label, r),
        }
        for (addr, len) in std::mem::take(&mut self.world.shown) {
            let len = if matches!(call.returns, Returns::Bytes) { len.min(r.clamp(0, 4096) as usize) } else { len };
            self.t.bytes("written", &bytes_at(addr, len));
        }
        r
    }

    fn look(&mut self, label: &str, name: &str, args: &[&str]) -> i64 {
        let t = self.t;
        let values: Vec<i64> =
            args.iter().map(|word| if word.starts_with('\'') { 0 } else { self.value(word) as i64 }).collect();
        let at = |i: usize| values.get(i).copied().unwrap_or(0);
        let index =
            |i: usize| args.get(i).and_then(|s| s.trim_start_matches('$').parse::<usize>().ok()).unwrap_or(0).min(15);
        match name {
            "!stat" => {
                let path = self.value(args.first().copied().unwrap_or("'."));
                let mut st: libc::stat = zeroed();
                t.ret(label, sys!(lstat(path, &mut st)));
                let size = if st.st_mode & libc::S_IFMT == libc::S_IFDIR { 0 } else { st.st_size };
                t.show("mode, links, size", (format!("{:o}", st.st_mode), st.st_nlink, size));
            }
            "!list" => {
                let dir = args.first().map_or(".", |word| &word[1..]);
                let mut names: Vec<String> = std::fs::read_dir(dir)
                    .into_iter()
                    .flatten()
                    .flatten()
                    .map(|e| e.file_name().to_string_lossy().into_owned())
                    .collect();
                names.sort();
                t.line(format_args!("{label}: {names:?}"));
            }
            "!pipe" | "!pair" => {
                let mut fds = [-1i32; 2];
                let r = if name == "!pipe" {
                    sys!(pipe2(&mut fds, at(2)))
                } else {
                    sys!(socketpair(1, at(2) | libc::SOCK_NONBLOCK as i64, 0, &mut fds))
                };
                t.ret(label, r);
                (self.slots[index(0)], self.slots[index(1)]) = (fds[0] as i64, fds[1] as i64);
            }
            "!poll" => {
                let mut list: Vec<[i32; 2]> = (0..8).map(|i| [self.slots[i] as i32, 0x2000 | 0xf]).collect();
                t.ret(label, sys!(poll(list.as_mut_ptr(), list.len(), 0)));
                t.show(
                    "revents",
                    list.iter().map(|p| format!("{:x}", p[1] as u32 >> 16)).collect::<Vec<_>>().join(" "),
                );
            }
            "!epoll" => {
                let mut events = [[0u32; 3]; 8];
                let n = sys!(epoll_wait(at(0), &mut events, 8, 0));
                t.ret(label, n);
                t.show(
                    "events",
                    events[..n.clamp(0, 8) as usize].iter().map(|e| (format!("{:x}", e[0]), e[1])).collect::<Vec<_>>(),
                );
            }
            "!touch" => {
                let (addr, write) = (at(0) as usize, at(1) == 1);
                let pid = fork(t, || {
                    if write {
                        poke(addr, peek::<u8>(addr).wrapping_add(1));
                    }
                    crate::harness::exit(peek::<u8>(addr) as i32 & 0x7f);
                });
                t.line(format_args!("{label}: {}", reap(pid)));
            }
            "!put" => {
                // Through the kernel, which says EFAULT where a direct write would die.
                let mut fds = [0i32; 2];
                must!(t, pipe2(&mut fds, 0));
                let byte = at(1) as u8;
                must!(t, write(fds[1], &byte, 1));
                t.ret(label, sys!(read(fds[0], at(0), 1)));
                for fd in &fds {
                    let _ = sys!(close(*fd));
                }
            }
            "!catch" => {
                handle(at(0) as i32, at(1) as i32);
                t.line(format_args!("{label}"));
            }
            "!handled" => {
                t.line(format_args!("{label}: {} last {}", HANDLED.load(SeqCst), LAST.load(SeqCst)));
            }
            "!fork" => {
                let pid = fork(t, || match at(1) {
                    0 => (),
                    status @ 1..=99 => crate::harness::exit(status as i32),
                    _ => sleep_ms(8_000),
                });
                if at(1) < 100 {
                    sys!(waitid(libc::P_PID, pid, 0, libc::WEXITED | libc::WNOWAIT, 0));
                }
                self.slots[index(0)] = pid;
                t.line(format_args!("{label}"));
            }
            "!kill" => {
                // A pid that is not there is 2^31-2, never a group of the machine.
                let pid = if at(0) > 1 { at(0) } else { 0x7fff_fffe };
                t.ret(label, sys!(kill(pid, at(1))));
                // What the signal does to the child takes a moment; nothing may happen at all.
                for _ in 0..12 {
                    let mut info = [0i32; 32];
                    let any = libc::WEXITED | libc::WSTOPPED | libc::WCONTINUED | libc::WNOHANG | libc::WNOWAIT;
                    if at(1) == 0 || sys!(waitid(libc::P_PID, pid, &mut info, any, 0)) < 0 {
                        break;
                    }
                    sleep_ms(2);
                }
            }
            "!wait" => {
                let mut status = 0i32;
                let target = if at(0) > 1 { at(0) } else { -1 };
                let r = sys!(wait4(target, &mut status, at(1) | libc::WNOHANG as i64, 0));
                let who = (0..16).find(|i| self.slots[*i] == r && r > 0);
                t.done(label, r);
                t.show("child, status", (who, if r > 0 { how(status) } else { String::new() }));
            }
            "!group" => {
                let pid = if at(0) > 1 { at(0) } else { 0x7fff_fffe };
                t.ret(label, sys!(setpgid(pid, if at(1) > 1 { at(1) } else { 0 })));
                let group = sys!(getpgid(pid));
                t.show("group of", (0..16).find(|i| self.slots[*i] == group));
            }
            "!unix" => {
                let mut name = [0u8; 110];
                name[0] = 1;
                let path = args.get(1).map_or("s", |word| &word[1..]).as_bytes();
                name[2..2 + path.len()].copy_from_slice(path);
                let len = 3 + path.len();
                t.ret(
                    label,
                    match at(2) {
                        0 => sys!(bind(at(0), &name, len)),
                        _ => sys!(connect(at(0), &name, len)),
                    },
                );
            }
            _ => t.fail(format_args!("the sequence has the unknown step {name}")),
        }
        0
    }
}
