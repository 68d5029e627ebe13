//! Adds to the error of a statement its true cause, and a hint for which the database must be asked.

use futures_util::future::join;
use pg_guard::{Clearance, Reviewed, sql};
use tokio_postgres::error::SqlState;

use super::Run;
use crate::postgres::catalog::{limit, nearest, read_only};
use crate::postgres::cleanup::Cleanup;
use crate::postgres::error::{Phase, QueryError, Rejection, is_about_the_question};
use crate::settings::AccessMode;

impl Run<'_> {
    /// The error with its cause, with the notices before it, and with a hint. For some hints PostgreSQL is asked, after
    /// the transaction was rolled back.
    pub(super) async fn explained(&self, error: QueryError, statement: &Reviewed) -> QueryError {
        match error {
            QueryError::Rejected(rejection) if self.is_of_a_look_up(&rejection, statement).await => {
                types_unknown(&rejection)
            }
            error => self.explained_by_text(error, statement.statement().sql()).await,
        }
    }

    /// The same for a statement that PostgreSQL has parsed.
    pub(super) async fn explained_by_text(&self, error: QueryError, sql: &str) -> QueryError {
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

    /// Whether the statement is right, and the driver's look-up of a type has failed. The driver's error does not say it.
    /// So PostgreSQL parses the statement once more, as a subquery without columns whose types would be looked up. A text
    /// that the guard's parser cannot read is not put there: it could close the parenthesis.
    async fn is_of_a_look_up(&self, rejection: &Rejection, statement: &Reviewed) -> bool {
        let sqlstate = SqlState::from_code(&rejection.sqlstate);
        // The driver tries some look-ups in another way, in a transaction that has failed by then.
        let may_be = is_about_the_question(&sqlstate) || sqlstate == SqlState::IN_FAILED_SQL_TRANSACTION;
        if rejection.phase != Phase::Parse || !may_be || statement.is_unreadable() {
            return false;
        }
        let parsed = format!("SELECT FROM (\n{}\n) AS q", sql::without_tail(statement.statement().sql()));
        self.ask(self.target.connection.client().prepare(&parsed)).await.is_some()
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

    /// A hint that is better than the one of PostgreSQL. If it cannot be found, that is not an error.
    async fn hint(&self, rejection: &Rejection, sql: &str) -> Option<String> {
        let client = self.target.connection.client();
        if rejection.sqlstate == SqlState::READ_ONLY_SQL_TRANSACTION.code() {
            // A statement that was expected to be a read runs once more.
            let is_known = self.target.access == AccessMode::ReadOnly || self.progress.only_reads.get();
            return match is_known {
                true => None,
                false => self.ask(read_only::hint(client)).await.flatten(),
            };
        }
        if rejection.sqlstate == SqlState::QUERY_CANCELED.code() {
            let limit = self.ask(limit::whose(client, "statement_timeout")).await.flatten()?;
            return Some(format!(
                "It ran longer than {limit}, or somebody cancelled it: narrow it (WHERE, LIMIT, an index), or ask whoever set \
                 that limit."
            ));
        }
        // Without a wait (NOWAIT) no time limit is involved.
        if rejection.sqlstate == SqlState::LOCK_NOT_AVAILABLE.code() && rejection.is_interrupt {
            let limit = self.ask(limit::whose(client, "lock_timeout")).await.flatten()?;
            return Some(format!(
                "It waited for a lock longer than {limit}. Another transaction holds it: try again later."
            ));
        }
        let is_column = rejection.sqlstate == SqlState::UNDEFINED_COLUMN.code();
        let is_name = is_column || rejection.sqlstate == SqlState::UNDEFINED_TABLE.code();
        // If the error is in a function, the name belongs to another statement. For a statement that destroys
        // something, a guess could do harm.
        let is_of_this_statement = rejection.position.is_some() || rejection.context.is_none();
        if !is_name || rejection.hint.is_some() || !is_of_this_statement || sql::destroys(sql) {
            return None;
        }
        match is_column {
            true => self.ask(nearest::column_hint(client, sql, rejection)).await.flatten(),
            false => self.ask(nearest::table_hint(client, sql, rejection)).await.flatten(),
        }
    }

    /// The answer to a catalog query after the statement has failed. Its transaction is rolled back first. The query
    /// runs in a transaction of its own, because through a pooler nothing may run outside of one.
    async fn ask<T>(&self, query: impl Future<Output = Result<T, tokio_postgres::Error>>) -> Option<T> {
        let before = (self.progress.only_reads.get(), self.progress.cleanup.get().session);
        // Joined, all are sent without waiting for each other.
        let (begun, answer) = join(self.transaction(Clearance::to_ask(self.target.access)), query).await;
        self.progress.only_reads.set(before.0);
        self.progress.cleanup.set(Cleanup { session: before.1, ..self.progress.cleanup.get() });
        begun.ok().and(answer.ok())
    }
}

/// The refusal for a statement with a type that cannot be looked up.
fn types_unknown(rejection: &Rejection) -> QueryError {
    let why = match &*rejection.sqlstate {
        // The cause is not known.
        state if state == SqlState::IN_FAILED_SQL_TRANSACTION.code() => String::new(),
        state => format!(" ({state} {})", rejection.message),
    };
    QueryError::refused(format!(
        "The statement is right, but a type of its columns or parameters cannot be looked up in this server's catalogs{why}. \
         Cast to text what is not of a built-in type: column::text, $1::text."
    ))
}
