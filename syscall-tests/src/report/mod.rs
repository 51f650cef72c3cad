//! How results are shown: progress while it runs, then a table, JSON lines or JUnit XML.

pub mod human;
pub mod json;
pub mod junit;

use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicUsize, Ordering};

/// A counter on a terminal; silent elsewhere.
pub struct Progress {
    total: usize,
    done: AtomicUsize,
    target: String,
    shown: bool,
}

impl Progress {
    /// Starts at 0 of `total`.
    pub fn new(total: usize, target: &str) -> Progress {
        Progress { total, done: AtomicUsize::new(0), target: target.to_owned(), shown: std::io::stderr().is_terminal() }
    }

    /// One more case has ended.
    pub fn step(&self, case: &str) {
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        if self.shown {
            let name: String = case.chars().take(60).collect();
            let _ = write!(std::io::stderr(), "\r\x1b[K{}: {done}/{} {name}", self.target, self.total);
        }
    }

    /// Clears the line.
    pub fn end(&self) {
        if self.shown {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}
