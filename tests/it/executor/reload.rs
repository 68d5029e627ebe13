//! A changed target rebuilds the pool, and no call fails because of it.

use std::cell::Cell;
use std::rc::Rc;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use mcp_server_postgres::messages::statements::{CloseCursorsOf, OpenPool};
use mcp_server_postgres::settings::SslMode;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::*;

/// The number of calls in flight at every moment of the reload.
const IN_FLIGHT: usize = 200;

/// Changes the target of connections, so that a new pool is needed. `show work_mem` shows the change.
fn rebuilds(settings: &mut Settings, work_mem_mb: usize) {
    settings.postgres.target.options = Some(format!("-c work_mem={work_mem_mb}MB"));
}

#[actix_rt::test]
async fn ten_reloads_with_two_hundred_calls_in_flight_fail_no_call() {
    let mut world = World::with(Options::new(), |settings| {
        settings.postgres.pool.size = 4;
        settings.postgres.clocks.pool_wait_timeout = seconds(60);
    })
    .await;
    let sql = "select pg_sleep(0.002), count(*) from pg_class";
    let mut in_flight: FuturesUnordered<_> = (0..IN_FLIGHT).map(|_| world.ask(sql, json!([]))).collect();
    let mut answered = [0_usize; 12];
    for reload in 1..=10 {
        world.change(|settings| rebuilds(settings, reload)).await;
        while answered[reload + 1] == 0 {
            let answer = in_flight.next().await.unwrap().unwrap().unwrap_or_else(|error| panic!("{error}"));
            answered[answer.generation as usize] += 1;
            in_flight.push(world.ask(sql, json!([])));
            assert_eq!(in_flight.len(), IN_FLIGHT);
        }
    }
    while let Some(answer) = in_flight.next().await {
        answered[answer.unwrap().unwrap().generation as usize] += 1;
    }
    assert!(answered[1..].iter().all(|&calls| calls > 0), "{answered:?}");
    let pool_size = world.settings.postgres.pool.size as i64;
    until("the old pools' connections are gone", async || world.backends("%").await <= pool_size).await;
    assert_eq!(world.log.of("pool rebuilt").len(), 10);
    until("ten pools are closed", async || world.log.of("pool closed").len() == 10).await;
}

#[actix_rt::test]
async fn a_running_statement_finishes_on_the_old_pool() {
    let mut world = World::with(Options::new(), |settings| settings.postgres.pool.size = 1).await;
    let (held, holder) = (connect(&world.cluster.url()).await, "select pg_advisory_lock_shared(7)");
    held.batch_execute("select pg_advisory_lock(7)").await.unwrap();
    let slow = world.ask(holder, json!([]));
    let slow = actix_rt::spawn(slow);
    world.until_backends("active", 1).await;
    world.change(|settings| rebuilds(settings, 9)).await;
    until("the pool is new", async || world.status().await.generation == 2).await;
    assert_eq!(world.query("select 1").await.unwrap().generation, 2);
    held.batch_execute("select pg_advisory_unlock(7)").await.unwrap();
    assert_eq!(slow.await.unwrap().unwrap().unwrap().generation, 1);
}

#[actix_rt::test]
async fn a_wrong_password_keeps_the_old_pool_and_is_tried_once() {
    let mut world = World::with(Options::new().password("right"), |settings| {
        settings.postgres.target.password = password("right");
        settings.postgres.pool.size = 2;
    })
    .await;
    world.change(|settings| settings.postgres.target.password = password("wrong")).await;
    until("the refusal is logged", async || !world.log.of("pool not rebuilt").is_empty()).await;
    let line = world.log.of("pool not rebuilt").concat();
    assert!(line.contains("28P01"), "{line}");
    assert!(!line.contains("wrong"), "{line}");
    for _ in 0..5 {
        assert_eq!(world.query("select 1").await.unwrap().generation, 1);
    }
    assert_eq!(world.log.of("pool not rebuilt").len(), 1, "asking again could lock the account");

    world
        .change(|settings| {
            settings.postgres.target.password = password("right");
            settings.postgres.pool.size = 3;
        })
        .await;
    until("the size is new", async || world.status().await.size_max == 3).await;
    assert_eq!(world.query("select 1").await.unwrap().generation, 1, "the target is what it was");
}

