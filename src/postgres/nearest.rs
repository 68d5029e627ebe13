//! What may have been meant by a name that is not there: a table of that name in a schema that is not searched, or one
//! that is written nearly so; a column that is written nearly so, or else the columns that there are. (What is nearest
//! among columns PostgreSQL tells itself, where it is very near.)

use tokio_postgres::types::{ToSql, Type};
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

/// The columns of the relations that a statement may name: by name, in the search path or by their schema's name.
const COLUMNS: &str = "SELECT c.oid, c.relname::pg_catalog.text, a.attname::pg_catalog.text \
                       FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid \
                       JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
                       WHERE c.relname = ANY ($1) AND (pg_catalog.pg_table_is_visible(c.oid) OR n.nspname = ANY ($1)) \
                       AND c.relkind = ANY ('{r,v,m,f,p}') AND a.attnum > 0 AND NOT a.attisdropped \
                       ORDER BY c.oid, a.attnum LIMIT $2";

/// Columns of a relation that are told where none is near.
const COLUMNS_TOLD_MAX: usize = 20;

/// A hint for a statement that was refused because the column at `character` (from 1) of `sql` does not exist.
pub(super) async fn column_hint(client: &Client, sql: &str, character: usize) -> Result<Option<String>, Error> {
    let Some(wanted) = sql::name_at(sql, character) else { return Ok(None) };
    let parameters: [(&(dyn ToSql + Sync), Type); 2] = [(&sql::names(sql), Type::NAME_ARRAY), (&NAMES_MAX, Type::INT8)];
    let rows = client.query_typed(COLUMNS, &parameters).await?;
    let (mut near, mut all) = (Vec::new(), Vec::<(u32, String, Vec<String>)>::new());
    for row in &rows {
        let (oid, relation, name): (u32, &str, String) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        let relation = quoted(relation);
        if let Some(wrong_letters) = distance(&wanted, &name) {
            near.push((wrong_letters, format!("{relation}.{}", quoted(&name))));
        }
        // There can be several of one name, in schemas that are named.
        match all.last_mut().filter(|(last, ..)| *last == oid) {
            Some((.., columns)) => columns.push(quoted(&name)),
            None => all.push((oid, relation, vec![quoted(&name)])),
        }
    }
    let has = |(_, relation, mut columns): (u32, String, Vec<String>)| {
        let more = if columns.len() > COLUMNS_TOLD_MAX { ", …" } else { "" };
        columns.truncate(COLUMNS_TOLD_MAX);
        format!("{relation} has {}{more}.", columns.join(", "))
    };
    let there_are = || all.into_iter().take(TOLD_MAX).map(has).collect::<Vec<_>>().join(" ");
    Ok(nearest(near).or_else(|| Some(there_are()).filter(|told| !told.is_empty())))
}

/// A hint for a statement that was refused because the table at `character` (from 1) of `sql` does not exist.
pub(super) async fn table_hint(client: &Client, sql: &str, character: usize) -> Result<Option<String>, Error> {
    let Some(wanted) = sql::name_at(sql, character) else { return Ok(None) };
    let rows = client.query_typed(RELATIONS, &[(&NAMES_MAX, Type::INT8)]).await?;
    let mut near = Vec::new();
    for row in &rows {
        let (schema, name, visible): (String, String, bool) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        if let Some(wrong_letters) = distance(&wanted, &name) {
            let shown = if visible { quoted(&name) } else { format!("{}.{}", quoted(&schema), quoted(&name)) };
            near.push((wrong_letters, shown));
        }
    }
    Ok(nearest(near))
}

/// How many letters of `wanted` are wrong, if it may be `name`.
fn distance(wanted: &str, name: &str) -> Option<usize> {
    let wrong_letters = strsim::damerau_levenshtein(&wanted.to_lowercase(), &name.to_lowercase());
    (wrong_letters * 3 <= wanted.chars().count()).then_some(wrong_letters)
}

fn nearest(mut near: Vec<(usize, String)>) -> Option<String> {
    near.sort();
    near.truncate(TOLD_MAX);
    let near: Vec<String> = near.into_iter().map(|(_, shown)| shown).collect();
    (!near.is_empty()).then(|| format!("Perhaps you meant {}.", near.join(" or ")))
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
