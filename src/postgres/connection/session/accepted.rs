//! Finds which of the needed settings a server accepts, if it does not accept all of them. Such a server is not
//! PostgreSQL, but uses its protocol. A refused setting costs only what the setting is for.

use futures_util::future::join_all;
use tokio_postgres::error::Severity;
use tokio_postgres::{Client, Error, SimpleQueryMessage};

use crate::postgres::connection::{OpenError, Wanted};
use crate::postgres::error::causes;
use crate::postgres::needs::{Need, Purpose};
use crate::settings::AccessMode;

/// The settings that a server accepts.
pub(super) struct Accepted {
    /// The SQL of the settings, without the timeouts.
    pub(super) sql: Vec<String>,
    pub(super) takes_read_only: bool,
    pub(super) takes_timeouts: bool,
    /// What follows from the refused settings, as sentences for the operator.
    pub(super) warnings: Vec<String>,
}

impl Accepted {
    /// Tries each setting of a session by itself.
    pub(super) async fn in_session(client: &Client, wanted: &Wanted<'_>) -> Result<Self, OpenError> {
        let sql = wanted.needs.iter().map(Need::in_session).collect();
        // Joined, they are sent without waiting for each other.
        let of = |sql: Vec<String>| async move { join_all(sql.iter().map(|sql| client.batch_execute(sql))).await };
        Self::asking(client, wanted, sql, wanted.server_timeouts.in_session(), of).await
    }

    /// Tries each setting of a transaction, in a transaction of its own.
    pub(super) async fn in_transaction(client: &Client, wanted: &Wanted<'_>) -> Result<Self, OpenError> {
        let sql = wanted.needs.iter().map(Need::in_transaction).collect();
        let of = |sql: Vec<String>| async move {
            let tried = sql.into_iter().map(|sql| async move {
                let tried = client.batch_execute(&format!("BEGIN READ ONLY; {sql}")).await;
                client.batch_execute("ROLLBACK").await.and(tried)
            });
            let mut all = Vec::new();
            for tried in tried {
                all.push(tried.await);
            }
            all
        };
        Self::asking(client, wanted, sql, wanted.server_timeouts.in_transaction(), of).await
    }

    async fn asking<F: Future<Output = Vec<Result<(), Error>>>>(
        client: &Client,
        wanted: &Wanted<'_>,
        sql: Vec<String>,
        timeouts: String,
        of: impl Fn(Vec<String>) -> F,
    ) -> Result<Self, OpenError> {
        let mut tried = of([&sql[..], std::slice::from_ref(&timeouts)].concat()).await;
        let mut found = Self { sql: Vec::new(), takes_read_only: false, takes_timeouts: true, warnings: Vec::new() };
        let mut refused = Vec::new();
        if let Some(Err(error)) = tried.pop() {
            refused.push(format!("{timeouts} ({})", causes(&refusal(error)?)));
            found.takes_timeouts = false;
        }
        for ((need, sql), tried) in wanted.needs.iter().zip(sql).zip(tried) {
            let Err(error) = tried else {
                found.takes_read_only |= need.purpose == Purpose::ReadOnly;
                found.sql.push(sql);
                continue;
            };
            let why = causes(&refusal(error)?);
            match need.purpose {
                Purpose::Values => refused.push(format!("{sql} ({why})")),
                Purpose::ReadOnly => begins_read_only(client).await?,
                Purpose::Strings if has_standard_strings(client).await => {}
                Purpose::Strings if wanted.access == AccessMode::ReadOnly => return Err(unguardable(&sql, &why)),
                Purpose::Strings => refused.push(format!("{sql} ({why})")),
            }
        }
        if !refused.is_empty() {
            found.warnings.push(format!(
                "the server refuses settings, so values may look otherwise, and clocks are this server's alone: {}",
                refused.join(", ")
            ));
        }
        Ok(found)
    }
}

/// The error, if it is a refusal.
///
/// # Errors
/// The connection is lost.
pub(super) fn refusal(error: Error) -> Result<Error, OpenError> {
    let is_refusal = error.as_db_error().is_some_and(|db| {
        let is_fatal = matches!(db.parsed_severity(), Some(Severity::Fatal | Severity::Panic));
        !is_fatal && !["08", "57"].iter().any(|class| db.code().code().starts_with(class))
    });
    if is_refusal { Ok(error) } else { Err(error.into()) }
}

/// Whether a transaction can be READ ONLY if BEGIN says so, although the default cannot be set.
async fn begins_read_only(client: &Client) -> Result<(), OpenError> {
    const BEGIN: &str = "BEGIN READ ONLY";
    match client.batch_execute(BEGIN).await {
        Ok(()) => Ok(client.batch_execute("ROLLBACK").await?),
        Err(error) => Err(unguardable(BEGIN, &causes(&refusal(error)?))),
    }
}

/// Whether strings are standard conforming, although that cannot be set.
async fn has_standard_strings(client: &Client) -> bool {
    let is_on =
        |message: &SimpleQueryMessage| matches!(message, SimpleQueryMessage::Row(row) if row.get(0) == Some("on"));
    client.simple_query("SHOW standard_conforming_strings").await.is_ok_and(|shown| shown.iter().any(is_on))
}

fn unguardable(sql: &str, why: &str) -> OpenError {
    OpenError::Unusable(format!(
        "This server cannot be guarded: it refuses {sql} ({why}), so nothing would hold a statement that the guard misreads. \
         Nothing runs on it in read-only mode. Connect to PostgreSQL itself; or give this server a role that can only read, \
         and set MCP_ACCESS_MODE=read-write"
    ))
}
