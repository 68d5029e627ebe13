//! What may have been meant by a name that is not there: a table of that name in a schema that is not searched, or one
//! that is written nearly so, or else those that there are; and of columns likewise. (What is nearest among columns
//! PostgreSQL tells itself, where it is very near.)

use pg_guard::sql;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Error, Row};

use super::{CatalogRow, Parameter, Question, ask};
use crate::postgres::error::Rejection;

/// Names that are looked at. A database that has more is not searched to its end.
const NAMES_MAX: i64 = 5000;

/// Names that are told.
const TOLD_MAX: usize = 3;

/// Asks for every table, view and their like that is none of PostgreSQL's own.
struct Relations;

struct Relation {
    schema: String,
    name: String,
    /// It is found without its schema.
    is_visible: bool,
}

impl Question for Relations {
    const NAME: &'static str = "relations";
    const SQL: &'static str = include_str!("relations.sql");
    type Row = Relation;

    fn parameters(&self) -> Vec<Parameter> {
        vec![(Box::new(NAMES_MAX), Type::INT8)]
    }
}

impl CatalogRow for Relation {
    fn read(row: &Row) -> Result<Self, Error> {
        let (schema, name) = (row.try_get("schema")?, row.try_get("name")?);
        Ok(Self { schema, name, is_visible: row.try_get("is_visible")? })
    }
}

/// Asks for the columns of the relations that have one of these names.
struct Columns {
    names: Vec<String>,
}

struct Column {
    relation_oid: u32,
    relation: String,
    name: String,
}

impl Question for Columns {
    const NAME: &'static str = "columns";
    const SQL: &'static str = include_str!("columns.sql");
    type Row = Column;

    fn parameters(&self) -> Vec<Parameter> {
        vec![(Box::new(self.names.clone()), Type::NAME_ARRAY), (Box::new(NAMES_MAX), Type::INT8)]
    }
}

impl CatalogRow for Column {
    fn read(row: &Row) -> Result<Self, Error> {
        let (relation_oid, relation) = (row.try_get("relation_oid")?, row.try_get("relation")?);
        Ok(Self { relation_oid, relation, name: row.try_get("name")? })
    }
}

/// Columns of a relation that are told where none is near.
const COLUMNS_TOLD_MAX: usize = 20;

/// Tables that are told where none is near.
const TABLES_TOLD_MAX: usize = 10;

/// A hint for `sql`, which was refused because a column does not exist.
pub async fn column_hint(client: &Client, sql: &str, rejection: &Rejection) -> Result<Option<String>, Error> {
    let Some(Wanted { name: wanted, .. }) = Wanted::of(sql, rejection) else { return Ok(None) };
    let columns = ask(client, &Columns { names: sql::names(sql) }).await?;
    let (mut near, mut all) = (Vec::new(), Vec::<(u32, String, Vec<String>)>::new());
    for Column { relation_oid: oid, relation, name } in columns {
        let relation = quoted(&relation);
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

/// A hint for `sql`, which was refused because a table does not exist.
pub async fn table_hint(client: &Client, sql: &str, rejection: &Rejection) -> Result<Option<String>, Error> {
    let Some(wanted) = Wanted::of(sql, rejection) else { return Ok(None) };
    let relations = ask(client, &Relations).await?;
    let (mut near, mut first) = (Vec::new(), Vec::new());
    for Relation { schema, name, is_visible } in &relations {
        let wrong_letters = distance(&wanted.name, name);
        if wrong_letters.is_some() || first.len() < TABLES_TOLD_MAX {
            let shown = if *is_visible { quoted(name) } else { format!("{}.{}", quoted(schema), quoted(name)) };
            near.extend(wrong_letters.map(|wrong_letters| (wrong_letters, shown.clone())));
            first.push(shown);
        }
    }
    first.truncate(TABLES_TOLD_MAX);
    let there_are = || {
        let more = if relations.len() > first.len() { ", …" } else { "" };
        match first.is_empty() {
            true => "There are no tables and views but PostgreSQL's own.".to_owned(),
            false => format!("The tables and views are {}{more}.", first.join(", ")),
        }
    };
    Ok(nearest(near).or_else(|| (!wanted.is_reference).then(there_are)))
}

/// A name that is not there.
struct Wanted {
    name: String,
    /// It is what a column was looked for in, and no table that the statement reads.
    is_reference: bool,
}

impl Wanted {
    /// The name at the error's place in the statement; or, where it has none (CREATE INDEX, ALTER and DROP), the one of the
    /// statement's names that its message quotes.
    fn of(sql: &str, rejection: &Rejection) -> Option<Self> {
        let at = rejection.position.as_ref().and_then(|position| sql::name_at(sql, position.character));
        let names = sql::names(sql);
        let quoted = quoted_names(&rejection.message, &names);
        match (at, quoted.first()) {
            // Of `o.id` the message has the `o`; that of a column without a table names the column alone.
            (Some(at), Some(first)) if !quoted.contains(&&at) => {
                Some(Self { name: (*first).clone(), is_reference: true })
            }
            (Some(name), _) => Some(Self { name, is_reference: false }),
            (None, first) => Some(Self { name: (*first?).clone(), is_reference: false }),
        }
    }
}

/// Those of `names` that `message` has in quotes, or as the last part of a name in quotes, in its order. The message is in
/// the language of the server, and its quotes are too: `"a"`, `»a«`, `« a »`, `“a”`.
fn quoted_names<'a>(message: &str, names: &'a [String]) -> Vec<&'a String> {
    let is_quote = |c: char| "\"'«»‹›“”„‟‘’‚「」『』".contains(c);
    // French has a space inside of its quotes.
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

/// The shortest beginning of a name that may stand for it, in letters.
const BEGINNING_MIN: usize = 3;

/// How far off a beginning is, whatever it leaves out, in wrong letters.
const BEGINNING_DISTANCE: usize = 2;

/// How many letters of `wanted` are wrong, if it may be `name`: at most half of them are, or one begins with the other.
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
