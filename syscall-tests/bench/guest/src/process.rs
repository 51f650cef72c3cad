//! Processes, and hand-overs between them.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::median_ns;

/// `fork`, `_exit` in the child, `waitpid`.
pub fn fork_wait() -> f64 {
    median_ns(101, 5, fork_once)
}

/// The same with 100 MB of touched memory.
pub fn fork_100mb() -> f64 {
    let mut memory = vec![0_u8; 100 << 20];
    memory.iter_mut().step_by(4096).for_each(|byte| *byte = 1);
    let ns = median_ns(31, 1, fork_once);
    std::hint::black_box(memory);
    ns
}

fn fork_once() {
    // SAFETY: the child only exits.
    match unsafe { libc::fork() } {
        // SAFETY: ends the child without running the parent's exit handlers.
        0 => unsafe { libc::_exit(0) },
        child => wait(child),
    }
}

fn wait(child: i32) {
    let mut status = 0;
    // SAFETY: `status` is a live place for the answer.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    assert_eq!(status, 0);
}

/// `vfork` and `execve` of this program, `waitpid`.
pub fn vfork_exec() -> f64 {
    let own = std::ffi::CString::new(std::env::args().next().expect("a program name")).expect("no NUL");
    let arguments = [own.as_ptr(), c"nothing".as_ptr(), std::ptr::null()];
    let environment: [*mut libc::c_char; 1] = [std::ptr::null_mut()];
    median_ns(51, 2, || {
        let mut child = 0;
        // SAFETY: all arrays end with a null and outlive the call; posix_spawn is vfork and exec in glibc.
        let result = unsafe {
            libc::posix_spawn(
                &raw mut child,
                own.as_ptr(),
                std::ptr::null(),
                std::ptr::null(),
                arguments.as_ptr().cast(),
                environment.as_ptr(),
            )
        };
        assert_eq!(result, 0);
        wait(child);
    })
}

/// One byte to another process and back through two pipes.
pub fn pipe_pingpong() -> f64 {
    let (there, back) = (pipe(), pipe());
    // SAFETY: the child uses only system calls and exits.
    match unsafe { libc::fork() } {
        0 => {
            close(there[1]);
            close(back[0]);
            while transfer_in(there[0]) {
                transfer_out(back[1]);
            }
            // SAFETY: ends the child.
            unsafe { libc::_exit(0) }
        }
        child => {
            close(there[0]);
            close(back[1]);
            let ns = median_ns(101, 50, || {
                transfer_out(there[1]);
                assert!(transfer_in(back[0]));
            });
            close(there[1]);
            wait(child);
            ns
        }
    }
}

/// A hand-over between two threads by futex and back.
pub fn futex_pingpong() -> f64 {
    static TURN: AtomicU32 = AtomicU32::new(0);
    const STOP: u32 = u32::MAX;
    let other = std::thread::spawn(|| {
        loop {
            match TURN.load(Ordering::SeqCst) {
                1 => {
                    TURN.store(0, Ordering::SeqCst);
                    futex(&TURN, libc::FUTEX_WAKE, 1);
                }
                STOP => return,
                seen => futex(&TURN, libc::FUTEX_WAIT, seen),
            }
        }
    });
    let ns = median_ns(101, 50, || {
        TURN.store(1, Ordering::SeqCst);
        futex(&TURN, libc::FUTEX_WAKE, 1);
        while TURN.load(Ordering::SeqCst) == 1 {
            futex(&TURN, libc::FUTEX_WAIT, 1);
        }
    });
    TURN.store(STOP, Ordering::SeqCst);
    futex(&TURN, libc::FUTEX_WAKE, 1);
    other.join().expect("the other thread ends");
    ns
}

fn futex(word: &AtomicU32, operation: i32, value: u32) {
    // SAFETY: `word` is a live, aligned word.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), operation | libc::FUTEX_PRIVATE_FLAG, value, 0, 0, 0) };
}

fn pipe() -> [i32; 2] {
    let mut fds = [0; 2];
    // SAFETY: room for two descriptors.
    assert_eq!(unsafe { libc::pipe(fds.as_mut_ptr()) }, 0);
    fds
}

fn close(fd: i32) {
    // SAFETY: a descriptor of this program's own that is not used afterwards.
    unsafe { libc::close(fd) };
}

fn transfer_in(fd: i32) -> bool {
    let mut byte = [0_u8];
    // SAFETY: room for one byte.
    unsafe { libc::read(fd, byte.as_mut_ptr().cast(), 1) == 1 }
}

fn transfer_out(fd: i32) {
    // SAFETY: one byte of a live buffer.
    unsafe { libc::write(fd, [1_u8].as_ptr().cast(), 1) };
}
