//! What the guard knows about a database, and when it notices that it has changed.

use super::*;

const SCHEMA: &str = "
    create table t (n int, flag boolean); insert into t values (1, true);
    create function twice(n int) returns int immutable language sql as 'select n * 2';
    create function noisy(n int) returns bool volatile language plpgsql as 'begin return true; end';
    create function steady(n int) returns bool stable language plpgsql as 'begin return true; end';
    create function noisy_order(int, int) returns int volatile language plpgsql as 'begin return $1 - $2; end';
    create function noisy_cast(boolean) returns inet volatile language plpgsql as $$ begin return '::1'; end $$;
    create view seen as select n from t;
    create domain small as int check (value < 100);
    create table typed (n int); insert into typed values (1);
    create function renamed(t) returns int volatile language sql as 'select 1';
    create operator ~=~ (leftarg = int, rightarg = int, function = int4eq);
    create table indexed (n int); insert into indexed values (1);
    create role reader login; create table doc (n int); insert into doc values (1);
    grant select on all tables in schema public to reader";

/// Moves the clock on, so that what is known must be looked at again.
pub async fn five_seconds_later() {
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(5)).await;
    tokio::time::resume();
}

#[actix_rt::test]
async fn a_changed_object_is_noticed_within_seconds_and_a_new_one_at_once() {
    let world = World::new().await;
    world.prepare(SCHEMA).await;
    let reads = [
        ("select twice(2)", "alter function twice(int) volatile"),
        ("select steady(n) from t", "alter function steady(int) security definer"),
        ("select n from seen", "create or replace view seen as select n from t where noisy(n)"),
        ("select n::small from t", "alter domain small add check (noisy(value))"),
        (
            "select n from typed where n = 1",
            "create domain odd as int; alter table typed alter n type odd; alter domain odd add check (noisy(value))",
        ),
        ("select t.n, 1 as renamed from t", "alter function renamed(t) rename to n; alter table t rename n to m"),
        (
            "select 1 ~=~ 2",
            "drop operator ~=~ (int, int); create function eq(int, int) returns bool volatile language sql as 'select $1 = $2'; create operator ~=~ (leftarg = int, rightarg = int, function = eq)",
        ),
        (
            "select n from indexed where n = 1",
            "create operator class noisy_ops for type int using btree as operator 1 <, operator 2 <=, operator 3 =,
                 operator 4 >=, operator 5 >, function 1 noisy_order(int, int);
             create index on indexed (n noisy_ops)",
        ),
        ("select host('::1'::inet)", "create cast (boolean as inet) with function noisy_cast(boolean) as implicit"),
    ];
    for (sql, _) in &reads {
        assert!(world.query(sql).await.is_ok(), "{sql}");
    }
    for (at, (sql, change)) in reads.iter().enumerate() {
        world.prepare(change).await;
        five_seconds_later().await;
        let refusal = world.refusal(sql).await;
        assert!(refusal.contains("read-only mode"), "{change}: {refusal}");
        // The next new object is known as soon as it is there.
        if at == 0 {
            world.prepare("create function fresh(n int) returns int volatile language sql as 'select 1'").await;
            assert!(world.refusal("select fresh(1)").await.contains("public.fresh is not accepted"));
            world
                .prepare("create table fresh_one (n int); create view fresh_view as select fresh(n) from fresh_one")
                .await;
            assert!(world.refusal("select * from fresh_view").await.contains("public.fresh is not accepted"));
        }
    }
}

