//! What the doctor has found, as text for a person.

use std::fmt::Write as _;

/// The findings in the order of the checks, one line each: `ok`, `warning` or `failed`, what was checked, and what was found
/// with what to do about it.
#[derive(Debug, Default)]
pub(super) struct Report {
    text: String,
    /// Something prevents the server from working.
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
