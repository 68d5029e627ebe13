//! Prints what the guard decides about some statements without a database: `cargo run -p pg-guard --example review`.
//! The statements can be given as arguments.

#![allow(clippy::print_stdout, reason = "an example prints")]

use std::sync::Arc;

use pg_guard::parser::{self, Parser};
use pg_guard::{AccessMode, Guard, Policy, Statement, Transaction};

const STATEMENTS: &[&str] = &[
    "select 1 + 1",
    "select name from customers where id = $1",
    "delete from customers",
    "with gone as (delete from customers returning *) select * from gone",
    "explain analyze update customers set name = ''",
    "select 1; drop table customers",
    "set role postgres",
    "begin",
    "-- only a comment",
];

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    // The parser process is this program, started with one argument.
    if std::env::args().nth(1).as_deref() == Some(parser::SUBCOMMAND) {
        return parser::serve(std::io::stdin(), std::io::stdout());
    }
    let log = slog::Logger::root(slog::Discard, slog::o!());
    let parser = Arc::new(Parser::new(std::env::current_exe()?, &log));
    let guard = Arc::new(Guard::new(parser, Policy::default()));
    let given: Vec<String> = std::env::args().skip(1).collect();
    let given: Vec<&str> =
        if given.is_empty() { STATEMENTS.to_vec() } else { given.iter().map(String::as_str).collect() };
    for sql in given {
        println!("{sql}\n    {}", verdict(&guard, sql).await);
    }
    Ok(())
}

async fn verdict(guard: &Arc<Guard>, sql: &str) -> String {
    let access = AccessMode::ReadOnly;
    let reviewed = async {
        let statement = Statement::new(sql, Vec::new())?;
        statement.review(access, Transaction::Own)?;
        guard.review(statement, access).await
    };
    match reviewed.await {
        Ok(reviewed) if reviewed.cleared().is_some() => "cleared".to_owned(),
        Ok(_) => "its syntax is accepted; its names must be looked up in the catalogs of a database".to_owned(),
        Err(refusal) => format!("refused ({}): {refusal}", refusal.rule),
    }
}
