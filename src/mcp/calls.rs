//! A call of a tool, from whatever transport: to the session, and what becomes of it there.

use actix::Recipient;
use rmcp::ErrorData;
use serde_json::Value;

use crate::messages::RawArguments;
use crate::messages::call::{Answer, Call, CallError};
use crate::messages::in_flight::InFlightPermit;
use crate::progress::Progress;
use crate::tools::TOOLS;

/// The member of `_meta` that tells programs of a failure (spec, General fields: a prefix, a slash, a name).
const FAILURE: &str = "mcp-server-postgres/failure";

/// The member of `_meta` that tells programs what an answer is: data, never instructions to a model.
const CONTENT: &str = "mcp-server-postgres/content";

/// The way to one client's session.
#[derive(Clone)]
pub struct Calls(Recipient<Call>);

impl Calls {
    /// Calls that go to `session`.
    pub fn new(session: Recipient<Call>) -> Self {
        Self(session)
    }

    /// Call a tool. Dropped before its end, the call is cancelled.
    ///
    /// # Errors
    /// There is no such tool, or nobody is there to call it any more.
    pub fn call(
        &self,
        tool: String,
        arguments: RawArguments,
        progress: Progress,
        permit: Option<InFlightPermit>,
    ) -> impl Future<Output = Result<Answer, ErrorData>> + Send + use<> {
        let reply = self.0.send(Call { tool, arguments, progress, permit });
        async move {
            match reply.await {
                Ok(Ok(answer)) => Ok(answer),
                Ok(Err(CallError::UnknownTool { name })) => {
                    let names: Vec<_> = TOOLS.iter().map(|tool| tool.name).collect();
                    let why = format!("there is no tool {name:?}; there are {}", names.join(", "));
                    Err(ErrorData::invalid_params(why, None))
                }
                Ok(Err(CallError::Busy(busy))) => Ok(Answer::busy(busy)),
                Err(_) => Err(ending()),
            }
        }
    }
}

/// The error of a call that the end of the process has cut short.
pub(super) fn ending() -> ErrorData {
    ErrorData::internal_error("the server is ending", None)
}

/// What a result's `_meta` holds: the name of its one member, and that.
pub(super) fn meta(failure: Option<Box<Value>>) -> (&'static str, Value) {
    match failure {
        Some(facts) => (FAILURE, *facts),
        None => (CONTENT, Value::from("data")),
    }
}
