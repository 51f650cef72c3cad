//! Robust futexes (`man 2 get_robust_list`): telling others that the owner of a lock is dead.

use crate::Errno;
use crate::task::Current;

const WAITERS: u32 = 0x8000_0000;
const OWNER_DIED: u32 = 0x4000_0000;
const TID_MASK: u32 = 0x3fff_ffff;
/// Most entries that are looked at (`ROBUST_LIST_LIMIT`): the list may be a ring.
const LIMIT: usize = 2048;

/// Marks the robust futexes that the task holds as owned by a dead one and wakes a waiter of each.
pub fn exit_robust_list(current: &mut Current) {
    let head = std::mem::take(&mut current.task.state.lock().robust_list);
    if head != 0 {
        // A list that cannot be read ends there, as in Linux.
        let _ = walk(current, head);
    }
    super::exit_pi(current);
}

fn walk(current: &mut Current, head: u64) -> Result<(), Errno> {
    let [first, offset, pending]: [u64; 3] = current.read_object(head)?;
    let mut entry = first;
    for _ in 0..LIMIT {
        let (address, is_pi) = (entry & !1, entry & 1 != 0);
        if address == head {
            break;
        }
        // Read before the word is given away: the next owner may free the entry.
        let next = current.read_object::<u64>(address);
        if address != pending & !1 {
            owner_died(current, address.wrapping_add(offset), is_pi, false)?;
        }
        entry = next?;
    }
    let (address, is_pi) = (pending & !1, pending & 1 != 0);
    if address != 0 {
        owner_died(current, address.wrapping_add(offset), is_pi, true)?;
    }
    Ok(())
}

fn owner_died(current: &mut Current, addr: u64, is_pi: bool, is_pending: bool) -> Result<(), Errno> {
    if !addr.is_multiple_of(4) {
        return Err(Errno::EINVAL);
    }
    let mut word = current.read_object::<u32>(addr)?;
    // It was unlocked, and the wake that belongs to it was not made.
    if is_pending && !is_pi && word == 0 {
        super::wake_at(current, addr, 1);
        return Ok(());
    }
    loop {
        if word & TID_MASK != current.task.tid as u32 {
            return Ok(());
        }
        if is_pi && word & WAITERS != 0 {
            let key = super::key(current, addr, false)?;
            return super::pi::hand_over(current, key, addr, OWNER_DIED);
        }
        let died = word & WAITERS | OWNER_DIED;
        let seen = current.context.compare_exchange(addr, word, died).map_err(|_| Errno::EFAULT)?;
        if seen == word {
            break;
        }
        word = seen;
    }
    if word & WAITERS != 0 {
        super::wake_at(current, addr, 1);
    }
    Ok(())
}
