//! Shrinks a differing sequence to a shortest one that still differs, by delta debugging: each round tries all ways to leave
//! out a part of the steps, in one batch.

use super::differs;
use crate::batch::{Item, Runner};
use crate::error::Result;
use crate::target::Target;
use crate::verdict::Verdict;

/// The shortest sequence found and how it differs; `None` when not even the whole one differs again.
pub fn shrink(runner: &Runner<'_>, target: &Target, program: &str) -> Result<Option<(String, Verdict)>> {
    let steps: Vec<&str> = program.split(';').collect();
    minimise(&steps, &mut |candidates| {
        let items: Vec<Item> = candidates
            .iter()
            .enumerate()
            .map(|(i, c)| Item { name: format!("candidate-{i}"), program: Some(c.join(";")) })
            .collect();
        let native = runner.run(&Target::native(), &items, &|_| {})?;
        let seen = runner.run(target, &items, &|_| {})?;
        Ok(items.iter().map(|item| differs(native.get(&item.name), seen.get(&item.name))).collect())
    })
    .map(|found| found.map(|(steps, verdict)| (steps.join(";"), verdict)))
}

/// Says for each candidate how it differs, if it does.
type Judge<'j, 's> = dyn FnMut(&[Vec<&'s str>]) -> Result<Vec<Option<Verdict>>> + 'j;

fn minimise<'s>(steps: &[&'s str], judge: &mut Judge<'_, 's>) -> Result<Option<(Vec<&'s str>, Verdict)>> {
    let mut current = steps.to_vec();
    let Some(mut verdict) = judge(std::slice::from_ref(&current))?.into_iter().next().flatten() else {
        return Ok(None);
    };
    let mut part = current.len().div_ceil(2);
    while part > 0 && current.len() > 1 {
        let candidates: Vec<Vec<&str>> = (0..current.len())
            .step_by(part)
            .map(|at| current.iter().enumerate().filter(|(i, _)| *i < at || *i >= at + part).map(|(_, s)| *s).collect())
            .collect();
        match candidates.iter().zip(judge(&candidates)?).find_map(|(c, v)| v.map(|v| (c.clone(), v))) {
            Some((shorter, how)) => (current, verdict) = (shorter, how),
            None => part = if part == 1 { 0 } else { part.div_ceil(2) },
        }
        part = part.min(current.len());
    }
    Ok(Some((current, verdict)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_steps_that_matter_are_left() {
        let steps: Vec<&str> = "a b c d e f g h i j".split(' ').collect();
        let mut rounds = 0;
        let (short, _) = minimise(&steps, &mut |candidates| {
            rounds += 1;
            let bad = |c: &Vec<&str>| (c.contains(&"c") && c.contains(&"h")).then(|| Verdict::Differs(String::new()));
            Ok(candidates.iter().map(bad).collect())
        })
        .unwrap()
        .unwrap();
        assert_eq!(short, ["c", "h"]);
        assert!(rounds < 20, "{rounds}");
    }

    #[test]
    fn what_does_not_differ_is_not_shrunk() {
        assert!(minimise(&["a"], &mut |c| Ok(vec![None; c.len()])).unwrap().is_none());
    }
}
