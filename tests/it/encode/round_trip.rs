//! What an answer shows can be given back: the JSON of a value, as the parameter `$1::type`, is the same value again.
//!
//! PostgreSQL judges, by the texts of both. What cannot go back stands in [`UNREADABLE`], [`AMBIGUOUS`], [`WITH_ARRAYS`]
//! and [`UNREADABLE_ROWS`], and each of these is tested to be one still.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use mcp_server_postgres::postgres::params;
use serde_json::Value;
use serde_json::value::RawValue;
use tokio_postgres::error::SqlState;

use crate::encode::{Server, every_table, report};

/// Types whose values PostgreSQL writes and refuses to read, in any form: why, and which.
const UNREADABLE: &[(&str, &[&str])] = &[
    ("a row's text does not name the types of its fields", &["record", "record[]"]),
    ("an array's text does not name the type of its elements", &["anyarray"]),
    ("only PostgreSQL itself may make one", &["pg_node_tree", "pg_ndistinct", "pg_dependencies", "pg_mcv_list"]),
];

/// Values whose JSON is that of another value too: why, and which. As a string of PostgreSQL's text they go back.
const AMBIGUOUS: &[(&str, &[&str])] = &[
    ("a line break between its parts is a blank", &[r#"E'{\n\t"a":\r\n1}'::json"#]),
    ("the JSON null is SQL NULL", &["'  null  '::json", "'null'::jsonb"]),
    (
        "a string is taken for JSON text",
        &[
            r#"'"\u00e9 \ud83d\ude42 \/ \\ \" \n"'::json"#,
            r#"'"\u0000"'::json"#,
            r#"'"1"'::jsonb"#,
            r#"'"\u00e9 \ud83d\ude42 \/ \\ \" \n \u0001 \u2028"'::jsonb"#,
        ],
    ),
];

/// What a value of a type can be part of. `#` is the type's number.
const AROUND: &[&str] = &[
    "(VALUE)::TYPE",
    "array[(VALUE)::TYPE, null::TYPE]",
    TWO_DIMENSIONS,
    "array_fill((VALUE)::TYPE, array[1, 2], array[0, -1])",
    "row((VALUE))::row_#",
    "array[row((VALUE))::row_#, null]",
    "(VALUE)::domain_#",
    "array[(VALUE)::domain_#, null::domain_#]",
    "array[(VALUE)::TYPE]::list_#",
    "array[array[(VALUE)::TYPE]::list_#, null::list_#]",
];

const TWO_DIMENSIONS: &str = "array[[(VALUE)::TYPE, null::TYPE], [null::TYPE, (VALUE)::TYPE]]";

/// Whose values have JSON arrays of their own: with more than one dimension around them, nothing says where they begin.
const WITH_ARRAYS: &[&str] = &["json", "jsonb", "int2vector", "oidvector", "ints", "boxes", "domain_boxes"];

/// Relations whose rows hold what cannot go back: why, and which.
const UNREADABLE_ROWS: &[(&str, &[&str])] = &[
    ("only PostgreSQL itself may make a pg_node_tree or a pg_ndistinct", &["pg_rewrite", "pg_stats_ext"]),
    ("a regproc is shown by its name, which several functions may have", &["pg_aggregate"]),
];

/// Relations that not every machine can read: this one wants libnuma.
const NOT_READ: &[&str] = &["pg_shmem_allocations_numa"];

/// A value's way out and back.
enum Trip {
    Same,
    Other(String),
    Refused(String),
}

impl fmt::Display for Trip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trip::Same => f.write_str("it goes back"),
            Trip::Other(what) | Trip::Refused(what) => f.write_str(what),
        }
    }
}

impl Server {
    /// Every table's setup.
    async fn set_up(&self) {
        for (setup, _) in every_table() {
            self.run(setup).await;
        }
    }

    /// Every table's expressions that the server has.
    fn every_expression(&self) -> Vec<&'static str> {
        every_table().flat_map(|(_, expressions)| self.known(expressions)).collect()
    }

    /// The type of an expression, and its OID: a domain, where the column's description names the type under it.
    async fn type_of(&self, expression: &str) -> (String, u32) {
        let sql = format!(
            "select pg_typeof(v)::oid || ' ' || format_type(pg_typeof(v), -1) \
             from (select {expression} offset 0) as given (v)"
        );
        let described = self.texts(&sql).await.remove(0).unwrap();
        let (oid, name) = described.split_once(' ').unwrap();
        (name.to_owned(), oid.parse().unwrap())
    }

    /// The value's JSON as it was written, and its text in a row: that is by its output function, and tells NULL from an empty text.
    async fn shown(&mut self, expression: &str) -> (Value, String) {
        let sql = format!("select v, row(v)::text from (select {expression} offset 0) as given (v)");
        let outcome = self.answer(&sql, Vec::new()).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        let row: Vec<Box<RawValue>> = serde_json::from_str(&outcome.page.json).unwrap();
        (params::written(&row[0]), serde_json::from_str(row[1].get()).unwrap())
    }

    /// What becomes of `parameter` as a `type_name`, if it is to have that text.
    async fn given_back(&mut self, parameter: Value, type_name: &str, text: &str) -> Trip {
        let sql = format!("select t = $2, t from (select row($1::{type_name})::text) as given (t)");
        let shown = parameter.to_string().chars().take(200).collect::<String>();
        match self.answer(&sql, vec![parameter, text.into()]).await {
            Ok(outcome) if outcome.page.json.starts_with("[true,") => Trip::Same,
            Ok(outcome) => Trip::Other(format!("{shown} is {}, not {text}", outcome.page.json)),
            Err(error) => Trip::Refused(format!("{shown} is refused: {}", error.for_model())),
        }
    }

    async fn round_trip(&mut self, expression: &str) -> Trip {
        let (type_name, _) = self.type_of(expression).await;
        let (json, text) = self.shown(expression).await;
        self.given_back(json, &type_name, &text).await
    }

    /// A value of each type, from the tables, that goes back; by the type's OID.
    async fn samples(&mut self) -> BTreeMap<u32, String> {
        let mut samples = BTreeMap::new();
        for expression in self.every_expression() {
            let (_, oid) = self.type_of(expression).await;
            if !samples.contains_key(&oid)
                && self.texts(&format!("select {expression}")).await[0].is_some()
                && matches!(self.round_trip(expression).await, Trip::Same)
            {
                samples.insert(oid, expression.to_owned());
            }
        }
        samples
    }
}

