//! `docs/compatibility.md`: for every call of the table, how many cases agree with Linux; and the counts that may not fall.

use crate::batch::Item;
use crate::cases::{Prepared, Row, compare};
use crate::error::{Context, Error, Result};
use crate::known::Known;
use crate::options::CompatOptions;
use crate::target::Target;
use crate::verdict::{Verdict, diff};
use abi::table::{CALLS, Kind};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;

/// Lines of a stale page that are shown.
const MOST_CHANGES: usize = 60;

/// What one call scored at one target.
#[derive(Default, Clone, PartialEq, Eq, Debug)]
struct Score {
    agree: usize,
    total: usize,
    /// Cases of flags and options that differ.
    missing: BTreeSet<String>,
    /// Whether the plain call agrees, where it has such a case.
    works: Option<bool>,
}

/// By target, then by call.
type Scores = BTreeMap<String, BTreeMap<String, Score>>;

/// By target, then by call: agreeing cases. What the file of counts holds.
type Counts = BTreeMap<String, BTreeMap<String, usize>>;

/// Writes the page and the counts, or checks them; false when something is stale or fell.
pub fn run(options: &CompatOptions) -> Result<bool> {
    let prepared = Prepared::new(&options.target)?;
    let items: Vec<Item> = prepared.list()?.into_iter().map(|name| Item { name, program: None }).collect();
    let targets = Target::from_options(&options.target)?;
    let (_, rows) = compare(&prepared, &targets, &items, &Known::load(&options.known)?)?;
    let scores = score(&rows);
    let page = render(&scores);
    let counts = scores
        .iter()
        .map(|(target, calls)| (target.clone(), calls.iter().map(|(c, s)| (c.clone(), s.agree)).collect()))
        .collect();
    if options.check {
        return check(options, &page, &counts);
    }
    if let Some(parent) = options.output.parent() {
        fs::create_dir_all(parent).at("create", parent)?;
    }
    fs::write(&options.output, &page).at("write", &options.output)?;
    let text = toml_of(&counts);
    fs::write(&options.counts, text).at("write", &options.counts)?;
    println!("wrote {} and {}", options.output.display(), options.counts.display());
    Ok(true)
}

fn check(options: &CompatOptions, page: &str, counts: &Counts) -> Result<bool> {
    let text = fs::read_to_string(&options.counts).at("read the counts", &options.counts)?;
    let before: Counts =
        toml::from_str(&text).map_err(|e| Error(format!("{} is no list of counts: {e}", options.counts.display())))?;
    let fallen = fallen(&before, counts);
    fallen.iter().for_each(|line| println!("FAIL {line}"));
    let written = fs::read_to_string(&options.output).at("read the page", &options.output)?;
    let current = written == page;
    if !current {
        println!("FAIL {} is stale; write it with `syscall-tests compat`. What changed:", options.output.display());
        diff(&written, page).lines().take(MOST_CHANGES).for_each(|line| println!("    {line}"));
    }
    let failed = fallen.len() + usize::from(!current);
    println!("{} passed, {failed} failed, 0 skipped", counts.values().map(BTreeMap::len).sum::<usize>() - fallen.len());
    Ok(failed == 0)
}

/// What agreed before and does so no more, one line a call.
fn fallen(before: &Counts, now: &Counts) -> Vec<String> {
    let mut lines = Vec::new();
    for (target, calls) in before.iter().filter(|(target, _)| now.contains_key(*target)) {
        for (call, count) in calls {
            let seen = now.get(target).and_then(|calls| calls.get(call)).copied().unwrap_or(0);
            if seen < *count {
                lines.push(format!("{call} [{target}]: {seen} cases agree, {count} did"));
            }
        }
    }
    lines
}

fn toml_of(counts: &Counts) -> String {
    let mut out = String::from(
        "# Cases that agree with Linux, by target and call. No count may fall; `syscall-tests compat` writes this file.\n",
    );
    for (target, calls) in counts {
        let _ = write!(out, "\n[\"{target}\"]\n");
        for (call, agree) in calls {
            let _ = writeln!(out, "{call} = {agree}");
        }
    }
    out
}

fn score(rows: &[Row]) -> Scores {
    let mut scores = Scores::new();
    for row in rows.iter().filter(|row| !matches!(row.verdict, Verdict::Skipped(_) | Verdict::Broken(_))) {
        let mut parts = row.case.splitn(3, '/');
        let (Some(family), Some(call), Some(what)) = (parts.next(), parts.next(), parts.next()) else { continue };
        if !CALLS.iter().any(|c| c.name == call) {
            continue;
        }
        let score = scores.entry(row.target.clone()).or_default().entry(call.to_owned()).or_default();
        let agrees = row.verdict == Verdict::Agrees;
        score.total += 1;
        score.agree += usize::from(agrees);
        if what == "good" {
            score.works = Some(agrees);
        }
        if !agrees && is_option(family, call, what) {
            score.missing.insert(what.split_once('_').map_or(what, |(_, name)| name).to_owned());
        }
    }
    scores
}

