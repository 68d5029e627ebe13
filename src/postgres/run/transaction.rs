//! The transaction around a statement.

use std::pin::Pin;

use futures_util::future::join;

use super::Run;
use crate::postgres::cleanup::{Cleanup, TransactionEnd};
use crate::postgres::error::{Phase, QueryError, is_about_the_question};
use pg_guard::Clearance;

impl Run<'_> {
    /// Begin the transaction of a statement; one that is open before is rolled back.
    ///
    /// Boxed: most calls have no such transaction; keeps the future of every call small.
    pub(super) fn transaction(
        &self,
        clearance: Clearance,
    ) -> Pin<Box<dyn Future<Output = Result<(), QueryError>> + '_>> {
        Box::pin(self.begin_transaction(clearance))
    }

    async fn begin_transaction(&self, clearance: Clearance) -> Result<(), QueryError> {
        let begin = self.target.connection.begin(clearance.transaction());
        let (undone, begun) = join(self.undo(), begin).await;
        undone?;
        if let Err(error) = begun {
            // Through a pooler, more than BEGIN is sent, and a part of it may have failed.
            if self.target.connection.is_pooled() {
                self.progress.cleanup.set(Cleanup::begun(clearance));
            }
            return Err(self.error(&error, "", Phase::Begin));
        }
        self.progress.begun.set(true);
        self.progress.runs_as(clearance);
        Ok(())
    }

    pub(super) async fn commit(&self) -> Result<(), QueryError> {
        self.progress.call.commit_started();
        let ended = self.target.connection.client().batch_execute("COMMIT").await;
        ended.map_err(|error| self.error(&error, "", Phase::End).with_unknown_outcome(self.target.name))?;
        self.progress.cleanup.set(self.progress.cleanup.get().ended());
        Ok(())
    }

    /// Roll the transaction back, if one is open.
    pub(super) async fn undo(&self) -> Result<(), QueryError> {
        if self.progress.cleanup.get().transaction == TransactionEnd::None {
            return Ok(());
        }
        let ended = self.target.connection.client().batch_execute("ROLLBACK").await;
        ended.map_err(|error| self.error(&error, "", Phase::End))?;
        self.progress.cleanup.set(self.progress.cleanup.get().ended());
        Ok(())
    }

    /// Whether the transaction has written anything.
    pub(super) async fn has_written(&self) -> Result<bool, QueryError> {
        let sql = "SELECT pg_catalog.txid_current_if_assigned() IS NOT NULL";
        let row = self.target.connection.client().query_typed(sql, &[]).await;
        let row = row.and_then(|rows| rows.first().map_or(Ok(true), |row| row.try_get(0)));
        row.map_err(|error| match error.as_db_error() {
            // The failed question has ended the transaction.
            Some(db) if is_about_the_question(db.code()) => QueryError::refused(format!(
                "This answer cannot be cut and read on, for the server cannot say whether the statement has written \
                 ({}). Nothing was changed by this call. Ask for less (WHERE, LIMIT), or raise max_rows.",
                db.message()
            )),
            _ => self.error(&error, "", Phase::End),
        })
    }
}
