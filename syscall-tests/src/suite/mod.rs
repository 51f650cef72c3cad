//! Suites from outside, on the user's disk: each test runs natively first, then at each target, and the outcomes are compared.
//!
//! An adapter only says which tests there are, how one is run, and how its output says what came out ([`Test`]). What a test
//! prints is full of addresses and times, so outcomes are compared: passed, failed, skipped, and for suites with inner results
//! each of those.

pub mod gtest;
pub mod kselftest;
pub mod ltp;

use crate::batch::lock;
use crate::cases::Row;
use crate::error::{Error, Result};
use crate::known::Known;
use crate::options::{Format, SuiteOptions};
use crate::report::{self, Progress};
use crate::target::Target;
use crate::verdict::{Verdict, diff};
use crate::workdir::WorkDir;
use regex_lite::Regex;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// One test of a suite.
#[derive(Clone, Debug)]
pub struct Test {
    /// `suite/test`.
    pub name: String,
    /// The command.
    pub argv: Vec<String>,
    /// Where it runs; a fresh directory when there is none.
    pub cwd: Option<PathBuf>,
    /// Added to the environment.
    pub env: Vec<(String, String)>,
    /// Reads outcomes out of exit status and output, one line each.
    pub outcome: fn(Option<i32>, &str) -> String,
}

/// What a run gave.
#[derive(Clone, Debug)]
enum Seen {
    /// The outcomes, and the end of the output.
    Ended(String, String),
    TimedOut,
    NotStarted(String),
}

/// Runs `tests` natively and at each target; false when something failed.
pub fn run(suite: &str, tests: Vec<Test>, shared: &Path, options: &SuiteOptions) -> Result<bool> {
    let filter = options
        .filter
        .as_deref()
        .map(Regex::new)
        .transpose()
        .map_err(|e| Error(format!("--filter is no regular expression: {e}")))?;
    let tests: Vec<Test> = tests.into_iter().filter(|t| filter.as_ref().is_none_or(|f| f.is_match(&t.name))).collect();
    if tests.is_empty() {
        return Err(Error(format!("no test of {} was found in {}", suite, shared.display())));
    }
    if options.list {
        tests.iter().for_each(|test| println!("{}", test.name));
        return Ok(true);
    }
    let known = options.known.as_deref().map(Known::load).transpose()?.unwrap_or_default();
    let targets = Target::from_options(&options.target)?;
    let rows = compare(&tests, shared, &targets, options, &known)?;
    let stale: Vec<String> = known.stale().iter().map(|s| s.to_string()).collect();
    match options.format {
        Format::Human => report::human::print(&rows, &stale),
        Format::Json => report::json::print(&rows, &stale),
        Format::Junit => report::junit::print(suite, &rows, &stale),
    }
    Ok(stale.is_empty() && !rows.iter().any(Row::fails))
}

/// Runs all tests everywhere and judges.
pub fn compare(
    tests: &[Test],
    shared: &Path,
    targets: &[Target],
    options: &SuiteOptions,
    known: &Known,
) -> Result<Vec<Row>> {
    let work = WorkDir::new(&options.target.tmp)?;
    let native = run_all(tests, &Target::native(), shared, &work, options)?;
    let mut rows = Vec::new();
    for target in targets {
        let seen = run_all(tests, target, shared, &work, options)?;
        for (i, test) in tests.iter().enumerate() {
            let verdict = judge(&native[i].0, &seen[i].0);
            let reason = match verdict {
                Verdict::Skipped(_) | Verdict::Broken(_) => None,
                _ => known.reason(&test.name, &target.name, verdict.is_failure()).map(str::to_owned),
            };
            rows.push(Row {
                case: test.name.clone(),
                target: target.name.clone(),
                verdict,
                known: reason,
                took: seen[i].1,
            });
        }
    }
    Ok(rows)
}

