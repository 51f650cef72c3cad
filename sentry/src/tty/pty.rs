//! Pseudo-terminals (`man 7 pty`): the state that master and slave share, and the table of all of them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Weak};

use abi::signal::Signal;
use abi::types::{Termios, Timespec, Winsize};
use abi::uapi::general::{
    IXON, TIOCPKT_DOSTOP, TIOCPKT_FLUSHREAD, TIOCPKT_FLUSHWRITE, TIOCPKT_NOSTOP, TIOCPKT_START, TIOCPKT_STOP, VSTART,
    VSTOP,
};
use parking_lot::Mutex;

use super::line::Line;
use super::termios::Attributes;
use super::{PTS_MAJOR, Tty};
use crate::Errno;
use crate::kernel::Kernel;
use crate::kernel::wait_queue::{Readiness, WaitQueue};
use crate::vfs::special::make_device;
use crate::vfs::{FileType, Metadata, SetAttributes, Timestamps, anonymous};

/// Bytes on their way in either direction, at the most.
pub(super) const BUFFER_SIZE: usize = 65536;
/// Pseudo-terminals at a time (`/proc/sys/kernel/pty/max`).
pub const MAX: u32 = 4096;
const BITS_38400: u32 = 38400;

/// A pseudo-terminal.
pub struct Pty {
    /// Its number: `/dev/pts/N`.
    pub number: u32,
    pub(super) state: Mutex<State>,
    /// Woken for the slave's users.
    pub(super) slave_queue: WaitQueue,
    /// Woken for the master's users.
    pub(super) master_queue: WaitQueue,
    attributes: Mutex<NodeAttributes>,
}

/// Both directions and both ends.
pub(super) struct State {
    pub line: Line,
    /// Typed at the master, not yet taken by the line.
    pub typed: VecDeque<u8>,
    /// Shown to the master.
    pub shown: VecDeque<u8>,
    pub window: Winsize,
    pub speeds: [u32; 2],
    pub slaves: usize,
    pub slave_was_open: bool,
    pub master_open: bool,
    /// `TIOCSPTLCK`: the slave cannot be opened.
    pub locked: bool,
    /// `TIOCPKT`
    pub packet: bool,
    /// `TIOCPKT_*` not yet read.
    pub packet_status: u8,
}

/// What `stat` shows of `/dev/pts/N`.
struct NodeAttributes {
    permissions: u32,
    uid: u32,
    gid: u32,
    times: Timestamps,
}

/// What is to be done once the state is unlocked.
#[derive(Default)]
pub(super) struct Effects {
    pub signals: Vec<Signal>,
    pub wake_slave: Readiness,
    pub wake_master: Readiness,
}

impl State {
    /// Passes typed bytes to the line as far as it takes them, and its echo to the master.
    pub fn pump(&mut self) -> Effects {
        let mut effects = Effects::default();
        while !self.typed.is_empty() {
            let count = self.line.room().min(self.typed.len());
            if count == 0 {
                break;
            }
            let bytes: Vec<u8> = self.typed.drain(..count).collect();
            let received = self.line.receive(&bytes);
            effects.signals.extend(received.signals);
            effects.wake_slave |= Readiness::READABLE;
            effects.wake_master |= Readiness::WRITABLE;
            if received.flushed {
                self.flush_shown();
                self.note(TIOCPKT_FLUSHREAD | TIOCPKT_FLUSHWRITE, 0);
                effects.wake_slave |= Readiness::WRITABLE;
            }
            if let Some(stopped) = received.flow {
                effects.wake_slave |= Readiness::WRITABLE;
                self.note_flow(stopped);
            }
        }
        let echo = self.line.take_echo();
        self.shown.extend(echo);
        if !self.shown.is_empty() || self.packet && self.packet_status != 0 {
            effects.wake_master |= Readiness::READABLE | Readiness::PRI;
        }
        effects
    }

    /// Drops output on its way to the master, except for what a Linux master would have in its own buffer already.
    pub fn flush_shown(&mut self) {
        const MASTER_BUFFER: usize = 4096;
        self.shown.truncate(MASTER_BUFFER);
    }

    pub fn note_flow(&mut self, stopped: bool) {
        let (set, clear) = if stopped { (TIOCPKT_STOP, TIOCPKT_START) } else { (TIOCPKT_START, TIOCPKT_STOP) };
        self.note(set, clear);
    }

    /// Remembers something for a master in packet mode.
    pub fn note(&mut self, set: u32, clear: u32) {
        if self.packet {
            self.packet_status = self.packet_status & !(clear as u8) | set as u8;
        }
    }

    /// Replaces the attributes; a master in packet mode hears whether `^S` and `^Q` still work.
    pub fn set_termios(&mut self, termios: Termios) {
        const CSIZE: u32 = 0o60;
        const PARENB: u32 = 0o400;
        const CS8_CREAD: u32 = 0o260;
        let mut termios = termios;
        termios.c_cflag = termios.c_cflag & !(CSIZE | PARENB) | CS8_CREAD;
        let old = has_usual_flow(self.line.termios());
        let new = has_usual_flow(&termios);
        if old != new {
            let (set, clear) = if new { (TIOCPKT_DOSTOP, TIOCPKT_NOSTOP) } else { (TIOCPKT_NOSTOP, TIOCPKT_DOSTOP) };
            self.note(set, clear);
        }
        self.line.set_termios(termios);
    }
}

