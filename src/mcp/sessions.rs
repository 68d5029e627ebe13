//! Sessions of the revisions before 2026-07-28: an entry in a table each, with an owner, and never too many.
//!
//! rmcp's own sessions keep a task and five channels each, some 100 KiB, for as long as their client does nothing. Here a
//! session is what its client said when it opened it, and each of its requests is served by itself, as one of the
//! revisions without sessions is, by a service of rmcp that lives as long as the request.
//!
//! A client sees its own sessions alone. When it closes the stream on which it waits for an answer, the call is cancelled,
//! as if it had said so: those revisions let a client come back for an answer, but a statement whose client has gone is
//! worth more to the database when it ends than to a client that may come back.

mod request;
mod standing;

use std::collections::{HashMap, VecDeque};
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
use tokio_util::sync::{CancellationToken, DropGuard};

use super::asking::PendingQuestions;
use crate::actors::clients::client::Client;
use request::Reply;
pub(super) use request::Unanswered;

/// So many cancellations of a session are remembered, for requests that they have overtaken.
const CANCELLED_MAX: usize = 16;

/// How often it is looked for sessions that are idle, at most and at least.
const LOOK_EVERY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(60));

pub struct Sessions {
    /// In boxes, for up to half of a table's places are empty.
    table: Mutex<HashMap<SessionId, Box<Entry>>>,
    idle: Duration,
}

struct Entry {
    owner: Arc<Client>,
    /// What the client has said of itself, with the revision agreed on; none until that is.
    peer: Option<InitializeRequestParams>,
    /// Cancelled with a request, or with the session.
    in_flight: HashMap<RequestId, CancellationToken>,
    /// What was cancelled last and was not there. A cancellation comes by another connection than its request and may be
    /// quicker.
    cancelled: VecDeque<RequestId>,
    /// Requests to the client, by an id that no other of the session has, with their own id and who waits for the answer.
    asked: HashMap<RequestId, (RequestId, Reply)>,
    asked_before: i64,
    /// Questions of calls that go past rmcp.
    questions: Arc<PendingQuestions>,
    /// When something has come from the client.
    seen: Instant,
    /// The stream on which it hears of what it did not ask; cancelled when there is a newer one.
    standing: Option<CancellationToken>,
    gone: CancellationToken,
    _ends_all: DropGuard,
}

impl Sessions {
    /// No sessions yet; each ends when nothing has come from its client for as long as `idle`, and it waits for nothing.
    pub fn new(idle: Duration) -> Self {
        Self { table: Mutex::default(), idle }
    }

    pub fn len(&self) -> usize {
        self.table().len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whose session that is.
    pub fn owner(&self, id: &str) -> Option<Arc<Client>> {
        self.table().get(id).map(|entry| entry.owner.clone())
    }

    /// Whether a call of that session waits for an answer of its client.
    pub fn is_asking(&self, id: &str) -> bool {
        self.table().get(id).is_some_and(|entry| !entry.questions.is_empty())
    }

    /// End those that are idle, for as long as there are sessions to look for.
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
        // Nothing panics while it is held.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What `work` gives of that session; one that is another client's is not there.
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
    /// There is no such session of that client, or nothing is agreed on there yet.
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

    /// A request is answered, or is not to be.
    fn end(&self, id: &SessionId, request: &RequestId) {
        if let Some(entry) = self.table().get_mut(id) {
            entry.in_flight.remove(request);
            entry.seen = Instant::now();
        }
    }
}

/// What becomes of a request that has come.
pub(super) enum Begun {
    /// It may be worked on, for a client that has said this of itself.
    Unanswered(Box<InitializeRequestParams>, Unanswered),
    /// It may not.
    Refused(&'static str),
}

impl Entry {
    fn new(owner: Arc<Client>) -> Self {
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
    fn cancel(&mut self, request: &RequestId) {
        match self.in_flight.get(request) {
            Some(running) => running.cancel(),
            None => {
                self.cancelled.truncate(CANCELLED_MAX - 1);
                self.cancelled.push_front(request.clone());
            }
        }
    }

    /// The client has answered a request.
    fn answer(&mut self, mut message: ClientJsonRpcMessage) {
        let id = match &mut message {
            JsonRpcMessage::Response(response) => Some(&mut response.id),
            JsonRpcMessage::Error(error) => error.id.as_mut(),
            JsonRpcMessage::Request(_) | JsonRpcMessage::Notification(_) => None,
        };
        let Some(id) = id else { return };
        if let Some((own, reply)) = self.asked.remove(id) {
            *id = own;
            // Nobody waits any more where the request has ended.
            let _ = reply.send(message);
        }
    }
}

/// There is no such session, or it is another client's.
#[derive(Debug)]
pub struct NoSession(SessionId);

impl fmt::Display for NoSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "there is no session {}", self.0)
    }
}

impl std::error::Error for NoSession {}

/// The sessions of one client, for one request; `serve` makes what answers.
pub struct SessionsOf<F> {
    all: Arc<Sessions>,
    client: Arc<Client>,
    serve: F,
    /// This request opens a session.
    opens: AtomicBool,
    /// What passes the opening message to it, and the answer back.
    opening: Mutex<Option<Opening>>,
}

type Opening = (oneshot::Sender<ClientJsonRpcMessage>, oneshot::Receiver<ServerJsonRpcMessage>);

impl<F> SessionsOf<F> {
    /// Those of `all` that are that client's.
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
        let ((tell, message), (answer, told)) = (oneshot::channel(), oneshot::channel());
        self.opens.store(true, Ordering::Relaxed);
        *self.opening.lock().unwrap_or_else(PoisonError::into_inner) = Some((tell, told));
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
        let (tell, told) = opening.ok_or_else(none)?;
        let mut peer = match &message {
            JsonRpcMessage::Request(request) => match &request.request {
                ClientRequest::InitializeRequest(request) => Some(request.params.clone()),
                _ => None,
            },
            _ => None,
        };
        let _ = tell.send(message);
        let answer = told.await;
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
        // rmcp says so too when what has opened a session is done with that. What is not there is closed.
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
            // A message goes to one stream alone (spec, transports), so an older one ends.
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
        // What was sent is not kept, so there is nothing to begin with.
        self.create_standalone_stream(id).await
    }
}

/// What opens a session: the client's first message, and its answer. Then there is nothing left to do.
pub struct Handshake {
    message: Option<oneshot::Receiver<ClientJsonRpcMessage>>,
    answer: Option<oneshot::Sender<ServerJsonRpcMessage>>,
}

impl Transport<RoleServer> for Handshake {
    type Error = Infallible;

    fn send(&mut self, message: ServerJsonRpcMessage) -> impl Future<Output = Result<(), Infallible>> + Send + 'static {
        if let Some(answer) = self.answer.take() {
            // The client has gone meanwhile.
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
