//! What every platform must do, as test cases over `dyn Platform`: each platform's integration test runs them all.
//!
//! Guests are a few bytes of machine code at [`guest::CODE`], mapped and started through the hands. A case is a function
//! that panics when its claim (its name) does not hold.
#![forbid(unsafe_code)]

mod faults;
mod files;
mod guest;
mod life;
mod memory;
mod run;
mod stress;
mod threads;
mod xstate;

pub use guest::{CODE, DATA, Guest, wait_event};

use platform::Platform;
use std::sync::Arc;
use std::time::Instant;

/// A named claim about platforms.
pub type Case = (&'static str, fn(&dyn Platform));

/// Every case, in an order from simple to involved.
pub fn cases() -> Vec<Case> {
    [run::CASES, memory::CASES, files::CASES, faults::CASES, threads::CASES, xstate::CASES, life::CASES, stress::CASES]
        .concat()
}

/// Runs the cases whose name contains one of the program's arguments (all when there is none) and prints a line each.
///
/// # Panics
/// When a case fails.
pub fn run_all(platform: Arc<dyn Platform>) {
    let filters: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let mut run = 0;
    for (name, case) in cases() {
        if !filters.is_empty() && !filters.iter().any(|f| name.contains(f.as_str())) {
            continue;
        }
        let start = Instant::now();
        print!("{}: {name} ... ", platform.name());
        case(&*platform);
        println!("ok ({:.1} ms)", start.elapsed().as_secs_f64() * 1e3);
        run += 1;
    }
    println!("{run} cases passed on {}", platform.name());
}
