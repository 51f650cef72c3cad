//! The grammars of the families. A step is a line with holes: `@NAME` is filled from the hole's list, at random.

use super::random::Random;

/// One family: its steps and what fills their holes. The first steps of `start` open every sequence.
pub struct Family {
    /// The name.
    pub name: &'static str,
    start: &'static [&'static str],
    steps: &'static [&'static str],
    holes: &'static [(&'static str, &'static [&'static str])],
}

/// The sequence of a seed, as steps.
pub fn sequence(family: &Family, seed: u64, length: usize) -> Vec<String> {
    let mut random = Random::new(seed, family.name);
    let count = 2 + random.below(length.max(1));
    let start = family.start.iter().map(|s| s.to_string()).collect::<Vec<_>>();
    let more: Vec<&str> = (0..count).map(|_| random.pick(family.steps)).collect();
    start.iter().map(String::as_str).chain(more).map(|step| fill(family, step, &mut random)).collect()
}

fn fill(family: &Family, step: &str, random: &mut Random) -> String {
    let mut out = String::new();
    let mut rest = step;
    while let Some((before, after)) = rest.split_once('@') {
        out.push_str(before);
        let end = after.find(|c: char| !c.is_ascii_uppercase()).unwrap_or(after.len());
        let list = family.holes.iter().find(|(name, _)| *name == &after[..end]).map_or(&[][..], |(_, list)| list);
        out.push_str(random.pick(list));
        rest = &after[end..];
    }
    out + rest
}

const SLOTS: &[&str] = &["0", "1", "2", "3", "4", "5", "6", "7"];

