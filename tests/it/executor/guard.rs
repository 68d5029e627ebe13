//! The decisions of the guard on the names of statements, with a real database.

use pg_guard::parser::Unreadable;

use super::*;

const SCHEMA: &str = "
    create table t (n int); insert into t values (1), (2);
    create table secret (n int); insert into secret values (7);
    create view plain as select n, n * 2 as doubled from t;
    create view reads_a_file as select pg_read_file('postgresql.conf') as content;
    create view on_that as select length(content) from reads_a_file;
    create function twice(n int) returns int immutable language sql as 'select n * 2';
    create function thrice(n int) returns int stable language plpgsql as 'begin return n * 3; end';
    create function counted() returns bigint stable language sql as 'select count(*) from t';
    create function careless(n int) returns int language sql as 'select n + 1';
    create function atomic_twice(n int) returns int immutable return n * 2;
    create function atomic(s text) returns text stable begin atomic select pg_read_file(s); end;
    create function by_default(n int default careless(1)) returns int immutable language sql as 'select n';
    create function renamed(float8) returns void language internal stable strict as 'pg_sleep';
    create function liar(s text) returns text stable language sql as 'select pg_read_file(s)';
    create function second_hand(s text) returns text stable language sql as 'select liar(s)';
    create function owner_s() returns int stable security definer language sql as 'select n from secret';
    create function many(n int) returns int immutable language sql as 'select n';
    create function many(n int, m int) returns int volatile language sql as 'select n + m';
    create schema elsewhere;
    create function elsewhere.lower(s text) returns text volatile language sql as 'select s';
    create function adds(int, int) returns int volatile language sql as 'select $1 + $2';
    create function takes(int, int) returns int immutable language sql as 'select $1 - $2';
    create operator +| (function = adds, leftarg = int, rightarg = int);
    create operator -| (function = takes, leftarg = int, rightarg = int);
    create function sum_step(int, int) returns int volatile language sql as 'select $1 + $2';
    create aggregate volatile_sum (int) (sfunc = sum_step, stype = int, initcond = '0');
    create aggregate plain_sum (int) (sfunc = int4pl, stype = int, initcond = '0');
    create domain positive as int check (value > 0);
    create domain checked as text check (length(pg_read_file(value)) > 0);
    create type pair as (a int, b int);
    create function to_pair(text) returns pair volatile language sql as 'select row(1, 2)::pair';
    create cast (text as pair) with function to_pair(text);
    create function total(t) returns int volatile language sql as 'select 1';
    create view activity as select pid, query from pg_stat_activity";

