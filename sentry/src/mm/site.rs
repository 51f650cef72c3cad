//! Recognises call sites that can be patched safely: pure reading of machine code.
//!
//! Safe means that every thread that is anywhere in this code, now or later, does what it did before. The two bytes of
//! `syscall` stay, so a jump to them, a return behind them and a restart two bytes before still work. What is overwritten is
//! one whole instruction before them; it is executed out of line, together with those between it and the call, all of which
//! may run anywhere (no branch, nothing relative to RIP). There are two ways to leave from it:
//! - an instruction of five bytes or more (`mov $nr,%eax`) becomes `jmp rel32` to the trampoline;
//! - a shorter one (`xor %eax,%eax`) becomes `jmp rel8` to padding behind a `ret` or `jmp` near by, that becomes `jmp rel32`.

use iced_x86::{Decoder, DecoderOptions, FlowControl, Instruction, Mnemonic};

/// Bytes before the `syscall` that are looked at.
pub const BEFORE: usize = 64;
/// Bytes from the `syscall` on that are looked at.
pub const AFTER: usize = 160;
/// Room for relocated instructions in a trampoline.
pub const MAX_BODY: usize = 18;
/// `jmp rel32`
pub const JUMP_LEN: usize = 5;
const MAX_INSTRUCTIONS: usize = 4;
/// How far before the patched instruction decoding starts for the vote on its boundary.
const VOTERS: usize = 40;
/// `mov $15,%rax` and `mov $15,%eax`: unwinders and debuggers know the return from a signal handler by these bytes.
const RT_SIGRETURN: [&[u8]; 2] = [&[0x48, 0xc7, 0xc0, 15, 0, 0, 0], &[0xb8, 15, 0, 0, 0]];
const SYSCALL: [u8; 2] = [0x0f, 0x05];

/// How to patch a site. Positions are relative to the `syscall` instruction.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Site {
    /// The overwritten instruction lies this many bytes before the `syscall`.
    pub back: usize,
    /// The instructions from there up to the `syscall`, for the trampoline.
    pub body: Vec<u8>,
    /// Padding to jump through, this many bytes behind the start of the `syscall`; `None` where `jmp rel32` fits.
    pub padding: Option<usize>,
}

/// Why a site stays as it is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Refusal {
    /// No instruction before the call can be moved.
    Shape,
    /// The instruction is short and there is no padding near by.
    NoPadding,
    /// It is unclear where instructions begin.
    Boundary,
    /// Not in a private, executable, never writable mapping of an ELF file.
    Mapping,
    /// The addresses for the trampolines are taken.
    NoGap,
    /// The file has as many patched sites as fit.
    Full,
    /// The file could not be read, or has changed since it was mapped.
    File,
    /// The host refused to map the copy.
    Host,
}

/// Looks at `code`, in which the `syscall` is at `at`.
///
/// # Errors
/// The reason why the site cannot be patched.
pub fn recognise(code: &[u8], at: usize) -> Result<Site, Refusal> {
    if code.get(at..at + 2) != Some(&SYSCALL[..]) {
        return Err(Refusal::Shape);
    }
    if RT_SIGRETURN.iter().any(|known| code[..at].ends_with(known)) {
        return Err(Refusal::Shape);
    }
    let lengths = InstructionLengths::new(&code[..at + 2]);
    let mut best: Result<Site, Refusal> = Err(Refusal::Shape);
    // Nearest first: the fewer instructions move the better. One instruction that leaves room beats padding.
    for back in 2..=MAX_BODY.min(at) {
        let start = at - back;
        let Some(first) = lengths.movable_run(start, at) else { continue };
        let found = if !lengths.is_boundary(start) {
            Err(Refusal::Boundary)
        } else if first >= JUMP_LEN {
            Ok(None)
        } else {
            padding(code, at, start).map(Some).ok_or(Refusal::NoPadding)
        };
        match (found, &best) {
            (Ok(None), _) => return Ok(site(code, at, back, None)),
            (Ok(padding), Err(_)) => best = Ok(site(code, at, back, padding)),
            (Err(reason), Err(Refusal::Shape)) => best = Err(reason),
            _ => {}
        }
    }
    best
}

fn site(code: &[u8], at: usize, back: usize, padding: Option<usize>) -> Site {
    Site { back, body: code[at - back..at].to_vec(), padding }
}

/// For each offset, the length of the instruction that would begin there (0: none), and whether it can run elsewhere.
struct InstructionLengths {
    lengths: Vec<(usize, bool)>,
}

