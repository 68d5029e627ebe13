//! The one request that a client sends all day, `tools/call`: read without rmcp, once, whichever way it came.
//!
//! rmcp would read it into a tree of values, copy that for each kind of message it may be, and pass the request
//! through two tasks, four cancellation tokens and a channel. What rmcp decides of a request before it has it handled
//! is decided here in the same way; where that is not plain, the request is left to rmcp, which refuses it in its own
//! words.

use std::fmt;
use std::marker::PhantomData;

use rmcp::model::{ProtocolVersion, RequestId, RequestMetaObject};
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use super::asking::{self, Rounds, SessionClient};
use super::calls::{Calls, RunningCall};
use super::methods::is_stateless;
use super::progress;
use crate::messages::RawArguments;
use crate::messages::call::Call;
use crate::messages::in_flight::InFlightPermit;
use crate::messages::trace::TraceId;

/// A line that calls a tool.
#[derive(Deserialize)]
pub(super) struct ToolCall {
    #[serde(rename = "jsonrpc")]
    _version: JsonRpc,
    pub(super) id: RequestId,
    #[serde(rename = "method")]
    _method: Method,
    #[serde(deserialize_with = "object")]
    pub(super) params: Params,
}

#[derive(Deserialize)]
enum JsonRpc {
    #[serde(rename = "2.0")]
    Two,
}

#[derive(Deserialize)]
enum Method {
    #[serde(rename = "tools/call")]
    CallTool,
}

#[derive(Deserialize)]
pub(super) struct Params {
    pub(super) name: String,
    #[serde(default)]
    pub(super) arguments: Option<RawArguments>,
    #[serde(default, rename = "_meta")]
    pub(super) meta: Option<RequestMetaObject>,
    /// The client's answers to questions of the call before.
    #[serde(default, rename = "inputResponses")]
    input_responses: Option<Map<String, Value>>,
    /// The state that came with those questions.
    #[serde(default, rename = "requestState")]
    request_state: Option<String>,
}

impl ToolCall {
    /// The call that a line holds. `None` for all that is none: also for one that does not fit, whose fault is told
    /// elsewhere.
    pub(super) fn of(line: &[u8]) -> Option<Self> {
        let mut text = serde_json::Deserializer::from_slice(line);
        let call = object(&mut text).ok()?;
        text.end().ok().map(|()| call)
    }

    /// Begin the call, by this revision: its id, and the call under way. `session` is what the client has said of itself if
    /// the call belongs to a session.
    pub(super) fn begin(
        self,
        calls: &Calls,
        permit: Option<InFlightPermit>,
        revision: &ProtocolVersion,
        session: Option<SessionClient<'_>>,
    ) -> (RequestId, RunningCall) {
        let Params { name, arguments, meta, input_responses, request_state } = self.params;
        let token = meta.as_ref().and_then(RequestMetaObject::get_progress_token);
        let rounds = Rounds::new(input_responses, request_state);
        let (client, questions) = asking::client(revision, &self.id, meta.as_ref(), session, rounds);
        let call = Call {
            tool: name,
            arguments: arguments.unwrap_or_default(),
            progress: progress::counted_for(token.as_ref()),
            trace: meta.as_ref().and_then(|meta| TraceId::of(meta.get_traceparent()?)),
            permit,
            client,
        };
        (self.id, calls.call(call, token, questions))
    }

    /// By which revision it is to be answered, if it can be without rmcp. `session` is the revision that an `initialize`
    /// has agreed on.
    ///
    /// A call either belongs to a session, or is of 2026-07-28 or later and says all about itself (spec, versioning).
    pub(super) fn revision(&self, session: Option<&ProtocolVersion>) -> Option<ProtocolVersion> {
        let own = self.params.meta.as_ref().and_then(RequestMetaObject::protocol_version);
        match (own, &self.params.meta, session) {
            (Some(own), Some(meta), _) => {
                let may_be_incomplete = session.is_some() && !is_stateless(&own);
                let is_complete = meta.missing_required_keys(&ProtocolVersion::V_2026_07_28).is_empty();
                let is_known = ProtocolVersion::KNOWN_VERSIONS.contains(&own);
                (is_known && (is_complete || may_be_incomplete)).then_some(own)
            }
            (_, _, session) => session.cloned(),
        }
    }
}

/// A struct from an object: serde would also take its members from an array, in their order.
fn object<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    struct Members<T>(PhantomData<T>);
    impl<'de, T: Deserialize<'de>> Visitor<'de> for Members<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<T, A::Error> {
            T::deserialize(MapAccessDeserializer::new(members))
        }
    }
    deserializer.deserialize_map(Members(PhantomData))
}
