//! The gofer: a jailed process that looks files up and opens them for the sentry.
//!
//! [`serve`] answers the requests of one client (`gofer_proto::Client`, in the sentry) for one container: its root file
//! system and its volumes, the *attach points*. [`jail`] takes away, before that, everything else that the process could
//! do. One thread, no locks: a request is decoded ([`server`]), its nodes are found ([`node`]), a name is looked up beneath
//! a directory descriptor and never through a link ([`resolve`]), [`mask`] says what is hidden, and the answer goes back.
//!
//! The client is taken for hostile: it may name any node and any bytes. What it can never get is a file outside the attach
//! points, a hidden path, a device, a directory's descriptor (from which `..` leads around all of this), or a descriptor
//! for writing to a read-only attach point.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod attributes;
mod change;
mod config;
mod filter;
mod jail;
mod list;
mod mask;
mod node;
mod open;
mod resolve;
mod server;

pub use config::{AttachPoint, Config, Mutability, PseudoFiles};
pub use jail::{Identity, JailError, NAMESPACES, jail};
pub use server::{ServeError, serve};
