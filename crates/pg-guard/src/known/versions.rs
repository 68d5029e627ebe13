//! Ranges of versions, as the lists of functions write them.

/// A range of major versions, with its ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Versions {
    since: u32,
    until: u32,
}

impl Versions {
    const ALL: Self = Self { since: 0, until: u32::MAX };

    pub(super) fn contain(self, version: u32) -> bool {
        (self.since..=self.until).contains(&version)
    }

    /// Parses `16-`, `-16`, `14-16` or `14`.
    fn of(text: &str) -> Option<Self> {
        let (since, until) = text.split_once('-').unwrap_or((text, text));
        let number = |text: &str, open| if text.is_empty() { Some(open) } else { text.parse().ok() };
        Some(Self { since: number(since, Self::ALL.since)?, until: number(until, Self::ALL.until)? })
    }
}

/// The fields of a line `function [versions] [volatile]`.
pub(super) fn fields(line: &'static str) -> (&'static str, Versions, bool) {
    let mut words = line.split(' ');
    let function = words.next().unwrap_or_default();
    let mut versions = Versions::ALL;
    let mut is_volatile = false;
    for word in words {
        match Versions::of(word) {
            Some(found) => versions = found,
            None => is_volatile |= word == "volatile",
        }
    }
    (function, versions, is_volatile)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_versions_of_a_line_are_a_range() {
        for (line, inside, outside) in [
            ("a", &[14, 18, 19][..], &[][..]),
            ("a 16-", &[16, 19], &[15]),
            ("a -15 volatile", &[14, 15], &[16]),
            ("a 15-16", &[15, 16], &[14, 17]),
            ("a 14 volatile", &[14], &[13, 15]),
        ] {
            let (function, versions, is_volatile) = fields(line);
            assert_eq!((function, is_volatile), ("a", line.ends_with("volatile")));
            assert!(inside.iter().all(|version| versions.contain(*version)), "{line}");
            assert!(!outside.iter().any(|version| versions.contain(*version)), "{line}");
        }
    }
}
