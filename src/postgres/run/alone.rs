//! A statement that takes no transaction around it.

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
    /// Run a statement outside of any transaction block, reading it to its end. Parts of it may last though it fails.
    pub(super) async fn alone(&self, cleared: Cleared<'_>, reading: Reading) -> Result<Outcome, QueryError> {
        let statement = cleared.statement();
        let prepared = match self.target.connection.prepared(statement.sql()) {
            Some(prepared) => prepared,
            None => self.prepare(statement).await?,
        };
        let wrong = |error| self.wrong(&error, statement.sql(), Phase::Execute).unsure(self.target.name);
        let parameters = params::convert(statement.parameters(), prepared.statement.params())?;
        let (columns, codecs) = (prepared.columns.clone(), prepared.codecs.clone());
        let mut page = Page::new(columns, codecs, reading.format, reading.limits, reading.cell_offset);
        let server_columns = page.server_text_columns();
        let mut held = Vec::new();
        let rows = self.target.connection.stream(cleared, &prepared.statement, &parameters).await;
        let mut rows = pin!(rows.map_err(wrong)?);
        while let Some(row) = rows.try_next().await.map_err(wrong)? {
            if !server_columns.is_empty() {
                // Nothing else can be asked while rows are on their way; but what runs alone has one at most, CALL's.
                held.push(row);
                continue;
            }
            page.push(&row, &[]).map_err(|error| QueryError::undecodable(&error))?;
        }
        let shown = server_text::texts(self.target.connection.client(), &held, &prepared, &server_columns)
            .await
            .map_err(wrong)?;
        for (row, shown) in held.iter().zip(&shown) {
            page.push(row, shown).map_err(|error| QueryError::undecodable(&error))?;
        }
        Ok(Outcome { page: page.finish(), rows_affected: None })
    }
}
