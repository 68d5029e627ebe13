//! Sessions of the revisions before 2026-07-28: entries in a table, each with an owner, and a limited number of them.
//!
//! rmcp's own sessions have a task and five channels each, some 100 KiB, even while their client does nothing. Here a session
//! is what its client said when it opened it. Each request is served by a service of rmcp that lives as long as the request,
//! as in the revisions without sessions.
//!
//! A client sees only its own sessions. When it closes the stream on which it waits for an answer, the call is cancelled.
//! Those revisions let a client come back for the answer. But the running statement costs the database, and few clients come
//! back.

mod entry;
mod request;
mod standing;

use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use futures_util::Stream;
use futures_util::future::Either;
use rmcp::model::{
    ClientJsonRpcMessage, ClientNotification, ClientRequest, ErrorData, InitializeRequestParams, JsonRpcMessage,
    RequestId, ServerJsonRpcMessage, ServerResult,
};
use rmcp::transport::Transport;
use rmcp::transport::common::server_side_http::{ServerSseMessage, SessionId, session_id};
use rmcp::transport::streamable_http_server::session::SessionManager;
use rmcp::{RoleServer, ServerHandler};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::actors::clients::client::Client;
use entry::Entry;
pub(super) use request::Unanswered;

/// How often idle sessions are looked for: the shortest and the longest interval.
const LOOK_EVERY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(60));

pub struct Sessions {
    /// In boxes, because up to half of a table's slots are empty.
    table: Mutex<HashMap<SessionId, Box<Entry>>>,
    idle: Duration,
}

impl Sessions {
    /// No sessions yet. A session ends when its client has sent nothing for the time `idle` and waits for nothing.
    pub fn new(idle: Duration) -> Self {
        Self { table: Mutex::default(), idle }
    }

    pub fn len(&self) -> usize {
        self.table().len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The owner of that session.
    pub fn owner(&self, id: &str) -> Option<Arc<Client>> {
        self.table().get(id).map(|entry| entry.owner.clone())
    }

    /// Whether that client has that session.
    pub(super) fn has(&self, id: &str, client: &Client) -> bool {
        self.table().get(id).is_some_and(|entry| std::ptr::eq(&*entry.owner, client))
    }

    /// Whether a call of that session waits for an answer of its client.
    pub fn is_asking(&self, id: &str) -> bool {
        self.table().get(id).is_some_and(|entry| !entry.questions.is_empty())
    }

    /// End idle sessions, for as long as the table exists.
    pub async fn end_idle(sessions: Weak<Self>) {
        while let Some(all) = sessions.upgrade() {
            let every = (all.idle / 4).clamp(LOOK_EVERY.0, LOOK_EVERY.1);
            drop(all);
            tokio::time::sleep(every).await;
            let Some(sessions) = sessions.upgrade() else { return };
            let now = Instant::now();
            sessions.table().retain(|_, entry| {
                !entry.in_flight.is_empty() || entry.standing.is_some() || now < entry.seen + sessions.idle
            });
        }
    }

    fn table(&self) -> MutexGuard<'_, HashMap<SessionId, Box<Entry>>> {
        // Nothing panics while it is locked.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The result of `work` on that session. A session of another client is treated as if it did not exist.
    fn with<T>(&self, id: &SessionId, client: &Client, work: impl FnOnce(&mut Entry) -> T) -> Result<T, NoSession> {
        let mut table = self.table();
        let entry = table.get_mut(id).filter(|entry| std::ptr::eq(&*entry.owner, client));
        let entry = entry.ok_or_else(|| NoSession(id.clone()))?;
        entry.seen = Instant::now();
        Ok(work(entry))
    }

    /// A request of a session has come.
    ///
    /// # Errors
    /// The client has no such session, or no revision is agreed on there yet.
    pub(super) fn begin(
        self: &Arc<Self>,
        id: &SessionId,
        client: &Client,
        request: RequestId,
    ) -> Result<Begun, NoSession> {
        let begun = self.with(id, client, |entry| {
            let peer = entry.peer.clone()?;
            if entry.in_flight.contains_key(&request) {
                return Some(Err("a request with this id is still in flight"));
            }
            let cancelled = entry.gone.child_token();
            if entry.cancelled.contains(&request) {
                cancelled.cancel();
            }
            entry.in_flight.insert(request.clone(), cancelled.clone());
            Some(Ok((peer, cancelled, entry.questions.clone())))
        })?;
        Ok(match begun.ok_or_else(|| NoSession(id.clone()))? {
            Ok((peer, cancelled, questions)) => {
                let unanswered =
                    Unanswered { sessions: self.clone(), session: id.clone(), request, cancelled, questions };
                Begun::Unanswered(Box::new(peer), unanswered)
            }
            Err(why) => Begun::Refused(why),
        })
    }

    /// A request is answered, or is cancelled.
    fn end(&self, id: &SessionId, request: &RequestId) {
        if let Some(entry) = self.table().get_mut(id) {
            entry.in_flight.remove(request);
            entry.seen = Instant::now();
        }
    }
}

/// The decision on a request that has come.
pub(super) enum Begun {
    /// It is accepted, from a client that has said this about itself.
    Unanswered(Box<InitializeRequestParams>, Unanswered),
    /// It is refused.
    Refused(&'static str),
}

/// The session does not exist, or belongs to another client.
#[derive(Debug)]
pub struct NoSession(SessionId);

impl fmt::Display for NoSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "there is no session {}", self.0)
    }
}

impl std::error::Error for NoSession {}

/// The sessions of one client, for one request. `serve` makes the server that answers.
pub struct SessionsOf<F> {
    all: Arc<Sessions>,
    client: Arc<Client>,
    serve: F,
    /// This request opens a session.
    opens: AtomicBool,
    /// The channels for the opening message and its answer.
    opening: Mutex<Option<Opening>>,
}

