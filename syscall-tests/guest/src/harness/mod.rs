//! What cases are made of: raw system calls and the record of what they did.
//!
//! The record lives in shared memory, so that keeping it makes no system call, needs no descriptor, and survives the death
//! of the process. Arguments are recorded as they stand in the source, never as values: addresses and ids differ between runs.

/// `sys!(read(fd, buf, 4))`: makes the call, records nothing.
macro_rules! sys {
    ($name:ident($($arg:expr),* $(,)?)) => {
        $crate::harness::raw(const { $crate::harness::nr(stringify!($name)) }, &[$($crate::harness::Arg::arg($arg)),*])
    };
}

/// `call!(t, read(fd, buf, 4))`: makes the call and records the return value.
macro_rules! call {
    ($t:expr, $name:ident($($arg:expr),* $(,)?)) => {{
        let r = sys!($name($($arg),*));
        $t.ret(concat!(stringify!($name), "(", stringify!($($arg),*), ")"), r);
        r
    }};
}

/// `done!(t, mmap(..))`: makes the call and records only success or the error.
macro_rules! done {
    ($t:expr, $name:ident($($arg:expr),* $(,)?)) => {{
        let r = sys!($name($($arg),*));
        $t.done(concat!(stringify!($name), "(", stringify!($($arg),*), ")"), r);
        r
    }};
}

/// `must!(t, open(..))`: makes a call that prepares the case, which ends as broken when the call fails.
macro_rules! must {
    ($t:expr, $name:ident($($arg:expr),* $(,)?)) => {
        $t.must(concat!(stringify!($name), "(", stringify!($($arg),*), ")"), sys!($name($($arg),*)))
    };
}

pub mod memory;
pub mod process;

use abi::Errno;
use std::ffi::CStr;
use std::fmt::{self, Debug, Write};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes of record that one case may make.
const CAPACITY: usize = 256 * 1024;
/// The exit status of a case that says it cannot run here.
pub const SKIPPED: i32 = 77;
/// The exit status of a case whose preparation failed.
pub const BROKEN: i32 = 78;

/// One case.
pub struct Case {
    /// `family/call/what`.
    pub name: String,
    /// What it does.
    pub run: Box<dyn Fn(&T)>,
}

/// The cases as they are gathered.
#[derive(Default)]
pub struct Cases {
    /// All so far.
    pub list: Vec<Case>,
    family: &'static str,
}

impl Cases {
    /// The cases that follow belong to `name`.
    pub fn family(&mut self, name: &'static str) {
        self.family = name;
    }

    /// Adds a case by the call it is about and what it shows: `read/at_end_of_file`.
    pub fn add(&mut self, name: impl fmt::Display, run: impl Fn(&T) + 'static) {
        self.list.push(Case { name: format!("{}/{name}", self.family), run: Box::new(run) });
    }
}

/// The record of a case, in memory that forked children share.
pub struct T {
    log: &'static Log,
}

#[repr(C)]
struct Log {
    len: AtomicUsize,
    bytes: [u8; CAPACITY],
}

impl T {
    /// An empty record. Shared memory if there is any; else private memory, which only the process itself can fill.
    pub fn new() -> T {
        for flags in [libc::MAP_SHARED, libc::MAP_PRIVATE] {
            let r = sys!(mmap(0, size_of::<Log>(), 3, flags | libc::MAP_ANONYMOUS, -1, 0));
            if !(-4095..=0).contains(&r) {
                // SAFETY: fresh zeroed memory of that size, never unmapped; zero is a valid `Log`.
                return T { log: unsafe { &*(r as *const Log) } };
            }
        }
        print("cannot map memory for the record\n");
        exit(BROKEN)
    }

    /// Forgets what was recorded.
    pub fn clear(&self) {
        self.log.len.store(0, Ordering::SeqCst);
    }

    /// What was recorded so far.
    pub fn text(&self) -> String {
        let len = self.log.len.load(Ordering::SeqCst).min(CAPACITY);
        // SAFETY: bytes below `len` were written before; a concurrent writer can only make the text wrong, and it is copied.
        let bytes = unsafe { std::slice::from_raw_parts(self.log.bytes.as_ptr(), len) };
        String::from_utf8_lossy(bytes).into_owned()
    }

    /// Records a line.
    pub fn line(&self, text: fmt::Arguments<'_>) {
        let mut line = Line { bytes: [0; 4096], len: 0 };
        let _ = line.write_fmt(text);
        let _ = line.write_char('\n');
        let at = self.log.len.fetch_add(line.len, Ordering::SeqCst);
        if at + line.len <= CAPACITY {
            // SAFETY: the range was reserved for this line and lies inside the mapping.
            unsafe {
                std::ptr::copy_nonoverlapping(line.bytes.as_ptr(), self.log.bytes.as_ptr().cast_mut().add(at), line.len)
            };
        }
    }

    /// Records what a call returned.
    pub fn ret(&self, call: &str, value: i64) {
        self.line(format_args!("{} = {}", squeeze(call), Ret(value)));
    }

    /// Records whether a call that returns an address, a pid or a time succeeded.
    pub fn done(&self, call: &str, value: i64) {
        match value {
            -4095..=-1 => self.ret(call, value),
            _ => self.line(format_args!("{} = ok", squeeze(call))),
        }
    }

    /// Records a value under a name.
    pub fn show(&self, what: &str, value: impl Debug) {
        self.line(format_args!("  {what}: {value:?}"));
    }

    /// Records bytes, readable where they are text.
    pub fn bytes(&self, what: &str, bytes: &[u8]) {
        let shown = &bytes[..bytes.len().min(256)];
        self.line(format_args!("  {what}: {} bytes \"{}\"", bytes.len(), shown.escape_ascii()));
    }

