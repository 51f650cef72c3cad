//! Erasing what was typed, on the screen too (Linux's `eraser`).

use abi::uapi::general as flag;

use super::super::termios::Attributes;
use super::Line;

impl Line {
    /// `VERASE`
    pub(super) fn erase_character(&mut self) {
        let Some(erased) = self.pop_character() else { return };
        if !self.termios.local(flag::ECHO) {
            return;
        }
        if self.termios.local(flag::ECHOPRT) {
            self.show_erased_on_paper(&erased);
        } else if !self.termios.local(flag::ECHOE) {
            let key = self.termios.control(flag::VERASE);
            self.echo_byte(key);
        } else {
            self.show_erased(&erased);
        }
    }

    /// `VWERASE`: the last word and the blanks after it.
    pub(super) fn erase_word(&mut self) {
        let mut in_word = false;
        while let Some(&last) = self.editing.last() {
            let of_word = last.is_ascii_alphanumeric() || last == b'_' || last >= 0x80;
            if in_word && !of_word {
                break;
            }
            in_word |= of_word;
            let Some(erased) = self.pop_character() else { break };
            if self.termios.local(flag::ECHO) {
                if self.termios.local(flag::ECHOPRT) {
                    self.show_erased_on_paper(&erased);
                } else {
                    self.show_erased(&erased);
                }
            }
        }
    }

    /// `VKILL`: the whole line.
    pub(super) fn kill_line(&mut self) {
        if self.editing.is_empty() {
            return;
        }
        if !self.termios.local(flag::ECHO) {
            self.editing.clear();
            return;
        }
        let visual = flag::ECHOK | flag::ECHOKE | flag::ECHOE;
        if self.termios.c_lflag & visual != visual {
            self.editing.clear();
            self.finish_erasing();
            let key = self.termios.control(flag::VKILL);
            self.echo_byte(key);
            if self.termios.local(flag::ECHOK) {
                self.show(b"\n");
            }
            return;
        }
        while let Some(erased) = self.pop_character() {
            self.show_erased(&erased);
        }
    }

    /// Ends a hard-copy erase.
    pub(super) fn finish_erasing(&mut self) {
        if std::mem::take(&mut self.erasing) {
            self.show(b"/");
        }
    }

    /// Takes the last character off the line: one byte, or a UTF-8 sequence with `IUTF8`.
    fn pop_character(&mut self) -> Option<Vec<u8>> {
        let mut start = self.editing.len().checked_sub(1)?;
        if self.termios.input(flag::IUTF8) {
            while start > 0 && self.editing[start] & 0xc0 == 0x80 {
                start -= 1;
            }
        }
        Some(self.editing.split_off(start))
    }

    fn show_erased(&mut self, erased: &[u8]) {
        let Some(&first) = erased.first() else { return };
        let control = first.is_ascii_control();
        let shown_as_two = control && self.termios.local(flag::ECHOCTL);
        if first == b'\t' {
            let columns = self.column.saturating_sub(self.column_after_line());
            let columns = if (1..=8).contains(&columns) { columns } else { 8 };
            self.show(&vec![b'\x08'; columns]);
        } else if shown_as_two {
            self.show(b"\x08 \x08\x08 \x08");
        } else if !control {
            self.show(b"\x08 \x08");
        }
    }

    fn show_erased_on_paper(&mut self, erased: &[u8]) {
        if !std::mem::replace(&mut self.erasing, true) {
            self.show(b"\\");
        }
        for &byte in erased {
            self.echo_byte(byte);
        }
    }

    /// The column after what is left of the line.
    fn column_after_line(&self) -> usize {
        self.editing.iter().fold(self.line_column, |column, &byte| match byte {
            b'\t' => (column | 7) + 1,
            control if control.is_ascii_control() && self.termios.local(flag::ECHOCTL) => column + 2,
            control if control.is_ascii_control() => column,
            rest if self.termios.input(flag::IUTF8) && rest & 0xc0 == 0x80 => column,
            _ => column + 1,
        })
    }
}
