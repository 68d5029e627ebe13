//! The report that `check-config` prints, and the list of settings that a reload has changed.

use std::fmt::Write as _;

use super::{Effective, IgnoredLine, Loaded, Settings};

/// Every key with its value and its source, the watched files, the ignored lines with the reasons, and the warnings.
/// Secrets are shown as stars.
pub fn report(loaded: &Loaded) -> String {
    let width = |texts: &mut dyn Iterator<Item = usize>| texts.max().unwrap_or_default();
    let key_width = width(&mut loaded.origins.iter().map(|origin| origin.key.len()));
    // One long value must not move the sources far to the right.
    let value_width = width(&mut loaded.origins.iter().map(|origin| origin.value.chars().count())).min(40);
    let mut text = String::new();
    for origin in &loaded.origins {
        let _ = writeln!(text, "{:key_width$}  {:value_width$}  {}", origin.key, origin.value, origin.source);
    }
    text.push_str("\nWatched files:\n");
    for file in &loaded.files {
        let state = if file.text.is_some() { "" } else { " (not there)" };
        let _ = writeln!(text, "  {}{state}", file.path.display());
    }
    if !loaded.ignored.is_empty() {
        text.push_str("\nIgnored lines of the .env file that nobody has named:\n");
    }
    for IgnoredLine { name, line, why } in &loaded.ignored {
        let _ = writeln!(text, "  line {line}, {name}: {why}");
    }
    if let Some(advice) = &loaded.settings.postgres.target.advice {
        let _ = writeln!(text, "note: {advice}");
    }
    for warning in &loaded.warnings {
        let _ = writeln!(text, "warning: {warning}");
    }
    text
}

/// The keys whose values differ, and `a password` if only a password does. No values are returned, so no secret can be.
pub fn changed(old: (&Settings, &[Effective]), new: (&Settings, &[Effective])) -> Vec<String> {
    let others = |one: &Effective, all: &[Effective]| {
        !all.iter().any(|other| (&other.key, &other.value) == (&one.key, &one.value))
    };
    let mut keys: Vec<String> = new.1.iter().filter(|one| others(one, old.1)).map(|one| one.key.clone()).collect();
    // Keys that were removed from the table of a further database.
    let removed = old.1.iter().filter(|one| !new.1.iter().any(|other| other.key == one.key));
    keys.extend(removed.map(|one| one.key.clone()));
    let passwords = |settings: &Settings| -> Vec<_> {
        settings.databases().filter_map(|name| Some(settings.database(name)?.0.target.password.clone())).collect()
    };
    if passwords(old.0) != passwords(new.0) && !keys.iter().any(|key| key.contains("PASSWORD")) {
        keys.push("a password".to_owned());
    }
    keys
}
