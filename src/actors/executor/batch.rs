//! Runs several statements in one transaction: all or nothing.

use std::cell::RefCell;
use std::time::Instant;

use actix::prelude::*;
use pg_guard::Statement;
use pg_guard::sql::Operation;

use super::attempt::{Attempt, Failure, Next, Run};
use super::record::{Queue, StatementRecord, size_of_answer};
use super::{Executor, fail, settle};
use crate::actors::wanted::WhileWanted;
use crate::log::warn;
use crate::messages::statements::{Answered, Batch, BatchError};
use crate::postgres::error::QueryError;
use crate::postgres::run::{self, RunProgress};
use crate::postgres::statement::Outcome;
use crate::settings::AccessMode;

impl Handler<Batch> for Executor {
    type Result = WhileWanted<Result<Answered<Vec<Outcome>>, BatchError>>;

    fn handle(&mut self, batch: Batch, _: &mut Context<Self>) -> Self::Result {
        let generation = self.generation.clone();
        self.check_role(false);
        let (access, guard, permission) = (self.access_of(&batch.call.caller), self.guard.clone(), self.permission());
        let (waiting_max, log) = (self.waiting_max, self.log.clone());
        let record = |statement: &Statement| {
            let sql_and_operation = (statement.sql(), statement.operation());
            self.record(&batch.call, sql_and_operation, statement.parameters(), generation.number())
        };
        let mut queue: Queue = batch.statements.iter().map(record).collect();
        let empty = "".into();
        let first = batch.statements.first();
        let first = first.map_or((&empty, Operation::of("")), |first| (first.sql(), first.operation()));
        let call = self.calls.begin(&batch.call, first);
        WhileWanted::new(async move {
            let began = Instant::now();
            let current = RefCell::new(None::<StatementRecord>);
            let progress = RunProgress::new(call.progress());
            let work = async {
                if let Some(permission) = permission {
                    call.in_time(permission).await.map_err(|error| (None, error))?;
                }
                let mut statements = Vec::with_capacity(batch.statements.len());
                for (at, statement) in batch.statements.into_iter().enumerate() {
                    statements.push(match access {
                        AccessMode::ReadOnly => {
                            guard.review(statement, access).await.map_err(|refusal| (Some(at), refusal.into()))?
                        }
                        // All statements share one transaction, so knowing that one of them only reads changes nothing.
                        AccessMode::ReadWrite => guard.without_review(statement),
                    });
                }
                let mut attempt = Attempt::of_batch();
                loop {
                    let lease = call.lease(&generation, waiting_max, attempt.admission()).await;
                    let lease = lease.map_err(|error| (None, error))?;
                    let target = generation.target_name();
                    let exec_target = lease.exec_target(access, &target);
                    // The first statement has waited until the connection was open.
                    let mut opened_in = lease.opened_in();
                    let work = run::batch(
                        exec_target,
                        &statements,
                        batch.reading,
                        &progress,
                        || {
                            let mut next = queue.next();
                            if let Some(record) = &mut next {
                                record.executing(opened_in.take());
                                call.set_statement(&record.event.sql, record.event.operation);
                            }
                            *current.borrow_mut() = next;
                        },
                        |result| {
                            if let Some(mut ended) = current.borrow_mut().take() {
                                result.as_ref().err().into_iter().for_each(|error| ended.refused(error));
                                ended.end(result.as_ref().map(size_of_answer));
                            }
                        },
                    );
                    let (clock, after, until) = call.limit(lease.clocks().command_timeout);
                    let out_of_time = |_| Err((None, QueryError::TimedOut { clock, after }));
                    let result = tokio::time::timeout_at(until, work).await.unwrap_or_else(out_of_time);
                    let (at, error) = match result {
                        Ok(outcomes) => {
                            settle(lease, progress.cleanup.get(), None);
                            return Ok(outcomes);
                        }
                        Err((at, error)) => (at, Box::pin(fail(lease, progress.cleanup.get(), error)).await),
                    };
                    let run = Run::Failed(Failure::of(&error, &progress));
                    if !matches!(attempt.after(run), Next::RunAgain(_)) {
                        return Err((at, error));
                    }
                    queue.wait_again(attempt.retries());
                    warn!(log, "connection had died in the pool, another is taken");
                }
            };
            let result = call.unless_cancelled(work).await.unwrap_or_else(|| Err((None, call.cancelled())));
            let result = result.map_err(|(at, error)| (at, call.error_for_client(error, &generation.target_name())));
            if let Err((at, error)) = &result {
                if let (Some(at), false) = (at, queue.has_begun()) {
                    queue.refused(*at, error);
                }
                // The statement that a timeout or an operator has stopped; or the first one, if the batch has not
                // begun.
                let first = if queue.has_begun() { None } else { queue.next() };
                current.take().or(first).into_iter().for_each(|mut stopped| stopped.end(Err(error)));
            }
            match result {
                Ok(answer) => {
                    Ok(Answered { answer, took: began.elapsed(), generation: generation.number(), cursor: None })
                }
                Err((at, error)) => Err(BatchError { statement: at.map(|at| at + 1), error }),
            }
        })
    }
}
