//! The report for programs: one JSON object a line and case, then one with the counts.

use crate::cases::Row;
use crate::verdict::Verdict;
use serde_json::json;

/// Prints the report.
pub fn print(rows: &[Row], stale: &[String]) {
    for row in rows {
        println!(
            "{}",
            json!({"case": row.case, "target": row.target, "verdict": row.verdict.word(), "detail": row.verdict.detail(),
                "known": row.known, "milliseconds": row.took.as_millis() as u64})
        );
    }
    for entry in stale {
        println!("{}", json!({"stale_known_difference": entry}));
    }
    let failed = rows.iter().filter(|row| row.fails()).count();
    let skipped = rows.iter().filter(|row| matches!(row.verdict, Verdict::Skipped(_))).count();
    println!(
        "{}",
        json!({"passed": rows.len() - failed - skipped, "failed": failed + stale.len(), "skipped": skipped})
    );
}