#[actix_rt::test]
async fn a_name_is_judged_by_its_object_in_this_database_and_by_the_sql_of_that_object() {
    let world = World::new().await;
    world.prepare(SCHEMA).await;
    let mut wrong = Vec::new();
    for (sql, rows) in [
        ("select twice(2), thrice(2), counted(), many(3), atomic_twice(4)", "[[4,6,2,3,8]]"),
        ("select * from plain order by n", "[[1,2],[2,4]]"),
        ("select lower('A'), 5 -| 3, plain_sum(n) from t", r#"[["a",2,3]]"#),
        ("select 5::positive, array[1]::positive[]", "[[5,[1]]]"),
        ("select ts_rewrite('a'::tsquery, 'a'::tsquery, 'b'::tsquery)", r#"[["'b'"]]"#),
        ("select random() between 0 and 1, gen_random_uuid() is not null", "[[true,true]]"),
        ("select t.n, (t).n, count(*) over () from t where t.n = 1", "[[1,1,1]]"),
        ("explain (costs off) insert into t values (1)", r#"[["Insert on t"],["  ->  Result"]]"#),
        ("select count(*) > 0, bool_and(pid is not null) from pg_stat_activity", "[[true,true]]"),
        ("select rolname from pg_authid where rolname = 'postgres'", r#"[["postgres"]]"#),
    ] {
        for _ in 0..3 {
            match world.query(sql).await.map(|answered| format!("[{}]", answered.answer.page.json)) {
                Ok(answer) if answer == rows => {}
                answer => wrong.push(format!("{sql}: {answer:?}")),
            }
        }
    }
    for (sql, why) in [
        ("select careless(1)", "public.careless is not accepted in read-only mode: it is volatile"),
        ("select many(1, 2)", "public.many is not accepted"),
        ("select elsewhere.lower('A')", "elsewhere.lower is not accepted"),
        (
            "select * from reads_a_file",
            "reads_a_file cannot be used: of what stands behind it, The function pg_catalog.pg_read_file",
        ),
        ("select * from on_that", "reads or writes files"),
        ("select liar('postgresql.conf')", "public.liar cannot be used"),
        ("select second_hand('postgresql.conf')", "public.liar cannot be used"),
        ("select atomic('postgresql.conf')", "public.atomic cannot be used"),
        ("select by_default()", "public.by_default cannot be used"),
        ("select renamed(60)", "it is written in internal, which can do anything"),
        ("select owner_s()", "SECURITY DEFINER"),
        ("select 1 +| 2", "+| stands for a function. The function public.adds"),
        ("select 1 operator(public.+|) 2", "public.adds"),
        ("select volatile_sum(n) from t", "volatile_sum stands for a function. The function public.sum_step"),
        ("select 'postgresql.conf'::checked", "checked cannot be used"),
        ("select 'x'::text::pair", "pair stands for a function. The function public.to_pair"),
        ("select x.pg_read_file from unnest(array['postgresql.conf']) x", "pg_catalog.pg_read_file"),
        ("select (x).pg_sleep_for from (select 1) x", "pg_sleep_for"),
        ("select t.total from t", "public.total is not accepted"),
        (
            "select * from activity",
            "activity cannot be used: of what stands behind it, pg_stat_activity holds other sessions' SQL",
        ),
        ("explain analyze insert into t values (1)", "INSERT is not accepted in read-only mode where EXPLAIN runs it"),
        ("select rolname, rolpassword from pg_authid", "pg_authid holds password hashes"),
        ("select row_to_json(a) from pg_stat_activity a", "other sessions' SQL"),
        ("select a from pg_catalog.pg_stat_activity as x (a)", "other sessions' SQL"),
        ("table pg_shadow", "password hashes"),
        ("select query_to_xml($1, true, true, '')", "runs SQL that is given to it as text"),
    ] {
        for _ in 0..2 {
            let refusal = world.refusal(sql).await;
            if !refusal.contains(why) {
                wrong.push(format!("{sql}: {refusal}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[actix_rt::test]
async fn the_operator_allows_and_denies_functions_by_name_from_the_next_call_on() {
    let mut world = World::new().await;
    world.prepare(SCHEMA).await;
    let secret = "select count(*) > 0 from (select query from pg_stat_activity) q";
    assert!(world.refusal("select careless(1)").await.contains("MCP_FUNCTIONS_ALLOW=public.careless"));
    assert!(world.refusal(secret).await.contains("MCP_SENSITIVE_CATALOGS=allow"));
    world
        .change(|settings| {
            settings.policy.allow = vec!["careless".to_owned(), "public.liar".to_owned(), "public.twice".to_owned()];
            settings.policy.deny = vec!["public.twice".to_owned(), "lower".to_owned()];
            settings.policy.sensitive = true;
        })
        .await;
    assert_eq!(world.rows("select careless(1)").await, "[[2]]");
    assert_eq!(world.rows("select length(liar('postgresql.conf')) > 0").await, "[[true]]");
    assert_eq!(world.rows(secret).await, "[[true]]");
    assert!(world.refusal("select twice(1)").await.contains("MCP_FUNCTIONS_DENY"));
    assert!(world.refusal("select lower('A')").await.contains("MCP_FUNCTIONS_DENY"));
    world.change(|settings| settings.policy = Policy::default()).await;
    assert!(world.refusal("select careless(1)").await.contains("it is volatile"));
    assert_eq!(world.rows("select lower('A'), twice(1)").await, r#"[["a",2]]"#);
}

#[actix_rt::test]
async fn an_entry_means_a_name_a_schema_or_one_overload() {
    let mut world = World::new().await;
    world.prepare(SCHEMA).await;
    world.prepare("create function elsewhere.upper(s text) returns text volatile language sql as 'select s'").await;
    for (entry, accepted, refused) in [
        ("elsewhere.*", "select elsewhere.lower('a') || elsewhere.upper('b')", "select careless(1)"),
        ("many(int, int)", "select many(1, 2)::text || 'x'", "select careless(1)"),
        ("public.many( integer,int4 )", "select many(1, 2)::text || 'x'", "select elsewhere.lower('A')"),
        ("many(text, int)", "select 'ax'", "select many(1, 2)"),
        ("nowhere.many, public.*", "select careless(1)::text || many(1, 2)", "select elsewhere.lower('A')"),
    ] {
        let entries = entry.split(", ").map(str::to_owned).collect();
        let entries = if entry.contains('(') { vec![entry.to_owned()] } else { entries };
        world.change(|settings| settings.policy.allow = entries).await;
        let answer = world.query(accepted).await;
        assert!(answer.is_ok(), "{entry}: {accepted}: {:?}", answer.err());
        assert!(world.refusal(refused).await.contains("is not accepted in read-only mode"), "{entry}: {refused}");
    }
}

#[actix_rt::test]
async fn of_row_level_security_only_the_policies_that_apply_are_judged_and_helpers_pass() {
    let mut world = World::new().await;
    world
        .prepare(
            "create role reader login; create role other; create table member (who name, tenant int);
             insert into member values ('reader', 1); create table doc (tenant int, title text);
             insert into doc values (1, 'ours'), (2, 'theirs');
             create function tenant() returns int stable security definer language sql as
                 'select tenant from member where who = session_user';
             create function noisy() returns bool volatile language plpgsql as 'begin return true; end';
             alter table doc enable row level security;
             create policy of_tenant on doc for select to reader using (tenant = tenant());
             create policy of_other on doc for select to other using (noisy());
             create policy of_writers on doc for update to public using (noisy());
             create table bad (n int); insert into bad values (1); alter table bad enable row level security;
             create policy bad_one on bad using (noisy());
             grant select on doc, bad to reader; grant usage, create on schema public to reader;
             create view of_reader as select n from bad; alter view of_reader owner to reader",
        )
        .await;
    assert_eq!(world.rows("select count(*) from doc").await, "[[2]]", "a superuser has no policies");
    assert_eq!(world.rows("select n from bad").await, "[[1]]");
    // A view reads as its owner, and a write has further policies.
    for sql in ["select n from of_reader", "explain update doc set title = 'x'"] {
        assert!(world.refusal(sql).await.contains("public.noisy"), "{sql}");
    }
    world.change(|settings| settings.postgres.target.user = "reader".to_owned()).await;
    until("it is the reader", async || world.rows("select session_user::text").await == r#"[["reader"]]"#).await;
    for _ in 0..2 {
        assert_eq!(world.rows("select title from doc").await, r#"[["ours"]]"#);
        let refusal = world.refusal("select n from bad").await;
        assert!(refusal.contains("bad cannot be used") && refusal.contains("public.noisy"), "{refusal}");
        // Outside of a policy it is a function like any other.
        assert!(world.refusal("select tenant()").await.contains("SECURITY DEFINER"));
    }
}

#[actix_rt::test]
async fn what_runs_only_for_a_write_refuses_no_read() {
    let world = World::new().await;
    world
        .prepare(
            "create function is_small(n int) returns bool language plpgsql as 'begin return n < 100; end';
             create function next_one() returns int language plpgsql as 'begin return 1; end';
             create function on_write() returns trigger language plpgsql as 'begin return new; end';
             create table careful (n int default next_one() check (is_small(n)), m int);
             create trigger before_it before insert on careful for each row execute function on_write();
             create index on careful (m); insert into careful values (1, 2)",
        )
        .await;
    assert_eq!(world.rows("select n, m from careful where m = 2").await, "[[1,2]]");
}

#[actix_rt::test]
async fn a_text_that_only_postgresql_could_read_is_no_part_of_our_own_questions() {
    let world = World::new().await;
    let url = world.cluster.url();
    world
        .prepare(&format!(
            "create extension dblink; create table mark (n int);
             create function leaves_a_mark(int) returns bool volatile language plpgsql as
                 $$ begin perform dblink_exec('{url}', 'insert into mark values (1)'); return true; end $$;
             create domain marking as int check (leaves_a_mark(value))"
        ))
        .await;
    for sql in ["select 1) as q, (select '{5}'::marking[]", "select 1) as q where '{5}'::marking[] is null; --"] {
        assert!(world.refusal(sql).await.contains("42601"), "{sql}");
    }
    assert_eq!(world.observed::<i64>("select count(*) from mark").await, 0);
}

#[actix_rt::test]
async fn the_questions_of_the_guard_run_no_casts_and_operators_of_users() {
    let world = World::new().await;
    let url = world.cluster.url();
    world
        .prepare(&format!(
            "create extension dblink; create table mark (n int);
             create function leave() returns void language plpgsql as
                 $$ begin perform dblink_exec('{url}', 'insert into mark values (1)'); end $$;
             create function to_int(text) returns int language plpgsql as $$ begin perform leave(); return 150000; end $$;
             create function to_big(text) returns int8 language plpgsql as $$ begin perform leave(); return 1; end $$;
             create function to_text(numeric) returns text language plpgsql as $$ begin perform leave(); return 1; end $$;
             create function to_text(xid) returns text language plpgsql as $$ begin perform leave(); return 1; end $$;
             create function no(oid, int) returns bool language plpgsql as $$ begin perform leave(); return true; end $$;
             create function no(oid, regclass) returns bool language plpgsql as
                 $$ begin perform leave(); return true; end $$;
             create cast (text as int) with function to_int(text); create cast (text as int8) with function to_big(text);
             create cast (numeric as text) with function to_text(numeric);
             create cast (xid as text) with function to_text(xid);
             create operator >= (leftarg = oid, rightarg = int, function = no);
             create operator < (leftarg = oid, rightarg = int, function = no);
             create operator <> (leftarg = oid, rightarg = int, function = no);
             create operator = (leftarg = oid, rightarg = int, function = no);
             create operator = (leftarg = oid, rightarg = regclass, function = no)"
        ))
        .await;
    assert_eq!(world.rows("select n from mark").await, "[]");
    super::facts::five_seconds_later().await;
    assert_eq!(world.rows("select n as again from mark").await, "[]");
    assert_eq!(world.observed::<i64>("select count(*) from mark").await, 0);
}

#[actix_rt::test]
async fn what_a_cast_between_builtin_types_does_is_refused_and_nothing_that_passes_is_committed() {
    let world = World::new().await;
    // It runs where a statement names no type. With the settings that it leaves, a statement without BEGIN would write.
    let cast = "create table mark (n int);
        create function sly(boolean) returns inet volatile language plpgsql as $$ begin
            if current_setting('default_transaction_read_only') = 'off' then insert into mark values (1);
            else perform set_config('default_transaction_read_only', 'off', false); end if;
            return '127.0.0.1'; end $$;
        create cast (boolean as inet) with function sly(boolean) as implicit";
    world.prepare(cast).await;
    let refusal = world.refusal("select host(true)").await;
    assert!(refusal.contains("inet stands for a function. The function public.sly"), "{refusal}");
    // A promise that is a lie is believed, and the transaction holds it.
    world.prepare("alter function sly(boolean) immutable").await;
    super::facts::five_seconds_later().await;
    assert!(world.query("select 1 as one, now()").await.is_ok(), "the change is noticed");
    for _ in 0..5 {
        world.query("select host(n > 0) from generate_series(1, 1) n").await.ok();
    }
    assert_eq!(world.observed::<i64>("select count(*) from mark").await, 0);
    assert_eq!(world.rows("show default_transaction_read_only").await, r#"[["on"]]"#);
}

#[actix_rt::test]
async fn a_volatile_cast_of_a_users_type_refuses_no_other_cast() {
    let world = World::new().await;
    world
        .prepare(
            "create type money2 as (cents int); create table paid (m money2, n int); insert into paid values (row(5), 5);
             create function cents(money2) returns int volatile language plpgsql as 'begin return $1.cents; end';
             create cast (money2 as int) with function cents(money2);
             create function of_text(text) returns date volatile language plpgsql as 'begin return $1; end';
             create cast (text as date) with function of_text(text)",
        )
        .await;
    assert_eq!(
        world.rows("select '5'::int, 5.4::int, null::int, n::int from (select 7 as n) s").await,
        "[[5,5,null,7]]"
    );
    let with_parameter = world.ask("select $1::int", json!(["5"])).await.unwrap().unwrap();
    assert_eq!(with_parameter.answer.page.json, "[5]");
    assert_eq!(world.rows("select '2024-01-02'::date").await, r#"[["2024-01-02"]]"#);
    for sql in ["select m::int from paid", "select n from paid where m::int = 5"] {
        assert!(world.refusal(sql).await.contains("public.cents"), "{sql}");
    }
    for sql in ["select x::date from (select '2024-01-02'::text) s (x)", "select date(x::text) from (select 1) s (x)"] {
        assert!(world.refusal(sql).await.contains("public.of_text"), "{sql}");
    }
}

#[actix_rt::test]
async fn a_name_that_the_server_may_read_otherwise_is_refused() {
    let mut world = World::new().await;
    world.prepare("create database latin encoding 'LATIN1' locale 'C' template template0").await;
    let (server, _) =
        world.cluster.url().rsplit_once('/').map(|(server, name)| (server.to_owned(), name.to_owned())).unwrap();
    let there = &connect(&format!("{server}/latin")).await;
    there.batch_execute("create table \"stra\u{df}e\" (n int); insert into \"stra\u{df}e\" values (1)").await.unwrap();
    world.change(|settings| settings.postgres.target.database = "latin".to_owned()).await;
    let now = "select current_database()::text";
    until("it is there", async || world.rows(now).await == r#"[["latin"]]"#).await;
    assert_eq!(world.rows("select n from stra\u{df}e").await, "[[1]]");
    for name in ["\"STRA\u{c4}E\"", &format!("{}\u{e9}", "a".repeat(61))] {
        there
            .batch_execute(&format!("create function {name}(int) returns int language sql as 'select 1'"))
            .await
            .unwrap();
        let refusal = world.refusal(&format!("select {name}(1)")).await;
        assert!(refusal.contains("cannot be checked: this database is not encoded in UTF-8"), "{refusal}");
    }
    let unicode = World::new().await;
    assert!(unicode.refusal("select STRA\u{c4}E(1)").await.contains("42883"), "PostgreSQL looks for it");
}

#[actix_rt::test]
async fn a_setting_with_a_password_is_not_shown_but_other_settings_are() {
    let world = World::with(Options::new().setting("primary_conninfo", "host=a password=b"), |_| ()).await;
    for sql in [
        "show primary_conninfo",
        "show all",
        "select current_setting('primary_conninfo')",
        "select current_setting('primary_' || 'conninfo')",
        "select name, setting from pg_settings",
        "select * from pg_show_all_settings()",
        "select s from pg_settings s",
    ] {
        let refusal = world.refusal(sql).await;
        assert!(refusal.contains("MCP_SENSITIVE_CATALOGS=allow"), "{sql}: {refusal}");
    }
    for sql in ["show work_mem", "select current_setting('work_mem')"] {
        assert_eq!(world.rows(sql).await, r#"[["4MB"]]"#);
    }
    assert_eq!(world.rows("select count(*) > 100 from pg_settings").await, "[[true]]");
}

#[actix_rt::test]
async fn the_guard_and_the_server_agree_on_the_end_of_a_string_with_every_setting() {
    let world = World::with(Options::new().setting("standard_conforming_strings", "off"), |_| ()).await;
    // For a server with this setting, the call is not part of the string.
    let sql = r"select 'a\'', pg_read_file($$postgresql.conf$$) --'";
    for _ in 0..2 {
        assert_eq!(world.rows(sql).await, r#"[["a\\', pg_read_file($$postgresql.conf$$) --"]]"#);
    }
}

#[actix_rt::test]
async fn a_value_is_shown_by_its_type_and_not_by_a_user_defined_cast() {
    let world = World::new().await;
    world
        .prepare(
            "create extension cube;
             create function shout(cube) returns text volatile language plpgsql as 'begin perform pg_advisory_lock(1); return upper($1::cstring::text); end';
             create cast (cube as text) with function shout(cube)",
        )
        .await;
    assert_eq!(world.rows("select '(1,2)'::cube").await, r#"[["(1, 2)"]]"#);
    assert!(world.refusal("select '(1,2)'::cube::text").await.contains("public.shout"));
}

#[actix_rt::test]
async fn a_statement_that_is_too_long_too_deep_or_no_sql_fails_one_call() {
    let world = World::new().await;
    let nested = |n: usize| format!("select {}1{}", "(".repeat(n), ")".repeat(n));
    let chained = |n: usize| format!("select 1{}", "+1".repeat(n));
    for (sql, answer) in [
        (
            format!("select '{}'", "x".repeat(5 << 20)),
            "The statement has 5242889 bytes; in read-only mode, where each is checked, 1048576 are accepted.",
        ),
        (nested(10_000), "ERROR 42601: "),
        (chained(400_000), "ERROR 54001: "),
        ("selekt 1".to_owned(), "ERROR 42601: "),
        ("select 1; drop table t".to_owned(), "The query holds 2 statements, and a call runs one"),
    ] {
        let refusal = world.refusal(&sql).await;
        assert!(refusal.starts_with(answer), "{}: {}", &sql[..20], &refusal[..refusal.len().min(300)]);
        assert_eq!(world.rows("select 1").await, "[[1]]");
    }
    for sql in [nested(1000), chained(1000)] {
        assert!(world.query(&sql).await.is_ok(), "{}", &sql[..20]);
    }
}

#[actix_rt::test]
async fn a_short_statement_does_not_wait_for_the_judgement_of_a_long_one() {
    let world = World::with(Options::new(), |settings| settings.postgres.pool.size = 2).await;
    assert_eq!(world.rows("select abs(1)").await, "[[1]]");
    let sum = "abs(1)+upper('x')::int4+".repeat(20_000);
    let long = world.ask(&format!("select {sum}1"), json!([]));
    let long = std::pin::pin!(long);
    let short = async {
        for n in 0..20 {
            assert_eq!(world.rows(&format!("select abs({n})")).await, format!("[[{n}]]"));
        }
    };
    let short = std::pin::pin!(short);
    let first = futures_util::future::select(long, short).await;
    assert!(matches!(first, futures_util::future::Either::Right(_)), "the long one was first");
}

#[actix_rt::test]
async fn a_parser_that_was_killed_between_two_calls_fails_none() {
    let world = World::new().await;
    for round in 1..4 {
        assert_eq!(world.rows(&format!("select {round}")).await, format!("[[{round}]]"));
        let starts = world.log.of("the parser has started");
        assert_eq!(starts.len(), round, "{starts:?}");
        let (_, pid) = starts[round - 1].split_once("pid=").unwrap();
        assert!(std::process::Command::new("kill").args(["-KILL", pid]).status().unwrap().success());
        // All its output has been read when it has ended. A zombie writes nothing either.
        let stat = format!("/proc/{pid}/stat");
        until("it is gone", async || std::fs::read_to_string(&stat).map_or(true, |stat| stat.contains(") Z "))).await;
    }
}

#[actix_rt::test]
async fn a_parser_that_ends_fails_one_statement() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("parser");
    let real = env!("CARGO_BIN_EXE_mcp-server-postgres");
    let mark = folder.path().join("mark").display().to_string();
    let body = format!("#!/bin/sh\nif test -e {mark}; then exec {real} parser; fi\n: > {mark}\nread -r line\nexit 3\n");
    std::fs::write(&script, body).unwrap();
    std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let (log, lines) = heard();
    let parser = Parser::new(script, &log);
    assert_eq!(parser.parse("select 1\n").await, Err(Unreadable::Crashed));
    assert_eq!(lines.of("the parser has ended").len(), 1);
    for _ in 0..3 {
        assert_eq!(parser.parse("select 1\n").await.unwrap().kind.as_deref(), Some("SelectStmt"));
    }
    assert_eq!(Parser::new("/nowhere".into(), &log).parse("select 1").await, Err(Unreadable::Crashed));
}
