//! Databases that a reload adds and removes, seen by the clients of the daemon and by its operator.

use std::cell::Cell;
use std::rc::Rc;

use mcp_server_postgres::http::token::make;
use tokio_postgres::NoTls;

use super::protocol::{open_session, stand};
use super::*;

const NONE: &str = "# no more databases\n";

/// A call of the query tool at that database.
fn at(database: &str, id: u64, sql: &str) -> (Vec<(&'static str, String)>, Value) {
    let arguments = json!({"query": sql, "database": database, "max_rows": 1});
    request(id, "tools/call", json!({"name": "async_query_execute", "arguments": arguments}))
}

/// What the list of tools says of the argument `database`.
async fn listed(peer: &mut Peer) -> Value {
    let listed = peer.ask(request(1, "tools/list", json!({}))).await;
    listed.message()["result"]["tools"][0]["inputSchema"]["properties"]["database"]["enum"].clone()
}

async fn listen(peer: &mut Peer) {
    peer.say(request(1, "subscriptions/listen", json!({"notifications": {"toolsListChanged": true}}))).await;
    peer.head().await;
    assert_eq!(peer.event().await["method"], "notifications/subscriptions/acknowledged");
}

async fn document(peer: &mut Peer, path: &str) -> Value {
    serde_json::from_str(&peer.get(path, &[]).await.body).unwrap()
}

/// Clients that ask the main database without a pause, until they are told to stop. Each call has to succeed.
struct Load {
    stop: Rc<Cell<bool>>,
    answered: Rc<Cell<usize>>,
    clients: Vec<tokio::task::JoinHandle<()>>,
}

impl Load {
    async fn begin(daemon: &Daemon, token: Option<&str>) -> Self {
        let (stop, answered) = (Rc::new(Cell::new(false)), Rc::new(Cell::new(0)));
        let mut clients = Vec::new();
        for _ in 0..4 {
            let mut peer = daemon.peer().await;
            if let Some(token) = token {
                peer = peer.bearing(token);
            }
            let (stop, answered) = (stop.clone(), answered.clone());
            clients.push(actix_rt::spawn(async move {
                while !stop.get() {
                    assert_eq!(first(&peer.ask(query(9, "select 1")).await), 1);
                    answered.set(answered.get() + 1);
                }
            }));
        }
        Self { stop, answered, clients }
    }

    /// So many calls more were answered.
    async fn until_answered(&self, more: usize) {
        let before = self.answered.get();
        until("calls of the others are answered", async || self.answered.get() >= before + more).await;
    }

    async fn end(self) {
        self.stop.set(true);
        for client in self.clients {
            client.await.unwrap();
        }
    }
}

#[actix_rt::test]
async fn one_that_is_added_is_served_and_one_that_is_removed_drains_while_no_other_call_fails() {
    let cluster = PrivateCluster::start().unwrap();
    observer(&cluster).await.batch_execute("create database stock").await.unwrap();
    let stock = format!("host=127.0.0.1 port={} user=postgres dbname=stock", cluster.port());
    let (holder, connection) = tokio_postgres::connect(&stock, NoTls).await.unwrap();
    actix_rt::spawn(connection);
    let env = "MCP_FUNCTIONS_ALLOW=pg_advisory_lock_shared\n";
    let daemon = Daemon::with(&cluster, env, &[("config.toml", NONE)], &[]).await;
    let load = Load::begin(&daemon, None).await;
    let (mut listener, mut older) = (daemon.peer().await, daemon.peer().await);
    listen(&mut listener).await;
    let session = open_session(&mut older).await;
    stand(&mut older, &session).await;
    let (mut client, mut operator) = (daemon.peer().await, daemon.peer().await);
    assert_eq!(listed(&mut client).await, Value::Null);
    load.until_answered(20).await;

    daemon.write("config.toml", "[databases.stock]\ndb = \"stock\"\n");
    for peer in [&mut listener, &mut older] {
        assert_eq!(peer.event().await["method"], "notifications/tools/list_changed");
    }
    assert_eq!(listed(&mut client).await, json!(["main", "stock"]));
    let discovered = client.ask(request(2, "server/discover", json!({}))).await.message();
    let instructions = discovered["result"]["instructions"].as_str().unwrap();
    assert!(instructions.contains(" stock is in read-only mode"));
    // The role is a superuser. That is for operators, and not for models.
    assert!(!instructions.contains("superuser") && !instructions.contains("role"), "{instructions}");
    let cut = client.ask(at("stock", 3, "select current_database() from generate_series(1, 3)")).await;
    assert_eq!(first(&cut), "stock");
    let cursor = cut.message()["result"]["structuredContent"]["cursor"].clone();
    assert!(operator.get("/metrics", &[]).await.body.contains("_database_up{database=\"stock\"} 1"));

    holder.batch_execute("select pg_advisory_lock(7)").await.unwrap();
    let mut slow = daemon.peer().await;
    slow.say(at("stock", 4, "select 'drained' from pg_advisory_lock_shared(7)")).await;
    let mut in_flight = async || {
        let calls = document(&mut operator, "/status.json").await["calls"].clone();
        calls.as_array().unwrap().iter().filter(|call| call["database"] == "stock").cloned().collect::<Vec<_>>()
    };
    until("it runs", async || in_flight().await.iter().any(|call| call["phase"] == "running")).await;
    daemon.write("config.toml", NONE);
    for peer in [&mut listener, &mut older] {
        assert_eq!(peer.event().await["method"], "notifications/tools/list_changed");
    }
    assert_eq!(listed(&mut client).await, Value::Null);
    let refused = failure(&client.ask(at("stock", 5, "select 1")).await);
    assert!(refused.contains("there is no database \"stock\" for this client; there are main."), "{refused}");
    let fetch = json!({"name": "fetch_rows", "arguments": {"cursor": cursor}});
    let closed = failure(&client.ask(request(6, "tools/call", fetch)).await);
    assert!(closed.contains("this cursor was closed when the database \"stock\" was removed"), "{closed}");
    assert_eq!(in_flight().await.len(), 1, "an operator sees the call that is in flight still");
    let ready = document(&mut operator, "/readyz").await;
    assert_eq!((&ready["state"], ready["databases"].as_array().unwrap().len()), (&json!("up"), 1), "{ready}");
    let figures = operator.get("/metrics", &[]).await.body;
    assert!(!figures.contains("_database_up{database=\"stock\"}"), "gauges of what is gone are gone");
    assert!(figures.contains("_statements_total{database=\"stock\""), "what was counted stays");

    holder.batch_execute("select pg_advisory_unlock(7)").await.unwrap();
    assert_eq!(first(&slow.answer().await), "drained");
    let closed = || daemon.log_of("pool closed").into_iter().filter(|line| line["context"]["database"] == "stock");
    until("its pool is closed", async || closed().count() == 1).await;
    load.until_answered(20).await;
    load.end().await;
    for message in ["pool rebuilt", "pool closed"] {
        let main = daemon.log_of(message).into_iter().filter(|line| line["context"]["database"] == "main").count();
        assert_eq!(main, 0, "{message}: the others notice nothing");
    }
}

#[actix_rt::test]
async fn a_client_whose_database_comes_later_is_served_when_it_comes_and_the_others_are_told_nothing() {
    let cluster = PrivateCluster::start().unwrap();
    let mut later = PrivateCluster::start().unwrap();
    let toml = format!("[databases.stock]\nurl = \"{}\"\n", later.url());
    later.stop().unwrap();
    let token = |name, databases: &[&str]| make(name, "read-only", databases, false).unwrap();
    let (alice, bob, carol) = (token("alice", &["main"]), token("bob", &["stock"]), token("carol", &["main", "stock"]));
    let files = [("config.toml", NONE), ("tokens.toml", alice.table.as_str())];
    let daemon = Daemon::with(&cluster, "MCP_TOKENS_FILE=tokens.toml\n", &files, &[]).await;
    let load = Load::begin(&daemon, Some(&alice.token)).await;
    let mut alices = daemon.peer().await.bearing(&alice.token);
    listen(&mut alices).await;

    daemon.write("config.toml", &toml);
    let mut anybody = daemon.peer().await;
    until("it is pending", async || document(&mut anybody, "/readyz").await["state"] == "degraded").await;
    let ready = anybody.get("/readyz/stock", &[]).await;
    assert_eq!(ready.status, 503);
    assert!(ready.body.contains("a reload has added it, and it is not served yet"), "{}", ready.body);
    daemon.write("tokens.toml", &[alice.table.as_str(), &bob.table, &carol.table].concat());
    daemon.until_logged("settings reloaded", 2).await;
    let (mut bobs, mut carols) = (daemon.peer().await.bearing(&bob.token), daemon.peer().await.bearing(&carol.token));
    let refused = failure(&bobs.ask(query(1, "select 1")).await);
    assert!(refused.contains("no database that this client may ask is served now"), "{refused}");
    assert_eq!(listed(&mut carols).await, Value::Null);
    let mut stands = daemon.peer().await.bearing(&bob.token);
    let session = open_session(&mut stands).await;
    stand(&mut stands, &session).await;
    let mut listener = daemon.peer().await.bearing(&carol.token);
    listen(&mut listener).await;

    later.start_again().unwrap();
    // It is tried again by itself.
    for peer in [&mut stands, &mut listener] {
        assert_eq!(peer.event().await["method"], "notifications/tools/list_changed");
    }
    assert_eq!(first(&bobs.ask(query(2, "select 1")).await), 1);
    assert_eq!(listed(&mut bobs).await, Value::Null);
    assert_eq!(listed(&mut carols).await, json!(["main", "stock"]));
    assert_eq!(first(&carols.ask(at("stock", 3, "select inet_server_port()")).await), later.port());
    assert_eq!(document(&mut anybody, "/readyz").await["state"], "up");
    // What comes next for alice is the end of the process, and no notification.
    load.until_answered(10).await;
    load.end().await;
    daemon.signal("TERM");
    let rest = alices.rest().await;
    assert!(!rest.contains("list_changed"), "{rest}");
}
