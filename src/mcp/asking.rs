//! Questions to the client of a call, by the revision of the protocol.
//!
//! From 2025-06-18 to 2025-11-25 the server sends a request while the call runs, and the client responds ([`requests`]). From
//! 2026-07-28 on the call ends with a result that has the questions, and the client calls again with the answers ([`rounds`]).
//! A kind of question that the client has not declared is never sent.

use std::sync::Arc;

use rmcp::model::{ClientCapabilities, ElicitationCapability, ProtocolVersion, RequestId, RequestMetaObject};
use serde_json::{Map, Value, json};

use super::methods::is_stateless;
use crate::messages::ask::{AskClient, Asked, CannotAsk, Question};

mod peer;
mod pending;
mod requests;
mod rounds;
mod state;

pub(super) use peer::AskedPeer;
pub(super) use pending::{PendingQuestions, QuestionEvent};
pub(super) use requests::Questions;
pub(super) use rounds::Rounds;

/// The method of a question.
pub(super) const METHOD: &str = "elicitation/create";

/// What the client has said of itself where it has opened a session.
#[derive(Clone, Copy)]
pub(super) struct SessionClient<'a> {
    /// Whether it shows forms.
    pub(super) takes_forms: bool,
    /// Its questions that have no answer yet.
    pub(super) pending: &'a Arc<PendingQuestions>,
}

/// The way to ask the client of that call, and the questions that the transport has to send while the call runs.
pub(super) fn client(
    revision: &ProtocolVersion,
    call: &RequestId,
    meta: Option<&RequestMetaObject>,
    session: Option<SessionClient<'_>>,
    rounds: Rounds,
) -> (Arc<dyn AskClient>, Option<Questions>) {
    let why = if is_stateless(revision) {
        if meta.is_some_and(meta_takes_forms) {
            return (Arc::new(rounds), None);
        }
        CannotAsk::NotDeclared
    } else if revision.as_str() < ProtocolVersion::V_2025_06_18.as_str() {
        CannotAsk::OldRevision(revision.to_string())
    } else {
        match session {
            Some(SessionClient { takes_forms: true, pending }) => {
                let (client, questions) = requests::of_call(call.clone(), pending.clone());
                return (Arc::new(client), Some(questions));
            }
            _ => CannotAsk::NotDeclared,
        }
    };
    (Arc::new(why), None)
}

/// Whether a client with these capabilities shows forms.
pub(super) fn takes_forms(capabilities: &ClientCapabilities) -> bool {
    capabilities.elicitation.as_ref().is_some_and(has_forms)
}

/// The same of the capabilities that a request of a revision without sessions has.
fn meta_takes_forms(meta: &RequestMetaObject) -> bool {
    let capabilities = meta.0.0.get("io.modelcontextprotocol/clientCapabilities");
    let declared = capabilities.and_then(|capabilities| capabilities.get("elicitation")).cloned();
    declared.and_then(|declared| serde_json::from_value(declared).ok()).is_some_and(|declared| has_forms(&declared))
}

/// A client that declares neither of the two kinds means forms (spec, elicitation).
fn has_forms(declared: &ElicitationCapability) -> bool {
    declared.form.is_some() || declared.url.is_none()
}

/// The parameters of the request that asks a question. Without `mode` it is a form in every revision.
fn parameters(question: &Question) -> Value {
    json!({"message": question.message, "requestedSchema": question.form})
}

/// What a client's result says to a question.
///
/// # Errors
/// Why it is no answer, as a clause.
fn outcome(result: &Value, question: &Question) -> Result<Asked, String> {
    match result["action"].as_str() {
        Some("accept") => {
            let content = match &result["content"] {
                Value::Null => Map::new(),
                Value::Object(content) => content.clone(),
                _ => return Err("`content` is not an object".to_owned()),
            };
            question.misfit(&content).map_or(Ok(Asked::Accepted(content)), Err)
        }
        Some("decline") => Ok(Asked::Declined),
        Some("cancel") => Ok(Asked::Cancelled),
        _ => Err("`action` is not accept, decline or cancel".to_owned()),
    }
}
