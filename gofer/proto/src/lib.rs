//! The protocol between the sentry and the gofer: messages, their encoding, the two transports, and the client.
//!
//! A [`Connection`] is a packet socket and a piece of shared memory; [`Connection::pair`] makes the two ends. The sentry
//! gives its end to a [`Client`]. A call encodes a [`Request`], puts it into a free slot of the memory, spins or sleeps
//! until the answer stands there, decodes and *checks* it. Descriptors come by the socket, each in a packet that names the
//! call it belongs to, and are in the queue before the answer is published. Where there is no shared memory the same bytes
//! travel in packets.
//!
//! Each side takes the other for hostile: bytes are copied out of the shared memory once, lengths and names are checked,
//! and an answer that breaks the rules is EIO.
//!
//! Lock order: the client's inbox is the only lock.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod attr;
mod channel;
mod client;
mod connection;
mod message;
mod name;
mod patience;
mod validate;

pub use attr::{Attr, Device, Time};
pub use channel::{MAX_MESSAGE, SLOTS, ServerChannel};
pub use client::{Chunk, Client, Opened};
pub use connection::{Connection, Packet};
pub use host::metadata::FileType;
pub use message::{
    Access, AttachInfo, Cursor, Entry, Found, Kinds, NewNode, NodeId, Owner, Reply, Request, SetAttr, SetTime, Statfs,
    SyncKind, Walked, decode, encode,
};
pub use name::{NAME_MAX, PATH_MAX, WALK_MAX, check_name, components, to_c_string};
pub use patience::Patience;
