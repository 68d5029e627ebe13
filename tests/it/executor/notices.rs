//! What PostgreSQL says besides the result of a statement.

use mcp_server_postgres::postgres::inbox::Notices;

use super::*;

/// `severity sqlstate message` of each.
fn said(notices: &Notices) -> Vec<String> {
    let line = |notice: &mcp_server_postgres::postgres::inbox::Notice| {
        format!("{} {} {}", notice.severity, notice.sqlstate, notice.message)
    };
    notices.shown.iter().map(line).collect()
}

impl World {
    async fn notices(&self, sql: &str) -> Notices {
        self.query(sql).await.unwrap().answer.notices
    }
}

/// A read-write executor whose PostgreSQL speaks English.
async fn world() -> World {
    World::with(crate::common::postgres::in_english(), |settings| settings.access = AccessMode::ReadWrite).await
}

const RAISES: &str = "create function mischief() returns int language plpgsql as \
                      $$begin raise notice 'one'; raise warning 'two' using detail = 'why', hint = 'how'; return 7; end$$";

#[actix_rt::test]
async fn a_statement_comes_with_what_postgresql_says_of_it_and_nothing_of_another() {
    let world = world().await;
    world.prepare("create role bystander; create table t (n int)").await;
    for (sql, expected) in [
        ("create table if not exists t (n int)", vec!["NOTICE 42P07 relation \"t\" already exists, skipping"]),
        ("drop table if exists no_such", vec!["NOTICE 00000 table \"no_such\" does not exist, skipping"]),
        ("select 1", vec![]),
        (
            "do $$begin raise info 'i'; raise debug 'd'; raise log 'l'; raise warning 'w'; end$$",
            vec!["INFO 00000 i", "WARNING 01000 w"],
        ),
        ("insert into t values (1)", vec![]),
    ] {
        for _ in 0..3 {
            assert_eq!(said(&world.notices(sql).await), expected, "{sql}");
        }
    }
    assert!(world.log.of("warning from PostgreSQL; text=w sqlstate=01000").len() >= 3);

    // A role that may grant nothing.
    world.prepare("grant all on schema public to bystander; create table mine (n int)").await;
    let granted = world
        .batch(&[("set local role bystander", json!([])), ("grant select on pg_catalog.pg_class to public", json!([]))])
        .await
        .unwrap();
    assert_eq!(said(&granted.answer[1].notices), ["WARNING 01007 no privileges were granted for \"pg_class\""]);
}

#[actix_rt::test]
async fn what_runs_outside_a_transaction_has_its_messages_once() {
    let world = world().await;
    world.prepare("create table t as select generate_series(1, 100) n").await;
    let vacuumed = world.notices("vacuum (verbose) t").await;
    assert!(!vacuumed.is_empty() && vacuumed.shown.iter().all(|notice| notice.severity == "INFO"), "{vacuumed:?}");
    world
        .prepare("create procedure p() language plpgsql as $$begin raise notice 'before'; commit; raise notice 'after'; end$$")
        .await;
    assert_eq!(said(&world.notices("call p()").await), ["NOTICE 00000 before", "NOTICE 00000 after"]);
}

#[actix_rt::test]
async fn what_a_commit_says_is_said_too() {
    let world = world().await;
    world
        .prepare(
            "create table t (n int); \
             create function late() returns trigger language plpgsql as \
             $$begin raise warning 'late %', new.n; return null; end$$; \
             create constraint trigger late after insert on t deferrable initially deferred for each row execute function late()",
        )
        .await;
    assert_eq!(said(&world.notices("insert into t values (1)").await), ["WARNING 01000 late 1"]);
    let batch = world.batch(&[("insert into t values (2)", json!([])), ("select 1", json!([]))]).await.unwrap();
    let all: Vec<_> = batch.answer.iter().map(|outcome| said(&outcome.notices)).collect();
    assert_eq!(all, [vec![], vec!["WARNING 01000 late 2".to_owned()]]);
}

#[actix_rt::test]
async fn each_statement_of_a_batch_has_its_own() {
    let world = world().await;
    let raise = |word: &str| format!("do $$begin raise notice '{word}'; end$$");
    let (first, third) = (raise("first"), raise("third"));
    let batch = world.batch(&[(&first, json!([])), ("select 1", json!([])), (&third, json!([]))]).await.unwrap();
    let all: Vec<_> = batch.answer.iter().map(|outcome| said(&outcome.notices)).collect();
    assert_eq!(all, [vec!["NOTICE 00000 first".to_owned()], vec![], vec!["NOTICE 00000 third".to_owned()]]);
}

#[actix_rt::test]
async fn an_error_comes_with_what_was_said_before_it() {
    let world = world().await;
    let fails = "do $$begin raise notice 'before'; perform 1 / 0; end$$";
    for _ in 0..2 {
        let text = world.refusal(fails).await;
        assert!(text.starts_with("ERROR 22012: division by zero") && text.ends_with("\nNOTICE: before"), "{text}");
    }
    let error = world.batch(&[("select 1", json!([])), (fails, json!([]))]).await.unwrap_err().error;
    assert!(error.for_model().ends_with("\nNOTICE: before"), "{error}");
    assert!(!error.to_string().contains("NOTICE"), "the log has it on a line of its own: {error}");
}

#[actix_rt::test]
async fn a_read_has_them_on_the_page_where_they_come() {
    let world = World::with(crate::common::postgres::in_english(), |settings| settings.limits.cursors_max = 1).await;
    world.prepare(RAISES).await;
    let notices = world.notices("select mischief()").await;
    assert_eq!(said(&notices), ["NOTICE 00000 one", "WARNING 01000 two"]);
    assert_eq!((notices.shown[1].detail.as_deref(), notices.shown[1].hint.as_deref()), (Some("why"), Some("how")));
    let sql = "select case when n = 500 then mischief() else n end from generate_series(1, 1000) n";
    let (_, cursor) = world.first(sql, 200).await;
    let page = world.fetch(&cursor, 100).await.unwrap().unwrap();
    assert_eq!(said(&page.answer.notices), Vec::<String>::new());
    let page = world.fetch(page.cursor.as_ref().unwrap(), 1000).await.unwrap().unwrap();
    assert_eq!(said(&page.answer.notices), ["NOTICE 00000 one", "WARNING 01000 two"]);
}

#[actix_rt::test]
async fn very_many_are_counted_and_cost_no_row() {
    let world = world().await;
    let notices = world.notices("do $$begin for n in 1..100000 loop raise notice '%', n; end loop; end$$").await;
    assert_eq!((notices.shown.len(), notices.omitted), (50, 99_950));
    assert_eq!(said(&notices)[49], "NOTICE 00000 50");
}
