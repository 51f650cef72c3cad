//! Not there yet.
pub fn run(_: &crate::harness::T, _: &str) {}
