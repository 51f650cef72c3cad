//! The initial stack: strings, the auxiliary vector, environment, arguments (System V ABI, "Process Initialization").

use abi::uapi::auxvec;

use crate::Errno;

/// Longest argument or environment string, NUL included (`MAX_ARG_STRLEN`).
const MAX_STRING: usize = 32 * abi::PAGE_SIZE as usize;
/// Arguments and environment may always be this long (`ARG_MAX`).
const ARG_MIN: u64 = 128 << 10;
/// And never longer than this (three quarters of `_STK_LIM`).
const ARG_LIMIT: u64 = 6 << 20;

/// What goes onto the stack.
pub struct Contents<'a> {
    /// Arguments.
    pub argv: &'a [Vec<u8>],
    /// Environment.
    pub envp: &'a [Vec<u8>],
    /// The path by which the program was started.
    pub path: &'a [u8],
    /// Entries for the auxiliary vector but those that point into the stack.
    pub auxv: &'a [(u32, u64)],
    /// 16 random bytes for the program.
    pub random: [u8; 16],
}

/// A stack, ready to be copied.
#[derive(Debug)]
pub struct Stack {
    /// All its bytes.
    pub bytes: Vec<u8>,
    /// Where they begin: `rsp` at the entry point.
    pub start: u64,
    /// Addresses of the argument strings.
    pub args: std::ops::Range<u64>,
    /// Addresses of the environment strings.
    pub env: std::ops::Range<u64>,
    /// The auxiliary vector as bytes.
    pub auxv: Vec<u8>,
}

/// Checks sizes before anything is made.
///
/// # Errors
/// E2BIG
pub fn check_size(argv: &[Vec<u8>], envp: &[Vec<u8>], path: &[u8], stack_limit: u64) -> Result<(), Errno> {
    let limit = (stack_limit / 4).clamp(ARG_MIN, ARG_LIMIT);
    let mut total = path.len() as u64 + 1;
    for string in argv.iter().chain(envp) {
        if string.len() >= MAX_STRING {
            return Err(Errno::E2BIG);
        }
        total += string.len() as u64 + 1 + size_of::<u64>() as u64;
    }
    if total > limit { Err(Errno::E2BIG) } else { Ok(()) }
}

/// Lays the stack out so that it ends at `top` (16-byte aligned).
pub fn build(contents: &Contents<'_>, top: u64) -> Stack {
    // From the top: a null word, path, environment, arguments; these in ascending order.
    let strings = |list: &[Vec<u8>]| list.iter().map(|string| string.len() as u64 + 1).sum::<u64>();
    let path_at = top - 8 - (contents.path.len() as u64 + 1);
    let env = path_at - strings(contents.envp)..path_at;
    let args = env.start - strings(contents.argv)..env.start;
    const PLATFORM: &[u8] = b"x86_64\0";
    let platform_at = (args.start - PLATFORM.len() as u64) & !15;
    let random_at = platform_at - 16;

    let mut auxv: Vec<(u32, u64)> = contents.auxv.to_vec();
    auxv.extend([
        (auxvec::AT_RANDOM, random_at),
        (auxvec::AT_EXECFN, path_at),
        (auxvec::AT_PLATFORM, platform_at),
        (auxvec::AT_NULL, 0),
    ]);
    let words = 1 + contents.argv.len() + 1 + contents.envp.len() + 1 + 2 * auxv.len();
    let start = (random_at - 8 * words as u64) & !15;

    let mut out = Vec::with_capacity((top - start) as usize);
    let mut word = |value: u64| out.extend_from_slice(&value.to_le_bytes());
    word(contents.argv.len() as u64);
    for (list, first) in [(contents.argv, args.start), (contents.envp, env.start)] {
        let mut at = first;
        for string in list {
            word(at);
            at += string.len() as u64 + 1;
        }
        word(0);
    }
    auxv.iter().for_each(|&(key, value)| {
        word(u64::from(key));
        word(value);
    });
    let auxv_bytes = out[out.len() - 16 * auxv.len()..].to_vec();
    let mut put = |addr: u64, bytes: &[u8]| {
        out.resize((addr - start) as usize, 0);
        out.extend_from_slice(bytes);
    };
    put(random_at, &contents.random);
    put(platform_at, PLATFORM);
    out.resize((args.start - start) as usize, 0);
    for string in contents.argv.iter().chain(contents.envp).map(Vec::as_slice).chain([contents.path]) {
        out.extend_from_slice(string);
        out.push(0);
    }
    out.resize((top - start) as usize, 0);
    Stack { bytes: out, start, args, env, auxv: auxv_bytes }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(stack: &Stack, at: u64) -> u64 {
        let at = (at - stack.start) as usize;
        u64::from_le_bytes(stack.bytes[at..at + 8].try_into().unwrap())
    }

    fn string(stack: &Stack, at: u64) -> &[u8] {
        stack.bytes[(at - stack.start) as usize..].split(|&byte| byte == 0).next().unwrap()
    }

    #[test]
    fn a_program_finds_its_arguments_environment_and_auxiliary_vector() {
        let argv = vec![b"prog".to_vec(), b"".to_vec(), b"-x".to_vec()];
        let envp = vec![b"A=1".to_vec()];
        let contents = Contents {
            argv: &argv,
            envp: &envp,
            path: b"/bin/prog",
            auxv: &[(auxvec::AT_PAGESZ, 4096)],
            random: [7; 16],
        };
        let top = 0x7fff_0000_0000;
        let stack = build(&contents, top);
        assert_eq!(stack.start % 16, 0);
        assert_eq!(stack.start + stack.bytes.len() as u64, top);
        assert_eq!(word(&stack, stack.start), 3);
        let args: Vec<_> = (0..3).map(|n| string(&stack, word(&stack, stack.start + 8 + 8 * n))).collect();
        assert_eq!(args, [&b"prog"[..], b"", b"-x"]);
        assert_eq!(word(&stack, stack.start + 32), 0);
        assert_eq!(string(&stack, word(&stack, stack.start + 40)), b"A=1");
        assert_eq!(word(&stack, stack.start + 48), 0);
        assert_eq!(word(&stack, stack.start + 56), u64::from(auxvec::AT_PAGESZ));
        assert_eq!(word(&stack, stack.start + 72), u64::from(auxvec::AT_RANDOM));
        assert_eq!(word(&stack, word(&stack, stack.start + 80)), 0x0707_0707_0707_0707);
        assert_eq!(string(&stack, word(&stack, stack.start + 96)), b"/bin/prog");
        assert_eq!(stack.auxv.len(), 5 * 16);
        assert_eq!(&stack.bytes[(stack.args.start - stack.start) as usize..][..9], b"prog\0\0-x\0");
    }

    #[test]
    fn too_long_arguments_are_refused() {
        let long = vec![vec![b'a'; MAX_STRING]];
        assert_eq!(check_size(&long, &[], b"x", 8 << 20), Err(Errno::E2BIG));
        let many = vec![vec![b'a'; 1000]; 2100];
        assert_eq!(check_size(&many, &[], b"x", 8 << 20), Err(Errno::E2BIG));
        assert_eq!(check_size(&many[..2000], &[], b"x", 8 << 20), Ok(()));
    }
}
