//! A database that cannot be reached, is lost, and comes back.

use mcp_server_postgres::messages::call::CallContext;
use mcp_server_postgres::postgres::error::{Clock, Phase};

use super::*;

#[actix_rt::test]
async fn without_a_database_a_call_fails_with_the_reason_and_succeeds_after_its_return() {
    let mut world = World::with(Options::new(), |settings| settings.postgres.clocks.connect_timeout = seconds(2)).await;
    world.cluster.stop().unwrap();
    let (executor, _finished, log) = start(&world.settings);
    world.executor = executor;
    for _ in 0..3 {
        // The error says that the connection was refused, and not that a timeout has passed.
        let error = world.query("select 1").await.unwrap_err();
        assert!(matches!(error, QueryError::Unavailable { outcome_unknown: false, .. }), "{error:?}");
        let text = error.for_model();
        assert!(text.contains("could not connect to PostgreSQL") && text.contains("refused"), "{text}");
        assert!(
            error.to_string().contains(&format!("postgres@127.0.0.1:{}/postgres", world.cluster.port())),
            "{error}"
        );
    }
    until("the failure is logged", async || !log.of("the database is not available yet").is_empty()).await;
    world.cluster.start_again().unwrap();
    assert_eq!(world.rows("select 1").await, "[[1]]");
}

#[actix_rt::test]
async fn a_server_that_does_not_answer_is_given_up_after_the_connect_timeout() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut world = World::new().await;
    let settings = settings_of(&world.cluster, |settings| {
        settings.postgres.target.ports = vec![silent.local_addr().unwrap().port()];
        settings.postgres.clocks.connect_timeout = Duration::from_millis(200);
        settings.postgres.pool.min_size = 0;
    });
    world.executor = start(&settings).0;
    let text = world.refusal("select 1").await;
    assert!(text.contains("200ms (POSTGRES_CONNECT_TIMEOUT)"), "{text}");
    // The timeout of the call is reported in the same way.
    let statement = statement("select 1", json!([]));
    let after = Duration::from_millis(50);
    let query = Query {
        call: CallContext { timeout: Some(after), ..CallContext::new("a test", Caller::stdio()) },
        statement,
        reading: world.reading,
    };
    let error = world.executor.send(query).await.unwrap().unwrap_err();
    assert_eq!(error, QueryError::TimedOut { clock: Clock::Call { during: Phase::Connect }, after });
}

#[actix_rt::test]
async fn a_restart_of_the_server_fails_the_running_writes_and_no_later_call() {
    let mut world = World::read_write().await;
    let running = actix_rt::spawn(world.ask("select pg_sleep(60)", json!([])));
    world.until_asleep(1).await;
    world.cluster.restart().unwrap();
    let error = running.await.unwrap().unwrap().unwrap_err();
    assert!(error.for_model().contains("57P01") || error.for_model().contains("not available"), "{error}");
    until("the connections' ends are noticed", async || !world.log.of("connection lost").is_empty()).await;
    for _ in 0..3 {
        assert_eq!(world.rows("select 1").await, "[[1]]");
    }
}

#[actix_rt::test]
async fn a_killed_backend_fails_its_write_and_no_other_call() {
    let world = World::with(Options::new(), |settings| {
        settings.postgres.pool.size = 1;
        settings.access = AccessMode::ReadWrite;
    })
    .await;
    for _ in 0..5 {
        let running = actix_rt::spawn(world.ask("select pg_sleep(60)", json!([])));
        world.until_asleep(1).await;
        world.prepare("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'test'").await;
        let error = running.await.unwrap().unwrap().unwrap_err();
        assert!(error.for_model().contains("57P01"), "{error}");
        assert_eq!(world.rows("select 1").await, "[[1]]");
    }
}