impl InstructionLengths {
    fn new(code: &[u8]) -> InstructionLengths {
        let mut decoder = Decoder::new(64, code, DecoderOptions::NONE);
        let mut instruction = Instruction::default();
        let lengths = (0..code.len()).map(|offset| {
            if decoder.set_position(offset).is_err() {
                return (0, false);
            }
            decoder.decode_out(&mut instruction);
            if instruction.is_invalid() {
                return (0, false);
            }
            let movable = instruction.flow_control() == FlowControl::Next
                && !instruction.is_ip_rel_memory_operand()
                && !is_special(instruction.mnemonic());
            (instruction.len(), movable)
        });
        InstructionLengths { lengths: lengths.collect() }
    }

    /// If movable instructions, not too many, lead from `start` exactly to `end`: the length of the first.
    fn movable_run(&self, start: usize, end: usize) -> Option<usize> {
        let mut at = start;
        for _ in 0..MAX_INSTRUCTIONS {
            match self.lengths.get(at)? {
                (0, _) | (_, false) => return None,
                (len, true) => at += len,
            }
            if at == end {
                return Some(self.lengths[start].0);
            }
        }
        None
    }

    /// Whether decoding from most of the places before `start` comes to an instruction at `start`. Code that is read from a
    /// wrong place falls into step within a few instructions.
    fn is_boundary(&self, start: usize) -> bool {
        let from = start.saturating_sub(VOTERS);
        // The last few have had no time to fall into step.
        let voters = from..start.saturating_sub(8);
        let total = voters.len();
        let agree = voters.filter(|&voter| self.leads_to(voter, start)).count();
        total < 8 || agree * 4 >= total * 3
    }

    fn leads_to(&self, from: usize, to: usize) -> bool {
        let mut at = from;
        while at < to {
            match self.lengths[at].0 {
                // What is no instruction has no say; the next byte may begin one.
                0 => at += 1,
                len => at += len,
            }
        }
        at == to
    }
}

/// Instructions that must not move although they do not branch.
fn is_special(mnemonic: Mnemonic) -> bool {
    matches!(mnemonic, Mnemonic::Syscall | Mnemonic::Sysenter | Mnemonic::Xbegin | Mnemonic::Xabort | Mnemonic::Hlt)
}

