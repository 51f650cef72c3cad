//! The log of a sandbox: a file opened before the jail, written to from inside it.

use std::fs::{File, OpenOptions};
use std::sync::Mutex;

use crate::{Error, RunOptions};

/// Opens the log file, if one was asked for.
///
/// # Errors
/// When it cannot be written.
pub fn open(options: &RunOptions) -> Result<Option<File>, Error> {
    let Some(path) = &options.log else { return Ok(None) };
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .map(Some)
        .map_err(|error| Error::new(format!("cannot write the log {path:?}: {error}; choose another place with --log")))
}

/// Sends what the process logs from now on to `file`, or to stderr.
pub fn start(options: &RunOptions, file: Option<File>) {
    let level = match options.log_level.as_str() {
        "error" => tracing::Level::ERROR,
        "info" => tracing::Level::INFO,
        "debug" => tracing::Level::DEBUG,
        "trace" => tracing::Level::TRACE,
        _ => tracing::Level::WARN,
    };
    // Traced calls are logged at `info`: asking for them is asking to see them.
    let level = if options.strace.is_some() { level.max(tracing::Level::INFO) } else { level };
    let builder = tracing_subscriber::fmt().with_max_level(level).with_ansi(false).with_target(false);
    match file {
        Some(file) => builder.with_writer(Mutex::new(file)).init(),
        None => builder.with_writer(std::io::stderr).without_time().init(),
    }
}
