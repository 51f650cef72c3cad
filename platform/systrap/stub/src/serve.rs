//! The stub's loop: hand over, wait for the answer, do what it says.

use crate::entry;
use crate::layout::{self, ALT_STACK, ALT_STACK_LEN, DATA, DOORBELL, DOORBELL_WORD, STACK_DELTA};
use crate::prefetch::prefetch;
use crate::setup;
use crate::sys;
use crate::window::{Control, PENDING_MAX, Pending, attention, kind, op, reg};
use core::arch::asm;
use core::ptr;
use core::sync::atomic::{AtomicU32, Ordering::SeqCst};

const EFAULT: i64 = -14;
/// Looks for an answer before the first `pause`.
const EAGER_LOOKS: u32 = 100;
/// Looks before the stub wonders whether the sentry can run at all.
const PATIENCE: u32 = EAGER_LOOKS + 40;
/// Flags that the fast exit restores (arithmetic), and the two that are always set.
const FAST_FLAGS: u64 = 0x8d5 | 0x202;
const SIGSYS: u32 = 31;
const MAGIC1: u32 = 0x4650_5853;
const MAGIC2: u32 = 0x4650_5845;

/// The initial extended state: everything absent, MXCSR at its default.
#[repr(C, align(64))]
struct InitialState([u8; 1024]);
static INITIAL: InitialState = {
    let mut bytes = [0; 1024];
    (bytes[0], bytes[1]) = (0x7f, 0x03);
    (bytes[24], bytes[25]) = (0x80, 0x1f);
    InitialState(bytes)
};

/// Drops whatever extended state and FS base this process has inherited.
pub fn forget_state() {
    // SAFETY: neither is used by the stub's own code.
    unsafe {
        entry::xrstor_from((&raw const INITIAL) as u64, u64::MAX);
        entry::set_fs_base(0);
    }
}

/// An atomic word of the control page.
///
/// # Safety
/// `word` must point into a mapped window or doorbell.
#[inline(always)]
unsafe fn atomic<'a>(word: *mut u32) -> &'a AtomicU32 {
    // SAFETY: the caller's promise; all parties access these words atomically.
    unsafe { AtomicU32::from_ptr(word) }
}

/// Makes a request and waits for its answer.
///
/// Lost wake-ups: the stub writes `request`, then reads `attention` and the doorbell's count; the sentry writes those,
/// then reads `request`. The stub writes `asleep`, then reads `response`; the sentry writes `response`, then reads `asleep`.
/// All of it is sequentially consistent, so of the two sides at least one sees the other.
#[inline(always)]
unsafe fn exchange(w: *mut Control) {
    // SAFETY: `w` is this thread's window, mapped for the life of the process; fields are accessed atomically.
    unsafe {
        let request = atomic(&raw mut (*w).request);
        let number = request.load(SeqCst).wrapping_add(1);
        demote(w as u64 + 64);
        demote(w as u64 + 128);
        request.swap(number, SeqCst);
        let attention = atomic(&raw mut (*w).answer.attention).load(SeqCst);
        if attention != 0 {
            announce(w, attention);
        }
        let response = atomic(&raw mut (*w).answer.response);
        let spin = atomic(&raw mut (*w).answer.spin);
        let mut spun = 0;
        loop {
            let seen = response.load(SeqCst);
            if seen == number {
                return;
            }
            let budget = spin.load(SeqCst);
            if spun < budget & 0xffff {
                spun += 1;
                // `pause` takes up to 60 ns, as long as a quick answer: not at once.
                if spun > EAGER_LOOKS {
                    asm!("pause", options(nomem, nostack, preserves_flags));
                    // The sentry cannot answer as long as its CPU is taken.
                    if spun == PATIENCE && sys::cpu() + 1 == budget >> 16 {
                        spun = u32::MAX;
                    }
                }
            } else {
                sleep(w, seen);
            }
        }
    }
}

/// `cldemote`: moves a line that the sentry will read next to the shared cache (20% of a trip on processors that know the
/// instruction; others take it for a `nop`).
#[inline(always)]
fn demote(address: u64) {
    // SAFETY: a hint without effect on memory's content; it does not fault.
    unsafe { asm!(".byte 0x0f, 0x1c, 0x07", in("rdi") address, options(nostack, preserves_flags)) }
}

#[cold]
#[inline(never)]
unsafe fn announce(w: *mut Control, bits: u32) {
    // SAFETY: as in `exchange`; the doorbell is mapped in every stub.
    unsafe {
        if bits & attention::WAKE != 0 {
            sys::futex_wake(&raw const (*w).request);
        }
        if bits & attention::RING != 0 && atomic(DOORBELL as *mut u32).load(SeqCst) != 0 {
            let word = (DOORBELL + DOORBELL_WORD) as *mut u32;
            atomic(word).fetch_add(1, SeqCst);
            sys::futex_wake(word);
        }
    }
}

