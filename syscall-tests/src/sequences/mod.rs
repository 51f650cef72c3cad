//! Random call sequences: generated from a seed, run natively and at each target, shrunk where they differ, kept.

mod corpus;
mod generate;
mod random;
mod shrink;

use crate::batch::{Item, Outcome};
use crate::cases::{Native, Prepared};
use crate::error::{Error, Result};
use crate::options::SequenceOptions;
use crate::report::Progress;
use crate::target::Target;
use crate::verdict::{Verdict, judge, judge_native};
use generate::{Family, sequence};

/// Sequences that one round generates, runs and judges.
const ROUND: u64 = 2000;

/// How many differing sequences a run shrinks; more of them say the same again, mostly.
const SHRUNK: usize = 50;

/// Runs what the command line asks for; false when a sequence differs.
pub fn run(options: &SequenceOptions) -> Result<bool> {
    let families = families(&options.family)?;
    if options.list {
        for family in &families {
            for seed in options.seed..options.seed.saturating_add(options.sequences) {
                println!("{}\t{}", family.name, sequence(family, seed, options.length).join("; "));
            }
        }
        return Ok(true);
    }
    let prepared = Prepared::new(&options.target)?;
    let targets = Target::from_options(&options.target)?;
    let mut tally = Tally::default();
    let kept = corpus::load(&options.corpus)?;
    println!("corpus: {} sequences", kept.len());
    round(&prepared, &targets, kept, options, &mut tally)?;
    for family in &families {
        let before = tally.different;
        let end = options.seed.saturating_add(options.sequences);
        let mut seed = options.seed;
        while seed < end {
            let upper = end.min(seed + ROUND);
            let items = (seed..upper)
                .map(|s| Item {
                    name: format!("{}-{s}", family.name),
                    program: Some(sequence(family, s, options.length).join(";")),
                })
                .collect();
            round(&prepared, &targets, items, options, &mut tally)?;
            seed = upper;
        }
        println!(
            "{}: {} sequences from seed {}, {} differ",
            family.name,
            options.sequences,
            options.seed,
            tally.different - before
        );
    }
    println!("{} passed, {} failed, {} skipped", tally.agreed, tally.different, tally.unstable);
    Ok(tally.different == 0)
}

#[derive(Default)]
struct Tally {
    agreed: usize,
    different: usize,
    /// Those whose native result changes from run to run: no expectation.
    unstable: usize,
}

fn families(wanted: &[String]) -> Result<Vec<&'static Family>> {
    if wanted.is_empty() {
        return Ok(generate::FAMILIES.iter().collect());
    }
    wanted
        .iter()
        .map(|name| {
            generate::FAMILIES.iter().find(|f| f.name == name).ok_or_else(|| {
                let known: Vec<&str> = generate::FAMILIES.iter().map(|f| f.name).collect();
                Error(format!("there is no family {name}; the families are {}", known.join(", ")))
            })
        })
        .collect()
}

fn round(
    prepared: &Prepared,
    targets: &[Target],
    items: Vec<Item>,
    options: &SequenceOptions,
    tally: &mut Tally,
) -> Result<()> {
    let runner = prepared.runner();
    let progress =
        Progress::new(items.len() * (1 + targets.len()), items.first().map_or("", |item| item.name.as_str()));
    let native = runner.run(&Target::native(), &items, &|name| progress.step(name))?;
    let (mut different, mut failed) = (Vec::new(), std::collections::HashSet::new());
    for target in targets {
        let seen = runner.run(target, &items, &|name| progress.step(name))?;
        for item in &items {
            if differs(native.get(&item.name), seen.get(&item.name)).is_some() {
                different.push((target, item));
            }
        }
    }
    progress.end();
    for (target, item) in different {
        // Seen again, natively too: only a stable difference is one.
        let one = std::slice::from_ref(item);
        let again: Native = runner.run(&Target::native(), one, &|_| {})?;
        if again.get(&item.name).map(|o| &o.text) != native.get(&item.name).map(|o| &o.text) {
            tally.unstable += usize::from(failed.insert(item.name.clone()));
            continue;
        }
        let seen = runner.run(target, one, &|_| {})?;
        let Some(verdict) = differs(again.get(&item.name), seen.get(&item.name)) else { continue };
        if failed.contains(&item.name) {
            continue;
        }
        if tally.different >= SHRUNK {
            failed.insert(item.name.clone());
            tally.different += 1;
            println!("FAIL {} [{}]: {}; not shrunk, {SHRUNK} were", item.name, target.name, verdict.word());
            continue;
        }
        let program = item.program.clone().unwrap_or_default();
        let (short, verdict) = shrink::shrink(&runner, target, &program)?.unwrap_or((program, verdict));
        if failed.insert(item.name.clone()) {
            tally.different += 1;
        }
        println!("FAIL {} [{}]: {}\n    {}", item.name, target.name, verdict.word(), short.replace(';', "\n    "));
        verdict.detail().lines().for_each(|line| println!("      {line}"));
        corpus::keep(&options.corpus, &item.name, &target.name, &short)?;
    }
    tally.agreed += items.len() - failed.len();
    Ok(())
}

/// The verdict when a sequence does not do at the target what it does natively.
fn differs(native: Option<&Outcome>, seen: Option<&Outcome>) -> Option<Verdict> {
    judge_native(native).err().map_or_else(|| native.map(|n| judge(n, seen)).filter(Verdict::is_failure), |_| None)
}
