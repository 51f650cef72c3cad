//! Host calls that the filter does not allow by itself: each is authorised, once, for the thread that was asked to make it.

use crate::core::Core;
use crate::thread::Thread;
use abi::{Errno, nr};
use host::seccomp;
use platform::Error;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};
use systrap_stub::layout::FD;

/// What a refused repetition of an authorised call fails with. The host restarts `clone` when a signal is pending, which
/// makes a second notification; it is not honoured, because a hostile thread could make it, too. The caller tries again.
const REPEATED: Errno = Errno::EUCLEAN;
const ATTEMPTS: usize = 10;
/// How long a stub may take while everybody waits for it.
const SHORT_DEADLINE: Duration = Duration::from_secs(3);
/// How long to sleep for a notification before looking whether the stub still lives.
const POLL: Duration = Duration::from_millis(20);
/// Looks at the listener before sleeping on it.
const LOOKS: u32 = 40;

/// A host call that a stub is about to make.
pub struct Expected<'a> {
    /// Its number.
    pub number: u32,
    /// All six arguments.
    pub args: [u64; 6],
    /// Installed as [`FD`] of the stub just before the call.
    pub fd: Option<BorrowedFd<'a>>,
}

/// How an authorised call ends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Ends {
    /// The stub reports a result.
    WithResult,
    /// The thread is gone.
    WithThread,
}

/// What came of waiting for a call.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Seen {
    /// It has been answered.
    Call,
    /// The stub reports a result without having made it.
    Nothing,
}

impl Core {
    /// Has `thread` make one host call: `post` gives it the operation, which is answered here.
    ///
    /// # Errors
    /// [`Error::Gone`]
    pub fn authorise(
        &self,
        thread: &Thread,
        expected: &Expected<'_>,
        ends: Ends,
        post: &dyn Fn(),
    ) -> Result<i64, Error> {
        self.repeat(thread, |core| {
            {
                let _authority = core.authority.lock();
                post();
                thread.respond();
                if core.await_call(thread, expected)? == Seen::Nothing {
                    return Ok(REPEATED.to_return());
                }
            }
            if ends == Ends::WithThread {
                return Ok(0);
            }
            thread.wait_request(self.config.deadline, || core.refuse_strays())?;
            Ok(thread.window.result())
        })
    }

    /// The same for a caller that holds `authority`, for which everybody waits: hence a short deadline.
    ///
    /// # Errors
    /// [`Error::Gone`]
    pub fn authorise_alone(&self, thread: &Thread, expected: &Expected<'_>, post: &dyn Fn()) -> Result<i64, Error> {
        self.repeat(thread, |core| {
            post();
            thread.respond();
            if core.await_call(thread, expected)? == Seen::Nothing {
                return Ok(REPEATED.to_return());
            }
            thread.wait_request(self.short_deadline(), || core.refuse_pending())?;
            Ok(thread.window.result())
        })
    }

    fn repeat(&self, thread: &Thread, attempt: impl Fn(&Core) -> Result<i64, Error>) -> Result<i64, Error> {
        for _ in 0..ATTEMPTS {
            let result = attempt(self)?;
            if result != REPEATED.to_return() {
                return Ok(result);
            }
        }
        Err(thread.space.violated("an authorised call repeats itself"))
    }

    fn short_deadline(&self) -> Duration {
        self.config.deadline.min(SHORT_DEADLINE)
    }

    fn await_call(&self, thread: &Thread, expected: &Expected<'_>) -> Result<Seen, Error> {
        let listener = self.listener.as_fd();
        let start = Instant::now();
        let mut looks = if thread.shares_cpu() { LOOKS } else { 0 };
        loop {
            // The stub is awake, so its call comes within some microseconds: sooner than this thread could fall asleep and
            // be woken.
            looks += 1;
            if !seccomp::poll(listener, if looks < LOOKS { Duration::ZERO } else { POLL }) {
                if thread.space.is_dead() {
                    return Err(Error::Gone);
                }
                if thread.requested() {
                    // An interrupt that came before the notification was looked at makes the call fail.
                    thread.consume()?;
                    return Ok(Seen::Nothing);
                }
                if start.elapsed() > self.short_deadline() {
                    return Err(thread.space.violated("an expected call was not made"));
                }
                continue;
            }
            let Ok(call) = seccomp::receive(listener) else { continue };
            let same = call.tid == thread.tid.load(SeqCst)
                && call.number as u32 == expected.number
                && call.args == expected.args;
            if !same {
                tracing::warn!(?call, "refused a call that was not asked for");
                let _ = seccomp::refuse(listener, call.id, Errno::EPERM);
                continue;
            }
            // Errors here mean that the thread has died in the meantime, which the next wait notices.
            if let Some(fd) = expected.fd
                && let Err(error) = seccomp::add_fd(listener, call.id, fd, FD as u32)
            {
                let _ = seccomp::refuse(listener, call.id, error);
                return Ok(Seen::Call);
            }
            let _ = seccomp::allow(listener, call.id);
            return Ok(Seen::Call);
        }
    }

    /// Waits for the exit of a stub thread that no space knows, and lets it happen. The caller holds `authority`.
    pub fn dismiss_unknown(&self) {
        let listener = self.listener.as_fd();
        let start = Instant::now();
        while start.elapsed() < self.short_deadline() {
            if !seccomp::poll(listener, POLL) {
                continue;
            }
            let Ok(call) = seccomp::receive(listener) else { continue };
            let unknown = !self.spaces.lock().values().any(|space| space.state.lock().tids.contains(&call.tid));
            if unknown && call.number as u32 == nr::__NR_exit && call.args == [0; 6] {
                let _ = seccomp::allow(listener, call.id);
                return;
            }
            let _ = seccomp::refuse(listener, call.id, Errno::EPERM);
        }
    }

    /// Refuses whatever waits on the listener. The caller holds `authority`.
    fn refuse_pending(&self) {
        let listener = self.listener.as_fd();
        // A flood of calls must not keep this thread here.
        for _ in 0..64 {
            if !seccomp::poll(listener, Duration::ZERO) {
                break;
            }
            if let Ok(call) = seccomp::receive(listener) {
                let _ = seccomp::refuse(listener, call.id, REPEATED);
            }
        }
    }

    /// Refuses calls that nobody expects: guest code that jumped into the stub's text.
    pub fn refuse_strays(&self) {
        if let Some(_authority) = self.authority.try_lock() {
            self.refuse_pending();
        }
    }
}
