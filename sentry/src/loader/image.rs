//! Builds a program's address space: segments, stack, heap, registers.

use std::sync::Arc;

use abi::uapi::auxvec;
use platform::{Context, Layout, Prot, Regs, Sharing};

use super::elf::{Elf, Placement, Segment};
use super::placement::Bases;
use super::stack::{self, Contents};
use super::{ADDR_NO_RANDOMIZE, Program, READ_IMPLIES_EXEC, read_at};
use crate::Errno;
use crate::mm::map::ISLAND_SIZE;
use crate::mm::{ImageInfo, MapLimits, MappedFile, MemoryMap, Source, Vma, VmaFlags};
use crate::task::{Credentials, Current};
use crate::vfs::FileDescription;

/// Everything that has been found out about the program.
pub(super) struct Plan {
    pub program: Program,
    pub interpreter: Option<Program>,
    pub argv: Vec<Vec<u8>>,
    pub envp: Vec<Vec<u8>>,
    pub path: Vec<u8>,
    pub personality: u32,
    pub limits: MapLimits,
    pub credentials: Arc<Credentials>,
    pub secure: bool,
}

/// Takes a fresh address space and fills it.
pub(super) fn build(current: &Current, plan: &Plan) -> Result<(Box<dyn Context>, MemoryMap), Errno> {
    let platform = &current.kernel.platform;
    let layout = platform.layout();
    // One host call for all that is random about a program.
    let mut random_words = [[0; 8]; 8];
    host::random::fill(random_words.as_flattened_mut());
    let [seed_low, seed_high, words @ ..] = random_words;
    let mut words = words.into_iter().map(u64::from_ne_bytes);
    let random = |below: u64| {
        let word = words.next().unwrap_or(0);
        if plan.personality & ADDR_NO_RANDOMIZE != 0 { 0 } else { word % below.max(1) }
    };
    let strings: usize = plan.argv.iter().chain(&plan.envp).map(|string| string.len() + 9).sum();
    let bases = Bases::choose(layout, plan.limits.stack, (strings + plan.path.len()) as u64, random);

    let mut context = platform.spawn().map_err(|error| match error {
        platform::Error::Gone => Errno::EAGAIN,
        platform::Error::Host(error) => error,
    })?;
    let inherited = current.task.mm().ok();
    let mm = MemoryMap::for_exec(layout, inherited.as_deref());
    mm.set_mmap_base(bases.mmap_base);
    let mut loader = Loader { current, context: &mut *context, mm: &mm, patches: layout.syscall_entry.is_some() };

    let elf = &plan.program.elf;
    let bias = match (elf.header.placement, &plan.interpreter) {
        (Placement::Fixed, _) => 0,
        (Placement::Anywhere, Some(_)) => {
            let align = elf.alignment();
            let span = elf.span().ok_or(Errno::ENOEXEC)?;
            let base = bases.program.checked_sub(bases.program % align).ok_or(Errno::ENOMEM)?;
            base.wrapping_sub(span.start)
        }
        (Placement::Anywhere, None) => loader.choose_bias(elf)?,
    };
    let mut info = loader.load(&plan.program, bias)?;
    let program_entry = address(elf.header.entry, bias, layout)?;
    let (entry, base) = match &plan.interpreter {
        None => (program_entry, 0),
        Some(interpreter) => {
            let bias = match interpreter.elf.header.placement {
                Placement::Fixed => 0,
                Placement::Anywhere => loader.choose_bias(&interpreter.elf)?,
            };
            loader.load(interpreter, bias)?;
            (address(interpreter.elf.header.entry, bias, layout)?, bias)
        }
    };

    let prot = Prot { read: true, write: true, exec: elf.executable_stack };
    let mut vma = Vma::anonymous(bases.stack_top - bases.stack_size, bases.stack_top, prot, Source::Stack);
    vma.flags = VmaFlags::NORESERVE | VmaFlags::GROWS_DOWN;
    loader.place_free(vma)?;

    // The heap comes behind the program; behind the base of programs where the program lies among the mappings.
    let program_end = elf.span().and_then(|span| span.end.checked_add(bias)).ok_or(Errno::ENOEXEC)?;
    let heap = match (elf.header.placement, &plan.interpreter) {
        (Placement::Anywhere, None) if plan.personality & ADDR_NO_RANDOMIZE == 0 => bases.program,
        _ => program_end + if loader.patches { ISLAND_SIZE } else { 0 },
    };
    mm.set_heap_start(heap + bases.heap_skip);
    mm.set_read_implies_exec(plan.personality & READ_IMPLIES_EXEC != 0);

    let table = if elf.table_addr == 0 { 0 } else { elf.table_addr.wrapping_add(bias) };
    let auxv = auxiliary_vector(plan, layout, table, base, program_entry);
    let mut seed = [0; 16];
    seed[..8].copy_from_slice(&seed_low);
    seed[8..].copy_from_slice(&seed_high);
    let contents = Contents { argv: &plan.argv, envp: &plan.envp, path: &plan.path, auxv: &auxv, random: seed };
    let stack = stack::build(&contents, bases.stack_top - bases.stack_skip);
    if stack.start < bases.stack_top - bases.stack_size {
        return Err(Errno::E2BIG);
    }
    context.write(stack.start, &stack.bytes).map_err(|_| Errno::EFAULT)?;

    info.exe = plan.program.description.location.clone();
    info.stack_start = stack.start;
    (info.arg_start, info.arg_end) = (stack.args.start, stack.args.end);
    (info.env_start, info.env_end) = (stack.env.start, stack.env.end);
    info.auxv = stack.auxv;
    mm.set_image(info);
    mm.set_space(context.space());
    // Interrupts enabled, and the bit that is always one.
    *context.regs_mut() = Regs { rip: entry, rsp: stack.start, rflags: 0x202, ..Regs::default() };
    Ok((context, mm))
}

