//! Random databases in which functions run without being named, and random statements over them. The functions leave a
//! mark outside of the transaction. Whatever the guard lets through leaves none.
//!
//! `make test` runs 5,000 statements, and `make fuzz` 100,000. `FUZZ_SEED` repeats a failed run.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use pg_private::PrivateCluster;
use tokio_postgres::{Client, NoTls};

use crate::guard::served::Served;

/// How many statements each database gets.
const STATEMENTS_EACH: usize = 250;

/// The types of the columns. Each database has some of them in its tables.
const TYPES: &[&str] =
    &["int", "text", "bool", "date", "point", "pair", "odd", "odd[]", "span", "holder", "pair[]", "json", "numeric"];

const OPERATORS: &[&str] = &["=-=", "!-=", "~-~", "<->", "=", "<"];

/// What every database has: the mark, types, harmless functions, and functions that leave the mark. A function that promises
/// to change nothing and breaks it is believed, unless it has the rights of its owner.
const BASE: &str = "
    create function mark(by_what text) returns void volatile security definer language plpgsql as
        $$ begin execute format('copy (select %L) to %L', by_what, '{file}'); end $$;
    create type pair as (a int, b int);
    create domain odd as int;
    create type span as range (subtype = int, multirange_type_name = spans);
    create type holder as (o odd, p pair);
    create function plain(int) returns int immutable language sql as 'select $1 + 1';
    create function plain(text) returns text stable language plpgsql as 'begin return $1; end';
    create function plain(pair) returns int immutable language sql as 'select $1.a';";

