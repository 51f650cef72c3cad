//! What the stub and the sentry agree on: addresses, the window's layout, operations.
//!
//! The stub itself (`blob.rs` and its modules) is not part of this library: `platform/systrap/build.rs` compiles it
//! freestanding, without SSE, links it at [`layout::TEXT`] and embeds the bytes in the sentry.
#![no_std]
#![forbid(unsafe_code)]

pub mod layout;
pub mod window;
