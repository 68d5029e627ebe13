//! The result of a call: its answer, and the outcome that the metrics count.

use serde_json::json;

use super::failure;
use crate::messages::answer::{Answer, Pieces, Reply};
use crate::messages::events::CallOutcome;

impl Reply {
    /// The outcome of the call, for the metrics.
    pub fn outcome(&self) -> CallOutcome {
        match self {
            Self::Answer(answer) => answer.outcome(),
            // The call is over. The client makes another one with the input that it is asked for.
            Self::InputRequired(_) => CallOutcome::Successful,
        }
    }
}

impl Answer {
    /// A success.
    pub(super) fn success(text: impl Into<Pieces>, structured: impl Into<Pieces>) -> Self {
        Self { text: text.into(), structured: Some(structured.into()), is_error: false, failure: None }
    }

    /// The outcome of the call, for the metrics.
    pub fn outcome(&self) -> CallOutcome {
        match (self.is_error, &self.failure) {
            (false, _) => CallOutcome::Successful,
            (true, None) => CallOutcome::Failed,
            (true, Some(facts)) => match facts["kind"].as_str() {
                Some(failure::INVALID_ARGUMENTS) => CallOutcome::InvalidArguments,
                Some("refused") => CallOutcome::Refused,
                Some("busy") => CallOutcome::Busy,
                Some("cancelled") => CallOutcome::Cancelled,
                _ => CallOutcome::Failed,
            },
        }
    }
}

/// The answer if an actor is gone. Only a bug or the end of the process can cause this.
pub(super) fn server_ending(error: &actix::MailboxError) -> Answer {
    Answer {
        failure: Some(Box::new(json!({"kind": "ending", "retryable": true}))),
        ..Answer::error(format!("The server is ending and did not run this: {error}."))
    }
}
