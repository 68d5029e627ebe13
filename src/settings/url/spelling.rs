//! The spellings of a connection string: what was copied with it, its scheme, and libpq's keywords and values.

/// The schemes of URLs for PostgreSQL, without the name of a driver after a `+`.
const SCHEMES: &[&str] =
    &["postgres", "postgresql", "pgsql", "psql", "postgis", "timescale", "timescaledb", "cockroachdb"];

/// Schemes of other databases, and their products.
const OTHERS: &[(&str, &str)] = &[
    ("mysql", "MySQL"),
    ("mariadb", "MariaDB"),
    ("mongodb", "MongoDB"),
    ("mongodb+srv", "MongoDB"),
    ("sqlite", "SQLite"),
    ("file", "a file"),
    ("libsql", "libSQL"),
    ("redis", "Redis"),
    ("sqlserver", "SQL Server"),
    ("mssql", "SQL Server"),
    ("oracle", "Oracle"),
    ("prisma", "Prisma's proxy"),
    ("prisma+postgres", "Prisma's proxy, which does not speak PostgreSQL's protocol"),
    ("http", "a web page"),
    ("https", "a web page"),
];

/// The string without what was copied with it: white space, quotes, and the word `psql`.
pub(super) fn bare(text: &str) -> &str {
    let text = text.trim();
    let text = text.strip_prefix("psql ").unwrap_or(text).trim();
    let unquoted = |quote| text.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
    ['"', '\'', '`'].into_iter().find_map(unquoted).unwrap_or(text).trim()
}

/// Checks the scheme of a URL. `jdbc:postgresql` and `postgresql+asyncpg` are accepted too.
///
/// # Errors
/// What the URL leads to.
pub(super) fn check_scheme(scheme: &str) -> Result<(), String> {
    let scheme = scheme.to_ascii_lowercase();
    let scheme = scheme.strip_prefix("jdbc:").unwrap_or(&scheme);
    if let Some((other, whose)) = OTHERS.iter().find(|(other, _)| *other == scheme) {
        return Err(format!("{other}:// is {whose}"));
    }
    let database = scheme.split_once('+').map_or(scheme, |(database, _)| database);
    if SCHEMES.contains(&database) { Ok(()) } else { Err("its scheme is not PostgreSQL's".to_owned()) }
}

/// The pairs of `keyword=value keyword='a value'` (libpq's keyword/value connection strings); `None` if the text is not
/// such a list.
pub(super) fn keywords(text: &str) -> Option<Vec<(String, String)>> {
    let (mut pairs, mut rest) = (Vec::new(), text.trim_start());
    while !rest.is_empty() {
        let (name, after) = rest.split_once('=')?;
        let begin = after.trim_start();
        let quoted = begin.strip_prefix('\'');
        let (mut value, mut end) = (String::new(), None);
        let mut chars = quoted.unwrap_or(begin).char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '\\' => value.push(chars.next()?.1),
                '\'' if quoted.is_some() => end = Some(at + 1),
                c if quoted.is_none() && c.is_whitespace() => end = Some(at),
                c => value.push(c),
            }
            if end.is_some() {
                break;
            }
        }
        let read = quoted.unwrap_or(begin);
        let end = if quoted.is_some() { end? } else { end.unwrap_or(read.len()) };
        pairs.push((name.trim().to_owned(), value));
        rest = read[end..].trim_start();
    }
    (!pairs.is_empty()).then_some(pairs)
}
