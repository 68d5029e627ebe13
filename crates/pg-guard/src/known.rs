//! What is known of the functions of PostgreSQL and of extensions, by lists.

mod builtin;
mod class;
mod extensions;
mod versions;

pub(crate) use builtin::{is_name as is_builtin_name, named as builtin_functions};
pub(crate) use class::Class;

/// What the lists say about a function: of this extension or, without one and if `is_builtin`, of PostgreSQL in this major
/// version. `arguments` are the names of its argument types in `pg_type`, joined by commas.
pub(crate) fn class(version: u32, is_builtin: bool, extension: Option<&str>, name: &str, arguments: &str) -> Class {
    match extension {
        _ if is_builtin => builtin::class(version, name, Some(arguments)),
        Some(extension) => extensions::class(extension, name, arguments),
        None => Class::Unknown,
    }
}
