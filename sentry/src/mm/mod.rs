//! Guest memory: the list of what is mapped where, the calls that change it, and access to guest bytes.

pub mod user;

/// What is mapped where in one address space. The memory itself is the stub's; this list is for accuracy, not for safety.
pub struct MemoryMap {}
