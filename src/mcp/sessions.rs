//! Sessions of the revisions before 2026-07-28: rmcp's own, each with an owner, and never too many.
//!
//! A client sees its own sessions alone. When it closes the stream on which it waits for an answer, the call is cancelled,
//! as if it had said so: those revisions let a client come back for an answer, but a statement whose client has gone is
//! worth more to the database when it ends than to a client that may come back.

use std::collections::{HashMap, HashSet, VecDeque};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::Stream;
use rmcp::model::{
    CancelledNotification, CancelledNotificationParam, ClientJsonRpcMessage, ClientNotification, ErrorData,
    JsonRpcMessage, RequestId, ServerJsonRpcMessage,
};
use rmcp::transport::WorkerTransport;
use rmcp::transport::common::server_side_http::{ServerSseMessage, SessionId};
use rmcp::transport::streamable_http_server::session::SessionManager;
use rmcp::transport::streamable_http_server::session::local::{
    LocalSessionManager, LocalSessionManagerError, LocalSessionWorker,
};

use crate::http::client::Client;

/// Messages on their way in a session before whoever sends them waits. rmcp makes room for all of them at once, several
/// times for each session.
const CHANNEL_MESSAGES: usize = 4;

/// All sessions.
pub struct Sessions {
    inner: LocalSessionManager,
    table: Mutex<HashMap<SessionId, Entry>>,
}

struct Entry {
    owner: Arc<Client>,
    in_flight: HashSet<RequestId>,
    /// What was cancelled last. A cancellation comes by another connection than its request and may be quicker.
    cancelled: VecDeque<RequestId>,
}

/// So many cancellations of a session are remembered, for requests that they have overtaken.
const CANCELLED_MAX: usize = 16;

impl Sessions {
    /// No sessions yet; each ends when nothing has come from its client for as long as `idle`.
    pub fn new(idle: Duration) -> Self {
        let mut inner = LocalSessionManager::default();
        inner.session_config.channel_capacity = CHANNEL_MESSAGES;
        inner.session_config.keep_alive = Some(idle);
        // An answer that was given is not kept for a client that may ask for it again.
        inner.session_config.completed_cache_ttl = Duration::ZERO;
        Self { inner, table: Mutex::default() }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.table().len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whose session that is.
    pub fn owner(&self, id: &str) -> Option<Arc<Client>> {
        self.table().get(id).map(|entry| entry.owner.clone())
    }

    fn table(&self) -> MutexGuard<'_, HashMap<SessionId, Entry>> {
        // Nothing panics while it is held.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self, id: &SessionId, request: &RequestId) -> bool {
        self.table().get_mut(id).is_some_and(|entry| entry.in_flight.insert(request.clone()))
    }

    fn end(&self, id: &SessionId, request: &RequestId) {
        if let Some(entry) = self.table().get_mut(id) {
            entry.in_flight.remove(request);
        }
    }

    fn remember_cancelled(&self, id: &SessionId, request: &RequestId) {
        if let Some(entry) = self.table().get_mut(id) {
            entry.cancelled.truncate(CANCELLED_MAX - 1);
            entry.cancelled.push_front(request.clone());
        }
    }

    fn was_cancelled(&self, id: &SessionId, request: &RequestId) -> bool {
        self.table().get(id).is_some_and(|entry| entry.cancelled.contains(request))
    }

    /// Say to the session that a request is cancelled.
    async fn cancel(&self, id: &SessionId, request: RequestId, why: &str) -> Result<(), LocalSessionManagerError> {
        let cancelled = CancelledNotificationParam::new(Some(request), Some(why.to_owned()));
        let cancelled = ClientNotification::CancelledNotification(CancelledNotification::new(cancelled));
        self.inner.accept_message(id, ClientJsonRpcMessage::notification(cancelled)).await
    }
}

/// The sessions of one client.
pub struct SessionsOf {
    all: Arc<Sessions>,
    client: Arc<Client>,
}

impl SessionsOf {
    /// Those of `all` that are that client's.
    pub fn new(all: Arc<Sessions>, client: Arc<Client>) -> Self {
        Self { all, client }
    }

    /// Refuses a session that is another client's as one that is not there.
    fn own(&self, id: &SessionId) -> Result<(), LocalSessionManagerError> {
        let is_own = self.all.owner(id).is_some_and(|owner| Arc::ptr_eq(&owner, &self.client));
        if is_own { Ok(()) } else { Err(LocalSessionManagerError::SessionNotFound(id.clone())) }
    }
}

