//! The protocol's methods, for telling a known one from an unknown one.

use rmcp::ErrorData;

/// Every request method of the protocol's revisions that rmcp decodes by itself.
pub(super) const KNOWN: &[&str] = &[
    "completion/complete",
    "initialize",
    "logging/setLevel",
    "ping",
    "prompts/get",
    "prompts/list",
    "resources/directory/read",
    "resources/list",
    "resources/read",
    "resources/subscribe",
    "resources/templates/list",
    "resources/unsubscribe",
    "server/discover",
    "skills/get",
    "skills/list",
    "subscriptions/listen",
    "tasks/cancel",
    "tasks/get",
    "tasks/update",
    "tools/call",
    "tools/list",
];

/// The error of a request that rmcp has decoded as none of its own, if its method is one of them: then its parameters do
/// not fit (JSON-RPC, -32602), which rmcp would call an unknown method.
pub fn misfit(method: &str) -> Option<ErrorData> {
    let why = || format!("the parameters of {method} do not fit its schema");
    KNOWN.contains(&method).then(|| ErrorData::invalid_params(why(), None))
}
