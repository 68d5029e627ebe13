//! Hints for a name that does not exist. The hint names a table of the same name in a schema outside the search path,
//! or the tables with a similar name, or else the first tables of the database; and the same for columns. (PostgreSQL
//! itself gives a hint for a column whose name is very similar.)

use pg_guard::sql;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Error, Row};

use super::{CatalogQuery, CatalogRow, TypedParameter, ask};
use crate::postgres::error::Rejection;

/// How many names are read. In a larger database the search stays incomplete.
const NAMES_MAX: i64 = 5000;

/// How many similar names a hint lists.
const SUGGESTIONS_MAX: usize = 3;

/// Reads every table, view and similar relation that does not belong to PostgreSQL itself.
struct Relations;

struct Relation {
    schema: String,
    name: String,
    /// Whether its name works without its schema (it is in the search path).
    is_visible: bool,
}

impl CatalogQuery for Relations {
    const NAME: &'static str = "relations";
    const SQL: &'static str = include_str!("relations.sql");
    type Row = Relation;

    fn parameters(&self) -> Vec<TypedParameter> {
        vec![(Box::new(NAMES_MAX), Type::INT8)]
    }
}

impl CatalogRow for Relation {
    fn read(row: &Row) -> Result<Self, Error> {
        let (schema, name) = (row.try_get("schema")?, row.try_get("name")?);
        Ok(Self { schema, name, is_visible: row.try_get("is_visible")? })
    }
}

/// Reads the columns of the relations that have one of these names.
struct Columns {
    names: Vec<String>,
}

struct Column {
    relation_oid: u32,
    relation: String,
    name: String,
}

impl CatalogQuery for Columns {
    const NAME: &'static str = "columns";
    const SQL: &'static str = include_str!("columns.sql");
    type Row = Column;

    fn parameters(&self) -> Vec<TypedParameter> {
        vec![(Box::new(self.names.clone()), Type::NAME_ARRAY), (Box::new(NAMES_MAX), Type::INT8)]
    }
}

impl CatalogRow for Column {
    fn read(row: &Row) -> Result<Self, Error> {
        let (relation_oid, relation) = (row.try_get("relation_oid")?, row.try_get("relation")?);
        Ok(Self { relation_oid, relation, name: row.try_get("name")? })
    }
}

/// How many columns of a relation a hint lists when no column has a similar name.
const COLUMNS_LISTED_MAX: usize = 20;

/// How many tables a hint lists when none has a similar name.
const TABLES_LISTED_MAX: usize = 10;

/// A hint for `sql`, which PostgreSQL rejected because a column does not exist.
pub async fn column_hint(client: &Client, sql: &str, rejection: &Rejection) -> Result<Option<String>, Error> {
    let Some(MissingName { name: wanted, .. }) = MissingName::of(sql, rejection) else { return Ok(None) };
    let at = rejection.position.as_ref().and_then(|position| sql.chars().nth(position.character.saturating_sub(1)));
    let is_quoted = at == Some('"');
    let columns = ask(client, &Columns { names: sql::names(sql) }).await?;
    let (mut near, mut all) = (Vec::new(), Vec::<(u32, String, Vec<String>)>::new());
    for Column { relation_oid: oid, relation, name } in columns {
        let relation = quoted(&relation);
        if let Some(wrong_letters) = distance(&wanted, &name) {
            near.push((wrong_letters, format!("{relation}.{}", quoted(&name))));
        }
        // Several relations can have one name, in different schemas.
        match all.last_mut().filter(|(last, ..)| *last == oid) {
            Some((.., columns)) => columns.push(quoted(&name)),
            None => all.push((oid, relation, vec![quoted(&name)])),
        }
    }
    let has = |(_, relation, mut columns): (u32, String, Vec<String>)| {
        let more = if columns.len() > COLUMNS_LISTED_MAX { ", …" } else { "" };
        columns.truncate(COLUMNS_LISTED_MAX);
        format!("{relation} has {}{more}.", columns.join(", "))
    };
    let list_all = || all.into_iter().take(SUGGESTIONS_MAX).map(has).collect::<Vec<_>>().join(" ");
    let quoted =
        || is_quoted.then(|| format!("A text is written in single quotes: '{wanted}'. Double quotes are for names."));
    Ok(nearest(near).or_else(quoted).or_else(|| Some(list_all()).filter(|list| !list.is_empty())))
}

/// A hint for `sql`, which PostgreSQL rejected because a table does not exist.
pub async fn table_hint(client: &Client, sql: &str, rejection: &Rejection) -> Result<Option<String>, Error> {
    let Some(wanted) = MissingName::of(sql, rejection) else { return Ok(None) };
    let relations = ask(client, &Relations).await?;
    let (mut near, mut first) = (Vec::new(), Vec::new());
    for Relation { schema, name, is_visible } in &relations {
        let wrong_letters = distance(&wanted.name, name);
        if wrong_letters.is_some() || first.len() < TABLES_LISTED_MAX {
            let full_name = if *is_visible { quoted(name) } else { format!("{}.{}", quoted(schema), quoted(name)) };
            near.extend(wrong_letters.map(|wrong_letters| (wrong_letters, full_name.clone())));
            first.push(full_name);
        }
    }
    first.truncate(TABLES_LISTED_MAX);
    let list_all = || {
        let more = if relations.len() > first.len() { ", …" } else { "" };
        match first.is_empty() {
            true => "There are no tables and views but PostgreSQL's own.".to_owned(),
            false => format!("The tables and views are {}{more}.", first.join(", ")),
        }
    };
    Ok(nearest(near).or_else(|| (!wanted.is_reference).then(list_all)))
}

