//! Output processing and echo (Linux's `do_output_char`).

use abi::uapi::general as flag;

use super::super::termios::Attributes;
use super::{ECHO_SIZE, Line};

impl Line {
    /// Turns one byte that the program writes into what the screen gets, appended to `out`.
    pub fn process(&mut self, byte: u8, out: &mut impl Extend<u8>) {
        if !self.termios.output(flag::OPOST) {
            out.extend([byte]);
            return;
        }
        match byte {
            b'\n' => {
                if self.termios.output(flag::ONLRET) {
                    self.column = 0;
                }
                if self.termios.output(flag::ONLCR) {
                    self.column = 0;
                    out.extend(*b"\r\n");
                } else {
                    out.extend([byte]);
                }
            }
            b'\r' if self.termios.output(flag::ONOCR) && self.column == 0 => {}
            b'\r' if self.termios.output(flag::OCRNL) => {
                if self.termios.output(flag::ONLRET) {
                    self.column = 0;
                }
                out.extend([b'\n']);
            }
            b'\r' => {
                self.column = 0;
                out.extend([byte]);
            }
            b'\t' => {
                let spaces = 8 - (self.column & 7);
                self.column += spaces;
                if self.termios.c_oflag & flag::TABDLY == flag::TAB3 {
                    out.extend(std::iter::repeat_n(b' ', spaces));
                } else {
                    out.extend([byte]);
                }
            }
            b'\x08' => {
                self.column = self.column.saturating_sub(1);
                out.extend([byte]);
            }
            _ => {
                let shown = if self.termios.output(flag::OLCUC) { byte.to_ascii_uppercase() } else { byte };
                let continues = self.termios.input(flag::IUTF8) && byte & 0xc0 == 0x80;
                if !shown.is_ascii_control() && !continues {
                    self.column += 1;
                }
                out.extend([shown]);
            }
        }
    }

    /// Echoes one typed byte: control characters as `^X` with `ECHOCTL`.
    pub(super) fn echo_byte(&mut self, byte: u8) {
        if self.termios.local(flag::ECHOCTL) && byte.is_ascii_control() && byte != b'\t' {
            self.show(&[b'^', byte ^ 0o100]);
        } else {
            self.show(&[byte]);
        }
    }

    /// Remembers where the line starts on the screen, before its first byte is echoed.
    pub(super) fn begin_echo(&mut self) {
        if self.editing.is_empty() {
            self.line_column = self.column;
        }
    }

    /// Appends to the echo, processed like other output.
    pub(super) fn show(&mut self, bytes: &[u8]) {
        let mut echo = std::mem::take(&mut self.echo);
        for &byte in bytes {
            if echo.len() < ECHO_SIZE {
                self.process(byte, &mut echo);
            }
        }
        self.echo = echo;
    }
}