impl SessionManager for SessionsOf {
    type Error = LocalSessionManagerError;
    type Transport = WorkerTransport<LocalSessionWorker>;

    async fn create_session(&self) -> Result<(SessionId, Self::Transport), Self::Error> {
        let (id, transport) = self.all.inner.create_session().await?;
        let (in_flight, cancelled) = Default::default();
        let entry = Entry { owner: self.client.clone(), in_flight, cancelled };
        self.all.table().insert(id.clone(), entry);
        Ok((id, transport))
    }

    async fn initialize_session(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<ServerJsonRpcMessage, Self::Error> {
        self.all.inner.initialize_session(id, message).await
    }

    async fn has_session(&self, id: &SessionId) -> Result<bool, Self::Error> {
        Ok(self.own(id).is_ok() && self.all.inner.has_session(id).await?)
    }

    async fn close_session(&self, id: &SessionId) -> Result<(), Self::Error> {
        // By its client, or by rmcp when it has ended; what is not there is closed.
        if self.own(id).is_err() {
            return Ok(());
        }
        self.all.table().remove(id);
        self.all.inner.close_session(id).await
    }

    async fn create_stream(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Self::Error> {
        self.own(id)?;
        let JsonRpcMessage::Request(request) = &message else {
            return Err(LocalSessionManagerError::SessionNotFound(id.clone()));
        };
        let request = request.id.clone();
        if !self.all.begin(id, &request) {
            // rmcp would lose the answer of the first.
            let why = ErrorData::invalid_request("a request with this id is still in flight", None);
            let refusal = ServerSseMessage::from_message(ServerJsonRpcMessage::error(why, Some(request)));
            return Ok(Answering { stream: Box::pin(futures_util::stream::iter([refusal])), unanswered: None });
        }
        let unanswered = Unanswered { sessions: self.all.clone(), session: id.clone(), request: Some(request.clone()) };
        let stream: Messages = Box::pin(self.all.inner.create_stream(id, message).await?);
        if self.all.was_cancelled(id, &request) {
            self.all.cancel(id, request, "the cancellation came first").await?;
        }
        Ok(Answering { stream, unanswered: Some(unanswered) })
    }

    async fn accept_message(&self, id: &SessionId, message: ClientJsonRpcMessage) -> Result<(), Self::Error> {
        self.own(id)?;
        if let JsonRpcMessage::Notification(notification) = &message
            && let ClientNotification::CancelledNotification(cancelled) = &notification.notification
            && let Some(request) = &cancelled.params.request_id
        {
            self.all.remember_cancelled(id, request);
        }
        self.all.inner.accept_message(id, message).await
    }

    async fn create_standalone_stream(
        &self,
        id: &SessionId,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Self::Error> {
        self.own(id)?;
        self.all.inner.create_standalone_stream(id).await
    }

    async fn resume(
        &self,
        id: &SessionId,
        last_event_id: String,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Self::Error> {
        self.own(id)?;
        self.all.inner.resume(id, last_event_id).await
    }
}

type Messages = Pin<Box<dyn Stream<Item = ServerSseMessage> + Send + Sync>>;

/// The messages about a request, the last of which is its answer.
struct Answering {
    stream: Messages,
    unanswered: Option<Unanswered>,
}

impl Stream for Answering {
    type Item = ServerSseMessage;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<ServerSseMessage>> {
        let message = ready!(self.stream.as_mut().poll_next(context));
        if message.is_none()
            && let Some(unanswered) = self.unanswered.take()
        {
            unanswered.answered();
        }
        Poll::Ready(message)
    }
}

/// A request without an answer. Dropped, it is cancelled.
struct Unanswered {
    sessions: Arc<Sessions>,
    session: SessionId,
    request: Option<RequestId>,
}

impl Unanswered {
    fn answered(mut self) {
        if let Some(request) = self.request.take() {
            self.sessions.end(&self.session, &request);
        }
    }
}

impl Drop for Unanswered {
    fn drop(&mut self) {
        let Some(request) = self.request.take() else { return };
        self.sessions.end(&self.session, &request);
        if tokio::runtime::Handle::try_current().is_err() {
            return;
        }
        let (sessions, session) = (self.sessions.clone(), self.session.clone());
        tokio::spawn(async move {
            // A session that has ended has cancelled all that was its.
            let _ = sessions.cancel(&session, request, "the client has closed its stream").await;
        });
    }
}
