//! The daemon: the real binary, over real sockets, on a real PostgreSQL.

mod cursors;
mod daemon;
mod databases;
mod gate;
mod life;
mod peer;
mod protocol;
mod tolerance;

use daemon::Daemon;
use peer::{Answer, Peer};
use pg_private::PrivateCluster;
use serde_json::{Value, json};

use crate::common::postgres::{observer, until_active};
use crate::common::until;

/// A statement that runs for longer than any test, and that the guard lets through.
const ENDLESS: &str = "select count(*) from generate_series(1, 1000000) a, generate_series(1, 1000000) b";

/// A request of revision 2026-07-28, which needs no handshake, and its headers.
fn request(id: u64, method: &str, mut params: Value) -> (Vec<(&'static str, String)>, Value) {
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let mut headers = vec![("mcp-protocol-version", "2026-07-28".to_owned()), ("mcp-method", method.to_owned())];
    if let Some(name) = params["name"].as_str() {
        headers.push(("mcp-name", name.to_owned()));
    }
    (headers, json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}))
}

/// A call of the query tool, of that revision.
fn query(id: u64, sql: &str) -> (Vec<(&'static str, String)>, Value) {
    request(id, "tools/call", json!({"name": "async_query_execute", "arguments": {"query": sql}}))
}

/// The first column of the first row.
fn first(answer: &Answer) -> Value {
    let result = &answer.message()["result"];
    assert_eq!(result["isError"], false, "{result}");
    result["structuredContent"]["rows"][0][0].clone()
}

/// What a failed call says.
fn failure(answer: &Answer) -> String {
    let result = &answer.message()["result"];
    assert_eq!(result["isError"], true, "{result}");
    result["content"][0]["text"].as_str().unwrap().to_owned()
}
