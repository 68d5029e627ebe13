//! What the log of a session holds, and what it does not.

use serde_json::json;

use super::*;

#[tokio::test]
async fn every_line_of_the_log_is_an_event_with_its_fields_in_order() {
    let cluster = PrivateCluster::start().unwrap();
    let mut server = Server::on(&cluster, "MCP_LOG_LEVEL=debug\nMCP_LOG_FILE=file.log").await;
    server.call("async_query_execute", json!({"query": "select $1::int, 'in the text'", "parameters": ["4711"]})).await;
    server.query("select 1 / 0").await;
    server.close_stdin();
    assert!(server.ended().await.success());
    let log = server.log();
    for event in &log {
        let keys: Vec<_> = event.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(
            keys,
            ["timestamp", "level", "logger", "message", "module", "function", "line", "context"],
            "{event}"
        );
    }
    let find = |message: &str| log.iter().find(|event| event["message"] == message).expect(message);
    for message in ["started", "connection opened", "ended"] {
        assert_eq!(find(message)["level"], "INFO", "{message}");
    }
    let executed = &find("query executed")["context"];
    assert_eq!(executed["sql"], "select $1::int, 'in the text'");
    assert_eq!((&executed["operation"], &executed["rows"]), (&json!("SELECT"), &json!(1)));
    assert!(executed["execution_us"].as_u64().unwrap() > 0);
    assert_eq!(executed.get("parameters"), None, "only with MCP_LOG_PARAMETERS");
    assert_eq!(find("query failed")["context"]["sqlstate"], "22012");
    assert!(!log.iter().any(|event| event.to_string().contains("4711")));
    let in_file = std::fs::read_to_string(server.folder().join("file.log")).unwrap();
    assert_eq!(in_file.lines().count(), log.len());
}

#[tokio::test]
async fn parameters_are_logged_where_the_operator_wants_them() {
    let cluster = PrivateCluster::start().unwrap();
    let mut server = Server::on(&cluster, "MCP_LOG_PARAMETERS=true").await;
    server.call("async_query_execute", json!({"query": "select $1::int", "parameters": [4711]})).await;
    assert_eq!(server.logged("query executed").await["context"]["parameters"], json!([4711]));
}

#[tokio::test]
async fn no_password_is_ever_said() {
    let options = pg_private::Options::new().password("hunter2");
    let cluster = options.start().unwrap();
    let right = format!("MCP_LOG_LEVEL=debug\nMCP_RELOAD_DEBOUNCE_MS=20\nDATABASE_URL={}\n", cluster.url());
    let mut server = Server::start(&right.replace("hunter2", "hunter3"));
    server.initialize("2025-11-25").await;
    let refused = server.query("select 1").await;
    assert!(refused["content"][0]["text"].as_str().unwrap().contains("28P01"), "{refused}");
    std::fs::write(server.env_file(), &right).unwrap();
    server.logged("pool rebuilt").await;
    assert_eq!(server.rows("select 1").await, json!([[1]]));
    std::fs::write(server.env_file(), right.replace("5", "x").replace("postgres://", "postgres:/")).unwrap();
    server.logged("settings not reloaded, the old ones stay").await;
    let log = std::fs::read_to_string(server.folder().join("stderr")).unwrap();
    assert!(!log.contains("hunter") && !refused.to_string().contains("hunter"), "{log}");
}
