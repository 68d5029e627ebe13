//! The official client of the protocol's Rust SDK.

use std::sync::Arc;

use rmcp::model::{CallToolRequestParams, ClientConfig, ProtocolVersion, SubscriptionFilter};
use rmcp::service::{ClientLifecycleMode, ClientServiceExt, NotificationContext, RunningService};
use rmcp::transport::TokioChildProcess;
use rmcp::{ClientHandler, RoleClient};
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::server::command;
use super::*;

#[derive(Clone, Default)]
struct Host {
    tools_changed: Arc<Notify>,
}

impl ClientHandler for Host {
    fn get_info(&self) -> ClientConfig {
        ClientConfig::default()
    }

    async fn on_tool_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.tools_changed.notify_one();
    }
}

async fn client(folder: &std::path::Path, lifecycle: ClientLifecycleMode) -> RunningService<RoleClient, Host> {
    // Its log is in the folder; the transport would give it ours.
    let log = std::fs::File::create(folder.join("log")).unwrap();
    let (transport, _) = TokioChildProcess::builder(command(folder)).stderr(log).spawn().unwrap();
    Host::default().serve_with_lifecycle(transport, lifecycle).await.unwrap()
}

fn discover() -> ClientLifecycleMode {
    ClientLifecycleMode::Discover { preferred_versions: vec![ProtocolVersion::V_2026_07_28] }
}

fn call(tool: &'static str, arguments: Value) -> CallToolRequestParams {
    CallToolRequestParams::new(tool).with_arguments(arguments.as_object().unwrap().clone())
}

/// What a client is told of the tools, and its size: the first thing that every conversation pays for.
#[tokio::test]
async fn the_tools_are_listed_as_they_were_agreed_in_less_than_10_kib() {
    let mut server = Server::start("POSTGRES_PORT=1\nPOSTGRES_HOST=127.0.0.1");
    server.initialize("2025-11-25").await;
    let listed = server.ask("tools/list", json!({})).await;
    assert!(listed.to_string().len() < 10 * 1024, "{} bytes", listed.to_string().len());
    let agreed = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/stdio/tools.json");
    let now = serde_json::to_string_pretty(&listed["result"]["tools"]).unwrap() + "\n";
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(agreed, &now).unwrap();
    }
    assert_eq!(std::fs::read_to_string(agreed).unwrap(), now, "agreed? Then run it with UPDATE_SNAPSHOTS=1");
}

#[tokio::test]
async fn both_kinds_of_session_list_and_call_the_tools() {
    let cluster = PrivateCluster::start().unwrap();
    for (lifecycle, version) in
        [(ClientLifecycleMode::Initialize, ProtocolVersion::V_2025_11_25), (discover(), ProtocolVersion::V_2026_07_28)]
    {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(".env"), format!("DATABASE_URL={}", cluster.url())).unwrap();
        let client = client(folder.path(), lifecycle).await;
        assert_eq!(client.peer_info().unwrap().protocol_version, version);
        let names: Vec<_> = client.list_all_tools().await.unwrap().into_iter().map(|tool| tool.name).collect();
        assert_eq!(
            names,
            ["async_query_execute", "fetch_rows", "batch_query_execute", "performance_summary", "slow_queries"]
        );
        let result = client.call_tool(call("async_query_execute", json!({"query": "select 1 as one"}))).await.unwrap();
        assert_eq!(result.structured_content.unwrap()["rows"], json!([[1]]));
        let result = client.call_tool(call("async_query_execute", json!({"query": "selekt"}))).await.unwrap();
        assert_eq!(result.is_error, Some(true));
        let many: Vec<_> = (0..50)
            .map(|n| {
                client.call_tool(call("async_query_execute", json!({"query": "select $1::int", "parameters": [n]})))
            })
            .collect();
        for (n, result) in futures_util::future::join_all(many).await.into_iter().enumerate() {
            assert_eq!(result.unwrap().structured_content.unwrap()["rows"], json!([[n]]));
        }
        client.cancel().await.unwrap();
    }
}

#[tokio::test]
async fn a_change_of_the_mode_reaches_a_client_of_either_kind() {
    let cluster = PrivateCluster::start().unwrap();
    let env =
        |mode: &str| format!("DATABASE_URL={}\nMCP_RELOAD_DEBOUNCE_MS=20\nMCP_ACCESS_MODE={mode}\n", cluster.url());
    for lifecycle in [ClientLifecycleMode::Initialize, discover()] {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(".env");
        std::fs::write(&file, env("read-only")).unwrap();
        let client = client(folder.path(), lifecycle.clone()).await;
        if lifecycle == ClientLifecycleMode::Initialize {
            std::fs::write(&file, env("read-write")).unwrap();
            tokio::time::timeout(crate::common::PATIENCE, client.service().tools_changed.notified()).await.unwrap();
        } else {
            let mut filter = SubscriptionFilter::default();
            filter.tools_list_changed = Some(true);
            let mut subscription = client.listen(filter).await.unwrap();
            std::fs::write(&file, env("read-write")).unwrap();
            let told = tokio::time::timeout(crate::common::PATIENCE, subscription.next()).await.unwrap().unwrap();
            assert!(format!("{told:?}").contains("ToolListChanged"), "{told:?}");
        }
        let tools = client.list_all_tools().await.unwrap();
        assert_eq!(tools[0].annotations.as_ref().unwrap().read_only_hint, Some(false));
        client.cancel().await.unwrap();
    }
}
