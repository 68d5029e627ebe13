//! A statement that PostgreSQL and the guard have not seen yet.

use std::sync::Arc;

use futures_util::future::join;
use pg_render::Codec;
use tokio_postgres::Column;

use super::super::connection::Prepared;
use super::super::error::{Phase, QueryError};
use super::super::foreign;
use super::super::page::ColumnInfo;
use super::Run;
use crate::guard::{Cleared, Reviewed};

impl Run<'_> {
    /// Have PostgreSQL and the guard read a statement, at once if that may be.
    pub(super) async fn prepare_and_clear<'s>(
        &self,
        statement: &'s Reviewed,
        kept: Option<Arc<Prepared>>,
    ) -> Result<(Arc<Prepared>, Cleared<'s>), QueryError> {
        let prepare = async {
            match kept {
                Some(prepared) => Ok(prepared),
                None => self.prepare(statement.sql()).await,
            }
        };
        let clear = statement.clear(self.place.connection, self.place.target);
        if statement.must_be_cleared_first() {
            let cleared = clear.await?;
            return Ok((prepare.await?, cleared));
        }
        let (prepared, cleared) = join(prepare, clear).await;
        Ok((prepared?, cleared?))
    }

    /// Have PostgreSQL parse a statement: what its parameters and its columns are is known before anything runs.
    pub(super) async fn prepare(&self, sql: &Arc<str>) -> Result<Arc<Prepared>, QueryError> {
        let client = self.place.connection.client();
        let unclear = |error| self.wrong(&error, sql, Phase::Parse);
        let mut statement = client.prepare(sql).await.map_err(unclear)?;
        let columns = statement.columns().iter().map(ColumnInfo::of).collect();
        let mut changes = false;
        if statement.columns().iter().map(Column::type_).chain(statement.params()).any(foreign::has_fields) {
            client.clear_type_cache();
            changes = true;
        }
        if let Some(cast) = foreign::cast(client, sql, statement.columns()).await.map_err(unclear)? {
            statement = client.prepare(&cast).await.map_err(|_| foreign::no_cast(statement.columns()))?;
            changes = true;
        }
        let types: Vec<_> = statement.columns().iter().map(|column| column.type_().clone()).collect();
        let codecs = types.iter().map(Codec::of).collect();
        let prepared = Arc::new(Prepared {
            sql: sql.clone(),
            statement,
            columns,
            types,
            codecs,
            past: self.place.connection.past(sql),
        });
        if !changes {
            self.place.connection.keep(prepared.clone());
        }
        Ok(prepared)
    }
}
