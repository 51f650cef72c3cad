//! The x86-64 signal frame: building it for a handler and reading it back (`arch/x86/kernel/signal_64.c`).

use abi::signal::{SigAction, SigAltStack, SigInfo, SigSet, Signal};
use platform::{Fault, Regs};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::action::ActionFlags;
use super::{DISABLED_STACK, SS_AUTODISARM, force_signal, set_mask};
use crate::task::Current;
use crate::{Errno, SysResult};

/// Bytes below the stack pointer that belong to the interrupted function.
const RED_ZONE: u64 = 128;
/// `UC_FP_XSTATE | UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS`
const UC_FLAGS: u64 = 0x7;
const UC_STRICT_RESTORE_SS: u64 = 0x4;
const LAST_USER_ADDRESS: u64 = (1 << 47) - 1;
/// `__USER_CS` and `__USER_DS` (the stack segment) of a 64-bit program.
const USER_CS: u16 = 0x33;
const USER_SS: u16 = 0x2b;

const FLAG_TF: u64 = 0x100;
const FLAG_DF: u64 = 0x400;
const FLAG_RF: u64 = 0x1_0000;
/// The flags that a frame may set (`FIX_EFLAGS`): AC OF DF TF SF ZF AF PF CF RF.
const FLAGS_FROM_FRAME: u64 = 0x4_0000 | 0x800 | FLAG_DF | FLAG_TF | 0x80 | 0x40 | 0x10 | 0x4 | 0x1 | FLAG_RF;

/// `struct rt_sigframe` without the `siginfo` at its end.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct Frame {
    /// Where the handler returns to: `sa_restorer`.
    pretcode: u64,
    uc_flags: u64,
    uc_link: u64,
    uc_stack: SigAltStack,
    context: SigContext,
    uc_sigmask: SigSet,
}

/// `struct sigcontext_64`
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct SigContext {
    r8: u64,
    r9: u64,
    r10: u64,
    r11: u64,
    r12: u64,
    r13: u64,
    r14: u64,
    r15: u64,
    rdi: u64,
    rsi: u64,
    rbp: u64,
    rbx: u64,
    rdx: u64,
    rax: u64,
    rcx: u64,
    rsp: u64,
    rip: u64,
    rflags: u64,
    cs: u16,
    gs: u16,
    fs: u16,
    ss: u16,
    err: u64,
    trapno: u64,
    oldmask: u64,
    cr2: u64,
    fpstate: u64,
    reserved: [u64; 8],
}

const FRAME_SIZE: u64 = size_of::<Frame>() as u64;
const FRAME_AND_INFO: u64 = FRAME_SIZE + size_of::<SigInfo>() as u64;
const UCONTEXT_OFFSET: u64 = 8;

/// Pushes a frame for `action`'s handler onto the guest's stack and points the registers at the handler.
///
/// # Errors
/// EFAULT where the frame does not fit or there is no restorer.
pub(super) fn push(
    current: &mut Current,
    signal: Signal,
    action: &SigAction,
    info: &SigInfo,
    saved_mask: SigSet,
) -> Result<(), Errno> {
    let flags = ActionFlags::from_bits_retain(action.flags);
    if !flags.contains(ActionFlags::RESTORER) {
        return Err(Errno::EFAULT);
    }
    let regs = *current.context.regs();
    let altstack = current.task.signals.lock().altstack;
    let place = place(regs.rsp, &altstack, flags, current.context.xstate_size() as u64).ok_or(Errno::EFAULT)?;
    let frame = Frame {
        pretcode: action.restorer,
        uc_flags: UC_FLAGS,
        uc_link: 0,
        uc_stack: altstack,
        context: sigcontext(current, &regs, place.xstate, saved_mask),
        uc_sigmask: saved_mask,
    };
    if flags.contains(ActionFlags::SIGINFO) {
        let mut bytes = [0; FRAME_AND_INFO as usize];
        let (head, tail) = bytes.split_at_mut(FRAME_SIZE as usize);
        head.copy_from_slice(frame.as_bytes());
        tail.copy_from_slice(info.as_bytes());
        current.write_bytes(place.frame, &bytes)?;
    } else {
        current.write_object(place.frame, &frame)?;
    }
    // Last, because it leaves the guest with the initial state: what failed before must not have changed it.
    current.context.save_xstate(place.xstate).map_err(|_| Errno::EFAULT)?;
    if altstack.flags & SS_AUTODISARM != 0 {
        current.task.signals.lock().altstack = DISABLED_STACK;
    }
    let regs = current.context.regs_mut();
    regs.rdi = u64::from(signal.number());
    regs.rsi = place.frame + FRAME_SIZE;
    regs.rdx = place.frame + UCONTEXT_OFFSET;
    regs.rax = 0;
    regs.rip = action.handler;
    regs.rsp = place.frame;
    regs.rflags &= !(FLAG_DF | FLAG_RF | FLAG_TF);
    Ok(())
}

