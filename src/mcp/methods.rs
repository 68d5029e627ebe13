//! The methods of the protocol by revision, to tell known ones from unknown ones.

use rmcp::ErrorData;
use rmcp::model::ProtocolVersion;

/// Every request method of the protocol's revisions that rmcp decodes.
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

/// The methods that 2026-07-28 has removed, together with sessions.
const OF_SESSIONS: &[&str] =
    &["initialize", "logging/setLevel", "ping", "resources/subscribe", "resources/unsubscribe"];

/// The error of a request by `revision` that rmcp has decoded as none of its own. If the method is a known one, its parameters
/// do not fit (JSON-RPC, -32602); rmcp would answer that the method is unknown.
pub fn parameters_error(method: &str, revision: Option<&ProtocolVersion>) -> Option<ErrorData> {
    let why = || format!("the parameters of {method} do not fit its schema");
    let has_it = KNOWN.contains(&method) && !(revision.is_some_and(is_stateless) && OF_SESSIONS.contains(&method));
    has_it.then(|| ErrorData::invalid_params(why(), None))
}

/// Whether a revision has no sessions. Its results have a `resultType`.
pub(super) fn is_stateless(revision: &ProtocolVersion) -> bool {
    // Revisions are dates that sort as texts.
    revision.as_str() >= ProtocolVersion::V_2026_07_28.as_str()
}
