//! The questions of a call that rmcp serves: rmcp sends them itself, by ids of its own.

use std::sync::Arc;

use rmcp::model::{ElicitRequest, ServerRequest};
use rmcp::service::{Peer, ServiceError};
use rmcp::{ErrorData, RoleServer};
use serde_json::Value;
use tokio::task::JoinSet;

use super::pending::{ClientResponse, PendingQuestions, QuestionEvent};

/// The client of such a call. Dropped, it waits for nothing any more.
pub(in crate::mcp) struct AskedPeer {
    peer: Peer<RoleServer>,
    pending: Arc<PendingQuestions>,
    waiting: JoinSet<()>,
}

impl AskedPeer {
    pub(in crate::mcp) fn new(peer: Peer<RoleServer>, pending: Arc<PendingQuestions>) -> Self {
        Self { peer, pending, waiting: JoinSet::new() }
    }

    /// Send a question. The response to one that is withdrawn is ignored.
    pub(in crate::mcp) fn ask(&mut self, event: QuestionEvent) {
        if let QuestionEvent::Ask { id, parameters } = event {
            let (peer, pending) = (self.peer.clone(), self.pending.clone());
            self.waiting.spawn(async move { pending.respond(&id, response(&peer, parameters).await) });
        }
    }
}

async fn response(peer: &Peer<RoleServer>, parameters: Value) -> ClientResponse {
    let internal = |why: String| ErrorData::internal_error(why, None);
    let parameters = serde_json::from_value(parameters).map_err(|why| internal(why.to_string()))?;
    match peer.send_request(ServerRequest::ElicitRequest(ElicitRequest::new(parameters))).await {
        Ok(result) => serde_json::to_value(result).map_err(|why| internal(why.to_string())),
        Err(ServiceError::McpError(error)) => Err(error),
        Err(error) => Err(internal(error.to_string())),
    }
}
