//! What the guard's facts cost on a large database: the first new statement, which reads them; a later one; one after the
//! time in which they are believed; and their memory. On a private PostgreSQL with 2,000 tables, 3,000 functions and the
//! objects of 20 extensions.

#![allow(clippy::unwrap_used, reason = "a bench that cannot go on ends")]

#[allow(dead_code, reason = "other benches use the rest")]
mod common;

use std::fs;
use std::time::{Duration, Instant};

use common::report::{Table, Targets, heading, percentile, time};
use common::{Host, our_server};
use pg_private::{Options, PrivateCluster};
use serde_json::json;
use tokio_postgres::NoTls;

/// How many server processes read the facts.
const SERVERS: usize = 10;
const STATEMENTS: usize = 300;
/// A little longer than the facts are believed (`pg_guard`, `facts/cache.rs`).
const NO_LONGER_BELIEVED: Duration = Duration::from_millis(5_100);

/// They come with PostgreSQL, and have functions, types, casts, operators and operator classes.
const EXTENSIONS: &[&str] = &[
    "bloom",
    "btree_gin",
    "btree_gist",
    "citext",
    "cube",
    "dict_int",
    "earthdistance",
    "fuzzystrmatch",
    "hstore",
    "intarray",
    "isn",
    "lo",
    "ltree",
    "pageinspect",
    "pg_trgm",
    "pgcrypto",
    "seg",
    "tablefunc",
    "unaccent",
    "uuid-ossp",
];

const OBJECTS: &str = "do $$ begin
    for n in 1..2000 loop
        execute format('create table table_%s (id int primary key, name text not null, at timestamptz, total numeric,
                        parent int, flags bool, note text, body jsonb)', n);
    end loop;
    for n in 1..3000 loop
        execute format('create function function_%s(n int, name text) returns int stable language %s', n,
            case n % 2 when 0 then 'sql as ''select n''' else 'plpgsql as ''begin return n; end''' end);
    end loop;
end $$";

fn main() {
    let cluster = Options::new().setting("max_locks_per_transaction", "10000").start().unwrap();
    actix_rt::System::new().block_on(prepare(&cluster));
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(".env"), format!("DATABASE_URL={}\n", cluster.url())).unwrap();
    let [mut first, mut later, mut afterwards] = <[Vec<Duration>; 3]>::default();
    let mut memory = Vec::new();
    let mut number = 0;
    let mut new_statement = |host: &mut Host| {
        number += 1;
        let sql =
            format!("select t.name, upper(t.note) as n{number} from table_{} t where id = {number}", number % 2000 + 1);
        let began = Instant::now();
        let params = json!({"name": "async_query_execute", "arguments": {"query": sql}});
        assert_eq!(host.ask("tools/call", &params)["isError"], false);
        began.elapsed()
    };
    for _ in 0..SERVERS {
        let mut host = Host::start(&mut our_server(folder.path()), &folder.path().join("log"));
        host.initialize();
        // It opens the connection, and starts the parser.
        for n in 0..20 {
            host.ask(
                "tools/call",
                &json!({"name": "async_query_execute", "arguments": {"query": format!("select {n}")}}),
            );
        }
        let before = host.status_kib("VmRSS").unwrap_or_default();
        first.push(new_statement(&mut host));
        later.extend((0..STATEMENTS).map(|_| new_statement(&mut host)));
        memory.push(host.status_kib("VmRSS").unwrap_or_default().saturating_sub(before));
        std::thread::sleep(NO_LONGER_BELIEVED);
        afterwards.push(new_statement(&mut host));
    }
    for times in [&mut first, &mut later, &mut afterwards] {
        times.sort_unstable();
    }
    memory.sort_unstable();
    heading(
        "The facts of a large database",
        &format!(
            "2,000 tables, 3,000 functions, {} extensions; {SERVERS} servers, one after the other.",
            EXTENSIONS.len()
        ),
    );
    let mut table = Table::new(["a new look-up by key", "median", "slowest"]);
    for (what, times) in [
        ("the first of a server, which reads the facts", &first),
        ("a later one", &later),
        ("one after five seconds, which looks whether they hold", &afterwards),
    ] {
        table.row([what.to_owned(), time(percentile(times, 50)), time(times[times.len() - 1])]);
    }
    table.print();
    let mut targets = Targets::default();
    let reading = percentile(&first, 50).saturating_sub(percentile(&later, 50));
    targets.at_most("the time to read the facts", Some(reading.as_secs_f64() * 1000.0), 150.0, "ms");
    targets.at_most("their memory, with that of 300 statements", Some(memory[SERVERS / 2] as f64 / 1024.0), 5.0, "MiB");
    targets.print();
}

async fn prepare(cluster: &PrivateCluster) {
    let (client, connection) = tokio_postgres::connect(&cluster.url(), NoTls).await.unwrap();
    actix_rt::spawn(connection);
    for extension in EXTENSIONS {
        client.batch_execute(&format!("create extension \"{extension}\" cascade")).await.unwrap();
    }
    client.batch_execute(OBJECTS).await.unwrap();
    client.batch_execute("vacuum analyze").await.unwrap();
}
