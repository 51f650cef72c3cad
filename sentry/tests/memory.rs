//! The memory map against real platforms: the list agrees with the host, and patched call sites do what they did.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use platform::{Context, Event, Platform, Prot, Sharing};
use platform_conformance::wait_event;
use sentry::Errno;
use sentry::mm::remap::RemapRequest;
use sentry::mm::{Backing, MapLimits, MapRequest, MemoryMap, SharedMemory};
use sentry::vfs::{File, FileDescription, FileType, MapSource, Metadata, OpenFlags, Timestamps};

const PAGE: u64 = abi::PAGE_SIZE;
const PRIVATE: u32 = 2;
const FIXED: u32 = 0x10;
const ANONYMOUS: u32 = 0x20;

fn main() {
    // Before any thread: ptrace's template is a fork of this process.
    let ptrace = ptrace::Ptrace::new().expect("start the ptrace platform");
    let systrap = systrap::Systrap::new(systrap::Config::default()).expect("start systrap");
    let platforms: [Arc<dyn Platform>; 2] = [ptrace, systrap];
    type Case = (&'static str, fn(&dyn Platform));
    let cases: [Case; 4] = [
        ("the list agrees with the host's", the_list_agrees_with_the_hosts),
        ("a fork has the same list, and heeds the advice about forks", a_fork_heeds_advice),
        ("patched sites are the calls they were", patched_sites_are_the_calls_they_were),
        ("sites are patched while threads run them", sites_are_patched_while_threads_run_them),
    ];
    let filter = std::env::args().skip(1).find(|argument| !argument.starts_with('-')).unwrap_or_default();
    for platform in platforms {
        for (name, case) in cases.iter().filter(|(name, _)| name.contains(&filter)) {
            print!("{}: {name} ... ", platform.name());
            case(&*platform);
            println!("ok");
        }
        platform.shutdown();
    }
}

/// A small deterministic generator (xorshift), so that a failure can be repeated.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// (start, end, protection, shared) of everything mapped below `max`, neighbours merged.
type Regions = Vec<(u64, u64, u32, bool)>;

fn merge(regions: impl Iterator<Item = (u64, u64, u32, bool)>) -> Regions {
    let mut merged = Regions::new();
    for region in regions {
        match merged.last_mut() {
            Some(last) if last.1 == region.0 && (last.2, last.3) == (region.2, region.3) => last.1 = region.1,
            _ => merged.push(region),
        }
    }
    merged
}

fn host_regions(context: &dyn Context, layout: &platform::Layout) -> Regions {
    let pid = context.space().host_pid().expect("the stub lives");
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).expect("read maps");
    let regions = maps.lines().map(|line| {
        let mut words = line.split_whitespace();
        let (start, end) = words.next().unwrap().split_once('-').unwrap();
        let rights = words.next().unwrap().as_bytes();
        let bit = |at: usize, bit: u32| if rights[at] == b'-' { 0 } else { bit };
        let hex = |text| u64::from_str_radix(text, 16).unwrap();
        (hex(start), hex(end), bit(0, 1) | bit(1, 2) | bit(2, 4), rights[3] == b's')
    });
    let guests = |start: u64| start < layout.max && !layout.fixed.iter().any(|f| f.start <= start && start < f.end);
    merge(regions.filter(|region| guests(region.0)))
}

fn list_regions(mm: &MemoryMap, layout: &platform::Layout) -> Regions {
    let vmas = mm.mappings();
    let guests = |start: u64| start < layout.max && !layout.fixed.iter().any(|f| f.start <= start && start < f.end);
    let regions = vmas.iter().map(|vma| (vma.start, vma.end, vma.prot.bits(), vma.sharing == Sharing::Shared));
    merge(regions.filter(|region| guests(region.0)))
}

