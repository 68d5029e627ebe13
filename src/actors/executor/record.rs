//! The record of one statement, from its start to its end, for the metrics and the log.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::{Duration, Instant};

use slog::Logger;

use crate::log::{debug, info};
use crate::messages::events::{Events, StatementBegan, StatementEnded, StatementOutcome, StatementRefused};
use crate::messages::statements::Answered;
use crate::messages::trace::TraceId;
use crate::postgres::error::QueryError;
use crate::postgres::statement::Outcome;

/// How many rows a statement read or changed, and the bytes of the rows in its answer.
pub(super) fn size_of_answer(outcome: &Outcome) -> (u64, u64) {
    (outcome.rows_affected.unwrap_or(outcome.page.rows as u64), outcome.page.json.len() as u64)
}

/// The record of a statement. However the statement ends, the drop of its record reports it exactly once.
pub(super) struct StatementRecord {
    pub(super) event: StatementEnded,
    /// For the log, if MCP_LOG_PARAMETERS is on.
    pub(super) parameters: Option<Vec<serde_json::Value>>,
    /// For the log, if the client has sent one.
    pub(super) trace: Option<TraceId>,
    pub(super) executing_since: Option<Instant>,
    /// Whether the statement has had a connection.
    pub(super) began: bool,
    pub(super) events: Rc<Events>,
    pub(super) log: Logger,
}

impl StatementRecord {
    /// The statement has a connection. `opened_in` is how long opening it took, if it was opened for this statement.
    pub(super) fn executing(&mut self, opened_in: Option<Duration>) {
        let now = Instant::now();
        self.event.waited = (now - self.event.began).saturating_sub(self.event.executed);
        if let Some(time) = opened_in {
            self.event.connected = Some(self.event.connected.unwrap_or_default() + time);
        }
        self.executing_since = Some(now);
        if !std::mem::replace(&mut self.began, true) {
            let event = &self.event;
            self.events.statement_began.publish_with(|| StatementBegan {
                tool: event.tool,
                client: event.client.clone(),
                database: event.database.clone(),
                sql: event.sql.clone(),
                operation: event.operation,
                generation: event.generation,
            });
        }
    }

    /// Reports a refusal by a rule of the guard. Other errors are not reported here.
    pub(super) fn refused(&self, error: &QueryError) {
        let QueryError::Refused { rule: Some(rule), why } = error else { return };
        let event = &self.event;
        self.events.statement_refused.publish_with(|| StatementRefused {
            tool: event.tool,
            client: event.client.clone(),
            database: event.database.clone(),
            sql: event.sql.clone(),
            operation: event.operation,
            rule: *rule,
            why: why.clone(),
        });
    }

    /// The statement waits for a connection again. `retries` is how often its connection was lost.
    pub(super) fn wait_again(&mut self, retries: u32) {
        self.stop();
        self.event.retries = retries;
    }

    /// The statement has returned this many rows and bytes, or an error.
    pub(super) fn end(&mut self, result: Result<(u64, u64), &QueryError>) {
        if matches!(result, Err(QueryError::Cancelled { .. })) {
            // The drop reports it as cancelled, as it does when the client no longer waits.
            return;
        }
        self.stop();
        self.event.outcome = match result {
            Ok((rows, bytes)) => {
                (self.event.rows, self.event.bytes) = (rows, bytes);
                StatementOutcome::Done
            }
            Err(error @ QueryError::Refused { rule, .. }) => {
                StatementOutcome::Refused { rule: *rule, why: error.to_string() }
            }
            Err(error) => {
                StatementOutcome::Failed { sqlstate: error.sqlstate().map(str::to_owned), why: error.to_string() }
            }
        };
    }

    /// The answer. The report is sent after it.
    pub(super) fn answered<T>(self, answer: T, reports: &DeferredReports) -> Answered<T> {
        let (took, generation) = (self.event.began.elapsed(), self.event.generation);
        reports.put(self);
        Answered { answer, took, generation, cursor: None }
    }

    /// Adds the time since the last change to the wait or to the execution.
    fn stop(&mut self) {
        match self.executing_since.take() {
            Some(since) => self.event.executed += since.elapsed(),
            None => self.event.waited = self.event.began.elapsed().saturating_sub(self.event.executed),
        }
    }

    /// Drops the record without a report: the statement never ran.
    fn forget(mut self) {
        self.event.outcome = StatementOutcome::NeverBegan;
    }
}

impl Drop for StatementRecord {
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
            // A catalog query of this server has no client.
            StatementOutcome::Done if event.client.is_empty() => debug!(self.log, "own question answered"; facts),
            StatementOutcome::Done => {
                info!(self.log, "query executed"; facts, "parameters" => parameters, "trace" => trace)
            }
            StatementOutcome::Cancelled => {
                info!(self.log, "query cancelled"; facts, "parameters" => parameters, "trace" => trace)
            }
            StatementOutcome::Failed { why, .. } | StatementOutcome::Refused { rule: None, why } => {
                info!(self.log, "query failed"; facts, "parameters" => parameters, "trace" => trace, "why" => why);
            }
            StatementOutcome::Refused { rule: Some(rule), why } => {
                info!(self.log, "query failed"; facts, "parameters" => parameters, "trace" => trace, "rule" => rule.as_str(),
                    "why" => why);
            }
            StatementOutcome::NeverBegan => {}
        }
        self.events.statement_ended.publish(self.event.clone());
    }
}

/// The records of answered statements. They are dropped, and so reported, after the answers have been sent.
#[derive(Clone, Default)]
pub(super) struct DeferredReports(Rc<RefCell<Vec<StatementRecord>>>);

impl DeferredReports {
    fn put(&self, answered: StatementRecord) {
        let mut waiting = self.0.borrow_mut();
        waiting.push(answered);
        // The first one starts the task that reports all of them.
        if waiting.len() == 1 {
            let all = self.0.clone();
            actix_rt::spawn(async move {
                tokio::task::yield_now().await;
                drop(all.take());
            });
        }
    }
}

/// The statements of a batch that have not begun. They are not reported, except for the first: if the batch never
/// begins, the first statement is reported in its place.
pub(super) struct Queue {
    waiting: VecDeque<StatementRecord>,
    begun: bool,
}

impl Queue {
    pub(super) fn next(&mut self) -> Option<StatementRecord> {
        let mut next = self.waiting.pop_front();
        if self.begun {
            // It has waited for the statements before it, not for a connection.
            next.iter_mut().for_each(|next| next.event.began = Instant::now());
        }
        self.begun = true;
        next
    }

    /// The connection was lost before the first statement began.
    pub(super) fn wait_again(&mut self, retries: u32) {
        self.waiting.front_mut().into_iter().for_each(|first| first.event.retries = retries);
    }

    /// Reports that the guard has refused the statement at this index, before any statement has begun.
    pub(super) fn refused(&self, at: usize, error: &QueryError) {
        self.waiting.get(at).into_iter().for_each(|refused| refused.refused(error));
    }

    pub(super) fn has_begun(&self) -> bool {
        self.begun
    }
}

impl FromIterator<StatementRecord> for Queue {
    fn from_iter<I: IntoIterator<Item = StatementRecord>>(statements: I) -> Self {
        Self { waiting: statements.into_iter().collect(), begun: false }
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        if !self.begun {
            drop(self.waiting.pop_front());
        }
        self.waiting.drain(..).for_each(StatementRecord::forget);
    }
}
