//! Fair turns: a client that floods does not starve one that asks seldom.

use futures_util::future::join_all;

use super::*;

fn client(name: &str) -> Caller {
    Caller { name: name.into(), ..Caller::stdio() }
}

#[actix_rt::test]
async fn a_call_of_a_client_that_asks_seldom_is_answered_after_a_few_of_a_flood() {
    const FLOOD: usize = 400;
    let mut world = World::with(Options::new(), |settings| settings.postgres.pool_size = 2).await;
    let flood: Vec<_> = (0..FLOOD)
        .map(|n| actix_rt::spawn(world.ask_as(client("flooder"), &format!("select {n}, pg_sleep(0.002)"), json!([]))))
        .collect();
    until("the flood waits", async || world.status().await.waiting >= FLOOD - 50).await;
    let mut heard = 0;
    let mut asked = 0;
    for round in 0..20 {
        while let Some(event) = world.finished.heard() {
            heard += usize::from(&*event.message.client == "flooder");
        }
        let before = heard;
        let seldom = actix_rt::spawn(world.ask_as(client("seldom"), &format!("select {round}"), json!([])));
        loop {
            let event = world.finished.next().await.message;
            if &*event.client == "seldom" {
                break;
            }
            heard += 1;
        }
        seldom.await.unwrap().unwrap().unwrap();
        // Two that ran when it came, one that was next, two that had their turn while it ran; and their ends may be told
        // in another order.
        assert!(heard - before <= 6, "round {round}: {} of the flood went before", heard - before);
        asked += 1;
    }
    assert!(asked == 20 && heard < FLOOD / 2, "the flood was still there: {heard}");
    for call in join_all(flood).await {
        call.unwrap().unwrap().unwrap();
    }
}

#[actix_rt::test]
async fn a_full_line_keeps_nobody_out_who_has_less_in_it_than_another() {
    let world = World::with(Options::new(), |settings| {
        settings.postgres.pool_size = 1;
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
    // The flooder's newest has made room for it.
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
async fn a_client_that_waits_is_next_though_the_place_must_be_cleaned_or_cancelled_first() {
    let world = World::with(Options::new(), |settings| settings.postgres.pool_size = 1).await;
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
            assert!(world.backends("%").await <= 1, "a place is given on when its backend is idle or gone");
        }
    }
}