/// A suite that is not ours may fail natively: then there is no expectation, and the test is skipped with that reason.
fn judge(native: &Seen, seen: &Seen) -> Verdict {
    match (native, seen) {
        (Seen::NotStarted(why), _) => Verdict::Skipped(format!("it cannot be started natively: {why}")),
        (Seen::TimedOut, _) => Verdict::Skipped("it does not end natively".into()),
        (Seen::Ended(outcome, _), _) if outcome.lines().all(|l| l.ends_with("skipped")) => {
            Verdict::Skipped("it skips itself natively".into())
        }
        (Seen::Ended(outcome, _), _) if !outcome.contains("passed") => {
            Verdict::Skipped("it does not pass natively".into())
        }
        (_, Seen::NotStarted(why)) => Verdict::Crashed(why.clone()),
        (_, Seen::TimedOut) => Verdict::TimedOut,
        (Seen::Ended(expected, _), Seen::Ended(outcome, _)) if expected == outcome => Verdict::Agrees,
        (Seen::Ended(expected, _), Seen::Ended(outcome, tail)) => {
            Verdict::Differs(format!("{}{tail}", diff(expected, outcome)))
        }
    }
}

fn run_all(
    tests: &[Test],
    target: &Target,
    shared: &Path,
    work: &WorkDir,
    options: &SuiteOptions,
) -> Result<Vec<(Seen, Duration)>> {
    let jobs = options.target.jobs.unwrap_or(1).max(1);
    let progress = Progress::new(tests.len(), &target.name);
    let next = Mutex::new(0..tests.len());
    let results: Mutex<Vec<Option<(Seen, Duration)>>> = Mutex::new(vec![None; tests.len()]);
    let failure = Mutex::new(None);
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                loop {
                    let Some(i) = lock(&next).next() else { return };
                    let began = Instant::now();
                    match one(&tests[i], target, shared, work, Duration::from_secs(options.target.timeout)) {
                        Ok(seen) => lock(&results)[i] = Some((seen, began.elapsed())),
                        Err(e) => *lock(&failure) = Some(e),
                    }
                    progress.step(&tests[i].name);
                }
            });
        }
    });
    progress.end();
    if let Some(e) = failure.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner) {
        return Err(e);
    }
    let results = results.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    Ok(results.into_iter().map(|r| r.unwrap_or((Seen::TimedOut, Duration::ZERO))).collect())
}

fn one(test: &Test, target: &Target, shared: &Path, work: &WorkDir, limit: Duration) -> Result<Seen> {
    let fresh = work.fresh("test")?;
    let cwd = test.cwd.clone().unwrap_or_else(|| fresh.clone());
    // The environment goes through `env`, because not every target passes its own on.
    let mut argv = vec!["/usr/bin/env".to_owned(), format!("TMPDIR={}", fresh.display())];
    argv.extend(test.env.iter().map(|(k, v)| format!("{k}={v}")));
    argv.extend(["sh".into(), "-c".into(), "cd \"$0\" && exec \"$@\"".into(), cwd.display().to_string()]);
    argv.extend(test.argv.iter().cloned());
    let command = target.command(&argv, &fresh, &[work.path(), shared], work)?;
    Ok(finish(command, &fresh.join("output"), limit, test.outcome))
}

/// Runs a command with its output in a file, in a process group of its own that ends with it.
fn finish(mut command: Command, output: &Path, limit: Duration, outcome: fn(Option<i32>, &str) -> String) -> Seen {
    use std::os::unix::process::CommandExt;
    let files = std::fs::File::create(output).and_then(|f| f.try_clone().map(|g| (f, g)));
    let (out, err) = match files {
        Ok(files) => files,
        Err(e) => return Seen::NotStarted(format!("no file for its output: {e}")),
    };
    let mut child = match command.stdin(Stdio::null()).stdout(out).stderr(err).process_group(0).spawn() {
        Ok(child) => child,
        Err(e) => return Seen::NotStarted(e.to_string()),
    };
    let end = Instant::now() + limit;
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break Some(status),
            _ if Instant::now() >= end => break None,
            _ => std::thread::sleep(Duration::from_millis(3)),
        }
    };
    let _ = Command::new("kill").args(["-KILL", "--", &format!("-{}", child.id())]).stderr(Stdio::null()).status();
    let _ = child.wait();
    let text = String::from_utf8_lossy(&std::fs::read(output).unwrap_or_default()).into_owned();
    let tail: Vec<&str> = text.lines().rev().take(12).collect();
    let tail: String = tail.into_iter().rev().map(|line| format!("| {line}\n")).collect();
    match status {
        Some(status) => Seen::Ended(outcome(status.code(), &text), tail),
        None => Seen::TimedOut,
    }
}

#[cfg(test)]
mod tests {
    //! The adapters against tiny suites made in a temporary directory.

