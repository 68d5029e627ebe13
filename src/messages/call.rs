//! A call of a tool: what the protocol's side sends to a client's session, and what that replies.

use std::ops::Range;
use std::time::Duration;

use actix::prelude::*;
use serde_json::Value;

use super::RawArguments;
use super::in_flight::{Busy, InFlightPermit};
use crate::caller::Caller;
use crate::progress::Progress;

/// Calls a tool. Sent by the protocol's side for each request; dropping the reply cancels the call.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<Answer, CallError>")]
pub struct Call {
    pub tool: String,
    pub arguments: RawArguments,
    /// How far it has come, for whoever waits.
    pub progress: Progress,
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
}

impl CallContext {
    /// A call of that tool, which may take as long as it likes and tells nobody how far it is.
    pub fn new(tool: &'static str, caller: Caller) -> Self {
        Self { tool, caller, timeout: None, progress: Progress::default() }
    }
}

/// What a call answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// For the model to read; without its rows, where `rows` tells of them.
    pub text: String,
    /// A JSON object for programs, already encoded and without a newline; `None` for an error.
    pub structured: Option<String>,
    /// The rows that the text shows as JSON.
    pub rows: Option<Rows>,
    /// Whether it is a failure that the model may be able to mend.
    pub is_error: bool,
    /// What a program can know of a failure of the database, by member.
    pub failure: Option<Box<Value>>,
}

/// Rows that stand in an answer's text as they do in its structured part, and are there once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rows {
    /// Where in the text they go, in bytes.
    pub in_text: usize,
    /// Where in the structured part they are, in bytes.
    pub in_structured: Range<usize>,
}

impl Answer {
    /// The text with all that it shows.
    pub fn whole_text(&self) -> String {
        match (&self.rows, &self.structured) {
            (Some(rows), Some(structured)) => {
                let (before, after) = self.text.split_at(rows.in_text);
                format!("{before}{}{after}", &structured[rows.in_structured.clone()])
            }
            _ => self.text.clone(),
        }
    }

    /// A failure, said so that the model can do better.
    pub fn error(text: impl Into<String>) -> Self {
        Self { text: text.into(), structured: None, rows: None, is_error: true, failure: None }
    }
}
