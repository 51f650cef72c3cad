//! Compares what a case recorded at a target with what it recorded natively.

use crate::batch::{End, Outcome};

/// What came out of a case at one target.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// The same as natively.
    Agrees,
    /// Something else than natively: the lines that differ.
    Differs(String),
    /// The sandbox died: its last words.
    Crashed(String),
    /// It did not end in time.
    TimedOut,
    /// The case says that it cannot run on this machine.
    Skipped(String),
    /// The case itself is wrong: it failed natively.
    Broken(String),
}

impl Verdict {
    /// The word of reports.
    pub fn word(&self) -> &'static str {
        match self {
            Verdict::Agrees => "agrees",
            Verdict::Differs(_) => "differs",
            Verdict::Crashed(_) => "crashed",
            Verdict::TimedOut => "timed out",
            Verdict::Skipped(_) => "skipped",
            Verdict::Broken(_) => "broken",
        }
    }

    /// What there is to say beyond the word.
    pub fn detail(&self) -> &str {
        match self {
            Verdict::Agrees => "",
            Verdict::TimedOut => "it did not end in time",
            Verdict::Differs(s) | Verdict::Crashed(s) | Verdict::Skipped(s) | Verdict::Broken(s) => s,
        }
    }

    /// Whether it counts as a failure (known differences aside).
    pub fn is_failure(&self) -> bool {
        !matches!(self, Verdict::Agrees | Verdict::Skipped(_))
    }
}

/// Whether the native run can serve as the expectation.
///
/// # Errors
/// The verdict of the case when it cannot.
pub fn judge_native(native: Option<&Outcome>) -> Result<(), Verdict> {
    let Some(native) = native else { return Err(Verdict::Broken("the native run gave no result".into())) };
    let marked = |mark: &str| native.text.lines().find(|line| line.starts_with(mark)).map(str::to_owned);
    if let Some(reason) = marked("SKIP: ") {
        return Err(Verdict::Skipped(reason["SKIP: ".len()..].to_owned()));
    }
    let broken = match (&native.end, marked("BROKEN: ").or_else(|| marked("CHECK FAILED: "))) {
        (_, Some(line)) => line,
        (End::TimedOut, _) => "it did not end in time natively".to_owned(),
        (End::Crashed(said), _) => format!("the native run ended early: {said}"),
        (End::Ended(_), _) => return Ok(()),
    };
    Err(Verdict::Broken(broken))
}

/// The verdict of one case at one target.
pub fn judge(native: &Outcome, seen: Option<&Outcome>) -> Verdict {
    let Some(seen) = seen else { return Verdict::Crashed("the run gave no result".into()) };
    match &seen.end {
        End::Crashed(said) => Verdict::Crashed(said.clone()),
        End::TimedOut => Verdict::TimedOut,
        End::Ended(_) if seen.text == native.text && seen.end == native.end => Verdict::Agrees,
        End::Ended(how) => {
            let mut lines = diff(&native.text, &seen.text);
            if seen.end != native.end {
                let End::Ended(expected) = &native.end else {
                    return Verdict::Broken("the native run did not end".into());
                };
                lines.push_str(&format!("- {expected}\n+ {how}\n"));
            }
            Verdict::Differs(lines)
        }
    }
}

/// The lines that differ: `-` natively, `+` at the target, with the line before as context.
pub fn diff(expected: &str, seen: &str) -> String {
    let (a, b): (Vec<&str>, Vec<&str>) = (expected.lines().collect(), seen.lines().collect());
    // The longest common subsequence; records are short.
    let mut length = vec![vec![0usize; b.len() + 1]; a.len() + 1];
    for i in (0..a.len()).rev() {
        for j in (0..b.len()).rev() {
            length[i][j] = if a[i] == b[j] { length[i + 1][j + 1] + 1 } else { length[i + 1][j].max(length[i][j + 1]) };
        }
    }
    let (mut i, mut j, mut out, mut context) = (0, 0, String::new(), None);
    while i < a.len() || j < b.len() {
        if i < a.len() && j < b.len() && a[i] == b[j] {
            context = Some(a[i]);
            (i, j) = (i + 1, j + 1);
            continue;
        }
        if let Some(line) = context.take() {
            out.push_str(&format!("  {line}\n"));
        }
        if j >= b.len() || (i < a.len() && length[i + 1][j] >= length[i][j + 1]) {
            out.push_str(&format!("- {}\n", a[i]));
            i += 1;
        } else {
            out.push_str(&format!("+ {}\n", b[j]));
            j += 1;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn outcome(text: &str, end: &str) -> Outcome {
        Outcome { text: text.into(), end: End::Ended(end.into()), took: Duration::ZERO }
    }

    #[test]
    fn a_changed_line_is_shown_with_the_line_before() {
        let verdict =
            judge(&outcome("a\nread() = 4\nz\n", "exit 0"), Some(&outcome("a\nread() = -EINVAL\nz\n", "exit 0")));
        assert_eq!(verdict, Verdict::Differs("  a\n- read() = 4\n+ read() = -EINVAL\n".into()));
    }

    #[test]
    fn another_end_differs_although_the_records_are_equal() {
        let verdict = judge(&outcome("a\n", "exit 0"), Some(&outcome("a\n", "signal 11")));
        assert_eq!(verdict, Verdict::Differs("- exit 0\n+ signal 11\n".into()));
    }

    #[test]
    fn a_failed_claim_of_the_manual_breaks_the_native_run() {
        assert!(matches!(judge_native(Some(&outcome("CHECK FAILED: x\n", "exit 0"))), Err(Verdict::Broken(_))));
        assert_eq!(judge_native(Some(&outcome("SKIP: no tty\n", "exit 77"))), Err(Verdict::Skipped("no tty".into())));
    }
}
