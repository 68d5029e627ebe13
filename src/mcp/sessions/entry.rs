//! One session: its client, its requests in flight, and the questions to its client.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use rmcp::model::{ClientJsonRpcMessage, InitializeRequestParams, JsonRpcMessage, RequestId};
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::request::Reply;
use crate::actors::clients::client::Client;
use crate::mcp::asking::PendingQuestions;

/// How many cancellations of a session are remembered. A cancellation may arrive before its request.
const CANCELLED_MAX: usize = 16;

/// One session in the table.
pub(super) struct Entry {
    pub(super) owner: Arc<Client>,
    /// What the client has said about itself, with the agreed revision; none until a revision is agreed on.
    pub(super) peer: Option<InitializeRequestParams>,
    /// The requests in flight. Each token is cancelled with its request, or with the session.
    pub(super) in_flight: HashMap<RequestId, CancellationToken>,
    /// The last cancellations of requests that were not there. A cancellation comes by another connection than its request,
    /// and may be faster.
    pub(super) cancelled: VecDeque<RequestId>,
    /// Requests of rmcp to the client. The key is an id that no other request of the session has; the value is the id that
    /// rmcp gave, and where the response is to go.
    pub(super) asked: HashMap<RequestId, (RequestId, Reply)>,
    pub(super) asked_before: i64,
    /// Questions of calls that do not go through rmcp.
    pub(super) questions: Arc<PendingQuestions>,
    /// When the client last sent something.
    pub(super) seen: Instant,
    /// The stream for notifications that belong to no request. The token is cancelled when there is a newer stream.
    pub(super) standing: Option<CancellationToken>,
    pub(super) gone: CancellationToken,
    _ends_all: DropGuard,
}

impl Entry {
    pub(super) fn new(owner: Arc<Client>) -> Self {
        let gone = CancellationToken::new();
        Self {
            owner,
            peer: None,
            in_flight: HashMap::new(),
            cancelled: VecDeque::new(),
            asked: HashMap::new(),
            asked_before: 0,
            questions: Arc::default(),
            seen: Instant::now(),
            standing: None,
            _ends_all: gone.clone().drop_guard(),
            gone,
        }
    }

    /// The client has said that a request is cancelled.
    pub(super) fn cancel(&mut self, request: &RequestId) {
        match self.in_flight.get(request) {
            Some(running) => running.cancel(),
            None => {
                self.cancelled.truncate(CANCELLED_MAX - 1);
                self.cancelled.push_front(request.clone());
            }
        }
    }

    /// The client has answered a request.
    pub(super) fn answer(&mut self, mut message: ClientJsonRpcMessage) {
        let id = match &mut message {
            JsonRpcMessage::Response(response) => Some(&mut response.id),
            JsonRpcMessage::Error(error) => error.id.as_mut(),
            JsonRpcMessage::Request(_) | JsonRpcMessage::Notification(_) => None,
        };
        let Some(id) = id else { return };
        if let Some((own, reply)) = self.asked.remove(id) {
            *id = own;
            // If the request has ended, nobody waits.
            let _ = reply.send(message);
        }
    }
}
