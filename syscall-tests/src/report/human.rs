//! The report for people: what differs, a table by family, one closing line.

use crate::cases::Row;
use crate::verdict::Verdict;
use std::collections::{BTreeMap, BTreeSet};

/// Prints the report; `stale` are known differences that do not differ any more.
pub fn print(rows: &[Row], stale: &[String]) {
    for row in rows.iter().filter(|row| row.fails()) {
        println!("FAIL {} [{}]: {}", row.case, row.target, row.verdict.word());
        row.verdict.detail().lines().take(40).for_each(|line| println!("    {line}"));
    }
    for row in rows.iter().filter(|row| row.verdict.is_failure()) {
        if let Some(reason) = &row.known {
            println!("known {} [{}]: {reason}", row.case, row.target);
        }
    }
    let mut skips: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for row in rows {
        if let Verdict::Skipped(reason) = &row.verdict {
            skips.entry(reason).or_default().insert(&row.case);
        }
    }
    for (reason, cases) in skips {
        let first = cases.first().copied().unwrap_or_default();
        println!(
            "skip {first}{}: {reason}",
            if cases.len() > 1 { format!(" and {} more", cases.len() - 1) } else { String::new() }
        );
    }
    for entry in stale {
        println!("FAIL known difference {entry}: it agrees now; take it off the list");
    }
    println!();
    table(rows);
    let failed = rows.iter().filter(|row| row.fails()).count() + stale.len();
    let skipped = rows.iter().filter(|row| matches!(row.verdict, Verdict::Skipped(_))).count();
    let passed = rows.len() - skipped - rows.iter().filter(|row| row.fails()).count();
    println!("\n{passed} passed, {failed} failed, {skipped} skipped");
}

/// The first part of a case's name.
pub fn family(case: &str) -> &str {
    case.split_once('/').map_or(case, |(family, _)| family)
}

fn table(rows: &[Row]) {
    let mut counts: BTreeMap<(&str, &str), [usize; 7]> = BTreeMap::new();
    for row in rows {
        let column = match &row.verdict {
            v if v.is_failure() && row.known.is_some() => 5,
            Verdict::Agrees => 0,
            Verdict::Differs(_) => 1,
            Verdict::Crashed(_) => 2,
            Verdict::TimedOut => 3,
            Verdict::Skipped(_) => 4,
            Verdict::Broken(_) => 6,
        };
        counts.entry((&row.target, family(&row.case))).or_default()[column] += 1;
    }
    let width = counts.keys().map(|(_, family)| family.len()).max().unwrap_or(6).max(6);
    let mut current = "";
    let mut total = [0; 7];
    for ((target, family), row) in &counts {
        if *target != current {
            footer(current, width, &total);
            total = [0; 7];
            current = target;
            println!("{target}, compared with the native run");
            println!(
                "  {:width$} {:>6} {:>7} {:>8} {:>8} {:>8} {:>8} {:>6} {:>7}",
                "family", "cases", "agrees", "differs", "crashed", "timeout", "skipped", "known", "broken"
            );
        }
        line(family, width, row);
        total.iter_mut().zip(row).for_each(|(sum, n)| *sum += n);
    }
    footer(current, width, &total);
}

fn line(name: &str, width: usize, [agrees, differs, crashed, timeout, skipped, known, broken]: &[usize; 7]) {
    let cases = agrees + differs + crashed + timeout + skipped + known + broken;
    println!(
        "  {name:width$} {cases:>6} {agrees:>7} {differs:>8} {crashed:>8} {timeout:>8} {skipped:>8} {known:>6} {broken:>7}"
    );
}

fn footer(target: &str, width: usize, total: &[usize; 7]) {
    if !target.is_empty() {
        line("total", width, total);
    }
}