/// `rt_sigreturn`: back to where the signal came, as the frame tells it.
///
/// # Errors
/// None that reach the guest: a bad frame is SIGSEGV.
pub fn sigreturn(current: &mut Current) -> SysResult {
    if restore(current).is_err() {
        force_signal(&current.task, SigInfo::new(Signal::SIGSEGV, SigInfo::SI_KERNEL));
    }
    current.orig_rax = None;
    Ok(current.context.regs().rax)
}

fn restore(current: &mut Current) -> Result<(), Errno> {
    let sp = current.context.regs().rsp;
    // The handler's `ret` has popped the return address.
    let at = sp.checked_sub(8).ok_or(Errno::EFAULT)?;
    let frame: Frame = current.read_object(at)?;
    set_mask(&current.task, frame.uc_sigmask);
    let saved = &frame.context;
    let old = *current.context.regs();
    *current.context.regs_mut() = Regs {
        rax: saved.rax,
        rbx: saved.rbx,
        rcx: saved.rcx,
        rdx: saved.rdx,
        rsi: saved.rsi,
        rdi: saved.rdi,
        rbp: saved.rbp,
        rsp: saved.rsp,
        r8: saved.r8,
        r9: saved.r9,
        r10: saved.r10,
        r11: saved.r11,
        r12: saved.r12,
        r13: saved.r13,
        r14: saved.r14,
        r15: saved.r15,
        rip: saved.rip,
        rflags: (old.rflags & !FLAGS_FROM_FRAME) | (saved.rflags & FLAGS_FROM_FRAME),
        fs_base: old.fs_base,
        gs_base: old.gs_base,
    };
    current.context.restore_xstate(saved.fpstate).map_err(|_| Errno::EFAULT)?;
    // Linux forgives everything about the alternate stack here.
    let _ = super::altstack::set(current, &frame.uc_stack);
    if let Some(fault) = fault_of_return(&frame) {
        super::force_fault(current, &fault);
    }
    Ok(())
}

/// The exception with which the processor would refuse to return to what the frame says.
fn fault_of_return(frame: &Frame) -> Option<Fault> {
    const SEGV_MAPERR: i32 = 1;
    const GENERAL_PROTECTION: u64 = 13;
    const PAGE_FAULT: u64 = 14;
    /// A fetch in user mode of something that is mapped for the kernel only.
    const FETCH: u64 = 0x15;
    const FIRST_KERNEL_ADDRESS: u64 = 0xffff_8000_0000_0000;
    let saved = &frame.context;
    // Other code segments would mean 32-bit mode; the kernel mends a stack segment unless told to be strict.
    let bad_segment = saved.cs | 3 != USER_CS || frame.uc_flags & UC_STRICT_RESTORE_SS != 0 && saved.ss | 3 != USER_SS;
    let fault =
        Fault { signal: Signal::SIGSEGV, code: SigInfo::SI_KERNEL, addr: 0, trapno: GENERAL_PROTECTION, error_code: 0 };
    match saved.rip {
        _ if bad_segment => Some(fault),
        0..=LAST_USER_ADDRESS => None,
        FIRST_KERNEL_ADDRESS.. => {
            Some(Fault { code: SEGV_MAPERR, addr: saved.rip, trapno: PAGE_FAULT, error_code: FETCH, ..fault })
        }
        _ => Some(fault),
    }
}

