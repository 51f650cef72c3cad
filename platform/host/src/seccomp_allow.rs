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

/// Puts the calling thread, and what it starts, under a filter that allows the listed calls and answers EPERM to all others.
/// Calls of another architecture's tables kill the process. Sets no_new_privs.
///
/// # Errors
/// EINVAL, ENOMEM, EACCES.
pub fn install(allowed: &[Allowed]) -> Result<(), Errno> {
    build(allowed).map_err(|error| Errno(error.sysrawrc().map_or(libc::EINVAL, i32::abs) as u16))
}

fn build(allowed: &[Allowed]) -> Result<(), libseccomp::error::SeccompError> {
    let mut filter = ScmpFilterContext::new(ScmpAction::Errno(libc::EPERM))?;
    filter.set_act_badarch(ScmpAction::KillProcess)?;
    filter.set_ctl_nnp(true)?;
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
    filter.load()
}
