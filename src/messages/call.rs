//! A call of a tool: what the protocol's side sends to a client's session, and what that replies.

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use tokio::time::{Instant, timeout};

use super::RawArguments;
use super::answer::Reply;
use super::ask::{ANSWER_TIME, AskClient, Asked, AskingCall, CannotAsk, Question};
use super::in_flight::{Busy, InFlightPermit};
use super::trace::TraceId;
use crate::caller::Caller;
use crate::progress::Progress;

/// Calls a tool. Sent by the protocol's side for each request; dropping the reply cancels the call.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<Reply, CallError>")]
pub struct Call {
    pub tool: String,
    pub arguments: RawArguments,
    /// What the call has done so far, for its client.
    pub progress: Progress,
    /// The trace that it is a part of, if its client names one.
    pub trace: Option<TraceId>,
    /// The call is counted among the calls in flight already, where the protocol's side has counted it.
    pub permit: Option<InFlightPermit>,
    /// The way to ask the client while the call runs.
    pub client: Arc<dyn AskClient>,
}

/// Why a call never began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallError {
    /// There is no such tool.
    UnknownTool {
        /// The name that was asked for.
        name: String,
    },
    /// As much as the client may have is in flight.
    Busy(Busy),
}

/// A call with all that belongs to it. It goes to the tool, and with the tool's messages to the executor.
#[derive(Debug, Clone)]
pub struct CallContext {
    /// Which tool was called, for the log and the metrics.
    pub tool: &'static str,
    pub caller: Caller,
    /// The arguments as the client wrote them, all of them.
    pub arguments: Arc<RawArguments>,
    /// How long the call may take, waiting included.
    pub timeout: Option<Duration>,
    /// What the call has done so far, for its client.
    pub progress: Progress,
    /// The trace that it is a part of, if its client names one.
    pub trace: Option<TraceId>,
    /// The way to ask the client while the call runs.
    pub client: Arc<dyn AskClient>,
}

impl CallContext {
    /// A call of that tool without arguments, limit of time, progress or client.
    pub fn new(tool: &'static str, caller: Caller) -> Self {
        Self {
            tool,
            caller,
            arguments: Arc::default(),
            timeout: None,
            progress: Progress::default(),
            trace: None,
            client: Arc::new(CannotAsk::NoClient),
        }
    }

    /// Ask the client. A call that asks two questions gives them two names.
    ///
    /// The wait ends with the call's own time limit, and after [`ANSWER_TIME`] at the latest. What it has taken is taken from
    /// the call's time limit.
    pub async fn ask(&mut self, name: &str, question: &Question) -> Asked {
        let began = Instant::now();
        let after = self.timeout.map_or(ANSWER_TIME, |timeout| timeout.min(ANSWER_TIME));
        let call = AskingCall { tool: self.tool, caller: &self.caller, arguments: &self.arguments };
        let asked = timeout(after, self.client.ask(call, name, question)).await;
        self.timeout = self.timeout.map(|timeout| timeout.saturating_sub(began.elapsed()));
        asked.unwrap_or(Asked::CannotAsk(CannotAsk::NoAnswer(after)))
    }
}
