//! A value of an answer can be used as a parameter: the JSON of a value, given for `$1::type`, is the same value.
//!
//! PostgreSQL compares the texts of both values. The exceptions are in [`UNREADABLE`], [`AMBIGUOUS`], [`WITH_ARRAYS`]
//! and [`UNREADABLE_ROWS`]. Each of them is tested to be an exception still.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use mcp_server_postgres::postgres::params;
use serde_json::Value;
use serde_json::value::RawValue;
use tokio_postgres::error::SqlState;

use crate::encode::{Server, every_table, report};

/// Types whose values PostgreSQL does not accept as input in any form: the reason, and the types.
const UNREADABLE: &[(&str, &[&str])] = &[
    ("a row's text does not name the types of its fields", &["record", "record[]"]),
    ("an array's text does not name the type of its elements", &["anyarray"]),
    ("only PostgreSQL itself may make one", &["pg_node_tree", "pg_ndistinct", "pg_dependencies", "pg_mcv_list"]),
];

/// Values whose JSON also stands for another value: the reason, and the values. PostgreSQL's text of such a value,
/// given as a string, leads to the same value.
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

/// Values that contain a value of a type. `#` is the number of the type.
const CONTAINERS: &[&str] = &[
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

/// Types whose values are JSON arrays themselves. Inside an array with several dimensions it is not clear where a value
/// begins.
const WITH_ARRAYS: &[&str] = &["json", "jsonb", "int2vector", "oidvector", "ints", "boxes", "domain_boxes"];

/// Relations whose rows contain values that cannot be given back: the reason, and the relations.
const UNREADABLE_ROWS: &[(&str, &[&str])] = &[
    ("only PostgreSQL itself may make a pg_node_tree or a pg_ndistinct", &["pg_rewrite", "pg_stats_ext"]),
    ("a regproc is shown by its name, which several functions may have", &["pg_aggregate"]),
];

/// Relations that some machines cannot read: this one needs libnuma.
const NOT_READABLE: &[&str] = &["pg_shmem_allocations_numa"];

/// The result when a value of an answer is given back as a parameter.
enum RoundTrip {
    Same,
    Other(String),
    Refused(String),
}

impl fmt::Display for RoundTrip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RoundTrip::Same => f.write_str("the same value"),
            RoundTrip::Other(what) | RoundTrip::Refused(what) => f.write_str(what),
        }
    }
}

impl Server {
    /// Runs the SQL that prepares the tables.
    async fn prepare_tables(&self) {
        for (setup, _) in every_table() {
            self.run(setup).await;
        }
    }

    /// The expressions of all tables that the server supports.
    fn every_expression(&self) -> Vec<&'static str> {
        every_table().flat_map(|(_, expressions)| self.supported(expressions)).collect()
    }

    /// The type of an expression with its OID. It can be a domain; the description of a column only has the base type.
    async fn type_of(&self, expression: &str) -> (String, u32) {
        let sql = format!(
            "select pg_typeof(v)::oid || ' ' || format_type(pg_typeof(v), -1) \
             from (select {expression} offset 0) as given (v)"
        );
        let described = self.texts(&sql).await.remove(0).unwrap();
        let (oid, name) = described.split_once(' ').unwrap();
        (name.to_owned(), oid.parse().unwrap())
    }

    /// The JSON of the value, and the text of a row with the value. In that text a NULL differs from an empty text.
    async fn shown(&mut self, expression: &str) -> (Value, String) {
        let sql = format!("select v, row(v)::text from (select {expression} offset 0) as given (v)");
        let outcome = self.answer(&sql, Vec::new()).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        let row: Vec<Box<RawValue>> = serde_json::from_str(&outcome.page.json).unwrap();
        (params::written(&row[0]), serde_json::from_str(row[1].get()).unwrap())
    }

    /// The result of giving `parameter` as a `type_name`. The expected text is that of a row with the value.
    async fn given_back(&mut self, parameter: Value, type_name: &str, text: &str) -> RoundTrip {
        let sql = format!("select t = $2, t from (select row($1::{type_name})::text) as given (t)");
        let shown = parameter.to_string().chars().take(200).collect::<String>();
        match self.answer(&sql, vec![parameter, text.into()]).await {
            Ok(outcome) if outcome.page.json.starts_with("[true,") => RoundTrip::Same,
            Ok(outcome) => RoundTrip::Other(format!("{shown} is {}, not {text}", outcome.page.json)),
            Err(error) => RoundTrip::Refused(format!("{shown} is refused: {}", error.for_model())),
        }
    }

    async fn round_trip(&mut self, expression: &str) -> RoundTrip {
        let (type_name, _) = self.type_of(expression).await;
        let (json, text) = self.shown(expression).await;
        self.given_back(json, &type_name, &text).await
    }

    /// A value of each type that can be given back, by the OID of the type.
    async fn samples(&mut self) -> BTreeMap<u32, String> {
        let mut samples = BTreeMap::new();
        for expression in self.every_expression() {
            let (_, oid) = self.type_of(expression).await;
            if !samples.contains_key(&oid)
                && self.texts(&format!("select {expression}")).await[0].is_some()
                && matches!(self.round_trip(expression).await, RoundTrip::Same)
            {
                samples.insert(oid, expression.to_owned());
            }
        }
        samples
    }
}