    use super::*;
    use clap::Parser;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    fn script(path: &Path, text: &str) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, format!("#!/bin/sh\n{text}\n")).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn rows(subcommand: &[&str], tests: Vec<Test>, shared: &Path) -> Vec<(String, Verdict)> {
        let arguments =
            ["syscall-tests"].iter().chain(subcommand).chain(&["--platform", "native", "--timeout", "2"]).copied();
        let options = crate::options::Options::parse_from(arguments);
        let suite = match options.command {
            Some(crate::options::Command::Ltp(o)) => o.suite,
            Some(crate::options::Command::Gtest(o)) => o.suite,
            Some(crate::options::Command::Kselftest(o)) => o.suite,
            _ => panic!("a suite's subcommand"),
        };
        let targets = Target::from_options(&suite.target).unwrap();
        let rows = compare(&tests, shared, &targets, &suite, &Known::default()).unwrap();
        rows.into_iter().map(|row| (row.case, row.verdict)).collect()
    }

    #[test]
    fn ltp_runs_the_lines_of_a_scenario() {
        let work = WorkDir::new(&std::env::temp_dir()).unwrap();
        let root = work.path();
        fs::create_dir_all(root.join("runtest")).unwrap();
        fs::write(
            root.join("runtest/syscalls"),
            "# comment\n\nopen01 open01 -a 1\nconf01 conf01\nbad01 bad01\nmissing01 missing01\n",
        )
        .unwrap();
        script(&root.join("testcases/bin/open01"), "[ \"$2\" = 1 ] && [ -n \"$LTPROOT\" ] && echo 'TPASS: fine'");
        script(&root.join("testcases/bin/conf01"), "echo 'TCONF: not here'; exit 32");
        script(&root.join("testcases/bin/bad01"), "echo 'TFAIL: no'; exit 1");
        let tests = ltp::tests(root, &["syscalls".into()]).unwrap();
        let root_text = root.display().to_string();
        let rows = rows(&["ltp", "--root", &root_text], tests, root);
        assert_eq!(rows[0], ("syscalls/open01".into(), Verdict::Agrees));
        assert!(rows[1..].iter().all(|(_, v)| matches!(v, Verdict::Skipped(_))), "{rows:?}");
        assert_eq!(rows.len(), 4);
    }

    #[test]
    fn gtest_lists_and_runs_each_test() {
        let work = WorkDir::new(&std::env::temp_dir()).unwrap();
        let dir = work.path();
        script(
            &dir.join("a_test"),
            "case \"$1\" in --gtest_list_tests) printf 'Suite.\\n  One\\n  Two  # GetParam() = 3\\n';; --gtest_filter=Suite.One) echo '[       OK ] Suite.One (0 ms)';; \
             --gtest_filter=Suite.Two) echo '[  SKIPPED ] Suite.Two (0 ms)';; esac",
        );
        fs::write(dir.join("notes.txt"), "not a program").unwrap();
        let tests = gtest::tests(dir).unwrap();
        let dir_text = dir.display().to_string();
        let rows = rows(&["gtest", "--dir", &dir_text], tests, dir);
        assert_eq!(rows[0], ("a_test/Suite.One".into(), Verdict::Agrees));
        assert!(matches!(rows[1].1, Verdict::Skipped(_)));
    }

    #[test]
    fn kselftest_compares_each_tap_result() {
        let work = WorkDir::new(&std::env::temp_dir()).unwrap();
        let dir = work.path();
        fs::write(dir.join("kselftest-list.txt"), "pidfd:good\npidfd:flaky\n").unwrap();
        script(&dir.join("pidfd/good"), "printf 'TAP version 13\\n1..2\\nok 1 first\\nok 2 second # SKIP no\\n'");
        // Passes at the first run only: the second target must see the difference.
        script(
            &dir.join("pidfd/flaky"),
            "if [ -e ../mark ]; then echo 'not ok 1 x'; exit 1; else touch ../mark; echo 'ok 1 x'; fi",
        );
        let tests = kselftest::tests(dir).unwrap();
        let dir_text = dir.display().to_string();
        let rows = rows(&["kselftest", "--dir", &dir_text], tests, dir);
        assert_eq!(rows[0], ("pidfd/good".into(), Verdict::Agrees));
        assert!(matches!(&rows[1].1, Verdict::Differs(lines) if lines.contains("+ 1 x: failed")), "{rows:?}");
    }
}
