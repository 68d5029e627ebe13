//! The report of the doctor, as text for a person.

use std::fmt::Write as _;

/// The findings in the order of the checks, one line for each: `ok`, `warning` or `failed`, the name of the check, and
/// the result with advice.
#[derive(Debug, Default)]
pub(super) struct Report {
    text: String,
    /// A finding prevents the server from working.
    pub has_failed: bool,
}

impl Report {
    pub(super) fn line(&mut self, verdict: &str, what: &str, said: &str) {
        let _ = writeln!(self.text, "{verdict:8} {what:10} {said}");
    }

    pub(super) fn ok(&mut self, what: &str, said: impl AsRef<str>) {
        self.line("ok", what, said.as_ref());
    }

    pub(super) fn warning(&mut self, what: &str, said: impl AsRef<str>) {
        self.line("warning", what, said.as_ref());
    }

    pub(super) fn failed(&mut self, what: &str, said: impl AsRef<str>) {
        self.has_failed = true;
        self.line("failed", what, said.as_ref());
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }
}
