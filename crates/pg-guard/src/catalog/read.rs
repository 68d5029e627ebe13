//! Values of the catalogs, as the guard needs them.

/// The name of a schema, without the quotes that `regnamespace` writes.
pub(super) fn unquoted(name: &str) -> String {
    match name.strip_prefix('"').and_then(|name| name.strip_suffix('"')) {
        Some(inside) => inside.replace("\"\"", "\""),
        None => name.to_owned(),
    }
}

/// The major version, from the setting `server_version_num`.
pub(super) fn major(version: i32) -> u32 {
    u32::try_from(version / 10_000).unwrap_or_default()
}
