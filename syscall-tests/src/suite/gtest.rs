//! GoogleTest: every executable of a folder says which tests it has; each runs in a process of its own.

use super::Test;
use crate::error::{Context, Result};
use crate::options::GtestOptions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

/// Runs the folder that the command line names.
pub fn run(options: &GtestOptions) -> Result<bool> {
    let dir = options.dir.canonicalize().at("find the folder", &options.dir)?;
    super::run("gtest", tests(&dir)?, &dir, &options.suite)
}

/// The tests of all programs in `dir` that know `--gtest_list_tests`.
pub fn tests(dir: &Path) -> Result<Vec<Test>> {
    let mut programs = Vec::new();
    for entry in std::fs::read_dir(dir).at("read", dir)? {
        let path = entry.at("read", dir)?.path();
        let executable = path.metadata().is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0);
        if executable {
            programs.push(path);
        }
    }
    programs.sort();
    let mut tests = Vec::new();
    for program in programs {
        let Ok(output) =
            Command::new(&program).arg("--gtest_list_tests").current_dir(dir).stdin(Stdio::null()).output()
        else {
            continue;
        };
        let file = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
        for name in listed(&String::from_utf8_lossy(&output.stdout)) {
            tests.push(Test {
                argv: vec![program.display().to_string(), format!("--gtest_filter={name}"), "--gtest_color=no".into()],
                name: format!("{file}/{name}"),
                cwd: None,
                env: Vec::new(),
                outcome,
            });
        }
    }
    Ok(tests)
}

/// Suites stand at the line's start and end in a dot; their tests are indented; comments follow `#`.
fn listed(text: &str) -> Vec<String> {
    let (mut suite, mut names) = ("", Vec::new());
    for line in text.lines() {
        let word = line.split('#').next().unwrap_or("").trim();
        match line.starts_with(' ') {
            true if !suite.is_empty() && !word.is_empty() => names.push(format!("{suite}{word}")),
            true => {}
            false => suite = if word.ends_with('.') && !word.contains(' ') { word } else { "" },
        }
    }
    names.retain(|name| !name.contains("DISABLED_"));
    names
}

fn outcome(status: Option<i32>, output: &str) -> String {
    match status {
        Some(0) if output.contains("[  SKIPPED ]") && !output.contains("[       OK ]") => "skipped",
        Some(0) => "passed",
        Some(_) => "failed",
        None => "killed",
    }
    .to_owned()
}
