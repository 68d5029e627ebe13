//! What is under way between the client and us: which requests have no answer, and what is still to be written.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rmcp::ErrorData;
use rmcp::model::{ClientCapabilities, JsonRpcMessage, ProtocolVersion, RequestId, ServerJsonRpcMessage, ServerResult};
use slog::Logger;
use tokio::io::AsyncWrite;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::log::debug;
use crate::mcp::asking::{self, PendingQuestions, QuestionEvent, SessionClient};
use crate::mcp::calls;
use crate::mcp::encoder::{Encoder, id_text};
use crate::messages::answer::Reply;

/// Answers not yet taken by the client, in bytes, past which its requests are no longer read.
pub(super) const UNREAD_BYTES_MAX: usize = 64 << 20;

/// What is under way between the client and us: requests without an answer, and answers not yet written.
#[derive(Default)]
pub struct Traffic {
    state: Mutex<TrafficState>,
    /// What the client has been asked and has not answered.
    pub(super) questions: Arc<PendingQuestions>,
    /// There is something to write.
    filled: Notify,
    /// Something was written, or answered.
    moved: Notify,
}

#[derive(Default)]
struct TrafficState {
    in_flight: HashMap<RequestId, Work>,
    out: Encoder,
    /// Bytes taken by the writer and not yet written.
    writing: usize,
    broken: bool,
    /// The `initialize` that waits for its answer, and whether the client shows forms.
    opening: Option<(RequestId, bool)>,
    session: Option<Session>,
}

/// What was agreed on by `initialize`.
struct Session {
    revision: ProtocolVersion,
    /// Whether the client shows forms.
    takes_forms: bool,
}

/// Who works on a request.
enum Work {
    Rmcp,
    /// Since then.
    Ours(AbortHandle, Instant),
}

impl Traffic {
    fn state(&self) -> MutexGuard<'_, TrafficState> {
        // Nothing panics while it is held; if something did, the state is no worse than before.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request has come. Whether it may be worked on: an id in flight is not given to another request.
    pub(super) fn begin(&self, id: &RequestId) -> bool {
        match self.state().in_flight.entry(id.clone()) {
            Entry::Occupied(_) => false,
            Entry::Vacant(place) => {
                place.insert(Work::Rmcp);
                true
            }
        }
    }

    /// It is this task that works on the request, if it has not answered already.
    pub(super) fn is_ours(&self, id: &RequestId, task: AbortHandle) {
        if let Some(work) = self.state().in_flight.get_mut(id) {
            *work = Work::Ours(task, Instant::now());
        }
    }

    /// The client has cancelled a request: it gets no answer, so its id is free again.
    pub(super) fn cancel(&self, id: &RequestId) {
        let mut state = self.state();
        if let Some(Work::Ours(task, _)) = state.in_flight.remove(id) {
            task.abort();
        }
        self.questions.withdraw(id).iter().for_each(|question| state.out.question(question, "", "\n"));
        drop(state);
        self.filled.notify_one();
        self.moved.notify_waiters();
    }

    /// The process ends: what we have worked on since before `before` is cancelled, and says so.
    pub fn end(&self, before: Instant) {
        let mut state = self.state();
        let is_meant = |work: &mut Work| matches!(work, Work::Ours(_, since) if *since <= before);
        let ours: Vec<_> = state.in_flight.extract_if(|_, work| is_meant(work)).collect();
        for (id, work) in ours {
            if let Work::Ours(task, _) = work {
                task.abort();
            }
            state.out.error(&id_text(&id), &calls::ending());
            state.out.plain("\n");
        }
        drop(state);
        self.filled.notify_one();
        self.moved.notify_waiters();
    }

    pub(super) fn refuse(&self, id: &str, error: &ErrorData) {
        let mut state = self.state();
        state.out.error(id, error);
        state.out.plain("\n");
        drop(state);
        self.filled.notify_one();
    }

