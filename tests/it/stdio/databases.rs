//! Databases that a reload adds and removes, seen by the client.

use std::collections::HashSet;

use serde_json::{Value, json};
use tokio_postgres::NoTls;

use super::*;

/// Calls in flight at the main database at any moment.
const IN_FLIGHT: usize = 8;

/// Calls of the main database that never end: each answer is a success and has the next call sent.
struct Load {
    ids: HashSet<u64>,
    answered: usize,
}

impl Load {
    async fn begin(server: &mut Server) -> Self {
        let mut load = Self { ids: HashSet::new(), answered: 0 };
        for _ in 0..IN_FLIGHT {
            load.send(server).await;
        }
        load
    }

    async fn send(&mut self, server: &mut Server) {
        self.ids.insert(server.send_call("async_query_execute", json!({"query": "select pg_sleep(0.002)"})).await);
    }

    /// The next message that is none of the load's.
    async fn other(&mut self, server: &mut Server) -> Value {
        loop {
            let message = server.hear().await;
            if !message["id"].as_u64().is_some_and(|id| self.ids.remove(&id)) {
                return message;
            }
            assert_eq!(message["result"]["isError"], false, "a call of another database: {message}");
            self.answered += 1;
            self.send(server).await;
        }
    }

    async fn until_changed(&mut self, server: &mut Server) {
        assert_eq!(self.other(server).await["method"], "notifications/tools/list_changed");
    }

    async fn answer(&mut self, server: &mut Server, id: u64) -> Value {
        let answer = self.other(server).await;
        assert_eq!(answer["id"], id, "{answer}");
        answer["result"].clone()
    }

    /// What the list of tools says of the argument `database`.
    async fn listed(&mut self, server: &mut Server) -> Value {
        let id = server.send("tools/list", json!({})).await;
        self.answer(server, id).await["tools"][0]["inputSchema"]["properties"]["database"].clone()
    }

    async fn call(&mut self, server: &mut Server, tool: &str, arguments: Value) -> Value {
        let id = server.send_call(tool, arguments).await;
        self.answer(server, id).await
    }
}

fn text(result: &Value) -> &str {
    result["content"][0]["text"].as_str().unwrap()
}

#[tokio::test]
async fn one_that_is_added_is_served_and_one_that_is_removed_drains_while_no_other_call_fails() {
    let cluster = PrivateCluster::start().unwrap();
    let observer = observer(&cluster).await;
    observer.batch_execute("create database stock").await.unwrap();
    // Advisory locks are of a database.
    let (holder, connection) =
        tokio_postgres::connect(&format!("host=127.0.0.1 port={} user=postgres dbname=stock", cluster.port()), NoTls)
            .await
            .unwrap();
    tokio::spawn(connection);
    let (none, one) = ("# no more databases\n", "[databases.stock]\ndb = \"stock\"\n");
    let env = format!("DATABASE_URL={}\nMCP_RELOAD_DEBOUNCE_MS=20\n", cluster.url());
    let mut server = Server::start_with(&env, Some(none));
    server.initialize("2025-11-25").await;
    let file = server.folder().join("config.toml");
    let mut load = Load::begin(&mut server).await;
    assert_eq!(load.listed(&mut server).await, Value::Null);
    for round in 1..=2 {
        std::fs::write(&file, one).unwrap();
        load.until_changed(&mut server).await;
        let listed = load.listed(&mut server).await;
        assert_eq!((&listed["enum"], &listed["default"]), (&json!(["main", "stock"]), &json!("main")));
        let at_stock = |query: &str| json!({"query": query, "database": "stock", "max_rows": 1});
        let cut = "select current_database() from generate_series(1, 3)";
        let cut = load.call(&mut server, "async_query_execute", at_stock(cut)).await;
        assert_eq!(cut["structuredContent"]["rows"], json!([["stock"]]));
        let cursor = cut["structuredContent"]["cursor"].clone();

        holder.batch_execute("select pg_advisory_lock(7)").await.unwrap();
        let slow = at_stock("select 'drained' from pg_advisory_lock_shared(7)");
        let slow = server.send_call("async_query_execute", slow).await;
        until("it runs", async || {
            let sql = "select count(*) from pg_stat_activity where datname = 'stock' and wait_event_type = 'Lock'";
            observer.query_one(sql, &[]).await.unwrap().get::<_, i64>(0) == 1
        })
        .await;
        std::fs::write(&file, none).unwrap();
        load.until_changed(&mut server).await;
        assert_eq!(load.listed(&mut server).await, Value::Null);
        let refused = load.call(&mut server, "async_query_execute", at_stock("select 1")).await;
        assert!(
            text(&refused).contains("there is no database \"stock\" for this client; there are main."),
            "{refused}"
        );
        let closed = load.call(&mut server, "fetch_rows", json!({"cursor": cursor})).await;
        assert!(text(&closed).contains("this cursor was closed when the database \"stock\" was removed"), "{closed}");
        // As a client that has not read its list of tools again.
        let main = json!({"query": "select current_database()", "database": "main"});
        let main = load.call(&mut server, "async_query_execute", main).await;
        assert_eq!(main["structuredContent"]["rows"], json!([["postgres"]]));
        holder.batch_execute("select pg_advisory_unlock(7)").await.unwrap();
        assert_eq!(load.answer(&mut server, slow).await["structuredContent"]["rows"], json!([["drained"]]));
        let closed = |event: &Value| event["message"] == "pool closed" && event["context"]["database"] == "stock";
        until("its pool is closed", async || server.log().iter().filter(|event| closed(event)).count() == round).await;
    }
    assert!(load.answered > IN_FLIGHT);
    let log = server.log();
    let main = |message: &str| {
        log.iter().filter(|event| event["message"] == message && event["context"]["database"] == "main").count()
    };
    assert_eq!((main("pool rebuilt"), main("pool closed")), (0, 0), "the others notice nothing");
}