#[cold]
#[inline(never)]
unsafe fn sleep(w: *mut Control, seen: u32) {
    // SAFETY: as in `exchange`.
    unsafe {
        let asleep = atomic(&raw mut (*w).quiet.asleep);
        let response = &raw mut (*w).answer.response;
        let cpu = atomic(&raw mut (*w).quiet.cpu);
        cpu.store(sys::cpu() + 1, SeqCst);
        asleep.swap(1, SeqCst);
        if atomic(response).load(SeqCst) == seen {
            sys::futex_wait(response, seen);
        }
        cpu.store(sys::cpu() + 1, SeqCst);
        asleep.store(0, SeqCst);
    }
}

/// Serves the sentry until it lets the guest run. The registers are in the window.
pub unsafe extern "C" fn serve(w: *mut Control, why: u32) {
    // SAFETY: `w` is this thread's window; accesses are volatile because the sentry and, in a hostile guest, other threads
    // write it. What a hostile guest makes of it concerns that guest only.
    unsafe {
        let fs_base: u64;
        asm!("rdfsbase {}", out(reg) fs_base, options(nomem, nostack, preserves_flags));
        let regs = &raw mut (*w).regs;
        let put = |index: usize, value: u64| ptr::write_volatile((regs as *mut u64).add(index), value);
        let get = |index: usize| ptr::read_volatile((regs as *const u64).add(index));
        put(reg::FS_BASE, fs_base);
        if why == kind::CALL {
            let flags = ptr::read_volatile(&raw const (*w).flags);
            let rflags = u64::from(flags >> 8 & 0xd5) | u64::from(flags & 1) << 11 | 0x202;
            put(reg::RFLAGS, rflags);
            put(reg::R11, rflags);
            put(reg::RCX, get(reg::RIP));
            // The quick answer below does not choose the exit anew: what the last one left must not count (a return from a
            // signal handler may have gone by iretq, and its frame is still there).
            ptr::write_volatile(&raw mut (*w).slow_exit, 0);
        }
        let call = why == kind::CALL || why == kind::SIGNAL && ptr::read_volatile(&raw const (*w).signal) == SIGSYS;
        let ranges = if call { prefetch(w, get(reg::RAX)) } else { 0 };
        ptr::write_volatile(&raw mut (*w).kind, why | ranges << 8);
        loop {
            exchange(w);
            let arg = |index: usize| ptr::read_volatile((&raw const (*w).answer.args).cast::<u64>().add(index));
            let op = ptr::read_volatile(&raw const (*w).answer.op);
            match op {
                op::RESUME => {
                    let result = if arg(1) != 0 && flush(w, arg(1)) != 0 { EFAULT as u64 } else { arg(0) };
                    put(reg::RAX, result);
                    if why != kind::CALL {
                        prepare_exit(w);
                    }
                    return;
                }
                op::RESUME_ALL => {
                    if arg(1) != 0 && flush(w, arg(1)) != 0 {
                        put(reg::RAX, EFAULT as u64);
                    }
                    if get(reg::FS_BASE) != fs_base {
                        entry::set_fs_base(get(reg::FS_BASE));
                    }
                    prepare_exit(w);
                    return;
                }
                _ => {
                    let result = operate(w, op);
                    ptr::write_volatile(&raw mut (*w).result, result);
                    ptr::write_volatile(&raw mut (*w).kind, kind::DONE);
                }
            }
        }
    }
}

/// Chooses the exit and brings the flags into its form.
unsafe fn prepare_exit(w: *mut Control) {
    // SAFETY: as in `serve`.
    unsafe {
        let regs = (&raw const (*w).regs).cast::<u64>();
        let rflags = ptr::read_volatile(regs.add(reg::RFLAGS));
        let slow = rflags & !FAST_FLAGS != 0 || ptr::read_volatile(regs.add(reg::GS_BASE)) != 0;
        if slow {
            let frame = (&raw mut (*w).iret).cast::<u64>();
            let rsp = ptr::read_volatile(regs.add(reg::RSP));
            let values = [ptr::read_volatile(regs.add(reg::RIP)), 0x33, rflags & 0x24_4dd5 | 0x202, rsp, 0x2b];
            let mut i = 0;
            while i < 5 {
                ptr::write_volatile(frame.add(i), values[i]);
                i += 1;
            }
        }
        let flags = (rflags & 0xd5) << 8 | rflags >> 11 & 1;
        ptr::write_volatile(&raw mut (*w).flags, flags as u32);
        ptr::write_volatile(&raw mut (*w).slow_exit, u32::from(slow));
    }
}

