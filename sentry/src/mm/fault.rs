//! Faults that the map can mend: access just below a mapping that grows down, a call site met while it was patched.

use abi::signal::Signal;
use platform::{Context, Fault};

use super::list::STACK_GUARD;
use super::{MapLimits, MemoryMap, VmaFlags};

impl MemoryMap {
    /// Mends the reason of `fault` if it is an access below a mapping that grows down (`MAP_GROWSDOWN`, the stack) or the
    /// `int3` of a call site that was being patched: then the guest can run on.
    ///
    /// The hands cannot do the same: a system call that is handed a buffer in the not yet grown part answers EFAULT. The
    /// initial stack is mapped whole, so this concerns only stacks that a program makes with `MAP_GROWSDOWN`.
    pub fn handle_fault(&self, context: &mut dyn Context, limits: &MapLimits, fault: &Fault) -> bool {
        const SEGV_MAPERR: i32 = 1;
        if fault.signal == Signal::SIGTRAP {
            return self.retry_half_patched(context);
        }
        if fault.signal != Signal::SIGSEGV || fault.code != SEGV_MAPERR || fault.addr >= self.layout.max {
            return false;
        }
        self.grow_down(context, limits, abi::page_down(fault.addr))
    }

    fn grow_down(&self, context: &mut dyn Context, limits: &MapLimits, page: u64) -> bool {
        let mut state = self.state.lock();
        let list = &state.list;
        if page < self.layout.min || list.find(page).is_some() {
            return false;
        }
        let Some(vma) = list.find_from(page).filter(|vma| vma.flags.contains(VmaFlags::GROWS_DOWN)).cloned() else {
            return false;
        };
        let grown = vma.start - page;
        let below_is_free = list.find_before(page).is_none_or(|below| {
            below.end + STACK_GUARD <= page || below.flags.contains(VmaFlags::GROWS_DOWN) || below.prot.bits() == 0
        });
        let fits = vma.len() + grown <= limits.stack && list.total().saturating_add(grown) <= limits.address_space;
        if !below_is_free || !fits || !vma.is_private_anonymous() {
            return false;
        }
        state.place(context, super::Vma { start: page, end: vma.start, ..vma }).is_ok()
    }
}