fn the_list_agrees_with_the_hosts(platform: &dyn Platform) {
    let layout = platform.layout();
    let none = MapLimits::NONE;
    for seed in 1..5 {
        let mut random = Random(seed * 104_729);
        let mut context = platform.spawn().expect("spawn");
        let context = &mut *context;
        let mm = MemoryMap::new(layout);
        let arena = mm.choose(256 * PAGE, PAGE).expect("room");
        mm.set_heap_start(arena + 200 * PAGE);
        let shared = SharedMemory::new(512 * PAGE, b"shared").expect("memfd");
        for step in 0..150 {
            let addr = arena + random.below(160) * PAGE;
            let len = (1 + random.below(24)) * PAGE;
            let prot = Prot::from_bits(random.below(4) as u32);
            let result = match random.below(8) {
                0 => {
                    let (flags, backing) = (PRIVATE | FIXED | ANONYMOUS, Backing::Anonymous);
                    mm.map(context, &none, &MapRequest { addr, len, prot, flags, backing }).map(drop)
                }
                1 => {
                    let backing = Backing::Memory(shared.clone(), random.below(256) * PAGE);
                    mm.map(context, &none, &MapRequest { addr, len, prot, flags: 1 | FIXED, backing }).map(drop)
                }
                2 => mm.unmap(context, addr, len),
                3 => mm.protect(context, &none, addr, len, prot.bits()),
                4 => {
                    let new_len = (1 + random.below(24)) * PAGE;
                    let flags = random.below(2) as u32;
                    mm.remap(context, &none, RemapRequest { addr, len, new_len, flags, new_addr: 0 }).map(drop)
                }
                5 => {
                    let new_addr = arena + random.below(160) * PAGE;
                    let request = RemapRequest { addr, len, new_len: len, flags: 3, new_addr };
                    mm.remap(context, &none, request).map(drop)
                }
                6 => {
                    mm.brk(context, &none, arena + 200 * PAGE + random.below(40 * PAGE));
                    Ok(())
                }
                _ => mm.advise(context, addr, len, abi::uapi::general::MADV_DONTNEED),
            };
            let expected = [Errno::EINVAL, Errno::ENOMEM, Errno::EFAULT];
            assert!(result.is_ok() || expected.contains(&result.unwrap_err()), "step {step}: {result:?}");
            assert_eq!(list_regions(&mm, layout), host_regions(context, layout), "seed {seed} step {step}");
        }
        context.space().kill();
    }
}

fn a_fork_heeds_advice(platform: &dyn Platform) {
    let mut context = platform.spawn().expect("spawn");
    let mm = MemoryMap::new(platform.layout());
    let start = mm.choose(3 * PAGE, PAGE).expect("room");
    let prot = Prot::READ_WRITE;
    let request = MapRequest {
        addr: start,
        len: 3 * PAGE,
        prot,
        flags: PRIVATE | FIXED | ANONYMOUS,
        backing: Backing::Anonymous,
    };
    mm.map(&mut *context, &MapLimits::NONE, &request).expect("map");
    for page in 0..3 {
        context.write(start + page * PAGE, b"parent").expect("write");
    }
    mm.advise(&mut *context, start + PAGE, PAGE, abi::uapi::general::MADV_DONTFORK).expect("advise");
    mm.advise(&mut *context, start + 2 * PAGE, PAGE, abi::uapi::general::MADV_WIPEONFORK).expect("advise");
    let (child_mm, mut child) = mm.fork(&mut *context).expect("fork");
    let mut bytes = [0; 6];
    child.read(start, &mut bytes).expect("copied");
    assert_eq!(&bytes, b"parent");
    assert!(child.read(start + PAGE, &mut bytes).is_err());
    assert!(child_mm.find(start + PAGE).is_none());
    child.read(start + 2 * PAGE, &mut bytes).expect("wiped");
    assert_eq!(bytes, [0; 6]);
    assert_eq!(list_regions(&child_mm, platform.layout()), host_regions(&*child, platform.layout()));
    child.space().kill();
    context.space().kill();
}

/// An ELF file on the host.
struct Program {
    file: Arc<OwnedFd>,
    size: u64,
}

impl File for Program {
    fn map(&self, _prot: Prot, _sharing: Sharing) -> Result<MapSource, Errno> {
        Ok(MapSource { fd: self.file.clone(), offset: 0 })
    }

    fn metadata(&self) -> Result<Metadata, Errno> {
        Ok(Metadata {
            dev: 1,
            ino: std::os::fd::AsRawFd::as_raw_fd(&*self.file) as u64,
            file_type: FileType::Regular,
            permissions: 0o755,
            nlink: 1,
            uid: 0,
            gid: 0,
            rdev: 0,
            size: self.size,
            block_size: 4096,
            blocks: 16,
            times: Timestamps::default(),
        })
    }
}

/// Offset of the text in file and memory.
const TEXT: usize = 0x1000;
/// Numbers in the order in which the program calls them.
const CALLS: [u64; 5] = [100, 101, 0, 102, 103];

