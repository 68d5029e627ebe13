//! What is added to an error of a statement: its true cause, and a hint that only the database can give.

use pg_guard::sql;
use tokio_postgres::error::SqlState;

use super::Run;
use crate::postgres::catalog::{limit, nearest, read_only};
use crate::postgres::error::{QueryError, Rejection};
use crate::settings::AccessMode;

impl Run<'_> {
    /// The error with its cause, with what PostgreSQL had said before it, and with a hint. PostgreSQL is asked for some
    /// hints, so the transaction is rolled back for those.
    pub(super) async fn explained(&self, error: QueryError, sql: &str) -> QueryError {
        let notices = self.target.connection.inbox().take();
        match self.with_cause(error) {
            QueryError::Rejected(mut rejection) => {
                if let Some(hint) = self.hint(&rejection, sql).await {
                    rejection.hint = Some(hint);
                }
                QueryError::Rejected(rejection).after(notices)
            }
            other => other,
        }
    }

    /// The message with which the backend has ended the connection, if that is why the statement failed.
    pub(super) fn with_cause(&self, error: QueryError) -> QueryError {
        match (error, self.target.connection.inbox().last_words()) {
            (QueryError::Unavailable { phase, outcome_unknown: false, .. }, Some(last_words)) => {
                QueryError::Rejected(Box::new(Rejection::new(&last_words, "", phase)))
            }
            (other, _) => other,
        }
    }

    /// A hint that says more than the rejection does. If it cannot be found, that is no error.
    async fn hint(&self, rejection: &Rejection, sql: &str) -> Option<String> {
        let client = self.target.connection.client();
        if rejection.sqlstate == SqlState::READ_ONLY_SQL_TRANSACTION.code() {
            // What is only taken for a read runs once more.
            let is_known = self.target.access == AccessMode::ReadOnly || self.progress.only_reads.get();
            return match !is_known && self.undo().await.is_ok() {
                true => read_only::hint(client).await.ok().flatten(),
                false => None,
            };
        }
        if rejection.sqlstate == SqlState::QUERY_CANCELED.code() {
            self.undo().await.ok()?;
            let limit = limit::whose(client, "statement_timeout").await.ok().flatten()?;
            return Some(format!(
                "It ran longer than {limit}, or somebody cancelled it: narrow it (WHERE, LIMIT, an index), or ask whoever set \
                 that limit."
            ));
        }
        // Without a wait (NOWAIT) no time limit is involved.
        if rejection.sqlstate == SqlState::LOCK_NOT_AVAILABLE.code() && rejection.is_interrupt {
            self.undo().await.ok()?;
            let limit = limit::whose(client, "lock_timeout").await.ok().flatten()?;
            return Some(format!(
                "It waited for a lock longer than {limit}. Another transaction holds it: try again later."
            ));
        }
        let is_column = rejection.sqlstate == SqlState::UNDEFINED_COLUMN.code();
        let is_name = is_column || rejection.sqlstate == SqlState::UNDEFINED_TABLE.code();
        // In a function, another statement has the name. And what destroys would take a guess at its word.
        let is_of_this_statement = rejection.position.is_some() || rejection.context.is_none();
        if !is_name || rejection.hint.is_some() || !is_of_this_statement || sql::destroys(sql) {
            return None;
        }
        self.undo().await.ok()?;
        let hint = match is_column {
            true => nearest::column_hint(client, sql, rejection).await,
            false => nearest::table_hint(client, sql, rejection).await,
        };
        hint.ok().flatten()
    }
}
