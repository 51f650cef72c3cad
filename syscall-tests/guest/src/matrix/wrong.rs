//! What can be wrong with an argument, by its kind.

use super::values::parse;
use abi::table::{FlagSet, Kind, Length};

/// Wrong (or merely unusual) values for an argument whose good value is `token`, each with a name for the case.
/// A token that ends in `!` is left alone: there another value would block, or touch more than the case's own process.
pub fn values(kind: Kind, token: &str, call: &str) -> Vec<(String, String)> {
    if token.ends_with('!') || MACHINE_WIDE.contains(&call) {
        return Vec::new();
    }
    let pairs = |list: &[(&str, &str)]| list.iter().map(|(what, word)| (what.to_string(), word.to_string())).collect();
    match kind {
        Kind::Fd => pairs(FDS),
        Kind::DirFd => pairs(DIR_FDS),
        Kind::Path => paths(token, call),
        Kind::CStr => [
            pairs(POINTERS),
            pairs(&[("cut", "@3:\"abc"), ("empty", "\"")]),
            vec![("long".into(), format!("\"{}", "n".repeat(5000)))],
        ]
        .concat(),
        Kind::StrVec => {
            pairs(&[("unmapped", "UNMAPPED"), ("kernel", "KERNEL"), ("cut", "@0:[0]"), ("wild", "[0x10,0]")])
        }
        Kind::StructIn(s) | Kind::ArrayIn(s, _) => [pairs(POINTERS), cut(token, s.size() as usize)].concat(),
        Kind::StructInOut(s) | Kind::ArrayInOut(s, _) => {
            [pairs(POINTERS), cut(token, s.size() as usize), pairs(&[("readonly", "READONLY")])].concat()
        }
        Kind::IovIn(_) | Kind::IovOut(_) => [
            pairs(POINTERS),
            cut(token, 16),
            pairs(&[
                ("wild_base", "[0x10,8]"),
                ("huge_len", "[0x10000,0x8000000000000000]"),
                ("kernel_base", "[KERNEL,8]"),
                ("empty", "[0,0]"),
                ("half", "[@8:\"12345678,16]"),
            ]),
        ]
        .concat(),
        Kind::StructOut(s) | Kind::ArrayOut(s, _) => {
            [pairs(POINTERS), cut(token, s.size() as usize), pairs(&[("readonly", "READONLY")])].concat()
        }
        Kind::BufIn(l) | Kind::BufOut(l) | Kind::BufInOut(l) => {
            let readonly: &[(&str, &str)] =
                if matches!(kind, Kind::BufIn(_)) { &[] } else { &[("readonly", "READONLY")] };
            let halves =
                if matches!(l, Length::Bits(_)) { cut(token, 8) } else { [cut(token, 9), cut(token, 2)].concat() };
            [pairs(POINTERS), pairs(readonly), halves].concat()
        }
        Kind::MsgIn | Kind::MsgOut | Kind::Word | Kind::Ptr => pairs(POINTERS),
        Kind::Flags(set) => flags(set, token, call),
        Kind::Choice(set) => choices(set, token, call),
        Kind::Signal => {
            pairs(&[("none", "0"), ("negative", "-1"), ("too_big", "65"), ("last", "64"), ("high_bits", "0x100000000")])
        }
        Kind::Pid => pairs(&[("nobody", "0x7ffffffe")]),
        Kind::Uid | Kind::Gid => pairs(&[("minus_one", "-1"), ("big", "0xfffffffe"), ("some", "1234")]),
        Kind::Mode => pairs(&[("all", "0o7777"), ("none", "0"), ("type_bits", "0o170644"), ("high", "-1")]),
        Kind::Clock => {
            (-8..=12).chain([16, 31, 0x7fff_ffff]).map(|id: i64| (format!("id_{id}"), id.to_string())).collect()
        }
        Kind::Int => pairs(&[
            ("minus_one", "-1"),
            ("max", "0x7fffffff"),
            ("min", "-0x80000000"),
            ("zero", "0"),
            ("high_bits", "0x100000001"),
        ]),
        Kind::UInt => pairs(&[("all_bits", "0xffffffff"), ("zero", "0"), ("one", "1"), ("high_bits", "0x100000000")]),
        Kind::Long | Kind::Offset => pairs(&[
            ("minus_one", "-1"),
            ("max", "0x7fffffffffffffff"),
            ("min", "-0x8000000000000000"),
            ("zero", "0"),
            ("odd", "4097"),
        ]),
        Kind::Size => pairs(&[
            ("zero", "0"),
            ("one", "1"),
            ("all_bits", "-1"),
            ("sign_bit", "0x8000000000000000"),
            ("int_max", "0x7fffffff"),
        ]),
        Kind::Addr => pairs(&[
            ("null", "0"),
            ("odd", "0x10001"),
            ("kernel", "KERNEL"),
            ("noncanonical", "NONCANONICAL"),
            ("last_page", "-4096"),
            ("unmapped", "UNMAPPED"),
        ]),
        Kind::Dev => pairs(&[("null", "0x103"), ("all_bits", "-1")]),
    }
}

