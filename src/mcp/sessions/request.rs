//! One request of a session: a service of rmcp that lives as long as it, and the stream on which its client waits.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_util::Stream;
use rmcp::model::{ClientJsonRpcMessage, InitializeRequestParams, JsonRpcMessage, RequestId, ServerJsonRpcMessage};
use rmcp::service::serve_directly_with_ct;
use rmcp::transport::Transport;
use rmcp::transport::common::server_side_http::{ServerSseMessage, SessionId};
use rmcp::{RoleServer, ServerHandler};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::Sessions;
use crate::mcp::asking::PendingQuestions;

/// Messages about a request that its client has not taken before whoever makes them waits.
const MESSAGES: usize = 8;

/// How what a client answers reaches the request that has asked it.
pub(super) type Reply = mpsc::UnboundedSender<ClientJsonRpcMessage>;

/// Have `service` answer a request of a session that was opened with `peer`, unless it is cancelled already.
pub(super) fn serve<S: ServerHandler + Send + 'static>(
    service: S,
    message: ClientJsonRpcMessage,
    peer: InitializeRequestParams,
    unanswered: Unanswered,
) -> Answering {
    let (out, messages) = mpsc::channel(MESSAGES);
    if !unanswered.cancelled.is_cancelled() {
        let (reply, replies) = mpsc::unbounded_channel();
        let transport = OneRequest {
            message: Some(message),
            replies,
            reply,
            out,
            answered: CancellationToken::new(),
            sessions: unanswered.sessions.clone(),
            session: unanswered.session.clone(),
        };
        // A child, for rmcp cancels what it is given when the service has ended.
        let running = serve_directly_with_ct(service, transport, Some(peer), unanswered.cancelled.child_token());
        tokio::spawn(async move { drop(running.waiting().await) });
    }
    Answering { messages, unanswered: Some(unanswered) }
}

/// The transport of one request.
struct OneRequest {
    message: Option<ClientJsonRpcMessage>,
    replies: mpsc::UnboundedReceiver<ClientJsonRpcMessage>,
    /// What leads there.
    reply: Reply,
    out: mpsc::Sender<ServerJsonRpcMessage>,
    answered: CancellationToken,
    sessions: Arc<Sessions>,
    session: SessionId,
}

impl OneRequest {
    /// A request to the client has an id that no other of the session has: each service counts its own from 0.
    fn ask(&self, id: &mut RequestId) {
        if let Some(entry) = self.sessions.table().get_mut(&self.session) {
            entry.asked_before += 1;
            let own = std::mem::replace(id, RequestId::Number(entry.asked_before));
            entry.asked.insert(id.clone(), (own, self.reply.clone()));
        }
    }
}

impl Drop for OneRequest {
    fn drop(&mut self) {
        if let Some(entry) = self.sessions.table().get_mut(&self.session) {
            entry.asked.retain(|_, (_, reply)| !reply.same_channel(&self.reply));
        }
    }
}

impl Transport<RoleServer> for OneRequest {
    type Error = Infallible;

    fn send(
        &mut self,
        mut message: ServerJsonRpcMessage,
    ) -> impl Future<Output = Result<(), Infallible>> + Send + 'static {
        if let JsonRpcMessage::Request(request) = &mut message {
            self.ask(&mut request.id);
        }
        let is_answer = matches!(message, JsonRpcMessage::Response(_) | JsonRpcMessage::Error(_));
        let (out, answered) = (self.out.clone(), self.answered.clone());
        async move {
            // A client that has closed the stream has cancelled the request.
            let _ = out.send(message).await;
            if is_answer {
                answered.cancel();
            }
            Ok(())
        }
    }

    async fn receive(&mut self) -> Option<ClientJsonRpcMessage> {
        if let Some(message) = self.message.take() {
            return Some(message);
        }
        tokio::select! {
            reply = self.replies.recv() => reply,
            () = self.answered.cancelled() => None,
        }
    }

    async fn close(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

/// The messages about a request, the last of which is its answer. A cancelled request has none.
pub(super) struct Answering {
    messages: mpsc::Receiver<ServerJsonRpcMessage>,
    /// None when it is answered.
    unanswered: Option<Unanswered>,
}

impl Stream for Answering {
    type Item = ServerSseMessage;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<ServerSseMessage>> {
        let this = &mut *self;
        let Some(unanswered) = &this.unanswered else { return Poll::Ready(None) };
        let message = ready!(this.messages.poll_recv(context));
        // What is cancelled must not be answered any more (spec, cancellation).
        let message = message.filter(|_| !unanswered.cancelled.is_cancelled());
        if message.as_ref().is_none_or(|message| !is_about(message)) {
            self.unanswered = None;
        }
        Poll::Ready(message.map(ServerSseMessage::from_message))
    }
}

/// Whether more follows.
fn is_about(message: &ServerJsonRpcMessage) -> bool {
    matches!(message, JsonRpcMessage::Request(_) | JsonRpcMessage::Notification(_))
}

/// A request without an answer. Dropped, it is cancelled, if it still runs.
pub(in crate::mcp) struct Unanswered {
    pub(super) sessions: Arc<Sessions>,
    pub(super) session: SessionId,
    pub(super) request: RequestId,
    pub(super) cancelled: CancellationToken,
    /// Of its session.
    pub(in crate::mcp) questions: Arc<PendingQuestions>,
}

impl Unanswered {
    /// Wait until it is cancelled.
    pub(in crate::mcp) fn cancelled(&self) -> impl Future<Output = ()> + '_ {
        self.cancelled.cancelled()
    }
}

impl Drop for Unanswered {
    fn drop(&mut self) {
        self.cancelled.cancel();
        self.sessions.end(&self.session, &self.request);
    }
}
