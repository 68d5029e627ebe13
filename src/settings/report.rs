//! What `check-config` prints.

use std::fmt::Write as _;

use super::Loaded;

/// Every key with its value and its source, the files that are followed, and the warnings; secrets are stars.
pub fn report(loaded: &Loaded) -> String {
    let width = |texts: &mut dyn Iterator<Item = usize>| texts.max().unwrap_or_default();
    let key_width = width(&mut loaded.origins.iter().map(|origin| origin.key.len()));
    // One long value does not push the sources out of sight.
    let value_width = width(&mut loaded.origins.iter().map(|origin| origin.value.chars().count())).min(40);
    let mut text = String::new();
    for origin in &loaded.origins {
        let _ = writeln!(text, "{:key_width$}  {:value_width$}  {}", origin.key, origin.value, origin.source);
    }
    text.push_str("\nFiles followed:\n");
    for file in &loaded.files {
        let state = if file.text.is_some() { "" } else { " (not there)" };
        let _ = writeln!(text, "  {}{state}", file.path.display());
    }
    for warning in &loaded.warnings {
        let _ = writeln!(text, "warning: {warning}");
    }
    text
}