/// Calls whose success reaches beyond the case: they are made only as their recipes say, which is so that they fail.
const MACHINE_WIDE: &[&str] = &[
    "mount",
    "umount2",
    "pivot_root",
    "acct",
    "reboot",
    "sethostname",
    "setdomainname",
    "settimeofday",
    "clock_settime",
    "adjtimex",
    "clock_adjtime",
    "kexec_load",
    "kexec_file_load",
    "swapon",
    "swapoff",
    "syslog",
    "init_module",
    "finit_module",
    "delete_module",
    "bpf",
    "perf_event_open",
    "fanotify_init",
    "fanotify_mark",
    "keyctl",
    "add_key",
    "request_key",
    "quotactl",
    "quotactl_fd",
    "open_tree",
    "open_tree_attr",
    "move_mount",
    "fsopen",
    "fsconfig",
    "fsmount",
    "fspick",
    "mount_setattr",
    "iopl",
    "ioperm",
    "open_by_handle_at",
    "vhangup",
    "migrate_pages",
    "move_pages",
];

const POINTERS: &[(&str, &str)] =
    &[("null", "0"), ("one", "1"), ("unmapped", "UNMAPPED"), ("kernel", "KERNEL"), ("noncanonical", "NONCANONICAL")];

const FDS: &[(&str, &str)] = &[
    ("minus_one", "-1"),
    ("closed", "CLOSED"),
    ("at_fdcwd", "-100"),
    ("high_bits", "0x100000000"),
    ("int_min", "-0x80000000"),
    ("path_only", "H"),
    ("readonly", "RO"),
    ("writeonly", "WO"),
    ("append", "AP"),
    ("dir", "D"),
    ("pipe_read", "R"),
    ("pipe_write", "W"),
    ("socket", "S"),
    ("datagram", "G"),
    ("eventfd", "E"),
    ("epoll", "Q"),
    ("timerfd", "TFD"),
    ("signalfd", "SFD"),
    ("inotify", "I"),
    ("memfd", "M"),
    ("null", "NUL"),
    ("zero", "ZERO"),
    ("full", "FULL"),
    ("pty", "PTY"),
];

const DIR_FDS: &[(&str, &str)] = &[
    ("minus_one", "-1"),
    ("closed", "CLOSED"),
    ("file", "RO"),
    ("dir", "D"),
    ("path_only_dir", "HD"),
    ("path_only_file", "H"),
    ("pipe", "R"),
];

