//! The report for continuous integration: JUnit XML, one suite a target and family.

use super::human::family;
use crate::cases::Row;
use crate::verdict::Verdict;
use std::collections::BTreeMap;
use std::fmt::Write;

/// Prints the report.
pub fn print(name: &str, rows: &[Row], stale: &[String]) {
    print!("{}", render(name, rows, stale));
}

fn render(name: &str, rows: &[Row], stale: &[String]) -> String {
    let mut suites: BTreeMap<(&str, &str), Vec<&Row>> = BTreeMap::new();
    for row in rows {
        suites.entry((&row.target, family(&row.case))).or_default().push(row);
    }
    let mut out = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"{}\">\n", escape(name));
    for ((target, family), rows) in suites {
        let failures = rows.iter().filter(|row| row.fails()).count();
        let skipped = rows.iter().filter(|row| matches!(row.verdict, Verdict::Skipped(_))).count();
        let _ = writeln!(
            out,
            "  <testsuite name=\"{}.{}\" tests=\"{}\" failures=\"{failures}\" skipped=\"{skipped}\">",
            escape(target),
            escape(family),
            rows.len()
        );
        for row in rows {
            let _ = write!(
                out,
                "    <testcase classname=\"{}\" name=\"{}\" time=\"{:.3}\"",
                escape(target),
                escape(&row.case),
                row.took.as_secs_f64()
            );
            let _ = match &row.verdict {
                Verdict::Skipped(reason) => writeln!(out, "><skipped message=\"{}\"/></testcase>", escape(reason)),
                verdict if row.fails() => {
                    writeln!(
                        out,
                        "><failure message=\"{}\">{}</failure></testcase>",
                        verdict.word(),
                        escape(verdict.detail())
                    )
                }
                _ => writeln!(out, "/>"),
            };
        }
        out.push_str("  </testsuite>\n");
    }
    if !stale.is_empty() {
        let _ = writeln!(out, "  <testsuite name=\"known-differences\" tests=\"{0}\" failures=\"{0}\">", stale.len());
        for entry in stale {
            let _ = writeln!(
                out,
                "    <testcase name=\"{}\"><failure message=\"it agrees now\"/></testcase>",
                escape(entry)
            );
        }
        out.push_str("  </testsuite>\n");
    }
    out.push_str("</testsuites>\n");
    out
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' => out.push(c),
            c if c < ' ' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn markup_in_details_is_escaped_and_failures_are_counted() {
        let row = Row {
            case: "pipe/a".into(),
            target: "systrap".into(),
            verdict: Verdict::Differs("- a<b\n+ \"c\"".into()),
            known: None,
            took: Duration::from_millis(5),
        };
        let xml = render("x", &[row], &[]);
        assert!(xml.contains("failures=\"1\"") && xml.contains("- a&lt;b\n+ &quot;c&quot;"), "{xml}");
    }
}
