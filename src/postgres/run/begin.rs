//! Starts a statement: chooses its transaction, and whether it uses a portal or runs to its end at once.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use futures_util::future::join;
use pg_guard::{Clearance, Cleared, Reviewed};

use super::Run;
use super::reader::Reader;
use crate::postgres::error::{Phase, QueryError};
use crate::postgres::params;
use crate::postgres::prepared::Prepared;
use crate::postgres::statement::Limits;
use crate::settings::AccessMode;

impl Run<'_> {
    /// Begin `statement` in a transaction, up to its first row. A statement that only reads does not end its
    /// transaction: cleaning the connection does, so the answer need not wait for it.
    pub(super) async fn begin(
        &self,
        statement: &Reviewed,
        small_within: Option<Limits>,
    ) -> Result<(Reader, Clearance), QueryError> {
        let sql = statement.statement().sql();
        let transaction = |clearance| self.transaction(clearance);
        let is_small = |prepared: &Prepared| small_within.is_some_and(|limits| prepared.past_size.is_small(limits));
        let kept = self.target.connection.prepared(sql);
        let was_kept = kept.is_some();
        // Joined, the parts are sent without waiting for each other.
        let (cleared, opened) = match (kept, statement.cleared()) {
            (Some(prepared), Some(cleared)) if cleared.clearance().only_reads && is_small(&prepared) => {
                if cleared.clearance().leaves_no_state {
                    (cleared, self.run_without_cleanup(prepared, cleared).await)
                } else {
                    let (begun, opened) = join(transaction(cleared.clearance()), self.stream(prepared, cleared)).await;
                    begun?;
                    (cleared, opened)
                }
            }
            (Some(prepared), Some(cleared)) => {
                let (begun, opened) = join(transaction(cleared.clearance()), self.open(prepared, cleared)).await;
                begun?;
                (cleared, opened)
            }
            (kept, _) => {
                // Boxed: a rare path; keeps the future of every call small.
                let ready = Box::pin(self.prepare_and_clear(statement, kept));
                let (begun, ready) = join(transaction(statement.expected()), ready).await;
                begun?;
                let (prepared, cleared) = ready?;
                if cleared.clearance().only_reads == statement.expected().only_reads {
                    self.progress.runs_as(cleared.clearance());
                    (cleared, self.open(prepared, cleared).await)
                } else {
                    let (begun, opened) = join(transaction(cleared.clearance()), self.open(prepared, cleared)).await;
                    begun?;
                    (cleared, opened)
                }
            }
        };
        let clearance = cleared.clearance();
        match opened {
            // The prepared statement was lost (by DEALLOCATE or DISCARD), or its tables have changed.
            Err(QueryError::Rejected(_)) if was_kept => {
                self.target.connection.forget(sql);
                transaction(clearance).await?;
                let prepared = Box::pin(self.prepare(statement.statement())).await?;
                Ok((self.open(prepared, cleared).await?, clearance))
            }
            opened => Ok((opened?, clearance)),
        }
    }

    /// Run a statement that leaves nothing on its connection to its end, in a READ ONLY transaction that ends with it.
    async fn run_without_cleanup(&self, prepared: Arc<Prepared>, cleared: Cleared<'_>) -> Result<Reader, QueryError> {
        // No response comes before it runs.
        self.progress.begun.set(true);
        self.progress.only_reads.set(true);
        let mut rows = pin!(self.stream(prepared, cleared));
        let connection = self.target.connection;
        // All three are sent at once; nothing waits for the first and the last. A default of the session would not be
        // enough: a function can change it, and what runs without BEGIN is committed.
        connection.post(&connection.begin_sql(AccessMode::ReadOnly));
        let sent = poll_fn(|context| Poll::Ready(rows.as_mut().poll(context))).await;
        connection.post(match self.target.access {
            AccessMode::ReadOnly => "ROLLBACK",
            AccessMode::ReadWrite => "COMMIT",
        });
        match sent {
            Poll::Ready(rows) => rows,
            Poll::Pending => rows.await,
        }
    }

    /// Open a portal for a statement.
    pub(super) async fn open(&self, prepared: Arc<Prepared>, cleared: Cleared<'_>) -> Result<Reader, QueryError> {
        let statement = cleared.statement();
        let parameters = params::convert(statement.parameters(), prepared.statement.params())?;
        let portal = self.target.connection.bind(cleared, &prepared.statement, &parameters).await;
        let portal = portal.map_err(|error| self.error(&error, statement.sql(), Phase::Execute))?;
        self.progress.bound.set(true);
        Ok(Reader::new(prepared, portal))
    }

    /// Run a statement to its end.
    async fn stream(&self, prepared: Arc<Prepared>, cleared: Cleared<'_>) -> Result<Reader, QueryError> {
        let statement = cleared.statement();
        let parameters = params::convert(statement.parameters(), prepared.statement.params())?;
        let rows = self.target.connection.stream(cleared, &prepared.statement, &parameters).await;
        let rows = rows.map_err(|error| self.error(&error, statement.sql(), Phase::Execute))?;
        self.progress.bound.set(true);
        Ok(Reader::whole(prepared, rows))
    }
}
