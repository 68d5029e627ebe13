//! Runs one statement, and reads its further pages.

use std::sync::Arc;

use actix::prelude::*;
use pg_guard::Reviewed;

use super::attempt::{Attempt, Next, Reason, Run};
use super::calls::RunningCall;
use super::cursors::{Open, refusal};
use super::record::{StatementRecord, size_of_answer};
use super::{Executor, settle, within, within_the_call};
use crate::actors::wanted::WhileWanted;
use crate::log::{info, warn};
use crate::messages::statements::{Answered, Cursor, Fetch, Query};
use crate::postgres::cleanup::Cleanup;
use crate::postgres::error::{Clock, QueryError};
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
                if let Some(permission) = permission {
                    permission.await?;
                }
                let mut statement = guard.review(query.statement, access).await?;
                let runs = Runs { call: &call, generation: &generation, access, waiting_max, reading: query.reading };
                runs.until_answered(&mut statement, &mut record).await
            };
            let work = call.unless_cancelled(within_the_call(&call, query.call.timeout, work));
            let result = work.await.unwrap_or_else(|| Err(call.cancelled()));
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
            let exec_target = lease.exec_target(self.access, &target);
            let work = run::query(exec_target, statement, self.reading, attempt.fetch_mode(), &progress);
            let result = within(Clock::Command, lease.clocks().command_timeout, work).await;
            let (next, cleanup) = (attempt.after(Run::of(&result, &progress)), progress.cleanup.get());
            match (result, next) {
                (Ok(RunResult::FirstPage(answer)), _) => return Ok((*answer, lease, cleanup)),
                // The drop cancels the statement.
                (Ok(RunResult::Outgrown), _) => drop(lease),
                (Err(error), Next::RunAgain(Reason::Writes)) => {
                    // It called a function that is wrongly declared not to write, or an object was replaced after the
                    // guard had looked at it.
                    lease.settle(cleanup);
                    statement.mark_as_write();
                    info!(record.log, "run again as what may write"; "why" => error.to_string());
                }
                (Err(error), Next::RunAgain(_)) => {
                    settle(lease, cleanup, Some(&error));
                    warn!(record.log, "connection lost, the statement is sent on another"; "why" => error.to_string());
                }
                (Err(error), _) => {
                    settle(lease, cleanup, Some(&error));
                    return Err(error);
                }
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
            let exec_target = open.lease.exec_target(open.clearance.access, &target);
            let work = run::more(exec_target, (&mut open.reader, open.clearance), reading, &progress);
            let work = within(Clock::Command, open.lease.clocks().command_timeout, work);
            let work = call.unless_cancelled(within_the_call(&call, fetch.call.timeout, work));
            let result = work.await.unwrap_or_else(|| Err(call.cancelled()));
            let result = result.map_err(|error| call.error_for_client(error, &target));
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
                    taken.fail(progress.cleanup.get(), &error);
                    Err(error)
                }
            }
        })
    }
}
