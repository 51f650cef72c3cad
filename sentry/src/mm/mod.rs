//! Guest memory: the list of what is mapped where, the calls that change it, and access to guest bytes.

pub mod user;

/// What is mapped where in one address space. The memory itself is the stub's; this list is for accuracy, not for safety.
pub struct MemoryMap {}

impl MemoryMap {
    /// The list for a forked address space; the host made the copy of the memory itself.
    pub fn fork(&self) -> std::sync::Arc<MemoryMap> {
        std::sync::Arc::new(MemoryMap {})
    }
}
