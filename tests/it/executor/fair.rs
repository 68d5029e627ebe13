//! The fair queue: many calls of one client do not delay the few calls of another.

use super::*;

fn client(name: &str) -> Caller {
    Caller { name: name.into(), ..Caller::stdio() }
}

/// The clients in the order in which their calls end, if all calls wait for the only connection.
async fn order_of(world: &mut World, clients: &[&str]) -> Vec<String> {
    let gate = connect(&world.cluster.url()).await;
    gate.batch_execute("select pg_advisory_lock(7)").await.unwrap();
    let wait_for_lock = "select pg_advisory_xact_lock_shared(7)::text";
    let mut calls = Vec::new();
    for (waiting, name) in clients.iter().enumerate() {
        calls.push(actix_rt::spawn(world.ask_as(client(name), wait_for_lock, json!([]))));
        until("it waits in the queue", async || {
            let status = world.status().await;
            status.waiting == waiting && status.idle == 0
        })
        .await;
    }
    gate.batch_execute("select pg_advisory_unlock(7)").await.unwrap();
    let mut order = Vec::new();
    for call in calls {
        order.push(world.finished.next().await.message.client.to_string());
        call.await.unwrap().unwrap().unwrap();
    }
    order
}

#[actix_rt::test]
async fn a_client_with_few_calls_waits_for_one_call_of_a_client_with_many() {
    let mut world = World::with(Options::new(), |settings| {
        settings.postgres.pool.size = 1;
        settings.postgres.clocks.pool_wait_timeout = seconds(60);
    })
    .await;
    let asked = [vec!["flooder"; 100], vec!["seldom"; 3], vec!["late"]].concat();
    let order = order_of(&mut world, &asked).await;
    // The first call had the connection before the other calls came.
    let begins = ["flooder", "flooder", "seldom", "late", "flooder", "seldom", "flooder", "seldom", "flooder"];
    assert_eq!(order[..begins.len()], begins);
    assert!(order[begins.len()..].iter().all(|client| client == "flooder"), "{order:?}");
}

#[actix_rt::test]
async fn a_full_queue_refuses_the_client_with_the_most_calls() {
    let world = World::with(Options::new(), |settings| {
        settings.postgres.pool.size = 1;
        settings.limits.waiting_max = 3;
    })
    .await;
    let first = actix_rt::spawn(world.ask_as(client("flooder"), "select pg_sleep(60)", json!([])));
    world.until_asleep(1).await;
    let mut flood = Vec::new();
    for n in 1..=3 {
        flood.push(actix_rt::spawn(world.ask_as(client("flooder"), &format!("select {n}"), json!([]))));
        until("it waits", async || world.status().await.waiting == n).await;
    }
    let seldom = actix_rt::spawn(world.ask_as(client("seldom"), "select 'seldom'", json!([])));
    // The newest call of the flooder was refused in its place.
    let error = flood.pop().unwrap().await.unwrap().unwrap().unwrap_err();
    assert_eq!(error, QueryError::Busy { waiting_max: 3 });
    assert_eq!(world.status().await.waiting, 3);
    first.abort();
    assert!(seldom.await.unwrap().unwrap().is_ok());
    for call in flood {
        assert!(call.await.unwrap().unwrap().is_ok());
    }
}

#[actix_rt::test]
async fn a_waiting_client_is_next_although_the_connection_must_be_cleaned_or_cancelled_first() {
    let world = World::with(Options::new(), |settings| settings.postgres.pool.size = 1).await;
    for sql in ["select pg_sleep(60)", "select 1 / 0"] {
        let first = actix_rt::spawn(world.ask(sql, json!([])));
        if sql.contains("sleep") {
            world.until_asleep(1).await;
        }
        let calls: Vec<_> = ["a", "b", "c"]
            .map(|name| actix_rt::spawn(world.ask_as(client(name), "select pg_backend_pid()", json!([]))))
            .into();
        first.abort();
        for call in calls {
            call.await.unwrap().unwrap().unwrap();
            assert!(world.backends("%").await <= 1, "a slot is freed when its backend is idle or gone");
        }
    }
}
