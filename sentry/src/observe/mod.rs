//! What the outside can see of the kernel: traced calls, and a count of calls that were asked for and are not there.

mod strace;

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

pub use strace::Traced;

/// Observers of one kernel.
#[derive(Default)]
pub struct Observe {
    traced: OnceLock<Filter>,
    unknown: Mutex<BTreeMap<u64, u64>>,
    refused_tasks: AtomicU64,
}

/// Which calls are traced.
#[derive(Debug)]
enum Filter {
    All,
    Numbers(Vec<u64>),
}

impl Observe {
    /// Traces all calls (`all`) or those named; names that Linux does not know are ignored with a warning.
    pub fn trace(&self, calls: Option<&[String]>) {
        let Some(calls) = calls else { return };
        let filter = if calls.iter().any(|name| name == "all") {
            Filter::All
        } else {
            let numbers = calls.iter().filter_map(|name| {
                let call = abi::table::by_name(name);
                if call.is_none() {
                    tracing::warn!("--strace: Linux has no system call named \"{name}\"");
                }
                call.map(|call| u64::from(call.number))
            });
            Filter::Numbers(numbers.collect())
        };
        let _ = self.traced.set(filter);
    }

    /// Whether this call is traced.
    pub fn traces(&self, number: u64) -> bool {
        match self.traced.get() {
            None => false,
            Some(Filter::All) => true,
            Some(Filter::Numbers(numbers)) => numbers.contains(&number),
        }
    }

    /// Counts a task that was refused for the sandbox's limit of tasks.
    pub fn task_limit_reached(&self) {
        self.refused_tasks.fetch_add(1, Ordering::Relaxed);
    }

    /// How many tasks were refused for that.
    pub fn refused_tasks(&self) -> u64 {
        self.refused_tasks.load(Ordering::Relaxed)
    }

    /// Counts a call that is not implemented.
    pub fn count_unknown(&self, number: u64) {
        *self.unknown.lock().entry(number).or_default() += 1;
    }

    /// The calls that were asked for and are not there: name and count, most often first.
    pub fn unknown_calls(&self) -> Vec<(String, u64)> {
        let mut calls: Vec<(String, u64)> = self
            .unknown
            .lock()
            .iter()
            .map(|(&number, &count)| {
                let name =
                    abi::table::by_number(number).map_or_else(|| format!("#{number}"), |call| call.name.to_owned());
                (name, count)
            })
            .collect();
        calls.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        calls
    }
}
