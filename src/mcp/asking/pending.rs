//! The questions to one client that have no answer yet, and how an answer finds its way to the call that waits for it.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rmcp::ErrorData;
use rmcp::model::{ClientJsonRpcMessage, JsonRpcMessage, RequestId};
use serde_json::Value;
use tokio::sync::oneshot;

/// The ids of our own requests begin so. Those of rmcp are numbers.
const PREFIX: &str = "mcp-server-postgres/question/";

/// What a client responds to a request.
pub(super) type ClientResponse = Result<Value, ErrorData>;

/// What a transport has to send.
pub(in crate::mcp) enum QuestionEvent {
    /// This request.
    Ask { id: String, parameters: Value },
    /// That nobody waits for the response to this request any more (spec, cancellation).
    Withdraw { id: String },
}

/// Those of one client.
#[derive(Debug, Default)]
pub(in crate::mcp) struct PendingQuestions(Mutex<Pending>);

#[derive(Debug, Default)]
struct Pending {
    /// How many there have been.
    count: u64,
    by_id: HashMap<String, PendingQuestion>,
}

#[derive(Debug)]
struct PendingQuestion {
    /// The call that asks.
    call: RequestId,
    responded: oneshot::Sender<ClientResponse>,
}

impl PendingQuestions {
    fn pending(&self) -> MutexGuard<'_, Pending> {
        // Nothing panics while it is locked.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there is any.
    pub(in crate::mcp) fn is_empty(&self) -> bool {
        self.pending().by_id.is_empty()
    }

    /// A new question of that call, and where its response is to go. Gives its id.
    pub(super) fn add(&self, call: RequestId, responded: oneshot::Sender<ClientResponse>) -> String {
        let mut pending = self.pending();
        pending.count += 1;
        let id = format!("{PREFIX}{}", pending.count);
        pending.by_id.insert(id.clone(), PendingQuestion { call, responded });
        id
    }

    /// Nobody waits for that response any more. Gives whether it has not come.
    pub(super) fn remove(&self, id: &str) -> bool {
        self.pending().by_id.remove(id).is_some()
    }

    /// The client has responded to a question. A response that nobody waits for is ignored.
    pub(in crate::mcp) fn respond(&self, id: &str, response: Result<Value, ErrorData>) {
        let question = self.pending().by_id.remove(id);
        if let Some(PendingQuestion { responded, .. }) = question {
            // A call that has ended in this moment does not need it.
            let _ = responded.send(response);
        }
    }

    /// Pass a message of the client on, if it is the response to a question. Any other message is given back.
    pub(in crate::mcp) fn take(&self, message: ClientJsonRpcMessage) -> Option<ClientJsonRpcMessage> {
        let id = match &message {
            JsonRpcMessage::Response(response) => Some(&response.id),
            JsonRpcMessage::Error(error) => error.id.as_ref(),
            JsonRpcMessage::Request(_) | JsonRpcMessage::Notification(_) => None,
        };
        let Some(RequestId::String(id)) = id.filter(|id| is_ours(id)).cloned() else { return Some(message) };
        match message {
            JsonRpcMessage::Response(response) => {
                self.respond(&id, Ok(serde_json::to_value(response.result).unwrap_or_default()));
            }
            JsonRpcMessage::Error(error) => self.respond(&id, Err(error.error)),
            JsonRpcMessage::Request(_) | JsonRpcMessage::Notification(_) => {}
        }
        None
    }

    /// A call has been cancelled, and with it its questions.
    pub(in crate::mcp) fn withdraw(&self, call: &RequestId) -> Vec<QuestionEvent> {
        let mut pending = self.pending();
        let withdrawn = pending.by_id.extract_if(|_, question| question.call == *call);
        withdrawn.map(|(id, _)| QuestionEvent::Withdraw { id }).collect()
    }
}

fn is_ours(id: &RequestId) -> bool {
    matches!(id, RequestId::String(id) if id.starts_with(PREFIX))
}
