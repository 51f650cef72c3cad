//! The list of known differences: what is on purpose, each with its reason. An entry whose case agrees is a failure.

use crate::error::{Context, Error, Result};
use regex_lite::Regex;
use serde::Deserialize;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

/// The list.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Known {
    #[serde(default)]
    difference: Vec<Entry>,
}

/// One difference, or many with one reason.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    /// Names of cases; `*` stands for any characters.
    #[serde(default)]
    cases: Vec<String>,
    /// Regular expressions that whole names match.
    #[serde(default)]
    patterns: Vec<String>,
    /// The targets (platforms) where it differs; all when there are none.
    #[serde(default)]
    targets: Vec<String>,
    /// Why.
    reason: String,
    #[serde(skip)]
    rules: Vec<Rule>,
}

/// One name or pattern of an entry, and what was seen of its cases.
struct Rule {
    shown: String,
    regex: Regex,
    agreed: AtomicBool,
    differed: AtomicBool,
}

impl Rule {
    fn new(shown: &str, regex: &str) -> Result<Rule> {
        let regex = Regex::new(&format!("^(?:{regex})$")).map_err(|e| Error(format!("{shown}: {e}")))?;
        Ok(Rule { shown: shown.to_owned(), regex, agreed: AtomicBool::new(false), differed: AtomicBool::new(false) })
    }
}

impl Known {
    /// Reads the list; a file that is not there is an empty list.
    pub fn load(path: &Path) -> Result<Known> {
        if !path.exists() {
            return Ok(Known::default());
        }
        let text = std::fs::read_to_string(path).at("read the list of known differences", path)?;
        Known::parse(&text).at("read the list of known differences", path)
    }

    fn parse(text: &str) -> Result<Known> {
        let mut known: Known = toml::from_str(text).map_err(|e| Error(e.to_string()))?;
        for entry in &mut known.difference {
            let names = entry.cases.iter().map(|case| Rule::new(case, &regex_of(case)));
            let patterns = entry.patterns.iter().map(|pattern| Rule::new(pattern, pattern));
            entry.rules = names.chain(patterns).collect::<Result<_>>()?;
            match entry.rules.first() {
                None => return Err(Error(format!("the entry \"{}\" names no case", entry.reason))),
                Some(rule) if entry.reason.trim().is_empty() => {
                    return Err(Error(format!("the entry for {} has no reason", rule.shown)));
                }
                Some(_) => {}
            }
        }
        Ok(known)
    }

    /// The reason why `case` may differ at `target`; `differs` says whether it did, for [`Known::stale`].
    pub fn reason(&self, case: &str, target: &str, differs: bool) -> Option<&str> {
        let here = |entry: &&Entry| entry.targets.is_empty() || entry.targets.iter().any(|t| t == target);
        let rules =
            self.difference.iter().filter(here).flat_map(|entry| entry.rules.iter().map(move |rule| (entry, rule)));
        let (entry, rule) = rules.into_iter().find(|(_, rule)| rule.regex.is_match(case))?;
        if differs { &rule.differed } else { &rule.agreed }.store(true, Ordering::Relaxed);
        Some(&entry.reason)
    }

    /// Names and patterns whose cases ran and all agreed: they have to go.
    pub fn stale(&self) -> Vec<&str> {
        let agreed_only = |rule: &&Rule| rule.agreed.load(Ordering::Relaxed) && !rule.differed.load(Ordering::Relaxed);
        let rules = self.difference.iter().flat_map(|entry| &entry.rules);
        rules.filter(agreed_only).map(|rule| rule.shown.as_str()).collect()
    }
}

/// A name with stars, as a regular expression.
fn regex_of(name: &str) -> String {
    name.split('*').map(regex_lite::escape).collect::<Vec<_>>().join(".*")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_match_any_characters() {
        let matches = |pattern: &str, name: &str| Rule::new(pattern, &regex_of(pattern)).unwrap().regex.is_match(name);
        assert!(matches("a/*", "a/b/c") && matches("*/open/*", "x/open/y") && matches("a", "a"));
        assert!(!matches("a/*", "b/a/") && !matches("a", "ab") && !matches("a.c", "abc"));
    }

    #[test]
    fn an_entry_holds_for_its_targets_only_and_needs_a_reason() {
        let known =
            Known::parse("[[difference]]\ncases = [\"a/*\"]\ntargets = [\"ptrace\"]\nreason = \"slow\"\n").unwrap();
        assert_eq!(known.reason("a/b", "ptrace", false), Some("slow"));
        assert_eq!(known.reason("a/b", "systrap", true), None);
        assert_eq!(known.stale(), ["a/*"]);
        known.reason("a/c", "ptrace", true);
        assert!(known.stale().is_empty());
        assert!(Known::parse("[[difference]]\ncases = [\"a\"]\nreason = \" \"\n").is_err());
        assert!(Known::parse("[[difference]]\nreason = \"no case\"\n").is_err());
    }

    #[test]
    fn each_name_of_an_entry_goes_stale_on_its_own() {
        let known = Known::parse("[[difference]]\ncases = [\"a\"]\npatterns = [\"b/[cd]\"]\nreason = \"r\"\n").unwrap();
        known.reason("a", "systrap", true);
        assert_eq!(known.reason("b/d", "systrap", false), Some("r"));
        assert_eq!(known.reason("b/dx", "systrap", true), None);
        assert_eq!(known.stale(), ["b/[cd]"]);
    }
}