/// A name in a statement that does not exist in the database.
struct MissingName {
    name: String,
    /// Whether it is a table name in front of a column (`o` in `o.id`), which the statement does not read from.
    is_reference: bool,
}

impl MissingName {
    /// The name at the error's position in the statement. An error without a position (CREATE INDEX, ALTER and DROP)
    /// quotes the name in its message: then it is that one of the statement's names.
    fn of(sql: &str, rejection: &Rejection) -> Option<Self> {
        let at = rejection.position.as_ref().and_then(|position| sql::name_at(sql, position.character));
        let names = sql::names(sql);
        let quoted = quoted_names(&rejection.message, &names);
        match (at, quoted.first()) {
            // For `o.id`, PostgreSQL's message quotes `o`; for a column without a table it quotes the column.
            (Some(at), Some(first)) if !quoted.contains(&&at) => {
                Some(Self { name: (*first).clone(), is_reference: true })
            }
            (Some(name), _) => Some(Self { name, is_reference: false }),
            (None, first) => Some(Self { name: (*first?).clone(), is_reference: false }),
        }
    }
}

/// Those of `names` that appear in quotes in `message`, or as the last part of a quoted name; in the order of the
/// message. Messages and their quotes are in the language of the server: `"a"`, `»a«`, `« a »`, `“a”`.
fn quoted_names<'a>(message: &str, names: &'a [String]) -> Vec<&'a String> {
    let is_quote = |c: char| "\"'«»‹›“”„‟‘’‚「」『』".contains(c);
    // French puts a space inside its quotes.
    let is_inside = |c: char| matches!(c, ' ' | '\u{a0}' | '\u{202f}');
    let opens = |before: &str| {
        let quote = before.trim_end_matches(is_inside);
        let last = quote.chars().next_back();
        last.is_some_and(|c| if quote.len() == before.len() { is_quote(c) || c == '.' } else { c == '«' })
    };
    let closes = |after: &str| {
        let quote = after.trim_start_matches(is_inside);
        let first = quote.chars().next();
        first.is_some_and(|c| if quote.len() == after.len() { is_quote(c) } else { c == '»' })
    };
    let mut found: Vec<(usize, &String)> = Vec::new();
    for name in names.iter().filter(|name| !name.is_empty()) {
        let is_quoted = |at: usize| opens(&message[..at]) && closes(&message[at + name.len()..]);
        let at = message.match_indices(name.as_str()).map(|(at, _)| at).find(|&at| is_quoted(at));
        found.extend(at.map(|at| (at, name)));
    }
    found.sort();
    found.into_iter().map(|(_, name)| name).collect()
}

/// A beginning of a name must have this many letters to count as similar to it.
const BEGINNING_MIN: usize = 3;

/// The distance of such a beginning, in wrong letters, however much is missing.
const BEGINNING_DISTANCE: usize = 2;

/// How many letters of `wanted` are wrong, if it is similar to `name`: at most half of its letters are wrong, or one is
/// the beginning of the other.
fn distance(wanted: &str, name: &str) -> Option<usize> {
    let (wanted, name) = (wanted.to_lowercase(), name.to_lowercase());
    let wrong_letters = strsim::damerau_levenshtein(&wanted, &name);
    let begins = |whole: &str, part: &str| whole.starts_with(part) && part.chars().count() >= BEGINNING_MIN;
    if begins(&name, &wanted) || begins(&wanted, &name) {
        return Some(wrong_letters.min(BEGINNING_DISTANCE));
    }
    (wrong_letters * 2 <= wanted.chars().count()).then_some(wrong_letters)
}

fn nearest(mut near: Vec<(usize, String)>) -> Option<String> {
    near.sort();
    near.truncate(SUGGESTIONS_MAX);
    let near: Vec<String> = near.into_iter().map(|(_, name)| name).collect();
    (!near.is_empty()).then(|| format!("Perhaps you meant {}.", near.join(" or ")))
}

/// A name as SQL needs it: in quotes, unless it has only small letters, digits and underscores.
fn quoted(name: &str) -> String {
    let plain = |c: char| c.is_ascii_lowercase() || c == '_' || c.is_ascii_digit();
    if name.chars().all(plain) && !name.starts_with(|c: char| c.is_ascii_digit()) {
        name.to_owned()
    } else {
        format!("\"{}\"", name.replace('"', "\"\""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_in_a_message_is_found_whatever_the_language_and_its_quotes() {
        let names = ["drop", "table", "relation", "in", "sales", "custmers", "von"].map(str::to_owned);
        for (message, expected) in [
            ("table \"custmers\" does not exist", vec!["custmers"]),
            ("relation \"sales.custmers\" does not exist", vec!["custmers"]),
            ("relation »custmers« existiert nicht", vec!["custmers"]),
            ("la relation « custmers » n\u{2019}existe pas", vec!["custmers"]),
            ("la relation «\u{a0}custmers\u{a0}» n'existe pas", vec!["custmers"]),
            ("リレーション\"custmers\"は存在しません", vec!["custmers"]),
            ("关系 \"custmers\" 不存在", vec!["custmers"]),
            ("Spalte »custmers« von Relation »sales« existiert nicht", vec!["custmers", "sales"]),
            ("column \"custmers\" in \"sales\" does not exist", vec!["custmers", "sales"]),
            ("column o.custmers does not exist", vec![]),
        ] {
            assert_eq!(quoted_names(message, &names), expected, "{message}");
        }
    }
}
