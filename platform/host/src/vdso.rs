//! Where the host's vDSO and its data pages lie in this process.

use abi::{Errno, PAGE_SIZE};

/// Page-aligned address ranges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vdso {
    /// First of its data pages (`[vvar]`), which lie directly before the code.
    pub data: u64,
    /// The ELF header.
    pub code: u64,
    /// One past the last page.
    pub end: u64,
}

/// Finds it without `/proc`: `None` when the host has none.
pub fn find() -> Option<Vdso> {
    // SAFETY: takes a number.
    let code = unsafe { libc::getauxval(libc::AT_SYSINFO_EHDR) };
    if code == 0 || code % PAGE_SIZE != 0 {
        return None;
    }
    let mut header = [0; 64];
    if read_self(code, &mut header) != Ok(header.len()) || &header[..4] != b"\x7fELF" {
        return None;
    }
    let field = |at: usize| u64::from(u16::from_le_bytes([header[at], header[at + 1]]));
    // The section headers are the last thing in the image.
    let sections = u64::from_le_bytes(header[40..48].try_into().ok()?);
    let len = abi::page_up(sections.checked_add(field(58) * field(60))?)?;
    let mut data = code;
    // Data pages are mapped, but as raw page frames: nobody can read them from outside. What else may lie below (the
    // stack) can be read.
    for _ in 0..16 {
        let page = data - PAGE_SIZE;
        if !is_mapped(page) || read_self(page, &mut [0]).is_ok() {
            break;
        }
        data = page;
    }
    Some(Vdso { data, code, end: code.checked_add(len)? })
}

fn read_self(addr: u64, buf: &mut [u8]) -> Result<usize, Errno> {
    crate::process_memory::read(nix::unistd::getpid().as_raw(), addr, buf)
}

fn is_mapped(page: u64) -> bool {
    let mut resident = 0u8;
    // SAFETY: writes one byte to `resident`; the address is only looked up.
    unsafe { libc::mincore(page as *mut libc::c_void, PAGE_SIZE as usize, &raw mut resident) == 0 }
}
