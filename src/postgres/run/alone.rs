//! A statement that cannot run in a transaction block.

use std::pin::pin;

use futures_util::TryStreamExt;
use pg_guard::Cleared;

use super::Run;
use crate::postgres::error::{Phase, QueryError};
use crate::postgres::params;
use crate::postgres::rows::page::Page;
use crate::postgres::rows::server_text;
use crate::postgres::statement::{Outcome, Reading};

impl Run<'_> {
    /// Run a statement outside of any transaction block and read it to its end. Parts of it may take effect even if it
    /// fails.
    pub(super) async fn alone(&self, cleared: Cleared<'_>, reading: Reading) -> Result<Outcome, QueryError> {
        let statement = cleared.statement();
        let prepared = match self.target.connection.prepared(statement.sql()) {
            Some(prepared) => prepared,
            None => self.prepare(statement).await?,
        };
        let to_error =
            |error| self.error(&error, statement.sql(), Phase::Execute).with_unknown_outcome(self.target.name);
        let parameters = params::convert(statement.parameters(), prepared.statement.params())?;
        let (columns, codecs) = (prepared.columns.clone(), prepared.codecs.clone());
        let mut page = Page::new(columns, codecs, reading.format, reading.limits, reading.cell_offset);
        let server_columns = page.server_text_columns();
        let mut kept = Vec::new();
        let rows = self.target.connection.stream(cleared, &prepared.statement, &parameters).await;
        let mut rows = pin!(rows.map_err(to_error)?);
        while let Some(row) = rows.try_next().await.map_err(to_error)? {
            if !server_columns.is_empty() {
                // While rows arrive, nothing else can be asked. Such a statement has one row at most: that of CALL.
                kept.push(row);
                continue;
            }
            page.push(&row, &[]).map_err(|error| QueryError::undecodable(&error))?;
        }
        let rendered = server_text::texts(self.target.connection.client(), &kept, &prepared, &server_columns)
            .await
            .map_err(to_error)?;
        for (row, rendered) in kept.iter().zip(&rendered) {
            page.push(row, rendered).map_err(|error| QueryError::undecodable(&error))?;
        }
        let notices = self.target.connection.inbox().take();
        Ok(Outcome { page: page.finish(), rows_affected: None, notices })
    }
}
