//! Values that a host or a person should have filled in, but did not.

use super::keys::DATABASE_URL;

/// The part of a value of `key` that looks like a placeholder. It is a name and not a secret.
pub(super) fn find<'a>(key: &str, text: &'a str) -> Option<&'a str> {
    let whole = text.trim();
    match key {
        DATABASE_URL => within(text).or_else(|| is_one(whole).then_some(whole)),
        // A password may begin with a dollar sign, and may contain any characters.
        "POSTGRES_PASSWORD" => within(whole).filter(|part| *part == whole),
        _ => is_one(whole).then_some(whole),
    }
}

/// `${NAME}` (also `${input:name}` and `${NAME:-…}`), `${{ … }}`, `{{ … }}`, `[YOUR-PASSWORD]`, `<password>`.
fn within(text: &str) -> Option<&str> {
    let forms = [("${{", "}}"), ("${", "}"), ("{{", "}}"), ("[", "]"), ("<", ">")];
    forms.into_iter().find_map(|(open, close)| {
        let begin = text.find(open)?;
        let inner = &text[begin + open.len()..];
        let inner = &inner[..inner.find(close)?];
        let is_of_a_name = |c: char| c.is_ascii_alphanumeric() || "_-.: ?/".contains(c);
        let is_a_name = inner.chars().any(|c| c.is_ascii_alphabetic()) && inner.chars().all(is_of_a_name);
        let lower = inner.to_ascii_lowercase();
        let is_meant = match open {
            // Brackets are also used for an address, but an address does not contain words like these.
            "[" | "<" => ["your", "password", "user", "host", "database", "db"].iter().any(|word| lower.contains(word)),
            _ => true,
        };
        (is_a_name && is_meant).then(|| &text[begin..begin + open.len() + inner.len() + close.len()])
    })
}

/// Whether the whole text is a placeholder: those above, `$NAME`, or `%NAME%`.
fn is_one(text: &str) -> bool {
    let is_name = |text: &str| {
        let is_of_a_name = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
        text.starts_with(|c: char| c.is_ascii_uppercase()) && text.chars().all(is_of_a_name)
    };
    let percent = text.strip_prefix('%').and_then(|rest| rest.strip_suffix('%'));
    within(text) == Some(text) || text.strip_prefix('$').or(percent).is_some_and(is_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_host_has_not_filled_in_is_told_from_what_only_looks_odd() {
        for (key, text, expected) in [
            (DATABASE_URL, "${DATABASE_URL}", Some("${DATABASE_URL}")),
            (DATABASE_URL, "${input:pg}", Some("${input:pg}")),
            (DATABASE_URL, "${env:PG_URL}", Some("${env:PG_URL}")),
            (DATABASE_URL, "$DATABASE_URL", Some("$DATABASE_URL")),
            (DATABASE_URL, "%DATABASE_URL%", Some("%DATABASE_URL%")),
            (DATABASE_URL, "{{database_url}}", Some("{{database_url}}")),
            (DATABASE_URL, "${{ secrets.PG }}", Some("${{ secrets.PG }}")),
            (DATABASE_URL, "postgres://u:${PW}@h/d", Some("${PW}")),
            (
                DATABASE_URL,
                "postgresql://postgres:[YOUR-PASSWORD]@db.x.supabase.co:5432/postgres",
                Some("[YOUR-PASSWORD]"),
            ),
            (DATABASE_URL, "postgres://<user>:<password>@h/d", Some("<user>")),
            (DATABASE_URL, "<your connection string>", Some("<your connection string>")),
            (DATABASE_URL, "postgres://u:p$1{2}<3>@[::1]:5432/d", None),
            (DATABASE_URL, "postgres://u:p%24@h/d", None),
            ("POSTGRES_PASSWORD", "${input:pg}", Some("${input:pg}")),
            ("POSTGRES_PASSWORD", "<password>", Some("<password>")),
            ("POSTGRES_PASSWORD", "a${HOME}", None),
            ("POSTGRES_PASSWORD", "$HOME", None),
            ("POSTGRES_PASSWORD", "pa$$word", None),
            ("POSTGRES_PASSWORD", "[a]", None),
            ("POSTGRES_PASSWORD", "<3>", None),
            ("POSTGRES_HOST", "${PGHOST}", Some("${PGHOST}")),
            ("POSTGRES_HOST", "[::1]", None),
            ("POSTGRES_DB", "$1", None),
            ("MCP_MAX_ROWS", "${MAX_ROWS:-100}", Some("${MAX_ROWS:-100}")),
        ] {
            assert_eq!(find(key, text), expected, "{key}={text}");
        }
    }
}