struct Maker {
    random: fastrand::Rng,
    /// The names of columns, each with the type.
    columns: Vec<(String, &'static str)>,
    /// The names of functions that leave a mark.
    live: Vec<String>,
    /// What was made in the database, for a report.
    made: Vec<String>,
}

impl Maker {
    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.random.usize(..of.len())]
    }

    /// A function that leaves a mark: its definition and its name.
    fn live(&mut self, arguments: &str, result: &str) -> (String, String) {
        let kind = self.pick(&["volatile", "stable security definer", "immutable security definer"]);
        self.live_as(kind, arguments, result)
    }

    fn live_as(&mut self, kind: &str, arguments: &str, result: &str) -> (String, String) {
        let name = format!("live_{}", self.live.len());
        let null = if result == "bool" { "true" } else { "null" };
        let definition = format!(
            "create function {name}({arguments}) returns {result} {kind} language plpgsql as
                 $f$ begin perform public.mark('{name}'); return {null}; end $f$"
        );
        self.live.push(name.clone());
        (definition, name)
    }

    /// Something that runs such a function without naming it. Several statements; those that are no SQL here are skipped.
    fn wire(&mut self) -> Vec<String> {
        let (one, other) = (self.pick(TYPES), self.pick(TYPES));
        let operator = self.pick(OPERATORS);
        let table = format!("t{}", self.random.u8(..3));
        match self.random.u8(..12) {
            0 | 1 => {
                let (definition, name) = self.live(one, other);
                let how = self.pick(&["", " as implicit", " as assignment"]);
                vec![definition, format!("create cast ({one} as {other}) with function {name}({one}){how}")]
            }
            2 => {
                let (definition, name) = self.live(&format!("{one}, {other}"), "bool");
                vec![
                    definition,
                    format!("create operator {operator} (leftarg = {one}, rightarg = {other}, function = {name})"),
                ]
            }
            3 => {
                let (definition, name) = self.live("int, int", "bool");
                let part = self.pick(&["negator", "commutator"]);
                vec![
                    definition,
                    format!("create operator !~! (leftarg = int, rightarg = int, function = {name})"),
                    format!("create operator ~!~ (leftarg = int, rightarg = int, function = int4eq, {part} = !~!)"),
                ]
            }
            4 => {
                let (definition, name) = self.live("int", "bool");
                vec![definition, format!("alter domain odd add check ({name}(value)) not valid")]
            }
            5 => {
                let (definition, name) = self.live("pair, pair", "int");
                vec![
                    definition,
                    format!(
                        "create operator class pairs default for type pair using btree as operator 1 *<, operator 2 *<=,
                             operator 3 *=, operator 4 *>=, operator 5 *>, function 1 {name}(pair, pair)"
                    ),
                ]
            }
            6 => {
                let (definition, name) = self.live("int, int", "int");
                vec![
                    definition,
                    format!(
                        "create operator class ints for type int using btree as operator 1 <, operator 2 <=, operator 3 =,
                             operator 4 >=, operator 5 >, function 1 {name}(int, int)"
                    ),
                    format!("create index on {table} (c0 ints)"),
                ]
            }
            7 => {
                let (definition, name) = self.live("int", "int");
                let place = self.pick(&["((c0 + {f}(1)))", "(c0) where {f}(1) is null"]).replace("{f}", &name);
                vec![definition, format!("create index on {table} {place}")]
            }
            8 => {
                let (definition, name) = self.live("int", "int");
                let view = self.pick(&["select c0, {f}(c0) as c1 from {t}", "select * from {t} where {f}(c0) is null"]);
                let view = view.replace("{f}", &name).replace("{t}", &table);
                vec![definition, format!("create or replace view seen as {view}")]
            }
            9 => {
                // A policy may use any other: see docs/safety.md.
                let (definition, name) = self.live_as("volatile", "int", "bool");
                vec![
                    definition,
                    format!("create policy p{name} on {table} using ({name}(c0))"),
                    format!("alter table {table} enable row level security"),
                ]
            }
            10 => {
                let (definition, name) = self.live("int, int", "int");
                vec![definition, format!("create aggregate gathered (int) (sfunc = {name}, stype = int)")]
            }
            _ => {
                let (definition, name) = self.live(&table, "int");
                let called =
                    format!("create function plain({table}) returns int stable language sql as 'select {name}($1)'");
                vec![definition, called]
            }
        }
    }

    fn column(&mut self) -> String {
        let at = self.random.usize(..self.columns.len());
        self.columns[at].0.clone()
    }

    fn expression(&mut self, depth: usize) -> String {
        if depth == 0 {
            return match self.random.u8(..8) {
                0 => self.random.u8(..).to_string(),
                1 => {
                    self.pick(&["'5'", "'(1,2)'", "'{5}'", "'[1,3)'", "null", "'2024-01-01'", "true", "1.5"]).to_owned()
                }
                2 => "x".to_owned(),
                _ => self.column(),
            };
        }
        let one = self.expression(depth - 1);
        match self.random.u8(..14) {
            0 | 1 => format!("({one})::{}", self.pick(TYPES)),
            2 | 3 => format!("({one} {} {})", self.pick(OPERATORS), self.expression(depth - 1)),
            4 => format!("not ({one} ~!~ {})", self.expression(depth - 1)),
            5 => format!("plain({one})"),
            6 => format!("(x).{}", self.pick(&["plain", "c0", "c1", "live_0", "odd", "pair"])),
            7 => format!("({one}).{}", self.pick(&["a", "o", "odd", "plain", "holder"])),
            8 => format!("{}({one})", self.pick(&["gathered", "count", "max", "array_agg", "live_0", "odd", "abs"])),
            9 => format!("case when {one} is null then {} end", self.expression(depth - 1)),
            10 => format!("array[{one}]::{}[]", self.pick(TYPES)),
            11 => format!("coalesce({one}, {})", self.expression(depth - 1)),
            12 => format!("(select {one} from t{} y limit 1)", self.random.u8(..3)),
            _ => format!("row({one}, {})", self.expression(depth - 1)),
        }
    }

    fn statement(&mut self) -> String {
        let from = self.pick(&["t0", "t1", "t2", "seen", "(select * from t0)", "generate_series(1, 3)"]);
        let (depth, mut sql) = (self.random.usize(..3), "select ".to_owned());
        let shown = if self.random.u8(..4) == 0 { "*".to_owned() } else { self.expression(depth) };
        let distinct = self.pick(&["", "", "", "distinct "]);
        let _ = write!(sql, "{distinct}{shown} from {from} x");
        if self.random.bool() {
            let _ = write!(sql, " where {}", self.expression(1 + depth / 2));
        }
        match self.random.u8(..6) {
            0 => sql.push_str(" order by 1"),
            1 => sql.push_str(" group by 1"),
            2 => sql = format!("{sql} union {sql}"),
            3 => sql = format!("explain {sql}"),
            _ => {}
        }
        sql
    }
}

