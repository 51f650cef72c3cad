//! Errors as a user sees them: the thing, the reason, the way out, and the exit code.

/// Exit code for our own failures, as docker has it.
pub const EXIT_OURS: u8 = 125;
/// Exit code for a program that cannot be executed.
pub const EXIT_NOT_EXECUTABLE: u8 = 126;
/// Exit code for a program that does not exist.
pub const EXIT_NOT_FOUND: u8 = 127;

/// A failure that ends the run.
#[derive(Debug, Clone, thiserror::Error, serde::Serialize, serde::Deserialize)]
#[error("{message}")]
pub struct Error {
    /// A sentence: what, why, and what to do.
    pub message: String,
    /// What the command exits with.
    pub exit_code: u8,
}

impl Error {
    /// A failure of the sandbox itself (125).
    pub fn new(message: impl Into<String>) -> Error {
        Error { message: message.into(), exit_code: EXIT_OURS }
    }

    /// The program `name` could not be started.
    pub fn program(name: &str, errno: abi::Errno) -> Error {
        use abi::Errno;
        let (exit_code, reason) = match errno {
            Errno::ENOENT => (EXIT_NOT_FOUND, "no such file in the sandbox (check the path, --rootfs and --volume)"),
            Errno::ENOTDIR => (EXIT_NOT_FOUND, "a part of the path is not a directory"),
            Errno::EACCES => (EXIT_NOT_EXECUTABLE, "permission denied (is it executable for the chosen --user?)"),
            Errno::ENOEXEC => (EXIT_NOT_EXECUTABLE, "not an x86-64 Linux program, or a damaged one"),
            Errno::EISDIR => (EXIT_NOT_EXECUTABLE, "it is a directory"),
            Errno::ELIBBAD => (EXIT_NOT_EXECUTABLE, "its ELF interpreter is damaged"),
            Errno::ENOMEM => (EXIT_NOT_EXECUTABLE, "it needs more memory than there is (see --memory)"),
            other => (EXIT_NOT_EXECUTABLE, other.name().unwrap_or("unknown error")),
        };
        Error { message: format!("cannot run \"{name}\": {reason}"), exit_code }
    }
}
