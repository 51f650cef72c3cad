//! The line discipline `N_TTY`: what lies between a terminal's keyboard and screen and the program.
//!
//! Bytes typed come in by [`Line::receive`] and leave by [`Line::read`]; what the program writes passes [`Line::process`];
//! echo collects in the line and is fetched by [`Line::take_echo`]. Pure state: no locks, no waiting.

mod erase;
mod input;
mod output;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use abi::signal::Signal;
use abi::types::Termios;
use abi::uapi::general::{EXTPROC, ICANON, IXON};

use super::termios::{Attributes, default_attributes};

/// Input that is kept (`N_TTY_BUF_SIZE`); one byte stays free for a line's end.
const INPUT_SIZE: usize = 4096;
/// Echo kept while output is stopped; what exceeds it is lost.
const ECHO_SIZE: usize = 4096;

/// A line discipline.
pub struct Line {
    termios: Termios,
    /// Bytes that may be read.
    ready: VecDeque<u8>,
    /// In canonical mode: where lines in `ready` end, in bytes since the first ever. A read stops there.
    ends: VecDeque<u64>,
    /// Bytes that were ever put into `ready`.
    put: u64,
    /// The line being typed, in canonical mode.
    editing: Vec<u8>,
    /// The column in which that line starts.
    line_column: usize,
    /// The next byte is taken literally (`VLNEXT`).
    literal_next: bool,
    /// Between two `\` and `/` of a hard-copy erase (`ECHOPRT`).
    erasing: bool,
    /// Stopped by `VSTOP` or `TCOOFF`.
    stopped: bool,
    /// Where the cursor is.
    column: usize,
    echo: Vec<u8>,
}

/// What typed bytes caused beyond input.
#[derive(Default, Debug, PartialEq, Eq)]
pub struct Received {
    /// For the foreground process group, in order.
    pub signals: Vec<Signal>,
    /// A signal dropped what was not yet read and not yet shown.
    pub flushed: bool,
    /// Output was stopped (true) or started (false).
    pub flow: Option<bool>,
}

impl Default for Line {
    fn default() -> Line {
        Line {
            termios: default_attributes(),
            ready: VecDeque::new(),
            ends: VecDeque::new(),
            put: 0,
            editing: Vec::new(),
            line_column: 0,
            literal_next: false,
            erasing: false,
            stopped: false,
            column: 0,
            echo: Vec::new(),
        }
    }
}

impl Line {
    /// The present attributes.
    pub fn termios(&self) -> &Termios {
        &self.termios
    }

    /// Replaces them. What was typed so far can be read at once when canonical mode ends, and counts as a line when it begins.
    pub fn set_termios(&mut self, termios: Termios) {
        let changed = self.termios.c_lflag ^ termios.c_lflag;
        if changed & (ICANON | EXTPROC) != 0 {
            self.put += self.editing.len() as u64;
            self.ready.extend(self.editing.drain(..));
            self.ends.clear();
            if termios.local(ICANON) && !self.ready.is_empty() {
                self.ends.push_back(self.put);
            }
            self.erasing = false;
            self.literal_next = false;
        }
        if self.termios.input(IXON) && !termios.input(IXON) {
            self.stopped = false;
        }
        self.termios = termios;
    }

    /// Whether output is stopped.
    pub fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// Stops or starts output (`TCOOFF`, `TCOON`).
    pub fn set_stopped(&mut self, stopped: bool) {
        self.stopped = stopped;
    }

    /// Bytes that can be read now (`FIONREAD`).
    pub fn available(&self) -> usize {
        match self.ends.back() {
            Some(last) if self.is_canonical() => self.ready.len() - (self.put - last) as usize,
            None if self.is_canonical() => 0,
            _ => self.ready.len(),
        }
    }

    /// Whether a read of at least `min` bytes (in canonical mode: of a line) would get something.
    pub fn is_readable(&self, min: usize) -> bool {
        if self.is_canonical() { !self.ends.is_empty() } else { self.ready.len() >= min.max(1) }
    }

    /// Takes a line or a part of it, or in raw mode what is there. `None` when there is nothing; 0 bytes is end of file.
    pub fn read(&mut self, buf: &mut [u8]) -> Option<usize> {
        let mut count = buf.len().min(self.ready.len());
        if self.is_canonical() {
            let end = *self.ends.front()?;
            let taken = self.put - self.ready.len() as u64;
            let to_end = (end - taken) as usize;
            count = buf.len().min(to_end);
            if count == to_end {
                self.ends.pop_front();
            }
        } else if self.ready.is_empty() {
            return None;
        }
        for (slot, byte) in buf.iter_mut().zip(self.ready.drain(..count)) {
            *slot = byte;
        }
        Some(count)
    }

    /// Drops input that was not read (`TCIFLUSH`).
    pub fn flush_input(&mut self) {
        self.ready.clear();
        self.ends.clear();
        self.editing.clear();
        self.erasing = false;
        self.literal_next = false;
    }

    /// Drops echo that was not shown.
    pub fn flush_output(&mut self) {
        self.echo.clear();
    }

    /// Echo to be shown; nothing while output is stopped.
    pub fn take_echo(&mut self) -> Vec<u8> {
        if self.stopped { Vec::new() } else { std::mem::take(&mut self.echo) }
    }

    /// How many typed bytes it takes now. In canonical mode a line that is too long takes more, and drops them.
    pub fn room(&self) -> usize {
        let used = self.ready.len() + self.editing.len();
        match (INPUT_SIZE - 1).saturating_sub(used) {
            0 if self.is_canonical() && self.ends.is_empty() => INPUT_SIZE,
            room => room,
        }
    }

    fn is_canonical(&self) -> bool {
        self.termios.local(ICANON) && !self.termios.local(EXTPROC)
    }
}
