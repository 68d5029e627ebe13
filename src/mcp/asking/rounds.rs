//! Asking by a result: from 2026-07-28 on (multi round-trip requests).
//!
//! The result of the call has the question and a state. The client calls again, with the answer and the state. What has been
//! asked and answered so far is in the state, which is sealed ([`super::state`]), so the server keeps nothing. An answer
//! counts if the state says that this very question was asked for this very call. If it does not, or the state is not valid,
//! the question is asked again (spec: rather than an error).

use std::future::ready;
use std::sync::{Mutex, PoisonError};

use serde_json::{Map, Value, json};

use super::state::{RoundState, Sealer};
use super::{METHOD, outcome, parameters};
use crate::messages::answer::InputRequired;
use crate::messages::ask::{AskClient, Asked, Asking, AskingCall, CannotAsk, Question};

/// What a client sends with a call that it makes again.
#[derive(Debug, Default)]
pub(in crate::mcp) struct Rounds {
    /// Its answers, by the names of the questions.
    responses: Map<String, Value>,
    /// The state as it has come.
    request_state: Option<String>,
    /// What the state says; none before the first question.
    state: Mutex<Option<RoundState>>,
}

impl Rounds {
    pub(in crate::mcp) fn new(responses: Option<Map<String, Value>>, request_state: Option<String>) -> Self {
        Self { responses: responses.unwrap_or_default(), request_state, state: Mutex::default() }
    }

    fn asked(&self, sealer: &Sealer, call: AskingCall<'_>, name: &str, question: &Question) -> Asked {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let state = state.get_or_insert_with(|| {
            self.request_state.as_deref().and_then(|sealed| sealer.open(sealed, call)).unwrap_or_default()
        });
        if let Some(answer) = state.answer(name, question)
            && let Ok(asked) = outcome(answer, question)
        {
            return asked;
        }
        if state.has_asked(name, question)
            && let Some(answer) = self.responses.get(name)
            && let Ok(asked) = outcome(answer, question)
        {
            state.answered(name, question, answer.clone());
            return asked;
        }
        let request = json!({"method": METHOD, "params": parameters(question)});
        Asked::Return(InputRequired {
            requests: Map::from_iter([(name.to_owned(), request)]),
            state: Some(sealer.seal(&state.asking(name, question), call)),
        })
    }
}

impl AskClient for Rounds {
    fn can_be_asked(&self) -> Result<(), CannotAsk> {
        Ok(())
    }

    fn ask<'a>(&'a self, call: AskingCall<'a>, name: &'a str, question: &'a Question) -> Asking<'a> {
        let asked = match Sealer::of_process() {
            Some(sealer) => self.asked(sealer, call, name, question),
            None => Asked::CannotAsk(CannotAsk::NoRandomNumbers),
        };
        Box::pin(ready(asked))
    }
}
