//! One statement on its way through the executor: when it began, what became of it, and whom that is told.

use std::collections::VecDeque;
use std::time::Instant;

use actix::Recipient;
use slog::Logger;

use super::Answered;
use crate::actors::metrics::{QueryFinished, Verdict};
use crate::log::info;
use crate::postgres::error::QueryError;

/// A statement under way. Whatever becomes of it, its drop tells the metrics and the log, once.
pub(super) struct Running {
    pub(super) event: QueryFinished,
    /// For the log, where the operator wants them there.
    pub(super) parameters: Option<Vec<serde_json::Value>>,
    pub(super) executing_since: Option<Instant>,
    pub(super) finished: Recipient<QueryFinished>,
    pub(super) log: Logger,
}

impl Running {
    /// It has its connection.
    pub(super) fn executing(&mut self) {
        let now = Instant::now();
        self.event.waited = now - self.event.began;
        self.executing_since = Some(now);
    }

    pub(super) fn end(&mut self, result: Result<u64, &QueryError>) {
        if result == Err(&QueryError::Cancelled) {
            // As when nobody wants it any more: its drop says so.
            return;
        }
        self.stop();
        self.event.verdict = match result {
            Ok(rows) => {
                self.event.rows = rows;
                Verdict::Done
            }
            Err(error) => Verdict::Failed { sqlstate: error.sqlstate().map(str::to_owned), why: error.to_string() },
        };
    }

    /// The answer, which does not wait until it is told that there is one.
    pub(super) fn answered<T>(self, answer: T) -> Answered<T> {
        let (took, generation) = (self.event.began.elapsed(), self.event.generation);
        actix_rt::spawn(async move {
            tokio::task::yield_now().await;
            drop(self);
        });
        Answered { answer, took, generation, cursor: None }
    }

    /// Its time is over.
    fn stop(&mut self) {
        match self.executing_since.take() {
            Some(since) => self.event.executed = since.elapsed(),
            None => self.event.waited = self.event.began.elapsed(),
        }
    }

    /// It never ran.
    fn forget(mut self) {
        self.event.verdict = Verdict::NeverBegan;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.event.verdict == Verdict::NeverBegan {
            return;
        }
        if self.event.verdict == Verdict::Cancelled {
            self.stop();
        }
        let event = &self.event;
        let sqlstate = match &event.verdict {
            Verdict::Failed { sqlstate: Some(sqlstate), .. } => sqlstate.as_str(),
            _ => "",
        };
        let facts = slog::b!(
            "tool" => event.tool, "client" => &*event.client, "operation" => event.operation.as_str(), "sql" => &*event.sql,
            "wait_us" => event.waited.as_micros() as u64, "execution_us" => event.executed.as_micros() as u64,
            "rows" => event.rows, "sqlstate" => sqlstate, "generation" => event.generation);
        let parameters = self.parameters.take().map(|values| slog::Serde(serde_json::Value::from(values)));
        match &event.verdict {
            Verdict::Done => info!(self.log, "query executed"; facts, "parameters" => parameters),
            Verdict::Cancelled => info!(self.log, "query cancelled"; facts, "parameters" => parameters),
            Verdict::Failed { why, .. } => {
                info!(self.log, "query failed"; facts, "parameters" => parameters, "why" => why);
            }
            Verdict::NeverBegan => {}
        }
        self.finished.do_send(self.event.clone());
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
        self.begun = true;
        self.waiting.pop_front()
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
