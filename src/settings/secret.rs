//! A text that is never printed.

use std::fmt;

/// A password. Its `Debug` is stars; it has no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// What is printed instead of a secret.
    pub const MASK: &'static str = "********";

    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::MASK)
    }
}

/// `text` with stars in place of passwords: those before the `@` of a URL, in `password=` parameters of a URL, and in
/// lists of keywords and values. It is for texts that should not contain a password, but may.
pub fn without_passwords(text: &str) -> String {
    let mut shown = text.to_owned();
    if let Some(begin) = text.find("://").map(|at| at + 3)
        && let Some(end) = text.rfind('@').filter(|end| *end >= begin)
    {
        shown.replace_range(begin..end, Secret::MASK);
    }
    let lower = shown.to_ascii_lowercase();
    if let Some(begin) = lower.find("password=").or_else(|| lower.find("pwd=")) {
        shown.truncate(begin + shown[begin..].find('=').map_or(0, |at| at + 1));
        shown.push_str(Secret::MASK);
    }
    shown
}
