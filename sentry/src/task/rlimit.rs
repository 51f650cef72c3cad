//! Resource limits (`man 2 getrlimit`).

use abi::types::Rlimit;

use super::{Capability, Current};
use crate::Errno;
use crate::kernel::Kernel;

/// Number of resources.
pub const COUNT: usize = 16;
/// `RLIM_INFINITY`
pub const INFINITY: u64 = u64::MAX;

/// A resource, by its number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Resource(u8);

macro_rules! resources {
    ($($name:ident = $value:expr),* $(,)?) => {
        $(#[doc = concat!("`RLIMIT_", stringify!($name), "`")] pub const $name: Resource = Resource($value);)*
    };
}

resources! {
    CPU = 0, FSIZE = 1, DATA = 2, STACK = 3, CORE = 4, RSS = 5, NPROC = 6, NOFILE = 7, MEMLOCK = 8, AS = 9, LOCKS = 10,
    SIGPENDING = 11, MSGQUEUE = 12, NICE = 13, RTPRIO = 14, RTTIME = 15,
}

impl Resource {
    /// A resource by number.
    pub fn new(number: u64) -> Option<Resource> {
        u8::try_from(number).ok().filter(|&n| usize::from(n) < COUNT).map(Resource)
    }
}

/// The limits of a process, indexed by `RLIMIT_*`.
#[derive(Clone, Debug)]
pub struct Limits(pub [Rlimit; COUNT]);

impl Default for Limits {
    /// What Linux gives init, with the numbers of descriptors and locked memory that systemd and Docker use today.
    fn default() -> Limits {
        const UNLIMITED: Rlimit = Rlimit { cur: INFINITY, max: INFINITY };
        let mut limits = Limits([UNLIMITED; COUNT]);
        let finite: [(Resource, u64, u64); 8] = [
            (STACK, 8 << 20, INFINITY),
            (CORE, 0, INFINITY),
            (NOFILE, 1024, 1 << 20),
            (MEMLOCK, 8 << 20, 8 << 20),
            (SIGPENDING, 63_000, 63_000),
            (MSGQUEUE, 819_200, 819_200),
            (NICE, 0, 0),
            (RTPRIO, 0, 0),
        ];
        for (resource, cur, max) in finite {
            limits.0[usize::from(resource.0)] = Rlimit { cur, max };
        }
        limits
    }
}

impl Limits {
    /// The limit of `resource`.
    pub fn get(&self, resource: Resource) -> Rlimit {
        self.0[usize::from(resource.0)]
    }

    /// Replaces it; the caller has checked that it may.
    pub fn set(&mut self, resource: Resource, limit: Rlimit) {
        self.0[usize::from(resource.0)] = limit;
    }
}

/// Whether the current task may make another (`RLIMIT_NPROC`, the sandbox's own limit of tasks).
///
/// # Errors
/// EAGAIN
pub fn check_new_process(kernel: &Kernel, current: &Current) -> Result<(), Errno> {
    if kernel.max_tasks.is_some_and(|max| kernel.pids.task_count() >= max) {
        kernel.observe.task_limit_reached();
        return Err(Errno::EAGAIN);
    }
    let limit = current.task.group.limits.lock().get(NPROC).cur;
    let own = current.task.credentials();
    let is_exempt = own.uid == 0 || own.has(Capability::SYS_RESOURCE) || own.has(Capability::SYS_ADMIN);
    if limit == INFINITY || is_exempt {
        return Ok(());
    }
    let threads = kernel.pids.groups().into_iter().flat_map(|group| group.threads());
    let of_user = threads.filter(|task| task.credentials().uid == own.uid).count();
    if of_user as u64 >= limit { Err(Errno::EAGAIN) } else { Ok(()) }
}

/// `RLIMIT_NOFILE` of the current process: one more than the highest descriptor it may get.
pub fn nofile(current: &Current) -> u64 {
    current.task.group.limits.lock().get(NOFILE).cur
}
