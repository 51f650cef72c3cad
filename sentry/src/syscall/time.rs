//! Clocks and sleeping (`man 2 clock_gettime`, `man 2 clock_nanosleep`), and CPU time used.

use abi::types::{Rusage, Timespec, Timeval, Tms};

use super::Args;
use crate::kernel::timer::Deadline;
use crate::task::Current;
use crate::task::current::Restart;
use crate::task::futex::Word;
use crate::time::clock::Clock;
use crate::time::cpu;
use crate::time::posix_timer::sleep_deadline;
use crate::{Errno, SysResult};

const TIMER_ABSTIME: u32 = 1;
const CLOCK_REALTIME: i32 = 0;
const CLOCK_MONOTONIC: i32 = 1;
const CLOCK_THREAD_CPUTIME: i32 = 3;

/// `clock_gettime(clockid, tp)`
pub fn clock_gettime(current: &mut Current, args: Args) -> SysResult {
    let now = Clock::parse(current, args.i32(0))?.now(current)?;
    current.return_object(args.u64(1), &Timespec::from_ns(now))?;
    Ok(0)
}

/// `clock_getres(clockid, res)`
pub fn clock_getres(current: &mut Current, args: Args) -> SysResult {
    let resolution = Clock::parse(current, args.i32(0))?.resolution()?;
    if args.u64(1) != 0 {
        current.return_object(args.u64(1), &Timespec::from_ns(resolution))?;
    }
    Ok(0)
}

/// `clock_settime(clockid, tp)`: the clocks are the host's.
pub fn clock_settime(current: &mut Current, args: Args) -> SysResult {
    let id = args.i32(0);
    Clock::parse(current, id)?;
    let time: Timespec = current.read_object(args.u64(1))?;
    if id == CLOCK_REALTIME && time.is_valid() { Err(Errno::EPERM) } else { Err(Errno::EINVAL) }
}

/// `gettimeofday(tv, tz)`
pub fn gettimeofday(current: &mut Current, args: Args) -> SysResult {
    if args.u64(0) != 0 {
        let now = host::clock::realtime_ns();
        let time = Timeval { tv_sec: now.div_euclid(1_000_000_000), tv_usec: now.rem_euclid(1_000_000_000) / 1000 };
        current.write_object(args.u64(0), &time)?;
    }
    if args.u64(1) != 0 {
        current.write_object(args.u64(1), &0u64)?;
    }
    Ok(0)
}

/// `settimeofday(tv, tz)`
pub fn settimeofday(current: &mut Current, args: Args) -> SysResult {
    if args.u64(0) != 0 {
        let time: Timeval = current.read_object(args.u64(0))?;
        if !(0..1_000_000).contains(&time.tv_usec) {
            return Err(Errno::EINVAL);
        }
    }
    Err(Errno::EPERM)
}

/// `time(tloc)`
pub fn time(current: &mut Current, args: Args) -> SysResult {
    let seconds = host::clock::realtime_ns().div_euclid(1_000_000_000);
    if args.u64(0) != 0 {
        current.write_object(args.u64(0), &seconds)?;
    }
    Ok(seconds as u64)
}

/// `adjtimex(buf)`
pub fn adjtimex(current: &mut Current, args: Args) -> SysResult {
    adjust(current, args.u64(0))
}

/// `clock_adjtime(clockid, buf)`
pub fn clock_adjtime(current: &mut Current, args: Args) -> SysResult {
    match Clock::parse(current, args.i32(0))? {
        Clock::Host(_) if args.i32(0) == CLOCK_REALTIME => adjust(current, args.u64(1)),
        _ => Err(Errno::EOPNOTSUPP),
    }
}

/// Tells of a clock that nobody steers from here; steering it is refused.
fn adjust(current: &mut Current, addr: u64) -> SysResult {
    /// `struct timex`: 26 words; these are the ones that say something.
    const WORDS: usize = 26;
    const TIME_ERROR: u64 = 5;
    const STA_UNSYNC: u64 = 0x40;
    const MAX_ERROR_US: u64 = 16_000_000;
    const TICK_US: u64 = 10_000;
    let modes: u32 = current.read_object(addr)?;
    if modes != 0 {
        return Err(Errno::EPERM);
    }
    let now = host::clock::realtime_ns();
    let mut timex = [0u64; WORDS];
    (timex[3], timex[4]) = (MAX_ERROR_US, MAX_ERROR_US);
    timex[5] = STA_UNSYNC;
    (timex[7], timex[8]) = (1, 32_768_000);
    timex[9] = now.div_euclid(1_000_000_000) as u64;
    timex[10] = (now.rem_euclid(1_000_000_000) / 1000) as u64;
    timex[11] = TICK_US;
    current.write_object(addr, &timex)?;
    Ok(TIME_ERROR)
}

/// `nanosleep(req, rem)`
pub async fn nanosleep(current: &mut Current, args: Args) -> SysResult {
    let request = read_time(current, args.u64(0))?;
    sleep(current, Deadline::after_ns(request as u64), args.u64(1), CLOCK_MONOTONIC).await
}