/// A loop over calls of different shapes, and where the instruction behind each `syscall` is.
fn program() -> (Arc<FileDescription>, Vec<u8>, [u64; 5]) {
    let mut text: Vec<u8> = vec![0x90; 32];
    let mut returns = [0; 5];
    // mov $100,%eax; syscall, within an aligned word
    text.extend([0xb8, 100, 0, 0, 0, 0x0f, 0x05]);
    returns[0] = text.len() as u64;
    while text.len() % 8 != 5 {
        text.push(0x90);
    }
    // mov $101,%eax across a word's border
    text.extend([0xb8, 101, 0, 0, 0, 0x0f, 0x05]);
    returns[1] = text.len() as u64;
    let call_at = text.len();
    text.extend([0xe8, 0, 0, 0, 0]);
    // mov $102,%eax; mov -8(%rsp),%edi; syscall
    text.extend([0xb8, 102, 0, 0, 0, 0x8b, 0x7c, 0x24, 0xf8, 0x0f, 0x05]);
    returns[3] = text.len() as u64;
    // mov $103,%rax; syscall
    text.extend([0x48, 0xc7, 0xc0, 103, 0, 0, 0, 0x0f, 0x05]);
    returns[4] = text.len() as u64;
    let back = 32 - (text.len() as i32 + 5);
    text.push(0xe9);
    text.extend(back.to_le_bytes());
    while !text.len().is_multiple_of(16) {
        text.push(0x90);
    }
    // xor %eax,%eax; syscall; cmp $-4096,%rax; ja +0; ret; nop
    let function = text.len();
    text.extend([0x31, 0xc0, 0x0f, 0x05, 0x48, 0x3d, 0, 0xf0, 0xff, 0xff, 0x77, 0, 0xc3, 0x0f, 0x1f, 0x44, 0, 0]);
    returns[2] = function as u64 + 4;
    let distance = (function as i32 - (call_at as i32 + 5)).to_le_bytes();
    text[call_at + 1..call_at + 5].copy_from_slice(&distance);
    text.resize(0x1000, 0xcc);

    let mut file = vec![0; TEXT];
    file[..6].copy_from_slice(&[0x7f, b'E', b'L', b'F', 2, 1]);
    for (at, value) in [(16, 3u16), (18, 62), (54, 56), (56, 1)] {
        file[at..at + 2].copy_from_slice(&value.to_le_bytes());
    }
    file[32..40].copy_from_slice(&64u64.to_le_bytes());
    file[64..68].copy_from_slice(&1u32.to_le_bytes());
    file[68..72].copy_from_slice(&5u32.to_le_bytes());
    let fields = [TEXT as u64, TEXT as u64, TEXT as u64, 0x1000, 0x1000, PAGE];
    for (n, value) in fields.into_iter().enumerate() {
        file[72 + 8 * n..80 + 8 * n].copy_from_slice(&value.to_le_bytes());
    }
    file.extend(&text);
    let fd = host::memory::memfd("program", file.len() as u64).expect("memfd");
    host::memory::write_all(&fd, &file, 0).expect("write");
    let program = Program { file: Arc::new(fd), size: file.len() as u64 };
    (FileDescription::new(Arc::new(program), None, OpenFlags::empty()), text, returns)
}

/// Maps the program as a loader does; the address of its text.
fn map_program(mm: &MemoryMap, context: &mut dyn Context, program: &Arc<FileDescription>) -> u64 {
    let none = MapLimits::NONE;
    let backing = Backing::File(program.clone(), 0);
    let whole = MapRequest { addr: 0, len: 2 * PAGE, prot: Prot::READ, flags: PRIVATE, backing };
    let start = mm.map(context, &none, &whole).expect("map");
    let backing = Backing::File(program.clone(), TEXT as u64);
    let (addr, flags) = (start + TEXT as u64, PRIVATE | FIXED);
    let text = MapRequest { addr, len: PAGE, prot: Prot::READ_EXEC, flags, backing };
    assert_eq!(mm.map(context, &none, &text), Ok(addr));
    let stack = MapRequest {
        addr: 0,
        len: 16 * PAGE,
        prot: Prot::READ_WRITE,
        flags: PRIVATE | ANONYMOUS,
        backing: Backing::Anonymous,
    };
    let stack = mm.map(context, &none, &stack).expect("map a stack");
    context.regs_mut().rip = addr;
    context.regs_mut().rsp = stack + 8 * PAGE;
    addr
}

/// Serves one call and checks that it is number `turn`; whether it came by a trap.
fn serve(
    platform: &dyn Platform,
    mm: &MemoryMap,
    context: &mut dyn Context,
    turn: usize,
    text: u64,
    returns: &[u64; 5],
) -> bool {
    let which = turn % CALLS.len();
    context.regs_mut().r12 = turn as u64;
    context.resume();
    loop {
        match wait_event(platform, context).expect("the guest lives") {
            Event::Syscall => break,
            Event::Fault(fault) if mm.handle_fault(context, &MapLimits::NONE, &fault) => context.resume(),
            Event::Interrupted => context.resume(),
            other => panic!("{other:?} at {:#x} in turn {turn}", context.regs().rip - text),
        }
    }
    let regs = *context.regs();
    assert_eq!(regs.rax, CALLS[which], "turn {turn}");
    assert_eq!(regs.rip - text, returns[which], "turn {turn}");
    assert_eq!(regs.r12, turn as u64);
    let trapped = context.entered_by_trap();
    if trapped {
        mm.patch_site(context, regs.rip);
    }
    context.regs_mut().rax = 0;
    trapped
}