struct Place {
    frame: u64,
    xstate: u64,
}

/// Finds room for the frame and the extended state; `None` where the alternate stack is too small.
fn place(rsp: u64, altstack: &SigAltStack, flags: ActionFlags, xstate_size: u64) -> Option<Place> {
    let nested = super::altstack::contains(altstack, rsp);
    // Nothing is wrong with a wild stack pointer until it is used.
    let mut sp = rsp.wrapping_sub(RED_ZONE);
    let mut on_altstack = nested;
    if flags.contains(ActionFlags::ONSTACK) && altstack.size != 0 && !super::altstack::is_active(altstack, sp) {
        sp = altstack.sp.checked_add(altstack.size)?;
        on_altstack = true;
    }
    let xstate = sp.wrapping_sub(xstate_size) & !63;
    // As at the entry of a function: the stack pointer was a multiple of 16 before the return address was pushed.
    let frame = (xstate.wrapping_sub(FRAME_AND_INFO) & !15).wrapping_sub(8);
    if on_altstack && !super::altstack::within(altstack, frame) {
        return None;
    }
    Some(Place { frame, xstate })
}

fn sigcontext(current: &Current, regs: &Regs, fpstate: u64, mask: SigSet) -> SigContext {
    SigContext {
        r8: regs.r8,
        r9: regs.r9,
        r10: regs.r10,
        r11: regs.r11,
        r12: regs.r12,
        r13: regs.r13,
        r14: regs.r14,
        r15: regs.r15,
        rdi: regs.rdi,
        rsi: regs.rsi,
        rbp: regs.rbp,
        rbx: regs.rbx,
        rdx: regs.rdx,
        rax: regs.rax,
        rcx: regs.rcx,
        rsp: regs.rsp,
        rip: regs.rip,
        rflags: regs.rflags,
        cs: USER_CS,
        gs: 0,
        fs: 0,
        ss: USER_SS,
        err: current.fault.error_code,
        trapno: current.fault.trapno,
        oldmask: mask.0,
        cr2: current.fault.cr2,
        fpstate,
        reserved: [0; 8],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_frame_has_the_size_and_offsets_of_linux() {
        assert_eq!((FRAME_SIZE, FRAME_AND_INFO), (312, 440));
        assert_eq!(std::mem::offset_of!(Frame, uc_sigmask), 304);
        assert_eq!(std::mem::offset_of!(Frame, context) + std::mem::offset_of!(SigContext, fpstate), 40 + 184 + 8);
    }

    #[test]
    fn the_frame_lies_below_the_red_zone_and_is_aligned_as_at_a_function_entry() {
        let place = place(0x7000_1234, &DISABLED_STACK, ActionFlags::empty(), 2696).unwrap();
        assert!(place.xstate + 2696 <= 0x7000_1234 - 128);
        assert_eq!((place.xstate % 64, place.frame % 16), (0, 8));
        assert!(place.frame + FRAME_AND_INFO <= place.xstate);
    }

    #[test]
    fn an_alternate_stack_is_entered_once_and_may_not_overflow() {
        let stack = SigAltStack { sp: 0x1000_0000, flags: 0, pad: 0, size: 0x2000 };
        let first = place(0x7000_0000, &stack, ActionFlags::ONSTACK, 832).unwrap();
        assert!(first.frame > 0x1000_0000 && first.xstate < 0x1000_2000);
        let nested = place(first.frame, &stack, ActionFlags::ONSTACK, 832).unwrap();
        assert!(nested.frame < first.frame);
        let full = SigAltStack { size: 0x800, ..stack };
        assert!(place(0x1000_0100, &full, ActionFlags::ONSTACK, 832).is_none());
    }
}
