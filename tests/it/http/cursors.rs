//! Answers that are read on: by whom, and by which connection.

use super::daemon::token;
use super::protocol::open_session;
use super::*;

/// Ask for more rows than the answer may have, and give the cursor for the rest.
async fn cut(peer: &mut Peer) -> Value {
    let arguments = json!({"query": "select n from generate_series(1, 5) n", "max_rows": 2});
    let cut = peer.ask(request(1, "tools/call", json!({"name": "async_query_execute", "arguments": arguments}))).await;
    cut.message()["result"]["structuredContent"]["cursor"].clone()
}

fn fetch(cursor: &Value, rows_max: u32) -> (Vec<(&'static str, String)>, Value) {
    let arguments = json!({"cursor": cursor, "max_rows": rows_max});
    request(2, "tools/call", json!({"name": "fetch_rows", "arguments": arguments}))
}

/// Wait until the server knows of no client but this one.
async fn until_alone(peer: &mut Peer) {
    until("the others have gone", async || {
        let status: Value = serde_json::from_str(&peer.get("/status.json", &[]).await.body).unwrap();
        status["server"]["clients"] == 1
    })
    .await;
}

#[actix_rt::test]
async fn without_tokens_the_handle_is_the_right_to_a_cursor_on_whatever_connection_and_in_whatever_revision() {
    let cluster = PrivateCluster::start().unwrap();
    let daemon = Daemon::on(&cluster, "").await;
    let mut observer = daemon.peer().await;
    let mut peer = daemon.peer().await;
    let cursor = cut(&mut peer).await;
    // What a client does that thinks for longer than its connections are kept.
    drop(peer);
    until_alone(&mut observer).await;
    let mut next = daemon.peer().await;
    assert_eq!(first(&next.ask(fetch(&cursor, 1)).await), 3);
    drop(next);
    until_alone(&mut observer).await;
    let mut older = daemon.peer().await;
    let session = open_session(&mut older).await;
    let arguments = json!({"cursor": cursor, "max_rows": 1});
    let params = json!({"name": "fetch_rows", "arguments": arguments});
    let of_session = json!({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": params});
    assert_eq!(first(&older.ask((session, of_session)).await), 4);
    let stranger = json!("0".repeat(32));
    assert!(failure(&older.ask(fetch(&stranger, 1)).await).contains("There is no such cursor"));
    assert_eq!(first(&observer.ask(fetch(&cursor, 1)).await), 5);
}

#[actix_rt::test]
async fn without_tokens_a_cursor_that_nobody_reads_on_ends_by_its_lifetime() {
    let cluster = PrivateCluster::start().unwrap();
    let postgres = crate::common::postgres::observer(&cluster).await;
    let daemon = Daemon::on(&cluster, "MCP_CURSOR_LIFETIME=0.5\n").await;
    let mut peer = daemon.peer().await;
    let cursor = cut(&mut peer).await;
    drop(peer);
    until("the transaction is over", async || {
        let open = "select count(*) from pg_stat_activity where state = 'idle in transaction'";
        postgres.query_one(open, &[]).await.unwrap().get::<_, i64>(0) == 0
    })
    .await;
    let refused = failure(&daemon.peer().await.ask(fetch(&cursor, 1)).await);
    assert!(refused.contains("This cursor has expired"), "{refused}");
}

#[actix_rt::test]
async fn with_tokens_a_cursor_is_its_clients_alone_on_whatever_connection() {
    let cluster = PrivateCluster::start().unwrap();
    let (alice, bob) = (token("alice", "read-only", false), token("bob", "read-only", true));
    let both = format!("{}\n{}", alice.table, bob.table);
    let daemon = Daemon::with(&cluster, "MCP_TOKENS_FILE=tokens.toml\n", &[("tokens.toml", &both)], &[]).await;
    let mut alices = daemon.peer().await.bearing(&alice.token);
    let mut bobs = daemon.peer().await.bearing(&bob.token);
    let cursor = cut(&mut alices).await;
    drop(alices);
    let refused = failure(&bobs.ask(fetch(&cursor, 1)).await);
    assert!(refused.contains("There is no such cursor: it was never given to this client"), "{refused}");
    assert_eq!(first(&daemon.peer().await.bearing(&alice.token).ask(fetch(&cursor, 1)).await), 3);
}