#[actix_rt::test]
async fn a_policy_and_a_right_that_changed_are_noticed_too() {
    let mut world = World::new().await;
    world.prepare(SCHEMA).await;
    world.change(|settings| settings.postgres.target.user = "reader".to_owned()).await;
    until("it is the reader", async || world.rows("select session_user::text").await == r#"[["reader"]]"#).await;
    assert_eq!(world.rows("select n from doc").await, "[[1]]");
    world.prepare("create policy on_doc on doc using (true); alter table doc enable row level security").await;
    assert_eq!(world.rows("select n from doc").await, "[[1]]");
    world.prepare("alter policy on_doc on doc using (noisy(n))").await;
    five_seconds_later().await;
    assert!(world.refusal("select n from doc").await.contains("public.noisy"));
    // Who bypasses row-level security runs no policy.
    world.prepare("alter role reader bypassrls").await;
    five_seconds_later().await;
    assert_eq!(world.rows("select n from doc").await, "[[1]]");
}

#[actix_rt::test]
async fn what_the_server_itself_changes_is_known_at_the_next_statement() {
    let world = World::with(Options::new(), |settings| settings.access = AccessMode::ReadWrite).await;
    world.prepare("create table mark (n int)").await;
    for body in ["select 1", "insert into mark values (1) returning n", "select 2"] {
        let volatile = if body.starts_with("select") { "stable" } else { "volatile" };
        let define = format!("create or replace function f() returns int {volatile} language sql as '{body}'");
        assert!(world.query(&define).await.is_ok(), "{define}");
        for _ in 0..2 {
            assert!(world.query("select f() as of_f").await.is_ok(), "{body}");
        }
    }
    assert_eq!(world.observed::<i64>("select count(*) from mark").await, 2);
    assert_eq!(world.log.of("run again as what may write"), Vec::<String>::new(), "each was known before it ran");
}

#[actix_rt::test]
async fn new_statements_need_no_question() {
    let preload = Options::new().setting("shared_preload_libraries", "pg_stat_statements");
    let world = World::with(preload, |_| ()).await;
    world.prepare(SCHEMA).await;
    world.prepare("create extension pg_stat_statements").await;
    let questions = "select coalesce(sum(calls), 0)::int8 from pg_stat_statements where query ~ 'pg_catalog\\.pg_proc'";
    let began = std::time::Instant::now();
    for n in 0..200 {
        let sql = format!("select twice(n) + {n} as of_{n}, upper('x'), s.n from seen s where s.n > 0");
        assert_eq!(world.rows(&sql).await, format!(r#"[[{},"X",1]]"#, n + 2));
    }
    let asked = world.observed::<i64>(questions).await;
    // The facts take five questions, and one in five seconds. The text of the view and of the function are asked once.
    let at_most = 10 + began.elapsed().as_secs() as i64;
    assert!((1..=at_most).contains(&asked), "{asked} questions for 200 new statements");
}

#[actix_rt::test]
async fn what_is_accepted_for_a_writer_is_judged_again_for_a_reader() {
    let world = World::with(Options::new(), |settings| settings.access = AccessMode::ReadWrite).await;
    world
        .prepare("create view hashes as select passwd from pg_shadow; create view deeper as select * from hashes")
        .await;
    for sql in ["select count(passwd) from hashes", "select count(*) as n from deeper"] {
        assert!(world.query(sql).await.is_ok(), "{sql}: a writer may read them");
        let reader = Caller { access: AccessMode::ReadOnly, ..Caller::stdio() };
        let refused = world.ask_as(reader, sql, json!([])).await.unwrap().map(|answered| answered.answer);
        assert!(refused.unwrap_err().for_model().contains("password hashes"), "{sql}");
    }
}

#[actix_rt::test]
async fn whether_a_setting_holds_a_secret_is_asked_for_each_new_statement() {
    let world = World::new().await;
    world.prepare("create view of_settings as select name, setting from pg_settings").await;
    assert!(world.query("select count(*) as before from of_settings").await.is_ok());
    world.prepare("alter system set primary_conninfo = 'host=a password=b'").await;
    world.prepare("select pg_reload_conf()").await;
    let shown = "select current_setting('primary_conninfo') like '%password%'";
    until("it is set", async || world.observed::<bool>(shown).await).await;
    until("its own session has it", async || {
        let refused = world.query("select count(*) as afterwards from of_settings").await;
        refused.is_err_and(|error| error.for_model().contains("holds passwords"))
    })
    .await;
}
