//! The Linux Test Project: the lines of `runtest/` scenarios, programs in `testcases/bin`, exit status as a mask.

use super::Test;
use crate::error::{Context, Error, Result};
use crate::options::LtpOptions;
use std::path::Path;

/// Runs the scenarios that the command line names.
pub fn run(options: &LtpOptions) -> Result<bool> {
    let root = options.root.canonicalize().at("find the tree", &options.root)?;
    super::run("ltp", tests(&root, &options.scenario)?, &root, &options.suite)
}

/// The tests of scenarios: a line is `NAME COMMAND`.
pub fn tests(root: &Path, scenarios: &[String]) -> Result<Vec<Test>> {
    let bin = root.join("testcases/bin");
    if !bin.is_dir() {
        return Err(Error(format!(
            "{} has no testcases/bin; give the directory that `make install` of the project made",
            root.display()
        )));
    }
    let mut tests = Vec::new();
    for scenario in scenarios {
        let path = root.join("runtest").join(scenario);
        let text = std::fs::read_to_string(&path).at("read the scenario", &path)?;
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let Some((name, command)) = line.split_once(char::is_whitespace) else { continue };
            tests.push(Test {
                name: format!("{scenario}/{name}"),
                argv: vec!["sh".into(), "-c".into(), command.trim().to_owned()],
                cwd: None,
                env: vec![
                    ("LTPROOT".into(), root.display().to_string()),
                    (
                        "PATH".into(),
                        format!("{}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", bin.display()),
                    ),
                    ("LTP_COLORIZE_OUTPUT".into(), "0".into()),
                ],
                outcome,
            });
        }
    }
    Ok(tests)
}

/// 0 passed; 32 not for this system; 1 failed, 2 broken, 4 warned, added up; 127 no such program.
fn outcome(status: Option<i32>, _output: &str) -> String {
    match status {
        Some(0) => "passed",
        Some(32) => "skipped",
        Some(126 | 127) => "missing",
        Some(s) if s & 2 != 0 => "broken",
        Some(_) => "failed",
        None => "killed",
    }
    .to_owned()
}
