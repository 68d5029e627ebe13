//! Runs one statement, and reads its further pages.

use std::sync::Arc;

use actix::prelude::*;
use pg_guard::Reviewed;

use super::attempt::{Attempt, Failure, Next, Reason, Run};
use super::calls::RunningCall;
use super::cursors::{Open, refusal};
use super::record::{StatementRecord, size_of_answer};
use super::{Executor, fail, settle, within};
use crate::actors::wanted::WhileWanted;
use crate::log::{info, warn};
use crate::messages::statements::{Answered, Cursor, Fetch, Query};
use crate::postgres::cleanup::Cleanup;
use crate::postgres::error::QueryError;
use crate::postgres::pool::{Generation, Lease};
use crate::postgres::run::{self, FirstPage, RunProgress, RunResult};
use crate::postgres::statement::{Outcome, Reading};
use crate::settings::AccessMode;

impl Handler<Query> for Executor {
    type Result = WhileWanted<Result<Answered<Outcome>, QueryError>>;

    fn handle(&mut self, query: Query, _: &mut Context<Self>) -> Self::Result {
        let generation = self.generation.clone();
        self.check_role(false);
        let (access, guard, permission) = (self.access_of(&query.call.caller), self.guard.clone(), self.permission());
        let (waiting_max, cursors, reports) = (self.waiting_max, self.cursors.clone(), self.reports.clone());
        let statement = &query.statement;
        let sql_and_operation = (statement.sql(), statement.operation());
        let mut record = self.record(&query.call, sql_and_operation, statement.parameters(), generation.number());
        let call = self.calls.begin(&query.call, sql_and_operation);
        WhileWanted::new(async move {
            let work = async {
                let review = async {
                    if let Some(permission) = permission {
                        permission.await?;
                    }
                    Ok(guard.review(query.statement, access).await?)
                };
                let mut statement = call.in_time(review).await?;
                let runs = Runs { call: &call, generation: &generation, access, waiting_max, reading: query.reading };
                runs.until_answered(&mut statement, &mut record).await
            };
            let result = call.unless_cancelled(work).await.unwrap_or_else(|| Err(call.cancelled()));
            let result = result.map_err(|error| call.error_for_client(error, &generation.target_name()));
            result.as_ref().err().into_iter().for_each(|error| record.refused(error));
            record.end(result.as_ref().map(|(answer, ..)| size_of_answer(&answer.outcome)));
            let (FirstPage { outcome, rest }, lease, cleanup) = result?;
            let mut answered = record.answered(outcome, &reports);
            match rest {
                None => settle(lease, cleanup, None),
                Some((reader, clearance)) => {
                    let open = Open { reader, lease, clearance, format: query.reading.format };
                    answered.cursor = cursors.put(query.call.caller.principal(), open).map(Cursor::from);
                }
            }
            Ok(answered)
        })
    }
}

/// The runs of one statement. [`Attempt`] decides how many there are.
struct Runs<'a> {
    call: &'a RunningCall,
    generation: &'a Arc<Generation>,
    access: AccessMode,
    waiting_max: usize,
    reading: Reading,
}

impl Runs<'_> {
    /// The answer, with its connection and the cleanup that the statement has left to do there.
    async fn until_answered(
        &self,
        statement: &mut Reviewed,
        record: &mut StatementRecord,
    ) -> Result<(FirstPage, Lease, Cleanup), QueryError> {
        let mut attempt = Attempt::of_statement(self.access);
        let target = self.generation.target_name();
        loop {
            let lease = self.call.lease(self.generation, self.waiting_max, attempt.admission()).await?;
            record.executing(lease.opened_in());
            let progress = RunProgress::new(self.call.progress());
            let place = lease.exec_target(self.access, &target);
            let work = run::query(place, statement, self.reading, attempt.fetch_mode(), &progress);
            let result = within(self.call, lease.clocks().command_timeout, work).await;
            let left = progress.cleanup.get();
            let error = match result {
                Ok(RunResult::FirstPage(answer)) => return Ok((*answer, lease, left)),
                Ok(RunResult::Outgrown) => {
                    attempt.after(Run::Outgrown);
                    // Its drop cancels the statement.
                    drop(lease);
                    record.wait_again(attempt.retries());
                    continue;
                }
                // Boxed: rare path; keeps the future of every call small.
                Err(error) => Box::pin(fail(lease, left, error)).await,
            };
            let next = attempt.after(Run::Failed(Failure::of(&error, &progress)));
            match next {
                // A function that promises not to, or something that was made anew meanwhile.
                Next::RunAgain(Reason::Writes) => {
                    statement.mark_as_write();
                    info!(record.log, "run again as what may write"; "why" => error.to_string());
                }
                // The clock of the command has run out: only a call that gives its own has more time.
                Next::RunAgain(_) if matches!(error, QueryError::NoAnswer { .. }) && !self.call.has_time() => {
                    return Err(error);
                }
                Next::RunAgain(_) => {
                    warn!(record.log, "connection lost, the statement is sent on another"; "why" => error.to_string());
                }
                Next::Fail => return Err(error),
            }
            record.wait_again(attempt.retries());
        }
    }
}

impl Handler<Fetch> for Executor {
    type Result = WhileWanted<Result<Answered<Outcome>, QueryError>>;

    fn handle(&mut self, fetch: Fetch, _: &mut Context<Self>) -> Self::Result {
        let taken = self.cursors.take(&fetch.cursor, &fetch.call.caller.principal()).map_err(refusal).map(|taken| {
            let sql_and_operation = (taken.held.reader.sql(), taken.held.reader.operation());
            let record = self.record(&fetch.call, sql_and_operation, &[], taken.held.lease.generation());
            let call = self.calls.begin(&fetch.call, sql_and_operation);
            (taken, record, call)
        });
        let reports = self.reports.clone();
        WhileWanted::new(async move {
            let (mut taken, mut record, call) = taken?;
            record.executing(None);
            call.set_fetching();
            let open = &mut taken.held;
            let target = open.lease.target_name();
            open.format = fetch.format.unwrap_or(open.format);
            let reading = Reading { limits: fetch.limits, format: open.format, cell_offset: 0 };
            let progress = RunProgress::new(call.progress());
            let place = open.lease.exec_target(open.clearance.access, &target);
            let work = run::more(place, (&mut open.reader, open.clearance), reading, &progress);
            let work = within(&call, open.lease.clocks().command_timeout, work);
            let result = call.unless_cancelled(work).await.unwrap_or_else(|| Err(call.cancelled()));
            record.end(result.as_ref().map(|(outcome, _)| size_of_answer(outcome)));
            match result {
                Ok((outcome, has_more)) => {
                    let mut answered = record.answered(outcome, &reports);
                    if has_more {
                        answered.cursor = taken.wait();
                    } else {
                        taken.finish(progress.cleanup.get());
                    }
                    Ok(answered)
                }
                // The drop cancels the statement.
                Err(error @ QueryError::Cancelled { .. }) => Err(error),
                Err(error) => {
                    let error = taken.fail(progress.cleanup.get(), error).await;
                    Err(QueryError::CursorEnded(Box::new(call.error_for_client(error, &target))))
                }
            }
        })
    }
}
