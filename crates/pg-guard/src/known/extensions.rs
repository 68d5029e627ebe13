//! What the functions of known extensions do, by extension and function.
//!
//! `functions.txt` has the names of all functions of each known extension that SQL can call, made from the extensions
//! themselves by `make guard-lists`, in several versions of each; `reviewed` has what was decided by hand: functions that
//! do harm although they are not volatile, and functions that are harmless although they are. The author of a known
//! extension answers for its other functions: they are what they are declared to be. An extension that is not in the list
//! is not known, and neither is a function that came into an extension later; these are judged like a user's.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use super::class::Class;

mod reviewed;
#[cfg(test)]
mod tests;

/// `[extension]` on a line, and after it the names of its functions, one on each line.
const FUNCTIONS: &str = include_str!("extensions/functions.txt");

static NAMES: LazyLock<HashSet<(&'static str, &'static str)>> = LazyLock::new(|| names(FUNCTIONS).collect());
static DECIDED: LazyLock<HashMap<(&'static str, &'static str), Class>> = LazyLock::new(|| reviewed::all().collect());

/// The class of a function of an extension. `arguments` are the names of its argument types in `pg_type`, joined by
/// commas, such as `raster,int4`.
pub(crate) fn class(extension: &str, function: &str, arguments: &str) -> Class {
    let overload = format!("{function}({arguments})");
    let decided = |entry: &str| DECIDED.get(&(extension, entry)).copied();
    if let Some(class) = decided(&overload).or_else(|| decided(function)) {
        return class;
    }
    if let Some(class) = reviewed::by_prefix(extension, &overload) {
        return class;
    }
    if NAMES.contains(&(extension, function)) { Class::AsDeclared } else { Class::Unknown }
}

/// Each extension with each of its functions.
fn names(text: &'static str) -> impl Iterator<Item = (&'static str, &'static str)> {
    let mut extension = "";
    text.lines().filter(|line| !line.starts_with('#')).filter_map(move |line| {
        match line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            Some(next) => {
                extension = next;
                None
            }
            None => Some((extension, line)),
        }
    })
}
