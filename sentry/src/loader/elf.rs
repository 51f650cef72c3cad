//! Reads ELF headers of x86-64 programs. Every number in them is hostile: nothing is used before it is checked.

use std::ops::Range;

use platform::Prot;

use crate::Errno;

/// Bytes of the ELF header.
pub const HEADER_SIZE: usize = 64;
const PROGRAM_HEADER_SIZE: u16 = 56;
/// Program headers may fill this much (`ELF_MIN_ALIGN` in `load_elf_phdrs`).
const MAX_PROGRAM_HEADERS: usize = 65536;

const PT_LOAD: u32 = 1;
const PT_INTERP: u32 = 3;
const PT_PHDR: u32 = 6;
const PT_GNU_STACK: u32 = 0x6474_e551;
const PF_X: u32 = 1;
const PF_W: u32 = 2;
const PF_R: u32 = 4;

/// Where a file wants to be loaded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Placement {
    /// `ET_EXEC`: at the addresses it names.
    Fixed,
    /// `ET_DYN`: anywhere.
    Anywhere,
}

/// The ELF header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// Fixed or position-independent.
    pub placement: Placement,
    /// The entry point, before the load bias.
    pub entry: u64,
    /// Where the program headers are in the file.
    pub table_offset: u64,
    /// How many there are, 1..=1170.
    pub table_count: u16,
}

/// A `PT_LOAD` program header that has been checked: nothing in it overflows, the file's part is not larger than the memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Segment {
    /// Offset in the file.
    pub offset: u64,
    /// Address, before the load bias.
    pub addr: u64,
    /// Bytes from the file.
    pub file_size: u64,
    /// Bytes in memory.
    pub mem_size: u64,
    /// `p_align`
    pub align: u64,
    /// Protection.
    pub prot: Prot,
}

/// What the loader needs of a program's headers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Elf {
    /// The header.
    pub header: Header,
    /// Segments to load, as they stand in the file; at least one that is not empty.
    pub segments: Vec<Segment>,
    /// Where the interpreter's name is in the file, its NUL included.
    pub interpreter: Option<Range<u64>>,
    /// `PT_GNU_STACK` asks for an executable stack.
    pub executable_stack: bool,
    /// Where the program headers will be in memory, before the load bias; 0 if nowhere.
    pub table_addr: u64,
}

impl Header {
    /// Checks the first bytes of a file.
    ///
    /// # Errors
    /// ENOEXEC when it is not an x86-64 program.
    pub fn parse(bytes: &[u8]) -> Result<Header, Errno> {
        let fields = Fields(bytes);
        // 64-bit, little-endian. The kernel does not look at version and ABI either.
        if bytes.get(..6) != Some(&[0x7f, b'E', b'L', b'F', 2, 1][..]) {
            return Err(Errno::ENOEXEC);
        }
        let placement = match fields.u16(16)? {
            2 => Placement::Fixed,
            3 => Placement::Anywhere,
            _ => return Err(Errno::ENOEXEC),
        };
        const EM_X86_64: u16 = 62;
        let table_count = fields.u16(56)?;
        if fields.u16(18)? != EM_X86_64 || fields.u16(54)? != PROGRAM_HEADER_SIZE || table_count == 0 {
            return Err(Errno::ENOEXEC);
        }
        let header = Header { placement, entry: fields.u64(24)?, table_offset: fields.u64(32)?, table_count };
        if header.table_size() > MAX_PROGRAM_HEADERS
            || header.table_offset.checked_add(header.table_size() as u64).is_none_or(|end| end > i64::MAX as u64)
        {
            return Err(Errno::ENOEXEC);
        }
        Ok(header)
    }

    /// Bytes of the program headers.
    pub fn table_size(&self) -> usize {
        usize::from(self.table_count) * usize::from(PROGRAM_HEADER_SIZE)
    }
}

impl Elf {
    /// Checks the program headers. `max` is one past the highest address.
    ///
    /// # Errors
    /// ENOEXEC, EINVAL as Linux's `load_elf_binary`.
    pub fn parse(header: Header, table: &[u8], max: u64) -> Result<Elf, Errno> {
        let mut elf = Elf { header, segments: Vec::new(), interpreter: None, executable_stack: false, table_addr: 0 };
        let mut table_addr = None;
        for entry in table.chunks_exact(usize::from(PROGRAM_HEADER_SIZE)).take(usize::from(header.table_count)) {
            let fields = Fields(entry);
            let (kind, flags) = (fields.u32(0)?, fields.u32(4)?);
            let (offset, addr) = (fields.u64(8)?, fields.u64(16)?);
            let (file_size, mem_size, align) = (fields.u64(32)?, fields.u64(40)?, fields.u64(48)?);
            match kind {
                PT_LOAD => {
                    let prot = Prot { read: flags & PF_R != 0, write: flags & PF_W != 0, exec: flags & PF_X != 0 };
                    let segment = Segment { offset, addr, file_size, mem_size, align, prot };
                    segment.check(max)?;
                    let inside = header.table_offset.checked_sub(offset).filter(|skip| *skip < file_size);
                    if let (Some(skip), None) = (inside, table_addr) {
                        table_addr = addr.checked_add(skip);
                    }
                    elf.segments.push(segment);
                }
                PT_INTERP if elf.interpreter.is_none() => {
                    const PATH_MAX: u64 = crate::mm::user::PATH_MAX as u64;
                    if !(2..=PATH_MAX).contains(&file_size) {
                        return Err(Errno::ENOEXEC);
                    }
                    let end = offset.checked_add(file_size).filter(|end| *end <= i64::MAX as u64);
                    elf.interpreter = Some(offset..end.ok_or(Errno::ENOEXEC)?);
                }
                PT_PHDR => elf.table_addr = addr,
                PT_GNU_STACK => elf.executable_stack = flags & PF_X != 0,
                _ => {}
            }
        }
        if elf.table_addr == 0 {
            elf.table_addr = table_addr.unwrap_or(0);
        }
        if elf.span().is_none() {
            return Err(Errno::ENOEXEC);
        }
        Ok(elf)
    }

