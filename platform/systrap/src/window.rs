//! Windows: memory shared with a stub process, and careful access to one control page of it.

use crate::contention::current_cpu;
use abi::Errno;
use host::memory::{memfd, punch_hole};
use host::shared_mapping::SharedMapping;
use platform::Regs;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr;
use std::sync::atomic::{
    AtomicU32,
    Ordering::{Relaxed, SeqCst},
};
use systrap_stub::layout::{DATA, DATA_LEN, SLOT, SLOTS, WINDOWS, WINDOWS_LEN};
use systrap_stub::window::{Control, reg};

/// All windows of one address space.
pub struct Windows {
    fd: OwnedFd,
    mapping: SharedMapping,
}

impl Windows {
    /// New windows, all zero. Sparse: a page costs memory when it is first touched.
    pub fn new() -> Result<Windows, Errno> {
        let fd = memfd("windows", WINDOWS_LEN)?;
        let mapping = SharedMapping::new(fd.as_fd(), WINDOWS_LEN as usize)?;
        Ok(Windows { fd, mapping })
    }

    /// Zeroes everything. The process that had them mapped must be dead.
    pub fn wipe(&self, slots: usize) -> Result<(), Errno> {
        // A process with one thread has touched little: clearing the page that is used next is cheaper than new pages.
        const KEPT: u64 = 0x2000;
        if slots > 1 {
            return punch_hole(&self.fd, 0, WINDOWS_LEN);
        }
        punch_hole(&self.fd, KEPT, WINDOWS_LEN - KEPT)?;
        // SAFETY: the mapping is longer than that, and no other process has it.
        unsafe { ptr::write_bytes(self.mapping.start(), 0, KEPT as usize) };
        Ok(())
    }

    /// The memory file, for a stub to map.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// The window of a slot; it is valid as long as these windows are.
    pub fn slot(&self, slot: usize) -> Window {
        assert!(slot < SLOTS);
        // SAFETY: within the mapping.
        Window { control: unsafe { self.mapping.start().add(slot * SLOT as usize) }.cast(), slot }
    }
}

/// Access to one window. Every access is volatile or atomic; what comes out of it is hostile.
#[derive(Clone, Copy)]
pub struct Window {
    control: *mut Control,
    slot: usize,
}

// SAFETY: a pointer to shared memory that is only accessed volatile or atomically; whoever holds a `Window` also holds the
// `Space` whose `Windows` it points into.
unsafe impl Send for Window {}
// SAFETY: as above.
unsafe impl Sync for Window {}

macro_rules! atomic {
    ($window:expr, $($field:tt)+) => {
        // SAFETY: the page is mapped (see `Window`), the field is aligned, and all parties access it atomically.
        unsafe { AtomicU32::from_ptr(&raw mut (*$window.control).$($field)+) }
    };
}

macro_rules! get {
    ($window:expr, $($field:tt)+) => {
        // SAFETY: the page is mapped (see `Window`) and plain integers have no invalid values.
        unsafe { ptr::read_volatile(&raw const (*$window.control).$($field)+) }
    };
}

macro_rules! put {
    ($window:expr, $value:expr, $($field:tt)+) => {
        // SAFETY: the page is mapped (see `Window`).
        unsafe { ptr::write_volatile(&raw mut (*$window.control).$($field)+, $value) }
    };
}

/// What the stub says about a host signal.
pub struct SignalReport {
    pub signal: u32,
    pub code: i32,
    pub fault_addr: u64,
    pub trapno: u64,
    pub error_code: u64,
}

impl Window {
    /// Address of the window in the stub.
    pub fn guest_address(self) -> u64 {
        WINDOWS + self.slot as u64 * SLOT
    }

    /// Address of its data area in the stub.
    pub fn guest_data(self) -> u64 {
        self.guest_address() + DATA
    }

    /// Makes the control page ready for a new thread.
    pub fn prepare(self) {
        // SAFETY: the page is mapped (see `Window`); the thread that will use it does not exist yet.
        unsafe { ptr::write_bytes(self.control.cast::<u8>(), 0, size_of::<Control>()) };
        put!(self, self.guest_address(), quiet.own_address);
    }

