//! A call of a tool over HTTP, read and answered without rmcp, as on stdio.
//!
//! rmcp would make a service for it with two tasks, parse the body into a tree of values and write the answer from one.
//! What rmcp decides of such a request before it hands it on (what is accepted, which revision, which headers, which
//! session) is decided here in the same way. Where that is not plain, the request is left to rmcp, which refuses it in its
//! own words.

use std::convert::Infallible;
use std::iter::once;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, Stream, StreamExt as _};
use hyper::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderName};
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

/// The header that names the revision, from 2025-06-18 on.
const REVISION: &str = "mcp-protocol-version";

/// The header that names the tool, from 2026-07-28 on.
const NAME: &str = "mcp-name";

/// How a call has come.
enum CallOrigin {
    /// By itself, of a revision without sessions.
    Alone(ProtocolVersion),
    /// In that session.
    Session(Arc<str>),
}

/// The answer to the request, if it is a plain call of a tool; `None` for all that is rmcp's.
pub(super) async fn answer(parts: &Parts, body: &[u8], client: &Client, sessions: &Arc<Sessions>) -> Option<Response> {
    if !has_plain_media_types(&parts.headers) {
        return None;
    }
    let call = ToolCall::of(body)?;
    let origin = origin(&parts.headers, &call)?;
    let permit = parts.extensions.get::<InFlightPermit>().cloned();
    let calls = Calls::new(client.session.clone());
    match origin {
        CallOrigin::Alone(revision) => {
            let (id, call) = call.begin(&calls, permit, &revision, None);
            let answering = Answering::new(id, revision, call, client.ending.clone(), None);
            Some(alone(answering).await)
        }
        CallOrigin::Session(session) => match sessions.begin(&session, client, call.id.clone()).ok()? {
            Begun::Unanswered(peer, unanswered) => {
                let takes_forms = asking::takes_forms(&peer.capabilities);
                let session = SessionClient { takes_forms, pending: &unanswered.questions };
                let (id, call) = call.begin(&calls, permit, &peer.protocol_version, Some(session));
                let ending = client.ending.clone();
                Some(Answering::new(id, peer.protocol_version, call, ending, Some(unanswered)).stream(None))
            }
            Begun::Refused(why) => {
                let mut encoder = begun_event();
                let error = Err(ErrorData::invalid_request(why, None));
                encoder.called(&call.id, error, &ProtocolVersion::V_2025_11_25);
                Some(events(stream::iter(once(finished(encoder)))))
            }
        },
    }
}

/// Whether the client takes JSON and events, and sends JSON, by headers without parameters.
fn has_plain_media_types(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(ACCEPT).iter().map(|value| value.to_str().unwrap_or(";"));
    let accepted: Vec<&str> = accepted.flat_map(|value| value.split(',')).map(str::trim).collect();
    let takes = |wanted: &str| accepted.iter().any(|media_type| media_type.eq_ignore_ascii_case(wanted));
    let is_plain = accepted.iter().all(|media_type| !media_type.contains([';', '"']));
    let sends = sole(headers, CONTENT_TYPE.as_str()).flatten().unwrap_or_default();
    let sends = sends.split_once(';').map_or(sends, |(media_type, _)| media_type).trim();
    is_plain
        && takes("application/json")
        && takes("text/event-stream")
        && sends.eq_ignore_ascii_case("application/json")
}

/// A header's only value, or that there is none; `None` if there are several, or it is no text.
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

/// One answer, or a stream if there is something to tell before it.
async fn alone(mut answering: Answering) -> Response {
    // Dropped here, as when its client closes the connection, the call is cancelled.
    match answering.event().await {
        Some(CallEvent::Progress(progress)) => answering.stream(Some(progress_event(progress))),
        Some(CallEvent::Question(question)) => answering.stream(Some(question_events([question]))),
        Some(CallEvent::Ended(reply)) => {
            let mut encoder = Encoder::default();
            encoder.called(&answering.id, reply, &answering.revision);
            let body = match encoder.into_small() {
                Ok(whole) => Body::from(whole),
                Err(large) => Body::from_stream(stream::iter(large.into_chunks().map(Ok::<_, Infallible>))),
            };
            ([(CONTENT_TYPE, "application/json")], body).into_response()
        }
        // Only a call of a session is cancelled by another request.
        None => Body::empty().into_response(),
    }
}

/// A call whose client waits for what there is to tell of it.
struct Answering {
    id: RequestId,
    revision: ProtocolVersion,
    call: RunningCall,
    /// Cancelled when the client ends.
    ending: CancellationToken,
    /// Of a session.
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

    /// What there is to tell next; `None` if the call is cancelled: then there is no answer (spec, cancellation).
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

    /// A stream of all that there is to tell, `first` before the rest. Dropped, it cancels the call.
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
                // Its id is free again before the client has the answer.
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

/// The beginning of an event of a stream (WHATWG HTML, server-sent events).
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
    // A notification that cannot be written leaves an event without data, which says nothing.
    let _ = encoder.message(&ServerJsonRpcMessage::notification(notification.into()));
    finished(encoder)
}

fn question_events(questions: impl IntoIterator<Item = QuestionEvent>) -> Chunks {
    let mut encoder = Encoder::default();
    questions.into_iter().for_each(|question| encoder.question(&question, "data: ", "\n\n"));
    Box::new(encoder.into_chunks())
}

/// The answer that is a stream of events.
fn events(events: impl Stream<Item = Chunks> + Send + 'static) -> Response {
    let chunks = events.flat_map(|chunks| stream::iter(chunks.map(Ok::<_, Infallible>)));
    let headers = [
        (CONTENT_TYPE, "text/event-stream"),
        (CACHE_CONTROL, "no-cache"),
        // nginx would keep events until its buffer is full.
        (HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    (headers, Body::from_stream(chunks)).into_response()
}
