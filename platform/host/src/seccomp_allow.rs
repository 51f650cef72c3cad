//! A process's own seccomp filter, as a list of what it may call and why (built with libseccomp).

use abi::Errno;
use libseccomp::{ScmpAction, ScmpArgCompare, ScmpCompareOp, ScmpFilterContext, ScmpSyscall};

/// A condition on an argument: `argument & mask == value`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Argument {
    /// 0..=5
    pub index: u32,
    /// Bits that are looked at.
    pub mask: u64,
    /// What they must be.
    pub value: u64,
}

impl Argument {
    /// The whole argument must be `value`.
    pub const fn is(index: u32, value: u64) -> Argument {
        Argument { index, mask: u64::MAX, value }
    }

    /// None of `bits` may be set.
    pub const fn lacks(index: u32, bits: u64) -> Argument {
        Argument { index, mask: bits, value: 0 }
    }
}

/// A system call that is allowed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Allowed {
    /// Its number (`abi::nr`); libseccomp's own table of names lags behind the kernel.
    pub number: u32,
    /// All of these must hold.
    pub when: &'static [Argument],
    /// What the process needs it for.
    pub reason: &'static str,
}

/// Allows `number` with any arguments.
pub const fn allow(number: u32, reason: &'static str) -> Allowed {
    Allowed { number, when: &[], reason }
}

/// Allows `number` where all of `when` hold.
pub const fn allow_when(number: u32, when: &'static [Argument], reason: &'static str) -> Allowed {
    Allowed { number, when, reason }
}

/// What becomes of a call that is not on the list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Violation {
    /// It fails with EPERM.
    Refuse,
    /// The process ends with a message that names the call (see [`crate::violation`]).
    Report,
}

/// Puts the calling thread, and what it starts, under a filter that allows the listed calls and answers EPERM to all others.
/// Calls of another architecture's tables kill the process. Sets no_new_privs.
///
/// # Errors
/// EINVAL, ENOMEM, EACCES.
pub fn install(allowed: &[Allowed]) -> Result<(), Errno> {
    load(allowed, &[], Violation::Refuse)
}

/// The same for all threads of the process. The calls in `missing` fail with the errno beside them as if the kernel did not
/// have them: for what libraries try and do without.
///
/// # Errors
/// EINVAL, ENOMEM, EACCES.
pub fn install_for_all_threads(
    allowed: &[Allowed],
    missing: &[(u32, Errno)],
    violation: Violation,
) -> Result<(), Errno> {
    if violation == Violation::Report {
        crate::violation::report()?;
    }
    load(allowed, missing, violation)
}

fn load(allowed: &[Allowed], missing: &[(u32, Errno)], violation: Violation) -> Result<(), Errno> {
    build(allowed, missing, violation)
        .and_then(|filter| filter.load())
        .map_err(|error| Errno(error.sysrawrc().map_or(libc::EINVAL, i32::abs) as u16))
}

fn build(
    allowed: &[Allowed],
    missing: &[(u32, Errno)],
    violation: Violation,
) -> Result<ScmpFilterContext, libseccomp::error::SeccompError> {
    let default = match violation {
        Violation::Refuse => ScmpAction::Errno(libc::EPERM),
        Violation::Report => ScmpAction::Trap,
    };
    let mut filter = ScmpFilterContext::new(default)?;
    filter.set_act_badarch(ScmpAction::KillProcess)?;
    filter.set_ctl_nnp(true)?;
    filter.set_ctl_tsync(violation == Violation::Report)?;
    for call in allowed {
        let number = ScmpSyscall::from(call.number as i32);
        let conditions: Vec<ScmpArgCompare> = call
            .when
            .iter()
            .map(|when| ScmpArgCompare::new(when.index, ScmpCompareOp::MaskedEqual(when.mask), when.value))
            .collect();
        if conditions.is_empty() {
            filter.add_rule(ScmpAction::Allow, number)?;
        } else {
            filter.add_rule_conditional(ScmpAction::Allow, number, &conditions)?;
        }
    }
    for (number, errno) in missing {
        filter.add_rule(ScmpAction::Errno(errno.0.into()), ScmpSyscall::from(*number as i32))?;
    }
    Ok(filter)
}