type Opening = (oneshot::Sender<ClientJsonRpcMessage>, oneshot::Receiver<ServerJsonRpcMessage>);

impl<F> SessionsOf<F> {
    /// The sessions of that client.
    pub fn new(all: Arc<Sessions>, client: Arc<Client>, serve: F) -> Self {
        Self { all, client, serve, opens: AtomicBool::new(false), opening: Mutex::default() }
    }

    fn with<T>(&self, id: &SessionId, work: impl FnOnce(&mut Entry) -> T) -> Result<T, NoSession> {
        self.all.with(id, &self.client, work)
    }
}

impl<F, S> SessionManager for SessionsOf<F>
where
    F: Fn(&Arc<Client>) -> S + Send + Sync + 'static,
    S: ServerHandler + Send + 'static,
{
    type Error = NoSession;
    type Transport = Handshake;

    async fn create_session(&self) -> Result<(SessionId, Handshake), NoSession> {
        let id = session_id();
        let ((opens, message), (answer, answered)) = (oneshot::channel(), oneshot::channel());
        self.opens.store(true, Ordering::Relaxed);
        *self.opening.lock().unwrap_or_else(PoisonError::into_inner) = Some((opens, answered));
        self.all.table().insert(id.clone(), Box::new(Entry::new(self.client.clone())));
        Ok((id, Handshake { message: Some(message), answer: Some(answer) }))
    }

    async fn initialize_session(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<ServerJsonRpcMessage, NoSession> {
        let none = || NoSession(id.clone());
        let opening = self.opening.lock().unwrap_or_else(PoisonError::into_inner).take();
        let (opens, answered) = opening.ok_or_else(none)?;
        let mut peer = match &message {
            JsonRpcMessage::Request(request) => match &request.request {
                ClientRequest::InitializeRequest(request) => Some(request.params.clone()),
                _ => None,
            },
            _ => None,
        };
        let _ = opens.send(message);
        let answer = answered.await;
        if let Ok(JsonRpcMessage::Response(response)) = &answer
            && let ServerResult::InitializeResult(result) = &response.result
            && let Some(mut peer) = peer.take()
        {
            peer.protocol_version = result.protocol_version.clone();
            self.with(id, |entry| entry.peer = Some(peer))?;
        } else {
            self.all.table().remove(id);
        }
        answer.map_err(|_| none())
    }

    async fn has_session(&self, id: &SessionId) -> Result<bool, NoSession> {
        Ok(self.with(id, |entry| entry.peer.is_some()).unwrap_or(false))
    }

    async fn close_session(&self, id: &SessionId) -> Result<(), NoSession> {
        // rmcp also calls this when it has served the request that opens a session. A session that does not exist is closed
        // already.
        if !self.opens.load(Ordering::Relaxed) && self.with(id, |_| ()).is_ok() {
            self.all.table().remove(id);
        }
        Ok(())
    }

    async fn create_stream(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, NoSession> {
        let JsonRpcMessage::Request(request) = &message else { return Err(NoSession(id.clone())) };
        let request = request.id.clone();
        match self.all.begin(id, &self.client, request.clone())? {
            Begun::Unanswered(peer, unanswered) => {
                Ok(Either::Left(request::serve((self.serve)(&self.client), message, *peer, unanswered)))
            }
            Begun::Refused(why) => {
                let refusal = ServerJsonRpcMessage::error(ErrorData::invalid_request(why, None), Some(request));
                Ok(Either::Right(futures_util::stream::iter([ServerSseMessage::from_message(refusal)])))
            }
        }
    }

    async fn accept_message(&self, id: &SessionId, message: ClientJsonRpcMessage) -> Result<(), NoSession> {
        self.with(id, |entry| match message {
            JsonRpcMessage::Notification(notification) => {
                if let ClientNotification::CancelledNotification(cancelled) = notification.notification
                    && let Some(request) = &cancelled.params.request_id
                {
                    entry.cancel(request);
                }
            }
            JsonRpcMessage::Response(_) | JsonRpcMessage::Error(_) => {
                if let Some(message) = entry.questions.take(message) {
                    entry.answer(message);
                }
            }
            JsonRpcMessage::Request(_) => {}
        })
    }

    async fn create_standalone_stream(
        &self,
        id: &SessionId,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, NoSession> {
        let newest = self.with(id, |entry| {
            // A message goes to one stream only (spec, transports), so an older stream ends.
            let newest = entry.gone.child_token();
            if let Some(older) = entry.standing.replace(newest.clone()) {
                older.cancel();
            }
            newest
        })?;
        Ok(standing::stream(self.all.clone(), id.clone(), self.client.access.clone(), newest))
    }

    async fn resume(
        &self,
        id: &SessionId,
        _: String,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, NoSession> {
        // Sent messages are not kept, so a new stream begins.
        self.create_standalone_stream(id).await
    }
}

/// The transport of the request that opens a session: the first message of the client, and its answer.
pub struct Handshake {
    message: Option<oneshot::Receiver<ClientJsonRpcMessage>>,
    answer: Option<oneshot::Sender<ServerJsonRpcMessage>>,
}

impl Transport<RoleServer> for Handshake {
    type Error = Infallible;

    fn send(&mut self, message: ServerJsonRpcMessage) -> impl Future<Output = Result<(), Infallible>> + Send + 'static {
        if let Some(answer) = self.answer.take() {
            // If the client has gone meanwhile, nobody waits.
            let _ = answer.send(message);
        }
        std::future::ready(Ok(()))
    }

    async fn receive(&mut self) -> Option<ClientJsonRpcMessage> {
        let message = self.message.as_mut()?.await.ok();
        self.message = None;
        message
    }

    async fn close(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}
