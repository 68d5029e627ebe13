//! The protocol's methods by revision, for telling a known one from an unknown one.

use rmcp::ErrorData;
use rmcp::model::ProtocolVersion;

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

/// Those of them that 2026-07-28 has no more, together with its sessions.
const OF_SESSIONS: &[&str] =
    &["initialize", "logging/setLevel", "ping", "resources/subscribe", "resources/unsubscribe"];

/// The error of a request by `revision` that rmcp has decoded as none of its own, if its method is one of them: then its parameters do
/// not fit (JSON-RPC, -32602), which rmcp would call an unknown method.
pub fn misfit(method: &str, revision: Option<&ProtocolVersion>) -> Option<ErrorData> {
    let why = || format!("the parameters of {method} do not fit its schema");
    let has_it = KNOWN.contains(&method) && !(revision.is_some_and(is_stateless) && OF_SESSIONS.contains(&method));
    has_it.then(|| ErrorData::invalid_params(why(), None))
}

/// Whether a revision has no sessions, and results that say of what type they are.
pub(super) fn is_stateless(revision: &ProtocolVersion) -> bool {
    // They are dates, written so that texts are in their order.
    revision.as_str() >= ProtocolVersion::V_2026_07_28.as_str()
}
