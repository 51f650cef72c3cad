//! Copies what a call will need into the window before the hand-over: paths, structures, small buffers.
//!
//! The steps of each call come from the ABI crate's table, folded to four bytes each (`abi::table::prefetch`).

use crate::entry::copy_bytes;
use crate::layout::{DATA, PREFETCH, PREFETCH_MAX, PREFETCH_RANGE, PREFETCH_STRING};
use crate::window::{Control, Prefetched, reg};
use core::ptr;

static TABLE: &[u8] = include_bytes!(env!("PREFETCH_TABLE"));
const STEP: usize = 4;
const CALL: usize = STEP * PREFETCH_MAX;
/// Argument registers, in the order of the system call.
static ARGS: [u8; 8] = [5, 4, 3, 10, 8, 9, 9, 9];
const _: () =
    assert!(reg::RDI == 5 && reg::RSI == 4 && reg::RDX == 3 && reg::R10 == 10 && reg::R8 == 8 && reg::R9 == 9);

const STRING: u8 = 1;
const STRUCT: u8 = 2;
const BUFFER: u8 = 3;
const ARRAY: u8 = 4;

/// Does the steps of call `number`; returns how many ranges are in the list.
#[inline(always)]
pub unsafe fn prefetch(w: *mut Control, number: u64) -> u32 {
    let known = (TABLE.len() / CALL) as u64;
    if number >= known {
        return 0;
    }
    // SAFETY: within the table.
    unsafe {
        let steps = TABLE.as_ptr().add(number as usize * CALL);
        if *steps == 0 { 0 } else { run(w, steps) }
    }
}

#[inline(never)]
unsafe fn run(w: *mut Control, steps: *const u8) -> u32 {
    // SAFETY: `steps` is one row of the table; the list and the bytes lie in the window; copies from the guest's memory
    // have a fault fix-up.
    unsafe {
        let regs = (&raw const (*w).regs).cast::<u64>();
        let arg = |index: u8| ptr::read_volatile(regs.add(*ARGS.as_ptr().add((index & 7) as usize) as usize));
        let list = w.cast::<u8>().add((DATA + PREFETCH) as usize);
        let mut offset = (PREFETCH_MAX * size_of::<Prefetched>()) as u64;
        let mut count = 0;
        let mut i = 0;
        while i < PREFETCH_MAX {
            let step = steps.add(i * STEP);
            i += 1;
            let (action, args) = (*step, *step.add(1));
            let size = u64::from(*step.add(2)) | u64::from(*step.add(3)) << 8;
            if action == 0 {
                break;
            }
            let address = arg(args & 15);
            let len = match action {
                STRING => (0x1000 - (address & 0xfff)).min(PREFETCH_STRING),
                STRUCT => size,
                BUFFER => arg(args >> 4),
                ARRAY => arg(args >> 4).wrapping_mul(size),
                _ => 0,
            };
            if address == 0 || len == 0 || len > PREFETCH_RANGE {
                continue;
            }
            let left = copy_bytes(list as u64 + offset, address, len);
            let done = len - left;
            let entry = Prefetched { address, len: done as u32, offset: offset as u32 };
            ptr::write_volatile(list.cast::<Prefetched>().add(count), entry);
            offset += (done + 7) & !7;
            count += 1;
        }
        count as u32
    }
}

const _: () = assert!(PREFETCH_MAX as u64 * (PREFETCH_RANGE + 8 + 16) <= crate::layout::PREFETCH_LEN);
