//! Measures single operations from inside: `bench-guest NAME` prints the median nanoseconds of one operation.
//!
//! Each batch is kept under a millisecond or so, since a competing job steals whole scheduler ticks; the median of the batches
//! is printed. The same static binary runs natively and in every sandbox.

mod memory;
mod process;
mod syscalls;

use std::time::Instant;

/// Measures `operation` in batches of `per_batch`; median nanoseconds of one.
pub fn median_ns(batches: usize, per_batch: u32, mut operation: impl FnMut()) -> f64 {
    let mut times: Vec<f64> = (0..batches)
        .map(|_| {
            let start = Instant::now();
            for _ in 0..per_batch {
                operation();
            }
            start.elapsed().as_nanos() as f64 / f64::from(per_batch)
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn main() {
    let name = std::env::args().nth(1).unwrap_or_default();
    let ns = match name.as_str() {
        "getppid" => syscalls::getppid(),
        "getppid-trap" => syscalls::getppid_trap(),
        "clock" => syscalls::clock(),
        "write-null" => syscalls::write_null(),
        "read-zero" => syscalls::read_zero(),
        "pread-4k" => syscalls::pread_4k(),
        "stat" => syscalls::stat(),
        "open-close" => syscalls::open_close(),
        "pipe-pingpong" => process::pipe_pingpong(),
        "futex-pingpong" => process::futex_pingpong(),
        "mmap-touch-munmap" => memory::mmap_touch_munmap(),
        "page-fault" => memory::page_fault(),
        "fork" => process::fork_wait(),
        "fork-100mb" => process::fork_100mb(),
        "vfork-exec" => process::vfork_exec(),
        "cpu" => memory::cpu(),
        // What `vfork-exec` runs.
        "nothing" => return,
        // An idle sandbox, for measuring its memory: tells that it is up, then sleeps.
        "idle" => {
            println!("idle");
            std::thread::sleep(std::time::Duration::from_secs(3600));
            return;
        }
        other => {
            eprintln!("bench-guest: unknown measurement \"{other}\"");
            std::process::exit(2);
        }
    };
    println!("{ns:.1}");
}
