//! The stubs' seccomp filter: a second wall behind `PTRACE_SYSEMU`, which alone keeps guest calls from the host.
//!
//! The host asks the tracer before it asks the filter, so the filter sees only what the code page does; anything else means that
//! emulation was escaped, and kills the process.

use abi::{PAGE_SIZE, nr};

/// The calls that the code page makes.
const ALLOWED: [u32; 12] = [
    nr::__NR_mmap,
    nr::__NR_munmap,
    nr::__NR_mprotect,
    nr::__NR_mremap,
    nr::__NR_madvise,
    nr::__NR_mincore,
    nr::__NR_msync,
    nr::__NR_recvmsg,
    nr::__NR_close,
    nr::__NR_clone,
    nr::__NR_exit,
    // What a new thread does until it is traced.
    nr::__NR_pause,
];
/// The vsyscall page: the kernel asks the filter only, and the calls touch nothing but the guest's memory.
const VSYSCALLS: [u32; 3] = [nr::__NR_gettimeofday, nr::__NR_time, nr::__NR_getcpu];

const AUDIT_ARCH_X86_64: u32 = 0xc000_003e;
const RET_KILL_PROCESS: u32 = 0x8000_0000;
const RET_ALLOW: u32 = 0x7fff_0000;

// Offsets in struct seccomp_data.
const NUMBER: u32 = 0;
const ARCH: u32 = 4;
const IP_LOW: u32 = 8;
const IP_HIGH: u32 = 12;

const LOAD: u16 = 0x20;
const AND: u16 = 0x54;
const JUMP_EQUAL: u16 = 0x15;
const RETURN: u16 = 0x06;

/// A program under construction. Each test is followed by its verdict, so that no jump is longer than one instruction.
#[derive(Default)]
struct Program(Vec<[u8; 8]>);

impl Program {
    fn emit(&mut self, code: u16, if_true: u8, if_false: u8, k: u32) {
        let [c0, c1] = code.to_ne_bytes();
        let [k0, k1, k2, k3] = k.to_ne_bytes();
        self.0.push([c0, c1, if_true, if_false, k0, k1, k2, k3]);
    }

    /// Kills unless the masked word at `offset` has this value.
    fn require(&mut self, offset: u32, mask: u32, value: u32) {
        self.emit(LOAD, 0, 0, offset);
        self.emit(AND, 0, 0, mask);
        self.emit(JUMP_EQUAL, 1, 0, value);
        self.emit(RETURN, 0, 0, RET_KILL_PROCESS);
    }

    fn allow(&mut self, numbers: &[u32]) {
        self.emit(LOAD, 0, 0, NUMBER);
        for &number in numbers {
            self.emit(JUMP_EQUAL, 0, 1, number);
            self.emit(RETURN, 0, 0, RET_ALLOW);
        }
    }
}

/// The filter for a code page at `page`, as an array of `struct sock_filter`.
pub fn program(page: u64) -> Vec<[u8; 8]> {
    let mut program = Program::default();
    program.require(ARCH, u32::MAX, AUDIT_ARCH_X86_64);
    program.allow(&VSYSCALLS);
    program.require(IP_HIGH, u32::MAX, (page >> 32) as u32);
    program.require(IP_LOW, !(PAGE_SIZE as u32 - 1), page as u32);
    program.allow(&ALLOWED);
    program.emit(RETURN, 0, 0, RET_KILL_PROCESS);
    program.0
}