fn paths(token: &str, call: &str) -> Vec<(String, String)> {
    let mut list: Vec<(String, String)> =
        POINTERS.iter().map(|(what, word)| (what.to_string(), word.to_string())).collect();
    let names: &[(&str, &str)] = &[
        ("empty", "'"),
        ("missing", "'missing"),
        ("missing_parent", "'missing/x"),
        ("under_file", "'file/x"),
        ("file_slash", "'file/"),
        ("dir", "'dir"),
        ("dir_slash", "'dir/"),
        ("dot", "'."),
        ("dotdot_inside", "'dir/.."),
        ("double_slash", "'dir//inner"),
        ("link", "'link"),
        ("link_slash", "'dirlink/"),
        ("through_link", "'dirlink/inner"),
        ("dangling", "'dangling"),
        ("loop", "'loop"),
        ("under_loop", "'loop/x"),
        ("fifo", "'fifo"),
        ("cut", "@3:'fil"),
        ("proc_fd", "'/proc/self/fd/0/x"),
    ];
    // Roots and devices are only for calls that change nothing.
    let _ = call;
    list.extend(
        names
            .iter()
            .filter(|(what, _)| !(*what == "fifo" && opens(call)))
            .map(|(what, word)| (what.to_string(), word.to_string())),
    );
    list.push(("long_name_255".into(), format!("'{}", "n".repeat(255))));
    list.push(("long_name_256".into(), format!("'{}", "n".repeat(256))));
    list.push(("long_path_4095".into(), format!("'{}file", "./".repeat(2045) + "/")));
    list.push(("long_path_4096".into(), format!("'{}file", "./".repeat(2046))));
    list.retain(|(_, word)| word != token);
    list
}

/// Calls that would wait for the other end of a FIFO.
fn opens(call: &str) -> bool {
    matches!(call, "open" | "openat" | "openat2" | "creat" | "truncate" | "execve" | "execveat")
}

/// The token's bytes, ending one byte early where a mapping ends, and ending at once.
fn cut(token: &str, size: usize) -> Vec<(String, String)> {
    let token = if token.starts_with(['[', '{', '(', '"', '\'', 'v']) {
        token
    } else {
        "[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0]"
    };
    vec![
        (format!("cut_at_{}", size - 1), format!("@{}:{token}", size - 1)),
        (format!("cut_before_{size}"), format!("@0:{token}")),
    ]
}

fn flags(set: &FlagSet, token: &str, call: &str) -> Vec<(String, String)> {
    let base = parse(token).unwrap_or(0) as u64;
    // These act on more than the case, or wait.
    let skipped: &[&str] = match call {
        "unshare" | "clone" => return Vec::new(),
        "mmap" => &["MAP_HUGETLB"],
        _ => &[],
    };
    let mut list: Vec<(String, String)> = set
        .members
        .iter()
        .filter(|(name, _)| !skipped.contains(name))
        .map(|(name, bit)| (name.to_lowercase(), format!("{:#x}", base | bit)))
        .collect();
    let unknown = !set.known_bits();
    list.push(("unknown_lowest".into(), format!("{:#x}", base | 1 << unknown.trailing_zeros().min(63))));
    list.push(("unknown_bit_30".into(), format!("{:#x}", base | 1 << 30)));
    list.push(("all_bits".into(), "0xffffffff".into()));
    list.push(("high_half".into(), format!("{:#x}", base | 1 << 40)));
    if call == "mmap" {
        list.retain(|(what, _)| what != "all_bits");
    }
    list
}

fn choices(set: &FlagSet, token: &str, call: &str) -> Vec<(String, String)> {
    let good = parse(token).unwrap_or(0) as u64;
    let skipped: &[&str] = match call {
        "setpriority" | "ioprio_set" => &["PRIO_USER", "IOPRIO_WHO_USER"],
        "madvise" => &["MADV_HWPOISON", "MADV_SOFT_OFFLINE", "MADV_COLLAPSE"],
        "futex" => &["FUTEX_LOCK_PI"],
        _ => &[],
    };
    let mut list: Vec<(String, String)> = set
        .members
        .iter()
        .filter(|(name, value)| *value != good && !skipped.contains(name))
        .map(|(name, value)| (name.to_lowercase(), format!("{value:#x}")))
        .collect();
    let past = set.members.iter().map(|(_, v)| *v).max().unwrap_or(0).wrapping_add(1);
    list.push(("minus_one".into(), "-1".into()));
    list.push(("past_last".into(), format!("{past:#x}")));
    list.push(("high_half".into(), format!("{:#x}", good | 1 << 40)));
    list
}
