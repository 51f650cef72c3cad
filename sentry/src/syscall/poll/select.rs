//! `select` and `pselect6`: sets of descriptors as bits.

use abi::types::{Timespec, Timeval};

use super::{Args, Polled, Timeout, end_temporary_mask, finish, set_temporary_mask, wait_ready};
use crate::kernel::wait_queue::Readiness;
use crate::task::Current;
use crate::{Errno, SysResult};

/// What counts for each of the three sets.
const SETS: [Readiness; 3] = [
    Readiness::READABLE.union(Readiness::RDBAND).union(Readiness::HUP).union(Readiness::ERR),
    Readiness::WRITABLE.union(Readiness::WRBAND).union(Readiness::ERR),
    Readiness::PRI,
];

/// `man 2 select`
pub async fn select(current: &mut Current, args: Args) -> SysResult {
    let timeout_addr = args.u64(4);
    let timeout = match timeout_addr {
        0 => Timeout::Never,
        addr => Timeout::from_timeval(current.read_object::<Timeval>(addr)?)?,
    };
    let result = select_fds(current, args, timeout).await;
    let told = timeout_addr == 0 || {
        let left = timeout.remaining();
        current.write_object(timeout_addr, &Timeval { tv_sec: left.tv_sec, tv_usec: left.tv_nsec / 1000 }).is_ok()
    };
    finish(result, told)
}

/// `pselect6`, `man 2 select`
pub async fn pselect6(current: &mut Current, args: Args) -> SysResult {
    let [mask_addr, mask_size] = match args.u64(5) {
        0 => [0, 0],
        addr => current.read_object::<[u64; 2]>(addr)?,
    };
    let timeout_addr = args.u64(4);
    let timeout = match timeout_addr {
        0 => Timeout::Never,
        addr => Timeout::from_timespec(current.read_object::<Timespec>(addr)?)?,
    };
    set_temporary_mask(current, mask_addr, mask_size)?;
    let result = select_fds(current, args, timeout).await;
    let told = timeout_addr == 0 || current.write_object(timeout_addr, &timeout.remaining()).is_ok();
    end_temporary_mask(current, finish(result, told))
}

async fn select_fds(current: &mut Current, args: Args, timeout: Timeout) -> SysResult {
    let count = usize::try_from(args.i32(0)).map_err(|_| Errno::EINVAL)?.min(table_size(current)?);
    let addrs = [args.u64(1), args.u64(2), args.u64(3)];
    let mut sets: [Vec<u64>; 3] = Default::default();
    for (set, addr) in sets.iter_mut().zip(addrs) {
        *set = if addr == 0 { vec![0; count.div_ceil(64)] } else { current.read_array(addr, count.div_ceil(64))? };
    }
    let mut fds = Vec::new();
    let mut polled = Vec::new();
    for fd in 0..count {
        let bit = |set: &Vec<u64>| set[fd / 64] >> (fd % 64) & 1 != 0;
        let asked = sets.iter().zip(SETS).filter(|(set, _)| bit(set));
        let asked = asked.fold(Readiness::empty(), |sum, (_, readiness)| sum | readiness);
        if !asked.is_empty() {
            let mut entry = Polled::new(current.fd(fd as i32)?, asked);
            // Unlike `poll`, an error or hang-up ends the wait only where a set counts it.
            entry.interest = asked;
            polled.push(entry);
            fds.push(fd);
        }
    }
    wait_ready(current, &mut polled, timeout).await?;

    let mut total = 0;
    for ((set, readiness), addr) in sets.iter_mut().zip(SETS).zip(addrs) {
        let asked = std::mem::replace(set, vec![0; count.div_ceil(64)]);
        for (&fd, entry) in fds.iter().zip(&polled) {
            if entry.ready.intersects(readiness) && asked[fd / 64] >> (fd % 64) & 1 != 0 {
                set[fd / 64] |= 1 << (fd % 64);
                total += 1;
            }
        }
        if addr != 0 {
            current.write_array(addr, set)?;
        }
    }
    Ok(total)
}

/// Descriptors at and above the size of Linux's table are ignored, not refused.
fn table_size(current: &Current) -> Result<usize, Errno> {
    let highest = current.task.files()?.numbers().last().map_or(0, |&fd| fd as usize);
    Ok(if highest < 64 { 64 } else { (highest + 1).next_power_of_two().max(256) })
}