/// All families.
pub const FAMILIES: &[Family] = &[
    Family {
        name: "files",
        start: &[],
        steps: &[
            "@S=open @P @F 420",
            "@S=open @P @F 420",
            "@S=open @P @F 420",
            "@S=openat $@S @P @F 384",
            "close $@S",
            "read $@S O16 @N",
            "write $@S \"abcdefgh @N",
            "write $@S \"xyz @N",
            "pread64 $@S O16 @N @O",
            "pwrite64 $@S \"PQRS 4 @O",
            "lseek $@S @O @W",
            "ftruncate $@S @O",
            "truncate @P @O",
            "fallocate $@S @M @O @N",
            "rename @P @P",
            "rename @P @P",
            "renameat2 -100 @P -100 @P @R",
            "link @P @P",
            "unlink @P",
            "mkdir @P @B",
            "rmdir @P",
            "symlink @T @P",
            "readlink @P O16 16",
            "chmod @P @B",
            "umask @B",
            "chdir @P",
            "@S=dup $@S",
            "fcntl $@S 3 0",
            "fcntl $@S 4 @L",
            "!stat @P",
            "!stat @P",
            "!list",
            "access @P @A",
            "unlinkat -100 @P @U",
            "linkat -100 @P -100 @P @K",
            "copy_file_range $@S 0 $@S 0 @N 0",
            "sendfile $@S $@S 0 @N",
            "fchmod $@S @B",
            "fsync $@S",
            "flock $@S @H",
            "mknod @P 4516 0",
            "utimensat -100 @P [1,0,2,0] 0",
            "fchdir $@S",
        ],
        holes: &[
            ("S", SLOTS),
            (
                "P",
                &[
                    "'a",
                    "'b",
                    "'c",
                    "'file",
                    "'dir",
                    "'dir/a",
                    "'dir/inner",
                    "'dir/sub",
                    "'dir/sub/x",
                    "'link",
                    "'dirlink/a",
                    "'dangling",
                    "'empty",
                    "'.",
                    "'a/",
                ],
            ),
            (
                "F",
                &["0", "1", "2", "66", "66", "194", "578", "1025", "1090", "65536", "131072", "2097152", "2049", "512"],
            ),
            ("N", &["0", "1", "3", "4", "8", "16"]),
            ("O", &["0", "1", "3", "8", "16", "100", "5000", "-1"]),
            ("W", &["0", "1", "2", "3", "4"]),
            ("M", &["0", "1", "3", "16", "17"]),
            ("R", &["0", "1", "2"]),
            ("B", &["0", "448", "493", "420", "511", "292", "18"]),
            ("T", &["\"a", "\"file", "\"dir", "\"../x"]),
            ("A", &["0", "1", "2", "4", "7"]),
            ("L", &["0", "1024", "2048"]),
            ("U", &["0", "512"]),
            ("K", &["0", "1024"]),
            ("H", &["5", "6", "8"]),
        ],
    },
    Family {
        name: "fds",
        start: &["!pipe $0 $1 2048", "!pair $2 $3 1"],
        steps: &[
            "!pipe $@S $@S @G",
            "!pair $@S $@S @T",
            "@S=eventfd2 @N @E",
            "@S=dup $@S",
            "dup2 $@S @D",
            "@S=dup2 $@S $@S",
            "dup3 $@S @D @C",
            "@S=fcntl $@S 0 @D",
            "@S=fcntl $@S 1030 @D",
            "fcntl $@S 1 0",
            "fcntl $@S 2 @B",
            "fcntl $@S 3 0",
            "close $@S",
            "close_range @D @D @R",
            "read $@S O16 @N",
            "write $@S \"abcdefgh @N",
            "write $@S [1] 8",
            "write $@S [-2] 8",
            "!poll",
            "!poll",
            "@S=epoll_create1 0",
            "epoll_ctl $@S @O $@S {@V,@X,0}",
            "epoll_ctl $@S @O $@S {@V,@X,0}",
            "!epoll $@S",
            "!epoll $@S",
            "ioctl $@S 21531 O4",
            "fcntl $@S 1032 0",
            "fcntl $@S 1031 @Z",
            "tee $@S $@S @N 2",
            "splice $@S 0 $@S 0 @N 2",
            "lseek $@S 0 1",
            "shutdown $@S @B",
            "@S=timerfd_create 1 2048",
            "timerfd_settime $@S 1 [0,0,0,1] 0",
            "@S=memfd_create \"m 2",
            "fcntl $@S 1034 0",
            "fcntl $@S 1033 @B",
        ],
        holes: &[
            ("S", SLOTS),
            ("G", &["2048", "2048", "526336", "18432"]),
            ("T", &["1", "2", "5"]),
            ("N", &["0", "1", "3", "8", "16"]),
            ("E", &["2048", "2049"]),
            ("D", &["3", "4", "5", "6", "7", "8", "9", "10", "20"]),
            ("C", &["0", "524288"]),
            ("B", &["0", "1", "2"]),
            ("R", &["0", "4"]),
            ("O", &["1", "1", "2", "3"]),
            ("V", &["1", "4", "5", "0x80000001", "0x40000001", "0x2005"]),
            ("X", &["1", "2", "3", "4"]),
            ("Z", &["4096", "8192", "65536"]),
        ],
    },
    Family {
        name: "memory",
        start: &["9=memfd_create \"m 0", "ftruncate $9 16384", "mmap %0 65536 3 50 -1 0"],
        steps: &[
            "mmap %@P @L @R 50 -1 0",
            "mmap %@P @L @R 49 -1 0",
            "mmap %@P @L @R 17 $9 @O",
            "mmap %@P @L @R 18 $9 @O",
            "mmap %@P @L 3 1048626 -1 0",
            "munmap %@P @L",
            "munmap %@P @L",
            "mprotect %@P @L @R",
            "mprotect %@P @L @R",
            "mremap %@P @L @L @M %@P",
            "mremap %@P @L @L 3 %@P",
            "madvise %@P @L @A",
            "msync %@P @L @Y",
            "mincore %@P @L o64",
            "mlock %@P @L",
            "munlock %@P @L",
            "!touch %@P 0",
            "!touch %@P 0",
            "!touch %@P 1",
            "!touch %@P 1",
            "!put %@P @V",
            "!put %@P @V",
            "!put %@P @V",
            "pwrite64 $9 \"WXYZ 4 @O",
            "pread64 $9 O16 4 @O",
            "ftruncate $9 @O",
            "fallocate $9 3 @O 4096",
        ],
        holes: &[
            ("P", &["0", "1", "2", "3", "4", "5", "6", "7", "8", "10", "12"]),
            ("L", &["4096", "4096", "8192", "12288", "20480", "1"]),
            ("R", &["0", "1", "3", "3", "5"]),
            ("O", &["0", "4096", "8192", "12288"]),
            ("M", &["0", "1", "3"]),
            ("A", &["4", "4", "8", "9", "10", "11", "18", "19", "22", "23"]),
            ("Y", &["1", "2", "4"]),
            ("V", &["7", "65", "90"]),
        ],
    },
    Family {
        name: "signals",
        start: &[],
        steps: &[
            "rt_sigprocmask @H [@K] O8 8",
            "rt_sigprocmask 0 [@K] O8 8",
            "rt_sigprocmask 1 [@K] O8 8",
            "!catch @N @F",
            "!catch @N @F",
            "rt_sigaction @N [1,0,0,0] 0 8",
            "rt_sigaction 17 [0,0,0,0] 0 8",
            "kill ME @N",
            "kill ME @N",
            "tgkill ME TID @N",
            "rt_sigqueueinfo ME @N (@N,0,0,0,-1,-1,0,0,0,0,0,0,9,0)",
            "rt_sigpending O8 8",
            "rt_sigtimedwait [@K] 0 [0,0] 8",
            "rt_sigtimedwait [@K] 0 [0,0] 8",
            "!handled",
            "!handled",
            "@S=signalfd4 -1 [@K] 8 2048",
            "signalfd4 $@S [@K] 8 2048",
            "read $@S O8 128",
            "!poll",
            "sigaltstack 0 O24",
            "sigaltstack [0,2,0] 0",
            "setitimer 1 [0,0,100,0] o32",
            "getitimer 2 O32",
            "setitimer 2 [0,0,0,0] O32",
            "@T=timer_create 1 [5,0x100000000,0,0,0,0,0,0] O4",
            "timer_settime 0 0 [0,0,0,0] O32",
            "timer_gettime 0 O32",
            "timer_getoverrun 0",
            "timer_delete 0",
            "rt_sigsuspend [@K] 8",
            "@S=timerfd_create 1 2048",
            "timerfd_settime $@S 1 [0,0,0,1] 0",
            "timerfd_gettime $@S O32",
            "nanosleep [0,1000] 0",
        ],
        holes: &[
            ("S", &["0", "1", "2"]),
            ("T", &["4", "5"]),
            ("H", &["0", "1", "2", "3"]),
            ("K", &["0x200", "0x800", "0xa00", "0x8000000000", "0x8000000a00", "0x10000", "0"]),
            ("N", &["10", "12", "40", "40", "17", "23", "28"]),
            ("F", &["0", "0x10000000", "0x40000000", "-0x80000000"]),
        ],
    },
    Family {
        name: "processes",
        start: &["!fork $0 100", "!fork $1 7"],
        steps: &[
            "!fork $@S @C",
            "!fork $@S 100",
            "!kill $@S @N",
            "!kill $@S @N",
            "!kill $@S 19",
            "!kill $@S 18",
            "!kill $@S 9",
            "!wait $@S @W",
            "!wait $@S @W",
            "!wait $@S 10",
            "!wait -1 @W",
            "!wait -1 10",
            "!group $@S $@S",
            "!group $@S 0",
            "waitid 1 $@S 0 @I 0",
            "waitid 0 0 0 @I 0",
            "8=pidfd_open $@S 0",
            "pidfd_send_signal $8 @N 0 0",
            "poll {$8,1} 1 0",
            "close $8",
            "waitid 3 $8 0 @I 0",
            "prctl 36 @B 0 0 0",
            "prctl 3 0 0 0 0",
            "rt_sigaction 17 [@B,0,0,0] 0 8",
            "setpriority 0 0 @B",
            "getpriority 0 0",
            "setsid",
            "tgkill $@S $@S 0",
            "getpgid $@S",
            "getsid $@S",
        ],
        holes: &[
            ("S", &["0", "1", "2", "3"]),
            ("C", &["0", "1", "7", "42", "100"]),
            ("N", &["0", "15", "9", "19", "18", "10", "20"]),
            ("W", &["0", "2", "8", "10"]),
            ("I", &["5", "3", "9", "15", "0x1000005"]),
            ("B", &["0", "1"]),
        ],
    },
    Family {
        name: "sockets",
        start: &["!pair $0 $1 @T", "2=socket 1 @U 0", "!unix $2 'one 0", "listen $2 2"],
        steps: &[
            "!pair $@S $@S @T",
            "@S=socket 1 @U 0",
            "!unix $@S @P 0",
            "!unix $@S @P 1",
            "!unix $@S @P 1",
            "!unix $@S 'one 1",
            "listen $@S @B",
            "@S=accept4 $@S 0 0 2048",
            "@S=accept4 $2 0 0 2048",
            "write $@S \"abcdefgh @N",
            "write $@S \"abcdefgh @N",
            "read $@S O16 @N",
            "read $@S O16 @N",
            "sendto $@S \"xyz @N 0x4040 0 0",
            "recvfrom $@S O16 @N @F 0 0",
            "recvfrom $@S O16 @N 0x42 0 0",
            "shutdown $@S @H",
            "close $@S",
            "!poll",
            "!poll",
            "ioctl $@S 21531 O4",
            "getsockopt $@S 1 @O O4 {4}",
            "setsockopt $@S 1 @O {@B} 4",
            "getsockname $@S O8 {8}",
            "getpeername $@S O8 {8}",
            "@S=dup $@S",
            "fcntl $@S 3 0",
            "unlink @P",
            "!stat @P",
            "sendmsg $@S [0,0,v4,1,0,0,0] 0x4040",
            "writev $@S [PAGE,2,PAGE,3] 2",
        ],
        holes: &[
            ("S", SLOTS),
            ("T", &["1", "2", "5"]),
            ("U", &["2049", "2049", "2050", "2053"]),
            ("P", &["'one", "'two", "'file", "'dir/s"]),
            ("N", &["0", "1", "3", "8", "16"]),
            ("F", &["0x40", "0x60", "0x41"]),
            ("H", &["0", "1", "2"]),
            ("B", &["0", "1", "2"]),
            ("O", &["3", "4", "30", "38", "39", "16", "2", "9"]),
        ],
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_sequence() {
        for family in FAMILIES {
            assert_eq!(sequence(family, 42, 24), sequence(family, 42, 24));
            assert_ne!(sequence(family, 42, 24), sequence(family, 43, 24));
        }
    }

    #[test]
    fn every_hole_is_filled() {
        for family in FAMILIES {
            for seed in 0..200 {
                for step in sequence(family, seed, 30) {
                    assert!(
                        !step.contains('@') && !step.contains("  ") && !step.ends_with(' '),
                        "{}: {step}",
                        family.name
                    );
                }
            }
        }
    }
}
