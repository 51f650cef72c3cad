//! The one description of every system call: number, name, what each argument is, what it returns.
//!
//! Three things are made from it: the stub's [`prefetch`] (which bytes to copy before the hand-over), the formatter of
//! call traces, and the compatibility page. It describes the x86-64 table of Linux 6.18; the meaning of a call is not here.

mod calls;
pub mod flags;
mod kind;
pub mod prefetch;
#[cfg(test)]
mod tests;

pub use calls::CALLS;
pub use flags::FlagSet;
pub use kind::{Kind, Length, Returns, Struct};

/// One system call.
#[derive(Debug)]
pub struct Call {
    /// The number in `rax`.
    pub number: u32,
    /// The kernel's name, without `sys_`.
    pub name: &'static str,
    /// The arguments in register order (rdi, rsi, rdx, r10, r8, r9); at most six.
    pub args: &'static [Kind],
    /// What a return value outside -4095..=-1 means.
    pub returns: Returns,
}

/// One more than the highest number of the table.
pub const END: usize = CALLS[CALLS.len() - 1].number as usize + 1;

/// Position in [`CALLS`] plus one, by number; 0 where Linux has no call.
const INDEX: [u16; END] = {
    let mut index = [0; END];
    let mut i = 0;
    while i < CALLS.len() {
        assert!(i == 0 || CALLS[i - 1].number < CALLS[i].number, "calls are listed once, by rising number");
        index[CALLS[i].number as usize] = i as u16 + 1;
        i += 1;
    }
    index
};

/// The call of a number; `None` where Linux has none (x32 numbers included).
pub const fn by_number(number: u64) -> Option<&'static Call> {
    if number >= END as u64 {
        return None;
    }
    match INDEX[number as usize] {
        0 => None,
        i => Some(&CALLS[i as usize - 1]),
    }
}

/// The call of a name, as in `/usr/include/asm/unistd_64.h` without the prefix.
pub fn by_name(name: &str) -> Option<&'static Call> {
    CALLS.iter().find(|call| call.name == name)
}
