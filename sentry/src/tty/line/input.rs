//! Typed bytes: signals, flow control, editing, echo (Linux's `n_tty_receive_char` and what it calls).

use abi::signal::Signal;
use abi::uapi::general as flag;

use super::super::termios::Attributes;
use super::{INPUT_SIZE, Line, Received};

impl Line {
    /// Takes typed bytes; the caller offers no more than [`Line::room`].
    pub fn receive(&mut self, bytes: &[u8]) -> Received {
        let mut received = Received::default();
        for &byte in bytes {
            self.receive_byte(byte, &mut received);
        }
        received
    }

    fn receive_byte(&mut self, byte: u8, received: &mut Received) {
        let mut byte = if self.termios.input(flag::ISTRIP) { byte & 0x7f } else { byte };
        if self.termios.input(flag::IUCLC) && self.termios.local(flag::IEXTEN) {
            byte = byte.to_ascii_lowercase();
        }
        if self.termios.local(flag::EXTPROC) {
            self.keep(byte);
            return;
        }
        if std::mem::take(&mut self.literal_next) {
            self.receive_ordinary(byte);
            return;
        }
        if self.receive_flow(byte, received) || self.receive_signal(byte, received) {
            return;
        }
        match byte {
            b'\r' if self.termios.input(flag::IGNCR) => return,
            b'\r' if self.termios.input(flag::ICRNL) => byte = b'\n',
            b'\n' if self.termios.input(flag::INLCR) => byte = b'\r',
            _ => {}
        }
        if !(self.is_canonical() && self.edit(byte)) {
            self.receive_ordinary(byte);
        }
    }

    /// `VSTART`, `VSTOP`; any byte starts stopped output with `IXANY`.
    fn receive_flow(&mut self, byte: u8, received: &mut Received) -> bool {
        if !self.termios.input(flag::IXON) {
            return false;
        }
        if self.stopped && self.termios.input(flag::IXANY) && !self.termios.is(byte, flag::VSTOP) {
            self.stopped = false;
            received.flow = Some(false);
        }
        if self.termios.is(byte, flag::VSTART) {
            self.stopped = false;
            received.flow = Some(false);
            true
        } else if self.termios.is(byte, flag::VSTOP) {
            self.stopped = true;
            received.flow = Some(true);
            true
        } else {
            false
        }
    }

    fn receive_signal(&mut self, byte: u8, received: &mut Received) -> bool {
        if !self.termios.local(flag::ISIG) {
            return false;
        }
        let signals = [(flag::VINTR, Signal::SIGINT), (flag::VQUIT, Signal::SIGQUIT), (flag::VSUSP, Signal::SIGTSTP)];
        let Some((_, signal)) = signals.into_iter().find(|(index, _)| self.termios.is(byte, *index)) else {
            return false;
        };
        received.signals.push(signal);
        if !self.termios.local(flag::NOFLSH) {
            self.flush_input();
            self.flush_output();
            received.flushed = true;
        }
        if self.termios.input(flag::IXON) && std::mem::take(&mut self.stopped) {
            received.flow = Some(false);
        }
        if self.termios.local(flag::ECHO) {
            self.echo_byte(byte);
        }
        true
    }

    /// Canonical mode: editing keys and ends of lines. False when the byte is an ordinary one.
    fn edit(&mut self, byte: u8) -> bool {
        let extended = self.termios.local(flag::IEXTEN);
        let echo = self.termios.local(flag::ECHO);
        let is = |index: u32| self.termios.is(byte, index);
        if is(flag::VERASE) {
            self.erase_character();
        } else if is(flag::VKILL) {
            self.kill_line();
        } else if extended && is(flag::VWERASE) {
            self.erase_word();
        } else if extended && is(flag::VLNEXT) {
            self.literal_next = true;
            if echo && self.termios.local(flag::ECHOCTL) {
                self.finish_erasing();
                self.show(b"^\x08");
            }
        } else if extended && echo && is(flag::VREPRINT) {
            self.reprint(byte);
        } else if byte == b'\n' {
            if echo || self.termios.local(flag::ECHONL) {
                self.finish_erasing();
                self.show(b"\n");
            }
            self.end_line(Some(byte));
        } else if is(flag::VEOF) {
            self.end_line(None);
        } else if is(flag::VEOL) || extended && is(flag::VEOL2) {
            if echo {
                self.begin_echo();
                self.echo_byte(byte);
            }
            self.end_line(Some(byte));
        } else {
            return false;
        }
        true
    }

    fn receive_ordinary(&mut self, byte: u8) {
        if self.termios.local(flag::ECHO) {
            self.finish_erasing();
            if byte == b'\n' {
                self.show(b"\n");
            } else {
                self.begin_echo();
                self.echo_byte(byte);
            }
        }
        if byte == 0xff && self.termios.input(flag::PARMRK) {
            self.keep(byte);
        }
        self.keep(byte);
    }

    /// Keeps a byte; a full buffer loses it.
    fn keep(&mut self, byte: u8) {
        if self.ready.len() + self.editing.len() >= INPUT_SIZE - 1 {
            return;
        }
        if self.is_canonical() {
            self.editing.push(byte);
        } else {
            self.ready.push_back(byte);
            self.put += 1;
        }
    }

    /// The line is complete: with `byte` as its last, or without it for end of file.
    fn end_line(&mut self, byte: Option<u8>) {
        self.editing.extend(byte);
        self.put += self.editing.len() as u64;
        self.ready.extend(self.editing.drain(..));
        self.ends.push_back(self.put);
    }

    fn reprint(&mut self, byte: u8) {
        self.finish_erasing();
        self.echo_byte(byte);
        self.show(b"\n");
        self.line_column = self.column;
        for byte in self.editing.clone() {
            self.echo_byte(byte);
        }
    }
}
