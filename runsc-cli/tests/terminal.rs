//! A terminal passes through: its size, its keys, its modes, job control inside and outside.

mod census;

use std::path::Path;
use std::process::Command;

use census::{Census, PLATFORMS, SANDBOX};

/// Runs a case of `terminal.py` (which says what is typed and expected) on each platform.
fn at_a_terminal(case: &str) {
    let census = Census::begin();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/terminal.py");
    for platform in PLATFORMS {
        let mut python = Command::new("python3");
        python.arg(&script).arg(case).args([SANDBOX, "run", "--platform", platform, "--"]);
        let output = python.output().expect("python3");
        let message = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{case} on {platform}: {message}");
        census.nobody_is_left();
    }
}

#[test]
fn the_window_has_its_size_and_changes_are_told() {
    at_a_terminal("window_size");
}

#[test]
fn keys_interrupt_the_program() {
    at_a_terminal("interrupt");
}

#[test]
fn raw_mode_works_and_ends_with_the_run() {
    at_a_terminal("raw_mode");
}

#[test]
fn a_shell_inside_has_job_control() {
    at_a_terminal("job_control");
}

#[test]
fn a_shell_outside_can_stop_and_continue_the_run() {
    at_a_terminal("stop");
}

#[test]
fn end_of_file_is_a_key() {
    at_a_terminal("end_of_file");
}
