//! Epolls that watch epolls: no loops, and a limited depth.

use std::sync::Weak;

use parking_lot::{Mutex, MutexGuard};

use super::Epoll;
use crate::Errno;

/// Most epolls above each other, less one (`EP_MAX_NESTS`).
const MAX_NESTS: usize = 4;

static NESTING: Mutex<()> = Mutex::new(());

/// Checks that `outer` may watch `inner`. The guard keeps other epolls from being nested until it is done.
///
/// # Errors
/// EINVAL for an instance in itself; ELOOP.
pub(super) fn check(outer: &Epoll, inner: &Epoll) -> Result<MutexGuard<'static, ()>, Errno> {
    if std::ptr::eq(outer, inner) {
        return Err(Errno::EINVAL);
    }
    let guard = NESTING.lock();
    let below = depth_below(inner, outer, 0)?;
    let above = depth_above(outer, 0)?;
    if below + 1 + above > MAX_NESTS { Err(Errno::ELOOP) } else { Ok(guard) }
}

fn depth_below(epoll: &Epoll, forbidden: &Epoll, level: usize) -> Result<usize, Errno> {
    if std::ptr::eq(epoll, forbidden) || level > MAX_NESTS {
        return Err(Errno::ELOOP);
    }
    let mut deepest = 0;
    for description in epoll.inner_epolls() {
        if let Some(inner) = description.downcast::<Epoll>() {
            deepest = deepest.max(depth_below(inner, forbidden, level + 1)? + 1);
        }
    }
    Ok(deepest)
}

fn depth_above(epoll: &Epoll, level: usize) -> Result<usize, Errno> {
    if level > MAX_NESTS {
        return Err(Errno::ELOOP);
    }
    let mut highest = 0;
    if let Some(description) = epoll.own.get().and_then(Weak::upgrade) {
        for outer in description.watchers.epolls() {
            highest = highest.max(depth_above(&outer, level + 1)? + 1);
        }
    }
    Ok(highest)
}
