//! The control socket between the command and the sentry: what each tells the other.

use std::os::fd::{AsFd, OwnedFd};

use abi::Errno;
use host::unix::{self, Blocking};
use serde::{Deserialize, Serialize};

use crate::Error;

const MAX_MESSAGE: usize = 64 << 10;

/// From the command to the sentry.
#[derive(Debug, Serialize, Deserialize)]
pub enum ToSentry {
    /// User and group ids of its namespace are mapped: it may go on.
    Mapped,
    /// A signal for the foreground of the sandbox.
    Signal(i32),
    /// A limit was reached: kill everything.
    Kill,
}

/// From the sentry to the command.
#[derive(Debug, Serialize, Deserialize)]
pub enum ToCommand {
    /// The program runs.
    Started,
    /// The program ended, with this wait status.
    Exited(i32),
    /// The program stopped (^Z): the command should stop too.
    Stopped,
    /// It could not be started.
    Failed(Error),
}

/// One end of the control socket.
#[derive(Debug)]
pub struct Control(OwnedFd);

impl Control {
    /// Both ends.
    ///
    /// # Errors
    /// EMFILE, ENFILE.
    pub fn pair() -> Result<(Control, Control), Errno> {
        let (a, b) = unix::packet_pair()?;
        Ok((Control(a), Control(b)))
    }

    /// Sends a message; that the other end is gone shows at the next receive.
    pub fn send<M: Serialize>(&self, message: &M) {
        if let Ok(bytes) = serde_json::to_vec(message) {
            let _ = unix::send(self.0.as_fd(), &bytes, &[], Blocking::Yes);
        }
    }

    /// Waits for a message; `None` when the other end is gone or talks nonsense.
    pub fn receive<M: for<'de> Deserialize<'de>>(&self) -> Option<M> {
        let mut buffer = vec![0; MAX_MESSAGE];
        let received = unix::receive(self.0.as_fd(), &mut buffer, Blocking::Yes).ok()?;
        serde_json::from_slice(buffer.get(..received.len)?).ok()
    }
}

impl AsFd for Control {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.0.as_fd()
    }
}
