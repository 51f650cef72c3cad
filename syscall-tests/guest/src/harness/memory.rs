//! Memory for cases: pages with an unmapped page behind them, addresses that are always bad.

use crate::harness::T;

/// An address that no process can have mapped: in the kernel's half.
pub const KERNEL: usize = 0xffff_8880_0000_0000;
/// An address between the two halves.
pub const NONCANONICAL: usize = 0x8000_0000_0000_0000;
/// A page.
pub const PAGE: usize = 4096;

/// `pages` readable and writable pages, followed by one without any access: what lies behind must not matter.
pub fn pages(t: &T, pages: usize) -> usize {
    let addr = must!(t, mmap(0, (pages + 1) * PAGE, 3, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0)) as usize;
    must!(t, mprotect(addr + pages * PAGE, PAGE, 0));
    addr
}

/// An address that was mapped a moment ago and is not any more.
pub fn unmapped(t: &T) -> usize {
    let addr = pages(t, 16);
    must!(t, munmap(addr, 16 * PAGE));
    addr + 8 * PAGE
}

/// The address of `len` usable bytes which end where a page without any access begins.
pub fn edge(t: &T, len: usize) -> usize {
    let usable = len.div_ceil(PAGE);
    pages(t, usable) + usable * PAGE - len
}

/// A page that can be read but not written, filled with `fill`.
pub fn readonly(t: &T, fill: u8) -> usize {
    let addr = pages(t, 1);
    fill_bytes(addr, &[fill; PAGE]);
    must!(t, mprotect(addr, PAGE, 1));
    addr
}

/// Reads a plain value at an address of the case's own making.
pub fn peek<V: Copy>(addr: usize) -> V {
    // SAFETY: the caller mapped the address; `V` is plain data.
    unsafe { std::ptr::read_volatile(addr as *const V) }
}

/// Writes a plain value at an address of the case's own making.
pub fn poke<V: Copy>(addr: usize, value: V) {
    // SAFETY: the caller mapped the address writable.
    unsafe { std::ptr::write_volatile(addr as *mut V, value) }
}

/// Copies bytes to an address of the case's own making.
pub fn fill_bytes(addr: usize, bytes: &[u8]) {
    // SAFETY: the caller mapped at least that many bytes there.
    unsafe { std::ptr::copy(bytes.as_ptr(), addr as *mut u8, bytes.len()) }
}

/// The bytes at an address of the case's own making.
pub fn bytes_at(addr: usize, len: usize) -> Vec<u8> {
    // SAFETY: the caller mapped at least that many bytes there.
    unsafe { std::slice::from_raw_parts(addr as *const u8, len) }.to_vec()
}

/// A value of all zero bytes, for plain C structures.
pub fn zeroed<V: Copy>() -> V {
    // SAFETY: used for C structures of integers and pointers only, for which zero is a value.
    unsafe { std::mem::zeroed() }
}

/// The bytes of a plain C structure.
pub fn as_bytes<V: Copy>(value: &V) -> &[u8] {
    // SAFETY: the structure lives as long as the slice; padding is only compared after being zeroed.
    unsafe { std::slice::from_raw_parts(std::ptr::from_ref(value).cast(), size_of::<V>()) }
}
