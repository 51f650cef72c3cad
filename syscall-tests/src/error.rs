//! What can keep the runner itself from working; each message names the thing, the reason and the way out.

use std::fmt;
use std::path::Path;

/// A failure of the runner, as one line for the user.
#[derive(Debug)]
pub struct Error(pub String);

/// The result of everything here that can fail.
pub type Result<T> = std::result::Result<T, Error>;

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

/// Says what was being done to which path when an operation failed.
pub trait Context<T> {
    /// Adds "cannot ACTION PATH" to the error.
    fn at(self, action: &str, path: &Path) -> Result<T>;
}

impl<T, E: fmt::Display> Context<T> for std::result::Result<T, E> {
    fn at(self, action: &str, path: &Path) -> Result<T> {
        self.map_err(|e| Error(format!("cannot {action} {}: {e}", path.display())))
    }
}
