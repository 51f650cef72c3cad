//! The conformance runner: tells for any sandbox or kernel which system calls behave as Linux.
//!
//! A *case* is a small program in `syscall-guest`. Each runs natively first, then under every *target* (a platform of our
//! sandbox, a prefix command, an OCI runtime) in the same environment; [`verdict`] compares what the two recorded. The native
//! run is the expectation. [`batch`] runs many cases in one sandbox, [`report`] prints, [`known`] holds the differences that
//! are on purpose, [`sequences`] generates cases, [`suite`] drives suites from outside, [`compat`] writes the page.
#![forbid(unsafe_code)]

mod batch;
mod cases;
mod compat;
mod error;
mod known;
mod options;
mod report;
mod sequences;
mod suite;
mod target;
mod verdict;
mod workdir;

use clap::Parser;
use options::{Command, Options};
use std::process::ExitCode;

fn main() -> ExitCode {
    let options = Options::parse();
    let result = match &options.command {
        None => cases::run(&options.run),
        Some(Command::Sequences(sequences)) => sequences::run(sequences),
        Some(Command::Compat(compat)) => compat::run(compat),
        Some(Command::Ltp(ltp)) => suite::ltp::run(ltp),
        Some(Command::Gtest(gtest)) => suite::gtest::run(gtest),
        Some(Command::Kselftest(kselftest)) => suite::kselftest::run(kselftest),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(e) => {
            eprintln!("syscall-tests: {e}");
            ExitCode::from(125)
        }
    }
}