fn address(addr: u64, bias: u64, layout: &Layout) -> Result<u64, Errno> {
    // The bias of a program linked at a high address is "negative".
    Some(addr.wrapping_add(bias)).filter(|addr| *addr < layout.max).ok_or(Errno::EINVAL)
}

fn auxiliary_vector(plan: &Plan, layout: &Layout, table: u64, base: u64, entry: u64) -> Vec<(u32, u64)> {
    const CLOCK_TICKS: u64 = 100;
    /// `HWCAP2_FSGSBASE`: programs then change GS by themselves, which the platform needs to know of.
    const FSGSBASE: u64 = 2;
    /// The fixed part of a signal frame: return address, `ucontext`, `siginfo`, alignment.
    const FRAME_REST: u64 = 676;
    let credentials = &plan.credentials;
    let mut auxv = Vec::with_capacity(24);
    if layout.vdso != 0 {
        auxv.push((auxvec::AT_SYSINFO_EHDR, layout.vdso));
    }
    auxv.extend([
        (auxvec::AT_MINSIGSTKSZ, layout.xstate_size as u64 + FRAME_REST),
        (auxvec::AT_HWCAP, host::cpu::hwcap()),
        (auxvec::AT_PAGESZ, abi::PAGE_SIZE),
        (auxvec::AT_CLKTCK, CLOCK_TICKS),
        (auxvec::AT_PHDR, table),
        (auxvec::AT_PHENT, 56),
        (auxvec::AT_PHNUM, u64::from(plan.program.elf.header.table_count)),
        (auxvec::AT_BASE, base),
        (auxvec::AT_FLAGS, 0),
        (auxvec::AT_ENTRY, entry),
        (auxvec::AT_UID, u64::from(credentials.uid)),
        (auxvec::AT_EUID, u64::from(credentials.euid)),
        (auxvec::AT_GID, u64::from(credentials.gid)),
        (auxvec::AT_EGID, u64::from(credentials.egid)),
        (auxvec::AT_SECURE, u64::from(plan.secure)),
        (auxvec::AT_HWCAP2, host::cpu::hwcap2() & !FSGSBASE),
    ]);
    auxv
}

struct Loader<'a> {
    current: &'a Current,
    context: &'a mut dyn Context,
    mm: &'a MemoryMap,
    /// Whether room for patched call sites is kept behind files.
    patches: bool,
}

