//! Terminal attributes: defaults and questions about them (`man 3 termios`).

use abi::types::Termios;
use abi::uapi::general as flag;

/// What a fresh pseudo-terminal has.
pub fn default_attributes() -> Termios {
    let mut termios = Termios {
        c_iflag: flag::ICRNL | flag::IXON,
        c_oflag: flag::OPOST | flag::ONLCR,
        c_cflag: flag::B38400 | flag::CS8 | flag::CREAD,
        c_lflag: flag::ISIG
            | flag::ICANON
            | flag::ECHO
            | flag::ECHOE
            | flag::ECHOK
            | flag::ECHOCTL
            | flag::ECHOKE
            | flag::IEXTEN,
        c_line: 0,
        c_cc: [0; 19],
    };
    let characters: [(u32, u8); 15] = [
        (flag::VINTR, 3),
        (flag::VQUIT, 28),
        (flag::VERASE, 127),
        (flag::VKILL, 21),
        (flag::VEOF, 4),
        (flag::VTIME, 0),
        (flag::VMIN, 1),
        (flag::VSWTC, 0),
        (flag::VSTART, 17),
        (flag::VSTOP, 19),
        (flag::VSUSP, 26),
        (flag::VREPRINT, 18),
        (flag::VDISCARD, 15),
        (flag::VWERASE, 23),
        (flag::VLNEXT, 22),
    ];
    for (index, value) in characters {
        termios.c_cc[index as usize] = value;
    }
    termios
}

/// Questions about attributes.
pub trait Attributes {
    /// Whether an input flag is set.
    fn input(&self, bit: u32) -> bool;
    /// Whether an output flag is set.
    fn output(&self, bit: u32) -> bool;
    /// Whether a local flag is set.
    fn local(&self, bit: u32) -> bool;
    /// Whether `byte` is the control character `index` (`V*`); a character of 0 is switched off.
    fn is(&self, byte: u8, index: u32) -> bool;
    /// A control character.
    fn control(&self, index: u32) -> u8;
}

impl Attributes for Termios {
    fn input(&self, bit: u32) -> bool {
        self.c_iflag & bit != 0
    }
    fn output(&self, bit: u32) -> bool {
        self.c_oflag & bit != 0
    }
    fn local(&self, bit: u32) -> bool {
        self.c_lflag & bit != 0
    }
    fn is(&self, byte: u8, index: u32) -> bool {
        byte != 0 && self.control(index) == byte
    }
    fn control(&self, index: u32) -> u8 {
        self.c_cc.get(index as usize).copied().unwrap_or(0)
    }
}