#[actix_rt::test]
async fn a_read_whose_connection_is_lost_before_its_first_row_is_sent_once_more() {
    let mut world = World::new().await;
    let wire = Wire::to(world.cluster.port()).await;
    let settings = settings_of(&world.cluster, |settings| {
        settings.postgres.target.ports = vec![wire.port];
        settings.postgres.pool.size = 1;
    });
    world.executor = start(&settings).0;
    let gate = connect(&world.cluster.url()).await;
    let locked = "select pg_advisory_xact_lock_shared(7), 'through'";
    let waiting = "select count(distinct pid) from pg_stat_activity \
                   where wait_event = 'advisory' and application_name = 'test' and pid <> all ($1)";
    for (deaths, survives) in [(1, true), (2, false)] {
        gate.batch_execute("select pg_advisory_lock(7)").await.unwrap();
        let reading = actix_rt::spawn(world.ask(locked, json!([])));
        // The backends of connections that are gone may wait for a while.
        let mut gone: Vec<i32> = Vec::new();
        for _ in 0..deaths {
            until("the read waits", async || {
                world.observer.query_one(waiting, &[&gone]).await.unwrap().get::<_, i64>(0) == 1
            })
            .await;
            let all = "select array_agg(pid) from pg_stat_activity where application_name = 'test'";
            gone = world.observer.query_one(all, &[]).await.unwrap().get(0);
            wire.broken.send(()).unwrap();
        }
        if survives {
            until("it waits again", async || {
                world.observer.query_one(waiting, &[&gone]).await.unwrap().get::<_, i64>(0) == 1
            })
            .await;
        }
        gate.batch_execute("select pg_advisory_unlock(7)").await.unwrap();
        match reading.await.unwrap().unwrap() {
            Ok(answered) => assert_eq!((survives, &*answered.answer.page.json), (true, r#"["","through"]"#)),
            Err(error) => assert!(!survives && error.for_model().contains("connection closed"), "{error}"),
        }
        assert_eq!(world.rows("select 1").await, "[[1]]");
    }
}

#[actix_rt::test]
async fn a_read_that_an_administrator_ends_is_not_sent_again() {
    let mut world = World::with(Options::new(), |settings| settings.postgres.pool.size = 1).await;
    let locked = "select pg_advisory_xact_lock_shared(7)";
    // The second time it is known, and run to its end at once.
    for _ in 0..2 {
        world.query(locked).await.unwrap();
        world.finished.next().await;
    }
    let gate = connect(&world.cluster.url()).await;
    gate.batch_execute("select pg_advisory_lock(7)").await.unwrap();
    let kill = "select pg_terminate_backend(pid, 5000) from pg_stat_activity \
                where wait_event = 'advisory' and application_name = 'test'";
    let reading = actix_rt::spawn(world.ask(locked, json!([])));
    until("the read waits", async || world.observer.query_opt(kill, &[]).await.unwrap().is_some()).await;
    let error = reading.await.unwrap().unwrap().unwrap_err();
    let text = error.for_model();
    assert!(text.contains("57P01") && text.contains("pg_terminate_backend"), "{text}");
    assert!(!error.is_retryable(), "{error:?}");
    assert_eq!(world.finished.next().await.message.retries, 0);
}

/// A proxy to a port. After it is cut, it still accepts what is sent on its connections, but forwards nothing.
struct Wire {
    port: u16,
    cut: tokio::sync::watch::Sender<()>,
    /// Or closed: both sides notice that.
    broken: tokio::sync::watch::Sender<()>,
}

impl Wire {
    async fn to(port: u16) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (wire, cut) = (listener.local_addr().unwrap().port(), tokio::sync::watch::Sender::new(()));
        let broken = tokio::sync::watch::Sender::new(());
        let (cuts, breaks) = (cut.clone(), broken.clone());
        actix_rt::spawn(async move {
            while let Ok((mut here, _)) = listener.accept().await {
                let (mut cut, mut broken) = (cuts.subscribe(), breaks.subscribe());
                actix_rt::spawn(async move {
                    let mut there = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut here, &mut there) => {}
                        _ = cut.changed() => std::future::pending().await,
                        _ = broken.changed() => {}
                    }
                });
            }
        });
        Self { port: wire, cut, broken }
    }
}

