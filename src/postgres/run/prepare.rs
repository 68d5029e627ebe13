//! Prepares a statement that PostgreSQL and the guard have not seen yet.

use std::sync::Arc;

use futures_util::future::join;
use pg_guard::{Cleared, NotCleared, Reviewed, Statement};
use pg_render::Codec;
use tokio_postgres::Column;

use super::Run;
use crate::postgres::error::{Phase, QueryError, is_about_the_question};
use crate::postgres::params;
use crate::postgres::prepared::Prepared;
use crate::postgres::rows::server_text;
use crate::postgres::statement::ColumnInfo;

impl Run<'_> {
    /// Let the guard and PostgreSQL read a statement, in this order in read-only mode, and otherwise at the same time.
    pub(super) async fn prepare_and_clear<'s>(
        &self,
        statement: &'s Reviewed,
        kept: Option<Arc<Prepared>>,
    ) -> Result<(Arc<Prepared>, Cleared<'s>), QueryError> {
        let prepare = async {
            match kept {
                Some(prepared) => Ok(prepared),
                None => self.prepare(statement.statement()).await,
            }
        };
        let clear = self.clear(statement);
        if statement.must_be_cleared_first() {
            let cleared = clear.await?;
            return Ok((prepare.await?, cleared));
        }
        match join(prepare, clear).await {
            // A catalog query of the guard has failed, and with it the transaction.
            (Err(error), Err(cause)) if error.is_in_failed_transaction() && !cause.is_in_failed_transaction() => {
                Err(cause)
            }
            (Err(error), Ok(cleared)) if error.is_in_failed_transaction() => {
                self.transaction(cleared.clearance()).await?;
                Ok((self.prepare(statement.statement()).await?, cleared))
            }
            (prepared, cleared) => Ok((prepared?, cleared?)),
        }
    }

    /// Let the guard clear a statement for this connection.
    pub(super) async fn clear<'s>(&self, statement: &'s Reviewed) -> Result<Cleared<'s>, QueryError> {
        let connection = self.target.connection;
        statement.clear(connection.client(), connection.guard_session()).await.map_err(|error| match error {
            NotCleared::Refused(refusal) => refusal.into(),
            NotCleared::LookupFailed(error) => match error.as_db_error() {
                Some(db) if is_about_the_question(db.code()) => QueryError::refused(format!(
                    "The guard cannot ask this server's catalogs what the names in the statement stand for, so the \
                     statement does not run in read-only mode ({} {}). The operator can give this server a role that can \
                     ask them and, on a server that is no PostgreSQL, a role that can only read and \
                     MCP_ACCESS_MODE=read-write.",
                    db.code().code(),
                    db.message()
                )),
                _ => self.error(&error, "", Phase::Begin),
            },
        })
    }

    /// Let PostgreSQL parse a statement: this returns its parameters and columns before anything runs.
    pub(super) async fn prepare(&self, statement: &Statement) -> Result<Arc<Prepared>, QueryError> {
        // The driver would send it, and would then assign the responses to the wrong requests.
        params::check_number(statement)?;
        let client = self.target.connection.client();
        let sql = statement.sql();
        let to_error = |error| self.error(&error, sql, Phase::Parse);
        let mut handle = client.prepare(sql).await.map_err(to_error)?;
        let columns = handle.columns().iter().map(ColumnInfo::of).collect();
        let mut changes = false;
        if handle.columns().iter().map(Column::type_).chain(handle.params()).any(server_text::has_fields) {
            client.clear_type_cache();
            changes = true;
        }
        let cast = server_text::cast(client, statement, handle.columns()).await;
        let cast = cast.map_err(|error| server_text::unanswered(&error).unwrap_or_else(|| to_error(error)));
        if let Some(cast) = cast? {
            handle = client.prepare(&cast).await.map_err(|_| server_text::no_cast(handle.columns()))?;
            changes = true;
        }
        let types: Vec<_> = handle.columns().iter().map(|column| column.type_().clone()).collect();
        let codecs = types.iter().map(Codec::of).collect();
        let prepared = Arc::new(Prepared {
            sql: sql.clone(),
            operation: statement.operation(),
            statement: handle,
            columns,
            types,
            codecs,
            past_size: self.target.connection.past_size(sql),
        });
        if !changes {
            self.target.connection.keep(prepared.clone());
        }
        Ok(prepared)
    }
}