#[inline(never)]
unsafe fn operate(w: *mut Control, op: u32) -> i64 {
    // SAFETY: as in `serve`: guest memory is accessed by functions with fault fix-up, and what the system calls do is for
    // the sentry and the filter to decide.
    unsafe {
        let args = (&raw const (*w).answer.args).cast::<u64>();
        let arg = |index: usize| ptr::read_volatile(args.add(index));
        match op {
            op::COPY => entry::copy_bytes(arg(0), arg(1), arg(2)) as i64,
            op::COMPARE_EXCHANGE => entry::compare_exchange(arg(0), arg(1) as u32, arg(2) as u32),
            op::SYSCALL => {
                let call = [arg(1), arg(2), arg(3), arg(4), arg(5), arg(6)];
                let result = sys::call(arg(0), call);
                close(arg(7));
                result
            }
            op::SETUP_SYSCALL => {
                let call = [arg(1), arg(2), arg(3), arg(4), arg(5), arg(6)];
                setup::call(arg(0), call)
            }
            op::SETUP_MAP => {
                let call = [arg(1), arg(2), arg(3), arg(4), arg(5), arg(6)];
                setup::map_received(call)
            }
            op::FORK => {
                let result = entry::fork_process(arg(0));
                close(layout::FD);
                result
            }
            op::THREAD => entry::new_thread(arg(0), arg(1)),
            op::STORE_XSTATE => store_xstate(arg(0), arg(1), arg(2)),
            op::SAVE_XSTATE => {
                let result = store_xstate(arg(0), arg(1), arg(2));
                if result != 0 { result } else { entry::xrstor_from((&raw const INITIAL) as u64, arg(1)) }
            }
            op::RESTORE_XSTATE => restore_xstate(arg(0), arg(1), arg(2)),
            op::FLUSH => flush(w, arg(1)),
            _ => 0,
        }
    }
}

fn close(fd: u64) {
    if fd != 0 {
        sys::call(sys::CLOSE, [fd, 0, 0, 0, 0, 0]);
    }
}

/// The copies that a resume carries; not 0 when one faulted.
#[inline(never)]
unsafe fn flush(w: *mut Control, count: u64) -> i64 {
    // SAFETY: the list lies in the data area; a copy that faults is cut short.
    unsafe {
        let data = w.cast::<u8>().add(DATA as usize);
        let mut i = 0;
        while i < count && i < PENDING_MAX as u64 {
            let item = ptr::read_volatile(data.cast::<Pending>().add(i as usize));
            if entry::copy_bytes(item.to, data as u64 + u64::from(item.from), u64::from(item.len)) != 0 {
                return EFAULT;
            }
            i += 1;
        }
        0
    }
}

/// Signal-frame form: image, `sw_reserved`, trailing magic.
#[inline(never)]
unsafe fn store_xstate(address: u64, features: u64, size: u64) -> i64 {
    // SAFETY: all accesses to guest memory have a fault fix-up.
    unsafe {
        if entry::xsave_to(address, features) != 0 {
            return EFAULT;
        }
        let reserved = [u64::from(MAGIC1) | (size + 4) << 32, features, size, 0, 0, 0];
        let magic2 = MAGIC2;
        if entry::copy_bytes(address + 464, reserved.as_ptr() as u64, 48) != 0
            || entry::copy_bytes(address + size, (&raw const magic2) as u64, 4) != 0
        {
            return EFAULT;
        }
        0
    }
}

/// As the kernel does it: without a valid `sw_reserved` only the legacy part counts.
#[inline(never)]
unsafe fn restore_xstate(address: u64, features: u64, size: u64) -> i64 {
    // SAFETY: as above; an image that the processor refuses faults, and that is fixed up.
    unsafe {
        if address == 0 {
            return entry::xrstor_from((&raw const INITIAL) as u64, features);
        }
        let mut reserved = [0u64; 6];
        if entry::copy_bytes((&raw mut reserved) as u64, address + 464, 48) != 0 {
            return EFAULT;
        }
        let (magic1, extended) = (reserved[0] as u32, reserved[0] >> 32);
        let image = reserved[2] & 0xffff_ffff;
        let mut magic2 = 0u32;
        let whole = magic1 == MAGIC1
            && image >= 576
            && image <= size
            && image + 4 <= extended
            && entry::copy_bytes((&raw mut magic2) as u64, address + image, 4) == 0
            && magic2 == MAGIC2;
        if whole {
            let present = features & reserved[1];
            if features & !present != 0 {
                entry::xrstor_from((&raw const INITIAL) as u64, features & !present);
            }
            entry::xrstor_from(address, present)
        } else {
            entry::xrstor_from((&raw const INITIAL) as u64, features & !3);
            entry::fxrstor_from(address)
        }
    }
}

/// First code of a new thread, on its own stack.
pub unsafe extern "C" fn thread_start(w: *mut Control) {
    let stack = signal_stack(w as u64);
    sys::call(sys::SIGALTSTACK, [stack.as_ptr() as u64, 0, 0, 0, 0, 0]);
    // SAFETY: `w` is the window that the sentry prepared for this thread.
    unsafe { serve(w, kind::READY) }
}

/// The `stack_t` of the thread that serves `window`.
#[inline(always)]
pub fn signal_stack(window: u64) -> [u64; 3] {
    [window + STACK_DELTA + ALT_STACK, 0, ALT_STACK_LEN]
}