fn exception(exceptions: &[(&'static str, &[&str])], name: &str) -> Option<&'static str> {
    exceptions.iter().find(|(_, names)| names.contains(&name)).map(|(why, _)| *why)
}

#[tokio::test]
async fn a_value_of_an_answer_can_be_given_back_as_a_parameter() {
    let mut server = Server::start().await;
    server.prepare_tables().await;
    let (mut failures, mut cases, mut excepted) = (Vec::new(), 0, BTreeSet::new());
    for expression in server.every_expression() {
        cases += 1;
        let (type_name, _) = server.type_of(expression).await;
        let plain = server.texts(&format!("select {expression}")).await.remove(0);
        let (json, text) = server.shown(expression).await;
        let trip = server.given_back(json, &type_name, &text).await;
        let as_text = server.given_back(plain.clone().into(), &type_name, &text).await;
        let expected = match (exception(UNREADABLE, &type_name), exception(AMBIGUOUS, expression)) {
            (Some(_), _) if plain.is_some() => {
                excepted.insert(type_name.clone());
                matches!((&trip, &as_text), (RoundTrip::Refused(_), RoundTrip::Refused(_)))
            }
            (_, Some(_)) => {
                excepted.insert(expression.to_owned());
                matches!((&trip, &as_text), (RoundTrip::Other(_) | RoundTrip::Refused(_), RoundTrip::Same))
            }
            _ => matches!((&trip, &as_text), (RoundTrip::Same, RoundTrip::Same)),
        };
        if !expected {
            failures.push(format!("{expression} ({type_name})\n  as JSON {trip}\n  as text {as_text}"));
        }
    }
    for (why, names) in UNREADABLE.iter().chain(AMBIGUOUS) {
        let unseen = names.iter().filter(|name| !excepted.contains(**name));
        failures.extend(unseen.map(|name| format!("{name}: no row of the tables shows that {why}")));
    }
    report(failures, cases);
}

/// All types that can be in a column and in an array: those of PostgreSQL, of the extensions and of the tables, and the
/// rows of every relation. A type without an array type is an array itself, or it is in [`UNREADABLE`].
const TYPES: &str = "select t.oid, format_type(t.oid, -1), case when relkind <> 'c' then c.oid::regclass::text end \
                     from pg_type t left join pg_class c on c.oid = typrelid where typtype <> 'p' and typarray <> 0 \
                     order by t.oid";

#[tokio::test]
async fn a_value_of_every_type_can_be_given_back_alone_and_in_arrays_rows_and_domains() {
    let mut server = Server::start().await;
    server.prepare_tables().await;
    let samples = server.samples().await;
    let (mut failures, mut cases, mut shown) = (Vec::new(), 0, 0);
    let mut excepted: BTreeSet<&str> = WITH_ARRAYS.iter().copied().collect();
    excepted.extend(UNREADABLE_ROWS.iter().flat_map(|(_, names)| names.iter()));
    for row in server.client().query(TYPES, &[]).await.unwrap() {
        let (oid, type_name, relation): (u32, String, Option<String>) = (row.get(0), row.get(1), row.get(2));
        let value = match (samples.get(&oid), relation) {
            (Some(sample), _) => sample.clone(),
            (None, Some(relation)) if !NOT_READABLE.contains(&relation.as_str()) => {
                format!("select r from {relation} r limit 1")
            }
            (None, _) => format!("null::{type_name}"),
        };
        let row_type = format!("create type row_{oid} as (v {type_name})");
        match server.client().batch_execute(&row_type).await {
            Ok(()) => {}
            // It is the row of a catalog with a pseudo-type, which no column can have.
            Err(error) if error.code() == Some(&SqlState::INVALID_TABLE_DEFINITION) => continue,
            Err(error) => panic!("{row_type}: {error:?}"),
        }
        let domains = "create domain domain_# as TYPE; create domain list_# as TYPE[]";
        server.run(&domains.replace('#', &oid.to_string()).replace("TYPE", &type_name)).await;
        excepted.remove(type_name.as_str());
        shown += usize::from(!value.starts_with("null::"));
        for container in CONTAINERS {
            cases += 1;
            let number = oid.to_string();
            let expression = container.replace('#', &number).replace("TYPE", &type_name).replace("VALUE", &value);
            let trip = server.round_trip(&expression).await;
            let is_excepted = *container == TWO_DIMENSIONS && WITH_ARRAYS.contains(&type_name.as_str())
                || exception(UNREADABLE_ROWS, &type_name).is_some();
            if matches!(trip, RoundTrip::Same) == is_excepted {
                failures.push(format!("{expression}: {trip}"));
            }
        }
    }
    assert!(excepted.is_empty(), "there are no such types: {excepted:?}");
    assert!(shown >= 300, "only {shown} types have a value");
    report(failures, cases);
}
