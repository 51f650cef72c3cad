//! Mappings, page faults, and work that needs no kernel.

use std::time::Instant;

use crate::median_ns;

const PAGE: usize = 4096;

fn map(len: usize) -> *mut u8 {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: asks for new memory at a place of the kernel's choice.
    let address = unsafe { libc::mmap(std::ptr::null_mut(), len, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0) };
    assert_ne!(address, libc::MAP_FAILED);
    address.cast()
}

fn unmap(address: *mut u8, len: usize) {
    // SAFETY: exactly what `map` gave, and nothing refers to it any more.
    unsafe { libc::munmap(address.cast(), len) };
}

/// Maps 64 KiB, writes its first byte, unmaps it.
pub fn mmap_touch_munmap() -> f64 {
    const LEN: usize = 64 << 10;
    median_ns(201, 50, || {
        let memory = map(LEN);
        // SAFETY: inside the new mapping.
        unsafe { memory.write_volatile(1) };
        unmap(memory, LEN);
    })
}

/// The first write to a page of anonymous memory.
pub fn page_fault() -> f64 {
    const PAGES: usize = 4096;
    let mut times: Vec<f64> = (0..21)
        .map(|_| {
            let memory = map(PAGES * PAGE);
            // SAFETY: the whole new mapping; small pages, so that each write is a fault of its own.
            unsafe { libc::madvise(memory.cast(), PAGES * PAGE, libc::MADV_NOHUGEPAGE) };
            let start = Instant::now();
            for page in 0..PAGES {
                // SAFETY: inside the mapping.
                unsafe { memory.add(page * PAGE).write_volatile(1) };
            }
            let ns = start.elapsed().as_nanos() as f64 / PAGES as f64;
            unmap(memory, PAGES * PAGE);
            ns
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// A million rounds of arithmetic that stays in registers and the first-level cache.
pub fn cpu() -> f64 {
    let table: Vec<u64> = (0..1024).map(|n| n * 0x9e37_79b9_7f4a_7c15).collect();
    let mut state = 1_u64;
    median_ns(51, 1, || {
        for round in 0..1_000_000_u64 {
            state = state.rotate_left(7) ^ table[(state & 1023) as usize].wrapping_add(round);
        }
        std::hint::black_box(state);
    })
}
