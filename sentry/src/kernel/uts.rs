//! Names that `uname` gives (`man 2 uname`).

use parking_lot::Mutex;

/// The release that the kernel says it is: the one whose system-call table it follows.
pub const RELEASE: &str = "6.18.0";
/// `uname -v`
pub const VERSION: &str = "#1 SMP PREEMPT_DYNAMIC sandbox";
/// Longest host or domain name, in bytes (`HOST_NAME_MAX`).
pub const NAME_MAX: usize = 64;

/// Host and domain name of the sandbox.
pub struct Uts {
    hostname: Mutex<Vec<u8>>,
    domainname: Mutex<Vec<u8>>,
}

impl Default for Uts {
    fn default() -> Uts {
        Uts { hostname: Mutex::new(b"sandbox".to_vec()), domainname: Mutex::new(b"(none)".to_vec()) }
    }
}

impl Uts {
    /// Host name.
    pub fn hostname(&self) -> Vec<u8> {
        self.hostname.lock().clone()
    }
    /// NIS domain name.
    pub fn domainname(&self) -> Vec<u8> {
        self.domainname.lock().clone()
    }
    /// Replaces the host name; what is longer than [`NAME_MAX`] is cut.
    pub fn set_hostname(&self, name: &[u8]) {
        *self.hostname.lock() = name[..name.len().min(NAME_MAX)].to_vec();
    }
    /// Replaces the domain name.
    pub fn set_domainname(&self, name: &[u8]) {
        *self.domainname.lock() = name[..name.len().min(NAME_MAX)].to_vec();
    }
}
