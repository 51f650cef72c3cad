//! `sandbox doctor`

use clap::Args;
use runtime::Error;
use runtime::doctor::{Verdict, examine};

/// Options of `sandbox doctor`.
#[derive(Args)]
pub struct Doctor {}

impl Doctor {
    /// Prints one line for each thing looked at; fails when one that is needed does not work.
    pub fn execute(self) -> Result<u8, Error> {
        let findings = examine();
        for finding in &findings {
            let mark = match finding.verdict {
                Verdict::Works => "ok     ",
                Verdict::Optional => "missing",
                Verdict::Needed => "BROKEN ",
            };
            println!("{mark}  {}: {}", finding.subject, finding.detail);
        }
        Ok(u8::from(findings.iter().any(|finding| finding.verdict == Verdict::Needed)))
    }
}