/// `clock_nanosleep(clockid, flags, req, rem)`
pub async fn clock_nanosleep(current: &mut Current, args: Args) -> SysResult {
    let clock = Clock::parse(current, args.i32(0))?;
    let absolute = args.u32(1) & TIMER_ABSTIME != 0;
    if !clock.has_timers() || args.i32(0) == CLOCK_THREAD_CPUTIME {
        return Err(Errno::EOPNOTSUPP);
    }
    let request = read_time(current, args.u64(2))?;
    if let Clock::Cpu(cpu) = &clock {
        // Waiting for one's own thread to use CPU time would never end.
        if cpu.is_task(&current.task) {
            return Err(Errno::EINVAL);
        }
        let start = if absolute { 0 } else { cpu.now().unwrap_or(0) };
        return sleep_cpu(current, cpu, start.saturating_add(request as u64)).await;
    }
    let until = sleep_deadline(&clock, absolute, request);
    if absolute {
        return match wait_until(current, until).await {
            Err(Errno::ERESTARTSYS) => Err(Errno::ERESTARTNOHAND),
            other => other,
        };
    }
    sleep(current, until, args.u64(3), args.i32(0)).await
}

/// `restart_syscall()`: goes on with what a signal without handler interrupted.
pub async fn restart_syscall(current: &mut Current, _args: Args) -> SysResult {
    match current.restart.take() {
        Some(Restart::Sleep { until, remaining, clock }) => sleep(current, until, remaining, clock).await,
        Some(Restart::Futex { addr, value, until, bitset, private }) => {
            super::futex::restart(current, Word { addr, value, private, bitset }, until).await
        }
        Some(Restart::Poll { fds, count, until }) => super::poll::restart_poll(current, fds, count, until).await,
        None => Err(Errno::EINTR),
    }
}

async fn sleep(current: &mut Current, until: Deadline, remaining: u64, clock: i32) -> SysResult {
    match wait_until(current, until).await {
        Err(Errno::ERESTARTSYS) => {
            if remaining != 0 {
                let left = until.0.saturating_sub(Deadline::now().0);
                current.write_object(remaining, &Timespec::from_ns(left.min(i64::MAX as u64) as i64))?;
            }
            current.restart = Some(Restart::Sleep { until, remaining, clock });
            Err(Errno::ERESTART_RESTARTBLOCK)
        }
        other => other,
    }
}

async fn wait_until(current: &mut Current, until: Deadline) -> SysResult {
    let never = |_: &mut Current| Err(Errno::EAGAIN);
    match current.block_on_all(&[], Some(until), never).await {
        Err(Errno::ETIMEDOUT) => Ok(0),
        other => other,
    }
}

/// CPU time tells nobody that it passes: it is looked at when it can have passed at the earliest.
async fn sleep_cpu(current: &mut Current, clock: &cpu::CpuClock, until: u64) -> SysResult {
    const TICK_NS: u64 = 4_000_000;
    while let Some(left) = clock.now().and_then(|now| until.checked_sub(now)).filter(|&left| left > 0) {
        let pause = (left / clock.speed()).max(TICK_NS);
        match wait_until(current, Deadline::after_ns(pause)).await {
            Err(Errno::ERESTARTSYS) => return Err(Errno::ERESTARTNOHAND),
            other => other?,
        };
    }
    Ok(0)
}

fn read_time(current: &mut Current, addr: u64) -> Result<i64, Errno> {
    let time: Timespec = current.read_object(addr)?;
    if time.is_valid() { Ok(time.to_ns()) } else { Err(Errno::EINVAL) }
}

/// `times(buf)`
pub fn times(current: &mut Current, args: Args) -> SysResult {
    const TICK_NS: u64 = 10_000_000;
    if args.u64(0) != 0 {
        let ticks = |time: Timeval| time.tv_sec * 100 + time.tv_usec / 10_000;
        let (own, children) = (current.task.group.usage(), current.task.group.children_usage());
        let times = Tms {
            tms_utime: ticks(own.ru_utime),
            tms_stime: ticks(own.ru_stime),
            tms_cutime: ticks(children.ru_utime),
            tms_cstime: ticks(children.ru_stime),
        };
        current.write_object(args.u64(0), &times)?;
    }
    Ok(host::clock::monotonic_ns() / TICK_NS)
}

/// `getrusage(who, usage)`
pub fn getrusage(current: &mut Current, args: Args) -> SysResult {
    const RUSAGE_CHILDREN: i32 = -1;
    const RUSAGE_SELF: i32 = 0;
    const RUSAGE_THREAD: i32 = 1;
    let group = current.task.group.clone();
    let usage: Rusage = match args.i32(0) {
        RUSAGE_SELF => group.usage(),
        RUSAGE_CHILDREN => group.children_usage(),
        RUSAGE_THREAD => match current.context.cpu_time_ns() {
            Some(total_ns) => cpu::usage(host::clock::CpuTime { total_ns, user_ns: total_ns }),
            None => group.usage(),
        },
        _ => return Err(Errno::EINVAL),
    };
    current.write_object(args.u64(1), &usage)?;
    Ok(0)
}
