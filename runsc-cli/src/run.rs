//! `sandbox run`

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use runtime::options::{Overlay, PlatformKind, RunOptions, Volume};
use runtime::{Error, environment, rootfs};

/// Options of `sandbox run`.
#[derive(Args)]
pub struct Run {
    /// How guest code runs
    #[arg(long, value_enum, default_value = "systrap")]
    platform: PlatformArg,
    /// Root file system [default: the host's own, with homes, /run and the state of services hidden]
    #[arg(long, value_name = "DIR")]
    rootfs: Option<PathBuf>,
    /// Where writes go: memory (they vanish), none (to the host's files), dir=PATH
    #[arg(long, default_value = "memory", value_parser = parse_overlay)]
    overlay: Overlay,
    /// Show a host directory or file inside (repeatable)
    #[arg(long = "volume", value_name = "SRC:DST[:ro]", value_parser = rootfs::parse_volume)]
    volumes: Vec<Volume>,
    /// Working directory inside [default: the present one with the host's root, else /]
    #[arg(long, value_name = "DIR")]
    workdir: Option<PathBuf>,
    /// Set a variable, or copy the caller's with K alone (repeatable)
    #[arg(long = "env", value_name = "K[=V]")]
    env: Vec<String>,
    /// Read variables from a file, one K=V a line (repeatable)
    #[arg(long, value_name = "FILE")]
    env_file: Vec<PathBuf>,
    /// Do not pass the caller's environment
    #[arg(long)]
    clear_env: bool,
    /// User and group inside, as numbers
    #[arg(long, value_name = "UID[:GID]", value_parser = parse_user)]
    user: Option<(u32, u32)>,
    /// Host name inside
    #[arg(long, value_name = "NAME")]
    hostname: Option<String>,
    /// Network: none has a loopback interface only
    #[arg(long, value_enum, default_value = "none")]
    #[allow(dead_code, reason = "there is one choice so far; naming another is an error of clap's")]
    network: NetworkArg,
    /// Most memory for the whole sandbox: bytes, or with K, M, G
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    memory: Option<u64>,
    /// Most tasks (processes and threads) at a time
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pids: Option<u64>,
    /// Most CPU time per wall time, in CPUs (0.5, 2)
    #[arg(long, value_name = "N", value_parser = parse_cpus)]
    cpus: Option<f64>,
    /// Most wall time: seconds, or with ms, s, m, h
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    timeout: Option<Duration>,
    /// Use no rights of root [default: when not root]
    #[arg(long)]
    rootless: bool,
    /// Print system calls to the log: all, or those named (comma-separated)
    #[arg(long, value_name = "CALLS", num_args = 0..=1, require_equals = true, default_missing_value = "all")]
    strace: Option<String>,
    /// Where the log goes [default: stderr]
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// How much is logged
    #[arg(long, value_enum, default_value = "warn")]
    log_level: LevelArg,
    /// The program and its arguments
    #[arg(last = true, required = true, value_name = "PROGRAM")]
    command: Vec<OsString>,
}

#[derive(Clone, Copy, ValueEnum)]
enum PlatformArg {
    Systrap,
    Ptrace,
}

#[derive(Clone, Copy, ValueEnum)]
enum NetworkArg {
    None,
}

#[derive(Clone, Copy, ValueEnum)]
enum LevelArg {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl Run {
    /// Runs the program; the exit code of the command.
    pub fn execute(self) -> Result<u8, Error> {
        runtime::run::run(&self.into_options()?)
    }

    fn into_options(self) -> Result<RunOptions, Error> {
        let inherited =
            (!self.clear_env).then(|| std::env::vars_os().map(|(k, v)| (k.into_vec(), v.into_vec())).collect());
        Ok(RunOptions {
            environment: environment::assemble(inherited, &self.env_file, &self.env)?,
            command: self.command.into_iter().map(OsString::into_vec).collect(),
            platform: match self.platform {
                PlatformArg::Systrap => PlatformKind::Systrap,
                PlatformArg::Ptrace => PlatformKind::Ptrace,
            },
            rootfs: self.rootfs,
            overlay: self.overlay,
            volumes: self.volumes,
            workdir: self.workdir,
            user: self.user,
            hostname: self.hostname,
            memory: self.memory,
            pids: self.pids.map(|n| n as usize),
            cpus: self.cpus,
            timeout: self.timeout,
            rootless: self.rootless,
            strace: self.strace.map(|calls| calls.split(',').map(str::to_owned).collect()),
            log: self.log,
            log_level: match self.log_level {
                LevelArg::Error => "error",
                LevelArg::Warn => "warn",
                LevelArg::Info => "info",
                LevelArg::Debug => "debug",
                LevelArg::Trace => "trace",
            }
            .into(),
        })
    }
}

fn parse_overlay(text: &str) -> Result<Overlay, String> {
    match text {
        "memory" => Ok(Overlay::Memory),
        "none" => Ok(Overlay::None),
        _ => match text.strip_prefix("dir=") {
            Some(path) if !path.is_empty() => Ok(Overlay::Directory(path.into())),
            _ => Err("choose memory, none or dir=PATH".into()),
        },
    }
}

fn parse_user(text: &str) -> Result<(u32, u32), String> {
    let (uid, gid) = text.split_once(':').unwrap_or((text, text));
    let number = |part: &str| part.parse().map_err(|_| format!("\"{part}\" is not a number; names are not looked up"));
    Ok((number(uid)?, number(gid)?))
}

fn parse_size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        unit => return Err(format!("\"{unit}\" is no unit; use K, M or G (powers of 1024)")),
    };
    let count: u64 = digits.parse().map_err(|_| format!("\"{digits}\" is not a whole number"))?;
    count.checked_mul(1 << shift).filter(|&bytes| bytes > 0).ok_or_else(|| "out of range".into())
}

fn parse_cpus(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(cpus) if cpus.is_finite() && cpus >= 0.01 => Ok(cpus),
        _ => Err("give a number of CPUs, 0.01 or more".into()),
    }
}

fn parse_time(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let scale = match &text[digits.len()..] {
        "" | "s" => 1.0,
        "ms" => 0.001,
        "m" => 60.0,
        "h" => 3600.0,
        unit => return Err(format!("\"{unit}\" is no unit; use ms, s, m or h")),
    };
    match digits.parse::<f64>() {
        Ok(count) if count > 0.0 && count * scale < 1e9 => Ok(Duration::from_secs_f64(count * scale)),
        _ => Err("give a positive time".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times_have_units() {
        assert_eq!(parse_size("64M").unwrap(), 64 << 20);
        assert_eq!(parse_size("1000").unwrap(), 1000);
        assert!(parse_size("0").is_err() && parse_size("x").is_err() && parse_size("1T").is_err());
        assert_eq!(parse_time("1.5s").unwrap(), Duration::from_millis(1500));
        assert_eq!(parse_time("2m").unwrap(), Duration::from_secs(120));
        assert!(parse_time("-1").is_err() && parse_time("1d").is_err());
    }

    #[test]
    fn a_user_without_group_gets_the_same_number() {
        assert_eq!(parse_user("1000").unwrap(), (1000, 1000));
        assert_eq!(parse_user("1:2").unwrap(), (1, 2));
        assert!(parse_user("root").is_err());
    }
}
