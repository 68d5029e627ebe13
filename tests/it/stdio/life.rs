//! How the server begins and ends.

use serde_json::json;

use super::*;

#[tokio::test]
async fn it_ends_at_once_with_status_0_and_stops_what_runs_in_postgresql() {
    let cluster = PrivateCluster::start().unwrap();
    let observer = observer(&cluster).await;
    for end in ["end of stdin", "closed stdout", "TERM", "INT", "HUP"] {
        let mut server = Server::on(&cluster, "").await;
        server.send_call("async_query_execute", json!({"query": "select pg_sleep(60)"})).await;
        until_active(&observer, 1).await;
        match end {
            "end of stdin" => server.close_stdin(),
            "closed stdout" => server.close_stdout(),
            signal => server.signal(signal),
        }
        assert!(server.ended().await.success(), "{end}");
        until_active(&observer, 0).await;
    }
}

#[tokio::test]
async fn an_answer_that_was_cut_is_read_on_and_the_end_closes_what_is_left_open() {
    let cluster = PrivateCluster::start().unwrap();
    let observer = observer(&cluster).await;
    let open = "select count(*) from pg_stat_activity where state = 'idle in transaction'";
    for end in ["end of stdin", "TERM"] {
        let mut server = Server::on(&cluster, "").await;
        let first = json!({"query": "select n from generate_series(1, 10000000) n", "max_rows": 2});
        let first = server.call("async_query_execute", first).await["structuredContent"].take();
        assert_eq!((&first["rows"], &first["truncated"]), (&json!([[1], [2]]), &json!(true)));
        let fetch = json!({"cursor": first["cursor"], "max_rows": 3});
        let next = server.call("fetch_rows", fetch).await["structuredContent"].take();
        assert_eq!(next["rows"], json!([[3], [4], [5]]));
        assert_eq!(next["cursor"], first["cursor"]);
        let still_open = observer.query_one(open, &[]).await.unwrap().get::<_, i64>(0);
        assert_eq!(still_open, 1);
        match end {
            "end of stdin" => server.close_stdin(),
            signal => server.signal(signal),
        }
        assert!(server.ended().await.success(), "{end}");
        until("its transaction is over", async || observer.query_one(open, &[]).await.unwrap().get::<_, i64>(0) == 0)
            .await;
    }
}

#[tokio::test]
async fn it_ends_with_status_0_before_anybody_has_spoken() {
    for end in ["end of stdin", "TERM"] {
        let mut server = Server::start("POSTGRES_HOST=127.0.0.1\nPOSTGRES_PORT=1");
        server.logged("started").await;
        match end {
            "end of stdin" => server.close_stdin(),
            signal => server.signal(signal),
        }
        assert!(server.ended().await.success(), "{end}");
    }
}

#[tokio::test]
async fn a_pipe_that_ends_after_its_last_request_gets_every_answer() {
    let cluster = PrivateCluster::start().unwrap();
    let mut server = Server::on(&cluster, "").await;
    let ids = [
        server.send("tools/list", json!({})).await,
        server.send_call("async_query_execute", json!({"query": "select 1"})).await,
        server.send_call("async_query_execute", json!({"query": "select 2"})).await,
    ];
    server.close_stdin();
    let mut answered: Vec<_> = server.hear_out().await.iter().map(|answer| answer["id"].as_u64().unwrap()).collect();
    answered.sort_unstable();
    assert_eq!(answered, ids);
    assert!(server.ended().await.success());
}

#[tokio::test]
async fn it_serves_without_a_database_and_uses_it_when_it_comes_back() {
    let mut cluster = PrivateCluster::start().unwrap();
    cluster.stop().unwrap();
    let mut server = Server::on(&cluster, "POSTGRES_CONNECT_TIMEOUT=5").await;
    assert_eq!(server.ask("tools/list", json!({})).await["result"]["tools"].as_array().unwrap().len(), TOOLS.len());
    let result = server.query("select 1").await;
    assert_eq!(result["isError"], true);
    let text = result["content"][0]["text"].as_str().unwrap();
    assert!(text.contains("could not connect to PostgreSQL") && text.contains("refused"), "{text}");
    cluster.start_again().unwrap();
    assert_eq!(server.rows("select 1").await, json!([[1]]));
    // A statement of the server's own that is under way would get the message with which PostgreSQL ends the connection.
    server.logged("the role may do more than it should").await;
    let observer = observer(&cluster).await;
    let idle = "select coalesce(bool_and(state = 'idle'), false) from pg_stat_activity
                where application_name = 'mcp-server-postgres'";
    until("its connections are idle", async || observer.query_one(idle, &[]).await.unwrap().get(0)).await;
    cluster.restart().unwrap();
    server.logged("connection lost").await;
    assert_eq!(server.rows("select 1").await, json!([[1]]));
}

#[tokio::test]
async fn a_client_that_reads_nothing_does_not_stop_the_end() {
    let cluster = PrivateCluster::start().unwrap();
    let mut server = Server::on(&cluster, "MCP_MAX_ROWS=100000\nMCP_MAX_BYTES=50000000").await;
    let large = json!({"query": "select repeat('x', 1000) from generate_series(1, 2000)"});
    for _ in 0..3 {
        server.send_call("async_query_execute", large.clone()).await;
    }
    server.signal("TERM");
    assert!(server.ended().await.success());
}
