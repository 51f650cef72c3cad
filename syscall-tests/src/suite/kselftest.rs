//! Kernel self-tests: `kselftest-list.txt` of an installed tree (`COLLECTION:PROGRAM`), results in TAP.

use super::Test;
use crate::error::{Context, Result};
use crate::options::KselftestOptions;
use std::path::Path;

/// Runs the tree that the command line names.
pub fn run(options: &KselftestOptions) -> Result<bool> {
    let dir = options.dir.canonicalize().at("find the tree", &options.dir)?;
    super::run("kselftest", tests(&dir)?, &dir, &options.suite)
}

/// The tests of the tree's list.
pub fn tests(dir: &Path) -> Result<Vec<Test>> {
    let list = dir.join("kselftest-list.txt");
    let text = std::fs::read_to_string(&list).at("read the list of tests", &list)?;
    let programs = text.lines().filter_map(|line| line.trim().split_once(':'));
    Ok(programs
        .map(|(collection, program)| Test {
            name: format!("{collection}/{program}"),
            argv: vec![format!("./{program}")],
            cwd: Some(dir.join(collection)),
            env: Vec::new(),
            outcome,
        })
        .collect())
}

/// Each `ok`/`not ok` line of the outermost level; the exit status where there is none (4 means skipped).
fn outcome(status: Option<i32>, output: &str) -> String {
    let mut lines = String::new();
    for line in output.lines() {
        let (rest, failed) = match (line.strip_prefix("ok "), line.strip_prefix("not ok ")) {
            (Some(rest), _) => (rest, false),
            (_, Some(rest)) => (rest, true),
            _ => continue,
        };
        let (text, directive) = rest.split_once('#').unwrap_or((rest, ""));
        let skipped = directive.trim_start().to_ascii_uppercase().starts_with("SKIP");
        let word = if skipped {
            "skipped"
        } else if failed {
            "failed"
        } else {
            "passed"
        };
        lines.push_str(&format!("{}: {word}\n", text.trim()));
    }
    if lines.is_empty() {
        lines = match status {
            Some(0) => "passed",
            Some(4) => "skipped",
            Some(_) => "failed",
            None => "killed",
        }
        .to_owned();
    }
    lines
}
