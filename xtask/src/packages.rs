//! Debian packages that building and testing need.

use std::process::Command;

/// For building.
pub const BUILD: &[&str] = &["gcc", "libc6-dev", "libseccomp-dev", "pkg-config", "binutils"];

/// For building and for the programs that the tests run.
pub const TESTS: &[&str] = &[
    "gcc",
    "libc6-dev",
    "libseccomp-dev",
    "pkg-config",
    "binutils",
    "busybox-static",
    "musl-tools",
    "make",
    "bash",
    "coreutils",
    "findutils",
    "grep",
    "sed",
    "gawk",
    "tar",
    "gzip",
    "xz-utils",
    "zstd",
    "perl",
    "python3",
    "git",
    "sqlite3",
    "nodejs",
    "golang-go",
    "default-jdk-headless",
    "bubblewrap",
    "runc",
    "runsc",
    "procps",
    "util-linux",
    "strace",
];

/// Installs those that are missing.
///
/// # Errors
/// When apt-get fails, or is not there.
pub fn install(packages: &[&str]) -> Result<(), String> {
    let missing: Vec<&str> = packages.iter().copied().filter(|package| !is_installed(package)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    eprintln!("installing {}", missing.join(" "));
    apt_get(&["update", "-qq"])?;
    let mut arguments = vec!["install", "-y", "-qq", "--no-install-recommends"];
    arguments.extend(&missing);
    apt_get(&arguments)
}

fn is_installed(package: &str) -> bool {
    if provided_otherwise(package) {
        return true;
    }
    let output = Command::new("dpkg-query").args(["-W", "-f", "${db:Status-Status}", package]).output();
    output.is_ok_and(|output| output.stdout == b"installed")
}

/// A machine may have these from elsewhere than Debian; then Debian's would only get in the way.
fn provided_otherwise(package: &str) -> bool {
    let program = match package {
        "nodejs" => "node",
        "git" => "git",
        "golang-go" => "go",
        "default-jdk-headless" => "javac",
        _ => return false,
    };
    let paths = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&paths).any(|directory| directory.join(program).is_file())
}

fn apt_get(arguments: &[&str]) -> Result<(), String> {
    let status = Command::new("apt-get")
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdout(std::process::Stdio::null())
        .status()
        .map_err(|error| format!("cannot run apt-get ({error}): install {arguments:?} by other means"))?;
    if status.success() { Ok(()) } else { Err(format!("apt-get {} failed; run as root", arguments.join(" "))) }
}