    pub fn request(&self) -> &AtomicU32 {
        atomic!(self, request)
    }

    pub fn response(&self) -> &AtomicU32 {
        atomic!(self, answer.response)
    }

    pub fn attention(&self) -> &AtomicU32 {
        atomic!(self, answer.attention)
    }

    pub fn asleep(self) -> bool {
        atomic!(self, quiet.asleep).load(SeqCst) != 0
    }

    /// One more than the number of the CPU on which the stub last woke up, as it says; 0 when it has never slept.
    pub fn cpu(self) -> u32 {
        atomic!(self, quiet.cpu).load(Relaxed)
    }

    /// How often the stub may look for the next answer; it knows by the caller's CPU when that is futile.
    pub fn set_spin(self, spin: u32) {
        let budget = spin.min(0xffff) | (current_cpu() + 1) << 16;
        atomic!(self, answer.spin).store(budget, Relaxed);
    }

    pub fn clear_interrupted(self) {
        // Writing would take the line away from the stub for nothing.
        if get!(self, quiet.interrupted) != 0 {
            put!(self, 0, quiet.interrupted);
        }
    }

    pub fn kind(self) -> u32 {
        get!(self, kind)
    }

    pub fn result(self) -> i64 {
        get!(self, result)
    }

    pub fn signal(self) -> SignalReport {
        SignalReport {
            signal: get!(self, signal),
            code: get!(self, code),
            fault_addr: get!(self, fault_addr),
            trapno: get!(self, trapno),
            error_code: get!(self, error_code),
        }
    }

    pub fn regs(self) -> Regs {
        let mut words = [0u64; reg::COUNT];
        for (i, word) in words.iter_mut().enumerate() {
            // SAFETY: the page is mapped (see `Window`); the index is in range.
            *word = unsafe { ptr::read_volatile((&raw const (*self.control).regs).cast::<u64>().add(i)) };
        }
        // SAFETY: `Regs` is `repr(C)`, twenty u64 in this order; any bits are valid.
        unsafe { std::mem::transmute::<[u64; reg::COUNT], Regs>(words) }
    }

    pub fn set_regs(self, regs: &Regs) {
        // SAFETY: as above.
        let words = unsafe { std::mem::transmute::<Regs, [u64; reg::COUNT]>(*regs) };
        for (i, word) in words.iter().enumerate() {
            // SAFETY: the page is mapped (see `Window`); the index is in range.
            unsafe { ptr::write_volatile((&raw mut (*self.control).regs).cast::<u64>().add(i), *word) };
        }
    }

    /// What the stub shall do; takes effect with the next response.
    pub fn set_operation(self, op: u32, args: &[u64]) {
        put!(self, op, answer.op);
        for (i, value) in args.iter().enumerate().take(8) {
            // SAFETY: the page is mapped (see `Window`); the index is in range.
            unsafe { ptr::write_volatile((&raw mut (*self.control).answer.args).cast::<u64>().add(i), *value) };
        }
    }

    /// Copies bytes out of the data area.
    pub fn read_data(self, offset: usize, buf: &mut [u8]) {
        assert!(offset <= DATA_LEN as usize && buf.len() <= DATA_LEN as usize - offset);
        // SAFETY: source within the window, destination a unique borrow; bytes that change meanwhile are just bytes, and
        // the copy is opaque to the compiler's reasoning about `buf` only in its values.
        unsafe {
            let from = self.control.cast::<u8>().add(DATA as usize + offset);
            ptr::copy_nonoverlapping(from, buf.as_mut_ptr(), buf.len());
        }
    }

    /// Copies bytes into the data area.
    pub fn write_data(self, offset: usize, data: &[u8]) {
        assert!(offset <= DATA_LEN as usize && data.len() <= DATA_LEN as usize - offset);
        // SAFETY: destination within the window, source a borrow.
        unsafe {
            let to = self.control.cast::<u8>().add(DATA as usize + offset);
            ptr::copy_nonoverlapping(data.as_ptr(), to, data.len());
        }
    }
}

const _: () = assert!(size_of::<Regs>() == 8 * reg::COUNT);
