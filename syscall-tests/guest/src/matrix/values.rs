//! The notation of recipes: what each word stands for. Objects are made when a recipe names them, so that a kernel which
//! lacks one kind fails only the cases that use it.

use crate::harness::memory::{KERNEL, NONCANONICAL, PAGE, edge, fill_bytes, pages, poke, readonly, unmapped};
use crate::harness::{Arg, T};
use std::ffi::CString;

/// The objects of one case.
#[derive(Default)]
pub struct World {
    /// Memory whose content is part of the record.
    pub shown: Vec<(usize, usize)>,
    furnished: bool,
}

impl World {
    /// The register value of a word:
    /// numbers (`0x10`, `-1`, `0o644`); `'path`; `"text`; `oN` N bytes to write to, `ON` the same and recorded;
    /// `[a,b]` 64-bit words, `{a,b}` 32-bit words, `(a,b)` 16-bit words; `vN` an iovec of one N-byte buffer;
    /// `@LEN:WORD` a pointer to WORD's bytes cut at a mapping's end after LEN; one capital letter: a descriptor.
    pub fn value(&mut self, t: &T, word: &str) -> usize {
        let word = word.strip_suffix('!').unwrap_or(word);
        let (head, rest) = word.split_at(word.chars().next().map_or(0, char::len_utf8));
        match (head, rest) {
            ("'", path) => {
                self.furnish(t);
                string(t, path.as_bytes())
            }
            ("\"", text) => string(t, text.as_bytes()),
            ("o", n) if n.parse::<usize>().is_ok() => pages(t, n.parse::<usize>().unwrap_or(0) / PAGE + 1),
            ("O", n) if n.parse::<usize>().is_ok() => {
                let (addr, len) = (pages(t, 1), n.parse().unwrap_or(0));
                self.shown.push((addr, len));
                addr
            }
            ("[" | "{" | "(", _) => {
                let addr = pages(t, 1);
                fill_bytes(addr, &self.bytes(t, word));
                addr
            }
            ("v", n) if n.parse::<usize>().is_ok() => {
                let iov = pages(t, 1);
                poke(iov, [pages(t, 1), n.parse().unwrap_or(0)]);
                iov
            }
            ("@", rest) => {
                let (cut, word) = rest.split_once(':').unwrap_or(("0", rest));
                let mut bytes = self.bytes(t, word);
                let cut: usize = cut.parse().unwrap_or(0);
                bytes.truncate(cut);
                let addr = edge(t, cut.max(1)) + usize::from(cut == 0);
                fill_bytes(addr, &bytes);
                addr
            }
            _ => self.named(t, word),
        }
    }

    /// The bytes that a word points to.
    fn bytes(&mut self, t: &T, word: &str) -> Vec<u8> {
        let list =
            |s: &str| s[1..s.len() - 1].split(',').filter(|s| !s.is_empty()).map(str::to_owned).collect::<Vec<_>>();
        match word.as_bytes().first() {
            Some(b'[') => list(word).iter().flat_map(|w| self.value(t, w).to_ne_bytes()).collect(),
            Some(b'{') => list(word).iter().flat_map(|w| (self.value(t, w) as u32).to_ne_bytes()).collect(),
            Some(b'(') => list(word).iter().flat_map(|w| (self.value(t, w) as u16).to_ne_bytes()).collect(),
            Some(b'\'' | b'"') => word.as_bytes()[1..].to_vec(),
            Some(b'v') => {
                [self.value(t, "o4096"), word[1..].parse().unwrap_or(0)].iter().flat_map(|w| w.to_ne_bytes()).collect()
            }
            _ => Vec::new(),
        }
    }

