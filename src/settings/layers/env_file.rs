//! A file of `NAME=value` lines, read like assignments in a shell, but `$NAME` is not replaced. This code reads it, and
//! not a library, for two reasons: a line that cannot be read must not hide the other lines, and a value such as `#abc`
//! must not disappear as a comment (decision 0027).

use std::collections::BTreeMap;
use std::path::Path;

use super::{Layers, Pair};

/// What is correct, for a value that cannot be read.
pub(super) const QUOTE_IT: &str = "a value with spaces, quotes, backslashes or # stands in quotes";

/// A longer value cannot be read. So a quote that is never closed costs no more than this.
const VALUE_BYTES_MAX: usize = 16 * 1024;

/// A statement of the file.
pub(super) struct Line<'a> {
    /// The name; empty if there is none.
    pub(super) name: &'a str,
    /// The line where it begins, counted from 1.
    pub(super) number: usize,
    /// The value; `None` if it cannot be read.
    pub(super) value: Option<String>,
}

impl Layers {
    /// The pairs of a file that the operator has named. A line that cannot be read is a problem.
    pub(super) fn env_file_pairs(&mut self, path: &Path, text: &str) -> Vec<Pair> {
        let mut pairs: BTreeMap<&str, Pair> = BTreeMap::new();
        for Line { name, number, value } in lines(text) {
            let Some(text) = value.filter(|_| is_a_name(name)) else {
                let file = path.display();
                self.problems.push(format!("{file}, line {number} cannot be read: a line is NAME=value; {QUOTE_IT}"));
                continue;
            };
            let origin = format!("in {}, line {number}", path.display());
            if pairs.contains_key(name) {
                self.warnings.push(format!("{name} ({origin}) is set more than once there: the last one counts"));
            }
            pairs.insert(name, Pair { name: name.to_owned(), text, origin });
        }
        pairs.into_values().collect()
    }
}

fn is_a_name(name: &str) -> bool {
    let is_inside = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.');
    !name.starts_with(|c: char| c.is_ascii_digit()) && !name.is_empty() && name.chars().all(is_inside)
}

/// The statements of a file, without its comments and empty lines.
pub(super) fn lines(text: &str) -> Vec<Line<'_>> {
    // Some editors write a byte order mark.
    let mut rest = text.strip_prefix('\u{feff}').unwrap_or(text);
    let (mut lines, mut number) = (Vec::new(), 1);
    while !rest.is_empty() {
        let line = rest.split_once('\n').map_or(rest, |(line, _)| line);
        let statement = line.trim_start();
        let mut length = line.len();
        if !statement.trim_end().is_empty() && !statement.starts_with('#') {
            let (name, value) = match line.split_once('=') {
                None => ("", None),
                Some((name, _)) => {
                    let name_length = name.len() + 1;
                    let value = value_of(&rest[name_length..]);
                    length = value.as_ref().map_or(length, |(_, read)| name_length + read);
                    let name = name.trim();
                    let name = name.strip_prefix("export").filter(|rest| rest.starts_with([' ', '\t'])).unwrap_or(name);
                    (name.trim_start(), value.map(|(text, _)| text))
                }
            };
            lines.push(Line { name, number, value });
        }
        // With quotes, a value may have several lines.
        number += rest[..length].matches('\n').count() + 1;
        rest = rest[length..].strip_prefix('\n').unwrap_or("");
    }
    lines
}

/// The value at the start of `rest`, and how many bytes it takes up to the end of its line; `None` if it cannot be
/// read.
fn value_of(rest: &str) -> Option<(String, usize)> {
    let begin = rest.trim_start_matches([' ', '\t']);
    // As in a shell, a `#` begins a comment only after white space.
    let mut after_blank = begin.len() < rest.len();
    let mut value = String::new();
    let mut chars = begin.char_indices();
    let mut quote = None;
    while let Some((at, c)) = chars.next() {
        let end = rest.len() - begin.len() + at;
        match (quote, c) {
            _ if at > VALUE_BYTES_MAX => return None,
            (None, '\n') => return Some((value, end)),
            (None, '#') if after_blank => {
                let comment = begin[at..].find('\n').unwrap_or(begin.len() - at);
                return Some((value, end + comment));
            }
            (None, ' ' | '\t' | '\r') => after_blank = true,
            // After the value comes something that is not a comment.
            (None, _) if after_blank && at > 0 => return None,
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), c) if open == c => quote = None,
            (None | Some('"'), '\\') => match (quote, chars.next()?.1) {
                (_, c @ ('\\' | '"' | '$')) | (None, c @ ('\'' | ' ')) => value.push(c),
                (Some(_), 'n') => value.push('\n'),
                _ => return None,
            },
            (_, c) => value.push(c),
        }
        if !matches!(c, ' ' | '\t' | '\r') && quote.is_none() {
            after_blank = false;
        }
    }
    quote.is_none().then_some((value, rest.len()))
}
