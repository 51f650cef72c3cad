//! mmap and its family, brk: what is mapped, what faults and how, what files see, what fork keeps.

use super::read_write::{content, file};
use crate::harness::memory::{PAGE, bytes_at, fill_bytes, peek, poke, zeroed};
use crate::harness::process::*;
use crate::harness::{Cases, T};

const ANON: i32 = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;

fn map(t: &T, pages: usize) -> usize {
    must!(t, mmap(0, pages * PAGE, 3, ANON, -1, 0)) as usize
}

/// Touches an address in a child and records whether it lived.
fn touch(t: &T, what: &str, addr: usize, write: bool) {
    let pid = fork(t, || {
        if write {
            poke(addr, 1u8)
        } else {
            std::hint::black_box(peek::<u8>(addr));
        }
    });
    t.line(format_args!("  {what}: {}", reap(pid)));
}

pub fn cases(c: &mut Cases) {
    c.family("memory");
    c.add("mmap/anonymous_is_zero", |t| {
        let a = map(t, 3);
        t.show("all zero", bytes_at(a, 3 * PAGE).iter().all(|b| *b == 0));
        poke(a + 5000, 7u8);
        t.show("kept", peek::<u8>(a + 5000));
        call!(t, munmap(a + PAGE, PAGE));
        touch(t, "hole", a + PAGE, false);
        touch(t, "before the hole", a, true);
    });
    for (prot, what) in
        [(0, "none"), (1, "read"), (2, "write"), (3, "read_write"), (4, "exec"), (5, "read_exec"), (7, "all")]
    {
        c.add(format!("mmap/protection_{what}"), move |t| {
            let a = must!(t, mmap(0, PAGE, prot, ANON, -1, 0)) as usize;
            touch(t, "read", a, false);
            touch(t, "write", a, true);
            call!(t, mprotect(a, PAGE, 3));
            touch(t, "write after mprotect", a, true);
        });
    }
    c.add("mmap/file_beyond_end_is_bus_error", |t| {
        let fd = file(t, c"f", b"0123456789");
        let a = must!(t, mmap(0, 2 * PAGE, 3, libc::MAP_SHARED, fd, 0)) as usize;
        t.bytes("content", &bytes_at(a, 12));
        touch(t, "second page", a + PAGE, false);
        must!(t, ftruncate(fd, 2 * PAGE));
        touch(t, "second page of the longer file", a + PAGE, false);
        must!(t, ftruncate(fd, 0));
        touch(t, "first page of the empty file", a, false);
    });
    c.add("mmap/shared_file_is_seen_by_read", |t| {
        let fd = file(t, c"f", b"0123456789");
        let a = must!(t, mmap(0, PAGE, 3, libc::MAP_SHARED, fd, 0)) as usize;
        fill_bytes(a + 2, b"XY");
        content(t, fd);
        must!(t, pwrite64(fd, b"ab", 2, 4));
        t.bytes("mapped", &bytes_at(a, 10));
        call!(t, msync(a, PAGE, libc::MS_SYNC));
        call!(t, munmap(a, PAGE));
        content(t, fd);
    });
    c.add("mmap/private_file_is_not", |t| {
        let fd = file(t, c"f", b"0123456789");
        let a = must!(t, mmap(0, PAGE, 3, libc::MAP_PRIVATE, fd, 0)) as usize;
        fill_bytes(a + 2, b"XY");
        content(t, fd);
        t.bytes("mapped", &bytes_at(a, 10));
    });
    c.add("mmap/outlives_the_descriptor_and_the_name", |t| {
        let fd = file(t, c"f", b"0123456789");
        let a = must!(t, mmap(0, PAGE, 1, libc::MAP_SHARED, fd, 0)) as usize;
        must!(t, close(fd));
        must!(t, unlink(c"f"));
        t.bytes("mapped", &bytes_at(a, 10));
    });
    c.add("mmap/shared_anonymous_and_fork", |t| {
        let a = must!(t, mmap(0, PAGE, 3, libc::MAP_SHARED | libc::MAP_ANONYMOUS, -1, 0)) as usize;
        let b = map(t, 1);
        in_child(t, || {
            poke(a, 42u32);
            poke(b, 42u32);
        });
        t.show("shared, private", (peek::<u32>(a), peek::<u32>(b)));
    });
    c.add("mmap/same_file_twice", |t| {
        let fd = must!(t, memfd_create(c"m", 0));
        must!(t, ftruncate(fd, PAGE));
        let a = must!(t, mmap(0, PAGE, 3, libc::MAP_SHARED, fd, 0)) as usize;
        let b = must!(t, mmap(0, PAGE, 3, libc::MAP_SHARED, fd, 0)) as usize;
        poke(a + 8, 99u32);
        t.show("through the other", peek::<u32>(b + 8));
    });
    c.add("mmap/fixed_replaces", |t| {
        let a = map(t, 3);
        poke(a + PAGE, 1u8);
        let r = sys!(mmap(a + PAGE, PAGE, 3, ANON | libc::MAP_FIXED, -1, 0));
        t.show("at the address", r as usize == a + PAGE);
        t.show("fresh", peek::<u8>(a + PAGE));
        call!(t, mmap(a, PAGE, 3, ANON | libc::MAP_FIXED_NOREPLACE, -1, 0));
        must!(t, munmap(a, PAGE));
        t.show("into the gap", sys!(mmap(a, PAGE, 3, ANON | libc::MAP_FIXED_NOREPLACE, -1, 0)) as usize == a);
    });
    c.add("mmap/hint_is_used_when_free", |t| {
        let a = map(t, 4);
        must!(t, munmap(a, 4 * PAGE));
        t.show("at the hint", sys!(mmap(a + PAGE, PAGE, 3, ANON, -1, 0)) as usize == a + PAGE);
        t.show("elsewhere when taken", sys!(mmap(a + PAGE, PAGE, 3, ANON, -1, 0)) as usize != a + PAGE);
        t.show("unaligned hint is rounded", sys!(mmap(a + 2 * PAGE + 5, PAGE, 3, ANON, -1, 0)) as usize % PAGE);
    });
    c.add("mmap/low_memory_flag", |t| {
        t.show("below 2 GiB", sys!(mmap(0, PAGE, 3, ANON | libc::MAP_32BIT, -1, 0)) < 1 << 31);
    });
    c.add("mmap/address_space_limit", |t| {
        must!(t, setrlimit(libc::RLIMIT_AS, &[1u64 << 30, 1 << 30]));
        done!(t, mmap(0, 1u64 << 31, 3, ANON, -1, 0));
        done!(t, mmap(0, 1u64 << 20, 3, ANON, -1, 0));
        done!(t, mmap(0, 1u64 << 31, 0, ANON | libc::MAP_NORESERVE, -1, 0));
    });
    c.add("mmap/grows_down", |t| {
        // The kernel keeps a gap of 256 pages to what lies below.
        let top = map(t, 2048);
        must!(t, munmap(top, 2048 * PAGE));
        let a =
            must!(t, mmap(top + 1500 * PAGE, PAGE, 3, ANON | libc::MAP_FIXED | libc::MAP_GROWSDOWN, -1, 0)) as usize;
        touch(t, "the page below", a - 8, true);
    });
    c.add("mmap/no_exec_faults", |t| {
        let a = map(t, 1);
        poke(a, 0xc3u8);
        let pid = fork(t, || {
            // SAFETY: the page holds a `ret`; without the right to execute the child dies, which is the point.
            unsafe { std::mem::transmute::<usize, extern "C" fn()>(a)() }
        });
        t.line(format_args!("  without exec: {}", reap(pid)));
        must!(t, mprotect(a, PAGE, 5));
        let pid = fork(t, || {
            // SAFETY: the page holds a `ret` and is executable.
            unsafe { std::mem::transmute::<usize, extern "C" fn()>(a)() }
        });
        t.line(format_args!("  with exec: {}", reap(pid)));
    });
    c.add("munmap/middle_and_twice", |t| {
        let a = map(t, 5);
        call!(t, munmap(a + 2 * PAGE, PAGE));
        call!(t, munmap(a, 5 * PAGE));
        call!(t, munmap(a, 5 * PAGE));
        call!(t, munmap(a, 1));
        call!(t, munmap(a, 0));
        call!(t, munmap(a + 1, PAGE));
    });
    c.add("mprotect/over_a_hole_changes_the_front", |t| {
        let a = map(t, 3);
        must!(t, munmap(a + PAGE, PAGE));
        call!(t, mprotect(a, 3 * PAGE, 1));
        touch(t, "front", a, true);
        touch(t, "back", a + 2 * PAGE, true);
    });
    c.add("mprotect/writing_a_readonly_shared_file", |t| {
        file(t, c"f", b"x");
        let fd = must!(t, open(c"f", 0, 0));
        let a = must!(t, mmap(0, PAGE, 1, libc::MAP_SHARED, fd, 0));
        call!(t, mprotect(a, PAGE, 3));
        let b = must!(t, mmap(0, PAGE, 1, libc::MAP_PRIVATE, fd, 0));
        call!(t, mprotect(b, PAGE, 3));
    });
    c.add("mremap/grows_with_content", |t| {
        let a = map(t, 2);
        poke(a, 11u32);
        poke(a + PAGE, 22u32);
        let b = must!(t, mremap(a, 2 * PAGE, 64 * PAGE, libc::MREMAP_MAYMOVE)) as usize;
        t.show("content", (peek::<u32>(b), peek::<u32>(b + PAGE), peek::<u32>(b + 63 * PAGE)));
        let same = sys!(mremap(b, 64 * PAGE, PAGE, 0));
        t.show("shrinks in place", same as usize == b);
        touch(t, "cut off", b + PAGE, false);
    });
    c.add("mremap/fixed", |t| {
        let (a, b) = (map(t, 2), map(t, 4));
        poke(a, 11u32);
        t.show("moved", sys!(mremap(a, PAGE, 2 * PAGE, 3, b)) as usize == b);
        t.show("content", peek::<u32>(b));
        touch(t, "the old place", a, false);
        call!(t, mremap(b, 2 * PAGE, 2 * PAGE, 3, b + PAGE));
        call!(t, mremap(b, 2 * PAGE, 2 * PAGE, 3, b + 1));
    });
    c.add("mremap/dontunmap", |t| {
        let a = map(t, 1);
        poke(a, 11u32);
        let b = must!(t, mremap(a, PAGE, PAGE, 5)) as usize;
        t.show("new, old", (peek::<u32>(b), peek::<u32>(a)));
    });
    c.add("mremap/shared_old_size_zero_duplicates", |t| {
        let a = must!(t, mmap(0, PAGE, 3, libc::MAP_SHARED | libc::MAP_ANONYMOUS, -1, 0)) as usize;
        poke(a, 5u32);
        let b = must!(t, mremap(a, 0, PAGE, 1)) as usize;
        poke(b, 6u32);
        t.show("seen at both", (peek::<u32>(a), peek::<u32>(b)));
    });
    c.add("madvise/dontneed", |t| {
        let a = map(t, 2);
        poke(a, 1u8);
        poke(a + PAGE, 2u8);
        call!(t, madvise(a, PAGE, libc::MADV_DONTNEED));
        t.show("content", (peek::<u8>(a), peek::<u8>(a + PAGE)));
        let fd = file(t, c"f", b"file");
        let b = must!(t, mmap(0, PAGE, 3, libc::MAP_PRIVATE, fd, 0)) as usize;
        poke(b, b'X');
        call!(t, madvise(b, PAGE, libc::MADV_DONTNEED));
        t.bytes("file again", &bytes_at(b, 4));
    });
    c.add("madvise/fork_advice", |t| {
        let (a, b) = (map(t, 1), map(t, 1));
        poke(a, 1u8);
        poke(b, 1u8);
        call!(t, madvise(a, PAGE, libc::MADV_DONTFORK));
        call!(t, madvise(b, PAGE, libc::MADV_WIPEONFORK));
        touch(t, "not there in the child", a, false);
        in_child(t, || crate::harness::exit(peek::<u8>(b) as i32));
        call!(t, madvise(a, PAGE, libc::MADV_DOFORK));
        touch(t, "there again", a, false);
    });
    c.add("madvise/populate", |t| {
        let a = must!(t, mmap(0, 2 * PAGE, 1, ANON, -1, 0)) as usize;
        call!(t, madvise(a, 2 * PAGE, libc::MADV_POPULATE_READ));
        call!(t, madvise(a, 2 * PAGE, libc::MADV_POPULATE_WRITE));
        must!(t, munmap(a + PAGE, PAGE));
        call!(t, madvise(a, 2 * PAGE, libc::MADV_POPULATE_READ));
        call!(t, madvise(a, 2 * PAGE, libc::MADV_DONTNEED));
    });
    c.add("madvise/remove_punches_the_file", |t| {
        let fd = must!(t, memfd_create(c"m", 0));
        must!(t, ftruncate(fd, 2 * PAGE));
        let a = must!(t, mmap(0, 2 * PAGE, 3, libc::MAP_SHARED, fd, 0)) as usize;
        poke(a, 1u8);
        call!(t, madvise(a, PAGE, libc::MADV_REMOVE));
        t.show("content", peek::<u8>(a));
    });
    c.add("mincore/residency", |t| {
        let a = map(t, 3);
        let mut v = [9u8; 3];
        call!(t, mincore(a, 3 * PAGE, &mut v));
        t.show("untouched", v.map(|b| b & 1));
        poke(a + PAGE, 1u8);
        call!(t, mincore(a, 3 * PAGE, &mut v));
        t.show("second touched", v[1] & 1);
    });
    c.add("mlock/limit_of_a_user", |t| {
        let a = map(t, 32);
        must!(t, setrlimit(libc::RLIMIT_MEMLOCK, &[8192u64, 8192]));
        must!(t, setresuid(1000, 1000, 1000));
        call!(t, mlock(a, 2 * PAGE));
        call!(t, mlock(a, 3 * PAGE));
        call!(t, munlock(a, 2 * PAGE));
        call!(t, mlock(a, 32 * PAGE));
        call!(t, mlockall(1));
        done!(t, mmap(0, 32 * PAGE, 3, ANON | libc::MAP_LOCKED, -1, 0));
    });
    c.add("brk/grows_and_shrinks", |t| {
        let start = sys!(brk(0)) as usize;
        t.show("grown", sys!(brk(start + 3 * PAGE)) as usize - start);
        poke(start + 2 * PAGE, 5u8);
        t.show("shrunk", sys!(brk(start + PAGE)) as usize - start);
        t.show("grown again", sys!(brk(start + 3 * PAGE)) as usize - start);
        t.show("zero again", peek::<u8>(start + 2 * PAGE));
        t.show("below the start is refused", sys!(brk(0x1000)) as usize == start + 3 * PAGE);
        t.show("kernel half is refused", sys!(brk(usize::MAX)) as usize == start + 3 * PAGE);
        t.show("unaligned", sys!(brk(start + 100)) as usize - start);
    });
    c.add("brk/data_limit", |t| {
        let start = sys!(brk(0)) as usize;
        must!(t, setrlimit(libc::RLIMIT_DATA, &[0u64, 0]));
        t.show("grown", sys!(brk(start + 1024 * PAGE)) as usize - start);
    });
    c.add("mseal/forbids_changes", |t| {
        let a = map(t, 2);
        if call!(t, mseal(a, PAGE, 0)) < 0 {
            return;
        }
        call!(t, munmap(a, PAGE));
        call!(t, mprotect(a, PAGE, 1));
        call!(t, mremap(a, PAGE, 2 * PAGE, 1));
        call!(t, mmap(a, PAGE, 3, ANON | libc::MAP_FIXED, -1, 0));
        call!(t, munmap(a, 2 * PAGE));
    });
    c.add("msync/of_a_partial_range", |t| {
        let fd = file(t, c"f", b"0123456789");
        let a = must!(t, mmap(0, 2 * PAGE, 3, libc::MAP_SHARED, fd, 0)) as usize;
        must!(t, munmap(a + PAGE, PAGE));
        call!(t, msync(a, 1, libc::MS_SYNC));
        call!(t, msync(a + 1, 1, libc::MS_SYNC));
        call!(t, msync(a, 2 * PAGE, libc::MS_ASYNC));
        call!(t, msync(a, PAGE, libc::MS_INVALIDATE));
    });
    c.add("read/proc_self_maps", |t| {
        let fd = file(t, c"mapped-file", b"0123456789");
        let a = must!(t, mmap(0, PAGE, 1, libc::MAP_SHARED, fd, 0)) as usize;
        let text = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
        let line = text.lines().find(|l| l.starts_with(&format!("{a:x}-"))).unwrap_or("none");
        let fields: Vec<&str> = line.split_whitespace().collect();
        t.show("protection, offset", (fields.get(1), fields.get(2)));
        t.show("name", fields.get(5).is_some_and(|n| n.ends_with("/mapped-file")));
        t.show("stack and heap", (text.contains("[stack]"), text.contains("[vdso]")));
    });
    c.add("read/proc_self_mem", |t| {
        let a = map(t, 1);
        poke(a, 0x1122_3344u32);
        let fd = must!(t, open(c"/proc/self/mem", libc::O_RDWR, 0));
        let mut b = [0u8; 4];
        call!(t, pread64(fd, &mut b, 4, a));
        t.bytes("read", &b);
        call!(t, pwrite64(fd, b"zzzz", 4, a));
        t.bytes("written", &bytes_at(a, 4));
        must!(t, mprotect(a, PAGE, 1));
        call!(t, pwrite64(fd, b"yyyy", 4, a));
        call!(t, pread64(fd, &mut b, 4, 0));
    });
    c.add("process_vm_readv/own_and_child", |t| {
        let a = map(t, 1);
        let (r, w) = {
            let p = super::pipe::pipe(t, 0);
            (p[0], p[1])
        };
        let pid = fork(t, || {
            poke(a, *b"child!");
            sys!(write(w, b"x", 1));
            sleep_ms(2000);
        });
        must!(t, read(r, &mut [0u8; 1], 1));
        let mut b = [0u8; 6];
        let local = [std::ptr::from_mut(&mut b) as usize, 6];
        call!(t, process_vm_readv(pid, &local, 1, &[a, 6], 1, 0));
        t.bytes("read", &b);
        call!(t, process_vm_writev(pid, &local, 1, &[a + 10, 6], 1, 0));
        call!(t, process_vm_readv(pid, &local, 1, &[a + 4090, 100], 1, 0));
        must!(t, kill(pid, libc::SIGKILL));
        reap(pid);
        call!(t, process_vm_readv(pid, &local, 1, &[a, 6], 1, 0));
    });
    for (what, kind) in [("read_of_nothing", 0), ("write_to_readonly", 1), ("noncanonical", 2), ("bus", 3)] {
        c.add(format!("fault/siginfo_{what}"), move |t| {
            extern "C" fn handler(signal: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
                // SAFETY: the kernel passes valid pointers to a handler with SA_SIGINFO.
                let (info, context) = unsafe { (&*info, &*context.cast::<libc::ucontext_t>()) };
                // SAFETY: a fault fills the address.
                let addr = unsafe { info.si_addr() } as usize;
                let t = T::again();
                t.show("signal, code", (signal, info.si_code));
                t.show("offset in the page", addr % PAGE);
                t.show(
                    "trap, error",
                    (
                        context.uc_mcontext.gregs[libc::REG_TRAPNO as usize],
                        context.uc_mcontext.gregs[libc::REG_ERR as usize],
                    ),
                );
                t.show("cr2 is the address", context.uc_mcontext.gregs[libc::REG_CR2 as usize] as usize == addr);
                crate::harness::exit(5);
            }
            t.keep();
            let a = map(t, 2);
            must!(t, munmap(a + PAGE, PAGE));
            must!(t, mprotect(a, PAGE, 1));
            let fd = file(t, c"f", b"");
            let b = must!(t, mmap(0, PAGE, 1, libc::MAP_SHARED, fd, 0)) as usize;
            handle_info(libc::SIGSEGV, 0, handler);
            handle_info(libc::SIGBUS, 0, handler);
            match kind {
                0 => drop(std::hint::black_box(peek::<u8>(a + PAGE + 0x123))),
                1 => {
                    // The page is there for sure, so that the error code says so.
                    std::hint::black_box(peek::<u8>(a));
                    poke(a + 0x321, 1u8);
                }
                2 => drop(std::hint::black_box(peek::<u8>(crate::harness::memory::NONCANONICAL))),
                _ => drop(std::hint::black_box(peek::<u8>(b + 7))),
            }
        });
    }
    c.add("getrlimit/of_memory", |t| {
        let mut r: libc::rlimit = zeroed();
        for which in [libc::RLIMIT_AS, libc::RLIMIT_DATA, libc::RLIMIT_RSS] {
            call!(t, getrlimit(which, &mut r));
            t.show("limit", (r.rlim_cur, r.rlim_max));
        }
    });
}
