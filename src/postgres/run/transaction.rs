//! The transaction around a statement.

use std::pin::Pin;

use futures_util::future::join;

use super::super::cleanup::TransactionEnd;
use super::super::error::{Phase, QueryError};
use super::Run;
use pg_guard::Clearance;

impl Run<'_> {
    /// Begin the transaction of a statement; one before it ends.
    ///
    /// Boxed, for the future of every call would have room for it, and most have none.
    pub(super) fn transaction(
        &self,
        clearance: Clearance,
    ) -> Pin<Box<dyn Future<Output = Result<(), QueryError>> + '_>> {
        Box::pin(self.begin_transaction(clearance))
    }

    async fn begin_transaction(&self, clearance: Clearance) -> Result<(), QueryError> {
        let begin = self.place.connection.begin(clearance.transaction(), self.place.default_read_only);
        let (undone, begun) = join(self.undo(), begin).await;
        undone?;
        begun.map_err(|error| self.wrong(&error, "", Phase::Begin))?;
        self.marks.begun.set(true);
        self.marks.runs_as(clearance);
        Ok(())
    }

    pub(super) async fn commit(&self) -> Result<(), QueryError> {
        self.marks.progress.makes_last();
        let ended = self.place.connection.client().batch_execute("COMMIT").await;
        ended.map_err(|error| self.wrong(&error, "", Phase::End).unsure(self.place.target))?;
        self.marks.left.set(self.marks.left.get().ended());
        Ok(())
    }

    /// Roll the transaction back, if one is open.
    pub(super) async fn undo(&self) -> Result<(), QueryError> {
        if self.marks.left.get().transaction == TransactionEnd::None {
            return Ok(());
        }
        let ended = self.place.connection.client().batch_execute("ROLLBACK").await;
        ended.map_err(|error| self.wrong(&error, "", Phase::End))?;
        self.marks.left.set(self.marks.left.get().ended());
        Ok(())
    }

    /// Whether the transaction has changed anything.
    pub(super) async fn has_written(&self) -> Result<bool, QueryError> {
        let sql = "SELECT pg_catalog.txid_current_if_assigned() IS NOT NULL";
        let row = self.place.connection.client().query_typed(sql, &[]).await;
        let row = row.and_then(|rows| rows.first().map_or(Ok(true), |row| row.try_get(0)));
        row.map_err(|error| self.wrong(&error, "", Phase::End))
    }
}
