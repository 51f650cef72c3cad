//! What each task does.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::process::Command;

use crate::packages;

/// The target that `.cargo/config.toml` names.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Builds the release and runs it.
pub fn run(arguments: &[OsString]) -> Result<(), String> {
    build()?;
    execute(Command::new(sandbox()).arg("run").args(arguments))
}

/// Builds the release binary.
pub fn build() -> Result<(), String> {
    packages::install(packages::BUILD)?;
    cargo(["build", "--release", "--quiet", "--package", "runsc-cli"])
}

/// Formats, or checks the format.
pub fn format(check: bool) -> Result<(), String> {
    match check {
        true => cargo(["fmt", "--all", "--check"]),
        false => cargo(["fmt", "--all"]),
    }
}

/// Lints with warnings denied.
pub fn lint() -> Result<(), String> {
    packages::install(packages::BUILD)?;
    cargo(["clippy", "--workspace", "--all-targets", "--quiet", "--", "--deny", "warnings"])
}

/// Everything that must pass.
pub fn test() -> Result<(), String> {
    packages::install(packages::TESTS)?;
    format(true)?;
    lint()?;
    cargo(["test", "--workspace", "--no-fail-fast"])?;
    written_cases()
}

/// The cases written by hand, on both platforms, with what the tests have built. Those derived from the call table (`matrix/`)
/// are many more: `cargo xtask conformance` runs them all.
fn written_cases() -> Result<(), String> {
    const NOT_DERIVED: &str = "^([^m]|m[^a])";
    let mut command = Command::new(env_cargo());
    command.args([
        "run",
        "--quiet",
        "--package",
        "syscall-tests",
        "--",
        "--platform",
        "systrap,ptrace",
        "--filter",
        NOT_DERIVED,
    ]);
    command.arg("--sandbox").arg(built("debug"));
    execute(&mut command)
}

/// The conformance runner against the release binary.
pub fn conformance(arguments: &[OsString]) -> Result<(), String> {
    build()?;
    let mut command = Command::new(env_cargo());
    command
        .args(["run", "--release", "--quiet", "--package", "syscall-tests", "--", "--sandbox"])
        .arg(sandbox())
        .args(arguments);
    execute(&mut command)
}

/// The bench against the release binary.
pub fn bench(arguments: &[OsString]) -> Result<(), String> {
    build()?;
    let mut command = Command::new(env_cargo());
    command
        .args(["run", "--release", "--quiet", "--package", "bench", "--", "--sandbox"])
        .arg(sandbox())
        .args(arguments);
    execute(&mut command)
}

fn sandbox() -> PathBuf {
    built("release")
}

fn built(profile: &str) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from);
    target.join(TARGET).join(profile).join("sandbox")
}

fn env_cargo() -> OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

fn cargo<const N: usize>(arguments: [&str; N]) -> Result<(), String> {
    execute(Command::new(env_cargo()).args(arguments))
}

fn execute(command: &mut Command) -> Result<(), String> {
    let name = command.get_program().to_owned();
    let shown = |name: &OsStr| PathBuf::from(name).display().to_string();
    let status = command.status().map_err(|error| format!("cannot run {}: {error}", shown(&name)))?;
    if status.success() {
        return Ok(());
    }
    let arguments: Vec<String> = command.get_args().map(|a| a.to_string_lossy().into_owned()).collect();
    Err(format!("{} {} failed", shown(&name), arguments.join(" ")))
}
