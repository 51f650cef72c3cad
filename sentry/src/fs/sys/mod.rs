//! sysfs (`man 5 sysfs`): what programs look for of processors, memory and cgroups. There are no devices to show.

mod tree;

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use abi::types::Statfs;

use self::tree::{Node, SysInode};
use crate::Errno;
use crate::fs::proc::cpu_list;
use crate::fs::tmpfs::anonymous_device;
use crate::vfs::{FileSystem, Inode, Timestamps, anonymous};

const MAGIC: i64 = 0x6265_6572;
const ROOT_INO: u64 = 1;

/// The file system: made once, never changed.
pub struct Sys {
    this: Weak<Sys>,
    dev: u64,
    times: Timestamps,
    root: Arc<Node>,
}

impl Sys {
    /// Shows the machine as the sandbox may use it.
    pub fn new() -> Arc<Sys> {
        Arc::new_cyclic(|this| Sys {
            this: this.clone(),
            dev: anonymous_device(),
            times: anonymous::times_now(),
            root: Arc::new(top()),
        })
    }
}

/// Makes `sysfs` known to `mount`.
pub fn register() {
    super::register("sysfs", |_, _, _| Ok(Sys::new()));
}

impl FileSystem for Sys {
    fn name(&self) -> &'static str {
        "sysfs"
    }

    fn statfs(&self) -> Result<Statfs, Errno> {
        Ok(Statfs { f_type: MAGIC, f_bsize: 4096, f_frsize: 4096, f_namelen: 255, ..Statfs::default() })
    }

    fn root(&self) -> Arc<dyn Inode> {
        match self.this.upgrade() {
            Some(fs) => Arc::new(SysInode::new(&fs, ROOT_INO, self.root.clone())),
            None => unreachable!("a method runs on a live file system"),
        }
    }

    fn is_read_only(&self) -> bool {
        true
    }
}

fn dir(entries: impl IntoIterator<Item = (&'static str, Node)>) -> Node {
    Node::Directory(entries.into_iter().map(|(name, node)| (name.to_owned(), Arc::new(node))).collect())
}

fn text(text: impl ToString) -> Node {
    Node::Text(format!("{}\n", text.to_string()))
}

fn empty() -> Node {
    Node::Directory(BTreeMap::new())
}

fn top() -> Node {
    dir([
        ("block", empty()),
        ("bus", empty()),
        ("class", dir([("net", empty())])),
        ("dev", dir([("block", empty()), ("char", empty())])),
        ("devices", dir([("system", dir([("cpu", cpus()), ("node", nodes())])), ("virtual", empty())])),
        ("firmware", empty()),
        ("fs", dir([("cgroup", empty())])),
        ("kernel", dir([("mm", dir([("transparent_hugepage", huge_pages()), ("hugepages", empty())]))])),
        ("module", empty()),
        ("power", empty()),
    ])
}

fn cpus() -> Node {
    let count = host::system::cpus().count_ones();
    let all = cpu_list(if count >= 64 { u64::MAX } else { (1 << count) - 1 });
    let Node::Directory(mut entries) = dir([
        ("kernel_max", text(8191)),
        ("offline", text("")),
        ("online", text(&all)),
        ("possible", text(&all)),
        ("present", text(&all)),
    ]) else {
        return empty();
    };
    for n in 0..count {
        entries.insert(format!("cpu{n}"), Arc::new(dir([("topology", topology(n, count, &all))])));
    }
    Node::Directory(entries)
}

fn topology(n: u32, count: u32, all: &str) -> Node {
    let mask = |bits: u64| text(format!("{bits:x}"));
    let everyone = if count >= 64 { u64::MAX } else { (1 << count) - 1 };
    dir([
        ("core_cpus", mask(1 << n)),
        ("core_cpus_list", text(n)),
        ("core_id", text(n)),
        ("core_siblings", mask(everyone)),
        ("core_siblings_list", text(all)),
        ("package_cpus", mask(everyone)),
        ("package_cpus_list", text(all)),
        ("physical_package_id", text(0)),
        ("thread_siblings", mask(1 << n)),
        ("thread_siblings_list", text(n)),
    ])
}

/// One memory node with all CPUs.
fn nodes() -> Node {
    let count = host::system::cpus().count_ones();
    let everyone = if count >= 64 { u64::MAX } else { (1 << count) - 1 };
    let node =
        dir([("cpulist", text(cpu_list(everyone))), ("cpumap", text(format!("{everyone:x}"))), ("distance", text(10))]);
    dir([("has_cpu", text(0)), ("online", text(0)), ("possible", text(0)), ("node0", node)])
}

fn huge_pages() -> Node {
    dir([
        ("defrag", text("always defer defer+madvise [madvise] never")),
        ("enabled", text("always [madvise] never")),
        ("hpage_pmd_size", text(2 << 20)),
        ("shmem_enabled", text("always within_size advise [never] deny force")),
    ])
}