    /// What a call of ours has come to.
    pub(super) fn answer(&self, id: &RequestId, revision: &ProtocolVersion, reply: Result<Reply, ErrorData>) {
        let mut state = self.state();
        // A cancelled request is no longer in flight, and its answer must not be sent (spec, cancellation).
        if state.broken || state.in_flight.remove(id).is_none() {
            return;
        }
        state.out.called(id, reply, revision);
        state.out.plain("\n");
        drop(state);
        self.filled.notify_one();
        self.moved.notify_waiters();
    }

    /// A message of rmcp's.
    pub(super) fn put(&self, message: ServerJsonRpcMessage) -> io::Result<()> {
        let mut state = self.state();
        if state.broken {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let answered = match &message {
            JsonRpcMessage::Response(response) => Some(&response.id),
            JsonRpcMessage::Error(error) => error.id.as_ref(),
            JsonRpcMessage::Request(_) | JsonRpcMessage::Notification(_) => None,
        };
        if answered.is_some_and(|id| state.in_flight.remove(id).is_none()) {
            return Ok(());
        }
        if let JsonRpcMessage::Response(response) = &message
            && let ServerResult::InitializeResult(result) = &response.result
        {
            let opening = state.opening.take().filter(|(id, _)| *id == response.id);
            let takes_forms = opening.is_some_and(|(_, takes_forms)| takes_forms);
            state.session = Some(Session { revision: result.protocol_version.clone(), takes_forms });
        }
        let encoded = state.out.message(&message);
        if encoded.is_ok() {
            state.out.plain("\n");
        }
        drop(state);
        self.filled.notify_one();
        self.moved.notify_waiters();
        encoded
    }

    /// The revision that `initialize` has agreed on.
    pub(super) fn revision(&self) -> Option<ProtocolVersion> {
        self.state().session.as_ref().map(|session| session.revision.clone())
    }

    /// An `initialize` of a client with these capabilities has come.
    pub(super) fn opens(&self, id: &RequestId, capabilities: &ClientCapabilities) {
        self.state().opening = Some((id.clone(), asking::takes_forms(capabilities)));
    }

    /// What the client has said of itself, if it has opened a session.
    pub(super) fn client(&self) -> Option<SessionClient<'_>> {
        let takes_forms = self.state().session.as_ref()?.takes_forms;
        Some(SessionClient { takes_forms, pending: &self.questions })
    }

    /// A question of a call of ours.
    pub(super) fn question(&self, question: &QuestionEvent) {
        self.state().out.question(question, "", "\n");
        self.filled.notify_one();
    }

    async fn wait_until(&self, done: impl Fn(&TrafficState) -> bool) {
        while !done(&self.state()) {
            let moved = self.moved.notified();
            tokio::pin!(moved);
            moved.as_mut().enable();
            if done(&self.state()) {
                return;
            }
            moved.await;
        }
    }

    pub(super) async fn wait_for_room(&self) {
        self.wait_until(|state| state.broken || state.out.len() + state.writing <= UNREAD_BYTES_MAX).await;
    }

    /// Wait until every request is answered.
    #[cfg(test)]
    pub(super) async fn answered(&self) {
        self.wait_until(|state| state.in_flight.is_empty()).await;
    }

    /// Wait until every answer made so far is written.
    pub async fn written(&self) {
        self.wait_until(|state| state.broken || state.out.len() + state.writing == 0).await;
    }

    /// Wait until every request is answered and every answer is written.
    pub async fn quiet(&self) {
        self.wait_until(|state| state.broken || (state.in_flight.is_empty() && state.out.len() + state.writing == 0))
            .await;
    }
}

/// Writes what the buffer holds, all of it at a time.
pub(super) async fn write<W: AsyncWrite + Unpin>(
    mut output: W,
    traffic: Arc<Traffic>,
    gone: CancellationToken,
    log: Logger,
) {
    loop {
        let out = {
            let mut state = traffic.state();
            let out = state.out.take();
            state.writing = out.len();
            out
        };
        traffic.moved.notify_waiters();
        if out.len() == 0 {
            traffic.filled.notified().await;
            continue;
        }
        if let Err(error) = out.write_to(&mut output).await {
            debug!(log, "stdout is closed"; "why" => error.to_string());
            traffic.state().broken = true;
            traffic.moved.notify_waiters();
            gone.cancel();
            return;
        }
    }
}
