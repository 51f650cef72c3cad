//! The run of cases: natively, then at each target, judged and reported.

use crate::batch::{Item, Outcome, Runner};
use crate::error::{Context, Error, Result};
use crate::known::Known;
use crate::options::{Format, RunOptions, TargetOptions};
use crate::report::{self, Progress};
use crate::target::Target;
use crate::verdict::{Verdict, judge, judge_native};
use crate::workdir::{WorkDir, built};
use regex_lite::Regex;
use std::collections::HashMap;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

/// One case at one target.
#[derive(Debug)]
pub struct Row {
    /// `family/call/what`.
    pub case: String,
    /// The target's name.
    pub target: String,
    /// What came out.
    pub verdict: Verdict,
    /// Why it may differ, if it is a known difference.
    pub known: Option<String>,
    /// How long it took there.
    pub took: Duration,
}

impl Row {
    /// Whether the run fails because of this row.
    pub fn fails(&self) -> bool {
        self.verdict.is_failure() && self.known.is_none()
    }
}

/// Runs what the command line asks for; false when something failed.
pub fn run(options: &RunOptions) -> Result<bool> {
    let prepared = Prepared::new(&options.target)?;
    let items = select(&prepared.list()?, options.filter.as_deref())?;
    if options.list {
        items.iter().for_each(|item| println!("{}", item.name));
        return Ok(true);
    }
    let targets = Target::from_options(&options.target)?;
    let known = Known::load(&options.known)?;
    let mut rows = Vec::new();
    for _ in 0..options.repeat.max(1) {
        let (native, round) = compare(&prepared, &targets, &items, &known)?;
        if options.verbose {
            for item in &items {
                native.get(&item.name).into_iter().for_each(|o| eprint!("{}: {:?}\n{}", item.name, o.end, o.text));
            }
        }
        rows.extend(round);
    }
    let stale: Vec<String> = known.stale().iter().map(|entry| entry.to_string()).collect();
    match options.format {
        Format::Human => report::human::print(&rows, &stale),
        Format::Json => report::json::print(&rows, &stale),
        Format::Junit => report::junit::print("syscall-tests", &rows, &stale),
    }
    Ok(stale.is_empty() && !rows.iter().any(Row::fails))
}

/// The guest program in a work directory, ready to run.
pub struct Prepared {
    work: WorkDir,
    guest: PathBuf,
    jobs: usize,
    seconds: u64,
}

impl Prepared {
    /// Builds the guest and copies it to where every target sees it.
    pub fn new(options: &TargetOptions) -> Result<Prepared> {
        let work = WorkDir::new(&options.tmp)?;
        let binary = built("syscall-guest", "syscall-guest")?;
        let guest = work.path().join("syscall-guest");
        std::fs::copy(&binary, &guest).at("copy the guest program to", &guest)?;
        let cpus = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Prepared { work, guest, jobs: options.jobs.unwrap_or(cpus), seconds: options.timeout })
    }

    /// The names of all cases.
    pub fn list(&self) -> Result<Vec<String>> {
        let output = Command::new(&self.guest).arg("--list").output().at("run", &self.guest)?;
        let names: Vec<String> = String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect();
        let mut seen = std::collections::HashSet::new();
        match names.iter().find(|name| !seen.insert(name.as_str())) {
            Some(twice) => Err(Error(format!("two cases are called {twice}; rename one"))),
            None => Ok(names),
        }
    }

    /// What runs batches.
    pub fn runner(&self) -> Runner<'_> {
        Runner { guest: self.guest.clone(), work: &self.work, jobs: self.jobs, seconds: self.seconds }
    }
}

fn select(names: &[String], filter: Option<&str>) -> Result<Vec<Item>> {
    let filter =
        filter.map(Regex::new).transpose().map_err(|e| Error(format!("--filter is no regular expression: {e}")))?;
    let wanted = |name: &&String| filter.as_ref().is_none_or(|f| f.is_match(name));
    let items: Vec<Item> = names.iter().filter(wanted).map(|name| Item { name: name.clone(), program: None }).collect();
    match items.is_empty() {
        true => Err(Error("no case matches --filter; see --list".into())),
        false => Ok(items),
    }
}

/// What each case gave natively, by name.
pub type Native = HashMap<String, Outcome>;

/// Runs `items` natively and at each target.
pub fn compare(prepared: &Prepared, targets: &[Target], items: &[Item], known: &Known) -> Result<(Native, Vec<Row>)> {
    let runner = prepared.runner();
    let progress = Progress::new(items.len(), "native");
    let native = runner.run(&Target::native(), items, &|name| progress.step(name))?;
    progress.end();
    let runnable: Vec<Item> =
        items.iter().filter(|item| judge_native(native.get(&item.name)).is_ok()).cloned().collect();
    let mut rows = Vec::new();
    for target in targets {
        let progress = Progress::new(runnable.len(), &target.name);
        let mut seen = runner.run(target, &runnable, &|name| progress.step(name))?;
        progress.end();
        hiccups(&runner, target, &runnable, &native, &mut seen)?;
        for item in items {
            let verdict = match judge_native(native.get(&item.name)) {
                Err(verdict) => verdict,
                Ok(()) => native.get(&item.name).map_or(Verdict::TimedOut, |n| judge(n, seen.get(&item.name))),
            };
            let took = seen.get(&item.name).map_or(Duration::ZERO, |o| o.took);
            let reason = match verdict {
                Verdict::Skipped(_) | Verdict::Broken(_) => None,
                _ => known.reason(&item.name, &target.name, verdict.is_failure()).map(str::to_owned),
            };
            rows.push(Row { case: item.name.clone(), target: target.name.clone(), verdict, known: reason, took });
        }
    }
    Ok((native, rows))
}

/// Runs once more what differed: on a busy machine a difference counts when it is seen twice.
fn hiccups(runner: &Runner<'_>, target: &Target, items: &[Item], native: &Native, seen: &mut Native) -> Result<()> {
    let differs = |item: &&Item| {
        native.get(&item.name).is_some_and(|n| matches!(judge(n, seen.get(&item.name)), Verdict::Differs(_)))
    };
    let differing: Vec<Item> = items.iter().filter(differs).cloned().collect();
    for (name, outcome) in runner.run(target, &differing, &|_| {})? {
        if native.get(&name).is_some_and(|n| judge(n, Some(&outcome)) == Verdict::Agrees) {
            seen.insert(name, outcome);
        }
    }
    Ok(())
}
