//! Changing what a task blocks.

use std::sync::Arc;

use abi::signal::SigSet;

use crate::task::Task;

/// Replaces the mask of `task` (its own, or that of a task which does not run yet).
pub fn set_mask(task: &Arc<Task>, mask: SigSet) {
    let mask = mask.without(SigSet::UNBLOCKABLE);
    let old = std::mem::replace(&mut task.signals.lock().mask, mask);
    after_change(task, old, mask);
}

/// Blocks `mask` for the length of one call; end it with [`end_temporary_mask`].
pub fn set_temporary_mask(task: &Arc<Task>, mask: SigSet) {
    let mask = mask.without(SigSet::UNBLOCKABLE);
    let old = {
        let mut own = task.signals.lock();
        let old = std::mem::replace(&mut own.mask, mask);
        own.saved_mask = Some(old);
        old
    };
    after_change(task, old, mask);
}

/// Ends a temporary mask. When the call was interrupted the mask stays until [`super::deliver`] has looked for signals with
/// it: the handler runs with it, and the frame restores the mask from before the call.
pub fn end_temporary_mask(task: &Arc<Task>, interrupted: bool) {
    if interrupted {
        task.notify();
        return;
    }
    let saved = task.signals.lock().saved_mask.take();
    if let Some(saved) = saved {
        set_mask(task, saved);
    }
}

fn after_change(task: &Arc<Task>, old: SigSet, new: SigSet) {
    let unblocked = old.without(new);
    if !unblocked.is_empty() && !super::pending(task).and(unblocked).is_empty() {
        task.notify();
    }
    let blocked = new.without(old);
    if !blocked.is_empty() {
        retarget(task, blocked);
    }
}

/// Has other threads look at signals of the process in `set` that `task` will not take any more.
pub(super) fn retarget(task: &Arc<Task>, set: SigSet) {
    let waiting = task.group.signals.lock().pending.set().and(set);
    if waiting.is_empty() {
        return;
    }
    let others: Vec<Arc<Task>> = {
        let family = task.group.family.lock();
        let can_take = |thread: &&Arc<Task>| {
            let own = thread.signals.lock();
            !Arc::ptr_eq(thread, task) && !own.exiting && !waiting.without(own.mask).is_empty()
        };
        family.threads.iter().filter(can_take).cloned().collect()
    };
    others.iter().for_each(|thread| thread.notify());
}
