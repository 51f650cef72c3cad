//! The one entry point for work on the project: set-up, format, lint, test, conformance, bench. CI calls it too.
#![forbid(unsafe_code)]

mod packages;
mod steps;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "xtask", about = "Builds, checks and measures the project")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Install what building needs, build the release, and run a program in a sandbox
    Run {
        /// What `sandbox run` is given
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
        arguments: Vec<OsString>,
    },
    /// Install what building needs and build the release binary
    Build,
    /// Install Debian packages: for building, or for the tests as well
    Setup {
        /// Also what the tests run inside sandboxes
        #[arg(long)]
        tests: bool,
    },
    /// Format all code (or check that it is)
    Format {
        /// Change nothing, fail when something is not formatted
        #[arg(long)]
        check: bool,
    },
    /// Compile with all lints as errors
    Lint,
    /// Install what the tests need; format check, lints, unit and integration tests, real programs, conformance
    Test,
    /// Only the system-call conformance runner, with its own options
    Conformance {
        /// What the runner is given
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Measure against native runs and peers
    Bench {
        /// What the bench is given
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
}

fn main() -> ExitCode {
    let result = match Cli::parse().task {
        Task::Run { arguments } => steps::run(&arguments),
        Task::Build => steps::build(),
        Task::Setup { tests } => packages::install(if tests { packages::TESTS } else { packages::BUILD }),
        Task::Format { check } => steps::format(check),
        Task::Lint => steps::lint(),
        Task::Test => steps::test(),
        Task::Conformance { arguments } => steps::conformance(&arguments),
        Task::Bench { arguments } => steps::bench(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("xtask: {message}");
            ExitCode::FAILURE
        }
    }
}