fn patched_sites_are_the_calls_they_were(platform: &dyn Platform) {
    let patches = platform.layout().syscall_entry.is_some();
    let (program, original, returns) = program();
    let mut context = platform.spawn().expect("spawn");
    let mm = MemoryMap::new(platform.layout());
    let text = map_program(&mm, &mut *context, &program);
    for turn in 0..60 {
        serve(platform, &mm, &mut *context, turn, text, &returns);
    }
    let trapped: usize =
        (60..160).map(|turn| usize::from(serve(platform, &mm, &mut *context, turn, text, &returns))).sum();
    if patches {
        assert_eq!(mm.patch_counts().map(|(patched, _)| patched), Some(5), "{:?}", mm.patch_counts());
        assert_eq!(trapped, 0);
        let mut seen = original.clone();
        context.read(text, &mut seen).expect("read text");
        assert_ne!(seen, original);
        mm.show_originals(text, &mut seen);
        assert_eq!(seen, original, "what debuggers see");
    }

    // A program in another space starts patched.
    let mut other_context = platform.spawn().expect("spawn");
    let other = MemoryMap::for_exec(platform.layout(), Some(&mm));
    let other_text = map_program(&other, &mut *other_context, &program);
    let trapped =
        (0..50).filter(|turn| serve(platform, &other, &mut *other_context, *turn, other_text, &returns)).count();
    assert!(!patches || trapped == 0);

    // A fork goes on patched.
    let (child_mm, mut child) = mm.fork(&mut *context).expect("fork");
    let trapped = (160..210).filter(|turn| serve(platform, &child_mm, &mut *child, *turn, text, &returns)).count();
    assert!(!patches || trapped == 0);
    child.space().kill();

    // Restarting a call two bytes before where it came back executes its own instruction.
    let before = context.regs().rip;
    context.regs_mut().rip -= 2;
    context.regs_mut().rax = CALLS[159 % 5];
    assert!(serve(platform, &mm, &mut *context, 159, text, &returns) || !patches);
    assert_eq!(context.regs().rip, before);

    // Something mapped over the trampolines takes the patches away; text that becomes writable is as it was.
    let gap = text + PAGE;
    let (flags, backing) = (PRIVATE | FIXED | ANONYMOUS, Backing::Anonymous);
    let over = MapRequest { addr: gap, len: PAGE, prot: Prot::READ, flags, backing };
    mm.map(&mut *context, &MapLimits::NONE, &over).expect("map over");
    for turn in 160..200 {
        serve(platform, &mm, &mut *context, turn, text, &returns);
    }
    other.protect(&mut *other_context, &MapLimits::NONE, text_page(other_text), PAGE, 7).expect("protect");
    let mut seen = original.clone();
    other_context.read(other_text, &mut seen).expect("read text");
    assert_eq!(seen, original);
    for turn in 50..100 {
        serve(platform, &other, &mut *other_context, turn, other_text, &returns);
    }
    other_context.space().kill();
    context.space().kill();
}

fn text_page(addr: u64) -> u64 {
    abi::page_down(addr)
}

fn sites_are_patched_while_threads_run_them(platform: &dyn Platform) {
    for _ in 0..20 {
        let (program, _, returns) = program();
        let mut first = platform.spawn().expect("spawn");
        let mm = MemoryMap::new(platform.layout());
        let text = map_program(&mm, &mut *first, &program);
        let mut second = first.clone_thread().expect("clone");
        second.regs_mut().rsp -= 4 * PAGE;
        // The second thread runs freely on a thread of its own and patches nothing, the first one patches.
        std::thread::scope(|scope| {
            let (mm, returns) = (&mm, &returns);
            let runner = scope.spawn(move || {
                for turn in 0..400 {
                    let which = turn % CALLS.len();
                    second.resume();
                    loop {
                        match wait_event(platform, &mut *second).expect("the guest lives") {
                            Event::Syscall => break,
                            Event::Fault(fault) if mm.handle_fault(&mut *second, &MapLimits::NONE, &fault) => {
                                second.resume()
                            }
                            other => panic!("{other:?} in turn {turn}"),
                        }
                    }
                    assert_eq!(second.regs().rax, CALLS[which]);
                    assert_eq!(second.regs().rip - text, returns[which]);
                }
            });
            for turn in 0..100 {
                serve(platform, mm, &mut *first, turn, text, returns);
            }
            runner.join().expect("the second thread");
        });
        first.space().kill();
    }
}