/// Whether a case is about one flag or option: `argN_NAME` of an argument that takes such.
fn is_option(family: &str, call: &str, what: &str) -> bool {
    let argument = what.strip_prefix("arg").and_then(|rest| rest.chars().next()).and_then(|digit| digit.to_digit(10));
    let kind = argument.and_then(|i| CALLS.iter().find(|c| c.name == call)?.args.get(i as usize));
    let general = ["unknown", "all_bits", "high_half", "minus_one", "past_last"].iter().any(|word| what.contains(word));
    family == "matrix" && matches!(kind, Some(Kind::Flags(_) | Kind::Choice(_))) && !general
}

fn render(scores: &Scores) -> String {
    let targets: Vec<&String> = scores.keys().collect();
    let mut out = String::from(
        "# Which system calls behave as Linux\n\nWritten by `syscall-tests compat`: every case runs natively and in the sandbox, and counts when both saw the same.\n\
         *full*: every case agrees; *partial*: some do; *none*: the call itself does not; *untested*: no case names it.\n\n",
    );
    let _ = writeln!(
        out,
        "| call | state | {} | flags and options that differ |",
        targets.iter().map(|t| t.as_str()).collect::<Vec<_>>().join(" | ")
    );
    let _ = writeln!(out, "|---|---|{}---|", "---|".repeat(targets.len()));
    let mut states: BTreeMap<&str, usize> = BTreeMap::new();
    for call in CALLS {
        let found: Vec<Option<&Score>> = targets.iter().map(|t| scores[*t].get(call.name)).collect();
        let state = state(&found);
        *states.entry(state).or_default() += 1;
        let cells: Vec<String> =
            found.iter().map(|s| s.map_or("–".into(), |s| format!("{}/{}", s.agree, s.total))).collect();
        let missing: BTreeSet<&str> =
            found.iter().flatten().flat_map(|s| s.missing.iter().map(String::as_str)).collect();
        let _ = writeln!(
            out,
            "| {} | {state} | {} | {} |",
            call.name,
            cells.join(" | "),
            missing.into_iter().collect::<Vec<_>>().join(", ")
        );
    }
    let summary: Vec<String> = states.iter().map(|(state, n)| format!("{n} {state}")).collect();
    let _ = writeln!(out, "\n{} calls: {}.", CALLS.len(), summary.join(", "));
    out
}

fn state(scores: &[Option<&Score>]) -> &'static str {
    let known: Vec<&Score> = scores.iter().flatten().copied().collect();
    match () {
        () if known.is_empty() => "untested",
        () if known.iter().all(|s| s.agree == s.total) => "full",
        () if known.iter().all(|s| s.agree == 0 || s.works == Some(false)) => "none",
        () => "partial",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn row(case: &str, agrees: bool) -> Row {
        let verdict = if agrees { Verdict::Agrees } else { Verdict::Differs(String::new()) };
        Row { case: case.into(), target: "systrap".into(), verdict, known: None, took: Duration::ZERO }
    }

    #[test]
    fn calls_are_full_partial_or_none() {
        let rows = [
            row("matrix/read/good", true),
            row("matrix/open/good", true),
            row("matrix/open/arg1_o_tmpfile", false),
            row("matrix/write/good", false),
            row("matrix/write/arg0_closed", true),
            row("inotify/read/blocks", true),
        ];
        let page = render(&score(&rows));
        for line in [
            "| read | full | 2/2 |  |",
            "| open | partial | 1/2 | o_tmpfile |",
            "| write | none | 1/2 |  |",
            "| close | untested | – |  |",
        ] {
            assert!(page.contains(line), "{line} is not in {page}");
        }
    }

    #[test]
    fn a_count_that_falls_is_named() {
        let counts = |n| Counts::from([("systrap".to_owned(), BTreeMap::from([("read".to_owned(), n)]))]);
        assert_eq!(fallen(&counts(5), &counts(4)), ["read [systrap]: 4 cases agree, 5 did"]);
        assert!(fallen(&counts(5), &counts(6)).is_empty());
        assert_eq!(toml::from_str::<Counts>(&toml_of(&counts(5))).unwrap(), counts(5));
    }
}