    /// A claim of the manual: recorded only where it does not hold. The runner fails a native run that has such a line.
    pub fn check(&self, claim: &str, holds: bool) {
        if !holds {
            self.line(format_args!("CHECK FAILED: {claim}"));
        }
    }

    /// Ends the case: it cannot run here.
    pub fn skip(&self, reason: impl fmt::Display) -> ! {
        self.line(format_args!("SKIP: {reason}"));
        exit(SKIPPED)
    }

    /// Ends the case: what it needed could not be made.
    pub fn fail(&self, reason: impl fmt::Display) -> ! {
        self.line(format_args!("BROKEN: {reason}"));
        exit(BROKEN)
    }

    /// The value of a call that the case depends on; ends the case when it failed.
    pub fn must(&self, call: &str, value: i64) -> i64 {
        match value {
            -4095..=-1 => self.fail(format_args!("{} = {}", squeeze(call), Ret(value))),
            _ => value,
        }
    }
}

struct Line {
    bytes: [u8; 4096],
    len: usize,
}

impl Write for Line {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        let n = s.len().min(self.bytes.len() - 1 - self.len.min(self.bytes.len() - 1));
        self.bytes[self.len..self.len + n].copy_from_slice(&s.as_bytes()[..n]);
        self.len += n;
        Ok(())
    }
    fn write_char(&mut self, c: char) -> fmt::Result {
        let last = self.len.min(self.bytes.len() - 1);
        self.bytes[last] = c as u8;
        self.len = last + 1;
        Ok(())
    }
}

/// Source text of a call on one line.
fn squeeze(call: &str) -> impl fmt::Display {
    fmt::from_fn(move |f| {
        for (i, word) in call.split_whitespace().enumerate() {
            write!(f, "{}{word}", if i > 0 { " " } else { "" })?;
        }
        Ok(())
    })
}

/// A raw return value as a reader wants it: a number, or the name of an error.
pub struct Ret(pub i64);

impl fmt::Display for Ret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Errno::from_return(self.0) {
            Ok(value) => write!(f, "{}", value as i64),
            Err(errno) => write!(f, "-{errno}"),
        }
    }
}

impl Debug for Ret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What can stand in a register.
pub trait Arg {
    /// The register's value.
    fn arg(self) -> usize;
}

macro_rules! integers {
    ($($t:ty)*) => { $(impl Arg for $t { fn arg(self) -> usize { self as usize } })* };
}
integers!(i8 u8 i16 u16 i32 u32 i64 u64 isize usize);

impl<T> Arg for *const T {
    fn arg(self) -> usize {
        self as usize
    }
}
impl<T> Arg for *mut T {
    fn arg(self) -> usize {
        self as usize
    }
}
impl<T> Arg for &T {
    fn arg(self) -> usize {
        std::ptr::from_ref(self) as usize
    }
}
impl<T> Arg for &mut T {
    fn arg(self) -> usize {
        std::ptr::from_mut(self) as usize
    }
}
impl<T> Arg for &[T] {
    fn arg(self) -> usize {
        self.as_ptr() as usize
    }
}
impl Arg for &CStr {
    fn arg(self) -> usize {
        self.as_ptr() as usize
    }
}

/// The number of a call by name, at compile time.
pub const fn nr(name: &str) -> u32 {
    let (name, mut i) = (name.as_bytes(), 0);
    while i < abi::table::CALLS.len() {
        let known = abi::table::CALLS[i].name.as_bytes();
        let mut same = known.len() == name.len();
        let mut j = 0;
        while same && j < name.len() {
            same = known[j] == name[j];
            j += 1;
        }
        if same {
            return abi::table::CALLS[i].number;
        }
        i += 1;
    }
    panic!("Linux has no call of this name")
}

/// Makes a system call and returns `rax` as it is.
///
/// A case passes wild pointers on purpose; it answers itself for the memory that the kernel writes to.
#[inline(never)]
pub fn raw(nr: u32, args: &[usize]) -> i64 {
    let a = |i: usize| args.get(i).copied().unwrap_or(0);
    let r: i64;
    // SAFETY: the clobbers are those of the `syscall` instruction; what the call does to memory is the case's own affair.
    unsafe {
        std::arch::asm!("syscall", inlateout("rax") nr as i64 => r, in("rdi") a(0), in("rsi") a(1), in("rdx") a(2),
            in("r10") a(3), in("r8") a(4), in("r9") a(5), lateout("rcx") _, lateout("r11") _);
    }
    r
}

/// Ends the process at once, without the C library's exit handlers.
pub fn exit(status: i32) -> ! {
    loop {
        raw(nr("exit_group"), &[status as usize]);
    }
}

/// Writes all of `text` to standard output.
pub fn print(text: &str) {
    let mut rest = text.as_bytes();
    while !rest.is_empty() {
        match sys!(write(1, rest, rest.len())) {
            n @ 1.. => rest = &rest[n as usize..],
            r if r == -(libc::EINTR as i64) || r == -(libc::EAGAIN as i64) => {}
            _ => return,
        }
    }
}

static KEPT: AtomicUsize = AtomicUsize::new(0);

impl T {
    /// Lets signal handlers reach this record by [`T::again`].
    pub fn keep(&self) {
        KEPT.store(std::ptr::from_ref(self.log) as usize, Ordering::SeqCst);
    }

    /// The record that [`T::keep`] remembered.
    pub fn again() -> T {
        // SAFETY: `keep` stored the address of a mapping that is never unmapped.
        T { log: unsafe { &*(KEPT.load(Ordering::SeqCst) as *const Log) } }
    }
}
