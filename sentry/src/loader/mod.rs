//! Loads programs: ELF files, `#!` scripts, the initial stack and auxiliary vector.
//!
//! [`load`] turns an opened program into an [`Image`]: a fresh address space of the platform with everything mapped and the
//! registers set. The caller (`execve`, or boot) makes it the current task's; until then the old program is untouched and
//! every error is the old program's to see.

pub mod elf;
mod image;
mod placement;
pub mod script;
mod stack;

use std::sync::Arc;

use platform::Context;

use crate::Errno;
use crate::mm::{MapLimits, MemoryMap};
use crate::task::{Credentials, Current};
use crate::vfs::walk::WalkFlags;
use crate::vfs::{FileDescription, IoPosition};
use elf::{Elf, Header};

/// Scripts may name scripts as interpreters this often.
const MAX_INTERPRETERS: usize = 5;
/// Read at once from the start of a file: usually holds the program headers and the interpreter's name too.
const HEAD_SIZE: usize = 1024;
/// `personality(ADDR_NO_RANDOMIZE)`
pub const ADDR_NO_RANDOMIZE: u32 = 0x004_0000;
/// `personality(READ_IMPLIES_EXEC)`
pub const READ_IMPLIES_EXEC: u32 = 0x040_0000;

/// What is to be loaded.
pub struct LoadRequest {
    /// The program, opened by `vfs::open::open_executable`.
    pub program: Arc<FileDescription>,
    /// The path by which it was started (`AT_EXECFN`, and a script's name for its interpreter).
    pub path: Vec<u8>,
    /// Arguments.
    pub argv: Vec<Vec<u8>>,
    /// Environment.
    pub envp: Vec<Vec<u8>>,
    /// `man 2 personality`
    pub personality: u32,
    /// Decides whom the program will run as, given its file (the interpreter's for a script): new credentials, and whether
    /// the program must distrust its caller (`AT_SECURE`). [`same_credentials`] where set-id bits are to be ignored.
    pub credentials: CredentialsRule,
}

/// See [`LoadRequest::credentials`].
pub type CredentialsRule = fn(&Current, &FileDescription) -> Result<(Arc<Credentials>, bool), Errno>;

/// A program that is ready to run.
pub struct Image {
    /// Stopped before its first instruction.
    pub context: Box<dyn Context>,
    /// What is mapped in it.
    pub mm: Arc<MemoryMap>,
    /// What the rule said.
    pub credentials: Arc<Credentials>,
    /// `AT_SECURE`
    pub secure: bool,
    /// The command name (`comm`): at most 15 bytes.
    pub name: Vec<u8>,
}

/// Why a program was not loaded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LoadError {
    /// `execve` fails and the old program goes on.
    Refused(Errno),
    /// Its headers were accepted but it could not be mapped. Linux has given up the old program by then: the process dies of
    /// SIGSEGV.
    Fatal(Errno),
}

impl From<Errno> for LoadError {
    fn from(errno: Errno) -> LoadError {
        LoadError::Refused(errno)
    }
}

/// The rule that a program runs as its caller does.
///
/// # Errors
/// None.
pub fn same_credentials(current: &Current, _program: &FileDescription) -> Result<(Arc<Credentials>, bool), Errno> {
    Ok((current.task.credentials(), false))
}

/// Loads a program into a fresh address space.
///
/// # Errors
/// E2BIG, EACCES, EINVAL, ELIBBAD, ELOOP, ENOENT, ENOEXEC, ENOMEM … as `man 2 execve`.
pub async fn load(current: &mut Current, request: LoadRequest) -> Result<Image, LoadError> {
    let LoadRequest { program, path, mut argv, envp, personality, credentials } = request;
    let limits = MapLimits::of(current);
    if argv.is_empty() {
        // As Linux since 5.18: programs that trust argv[0] to exist must find one.
        argv.push(Vec::new());
    }
    stack::check_size(&argv, &envp, &path, limits.stack)?;
    let program = resolve_scripts(current, program, &path, &mut argv).await?;
    stack::check_size(&argv, &envp, &path, limits.stack)?;
    let interpreter = match &program.elf.interpreter {
        Some(range) => Some(open_interpreter(current, &program, range.clone()).await?),
        None => None,
    };
    let (credentials, secure) = credentials(current, &program.description)?;
    let name = path.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
    let name = name[..name.len().min(15)].to_vec();
    let plan = image::Plan {
        program,
        interpreter,
        argv,
        envp,
        path,
        personality,
        limits,
        credentials: credentials.clone(),
        secure,
    };
    let (context, mm) = image::build(current, &plan).map_err(LoadError::Fatal)?;
    Ok(Image { context, mm: Arc::new(mm), credentials, secure, name })
}