fn why_not(exceptions: &[(&'static str, &[&str])], name: &str) -> Option<&'static str> {
    exceptions.iter().find(|(_, names)| names.contains(&name)).map(|(why, _)| *why)
}

#[tokio::test]
async fn a_value_of_an_answer_goes_back_as_a_parameter() {
    let mut server = Server::start().await;
    server.set_up().await;
    let (mut failures, mut cases, mut excepted) = (Vec::new(), 0, BTreeSet::new());
    for expression in server.every_expression() {
        cases += 1;
        let (type_name, _) = server.type_of(expression).await;
        let plain = server.texts(&format!("select {expression}")).await.remove(0);
        let (json, text) = server.shown(expression).await;
        let trip = server.given_back(json, &type_name, &text).await;
        let as_text = server.given_back(plain.clone().into(), &type_name, &text).await;
        let wanted = match (why_not(UNREADABLE, &type_name), why_not(AMBIGUOUS, expression)) {
            (Some(_), _) if plain.is_some() => {
                excepted.insert(type_name.clone());
                matches!((&trip, &as_text), (Trip::Refused(_), Trip::Refused(_)))
            }
            (_, Some(_)) => {
                excepted.insert(expression.to_owned());
                matches!((&trip, &as_text), (Trip::Other(_) | Trip::Refused(_), Trip::Same))
            }
            _ => matches!((&trip, &as_text), (Trip::Same, Trip::Same)),
        };
        if !wanted {
            failures.push(format!("{expression} ({type_name})\n  as JSON {trip}\n  as text {as_text}"));
        }
    }
    for (why, names) in UNREADABLE.iter().chain(AMBIGUOUS) {
        let unseen = names.iter().filter(|name| !excepted.contains(**name));
        failures.extend(unseen.map(|name| format!("{name}: no row of the tables shows that {why}")));
    }
    report(failures, cases);
}

/// Every type that a column can have and an array can hold: those of PostgreSQL, of the extensions, of the tables, and
/// the rows of every relation. (What no array can hold is an array, or [`UNREADABLE`].)
const TYPES: &str = "select t.oid, format_type(t.oid, -1), case when relkind <> 'c' then c.oid::regclass::text end \
                     from pg_type t left join pg_class c on c.oid = typrelid where typtype <> 'p' and typarray <> 0 \
                     order by t.oid";

#[tokio::test]
async fn a_value_of_every_type_goes_back_alone_and_inside_arrays_rows_and_domains() {
    let mut server = Server::start().await;
    server.set_up().await;
    let samples = server.samples().await;
    let (mut failures, mut cases, mut shown) = (Vec::new(), 0, 0);
    let mut excepted: BTreeSet<&str> = WITH_ARRAYS.iter().copied().collect();
    excepted.extend(UNREADABLE_ROWS.iter().flat_map(|(_, names)| names.iter()));
    for row in server.client().query(TYPES, &[]).await.unwrap() {
        let (oid, type_name, relation): (u32, String, Option<String>) = (row.get(0), row.get(1), row.get(2));
        let value = match (samples.get(&oid), relation) {
            (Some(sample), _) => sample.clone(),
            (None, Some(relation)) if !NOT_READ.contains(&relation.as_str()) => {
                format!("select r from {relation} r limit 1")
            }
            (None, _) => format!("null::{type_name}"),
        };
        let row_type = format!("create type row_{oid} as (v {type_name})");
        match server.client().batch_execute(&row_type).await {
            Ok(()) => {}
            // No column can have it: it is the row of a catalogue with a pseudo-type in it.
            Err(error) if error.code() == Some(&SqlState::INVALID_TABLE_DEFINITION) => continue,
            Err(error) => panic!("{row_type}: {error:?}"),
        }
        let domains = "create domain domain_# as TYPE; create domain list_# as TYPE[]";
        server.run(&domains.replace('#', &oid.to_string()).replace("TYPE", &type_name)).await;
        excepted.remove(type_name.as_str());
        shown += usize::from(!value.starts_with("null::"));
        for around in AROUND {
            cases += 1;
            let number = oid.to_string();
            let expression = around.replace('#', &number).replace("TYPE", &type_name).replace("VALUE", &value);
            let trip = server.round_trip(&expression).await;
            let is_excepted = *around == TWO_DIMENSIONS && WITH_ARRAYS.contains(&type_name.as_str())
                || why_not(UNREADABLE_ROWS, &type_name).is_some();
            if matches!(trip, Trip::Same) == is_excepted {
                failures.push(format!("{expression}: {trip}"));
            }
        }
    }
    assert!(excepted.is_empty(), "there are no such types: {excepted:?}");
    assert!(shown >= 300, "only {shown} types have a value");
    report(failures, cases);
}