#[actix_rt::test]
async fn silently_cut_connections_fail_one_call() {
    for access in [AccessMode::ReadOnly, AccessMode::ReadWrite] {
        let mut world = World::new().await;
        let wire = Wire::to(world.cluster.port()).await;
        let settings = settings_of(&world.cluster, |settings| {
            settings.access = access;
            settings.postgres.target.ports = vec![wire.port];
            settings.postgres.pool.size = 3;
            settings.postgres.pool.min_size = 3;
            settings.postgres.clocks.command_timeout = seconds(1);
        });
        world.executor = start(&settings).0;
        until("all are in the pool", async || world.status().await.idle == 3).await;
        wire.cut.send(()).unwrap();
        let error = world.query("select 1").await.unwrap_err();
        assert!(matches!(error, QueryError::NoAnswer { clock: Clock::Command, .. }), "{error}");
        let text = error.for_model();
        assert!(text.contains("No answer from the server") && text.contains("is not known"), "{text}");
        until("its connection is given up", async || world.status().await.size < 3).await;
        for _ in 0..3 {
            assert_eq!(world.rows("select 1").await, "[[1]]");
        }
    }
}

#[actix_rt::test]
async fn a_read_without_an_answer_goes_to_another_connection_if_its_call_has_time() {
    let mut world = World::new().await;
    let wire = Wire::to(world.cluster.port()).await;
    let settings = settings_of(&world.cluster, |settings| {
        settings.postgres.target.ports = vec![wire.port];
        settings.postgres.pool.size = 3;
        settings.postgres.pool.min_size = 3;
        settings.postgres.clocks.command_timeout = seconds(1);
    });
    world.executor = start(&settings).0;
    until("all are in the pool", async || world.status().await.idle == 3).await;
    wire.cut.send(()).unwrap();
    let call = CallContext { timeout: Some(PATIENCE), ..CallContext::new("a test", Caller::stdio()) };
    let query = Query { call, statement: statement("select 42", json!([])), reading: world.reading };
    assert_eq!(world.executor.send(query).await.unwrap().unwrap().answer.page.json, "[42]");
}

#[actix_rt::test]
async fn a_read_that_has_given_rows_is_not_sent_again() {
    let world = World::with(Options::new(), |settings| settings.postgres.pool.size = 1).await;
    // There are more rows than the first fetch requests, and the last one never comes.
    let sql = "select case when n = 200 then pg_sleep(60)::text else 'x' end from generate_series(1, 200) n";
    let reading = actix_rt::spawn(world.ask(sql, json!([])));
    world.until_asleep(1).await;
    world.prepare("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'test'").await;
    let error = reading.await.unwrap().unwrap().unwrap_err();
    assert!(error.for_model().contains("57P01"), "{error}");
}

#[actix_rt::test]
async fn a_connection_that_died_in_the_pool_fails_no_call() {
    for access in [AccessMode::ReadOnly, AccessMode::ReadWrite] {
        let mut world = World::with(Options::new(), |settings| {
            settings.access = access;
            settings.postgres.pool.size = 3;
            settings.postgres.pool.min_size = 3;
        })
        .await;
        for round in 0..4 {
            world.until_backends("idle", 3).await;
            until("all are in the pool", async || world.status().await.idle == 3).await;
            let pids: Vec<i32> = world
                .observer
                .query("select pid from pg_stat_activity where application_name = 'test'", &[])
                .await
                .unwrap()
                .iter()
                .map(|row| row.get(0))
                .collect();
            // This blocks the thread, so that the messages of the ended backends are read only by the next call.
            for pid in pids {
                let pid = pid.to_string();
                assert!(std::process::Command::new("kill").arg(&pid).status().unwrap().success());
                let is_there =
                    || std::process::Command::new("kill").args(["-0", &pid]).output().unwrap().status.success();
                while is_there() {}
            }
            if round % 2 == 0 {
                assert_eq!(world.rows("select 1").await, "[[1]]");
            } else {
                assert_eq!(world.batch(&[("select 1", json!([]))]).await.unwrap().answer.len(), 1);
            }
            assert!(matches!(
                world.finished.next().await.message.outcome,
                mcp_server_postgres::messages::events::StatementOutcome::Done
            ));
            // Open all connections of the pool again.
            let calls: Vec<_> = (0..3).map(|_| world.ask("select pg_sleep(0.05)", json!([]))).collect();
            for call in calls {
                call.await.unwrap().unwrap();
                world.finished.next().await;
            }
        }
        assert!(!world.log.of("connection had died in the pool").is_empty(), "the test has met a dead connection");
    }
}
