//! The alternate signal stack (`man 2 sigaltstack`).

use abi::signal::SigAltStack;

use super::{DISABLED_STACK, SS_AUTODISARM, SS_DISABLE, SS_ONSTACK};
use crate::Errno;
use crate::task::Current;

/// `MINSIGSTKSZ` of the kernel's headers: the least that `sigaltstack` takes.
const MIN_SIZE: u64 = 2048;

/// Whether `sp` lies on `stack`, and the thread counts as running there (Linux's `on_sig_stack`).
pub(super) fn contains(stack: &SigAltStack, sp: u64) -> bool {
    // A stack that disarms itself is never in use: it is gone while its handler runs.
    stack.flags & SS_AUTODISARM == 0 && within(stack, sp)
}

/// Whether `sp` lies on `stack`, whatever its flags.
pub(super) fn within(stack: &SigAltStack, sp: u64) -> bool {
    sp > stack.sp && sp - stack.sp <= stack.size
}

/// Whether a handler with `SA_ONSTACK` stays where it is because the thread runs on the alternate stack already.
pub(super) fn is_active(stack: &SigAltStack, sp: u64) -> bool {
    stack.size != 0 && contains(stack, sp)
}

/// What `sigaltstack` tells about the stack that was set.
pub fn describe(current: &Current) -> SigAltStack {
    let stack = current.task.signals.lock().altstack;
    let state = match stack.size {
        0 => SS_DISABLE,
        _ if contains(&stack, current.context.regs().rsp) => SS_ONSTACK,
        _ => 0,
    };
    SigAltStack { flags: state | (stack.flags & SS_AUTODISARM), pad: 0, ..stack }
}

/// Sets the alternate stack.
///
/// # Errors
/// EPERM while running on it, EINVAL for flags, ENOMEM when it is too small.
pub fn set(current: &mut Current, new: &SigAltStack) -> Result<(), Errno> {
    let rsp = current.context.regs().rsp;
    let mut own = current.task.signals.lock();
    if contains(&own.altstack, rsp) {
        return Err(Errno::EPERM);
    }
    let mode = new.flags & !SS_AUTODISARM;
    if mode != SS_DISABLE && mode != SS_ONSTACK && mode != 0 {
        return Err(Errno::EINVAL);
    }
    if mode == SS_DISABLE {
        own.altstack = SigAltStack { flags: new.flags, ..DISABLED_STACK };
        return Ok(());
    }
    let unchanged = own.altstack.sp == new.sp && own.altstack.size == new.size && own.altstack.flags == new.flags;
    if unchanged {
        return Ok(());
    }
    if new.size < MIN_SIZE {
        return Err(Errno::ENOMEM);
    }
    own.altstack = SigAltStack { pad: 0, ..*new };
    Ok(())
}