/// A new database with tables, and with functions that run without being named.
async fn create(root: &Client, cluster: &PrivateCluster, name: &str, mark: &Path, maker: &mut Maker) {
    root.batch_execute(&format!("create database {name}")).await.unwrap();
    let (server, _) =
        cluster.url().rsplit_once('/').map(|(server, last)| (server.to_owned(), last.to_owned())).unwrap();
    let (client, connection) = tokio_postgres::connect(&format!("{server}/{name}"), NoTls).await.unwrap();
    actix_rt::spawn(connection);
    client.batch_execute(&BASE.replace("{file}", &mark.display().to_string())).await.unwrap();
    (maker.columns, maker.live, maker.made) = Default::default();
    for table in 0..3 {
        let types: Vec<_> = (0..4).map(|_| maker.pick(TYPES)).collect();
        let columns: Vec<_> = types.iter().enumerate().map(|(at, of)| format!("c{} {of}", at + 1)).collect();
        let define = format!("create table t{table} (c0 int, {})", columns.join(", "));
        client.batch_execute(&define).await.unwrap();
        maker.made.push(define);
        client.batch_execute(&format!("insert into t{table} (c0) values (1), (2), (3)")).await.unwrap();
        maker.columns.extend(types.into_iter().enumerate().map(|(at, of)| (format!("c{}", at + 1), of)));
    }
    maker.columns.push(("c0".to_owned(), "int"));
    client.batch_execute("create view seen as select c0 from t0; analyze").await.unwrap();
    for _ in 0..maker.random.usize(1..5) {
        for sql in maker.wire() {
            // Some are no SQL here, such as a cast that exists.
            if client.batch_execute(&sql).await.is_ok() {
                maker.made.push(sql);
            }
        }
    }
    client.batch_execute("grant all on all tables in schema public to reader").await.unwrap();
}

#[actix_rt::test]
async fn what_is_let_through_leaves_no_mark_however_functions_are_wired() {
    let seed = std::env::var("FUZZ_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(|| fastrand::u64(..));
    println!("FUZZ_SEED={seed}");
    let statements = std::env::var("FUZZ_INPUTS").map_or(5_000, |_| 100_000);
    let cluster = PrivateCluster::start().unwrap();
    let mark = cluster.socket_folder().join("data/mark");
    let (root, connection) = tokio_postgres::connect(&cluster.url(), NoTls).await.unwrap();
    actix_rt::spawn(connection);
    root.batch_execute("create role reader login").await.unwrap();
    let mut maker =
        Maker { random: fastrand::Rng::with_seed(seed), columns: Vec::new(), live: Vec::new(), made: Vec::new() };
    let (mut answered, mut refused, mut marks) = (0, 0, 0);
    for round in 0..statements / STATEMENTS_EACH {
        let database = format!("wired_{round}");
        create(&root, &cluster, &database, &mark, &mut maker).await;
        let _ = fs::remove_file(&mark);
        let user = if maker.random.bool() { "reader" } else { "postgres" };
        let served = Served::as_user(cluster.port(), &database, user);
        let url = cluster.url().replace("postgres@", &format!("{user}@"));
        let (server, _) = url.rsplit_once('/').unwrap();
        let (unguarded, connection) = tokio_postgres::connect(&format!("{server}/{database}"), NoTls).await.unwrap();
        actix_rt::spawn(connection);
        for _ in 0..STATEMENTS_EACH {
            let sql = maker.statement();
            let answer = served.answer(&sql, &[]).await;
            let by = fs::read_to_string(&mark).unwrap_or_default();
            assert!(
                by.is_empty(),
                "FUZZ_SEED={seed}: as {user}, {sql}\nlet {} run. The database has\n{}",
                by.trim(),
                maker.made.join(";\n")
            );
            if !answer.is_error {
                answered += 1;
                continue;
            }
            let is_refused = answer.failure.as_ref().is_some_and(|failure| failure["kind"] == "refused");
            refused += usize::from(is_refused);
            // Some of those that are refused do leave a mark.
            if is_refused {
                let _ = unguarded.simple_query(&format!("begin read only; {sql}")).await;
                marks += usize::from(fs::remove_file(&mark).is_ok());
            }
            unguarded.simple_query("rollback").await.unwrap();
        }
        drop((served, unguarded));
        root.batch_execute(&format!("drop database {database} with (force)")).await.unwrap();
    }
    println!("{statements} statements: {answered} answered, {refused} refused, {marks} of these leave a mark");
    // If one kind is missing, the statements are useless.
    assert!(answered > statements / 20 && refused > statements / 20 && marks > statements / 500);
}