    fn named(&mut self, t: &T, word: &str) -> usize {
        let open = |world: &mut World, path: &std::ffi::CStr, flags: i32| {
            world.furnish(t);
            must!(t, open(path, flags, 0o644)) as usize
        };
        let pipe = |end: usize| {
            let mut fds = [0i32; 2];
            must!(t, pipe2(&mut fds, libc::O_NONBLOCK));
            must!(t, write(fds[1], b"data", 4));
            fds[end] as usize
        };
        match word {
            "F" => open(self, c"file", libc::O_RDWR),
            "RO" => open(self, c"file", libc::O_RDONLY),
            "WO" => open(self, c"file", libc::O_WRONLY),
            "AP" => open(self, c"file", libc::O_WRONLY | libc::O_APPEND),
            "D" => open(self, c"dir", libc::O_RDONLY | libc::O_DIRECTORY),
            "H" => open(self, c"file", libc::O_PATH),
            "HD" => open(self, c"dir", libc::O_PATH),
            "NUL" => open(self, c"/dev/null", libc::O_RDWR),
            "ZERO" => open(self, c"/dev/zero", libc::O_RDWR),
            "FULL" => open(self, c"/dev/full", libc::O_RDWR),
            "R" => pipe(0),
            "W" => pipe(1),
            "S" => {
                let mut fds = [0i32; 2];
                must!(t, socketpair(libc::AF_UNIX, libc::SOCK_STREAM | libc::SOCK_NONBLOCK, 0, &mut fds));
                must!(t, write(fds[1], b"data", 4));
                fds[0] as usize
            }
            "G" => {
                let mut fds = [0i32; 2];
                must!(t, socketpair(libc::AF_UNIX, libc::SOCK_DGRAM | libc::SOCK_NONBLOCK, 0, &mut fds));
                fds[0] as usize
            }
            "U" => must!(t, socket(libc::AF_UNIX, libc::SOCK_STREAM | libc::SOCK_NONBLOCK, 0)) as usize,
            "TCP" => must!(t, socket(libc::AF_INET, libc::SOCK_STREAM | libc::SOCK_NONBLOCK, 0)) as usize,
            "UDP" => must!(t, socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_NONBLOCK, 0)) as usize,
            "E" => must!(t, eventfd2(1, libc::EFD_NONBLOCK)) as usize,
            "Q" => must!(t, epoll_create1(0)) as usize,
            "TFD" => must!(t, timerfd_create(libc::CLOCK_MONOTONIC, libc::TFD_NONBLOCK)) as usize,
            "SFD" => must!(t, signalfd4(-1, &(1u64 << 9), 8, libc::SFD_NONBLOCK)) as usize,
            "I" => must!(t, inotify_init1(libc::IN_NONBLOCK)) as usize,
            "M" => must!(t, memfd_create(c"memfd", libc::MFD_ALLOW_SEALING)) as usize,
            "PFD" => must!(t, pidfd_open(sys!(getpid()), 0)) as usize,
            "PTY" => {
                let fd = must!(t, open(c"/dev/ptmx", libc::O_RDWR | libc::O_NOCTTY | libc::O_NONBLOCK, 0));
                must!(t, ioctl(fd, libc::TIOCSPTLCK, &0i32));
                fd as usize
            }
            "MQ" => {
                own_ipc();
                let name = CString::new(format!("case-{}", sys!(getpid()))).unwrap_or_default();
                let attr = [0u64, 4, 64, 0, 0, 0, 0, 0];
                let fd =
                    must!(t, mq_open(name.as_c_str(), libc::O_RDWR | libc::O_CREAT | libc::O_NONBLOCK, 0o600, &attr));
                must!(t, mq_unlink(name.as_c_str()));
                fd as usize
            }
            "MSQ" => {
                own_ipc();
                must!(t, msgget(0, 0o600)) as usize
            }
            "SHM" => {
                own_ipc();
                // Marked for removal while attached: gone with the process, whatever happens.
                let id = must!(t, shmget(0, PAGE, 0o600));
                must!(t, shmat(id, 0, 0));
                must!(t, shmctl(id, libc::IPC_RMID, 0));
                id as usize
            }
            "TIMER" => {
                let mut id = 0i32;
                let event = [0u64, (libc::SIGEV_NONE as u64) << 32, 0, 0, 0, 0, 0, 0];
                must!(t, timer_create(libc::CLOCK_MONOTONIC, &event, &mut id));
                id as usize
            }
            "CWD" => libc::AT_FDCWD.arg(),
            "ME" => sys!(getpid()) as usize,
            "TID" => sys!(gettid()) as usize,
            "PAGE" => pages(t, 1),
            "PAGES" => pages(t, 4),
            "UNMAPPED" => unmapped(t),
            "KERNEL" => KERNEL,
            "NONCANONICAL" => NONCANONICAL,
            "READONLY" => readonly(t, 1),
            "CLOSED" => 777,
            number => {
                parse(number).unwrap_or_else(|| t.fail(format_args!("a recipe has the unknown word {number}"))) as usize
            }
        }
    }

    /// Makes the files that paths name, once.
    fn furnish(&mut self, t: &T) {
        if std::mem::replace(&mut self.furnished, true) {
            return;
        }
        let fd = must!(t, open(c"file", libc::O_RDWR | libc::O_CREAT, 0o644));
        must!(t, write(fd, b"0123456789abcdef", 16));
        must!(t, close(fd));
        must!(t, mkdir(c"dir", 0o755));
        must!(t, mkdir(c"empty", 0o755));
        must!(t, close(must!(t, open(c"dir/inner", libc::O_WRONLY | libc::O_CREAT, 0o644))));
        must!(t, symlink(c"file", c"link"));
        must!(t, symlink(c"dir", c"dirlink"));
        must!(t, symlink(c"missing", c"dangling"));
        must!(t, symlink(c"loop", c"loop"));
        must!(t, mknod(c"fifo", libc::S_IFIFO | 0o644, 0));
    }
}

/// Gives the case System V objects and queues of its own, which vanish with it, where that is possible.
pub fn own_ipc() {
    sys!(unshare(libc::CLONE_NEWIPC));
}

fn string(t: &T, bytes: &[u8]) -> usize {
    let addr = pages(t, bytes.len() / PAGE + 1);
    fill_bytes(addr, bytes);
    addr
}

/// A number in decimal, hexadecimal (`0x`) or octal (`0o`), with a sign.
pub fn parse(word: &str) -> Option<i64> {
    let (sign, digits) = word.strip_prefix('-').map_or((1, word), |rest| (-1, rest));
    let value = match (digits.strip_prefix("0x"), digits.strip_prefix("0o")) {
        (Some(hex), _) => u64::from_str_radix(hex, 16).ok()?,
        (_, Some(octal)) => u64::from_str_radix(octal, 8).ok()?,
        _ => digits.parse().ok()?,
    };
    Some((value as i64).wrapping_mul(sign))
}
