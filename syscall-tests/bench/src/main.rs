//! Runs the same workloads natively, in the sandbox on each platform, and in peers; interleaved in one run; prints medians
//! and ratios.
#![forbid(unsafe_code)]

mod report;
mod runners;
mod workloads;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use runners::Runner;
use workloads::Workload;

#[derive(Parser)]
#[command(name = "bench", about = "Measures the sandbox against native runs and its peers")]
struct Cli {
    /// The sandbox binary
    #[arg(long)]
    sandbox: PathBuf,
    /// The guest's binary [default: beside this one]
    #[arg(long)]
    guest: Option<PathBuf>,
    /// Rounds; each runs every workload once in every runner
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Only workloads whose name contains this
    #[arg(long)]
    filter: Option<String>,
    /// Only these runners (comma-separated) beside native: systrap, ptrace, bwrap, runc, runsc
    #[arg(long, value_delimiter = ',')]
    runners: Vec<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Also write the table, with the machine, as a page
    #[arg(long)]
    write: Option<PathBuf>,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let guest = match cli.guest.or_else(beside_this_one) {
        Some(guest) if guest.is_file() => guest,
        _ => {
            eprintln!(
                "bench: no bench-guest beside this binary; build it (cargo build --release -p bench-guest) or give --guest"
            );
            return ExitCode::FAILURE;
        }
    };
    let scratch = match runners::Scratch::new() {
        Ok(scratch) => scratch,
        Err(error) => {
            eprintln!("bench: cannot make a scratch directory: {error}");
            return ExitCode::FAILURE;
        }
    };
    let runners: Vec<Runner> = Runner::all(&cli.sandbox, &scratch)
        .into_iter()
        .filter(|runner| {
            runner.name == "native" || cli.runners.is_empty() || cli.runners.contains(&runner.name.to_owned())
        })
        .filter(|runner| {
            let usable = runner.works(&guest);
            if let Err(reason) = &usable {
                eprintln!("bench: leaving out {}: {reason}", runner.name);
            }
            usable.is_ok()
        })
        .collect();
    let workloads: Vec<Workload> = workloads::all(&guest, &scratch)
        .into_iter()
        .filter(|workload| cli.filter.as_ref().is_none_or(|filter| workload.name.contains(filter.as_str())))
        .collect();
    let mut results = report::Results::new(&workloads, &runners);
    for round in 0..cli.rounds {
        for (w, workload) in workloads.iter().enumerate() {
            for (r, runner) in runners.iter().enumerate() {
                match workload.measure(runner) {
                    Ok(value) => results.add(w, r, value),
                    Err(reason) => results.fail(w, r, reason),
                }
            }
        }
        eprintln!("bench: round {} of {}", round + 1, cli.rounds);
    }
    let table = results.table();
    if cli.json {
        println!("{}", results.json());
    } else {
        print!("{table}");
    }
    if let Some(path) = cli.write
        && let Err(error) = std::fs::write(&path, results.page(cli.rounds))
    {
        eprintln!("bench: cannot write {path:?}: {error}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn beside_this_one() -> Option<PathBuf> {
    Some(std::env::current_exe().ok()?.with_file_name("bench-guest"))
}
