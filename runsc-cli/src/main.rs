//! `sandbox`: runs unmodified Linux programs on a Linux kernel in user space.
#![forbid(unsafe_code)]

mod doctor;
mod run;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The version of the OCI runtime specification that `--version` names.
const SPEC_VERSION: &str = "1.2.0";

#[derive(Parser)]
#[command(
    name = "sandbox",
    about = "Runs unmodified Linux programs on a Linux kernel in user space",
    disable_version_flag = true
)]
struct Cli {
    /// Print the version and the OCI runtime specification's.
    #[arg(short = 'v', long)]
    version: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Run a program in a sandbox of its own.
    Run(Box<run::Run>),
    /// Look what this host offers, and say how to mend what is missing.
    Doctor(doctor::Doctor),
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            // Help is no failure; a wrong command line is ours, as docker has it.
            return ExitCode::from(if error.use_stderr() { runtime::error::EXIT_OURS } else { 0 });
        }
    };
    if cli.version {
        println!("sandbox version {}\nspec: {SPEC_VERSION}", env!("CARGO_PKG_VERSION"));
        return ExitCode::SUCCESS;
    }
    let result = match cli.command {
        Some(Command::Run(run)) => run.execute(),
        Some(Command::Doctor(doctor)) => doctor.execute(),
        None => Err(runtime::Error::new("no command given; try `sandbox run -- PROGRAM` or `sandbox --help`")),
    };
    match result {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("sandbox: {error}");
            ExitCode::from(error.exit_code)
        }
    }
}