    /// The pages from the first segment's to the last's, before the load bias; `None` without segments.
    pub fn span(&self) -> Option<Range<u64>> {
        let used = || self.segments.iter().filter(|segment| segment.mem_size > 0);
        let start = used().map(|segment| segment.addr).min()?;
        let end = used().map(|segment| segment.addr.saturating_add(segment.mem_size)).max()?;
        Some(abi::page_down(start)..abi::page_up(end)?)
    }

    /// The largest alignment that a segment asks for: a power of two, at least a page.
    pub fn alignment(&self) -> u64 {
        let wanted = self.segments.iter().map(|segment| segment.align).filter(|align| align.is_power_of_two());
        wanted.max().unwrap_or(0).max(abi::PAGE_SIZE)
    }
}

impl Segment {
    fn check(&self, max: u64) -> Result<(), Errno> {
        let end = self.addr.checked_add(self.mem_size).ok_or(Errno::EINVAL)?;
        if self.file_size > self.mem_size || end > max {
            return Err(Errno::EINVAL);
        }
        // The page offsets in file and memory must agree, or the file cannot be mapped there.
        if self.file_size > 0 && self.offset % abi::PAGE_SIZE != self.addr % abi::PAGE_SIZE {
            return Err(Errno::EINVAL);
        }
        self.offset.checked_add(self.file_size).filter(|end| *end <= i64::MAX as u64).ok_or(Errno::EINVAL)?;
        Ok(())
    }
}

/// Little-endian fields at offsets of a slice that may be too short.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn array<const N: usize>(&self, at: usize) -> Result<[u8; N], Errno> {
        let bytes = self.0.get(at..at + N).ok_or(Errno::ENOEXEC)?;
        bytes.try_into().map_err(|_| Errno::ENOEXEC)
    }
    fn u16(&self, at: usize) -> Result<u16, Errno> {
        self.array(at).map(u16::from_le_bytes)
    }
    fn u32(&self, at: usize) -> Result<u32, Errno> {
        self.array(at).map(u32::from_le_bytes)
    }
    fn u64(&self, at: usize) -> Result<u64, Errno> {
        self.array(at).map(u64::from_le_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: u64 = 0x7fff_ffff_f000;

    fn parse(bytes: &[u8]) -> Result<Elf, Errno> {
        let header = Header::parse(bytes)?;
        let start = usize::try_from(header.table_offset).map_err(|_| Errno::ENOEXEC)?;
        let end = start.checked_add(header.table_size()).ok_or(Errno::ENOEXEC)?;
        Elf::parse(header, bytes.get(start..end).ok_or(Errno::ENOEXEC)?, MAX)
    }

    fn this_program() -> Vec<u8> {
        let mut bytes = std::fs::read("/proc/self/exe").unwrap();
        bytes.truncate(8192);
        bytes
    }

    #[test]
    fn a_real_program_has_text_data_and_an_interpreter() {
        let elf = parse(&this_program()).unwrap();
        assert_eq!(elf.header.placement, Placement::Anywhere);
        assert!(elf.segments.iter().any(|segment| segment.prot.exec && !segment.prot.write));
        assert!(elf.segments.iter().any(|segment| segment.prot.write));
        assert!(!elf.executable_stack);
        assert!(elf.table_addr != 0);
    }

    #[test]
    fn corrupted_headers_never_panic_and_never_leave_the_address_space() {
        let good = this_program();
        let mut random = crate::mm::list::tests::Random(42);
        let mut accepted = 0;
        for round in 0..50_000 {
            let mut bytes = good.clone();
            for _ in 0..1 + random.below(4) {
                let at = random.below(64 + 56 * 12) as usize;
                let value = match random.below(4) {
                    0 => 0xff,
                    1 => 0,
                    2 => 0x80,
                    _ => random.below(256) as u8,
                };
                let run = 1 + random.below(8) as usize;
                bytes[at..at + run].fill(value);
            }
            if round % 16 == 0 {
                bytes.truncate(random.below(1024) as usize);
            }
            if let Ok(elf) = parse(&bytes) {
                accepted += 1;
                let span = elf.span().unwrap();
                assert!(span.start < span.end && span.end <= MAX);
                assert!(elf.alignment().is_power_of_two());
            }
        }
        assert!(accepted > 1000, "most corruptions hit no header: {accepted}");
    }
}
