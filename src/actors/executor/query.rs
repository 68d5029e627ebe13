//! One statement, and the pages after its first.

use actix::prelude::*;

use super::cursors::Open;
use super::{Executor, allows, settle, within, within_the_call};
use crate::actors::wanted::WhileWanted;
use crate::log::{info, warn};
use crate::messages::statements::{Answered, Fetch, Query};
use crate::postgres::error::{Clock, QueryError};
use crate::postgres::pool::Admission;
use crate::postgres::run::{self, Answer, FetchMode, Read, RunProgress};
use crate::postgres::statement::{Outcome, Reading};
use crate::settings::AccessMode;

impl Handler<Query> for Executor {
    type Result = WhileWanted<Result<Answered<Outcome>, QueryError>>;

    fn handle(&mut self, query: Query, _: &mut Context<Self>) -> Self::Result {
        let generation = self.generation.clone();
        self.check_role(false);
        let (access, guard, role_check) = (self.access_of(&query.call.caller), self.guard.clone(), self.role_check);
        let (waiting_max, cursors, told_later) = (self.waiting_max, self.cursors.clone(), self.told_later.clone());
        let statement = &query.statement;
        let shown = (statement.sql(), statement.operation());
        let mut running = self.running(&query.call, shown, statement.parameters(), generation.number());
        let call = self.calls.begin(&query.call, shown);
        WhileWanted::new(async move {
            let work = async {
                allows(role_check, &generation).await?;
                let mut statement = guard.review(query.statement, access).await?;
                let (mut mode, mut was_lost) = (FetchMode::RunToEndIfSmall, false);
                let mut admission = Admission::Normal;
                loop {
                    let lease = call.lease(&generation, waiting_max, admission).await?;
                    admission = Admission::Retry;
                    running.executing(lease.opened_in());
                    let target = generation.target_name();
                    let progress = RunProgress::new(call.progress());
                    let place = lease.exec_target(access, &target);
                    let work = run::query(place, &statement, query.reading, mode, &progress);
                    let result = within(Clock::Command, lease.clocks().command_timeout, work).await;
                    let error = match result {
                        Ok(Read::Answer(answer)) => return Ok((*answer, lease, progress.cleanup.get())),
                        Ok(Read::Outgrown) => {
                            // Its drop cancels the statement.
                            drop(lease);
                            running.again();
                            mode = FetchMode::Portal;
                            continue;
                        }
                        Err(error) => error,
                    };
                    if access == AccessMode::ReadWrite && progress.only_reads.get() && error.needs_to_write() {
                        // A function that promises not to, or something that was made anew meanwhile.
                        lease.settle(progress.cleanup.get());
                        statement.writes();
                        running.again();
                        info!(running.log, "run again as what may write"; "why" => error.to_string());
                        continue;
                    }
                    settle(lease, progress.cleanup.get(), Some(&error));
                    if !error.is_lost_connection() {
                        return Err(error);
                    }
                    // Which says whether it has begun.
                    mode = FetchMode::Portal;
                    if progress.begun.get() {
                        // Of a read nothing is lost but its time; but it may be what the server dies of.
                        if was_lost || !progress.only_reads.get() || progress.rows_came.get() {
                            return Err(error);
                        }
                        was_lost = true;
                    }
                    running.again();
                    running.event.retries += 1;
                    warn!(running.log, "connection lost, the statement is sent on another"; "why" => error.to_string());
                }
            };
            let work = call.unless_cancelled(within_the_call(&call, query.call.timeout, work));
            let result = work.await.unwrap_or_else(|| Err(call.cancelled()));
            let result = result.map_err(|error| call.told(error, &generation.target_name()));
            running.end(result.as_ref().map(|(answer, ..)| &answer.outcome));
            let (Answer { outcome, rest }, lease, left) = result?;
            let mut answered = running.answered(outcome, &told_later);
            match rest {
                None => settle(lease, left, None),
                Some((reader, clearance)) => {
                    let (owner, format) = (query.call.caller.name, query.reading.format);
                    answered.cursor = cursors.put(Open { owner, reader, lease, clearance, format })
                }
            }
            Ok(answered)
        })
    }
}

impl Handler<Fetch> for Executor {
    type Result = WhileWanted<Result<Answered<Outcome>, QueryError>>;

    fn handle(&mut self, fetch: Fetch, _: &mut Context<Self>) -> Self::Result {
        let taken = self.cursors.take(&fetch.cursor, &fetch.call.caller).map(|taken| {
            let shown = (taken.open.reader.sql(), taken.open.reader.operation());
            let running = self.running(&fetch.call, shown, &[], taken.open.lease.generation());
            let call = self.calls.begin(&fetch.call, shown);
            (taken, running, call)
        });
        let told_later = self.told_later.clone();
        WhileWanted::new(async move {
            let (mut taken, mut running, call) = taken?;
            running.executing(None);
            call.fetches();
            let open = &mut taken.open;
            let target = open.lease.target_name();
            open.format = fetch.format.unwrap_or(open.format);
            let reading = Reading { limits: fetch.limits, format: open.format, cell_offset: 0 };
            let progress = RunProgress::new(call.progress());
            let place = open.lease.exec_target(open.clearance.access, &target);
            let work = run::more(place, (&mut open.reader, open.clearance), reading, &progress);
            let work = within(Clock::Command, open.lease.clocks().command_timeout, work);
            let work = call.unless_cancelled(within_the_call(&call, fetch.call.timeout, work));
            let result = work.await.unwrap_or_else(|| Err(call.cancelled()));
            let result = result.map_err(|error| call.told(error, &target));
            running.end(result.as_ref().map(|(outcome, _)| outcome));
            match result {
                Ok((outcome, has_more)) => {
                    let mut answered = running.answered(outcome, &told_later);
                    if has_more {
                        answered.cursor = taken.wait();
                    } else {
                        taken.finish(progress.cleanup.get());
                    }
                    Ok(answered)
                }
                // Its drop cancels the statement.
                Err(error @ QueryError::Cancelled { .. }) => Err(error),
                Err(error) => {
                    taken.fail(progress.cleanup.get(), &error);
                    Err(error)
                }
            }
        })
    }
}
