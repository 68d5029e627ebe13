//! A call of a tool over HTTP, read and answered without rmcp, as on stdio.
//!
//! rmcp would make a service with two tasks for it, parse the body into a tree of values, and write the answer from another.
//! What rmcp decides about such a request before it calls a handler (revision, headers, session) is decided here in the same
//! way. If a request is not plain, it is left to rmcp, which refuses it with its own message.

use std::convert::Infallible;
use std::iter::once;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, Stream, StreamExt as _};
use hyper::StatusCode;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderName};
use hyper::http::request::Parts;
use rmcp::ErrorData;
use rmcp::model::{ProgressNotification, ProgressNotificationParam, ProtocolVersion, RequestId, ServerJsonRpcMessage};
use tokio::time::{Interval, MissedTickBehavior, interval_at};
use tokio_util::sync::CancellationToken;

use super::KEEP_ALIVE;
use super::admission::{METHOD, SESSION_ID};
use crate::actors::clients::client::Client;
use crate::mcp::asking::{self, QuestionEvent, SessionClient};
use crate::mcp::calls::{CallEvent, Calls, RunningCall, ending};
use crate::mcp::encoder::Encoder;
use crate::mcp::methods::is_stateless;
use crate::mcp::sessions::{Begun, Sessions, Unanswered};
use crate::mcp::tool_call::ToolCall;
use crate::messages::in_flight::InFlightPermit;

/// The header with the revision, from 2025-06-18 on.
const REVISION: &str = "mcp-protocol-version";

/// The header with the name of the tool, from 2026-07-28 on.
const NAME: &str = "mcp-name";

/// How a call has come.
enum CallOrigin {
    /// Alone, by a revision without sessions.
    Alone(ProtocolVersion),
    /// In this session.
    Session(Arc<str>),
}

/// The answer, if the request is a plain call of a tool. `None` if the request is for rmcp. A client that does not take events
/// gets the answer alone, and is asked nothing.
pub(super) async fn answer(
    parts: &Parts,
    body: &[u8],
    client: &Client,
    sessions: &Arc<Sessions>,
    takes_events: bool,
) -> Option<Response> {
    let call = ToolCall::of(body)?;
    let origin = origin(&parts.headers, &call)?;
    let permit = parts.extensions.get::<InFlightPermit>().cloned();
    let calls = Calls::new(client.session.clone());
    match origin {
        CallOrigin::Alone(revision) => {
            let (id, call) = call.begin(&calls, permit, &revision, None);
            let answering = Answering::new(id, revision, call, client.ending.clone(), None);
            Some(alone(answering, takes_events).await)
        }
        CallOrigin::Session(session) => match sessions.begin(&session, client, call.id.clone()).ok()? {
            Begun::Unanswered(peer, unanswered) => {
                let takes_forms = takes_events && asking::takes_forms(&peer.capabilities);
                let session = SessionClient { takes_forms, pending: &unanswered.questions };
                let (id, call) = call.begin(&calls, permit, &peer.protocol_version, Some(session));
                let ending = client.ending.clone();
                let answering = Answering::new(id, peer.protocol_version, call, ending, Some(unanswered));
                Some(if takes_events { answering.stream(None) } else { alone(answering, false).await })
            }
            Begun::Refused(why) => {
                let mut encoder = if takes_events { begun_event() } else { Encoder::default() };
                let error = Err(ErrorData::invalid_request(why, None));
                encoder.called(&call.id, error, &ProtocolVersion::V_2025_11_25);
                Some(if takes_events { events(stream::iter(once(finished(encoder)))) } else { json(encoder) })
            }
        },
    }
}

/// The only value of a header, or that it is missing. `None` if there are several, or the value is not text.
fn sole<'a>(headers: &'a HeaderMap, name: &str) -> Option<Option<&'a str>> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    match (first.map(|value| value.to_str()), values.next()) {
        (None, _) => Some(None),
        (Some(Ok(value)), None) => Some(Some(value)),
        _ => None,
    }
}

fn origin(headers: &HeaderMap, call: &ToolCall) -> Option<CallOrigin> {
    let revision = sole(headers, REVISION)?;
    let meta = call.params.meta.as_ref();
    match meta.and_then(|meta| Some((meta, meta.protocol_version()?))) {
        Some((meta, own)) => {
            let is_complete = is_stateless(&own) && meta.missing_required_keys(&own).is_empty();
            let is_known = ProtocolVersion::KNOWN_VERSIONS.contains(&own);
            let fits = revision == Some(own.as_str())
                && sole(headers, METHOD)? == Some("tools/call")
                && sole(headers, NAME)? == Some(&call.params.name);
            (is_complete && is_known && fits).then_some(CallOrigin::Alone(own))
        }
        None => {
            let known = |revision| ProtocolVersion::KNOWN_VERSIONS.iter().find(|known| known.as_str() == revision);
            let has_sessions =
                revision.is_none_or(|revision| known(revision).is_some_and(|known| !is_stateless(known)));
            let session = sole(headers, SESSION_ID)??;
            has_sessions.then(|| CallOrigin::Session(session.into()))
        }
    }
}

