//! `poll`, `ppoll`, `select` and `pselect6` (`man 2 poll`, `man 2 select`).

mod select;
mod timeout;

pub use select::{pselect6, select};
pub use timeout::Timeout;

use std::sync::Arc;

use abi::signal::SigSet;
use abi::types::{Pollfd, Timespec};
use abi::uapi::general::RLIMIT_NOFILE;
use zerocopy::IntoBytes;

use super::Args;
use crate::kernel::timer::Deadline;
use crate::kernel::wait_queue::{Readiness, WaitQueue};
use crate::task::Current;
use crate::task::current::Restart;
use crate::vfs::FileDescription;
use crate::{Errno, SysResult};

/// `man 2 poll`
pub async fn poll(current: &mut Current, args: Args) -> SysResult {
    let timeout = Timeout::from_ms(args.i32(2));
    poll_restartable(current, args.u64(0), args.u32(1).into(), timeout).await
}

/// Goes on with a `poll` that a signal without a handler interrupted ([`Restart::Poll`]).
pub async fn restart_poll(current: &mut Current, fds: u64, count: u64, until: Option<Deadline>) -> SysResult {
    poll_restartable(current, fds, count, until.map_or(Timeout::Never, Timeout::At)).await
}

async fn poll_restartable(current: &mut Current, fds: u64, count: u64, timeout: Timeout) -> SysResult {
    match poll_fds(current, fds, count, timeout).await {
        Err(Errno::ERESTARTSYS) => {
            current.restart = Some(Restart::Poll { fds, count, until: timeout.deadline() });
            Err(Errno::ERESTART_RESTARTBLOCK)
        }
        done => done,
    }
}

/// `ppoll`, `man 2 poll`
pub async fn ppoll(current: &mut Current, args: Args) -> SysResult {
    let (fds, count, timeout_addr) = (args.u64(0), args.u32(1).into(), args.u64(2));
    let timeout = match timeout_addr {
        0 => Timeout::Never,
        addr => Timeout::from_timespec(current.read_object::<Timespec>(addr)?)?,
    };
    set_temporary_mask(current, args.u64(3), args.u64(4))?;
    let result = poll_fds(current, fds, count, timeout).await;
    let told = timeout_addr == 0 || current.write_object(timeout_addr, &timeout.remaining()).is_ok();
    end_temporary_mask(current, finish(result, told))
}

/// The result of a call that changes its time-out argument. Without the remaining time it cannot be restarted.
fn finish(result: SysResult, told_remaining: bool) -> SysResult {
    match result {
        Err(Errno::ERESTARTSYS) => Err(if told_remaining { Errno::ERESTARTNOHAND } else { Errno::EINTR }),
        done => done,
    }
}

/// Blocks signals by the set at `addr` until the call ends or its signal is delivered; without effect for a null `addr`.
///
/// # Errors
/// EINVAL for a size other than that of a signal set, EFAULT.
pub fn set_temporary_mask(current: &mut Current, addr: u64, size: u64) -> Result<(), Errno> {
    if addr == 0 {
        return Ok(());
    }
    if size != size_of::<SigSet>() as u64 {
        return Err(Errno::EINVAL);
    }
    let mask = current.read_object::<SigSet>(addr)?;
    crate::signal::set_temporary_mask(&current.task, mask);
    Ok(())
}

/// Ends [`set_temporary_mask`] with the call that gives `result`.
pub fn end_temporary_mask(current: &Current, result: SysResult) -> SysResult {
    let interrupted = matches!(result, Err(errno) if errno.is_restart() || errno == Errno::EINTR);
    crate::signal::end_temporary_mask(&current.task, interrupted);
    result
}

async fn poll_fds(current: &mut Current, addr: u64, count: u64, timeout: Timeout) -> SysResult {
    if count > current.task.group.limits.lock().0[RLIMIT_NOFILE as usize].cur {
        return Err(Errno::EINVAL);
    }
    let mut fds: Vec<Pollfd> = current.read_array(addr, count as usize)?;
    let mut polled = Vec::with_capacity(fds.len());
    for pollfd in &fds {
        polled.push(match pollfd.fd {
            ..0 => Polled::default(),
            fd => match current.fd(fd) {
                Ok(description) => Polled::new(description, Readiness::from_bits_truncate(pollfd.events as u16 as u32)),
                Err(_) => Polled { ready: Readiness::NVAL, ..Polled::default() },
            },
        });
    }
    let ready = wait_ready(current, &mut polled, timeout).await?;
    for (pollfd, polled) in fds.iter_mut().zip(&polled) {
        pollfd.revents = polled.ready.bits() as i16;
    }
    current.return_bytes(addr, fds.as_bytes())?;
    Ok(ready)
}

/// One description that is waited for.
#[derive(Default)]
struct Polled {
    description: Option<Arc<FileDescription>>,
    /// What counts, errors and hang-ups included.
    interest: Readiness,
    ready: Readiness,
}

impl Polled {
    fn new(description: Arc<FileDescription>, asked: Readiness) -> Polled {
        let interest = asked | Readiness::ERR | Readiness::HUP;
        Polled { description: Some(description), interest, ready: Readiness::empty() }
    }
}

/// Waits until at least one is ready; gives their number, 0 at the time-out.
async fn wait_ready(current: &mut Current, polled: &mut [Polled], timeout: Timeout) -> SysResult {
    let ready = look(polled);
    if ready > 0 || matches!(timeout, Timeout::Now) {
        return Ok(ready);
    }
    let queues: Vec<(WaitQueue, Readiness)> =
        polled.iter().filter_map(|p| Some((p.description.as_ref()?.file.wait_queue()?, p.interest))).collect();
    let queues: Vec<(&WaitQueue, Readiness)> = queues.iter().map(|(queue, interest)| (queue, *interest)).collect();
    let wait = |_: &mut Current| match look(polled) {
        0 => Err(Errno::EAGAIN),
        ready => Ok(ready),
    };
    match current.block_on_all(&queues, timeout.deadline(), wait).await {
        Err(Errno::ETIMEDOUT) => Ok(0),
        done => done,
    }
}

fn look(polled: &mut [Polled]) -> u64 {
    for entry in polled.iter_mut() {
        if let Some(description) = &entry.description {
            entry.ready = description.file.readiness() & entry.interest;
        }
    }
    polled.iter().filter(|entry| !entry.ready.is_empty()).count() as u64
}