/// An ELF file that was opened and whose headers were checked.
struct Program {
    description: Arc<FileDescription>,
    elf: Elf,
    /// The first bytes of the file.
    head: Vec<u8>,
}

/// Follows `#!` lines to an ELF file; `argv` becomes the one that it gets.
async fn resolve_scripts(
    current: &mut Current,
    mut description: Arc<FileDescription>,
    path: &[u8],
    argv: &mut Vec<Vec<u8>>,
) -> Result<Program, Errno> {
    let mut name = path.to_vec();
    for _ in 0..=MAX_INTERPRETERS {
        let head = read_head(current, &description)?;
        let Some(line) = script::parse(&head)? else {
            return Program::parse(current, description, head);
        };
        let mut new_argv = vec![line.interpreter.clone()];
        new_argv.extend(line.argument);
        new_argv.push(name);
        new_argv.extend(argv.drain(..).skip(1));
        *argv = new_argv;
        description = open(current, &line.interpreter).await?;
        name = line.interpreter;
    }
    Err(Errno::ELOOP)
}

async fn open_interpreter(
    current: &mut Current,
    program: &Program,
    name: std::ops::Range<u64>,
) -> Result<Program, Errno> {
    let mut path = vec![0; (name.end - name.start) as usize];
    program.read(current, name.start, &mut path)?;
    if path.pop() != Some(0) {
        return Err(Errno::ENOEXEC);
    }
    // The kernel takes the name as a C string.
    let path = path.split(|&byte| byte == 0).next().unwrap_or_default().to_vec();
    let description = open(current, &path).await?;
    let head = read_head(current, &description)?;
    let bad = |error| if error == Errno::ENOEXEC { Errno::ELIBBAD } else { error };
    Program::parse(current, description, head).map_err(bad)
}

async fn open(current: &mut Current, path: &[u8]) -> Result<Arc<FileDescription>, Errno> {
    const AT_FDCWD: i32 = -100;
    crate::vfs::open::open_executable(current, AT_FDCWD, path, WalkFlags::FOLLOW).await
}

fn read_head(current: &Current, description: &FileDescription) -> Result<Vec<u8>, Errno> {
    let mut head = vec![0; HEAD_SIZE];
    let len = read_at(current, description, 0, &mut head)?;
    head.truncate(len);
    Ok(head)
}

/// Reads until `buf` is full or the file ends; returns how much.
fn read_at(current: &Current, description: &FileDescription, offset: u64, buf: &mut [u8]) -> Result<usize, Errno> {
    let mut done = 0;
    while done < buf.len() {
        let at = offset.checked_add(done as u64).ok_or(Errno::EINVAL)?;
        match description.file.read(IoPosition::At(at), &mut buf[done..], current)? {
            0 => break,
            len => done += len,
        }
    }
    Ok(done)
}

impl Program {
    fn parse(current: &Current, description: Arc<FileDescription>, head: Vec<u8>) -> Result<Program, Errno> {
        let header = Header::parse(&head)?;
        let mut table = vec![0; header.table_size()];
        let program = Program {
            description,
            elf: Elf { header, segments: Vec::new(), interpreter: None, executable_stack: false, table_addr: 0 },
            head,
        };
        program.read(current, header.table_offset, &mut table)?;
        let elf = Elf::parse(header, &table, current.kernel.platform.layout().max)?;
        Ok(Program { elf, ..program })
    }

    /// Reads headers, from what has been read already where it holds them.
    fn read(&self, current: &Current, offset: u64, buf: &mut [u8]) -> Result<(), Errno> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        if let Some(known) = start.checked_add(buf.len()).and_then(|end| self.head.get(start..end)) {
            buf.copy_from_slice(known);
            return Ok(());
        }
        let len = read_at(current, &self.description, offset, buf)?;
        if len < buf.len() { Err(Errno::ENOEXEC) } else { Ok(()) }
    }
}
