//! What may have been meant by the name of a table that is not there: a table of that name in a schema that is not
//! searched, or one that is written nearly so. (Of columns PostgreSQL itself knows what is near.)

use tokio_postgres::types::Type;
use tokio_postgres::{Client, Error};

use super::sql;

/// Names that are looked at. A database that has more is not searched to its end.
const NAMES_MAX: i64 = 5000;

/// Names that are told.
const TOLD_MAX: usize = 3;

/// Every table, view and their like that is none of PostgreSQL's own; those in the search path first.
const RELATIONS: &str = "SELECT n.nspname::pg_catalog.text, c.relname::pg_catalog.text, \
                         pg_catalog.pg_table_is_visible(c.oid) \
                         FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
                         WHERE c.relkind = ANY ('{r,v,m,f,p}') AND n.nspname <> 'information_schema' \
                         AND n.nspname !~ '^pg_' ORDER BY 3 DESC, 2 LIMIT $1";

/// A hint for a statement that was refused because the table at `character` (from 1) of `sql` does not exist.
pub(super) async fn hint(client: &Client, sql: &str, character: usize) -> Result<Option<String>, Error> {
    let Some(wanted) = sql::name_at(sql, character) else { return Ok(None) };
    let rows = client.query_typed(RELATIONS, &[(&NAMES_MAX, Type::INT8)]).await?;
    let mut near = Vec::new();
    for row in &rows {
        let (schema, name, visible): (String, String, bool) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        let wrong_letters = strsim::damerau_levenshtein(&wanted.to_lowercase(), &name.to_lowercase());
        if wrong_letters * 3 <= wanted.chars().count() {
            let shown = if visible { quoted(&name) } else { format!("{}.{}", quoted(&schema), quoted(&name)) };
            near.push((wrong_letters, shown));
        }
    }
    near.sort();
    near.truncate(TOLD_MAX);
    let near: Vec<String> = near.into_iter().map(|(_, shown)| shown).collect();
    Ok((!near.is_empty()).then(|| format!("Perhaps you meant {}.", near.join(" or "))))
}

/// A name as it must be written: in quotes, unless it is of small letters, digits and underscores.
fn quoted(name: &str) -> String {
    let plain = |c: char| c.is_ascii_lowercase() || c == '_' || c.is_ascii_digit();
    if name.chars().all(plain) && !name.starts_with(|c: char| c.is_ascii_digit()) {
        name.to_owned()
    } else {
        format!("\"{}\"", name.replace('"', "\"\""))
    }
}
