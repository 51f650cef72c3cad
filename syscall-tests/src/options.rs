//! The command line.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Runs system-call cases natively and in a sandbox, and compares what they saw.
#[derive(Parser)]
#[command(name = "syscall-tests", version, args_conflicts_with_subcommands = true)]
pub struct Options {
    #[command(subcommand)]
    pub command: Option<Command>,
    #[command(flatten)]
    pub run: RunOptions,
}

#[derive(Subcommand)]
pub enum Command {
    /// Generates random call sequences, compares their results, and shrinks those that differ.
    Sequences(SequenceOptions),
    /// Writes docs/compatibility.md from a run of all cases.
    Compat(CompatOptions),
    /// Runs the Linux Test Project's system-call tests from a tree on disk.
    Ltp(LtpOptions),
    /// Runs every GoogleTest binary of a folder.
    Gtest(GtestOptions),
    /// Runs installed kernel self-tests from a tree on disk.
    Kselftest(KselftestOptions),
}

/// What to compare with the native run.
#[derive(Args, Clone)]
pub struct TargetOptions {
    /// Platforms of our sandbox to run on; `native` runs natively a second time.
    #[arg(long, value_delimiter = ',', default_value = "systrap,ptrace")]
    pub platform: Vec<String>,
    /// Another runner instead: a prefix command ("bwrap --dev-bind / / --", "runsc do") or the path of an OCI runtime.
    /// May be given several times.
    #[arg(long)]
    pub runtime: Vec<String>,
    /// The sandbox binary [default: built beside this program]
    #[arg(long, env = "SANDBOX")]
    pub sandbox: Option<PathBuf>,
    /// How many runs at once [default: the number of CPUs]
    #[arg(long, short)]
    pub jobs: Option<usize>,
    /// Seconds that one case may take
    #[arg(long, default_value_t = 10)]
    pub timeout: u64,
    /// The directory that cases work in, natively and in the sandbox
    #[arg(long, default_value = "/tmp")]
    pub tmp: PathBuf,
}

/// The run of cases.
#[derive(Args, Clone)]
pub struct RunOptions {
    #[command(flatten)]
    pub target: TargetOptions,
    /// Only cases whose name matches this regular expression
    #[arg(long)]
    pub filter: Option<String>,
    /// How results are printed
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub format: Format,
    /// Print the names of the cases and stop
    #[arg(long)]
    pub list: bool,
    /// Run each case so often; every run must agree
    #[arg(long, default_value_t = 1)]
    pub repeat: usize,
    /// The list of known differences
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/known-differences.toml"))]
    pub known: PathBuf,
    /// Show what the native run recorded of every case
    #[arg(long, short)]
    pub verbose: bool,
}

#[derive(Clone, Copy, ValueEnum, PartialEq, Eq)]
pub enum Format {
    /// Progress, differences, a table
    Human,
    /// One JSON object a line and case
    Json,
    /// JUnit XML
    Junit,
}

/// The generator of sequences.
#[derive(Args, Clone)]
pub struct SequenceOptions {
    #[command(flatten)]
    pub target: TargetOptions,
    /// Families to draw from [default: all]
    #[arg(long, value_delimiter = ',')]
    pub family: Vec<String>,
    /// How many sequences a family
    #[arg(long, default_value_t = 1000)]
    pub sequences: u64,
    /// The seed of the first sequence; the same seed makes the same sequences
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Calls in a sequence
    #[arg(long, default_value_t = 24)]
    pub length: usize,
    /// Where shortest differing sequences are kept; these run first
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/corpus"))]
    pub corpus: PathBuf,
    /// Print the sequences and stop
    #[arg(long)]
    pub list: bool,
}

/// The compatibility page.
#[derive(Args, Clone)]
pub struct CompatOptions {
    #[command(flatten)]
    pub target: TargetOptions,
    /// Fail when the page or the counts are stale, or a count fell; write nothing
    #[arg(long)]
    pub check: bool,
    /// The page
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/compatibility.md"))]
    pub output: PathBuf,
    /// The counts that may not fall
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/compatibility-counts.toml"))]
    pub counts: PathBuf,
    /// The list of known differences
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/known-differences.toml"))]
    pub known: PathBuf,
}

/// What all suites from outside take.
#[derive(Args, Clone)]
pub struct SuiteOptions {
    #[command(flatten)]
    pub target: TargetOptions,
    /// Only tests whose name matches this regular expression
    #[arg(long)]
    pub filter: Option<String>,
    /// How results are printed
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub format: Format,
    /// A list of known differences, each with its reason
    #[arg(long)]
    pub known: Option<PathBuf>,
    /// Print the names of the tests and stop
    #[arg(long)]
    pub list: bool,
}

#[derive(Args, Clone)]
pub struct LtpOptions {
    /// An installed tree of the Linux Test Project (with `runtest/` and `testcases/bin/`)
    #[arg(long)]
    pub root: PathBuf,
    /// Scenario files of `runtest/` to run
    #[arg(long, value_delimiter = ',', default_value = "syscalls")]
    pub scenario: Vec<String>,
    #[command(flatten)]
    pub suite: SuiteOptions,
}

#[derive(Args, Clone)]
pub struct GtestOptions {
    /// A folder of GoogleTest binaries
    #[arg(long)]
    pub dir: PathBuf,
    #[command(flatten)]
    pub suite: SuiteOptions,
}

#[derive(Args, Clone)]
pub struct KselftestOptions {
    /// An installed tree of kernel self-tests (with `kselftest-list.txt`)
    #[arg(long)]
    pub dir: PathBuf,
    #[command(flatten)]
    pub suite: SuiteOptions,
}
