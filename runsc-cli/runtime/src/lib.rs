//! Makes sandboxes: starts the gofer and the sentry in their jails, passes signals and the result through, enforces limits.
//!
//! The caller's process stays outside of the sandbox. It forks the gofer and the sentry (see [`host::launch`]), each of which
//! drops to its final rights before it looks at anything that the guest controls, and then waits on the control socket.
#![forbid(unsafe_code)]

pub mod control;
pub mod doctor;
pub mod environment;
pub mod error;
pub mod filter;
pub mod jail;
pub mod limits;
mod log;
pub mod options;
pub mod rootfs;
pub mod run;
mod sentry_role;

pub use error::Error;
pub use options::RunOptions;