fn has_usual_flow(termios: &Termios) -> bool {
    termios.input(IXON) && termios.control(VSTOP) == 0x13 && termios.control(VSTART) == 0x11
}

impl Pty {
    fn new(number: u32, owner: (u32, u32)) -> Pty {
        Pty {
            number,
            state: Mutex::new(State {
                line: Line::default(),
                typed: VecDeque::new(),
                shown: VecDeque::new(),
                window: Winsize::default(),
                speeds: [BITS_38400; 2],
                slaves: 0,
                slave_was_open: false,
                master_open: true,
                locked: true,
                packet: false,
                packet_status: 0,
            }),
            slave_queue: WaitQueue::new(),
            master_queue: WaitQueue::new(),
            attributes: Mutex::new(NodeAttributes {
                permissions: 0o620,
                uid: owner.0,
                gid: owner.1,
                times: anonymous::times_now(),
            }),
        }
    }

    pub(super) fn wake_all(&self) {
        self.slave_queue.wake_all();
        self.master_queue.wake_all();
    }

    /// Attributes of `/dev/pts/N` in the file system `dev`.
    pub fn metadata(&self, dev: u64) -> Metadata {
        let attributes = self.attributes.lock();
        Metadata {
            dev,
            ino: u64::from(self.number) + 3,
            file_type: FileType::CharDevice,
            permissions: attributes.permissions,
            nlink: 1,
            uid: attributes.uid,
            gid: attributes.gid,
            rdev: make_device(PTS_MAJOR, self.number),
            size: 0,
            block_size: 1024,
            blocks: 0,
            times: attributes.times,
        }
    }

    /// `chmod`, `chown`, `utimensat` of `/dev/pts/N`.
    pub fn set_attributes(&self, change: &SetAttributes) {
        let mut attributes = self.attributes.lock();
        attributes.permissions = change.permissions.unwrap_or(attributes.permissions);
        attributes.uid = change.uid.unwrap_or(attributes.uid);
        attributes.gid = change.gid.unwrap_or(attributes.gid);
        attributes.times.accessed = change.accessed.unwrap_or(attributes.times.accessed);
        attributes.times.modified = change.modified.unwrap_or(attributes.times.modified);
        attributes.times.changed = Timespec::from_ns(host::clock::realtime_ns());
    }
}

impl Tty {
    /// Carries out what happened in the pseudo-terminal's state, now that it is unlocked.
    pub(super) fn carry_out(&self, kernel: &Kernel, pty: &Pty, effects: Effects) {
        for signal in effects.signals {
            self.signal_foreground(kernel, signal);
        }
        if !effects.wake_slave.is_empty() {
            pty.slave_queue.wake(effects.wake_slave);
        }
        if !effects.wake_master.is_empty() {
            pty.master_queue.wake(effects.wake_master);
        }
    }
}

/// All pseudo-terminals by number. A number is in use as long as master or slave is open.
#[derive(Default)]
pub struct PtyTable {
    ttys: Mutex<BTreeMap<u32, Weak<Tty>>>,
    /// `gid=` of the devpts mount: the group that slaves belong to.
    pub gid: Mutex<Option<u32>>,
    /// `mode=` of the devpts mount.
    pub mode: Mutex<Option<u32>>,
}

impl PtyTable {
    /// A pseudo-terminal with the lowest free number, for `owner` (user, group).
    ///
    /// # Errors
    /// ENOSPC when all are in use.
    pub fn allocate(&self, owner: (u32, u32)) -> Result<Arc<Tty>, Errno> {
        let mut ttys = self.ttys.lock();
        ttys.retain(|_, tty| tty.strong_count() > 0);
        let number = (0..MAX).find(|number| !ttys.contains_key(number)).ok_or(Errno::ENOSPC)?;
        let pty = Pty::new(number, (owner.0, self.gid.lock().unwrap_or(owner.1)));
        if let Some(mode) = *self.mode.lock() {
            pty.attributes.lock().permissions = mode & 0o777;
        }
        let tty = Arc::new(Tty::new(make_device(PTS_MAJOR, number), Some(pty)));
        ttys.insert(number, Arc::downgrade(&tty));
        Ok(tty)
    }

    /// The pseudo-terminal `number`, as long as its master is open.
    pub fn get(&self, number: u32) -> Option<Arc<Tty>> {
        let tty = self.ttys.lock().get(&number)?.upgrade()?;
        let open = tty.pty()?.state.lock().master_open;
        open.then_some(tty)
    }

    /// Numbers whose master is open.
    pub fn numbers(&self) -> Vec<u32> {
        let ttys: Vec<_> = self.ttys.lock().iter().map(|(&number, tty)| (number, tty.clone())).collect();
        let is_open = |tty: &Weak<Tty>| {
            tty.upgrade().is_some_and(|tty| tty.pty().is_some_and(|pty| pty.state.lock().master_open))
        };
        ttys.iter().filter(|(_, tty)| is_open(tty)).map(|(number, _)| *number).collect()
    }
}
