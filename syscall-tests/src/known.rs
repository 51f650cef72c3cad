//! The list of known differences: what is on purpose, each with its reason. An entry whose case agrees is a failure.

use crate::error::{Context, Error, Result};
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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    /// A case's name; `*` stands for any characters.
    case: String,
    /// The targets where it differs; all when there are none.
    #[serde(default)]
    targets: Vec<String>,
    /// Why.
    reason: String,
    #[serde(skip)]
    agreed: AtomicBool,
    #[serde(skip)]
    differed: AtomicBool,
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
        let known: Known = toml::from_str(text).map_err(|e| Error(e.to_string()))?;
        match known.difference.iter().find(|entry| entry.reason.trim().is_empty()) {
            Some(entry) => Err(Error(format!("the entry for {} has no reason", entry.case))),
            None => Ok(known),
        }
    }

    /// The reason why `case` may differ at `target`; `differs` says whether it did, for [`Known::stale`].
    pub fn reason(&self, case: &str, target: &str, differs: bool) -> Option<&str> {
        let entry = self.difference.iter().find(|entry| {
            matches(&entry.case, case) && (entry.targets.is_empty() || entry.targets.iter().any(|t| t == target))
        })?;
        if differs { &entry.differed } else { &entry.agreed }.store(true, Ordering::Relaxed);
        Some(&entry.reason)
    }

    /// Entries whose cases ran and all agreed: they have to go.
    pub fn stale(&self) -> Vec<&str> {
        let agreed_only =
            |entry: &&Entry| entry.agreed.load(Ordering::Relaxed) && !entry.differed.load(Ordering::Relaxed);
        self.difference.iter().filter(agreed_only).map(|entry| entry.case.as_str()).collect()
    }
}

fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((head, tail)) => name.strip_prefix(head).is_some_and(|rest| {
            rest.char_indices().map(|(i, _)| i).chain([rest.len()]).any(|i| matches(tail, &rest[i..]))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_match_any_characters() {
        assert!(matches("a/*", "a/b/c") && matches("*/open/*", "x/open/y") && matches("a", "a"));
        assert!(!matches("a/*", "b/a/") && !matches("a", "ab"));
    }

    #[test]
    fn an_entry_holds_for_its_targets_only_and_needs_a_reason() {
        let known =
            Known::parse("[[difference]]\ncase = \"a/*\"\ntargets = [\"ptrace\"]\nreason = \"slow\"\n").unwrap();
        assert_eq!(known.reason("a/b", "ptrace", false), Some("slow"));
        assert_eq!(known.reason("a/b", "systrap", true), None);
        assert_eq!(known.stale(), ["a/*"]);
        known.reason("a/c", "ptrace", true);
        assert!(known.stale().is_empty());
        assert!(Known::parse("[[difference]]\ncase = \"a\"\nreason = \" \"\n").is_err());
    }
}
