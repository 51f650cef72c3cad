//! `kcmp` (`man 2 kcmp`): whether two processes share a resource.

use std::sync::Arc;

use super::Args;
use crate::task::credentials::may_access;
use crate::task::{Current, Task};
use crate::{Errno, SysResult};

const FILE: i32 = 0;
const VM: i32 = 1;
const FILES: i32 = 2;
const FS: i32 = 3;
const SIGHAND: i32 = 4;
const IO: i32 = 5;
const SYSVSEM: i32 = 6;

/// `kcmp(pid1, pid2, type, idx1, idx2)`: 0 when equal, 1 or 2 by an order that holds for the run of the sandbox.
pub fn kcmp(current: &mut Current, args: Args) -> SysResult {
    let find = |pid: i32| current.kernel.pids.task(pid).ok_or(Errno::ESRCH);
    let (first, second) = (find(args.i32(0))?, find(args.i32(1))?);
    if !may_access(current, &first) || !may_access(current, &second) {
        return Err(Errno::EPERM);
    }
    let of = |task: &Arc<Task>, index: u64| identity(task, args.i32(2), index);
    Ok(match of(&first, args.u64(3))?.cmp(&of(&second, args.u64(4))?) {
        std::cmp::Ordering::Equal => 0,
        std::cmp::Ordering::Less => 1,
        std::cmp::Ordering::Greater => 2,
    })
}

/// A number that two tasks have in common when they share the thing. It is not told to the program, only compared.
fn identity(task: &Arc<Task>, kind: i32, index: u64) -> Result<usize, Errno> {
    let address = |pointer: *const ()| pointer as usize;
    match kind {
        FILE => {
            let fd = i32::try_from(index).map_err(|_| Errno::EBADF)?;
            Ok(address(Arc::as_ptr(&task.files()?.get(fd)?).cast()))
        }
        VM => Ok(address(Arc::as_ptr(&task.mm()?).cast())),
        FILES => Ok(address(Arc::as_ptr(&task.files()?).cast())),
        FS => Ok(address(Arc::as_ptr(&task.fs()).cast())),
        SIGHAND => Ok(address(Arc::as_ptr(&task.group.signals.lock().actions).cast())),
        // Neither has any here, which is how Linux compares two that never used them.
        IO | SYSVSEM => Ok(0),
        _ => Err(Errno::EINVAL),
    }
}
