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
    assert_eq!(server.ask("tools/list", json!({})).await["result"]["tools"].as_array().unwrap().len(), 4);
    let result = server.query("select 1").await;
    assert_eq!(result["isError"], true);
    let text = result["content"][0]["text"].as_str().unwrap();
    assert!(text.contains("could not connect to PostgreSQL") && text.contains("refused"), "{text}");
    cluster.start_again().unwrap();
    assert_eq!(server.rows("select 1").await, json!([[1]]));
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
