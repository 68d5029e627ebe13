//! The tables of statements that read-only mode refuses, with two tests for each table.

use std::collections::{BTreeMap, BTreeSet};

use crate::guard::attack::{Attack, Class, Fact, Verdict};
use crate::guard::lab::{Facts, Lab};
use crate::guard::served::Served;

/// The state that a call could leave on its session.
pub const SESSION_STATE: &str = "select (select md5(string_agg(name || setting, ',' order by name)) from pg_settings), \
    current_setting('app.tenant', true), session_user::text, current_user::text, \
    (select count(*) from pg_locks where locktype = 'advisory'), \
    (select count(*) from pg_prepared_statements where from_sql), \
    (select count(*) from pg_cursors where is_holdable), (select count(*) from pg_listening_channels())";

/// Each statement of the table does its harm on a server without a guard.
async fn prove(table: &[Attack]) {
    let mut lab = Lab::start_for(table).await;
    let mut failures = Vec::new();
    for attack in table {
        if !lab.has(attack) || !lab.can_see(attack.harm) {
            continue;
        }
        failures.extend(lab.prove(attack).await.err());
    }
    report(failures, table.len(), "did not do their harm");
}

/// The server under test refuses each statement of the table, and after all of them no fact has changed.
async fn refuse(table: &[Attack]) {
    let lab = Lab::start_for(table).await;
    let served = Served::start(lab.port(), "lab");
    let (before, state_before) = (lab.facts(None).await, served.rows(SESSION_STATE).await);
    let mut failures = Vec::new();
    for attack in table.iter().filter(|attack| lab.has(attack)) {
        let answer = served.answer(&lab.with_paths(attack.sql), attack.parameters).await;
        // A refusal of the tool itself has no `kind`.
        let fact = |name: &str| answer.failure.as_ref().and_then(|failure| failure[name].as_str()).unwrap_or("");
        let (kind, sqlstate) = (fact("kind"), fact("sqlstate"));
        let by_parser = attack.verdict == Verdict::Engine && sqlstate == "42601";
        if !answer.is_error || !(by_parser || kind == "refused" || answer.failure.is_none()) {
            let text = answer.whole_text();
            let text = if answer.is_error { text.lines().next().unwrap_or("") } else { "ANSWERED" };
            failures.push(format!("{:?} {}\n    {kind} {text:.160}", attack.class, attack.sql));
        }
    }
    let state = served.rows(SESSION_STATE).await;
    if state != state_before {
        failures.push(format!("the session has changed: {state_before:?}, now {state:?}"));
    }
    let after = lab.facts(None).await;
    let changed = changed(&before, &after);
    if !changed.is_empty() {
        failures.push(format!("these facts have changed: {changed:?}"));
    }
    report(failures, table.len(), "were not refused");
}

/// The facts that have changed.
pub fn changed(before: &Facts, after: &Facts) -> Vec<Fact> {
    after.iter().filter(|(fact, now)| before[*fact] != **now).map(|(fact, _)| *fact).collect()
}

fn report(failures: Vec<String>, rows: usize, what: &str) {
    assert!(failures.is_empty(), "{} of {rows} {what}:\n{}", failures.len(), failures.join("\n"));
}

/// A module for each table, with its two tests.
macro_rules! tables {
    ($($name:ident)*) => {
        $(mod $name;)*

        pub const TABLES: &[&[Attack]] = &[$($name::TABLE),*];

        mod harm {
            $(#[actix_rt::test]
            async fn $name() {
                super::prove(super::$name::TABLE).await;
            })*
        }

        mod verdict {
            $(#[actix_rt::test]
            async fn $name() {
                super::refuse(super::$name::TABLE).await;
            })*
        }
    };
}

tables!(writes definitions functions nameless extensions reach session secrets stacked spellings positions);

#[test]
fn no_statement_is_listed_twice_and_every_class_has_one() {
    let rows = || TABLES.iter().copied().flatten();
    let mut seen = BTreeSet::new();
    let twice: Vec<_> = rows().filter(|row| !seen.insert((row.sql, row.parameters))).map(|row| row.sql).collect();
    assert_eq!(twice, Vec::<&str>::new());
    let mut classes = BTreeMap::<Class, usize>::new();
    rows().for_each(|row| *classes.entry(row.class).or_default() += 1);
    assert!(seen.len() >= 270 && classes.len() == 29, "{} rows: {classes:?}", seen.len());
}
