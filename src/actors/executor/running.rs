//! One statement on its way through the executor: when it began, what became of it, and whom that is told.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::{Duration, Instant};

use slog::Logger;

use super::rows;
use crate::log::info;
use crate::messages::events::{Events, StatementBegan, StatementEnded, StatementOutcome};
use crate::messages::statements::Answered;
use crate::messages::trace::TraceId;
use crate::postgres::error::QueryError;
use crate::postgres::run::Outcome;

/// A statement under way. Whatever becomes of it, its drop tells the metrics and the log, once.
pub(super) struct Running {
    pub(super) event: StatementEnded,
    /// For the log, where the operator wants them there.
    pub(super) parameters: Option<Vec<serde_json::Value>>,
    /// For the log, if the call's client names one.
    pub(super) trace: Option<TraceId>,
    pub(super) executing_since: Option<Instant>,
    /// Whether it has had a connection.
    pub(super) began: bool,
    pub(super) events: Rc<Events>,
    pub(super) log: Logger,
}

impl Running {
    /// It has its connection, which was opened for it in so long, if it was.
    pub(super) fn executing(&mut self, opened_in: Option<Duration>) {
        let now = Instant::now();
        self.event.waited = (now - self.event.began).saturating_sub(self.event.executed);
        if let Some(time) = opened_in {
            self.event.connected = Some(self.event.connected.unwrap_or_default() + time);
        }
        self.executing_since = Some(now);
        if !std::mem::replace(&mut self.began, true) {
            let event = &self.event;
            self.events.statement_began.tell_with(|| StatementBegan {
                tool: event.tool,
                client: event.client.clone(),
                database: event.database.clone(),
                sql: event.sql.clone(),
                operation: event.operation,
                generation: event.generation,
            });
        }
    }

    /// It waits for a connection again.
    pub(super) fn again(&mut self) {
        self.stop();
    }

    pub(super) fn end(&mut self, result: Result<&Outcome, &QueryError>) {
        if matches!(result, Err(QueryError::Cancelled { .. })) {
            // As when nobody wants it any more: its drop says so.
            return;
        }
        self.stop();
        self.event.outcome = match result {
            Ok(outcome) => {
                self.event.rows = rows(outcome);
                self.event.bytes = outcome.page.json.len() as u64;
                StatementOutcome::Done
            }
            Err(error @ QueryError::Refused { .. }) => StatementOutcome::Refused { why: error.to_string() },
            Err(error) => {
                StatementOutcome::Failed { sqlstate: error.sqlstate().map(str::to_owned), why: error.to_string() }
            }
        };
    }

    /// The answer, which does not wait until it is told that there is one.
    pub(super) fn answered<T>(self, answer: T, told_later: &ToldLater) -> Answered<T> {
        let (took, generation) = (self.event.began.elapsed(), self.event.generation);
        told_later.put(self);
        Answered { answer, took, generation, cursor: None }
    }

    /// Its time is over.
    fn stop(&mut self) {
        match self.executing_since.take() {
            Some(since) => self.event.executed += since.elapsed(),
            None => self.event.waited = self.event.began.elapsed().saturating_sub(self.event.executed),
        }
    }

    /// It never ran.
    fn forget(mut self) {
        self.event.outcome = StatementOutcome::NeverBegan;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.event.outcome == StatementOutcome::NeverBegan {
            return;
        }
        if self.event.outcome == StatementOutcome::Cancelled {
            self.stop();
        }
        let event = &self.event;
        let sqlstate = match &event.outcome {
            StatementOutcome::Failed { sqlstate: Some(sqlstate), .. } => sqlstate.as_str(),
            _ => "",
        };
        let facts = slog::b!(
            "tool" => event.tool, "client" => &*event.client, "operation" => event.operation.as_str(), "sql" => &*event.sql,
            "wait_us" => event.waited.as_micros() as u64, "execution_us" => event.executed.as_micros() as u64,
            "rows" => event.rows, "sqlstate" => sqlstate, "generation" => event.generation);
        let trace = self.trace.as_ref().map(TraceId::as_str);
        let parameters = self.parameters.take().map(|values| slog::Serde(serde_json::Value::from(values)));
        match &event.outcome {
            StatementOutcome::Done => {
                info!(self.log, "query executed"; facts, "parameters" => parameters, "trace" => trace)
            }
            StatementOutcome::Cancelled => {
                info!(self.log, "query cancelled"; facts, "parameters" => parameters, "trace" => trace)
            }
            StatementOutcome::Failed { why, .. } | StatementOutcome::Refused { why } => {
                info!(self.log, "query failed"; facts, "parameters" => parameters, "trace" => trace, "why" => why);
            }
            StatementOutcome::NeverBegan => {}
        }
        self.events.statement_ended.tell(self.event.clone());
    }
}

/// Statements that have been answered. Metrics and log are told of them when the answers are on their way.
#[derive(Clone, Default)]
pub(super) struct ToldLater(Rc<RefCell<Vec<Running>>>);

impl ToldLater {
    fn put(&self, answered: Running) {
        let mut waiting = self.0.borrow_mut();
        waiting.push(answered);
        // Whoever is the first has a task begun for all that come until it runs.
        if waiting.len() == 1 {
            let all = self.0.clone();
            actix_rt::spawn(async move {
                tokio::task::yield_now().await;
                drop(all.take());
            });
        }
    }
}

/// The statements of a batch that wait for their turn. Those that never have it are in no count; but for the first,
/// which stands for the batch if that never begins.
pub(super) struct Queue {
    waiting: VecDeque<Running>,
    begun: bool,
}

impl Queue {
    pub(super) fn next(&mut self) -> Option<Running> {
        let mut next = self.waiting.pop_front();
        if self.begun {
            // It has waited for the statements before it, and not for a connection.
            next.iter_mut().for_each(|next| next.event.began = Instant::now());
        }
        self.begun = true;
        next
    }

    /// The connection was lost before the first began.
    pub(super) fn again(&mut self) {
        self.waiting.front_mut().into_iter().for_each(|first| first.event.retries += 1);
    }

    pub(super) fn has_begun(&self) -> bool {
        self.begun
    }
}

impl FromIterator<Running> for Queue {
    fn from_iter<I: IntoIterator<Item = Running>>(statements: I) -> Self {
        Self { waiting: statements.into_iter().collect(), begun: false }
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        if !self.begun {
            drop(self.waiting.pop_front());
        }
        self.waiting.drain(..).for_each(Running::forget);
    }
}