#[actix_rt::test]
async fn a_change_that_is_reverted_before_its_pool_opens_keeps_the_pool() {
    let mut world = World::with(Options::new(), |settings| settings.postgres.clocks.connect_timeout = seconds(2)).await;
    world.query("select 1").await.unwrap();
    // No server listens on this port.
    world.change(|settings| settings.postgres.target.ports = vec![1]).await;
    until("the failure is logged", async || !world.log.of("pool not rebuilt").is_empty()).await;
    let port = world.cluster.port();
    world.change(|settings| settings.postgres.target.ports = vec![port]).await;
    assert_eq!(world.query("select 1").await.unwrap().generation, 1);
}

#[actix_rt::test]
async fn a_change_of_other_settings_keeps_the_pool() {
    let mut world = World::with(Options::new(), |settings| settings.postgres.pool.size = 1).await;
    let backend = world.rows("select pg_backend_pid()").await;
    world
        .change(|settings| {
            settings.log.level = slog::Level::Debug;
            settings.limits.rows_max = 1;
            settings.metrics.history_max = 1;
        })
        .await;
    assert_eq!(world.rows("select pg_backend_pid()").await, backend);
    assert_eq!(world.status().await.generation, 1);
}

#[actix_rt::test]
async fn only_the_pool_of_the_newest_change_is_opened() {
    let mut world = World::new().await;
    world.query("select 1").await.unwrap();
    for size in 3..=9 {
        world.change(|settings| rebuilds(settings, size)).await;
    }
    until("the newest is there", async || world.status().await.generation == 2).await;
    assert_eq!(world.rows("show work_mem").await, r#"[["9MB"]]"#);
    until("no backend is left over", async || world.backends("%").await <= 2).await;
    assert_eq!(world.log.of("pool rebuilt").len(), 1);
}

#[actix_rt::test]
async fn the_result_of_each_rebuilt_pool_is_reported_to_the_metrics() {
    let mut world = World::new().await;
    world.change(|settings| rebuilds(settings, 9)).await;
    let event = world.rebuilt.next().await.message;
    assert_eq!((&*event.database, event.result), ("main", Ok(2)));
    world.change(|settings| settings.postgres.target.database = "nowhere".to_owned()).await;
    let event = world.rebuilt.next().await.message;
    assert!(event.result.as_ref().unwrap_err().contains("nowhere"), "{event:?}");
}

#[actix_rt::test]
async fn of_a_replaced_pool_only_connections_in_use_are_left() {
    let mut world = World::with(Options::new(), |settings| {
        settings.postgres.pool.size = 4;
        settings.postgres.pool.min_size = 4;
    })
    .await;
    until("all are open", async || world.status().await.idle == 4).await;
    let (pid, cursor) = world.first("select pg_backend_pid() from generate_series(1, 100000)", 1).await;
    let running = actix_rt::spawn(world.ask("select pg_sleep(60)", json!([])));
    world.until_asleep(1).await;
    let old = "select array_agg(pid order by pid) from pg_stat_activity where application_name = 'test'";
    let old: Vec<i32> = world.observed(old).await;
    assert_eq!(old.len(), 4);
    world.change(|settings| rebuilds(settings, 9)).await;
    until("the pool is new", async || world.status().await.generation == 2).await;
    let left = async || -> i64 {
        let sql = "select count(*) from pg_stat_activity where pid = any($1)";
        world.observer.query_one(sql, &[&old]).await.unwrap().get(0)
    };
    until("the idle connections are closed", async || left().await == 2).await;
    assert_eq!(world.health().await.draining, 1);
    running.abort();
    until("what was cancelled is closed", async || left().await == 1).await;
    assert_eq!(world.next(&cursor, 1).await.0, pid, "the cursor reads on, on its connection");
    world.executor.send(CloseCursorsOf { client: Caller::stdio().name }).await.unwrap();
    until("nothing is left", async || left().await == 0).await;
    assert_eq!(world.health().await.draining, 0);
}

#[actix_rt::test]
async fn calls_that_wait_for_the_old_pool_run_on_it_and_the_last_one_closes_it() {
    let mut world = World::with(Options::new(), |settings| settings.postgres.pool.size = 1).await;
    let pid = world.rows("select pg_backend_pid()").await;
    let gate = connect(&world.cluster.url()).await;
    gate.batch_execute("select pg_advisory_lock(7)").await.unwrap();
    let first = actix_rt::spawn(world.ask("select pg_advisory_xact_lock_shared(7)::text", json!([])));
    until("it has the connection", async || world.status().await.idle == 0).await;
    let calls: Vec<_> = (0..3).map(|_| actix_rt::spawn(world.ask("select pg_backend_pid()", json!([])))).collect();
    until("they wait", async || world.status().await.waiting == 3).await;
    world.change(|settings| rebuilds(settings, 9)).await;
    until("the pool is new", async || world.status().await.generation == 2).await;
    gate.batch_execute("select pg_advisory_unlock(7)").await.unwrap();
    first.await.unwrap().unwrap().unwrap();
    for call in calls {
        let answered = call.await.unwrap().unwrap().unwrap();
        assert_eq!((answered.generation, format!("[{}]", answered.answer.page.json)), (1, pid.clone()));
    }
    until("the old pool is closed", async || world.health().await.draining == 0).await;
    until("its backend is gone", async || world.backends("%").await == 1).await;
}

/// Sends calls at a constant rate until it is stopped.
struct Load {
    answered: Rc<Cell<usize>>,
    stop: CancellationToken,
    asking: actix_rt::task::JoinHandle<Vec<String>>,
}

const CALLS_A_SECOND: u32 = 200;

impl Load {
    fn on(world: &World) -> Self {
        let (executor, reading) = (world.executor.clone(), world.reading);
        let (answered, stop) = (Rc::<Cell<usize>>::default(), CancellationToken::new());
        let (counted, stopped) = (answered.clone(), stop.clone());
        let asking = actix_rt::spawn(async move {
            let mut failures = Vec::new();
            let mut note = |answer: Result<Result<Answered<Outcome>, QueryError>, MailboxError>| match answer.unwrap() {
                Ok(_) => counted.set(counted.get() + 1),
                Err(error) => failures.push(error.to_string()),
            };
            let mut pace = tokio::time::interval(seconds(1) / CALLS_A_SECOND);
            pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let mut in_flight = FuturesUnordered::new();
            loop {
                tokio::select! {
                    () = stopped.cancelled() => break,
                    _ = pace.tick(), if in_flight.len() < IN_FLIGHT => {
                        let call = CallContext::new("a test", Caller::stdio());
                        let statement = statement("select count(*) from pg_class", json!([]));
                        in_flight.push(executor.send(Query { call, statement, reading }));
                    }
                    Some(answer) = in_flight.next() => note(answer),
                }
            }
            while let Some(answer) = in_flight.next().await {
                note(answer);
            }
            failures
        });
        Self { answered, stop, asking }
    }

    /// Waits until more calls are answered.
    async fn makes_progress(&self) {
        let before = self.answered.get();
        until("calls are answered", async || self.answered.get() >= before + 20).await;
    }

    /// The errors of the failed calls, and the number of answered calls.
    async fn end(self) -> (Vec<String>, usize) {
        self.stop.cancel();
        let failures = self.asking.await.unwrap();
        (failures, self.answered.get())
    }
}

#[actix_rt::test]
async fn thirteen_reloads_of_every_kind_under_load_fail_no_call_and_leave_only_the_connection_of_a_cursor() {
    let mut world = World::with(Options::new(), |settings| {
        settings.postgres.target.application_name = "test 0".to_owned();
        settings.postgres.pool.size = 4;
        settings.postgres.clocks.pool_wait_timeout = seconds(60);
        settings.postgres.clocks.cursor_lifetime = seconds(600);
    })
    .await;
    let (port, ssl_mode) = (world.cluster.port(), world.settings.postgres.target.ssl_mode);
    let (pid, cursor) = world.first("select pg_backend_pid() from generate_series(1, 100000)", 1).await;
    let load = Load::on(&world);
    load.makes_progress().await;
    let mut generation = 1;
    for reload in 1..=13 {
        let refused = world.log.of("pool not rebuilt").len();
        match reload % 4 {
            1 => {
                generation += 1;
                world
                    .change(|settings| {
                        settings.postgres.target.application_name = format!("test {reload}");
                        settings.postgres.target.ports = vec![port];
                        settings.postgres.target.ssl_mode = ssl_mode;
                        settings.postgres.target.ssl_root_cert = None;
                    })
                    .await;
                until("the pool is new", async || world.status().await.generation == generation).await;
            }
            2 => {
                let size = 4 + reload % 3;
                world.change(|settings| settings.postgres.pool.size = size).await;
                until("the size is new", async || world.status().await.size_max == size).await;
            }
            // No server listens on this port.
            3 => {
                world.change(|settings| settings.postgres.target.ports = vec![1]).await;
                until("the failure is logged", async || world.log.of("pool not rebuilt").len() > refused).await;
            }
            _ => {
                world
                    .change(|settings| {
                        settings.postgres.target.ssl_mode = SslMode::VerifyFull;
                        settings.postgres.target.ssl_root_cert = Some("/nowhere/ca.pem".into());
                    })
                    .await;
                until("the failure is logged", async || world.log.of("pool not rebuilt").len() > refused).await;
            }
        }
        load.makes_progress().await;
    }
    assert_eq!((generation, world.status().await.generation), (5, 5));
    let (failed, answered) = load.end().await;
    assert!(failed.is_empty(), "{} of {answered}: {failed:?}", failed.len());

    let of_old_pools = "select coalesce(array_agg(pid), '{}') from pg_stat_activity \
                        where application_name like 'test %' and application_name <> 'test 13'";
    let cursors: i32 = pid.trim_matches(['[', ']']).parse().unwrap();
    until("only the cursor's connection is left of the old pools", async || {
        world.observed::<Vec<i32>>(of_old_pools).await == [cursors]
    })
    .await;
    assert_eq!(world.health().await.draining, 1);
    assert_eq!(world.next(&cursor, 1).await.0, pid, "the cursor reads on, on its connection");
}

#[actix_rt::test]
async fn the_pool_of_an_added_database_is_opened_on_request_or_the_error_says_why_not() {
    let mut cluster = Options::new().start().unwrap();
    let added = |settings: &Settings| {
        let (log, lines) = heard();
        let parser = parser(&log);
        let executor = Executor::new(MAIN_DATABASE, settings, parser, Events::default(), TaskTracker::new(), &log);
        (executor.unwrap().pending().start(), lines)
    };
    let (executor, lines) = added(&settings_of(&cluster, |settings| settings.postgres.pool.min_size = 2));
    assert_eq!(executor.send(OpenPool).await.unwrap(), Ok(()));
    assert_eq!(executor.send(Status).await.unwrap().pool.size, 2);
    assert_eq!(lines.of("connection opened").len(), 2, "none was opened before");

    let nowhere = settings_of(&cluster, |settings| settings.postgres.target.database = "nowhere".to_owned());
    let (executor, lines) = added(&nowhere);
    let refused = executor.send(OpenPool).await.unwrap().unwrap_err();
    assert_eq!((refused.why.as_str(), refused.is_retryable), ("there is no such database (SQLSTATE 3D000)", false));
    assert!(lines.of("the added database cannot be served yet").concat().contains("nowhere"));

    let (executor, _) = added(&settings_of(&cluster, |_| {}));
    cluster.stop().unwrap();
    let unreachable = executor.send(OpenPool).await.unwrap().unwrap_err();
    assert!(unreachable.is_retryable && !unreachable.why.contains("127.0.0.1"), "{}", unreachable.why);
    cluster.start_again().unwrap();
    assert_eq!(executor.send(OpenPool).await.unwrap(), Ok(()));
}
