//! `/proc/cpuinfo`, and lists of CPUs as text.

use std::fmt::Write;

use super::node::Subject;
use crate::Errno;
use crate::task::Current;

/// A set of CPUs (bit n is CPU n) as in `0-3,5`.
pub fn list(cpus: u64) -> String {
    let mut ranges = Vec::new();
    let mut n = 0;
    while n < 64 {
        if cpus >> n & 1 == 0 {
            n += 1;
            continue;
        }
        let start = n;
        while n < 64 && cpus >> n & 1 != 0 {
            n += 1;
        }
        ranges.push(if start + 1 == n { start.to_string() } else { format!("{start}-{}", n - 1) });
    }
    ranges.join(",")
}

/// `cpuinfo`: one block a CPU that the sandbox may use, numbered from 0.
pub(super) fn cpuinfo(_: &Subject, _: &Current) -> Result<Vec<u8>, Errno> {
    let cpu = host::cpu_identity::identity();
    let count = host::system::cpus().count_ones();
    let mut text = String::new();
    for n in 0..count {
        let _ = write!(
            text,
            "processor\t: {n}\nvendor_id\t: {}\ncpu family\t: {}\nmodel\t\t: {}\nmodel name\t: {}\nstepping\t: {}\n",
            cpu.vendor, cpu.family, cpu.model, cpu.name, cpu.stepping
        );
        let _ = write!(
            text,
            "physical id\t: 0\nsiblings\t: {count}\ncore id\t\t: {n}\ncpu cores\t: {count}\napicid\t\t: {n}\n\
             initial apicid\t: {n}\nfpu\t\t: yes\nfpu_exception\t: yes\ncpuid level\t: {}\nwp\t\t: yes\nflags\t\t: {}\n",
            cpu.highest_leaf,
            cpu.flags.join(" ")
        );
        let _ = write!(
            text,
            "clflush size\t: {}\ncache_alignment\t: {}\naddress sizes\t: {} bits physical, {} bits virtual\n\n",
            cpu.cache_line, cpu.cache_line, cpu.physical_bits, cpu.virtual_bits
        );
    }
    Ok(text.into_bytes())
}