/// The answer alone, or a stream if something has to be sent before it and the client takes events.
async fn alone(mut answering: Answering, takes_events: bool) -> Response {
    // If this is dropped, as when the client closes the connection, the call is cancelled.
    loop {
        match answering.event().await {
            Some(CallEvent::Progress(_) | CallEvent::Question(_)) if !takes_events => {}
            Some(CallEvent::Progress(progress)) => return answering.stream(Some(progress_event(progress))),
            Some(CallEvent::Question(question)) => return answering.stream(Some(question_events([question]))),
            Some(CallEvent::Ended(reply)) => {
                let mut encoder = Encoder::default();
                encoder.called(&answering.id, reply, &answering.revision);
                return json(encoder);
            }
            // A call in a session that another request has cancelled.
            None => return StatusCode::ACCEPTED.into_response(),
        }
    }
}

/// A response that is what was written, JSON.
fn json(encoder: Encoder) -> Response {
    let body = match encoder.into_small() {
        Ok(whole) => Body::from(whole),
        Err(large) => Body::from_stream(stream::iter(large.into_chunks().map(Ok::<_, Infallible>))),
    };
    ([(CONTENT_TYPE, "application/json")], body).into_response()
}

/// A call whose client waits for its answer.
struct Answering {
    id: RequestId,
    revision: ProtocolVersion,
    call: RunningCall,
    /// Cancelled when the client ends.
    ending: CancellationToken,
    /// Present if the call belongs to a session.
    unanswered: Option<Unanswered>,
}

impl Answering {
    fn new(
        id: RequestId,
        revision: ProtocolVersion,
        call: RunningCall,
        ending: CancellationToken,
        unanswered: Option<Unanswered>,
    ) -> Self {
        Self { id, revision, call, ending, unanswered }
    }

    /// The next event. `None` if the call is cancelled: then there is no answer (spec, cancellation).
    async fn event(&mut self) -> Option<CallEvent> {
        let cancelled = async {
            match &self.unanswered {
                Some(unanswered) => unanswered.cancelled().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = cancelled => None,
            () = self.ending.cancelled() => Some(CallEvent::Ended(Err(ending()))),
            event = self.call.next() => Some(event),
        }
    }

    /// A stream of all events, with `first` before them. If it is dropped, the call is cancelled.
    fn stream(self, first: Option<Chunks>) -> Response {
        let mut ticks = interval_at(tokio::time::Instant::now() + KEEP_ALIVE, KEEP_ALIVE);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let rest = stream::unfold(Some((self, ticks)), |state| async {
            let (answering, ticks) = state?;
            answering.next(ticks).await
        });
        events(stream::iter(first).chain(rest))
    }

    async fn next(mut self, mut ticks: Interval) -> Option<(Chunks, Option<(Self, Interval)>)> {
        let event = tokio::select! {
            biased;
            event = self.event() => event,
            _ = ticks.tick() => return Some((Box::new(once(Bytes::from_static(b":\n\n"))), Some((self, ticks)))),
        };
        let Some(event) = event else {
            let withdrawn = self.unanswered.as_ref()?.questions.withdraw(&self.id);
            return (!withdrawn.is_empty()).then(|| (question_events(withdrawn), None));
        };
        match event {
            CallEvent::Progress(progress) => {
                ticks.reset();
                Some((progress_event(progress), Some((self, ticks))))
            }
            CallEvent::Question(question) => {
                ticks.reset();
                Some((question_events([question]), Some((self, ticks))))
            }
            CallEvent::Ended(reply) => {
                // The id must be free before the client has the answer.
                drop(self.unanswered);
                let mut encoder = begun_event();
                encoder.called(&self.id, reply, &self.revision);
                Some((finished(encoder), None))
            }
        }
    }
}

/// A part of a stream, piece by piece.
type Chunks = Box<dyn Iterator<Item = Bytes> + Send>;

/// Begins an event of a stream (WHATWG HTML, server-sent events).
fn begun_event() -> Encoder {
    let mut encoder = Encoder::default();
    encoder.plain("data: ");
    encoder
}

fn finished(mut encoder: Encoder) -> Chunks {
    encoder.plain("\n\n");
    Box::new(encoder.into_chunks())
}

fn progress_event(progress: ProgressNotificationParam) -> Chunks {
    let mut encoder = begun_event();
    let notification = ProgressNotification::new(progress);
    // If the notification cannot be written, the event has no data, which means nothing.
    let _ = encoder.message(&ServerJsonRpcMessage::notification(notification.into()));
    finished(encoder)
}

fn question_events(questions: impl IntoIterator<Item = QuestionEvent>) -> Chunks {
    let mut encoder = Encoder::default();
    questions.into_iter().for_each(|question| encoder.question(&question, "data: ", "\n\n"));
    Box::new(encoder.into_chunks())
}

/// A response that is a stream of events.
fn events(events: impl Stream<Item = Chunks> + Send + 'static) -> Response {
    let chunks = events.flat_map(|chunks| stream::iter(chunks.map(Ok::<_, Infallible>)));
    let headers = [
        (CONTENT_TYPE, "text/event-stream"),
        (CACHE_CONTROL, "no-cache"),
        // nginx would hold events back until its buffer is full.
        (HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    (headers, Body::from_stream(chunks)).into_response()
}
