//! What the functions of PostgreSQL itself do, by version, name and argument types.
//!
//! `functions.txt` has the names of all functions that SQL can call, made from the catalogs of the versions 14 to 18 by
//! `make guard-lists`; `reviewed` has what was decided by hand: every volatile function, and those that do harm although
//! they are not volatile. A function that is not in the list is not known, however it is declared.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::class::Class;
use super::versions::{Versions, fields};

mod reviewed;
#[cfg(test)]
mod tests;

/// One line for a function: `name`, or `name(types)` for an overload that differs from the others; then the versions
/// that have it, if not all of 14 to 18 do; then `volatile`, if it is.
const FUNCTIONS: &str = include_str!("builtin/functions.txt");

/// Why a volatile function is refused that nobody has looked at.
const NOT_REVIEWED: &str = "it is volatile, so it may do what no transaction undoes";

/// The functions by name. The overloads that differ come first.
static TABLE: LazyLock<HashMap<&'static str, Vec<Entry>>> = LazyLock::new(table);

#[derive(Debug)]
struct Entry {
    /// The argument types of the only overload that is meant, such as `tsquery,text`.
    arguments: Option<&'static str>,
    versions: Versions,
    class: Class,
}

/// The class of a function in this major version. `arguments` are the names of its argument types in `pg_type`, joined
/// by commas, such as `tsquery,text`. Without them it is the strictest class of all overloads.
pub(crate) fn class(version: u32, name: &str, arguments: Option<&str>) -> Class {
    let Some(entries) = TABLE.get(name) else { return Class::Unknown };
    let entries = entries.iter().filter(|entry| entry.versions.contain(version));
    match arguments {
        Some(arguments) => {
            let mut fitting = entries.filter(|entry| entry.arguments.is_none_or(|only| only == arguments));
            fitting.next().map_or(Class::Unknown, |entry| entry.class)
        }
        None => entries.map(|entry| entry.class).max().unwrap_or(Class::Unknown),
    }
}

/// The functions of this name in this major version, by the argument types of an overload that differs from the others.
pub(crate) fn named(version: u32, name: &str) -> impl Iterator<Item = (Option<&'static str>, Class)> {
    let entries = TABLE.get(name).into_iter().flatten();
    entries.filter(move |entry| entry.versions.contain(version)).map(|entry| (entry.arguments, entry.class))
}

/// Whether there is a function of this name, in any version.
pub(crate) fn is_name(name: &str) -> bool {
    TABLE.contains_key(name)
}

fn table() -> HashMap<&'static str, Vec<Entry>> {
    let decided: HashMap<&str, Class> = reviewed::all().collect();
    let mut table = HashMap::<_, Vec<Entry>>::new();
    for line in FUNCTIONS.lines().filter(|line| !line.starts_with('#')) {
        let (function, versions, is_volatile) = fields(line);
        let class = match decided.get(function) {
            Some(class) => *class,
            None if is_volatile => Class::Live(NOT_REVIEWED),
            None => Class::Harmless,
        };
        let (name, arguments) = split(function);
        table.entry(name).or_default().push(Entry { arguments, versions, class });
    }
    for entries in table.values_mut() {
        entries.sort_by_key(|entry| entry.arguments.is_none());
    }
    table
}

/// `name(types)` as its name and its types.
fn split(function: &str) -> (&str, Option<&str>) {
    match function.split_once('(') {
        Some((name, types)) => (name, types.strip_suffix(')')),
        None => (function, None),
    }
}
