//! What the stub may copy into the window before it hands a call over, as plain bytes without pointers.
//!
//! The stub is position-independent code in a hostile address space: it can follow no relocated pointer. So the part of the
//! table that it needs is folded at compile time into [`TABLE`]: at most [`STEPS`] four-byte steps a call.
//! Prefetch is an optimisation only; the sentry fetches what is missing (also when a copy here faulted).

use super::{CALLS, END, Kind, Length};

/// The most steps that a call has.
pub const STEPS: usize = 4;

/// What one step does with the address in argument `arg`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Action {
    /// Nothing; no further step follows.
    End = 0,
    /// Copy a zero-terminated string (a path).
    String = 1,
    /// Copy `size` bytes.
    Struct = 2,
    /// Copy as many bytes as argument `count` says, at most a window-full.
    Buffer = 3,
    /// Copy as many elements of `size` bytes as argument `count` says.
    Array = 4,
    /// Copy nothing; the call will write as many bytes as argument `count` says, so leave room for them.
    Room = 5,
}

/// One step: four bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C)]
pub struct Step {
    /// What to do; [`Action`] as a byte.
    pub action: Action,
    /// The argument that holds the address in its low half, and the one that holds the length or count in its high half.
    args: u8,
    /// Size of the structure or of one element; 1 for bytes.
    pub size: u16,
}

impl Step {
    const END: Step = Step { action: Action::End, args: 0, size: 0 };

    const fn new(action: Action, arg: u8, count: u8, size: u16) -> Step {
        Step { action, args: arg | count << 4, size }
    }

    /// The argument that holds the address.
    pub const fn arg(self) -> usize {
        (self.args & 15) as usize
    }

    /// The argument that holds the length or count.
    pub const fn count_arg(self) -> usize {
        (self.args >> 4) as usize
    }
}

/// The steps of each call, by number; unknown numbers have none.
pub static TABLE: [[Step; STEPS]; END] = {
    let mut table = [[Step::END; STEPS]; END];
    let mut i = 0;
    while i < CALLS.len() {
        let (call, mut a, mut n) = (&CALLS[i], 0, 0);
        while a < call.args.len() {
            if let Some(step) = step(a as u8, call.args[a]) {
                assert!(n < STEPS, "a call has more prefetch steps than STEPS");
                table[call.number as usize][n] = step;
                n += 1;
            }
            a += 1;
        }
        i += 1;
    }
    table
};

/// The steps of a call; all of them [`Action::End`] for a number that Linux does not have.
pub fn steps(number: u64) -> &'static [Step; STEPS] {
    static NONE: [Step; STEPS] = [Step::END; STEPS];
    usize::try_from(number).ok().and_then(|n| TABLE.get(n)).unwrap_or(&NONE)
}

const fn step(arg: u8, kind: Kind) -> Option<Step> {
    Some(match kind {
        Kind::Path | Kind::CStr => Step::new(Action::String, arg, 0, 1),
        Kind::StructIn(s) | Kind::StructInOut(s) => Step::new(Action::Struct, arg, 0, s.size()),
        Kind::BufIn(Length::Arg(len)) | Kind::BufInOut(Length::Arg(len)) => Step::new(Action::Buffer, arg, len, 1),
        Kind::ArrayIn(s, count) | Kind::ArrayInOut(s, count) => Step::new(Action::Array, arg, count, s.size()),
        Kind::IovIn(count) | Kind::IovOut(count) => Step::new(Action::Array, arg, count, 16),
        Kind::BufOut(Length::Returned(len)) => Step::new(Action::Room, arg, len, 1),
        _ => return None,
    })
}