/// Padding of at least [`JUMP_LEN`] bytes behind an instruction that never goes on, near enough for `jmp rel8` from `start`.
/// Decoding begins at the `syscall`, which is known to be an instruction.
fn padding(code: &[u8], at: usize, start: usize) -> Option<usize> {
    const REACH: usize = 127;
    let mut decoder = Decoder::new(64, &code[at..], DecoderOptions::NONE);
    let mut instruction = Instruction::default();
    let mut ended = false;
    while decoder.can_decode() {
        let position = decoder.position();
        if at + position > start + 2 + REACH {
            return None;
        }
        decoder.decode_out(&mut instruction);
        if instruction.is_invalid() {
            return None;
        }
        let filler = |instruction: &Instruction| matches!(instruction.mnemonic(), Mnemonic::Nop | Mnemonic::Int3);
        if ended && filler(&instruction) {
            let mut end = decoder.position();
            while decoder.can_decode() {
                decoder.decode_out(&mut instruction);
                if instruction.is_invalid() || !filler(&instruction) {
                    break;
                }
                end = decoder.position();
            }
            if end - position >= JUMP_LEN {
                return Some(position);
            }
            decoder.set_position(end).ok()?;
            ended = false;
            continue;
        }
        ended = matches!(instruction.flow_control(), FlowControl::Return | FlowControl::UnconditionalBranch);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Some code that sets nothing, so that there is something to decode before the site.
    const LEAD: &[u8] =
        &[0x48, 0x89, 0xd8, 0x48, 0x83, 0xc0, 0x01, 0x48, 0x89, 0xd8, 0x0f, 0x1f, 0x40, 0x00, 0x55, 0x5d];

    fn look(before: &[u8], after: &[u8]) -> Result<Site, Refusal> {
        let code = [LEAD, LEAD, LEAD, before, &SYSCALL, after].concat();
        recognise(&code, 3 * LEAD.len() + before.len())
    }

    #[test]
    fn a_number_in_eax_is_replaced_by_a_jump() {
        let site = look(&[0xb8, 1, 0, 0, 0], &[0xc3]).unwrap();
        assert_eq!(site, Site { back: 5, body: vec![0xb8, 1, 0, 0, 0], padding: None });
    }

    #[test]
    fn short_instructions_between_number_and_call_move_along() {
        // mov $0x10,%eax; mov 8(%rsp),%edi
        let site = look(&[0xb8, 16, 0, 0, 0, 0x8b, 0x7c, 0x24, 8], &[0xc3]).unwrap();
        assert_eq!((site.back, site.padding), (9, None));
    }

    #[test]
    fn a_move_with_rex_prefix_is_taken_whole() {
        // mov $1,%rax: the five bytes before the call do not begin an instruction.
        let site = look(&[0x48, 0xc7, 0xc0, 1, 0, 0, 0], &[0xc3]).unwrap();
        assert_eq!(site.back, 7);
        // mov $1,%r8d
        let site = look(&[0x41, 0xb8, 1, 0, 0, 0], &[0xc3]).unwrap();
        assert_eq!(site.back, 6);
    }

    #[test]
    fn a_short_instruction_goes_through_padding() {
        // je +0x13; xor %eax,%eax; syscall; cmp $-4096,%rax; ja; ret; 5 bytes of nop
        let after = [0x48, 0x3d, 0, 0xf0, 0xff, 0xff, 0x77, 0x56, 0xc3, 0x0f, 0x1f, 0x44, 0, 0];
        let site = look(&[0x74, 0x13, 0x31, 0xc0], &after).unwrap();
        assert_eq!(site, Site { back: 2, body: vec![0x31, 0xc0], padding: Some(11) });
        // mov %rax,%rbx ends in the byte of ret, but is none.
        let executed = [0x48, 0x89, 0xc3, 0x0f, 0x1f, 0x44, 0, 0, 0xeb, 0xf0];
        assert_eq!(look(&[0x74, 0x13, 0x31, 0xc0], &executed), Err(Refusal::NoPadding));
    }

    #[test]
    fn branches_and_rip_relative_instructions_stay() {
        assert_eq!(look(&[0xeb, 0], &[]), Err(Refusal::Shape));
        // call; lea 0x10(%rip),%rax. The zeroes at its end would be instructions, but none begins there.
        let refused = look(&[0xe8, 0, 0, 0, 0, 0x48, 0x8d, 0x05, 0x10, 0, 0, 0], &[]);
        assert!(matches!(refused, Err(Refusal::Shape | Refusal::Boundary)));
    }
}

#[cfg(test)]
mod library_tests {
    use std::collections::HashSet;

    use super::*;
    use crate::loader::elf::{Elf, Header};

    /// The text of this program; the C library is linked into it.
    fn own_text() -> Vec<u8> {
        let file = std::fs::read("/proc/self/exe").unwrap();
        let header = Header::parse(&file).unwrap();
        let table = &file[header.table_offset as usize..][..header.table_size()];
        let elf = Elf::parse(header, table, 1 << 47).unwrap();
        let segment = elf.segments.iter().find(|segment| segment.prot.exec).unwrap();
        file[segment.offset as usize..][..segment.file_size as usize].to_vec()
    }

    /// All of glibc 2.36: 436 sites by their `mov $nr,%eax` right before, 67 by an instruction further up, 13 through padding,
    /// 10 refused. 138 of the 516 lie across an aligned word's border, 27 across a cache line's.
    #[test]
    fn nearly_all_sites_of_a_c_library_are_found_and_nothing_jumps_into_what_is_overwritten() {
        let code = own_text();
        let mut decoder = Decoder::new(64, &code, DecoderOptions::NONE);
        let (mut starts, mut targets, mut sites) = (HashSet::new(), HashSet::new(), Vec::new());
        let mut instruction = Instruction::default();
        while decoder.can_decode() {
            let at = decoder.position();
            starts.insert(at);
            decoder.decode_out(&mut instruction);
            targets.insert(instruction.near_branch_target() as usize);
            if instruction.mnemonic() == Mnemonic::Syscall {
                sites.push(at);
            }
        }
        let mut found = 0;
        for &at in &sites {
            let from = at.saturating_sub(BEFORE);
            let Ok(site) = recognise(&code[from..(at + AFTER).min(code.len())], at - from) else { continue };
            found += 1;
            let start = at - site.back;
            let len = if site.padding.is_some() { 2 } else { JUMP_LEN };
            assert!(starts.contains(&start), "{start:#x} is within an instruction");
            assert!((start + 1..start + len).all(|byte| !targets.contains(&byte)), "a jump into {start:#x}");
            if let Some(padding) = site.padding.map(|skip| at + skip) {
                assert!(starts.contains(&padding), "padding {padding:#x} is within an instruction");
                assert!((padding..padding + JUMP_LEN).all(|byte| !targets.contains(&byte)), "a jump to {padding:#x}");
            }
        }
        assert!(sites.len() > 20 && found * 10 >= sites.len() * 9, "{found} of {}", sites.len());
    }
}