impl Loader<'_> {
    /// A load bias that puts all of `elf` into free space, with room for patched call sites behind it.
    fn choose_bias(&self, elf: &Elf) -> Result<u64, Errno> {
        let span = elf.span().ok_or(Errno::ENOEXEC)?;
        let room = if self.patches { ISLAND_SIZE } else { 0 };
        let len = (span.end - span.start).checked_add(room).ok_or(Errno::ENOMEM)?;
        Ok(self.mm.choose(len, elf.alignment())?.wrapping_sub(span.start))
    }

    /// Maps all segments of a file.
    fn load(&mut self, program: &Program, bias: u64) -> Result<ImageInfo, Errno> {
        let elf = &program.elf;
        let span = elf.span().ok_or(Errno::ENOEXEC)?;
        let (start, end) = (span.start.wrapping_add(bias), span.end.wrapping_add(bias));
        if start >= end || !self.mm.is_free(start..end) {
            return Err(Errno::EEXIST);
        }
        let file = self.map_source(&program.description, elf)?;
        let mut info = ImageInfo { code_start: u64::MAX, ..ImageInfo::default() };
        for segment in elf.segments.iter().filter(|segment| segment.mem_size > 0) {
            let addr = segment.addr.wrapping_add(bias);
            self.map_segment(program, file.as_ref(), segment, addr)?;
            let file_end = addr + segment.file_size;
            if segment.prot.exec {
                info.code_start = info.code_start.min(addr);
                info.code_end = info.code_end.max(file_end);
            }
            info.data_start = info.data_start.max(addr);
            info.data_end = info.data_end.max(file_end);
        }
        info.code_start = info.code_start.min(info.code_end);
        if self.patches && self.mm.is_free(end..end + ISLAND_SIZE) {
            self.mm.reserve(end..end + ISLAND_SIZE);
        }
        Ok(info)
    }

    /// The host file to map, or `None` for a file that can only be read.
    fn map_source(&self, description: &Arc<FileDescription>, elf: &Elf) -> Result<Option<Arc<MappedFile>>, Errno> {
        let exec = elf.segments.iter().any(|segment| segment.prot.exec);
        let rights = Prot { read: true, write: false, exec };
        match description.file.map(rights, Sharing::Private) {
            Ok(source) => Ok(Some(MappedFile::new(description.clone(), source))),
            Err(Errno::ENODEV) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn map_segment(
        &mut self,
        program: &Program,
        file: Option<&Arc<MappedFile>>,
        segment: &Segment,
        addr: u64,
    ) -> Result<(), Errno> {
        // `Segment::check` has shown that none of these sums overflows, and `load` that the range is the guest's.
        let start = abi::page_down(addr);
        let skip = addr - start;
        let file_end = addr + segment.file_size;
        let file_pages = if segment.file_size == 0 { start } else { abi::page_up(file_end).ok_or(Errno::EINVAL)? };
        let mem_pages = abi::page_up(addr + segment.mem_size).ok_or(Errno::EINVAL)?;
        if start < file_pages {
            let offset = segment.offset - skip;
            match file {
                Some(file) => {
                    let mut vma = Vma::anonymous(start, file_pages, segment.prot, Source::File(file.clone(), offset));
                    vma.flags.set(VmaFlags::MAY_DIFFER, segment.prot.write);
                    self.mm.map_exactly(self.context, vma)?;
                }
                None => self.copy_segment(program, segment, start..file_pages, offset, addr)?,
            }
            // Behind the file's part a page still shows what comes next in the file; only a writable one is cleared.
            let clear_end = file_pages.min(addr + segment.mem_size);
            if segment.prot.write && file_end < clear_end && file.is_some() {
                let zeroes = vec![0; (file_pages - file_end) as usize];
                self.context.write(file_end, &zeroes).map_err(|_| Errno::EFAULT)?;
            }
        }
        if file_pages < mem_pages {
            let vma = Vma::anonymous(file_pages, mem_pages, segment.prot, Source::Anonymous);
            self.mm.map_exactly(self.context, vma)?;
        }
        Ok(())
    }

    /// For files without anything to map: anonymous memory with the file's bytes in it.
    fn copy_segment(
        &mut self,
        program: &Program,
        segment: &Segment,
        pages: std::ops::Range<u64>,
        offset: u64,
        addr: u64,
    ) -> Result<(), Errno> {
        const STEP: u64 = 1 << 20;
        let vma = Vma::anonymous(pages.start, pages.end, Prot::READ_WRITE, Source::Anonymous);
        self.mm.map_exactly(self.context, vma)?;
        let end = addr + segment.file_size;
        let mut at = pages.start;
        while at < end {
            let mut chunk = vec![0; (end - at).min(STEP) as usize];
            let len = read_at(self.current, &program.description, offset + (at - pages.start), &mut chunk)?;
            if len == 0 {
                break;
            }
            self.context.write(at, &chunk[..len]).map_err(|_| Errno::EFAULT)?;
            at += len as u64;
        }
        let bits = segment.prot.bits();
        self.mm.protect(self.context, &MapLimits::NONE, pages.start, pages.end - pages.start, bits)
    }

    /// Maps where nothing is yet.
    fn place_free(&mut self, vma: Vma) -> Result<(), Errno> {
        if !self.mm.is_free(vma.start..vma.end) {
            return Err(Errno::ENOMEM);
        }
        self.mm.map_exactly(self.context, vma)
    }
}
