//! The `.env` file, with the line numbers that its problems name.

use std::collections::BTreeMap;
use std::path::Path;

use super::{Layers, Pair};

/// Replaces `$` while dotenvy reads: a character from Unicode's private use area.
const DOLLAR_PLACEHOLDER: &str = "\u{f8d4}";

impl Layers {
    pub(super) fn env_file_pairs(&mut self, path: &Path, text: &str) -> Vec<Pair> {
        let mut pairs: BTreeMap<String, Pair> = BTreeMap::new();
        // Without a byte order mark, which some editors write and dotenvy reads as part of the first name.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        // With a line end, because dotenvy refuses a last line that consists of a space.
        for line in dotenvy::Iter::new(format!("{}\n", hide_dollars(text)).as_bytes()) {
            match line {
                Ok((name, text_of)) => {
                    let origin = format!("in {}{}", path.display(), line_of(text, &name));
                    if pairs.contains_key(&name) {
                        self.warnings
                            .push(format!("{name} ({origin}) is set more than once there: the last one counts"));
                    }
                    let text = text_of.replace(DOLLAR_PLACEHOLDER, "$");
                    pairs.insert(name.clone(), Pair { name, text, origin });
                }
                // The error quotes the line, which may contain a password.
                Err(dotenvy::Error::LineParse(wrong, _)) => {
                    self.problems.push(format!(
                        "{}{} cannot be read: a line is NAME=value; \
                         a value with spaces, quotes, backslashes or # stands in quotes",
                        path.display(),
                        line_with(text, &wrong.replace(DOLLAR_PLACEHOLDER, "$")),
                    ));
                }
                Err(error) => self.problems.push(format!("{} cannot be read: {error}", path.display())),
            }
        }
        pairs.into_values().collect()
    }
}

/// Replaces each `$`, except after a backslash: dotenvy would insert the value of a variable there, and silently change
/// the password `pa$$word`.
fn hide_dollars(text: &str) -> String {
    let mut hidden = String::with_capacity(text.len());
    let mut escaped = false;
    for c in text.chars() {
        if c == '$' && !escaped {
            hidden.push_str(DOLLAR_PLACEHOLDER)
        } else {
            hidden.push(c)
        }
        escaped = c == '\\' && !escaped;
    }
    hidden
}

/// `, line 3` for the text that dotenvy reports as `wrong`: a whole line or only its value, without what follows it;
/// with open quotes it is the first of several lines.
fn line_with(text: &str, wrong: &str) -> String {
    let wrong = wrong.lines().next().unwrap_or_default().trim();
    let lines = || text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with('#'));
    let ends = lines().find(|(_, line)| line.trim_end().ends_with(wrong));
    let at = ends.or_else(|| lines().find(|(_, line)| line.contains(wrong)));
    at.map_or(String::new(), |(at, _)| format!(", line {}", at + 1))
}

/// `, line 3` for the last line that sets `name`.
fn line_of(text: &str, name: &str) -> String {
    let sets = |line: &str| {
        let line = line.trim_start();
        let line = line.strip_prefix("export ").unwrap_or(line).trim_start();
        line.strip_prefix(name).is_some_and(|rest| rest.trim_start().starts_with('='))
    };
    let last = text.lines().enumerate().filter(|(_, line)| sets(line)).last();
    last.map_or(String::new(), |(at, _)| format!(", line {}", at + 1))
}
