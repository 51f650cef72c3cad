//! A guest made of a few bytes of machine code, and the loop that waits for its events.

use platform::{Context, Error, Event, Platform, Prot};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context as WakeContext, Poll, Wake, Waker};
use std::time::{Duration, Instant};

/// Where the guest's code is mapped: one page.
pub const CODE: u64 = 0x40_0000;
/// Where the guest's data is mapped: [`DATA_LEN`] bytes.
pub const DATA: u64 = 0x50_0000;
/// Four pages.
pub const DATA_LEN: u64 = 0x4000;
/// No case waits longer for a single event.
pub const DEADLINE: Duration = Duration::from_secs(10);

struct CountingWaker(AtomicUsize);

impl Wake for CountingWaker {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Waits for the next event as a sentry worker does: poll the context, then sleep in the platform.
///
/// # Panics
/// When nothing comes within [`DEADLINE`], or the context comes back without its waker having been woken.
pub fn wait_event(platform: &dyn Platform, context: &mut dyn Context) -> Result<Event, Error> {
    let count = Arc::new(CountingWaker(AtomicUsize::new(0)));
    let waker = Waker::from(count.clone());
    let start = Instant::now();
    let mut registered = false;
    loop {
        // The wake comes before the event is seen or it is a lost one, so it is counted before looking.
        let woken = count.0.load(Ordering::SeqCst);
        if !registered || woken > 0 {
            match context.poll_event(&mut WakeContext::from_waker(&waker)) {
                Poll::Ready(event) => return event,
                Poll::Pending => registered = true,
            }
        }
        assert!(start.elapsed() < DEADLINE, "no event within {DEADLINE:?}");
        if platform.poll() == 0 && count.0.load(Ordering::SeqCst) == 0 {
            platform.wait(Some(Duration::from_millis(500)));
        }
    }
}

/// A fresh space with code and data, and its first context.
pub struct Guest<'a> {
    /// The platform it runs on.
    pub platform: &'a dyn Platform,
    /// The first context.
    pub context: Box<dyn Context>,
}

impl<'a> Guest<'a> {
    /// Spawns a space, maps `code` at [`CODE`] and zeroed data at [`DATA`], and points `rip` at the code.
    pub fn new(platform: &'a dyn Platform, code: &[u8]) -> Guest<'a> {
        let mut context = platform.spawn().expect("spawn");
        context.map_anonymous(CODE, 0x1000, Prot::READ_WRITE, false).expect("map code");
        context.map_anonymous(DATA, DATA_LEN, Prot::READ_WRITE, false).expect("map data");
        context.write(CODE, code).expect("write code");
        context.protect(CODE, 0x1000, Prot::READ_EXEC).expect("protect code");
        context.regs_mut().rip = CODE;
        context.regs_mut().rsp = DATA + DATA_LEN;
        Guest { platform, context }
    }

    /// Resumes and waits for the event.
    pub fn run(&mut self) -> Event {
        self.context.resume();
        self.wait()
    }

    /// Waits for the event of a guest that runs already.
    pub fn wait(&mut self) -> Event {
        wait_event(self.platform, &mut *self.context).expect("the context is gone")
    }

    /// A 32-bit word of guest memory.
    pub fn word(&mut self, addr: u64) -> u32 {
        read_word(&mut *self.context, addr)
    }
}

/// A 32-bit word of guest memory.
pub fn read_word(context: &mut dyn Context, addr: u64) -> u32 {
    let mut bytes = [0; 4];
    context.read(addr, &mut bytes).expect("read a word");
    u32::from_le_bytes(bytes)
}
