//! A call of a tool: what the protocol's side sends to a client's session, and what that replies.

use std::time::Duration;

use actix::prelude::*;

use super::RawArguments;
use super::answer::Reply;
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
    /// How far it has come, for whoever waits.
    pub progress: Progress,
    /// The trace that it is a part of, if its client names one.
    pub trace: Option<TraceId>,
    /// That it is counted among those in flight, where whoever has taken it from the client has done so.
    pub permit: Option<InFlightPermit>,
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

/// What goes with a call wherever it goes, to the tool and to the executor.
#[derive(Debug, Clone)]
pub struct CallContext {
    /// Which tool was called, for the log and the metrics.
    pub tool: &'static str,
    pub caller: Caller,
    /// How long the call may take, waiting included.
    pub timeout: Option<Duration>,
    /// How far it has come, for whoever waits.
    pub progress: Progress,
    /// The trace that it is a part of, if its client names one.
    pub trace: Option<TraceId>,
}

impl CallContext {
    /// A call of that tool, which may take as long as it likes and tells nobody how far it is.
    pub fn new(tool: &'static str, caller: Caller) -> Self {
        Self { tool, caller, timeout: None, progress: Progress::default(), trace: None }
    }
}
