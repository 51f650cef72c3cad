//! The handler of every host signal that guest code can cause, and of the interrupt.

use crate::entry;
use crate::layout::{INTERRUPT, RUN_LEN, SLOT, STACK_DELTA, STACKS, TEXT, WINDOWS, WINDOWS_LEN};
use crate::window::{Control, kind, reg};
use core::arch::asm;
use core::ptr;

/// From `Control::regs` to `uc_mcontext.gregs`.
static GREGS: [u8; 18] = [13, 11, 14, 12, 9, 8, 10, 15, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17];
const UC_GREGS: usize = 5;
const GREG_RIP: usize = UC_GREGS + 16;
const GREG_ERR: usize = UC_GREGS + 19;
const GREG_TRAPNO: usize = UC_GREGS + 20;
const FPSTATE: usize = UC_GREGS + 23;

const SIGTRAP: u32 = 5;
const SIGSYS: u32 = 31;

fn at(symbol: *const u8) -> u64 {
    symbol as u64
}

/// Runs on the signal stack, with the guest's state in the frame. Never returns to the kernel's restorer.
pub unsafe extern "C" fn on_signal(signal: u32, info: *const u32, context: *mut u64) -> ! {
    // SAFETY: `info` and `context` are the frame that the kernel has just written; the window follows from its address.
    unsafe {
        let base = (context as u64 & !(SLOT - 1)).wrapping_sub(STACK_DELTA);
        // A guest that has moved its signal stack harms itself only; slot 0 is mapped at least.
        let base = if base.wrapping_sub(WINDOWS) < WINDOWS_LEN { base } else { WINDOWS };
        let w = base as *mut Control;
        let gs_base: u64;
        asm!("rdgsbase {}", out(reg) gs_base, options(nomem, nostack, preserves_flags));
        asm!("wrgsbase {}", in(reg) base, options(nomem, nostack, preserves_flags));

        let rip = *context.add(GREG_RIP);
        let mut in_exit = false;
        if rip.wrapping_sub(TEXT) < RUN_LEN {
            let leaving = rip >= at(&raw const entry::exit_start) && rip < at(&raw const entry::exit_end);
            let fixed = if signal == INTERRUPT {
                ptr::write_volatile(&raw mut (*w).quiet.interrupted, 1);
                Some(if leaving { at(&raw const entry::exit_start) } else { rip })
            } else if signal == SIGTRAP {
                // Single steps through the stub do not count.
                Some(rip)
            } else if rip == at(&raw const entry::copy_insn) {
                Some(at(&raw const entry::copy_end))
            } else if rip >= at(&raw const entry::fault_begin) && rip < at(&raw const entry::fault_end) {
                Some(at(&raw const entry::fault_return))
            } else if rip == at(&raw const entry::frame_xrstor) {
                Some(at(&raw const entry::frame_xrstor_end))
            } else if rip == at(&raw const entry::nested_xrstor) {
                Some(at(&raw const entry::nested_xrstor_end))
            } else {
                None
            };
            if let Some(next) = fixed {
                *context.add(GREG_RIP) = next;
                entry::nested_return(context);
            }
            // The exit's last instruction refused its target: the guest's registers are still in the window.
            in_exit = leaving;
        }
        if !in_exit {
            let regs = (&raw mut (*w).regs).cast::<u64>();
            let mut i = 0;
            while i < GREGS.len() {
                ptr::write_volatile(regs.add(i), *context.add(UC_GREGS + *GREGS.as_ptr().add(i) as usize));
                i += 1;
            }
            let seen = if gs_base == base { 0 } else { gs_base };
            ptr::write_volatile(regs.add(reg::GS_BASE), seen);
        }
        ptr::write_volatile(&raw mut (*w).signal, signal);
        ptr::write_volatile(&raw mut (*w).code, *info.add(2) as i32);
        // SIGSYS: si_arch lies at 28; everything else: si_addr at 16.
        let address = if signal == SIGSYS { u64::from(*info.add(7)) } else { ptr::read_unaligned(info.add(4).cast()) };
        ptr::write_volatile(&raw mut (*w).fault_addr, address);
        ptr::write_volatile(&raw mut (*w).trapno, *context.add(GREG_TRAPNO));
        ptr::write_volatile(&raw mut (*w).error_code, *context.add(GREG_ERR));
        entry::leave_frame(w, *context.add(FPSTATE), u64::from(kind::SIGNAL));
    }
}

const _: () = assert!(reg::RFLAGS == 17 && STACKS > WINDOWS);
