//! The first line of a script: `#!interpreter [argument]` (`man 2 execve`, Linux's `binfmt_script.c`).

use crate::Errno;

/// Bytes of a file that decide how it is run (`BINPRM_BUF_SIZE`).
pub const LINE_SIZE: usize = 256;

/// What the line says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Script {
    /// Path of the interpreter.
    pub interpreter: Vec<u8>,
    /// The rest of the line, one argument.
    pub argument: Option<Vec<u8>>,
}

/// Reads the line if `bytes`, the start of a file, begins with `#!`.
///
/// # Errors
/// ENOEXEC when there is no interpreter, or its name is cut off.
pub fn parse(bytes: &[u8]) -> Result<Option<Script>, Errno> {
    if !bytes.starts_with(b"#!") {
        return Ok(None);
    }
    let bytes = &bytes[..bytes.len().min(LINE_SIZE)];
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let is_end = |byte: &u8| matches!(byte, b' ' | b'\t' | 0);
    // A file shorter than the buffer ends in a NUL there, which ends a name too.
    let is_whole = bytes.len() < LINE_SIZE;
    let rest = &bytes[2..];
    let line = match rest.iter().position(|&byte| byte == b'\n') {
        Some(end) => &rest[..end],
        None => {
            let name = rest.iter().position(|byte| !is_blank(byte)).ok_or(Errno::ENOEXEC)?;
            if !is_whole && !rest[name..].iter().any(is_end) {
                return Err(Errno::ENOEXEC);
            }
            rest
        }
    };
    let end = line.iter().rposition(|byte| !is_blank(byte)).ok_or(Errno::ENOEXEC)? + 1;
    let start = line.iter().position(|byte| !is_blank(byte)).ok_or(Errno::ENOEXEC)?;
    let line = &line[start..end];
    let name_end = line.iter().position(is_end).unwrap_or(line.len());
    let until_nul = |text: &[u8]| text.split(|&byte| byte == 0).next().unwrap_or_default().to_vec();
    let argument = match line.get(name_end) {
        Some(0) | None => None,
        Some(_) => {
            let rest = &line[name_end..];
            rest.iter().position(|byte| !is_blank(byte)).map(|at| until_nul(&rest[at..]))
        }
    };
    Ok(Some(Script { interpreter: line[..name_end].to_vec(), argument }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(interpreter: &str, argument: Option<&str>) -> Result<Option<Script>, Errno> {
        Ok(Some(Script { interpreter: interpreter.into(), argument: argument.map(Into::into) }))
    }

    #[test]
    fn the_rest_of_the_line_is_one_argument() {
        assert_eq!(parse(b"#!/bin/sh\necho"), script("/bin/sh", None));
        assert_eq!(parse(b"#! \t/bin/sh -e  -u \t\n"), script("/bin/sh", Some("-e  -u")));
        assert_eq!(parse(b"#!/bin/sh"), script("/bin/sh", None));
        assert_eq!(parse(b"#!/bin/sh \n"), script("/bin/sh", None));
        assert_eq!(parse(b"\x7fELF"), Ok(None));
    }

    #[test]
    fn a_line_without_interpreter_is_no_program() {
        assert_eq!(parse(b"#!\n"), Err(Errno::ENOEXEC));
        assert_eq!(parse(b"#!  \t \nx"), Err(Errno::ENOEXEC));
        assert_eq!(parse(b"#!"), Err(Errno::ENOEXEC));
    }

    #[test]
    fn an_interpreter_that_is_cut_off_is_refused_but_an_argument_may_be_cut() {
        let mut long = b"#!/".to_vec();
        long.resize(300, b'a');
        assert_eq!(parse(&long), Err(Errno::ENOEXEC));
        let mut long = b"#!/bin/sh ".to_vec();
        long.resize(300, b'a');
        assert_eq!(parse(&long).unwrap().unwrap().interpreter, b"/bin/sh");
    }
}
