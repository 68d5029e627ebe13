//! A changed `.env`, seen by the client.

use serde_json::json;

use super::*;

const QUICK: &str = "MCP_RELOAD_DEBOUNCE_MS=20";

#[tokio::test]
async fn a_change_of_the_mode_is_told_to_the_client_and_its_tools_say_so() {
    let cluster = PrivateCluster::start().unwrap();
    let env = |mode: &str| format!("DATABASE_URL={}\n{QUICK}\nMCP_ACCESS_MODE={mode}\n", cluster.url());
    let mut server = Server::start(&env("read-only"));
    server.initialize("2025-11-25").await;
    for (mode, read_only) in [("read-write", false), ("read-only", true)] {
        std::fs::write(server.env_file(), env(mode)).unwrap();
        assert_eq!(server.hear().await["method"], "notifications/tools/list_changed");
        let listed = server.ask("tools/list", json!({})).await;
        let annotations = &listed["result"]["tools"][0]["annotations"];
        assert_eq!(annotations["readOnlyHint"], read_only, "{annotations}");
        assert_eq!(annotations["destructiveHint"], !read_only, "{annotations}");
        let result = server.query(&format!("create table t_{read_only} (n int)")).await;
        assert_eq!(result["isError"], read_only, "{result}");
    }
}

#[tokio::test]
async fn a_changed_pool_is_used_by_the_next_call_and_no_call_fails() {
    let cluster = PrivateCluster::start().unwrap();
    let env = |name: usize| format!("DATABASE_URL={}\n{QUICK}\nPOSTGRES_APPLICATION_NAME=name{name}\n", cluster.url());
    let mut server = Server::start(&env(1));
    server.initialize("2025-11-25").await;
    let arguments = json!({"query": "select pg_sleep(0.002)"});
    for generation in 2..=4 {
        for _ in 0..20 {
            server.send_call("async_query_execute", arguments.clone()).await;
        }
        std::fs::write(server.env_file(), env(generation)).unwrap();
        let mut in_flight = 20;
        while in_flight > 0 {
            let answer = server.hear().await;
            assert_eq!(answer["result"]["isError"], false, "{answer}");
            in_flight -= 1;
            if answer["result"]["structuredContent"]["generation"].as_u64().unwrap() < generation as u64 {
                server.send_call("async_query_execute", arguments.clone()).await;
                in_flight += 1;
            }
        }
    }
}

#[tokio::test]
async fn a_broken_file_changes_nothing_and_the_log_says_what_is_wrong() {
    let cluster = PrivateCluster::start().unwrap();
    let mut server = Server::on(&cluster, QUICK).await;
    let good = std::fs::read_to_string(server.env_file()).unwrap();
    std::fs::write(server.env_file(), format!("{good}\nPOSTGRES_POOL_SIZE=none\n")).unwrap();
    let event = server.logged("settings not reloaded, the old ones stay").await;
    assert!(event["context"]["why"].as_str().unwrap().contains("POSTGRES_POOL_SIZE"), "{event}");
    assert_eq!(server.rows("select 1").await, json!([[1]]));
    std::fs::write(server.env_file(), format!("{good}\nPOSTGRES_POOL_SIZE=3\n")).unwrap();
    server.logged("pool settings changed").await;
}

#[tokio::test]
async fn a_changed_log_level_rebuilds_no_pool() {
    let cluster = PrivateCluster::start().unwrap();
    let mut server = Server::on(&cluster, QUICK).await;
    server.rows("select 'before'").await;
    server.logged("query executed").await;
    let env = std::fs::read_to_string(server.env_file()).unwrap();
    std::fs::write(server.env_file(), format!("{env}\nMCP_LOG_LEVEL=debug\n")).unwrap();
    server.logged("settings reloaded").await;
    let result = server.query("select 'after'").await;
    assert_eq!(result["structuredContent"]["generation"], 1);
    server.logged("call begins").await;
    assert!(server.log().iter().all(|event| event["message"] != "pool rebuilt"));
}
