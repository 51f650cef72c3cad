//! Formats system calls as `strace` does, from the call table.

use std::fmt::Write;

use abi::table::{self, Call, FlagSet, Kind, Length, Returns};

use crate::SysResult;
use crate::syscall::Args;
use crate::task::Current;

/// Bytes of a string or buffer that are shown.
const SHOWN: usize = 64;
const AT_FDCWD: i32 = -100;

/// A call that is being traced, between its start and its return.
pub struct Traced {
    text: String,
    call: Option<&'static Call>,
    args: Args,
}

impl Traced {
    /// Notes what the call is given; outputs are added when it returns.
    pub fn begin(current: &mut Current, number: u64, args: Args) -> Traced {
        let call = table::by_number(number);
        let mut text = String::new();
        match call {
            Some(call) => {
                let shown: Vec<String> =
                    call.args.iter().enumerate().map(|(n, kind)| argument(current, *kind, n, &args)).collect();
                let _ = write!(text, "{}({})", call.name, shown.join(", "));
            }
            None => {
                let _ = write!(text, "syscall_{number}({:#x}, {:#x}, {:#x})", args.u64(0), args.u64(1), args.u64(2));
            }
        }
        Traced { text, call, args }
    }

    /// Writes the line to the log.
    pub fn finish(self, current: &mut Current, result: SysResult) {
        let mut line = self.text.clone();
        match result {
            Ok(value) => {
                let _ = match self.call.map(|call| call.returns) {
                    Some(Returns::Addr) => write!(line, " = {value:#x}"),
                    Some(Returns::Mode) => write!(line, " = {value:#o}"),
                    _ => write!(line, " = {}", value as i64),
                };
                self.add_outputs(current, value, &mut line);
            }
            Err(errno) => {
                let _ = write!(line, " = -1 {errno}");
            }
        }
        tracing::info!("[{}] {line}", current.task.tid);
    }

    /// Bytes that the call has written: shown behind the result, since a pending answer may not have reached memory before.
    fn add_outputs(&self, current: &mut Current, value: u64, line: &mut String) {
        let Some(call) = self.call else { return };
        for (n, kind) in call.args.iter().enumerate() {
            if let Kind::BufOut(Length::Returned(_)) = kind {
                let _ = write!(line, " {}", buffer(current, self.args.u64(n), value));
            }
        }
    }
}

fn argument(current: &mut Current, kind: Kind, n: usize, args: &Args) -> String {
    let value = args.u64(n);
    match kind {
        Kind::DirFd if value as i32 == AT_FDCWD => "AT_FDCWD".into(),
        Kind::Fd | Kind::DirFd | Kind::Int | Kind::Pid => (value as i32).to_string(),
        Kind::Clock | Kind::UInt | Kind::Uid | Kind::Gid => (value as u32).to_string(),
        Kind::Long | Kind::Offset => (value as i64).to_string(),
        Kind::Size => value.to_string(),
        Kind::Mode => format!("{:#o}", value as u32),
        Kind::Flags(set) => flags(set, value),
        Kind::Choice(set) => set.name_of(value).map_or_else(|| format!("{value:#x}"), str::to_owned),
        Kind::Signal => match abi::signal::Signal::new(value) {
            Some(signal) => format!("{signal:?}"),
            None => value.to_string(),
        },
        Kind::Path | Kind::CStr => match current.read_cstr(value, crate::mm::user::PATH_MAX) {
            Ok(text) => quoted(&text, text.len()),
            Err(_) => format!("{value:#x}"),
        },
        Kind::BufIn(Length::Arg(count)) => buffer(current, value, args.u64(usize::from(count))),
        _ => format!("{value:#x}"),
    }
}

fn buffer(current: &mut Current, addr: u64, len: u64) -> String {
    let mut bytes = vec![0; len.min(SHOWN as u64) as usize];
    match current.read_bytes(addr, &mut bytes) {
        Ok(()) => quoted(&bytes, len as usize),
        Err(_) => format!("{addr:#x}"),
    }
}

fn quoted(bytes: &[u8], len: usize) -> String {
    let shown = &bytes[..bytes.len().min(SHOWN)];
    let more = if len > shown.len() { "..." } else { "" };
    format!("\"{}\"{more}", shown.escape_ascii())
}

fn flags(set: &FlagSet, value: u64) -> String {
    let mut left = value;
    let mut names = Vec::new();
    for (name, bits) in set.members.iter().filter(|(_, bits)| *bits != 0) {
        if left & bits == *bits {
            names.push((*name).to_owned());
            left &= !bits;
        }
    }
    if left != 0 || names.is_empty() {
        names.push(format!("{left:#x}"));
    }
    names.join("|")
}
