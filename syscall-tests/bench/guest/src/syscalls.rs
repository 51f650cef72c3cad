//! Single system calls.

use std::ffi::CStr;

use crate::median_ns;

/// `getppid` by glibc's `mov; syscall` shape.
pub fn getppid() -> f64 {
    // SAFETY: no arguments, no effects.
    median_ns(301, 1000, || unsafe {
        libc::getppid();
    })
}

/// `getppid` from an instruction whose number is not set just before it: a site that nobody can patch.
pub fn getppid_trap() -> f64 {
    median_ns(301, 100, || {
        let mut number: u64 = libc::SYS_getppid as u64;
        // SAFETY: a system call without arguments; rcx and r11 are declared as overwritten.
        unsafe {
            std::arch::asm!("xchg rax, rax", "nop", "syscall", inlateout("rax") number, lateout("rcx") _, lateout("r11") _, options(nostack));
        }
        std::hint::black_box(number);
    })
}

/// `clock_gettime` through the vDSO.
pub fn clock() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid place for the answer.
    median_ns(301, 1000, || unsafe {
        libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time);
    })
}

/// One byte to `/dev/null`.
pub fn write_null() -> f64 {
    let fd = open(c"/dev/null", libc::O_WRONLY);
    // SAFETY: one byte of a live buffer.
    median_ns(301, 500, || unsafe {
        libc::write(fd, [0_u8].as_ptr().cast(), 1);
    })
}

/// One byte from `/dev/zero`.
pub fn read_zero() -> f64 {
    let fd = open(c"/dev/zero", libc::O_RDONLY);
    let mut byte = [0_u8];
    // SAFETY: room for one byte in a live buffer.
    median_ns(301, 500, || unsafe {
        libc::read(fd, byte.as_mut_ptr().cast(), 1);
    })
}

/// 4 KiB of a regular file that lies in the page cache: this program itself.
pub fn pread_4k() -> f64 {
    let fd = open(&own_path(), libc::O_RDONLY);
    let mut buffer = [0_u8; 4096];
    // SAFETY: room for 4096 bytes in a live buffer.
    median_ns(301, 300, || unsafe {
        assert_eq!(libc::pread(fd, buffer.as_mut_ptr().cast(), 4096, 0), 4096);
    })
}

/// `stat` of a path with four components whose names are cached.
pub fn stat() -> f64 {
    // SAFETY: stat is plain data for which zero is valid.
    let mut stat: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: a constant string and a live structure.
    median_ns(301, 300, || unsafe {
        assert_eq!(libc::stat(c"/usr/share/doc".as_ptr(), &raw mut stat), 0);
    })
}

/// `open` and `close` of a regular file.
pub fn open_close() -> f64 {
    let path = own_path();
    // SAFETY: the descriptor closed is the one just opened.
    median_ns(201, 100, || unsafe {
        libc::close(open(&path, libc::O_RDONLY));
    })
}

fn own_path() -> std::ffi::CString {
    let path = std::env::args().next().expect("a program name");
    std::ffi::CString::new(path).expect("no NUL in a path")
}

fn open(path: &CStr, flags: i32) -> i32 {
    // SAFETY: a zero-terminated string.
    let fd = unsafe { libc::open(path.as_ptr(), flags) };
    assert!(fd >= 0, "cannot open {path:?}");
    fd
}
