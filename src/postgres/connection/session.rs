//! The session of a connection: how it is set up, how a transaction begins in it, and how it is cleaned.

use std::borrow::Cow;
use std::sync::{Mutex, PoisonError};

use futures_util::future::{join, join3};
use tokio_postgres::{Client, Error, SimpleQueryMessage, Statement};

use super::{OpenError, Wanted};
use crate::postgres::cleanup::{Cleanup, SessionCleanup, TransactionEnd};
use crate::postgres::error::causes;
use crate::postgres::needs::{Need, Purpose, ServerTimeouts};
use crate::settings::AccessMode;
use accepted::{Accepted, refusal};

mod accepted;

/// Releases the advisory locks that a ROLLBACK keeps, and returns whether SQL has prepared a statement, which cannot be
/// undone.
const CHECK: &str = "SELECT pg_catalog.pg_advisory_unlock_all(), \
                     EXISTS (SELECT FROM pg_catalog.pg_prepared_statement() WHERE from_sql)";

/// Lets a backend check, while a statement runs, whether its client is still connected: a backend that cannot be
/// cancelled then ends when its connection is closed.
const CHECK_CLIENT: &str = "; SET client_connection_check_interval = '1s'";

/// The same for a server that may not know this setting: versions before 14, and some systems.
const TRY_TO_CHECK_CLIENT: &str = "\
SELECT CASE WHEN pg_catalog.int4in(pg_catalog.textout(pg_catalog.current_setting('server_version_num'))) >= 140000 \
THEN pg_catalog.set_config('client_connection_check_interval', '1s', false) END IS NOT NULL";

/// Undoes what a call may leave on a connection. `DISCARD ALL` would also drop the driver's own prepared statements,
/// and cannot be sent together with other commands.
const CLEAN: &str = "CLOSE ALL; RESET SESSION AUTHORIZATION; RESET ALL; UNLISTEN *; DISCARD TEMP; DISCARD SEQUENCES; \
                     SELECT pg_catalog.setseed(pg_catalog.date_part('microseconds', pg_catalog.clock_timestamp()) / 6e7)";

/// Begins a transaction that may write, in a session that a pooler lends. It is READ ONLY if the transactions of the
/// role are, whatever other clients have set. A transaction can become READ ONLY at any time, but READ WRITE only
/// before its first query.
const AS_THE_ROLE: &str = "SELECT pg_catalog.set_config('transaction_read_only', \
                           pg_catalog.current_setting('default_transaction_read_only'), true)";

fn is_true(message: &SimpleQueryMessage) -> bool {
    matches!(message, SimpleQueryMessage::Row(row) if row.get(0) == Some("t"))
}

/// The session of a connection.
pub enum Session {
    /// A session that belongs to this connection. It is set up once.
    Own(Own),
    /// A session that a pooler lends for one transaction. It does not belong to this server, so nothing is set for
    /// longer than the transaction, and nothing is cleaned.
    Lent(Box<Lent>),
}

pub struct Own {
    /// Whether its transactions are READ ONLY by default.
    is_read_only: bool,
    /// The SQL of its settings, without the timeouts.
    setup: String,
    /// PostgreSQL's own timeouts that are in force.
    server_timeouts: Mutex<ServerTimeouts>,
    takes_timeouts: bool,
    /// Whether its backend checks, while a statement runs, that the client is still connected.
    checks_client: bool,
    /// The prepared statement of [`CHECK`], if the server supports it.
    check: Option<Statement>,
}

pub struct Lent {
    /// The SQL of the settings of a transaction, without the timeouts.
    setup: String,
    takes_timeouts: bool,
    begin: Mutex<Begin>,
}

/// The beginning of a transaction with these timeouts.
struct Begin {
    server_timeouts: ServerTimeouts,
    read_only: String,
    read_write: String,
}

impl Session {
    /// Sets up a session that belongs to this connection, in which a transaction is open. Returns also warnings about
    /// refused settings.
    pub async fn own(client: &Client, wanted: &Wanted<'_>) -> Result<(Self, Vec<String>), OpenError> {
        let needs: Vec<_> = wanted.needs.iter().map(Need::in_session).collect();
        let setup = format!("ROLLBACK; {}; {}", needs.join("; "), wanted.server_timeouts.in_session());
        let watch = client.simple_query(TRY_TO_CHECK_CLIENT);
        let (set_up, checks_client, check) = join3(client.batch_execute(&setup), watch, client.prepare(CHECK)).await;
        let mut own = Own {
            is_read_only: wanted.needs.iter().any(|need| need.purpose == Purpose::ReadOnly),
            setup: needs.join("; "),
            server_timeouts: Mutex::new(wanted.server_timeouts),
            takes_timeouts: true,
            checks_client: checks_client.is_ok_and(|messages| messages.iter().any(is_true)),
            check: None,
        };
        let mut warnings = Vec::new();
        if let Err(error) = set_up {
            refusal(error)?;
            // One of the settings is refused. Each is tried by itself.
            let found = Accepted::in_session(client, wanted).await?;
            own.setup = found.sql.join("; ");
            own.takes_timeouts = found.takes_timeouts;
            own.is_read_only &= found.takes_read_only;
            warnings = found.warnings;
        }
        match check {
            Ok(check) => own.check = Some(check),
            Err(error) => warnings.push(format!(
                "the server refuses the question whether a connection is clean ({}): a connection is closed after each \
                 statement that may have left something on it",
                causes(&refusal(error)?)
            )),
        }
        Ok((Self::Own(own), warnings))
    }

    /// Finds the settings that can be set in a transaction, in a session that a pooler lends and in which a transaction
    /// is open.
    pub async fn lent(client: &Client, wanted: &Wanted<'_>) -> Result<(Self, Vec<String>), OpenError> {
        let needs: Vec<_> = wanted.needs.iter().map(Need::in_transaction).collect();
        let begin = Begin::with(&needs.join("; "), wanted.server_timeouts, true);
        let once = format!("ROLLBACK; {}; ROLLBACK", begin.read_only);
        let mut lent = Box::new(Lent { setup: needs.join("; "), takes_timeouts: true, begin: Mutex::new(begin) });
        let Err(error) = client.batch_execute(&once).await else { return Ok((Self::Lent(lent), Vec::new())) };
        refusal(error)?;
        client.batch_execute("ROLLBACK").await?;
        let found = Accepted::in_transaction(client, wanted).await?;
        lent.setup = found.sql.join("; ");
        lent.takes_timeouts = found.takes_timeouts;
        lent.begin = Mutex::new(Begin::with(&lent.setup, wanted.server_timeouts, lent.takes_timeouts));
        Ok((Self::Lent(lent), found.warnings))
    }

    /// The SQL that sets PostgreSQL's own timeouts, if they must be changed.
    pub fn set_server_timeouts(&self, server_timeouts: ServerTimeouts) -> Option<String> {
        match self {
            Self::Own(own) => {
                let mut known = own.server_timeouts.lock().unwrap_or_else(PoisonError::into_inner);
                let is_changed = std::mem::replace(&mut *known, server_timeouts) != server_timeouts;
                (is_changed && own.takes_timeouts).then(|| server_timeouts.in_session())
            }
            Self::Lent(lent) => {
                lent.set_server_timeouts(server_timeouts);
                None
            }
        }
    }

    /// The SQL that begins a transaction.
    pub fn begin(&self, access: AccessMode) -> Cow<'static, str> {
        let own = match self {
            Self::Own(own) => own,
            Self::Lent(lent) => return lent.begin(access).into(),
        };
        Cow::Borrowed(match (access, own.is_read_only) {
            (AccessMode::ReadOnly, _) => "BEGIN READ ONLY",
            // The default of the role or the server stays in force, and a standby can only read.
            (AccessMode::ReadWrite, false) => "BEGIN",
            // The access mode has changed, but the pool is still the old one.
            (AccessMode::ReadWrite, true) => "BEGIN READ WRITE",
        })
    }

    /// SQL that has no effect.
    pub fn ping(&self) -> &'static str {
        match self {
            Self::Own(_) => "",
            Self::Lent(_) => "BEGIN READ ONLY; ROLLBACK",
        }
    }

    /// Ends the transaction, and undoes what a call may have left. Returns whether the session is then clean.
    pub async fn clean(&self, client: &Client, cleanup: Cleanup) -> Result<bool, Error> {
        let end = match cleanup.transaction {
            // A ROLLBACK without a transaction would write a warning to PostgreSQL's log for each call.
            TransactionEnd::None => "",
            TransactionEnd::Rollback => "ROLLBACK; ",
            TransactionEnd::Commit => "COMMIT; ",
        };
        let own = match (self, cleanup.session) {
            (Self::Own(own), SessionCleanup::WhatRollbackLeaves | SessionCleanup::Everything) => own,
            _ if end.is_empty() => return Ok(true),
            _ => return client.batch_execute(end).await.map(|()| true),
        };
        let reset = match cleanup.session {
            SessionCleanup::Everything => own.cleaning(end),
            SessionCleanup::Nothing | SessionCleanup::WhatRollbackLeaves => end.to_owned(),
        };
        // Joined, both are sent without waiting for each other.
        let (ended, is_clean) = join(client.batch_execute(&reset), own.is_clean(client)).await;
        ended.and(is_clean)
    }
}

impl Own {
    fn cleaning(&self, end: &str) -> String {
        let check_client = if self.checks_client { CHECK_CLIENT } else { "" };
        let timeouts = *self.server_timeouts.lock().unwrap_or_else(PoisonError::into_inner);
        let timeouts = if self.takes_timeouts { timeouts.in_session() } else { String::new() };
        format!("{end}{CLEAN}; {}; {timeouts}{check_client}", self.setup)
    }

    /// Release session-level advisory locks, the one thing that a ROLLBACK leaves in read-only mode. Returns whether
    /// the session is clean then. It is not if a function has prepared a statement by SQL: that could only be removed
    /// together with all statements of the driver.
    async fn is_clean(&self, client: &Client) -> Result<bool, Error> {
        let Some(check) = &self.check else { return Ok(false) };
        let row = client.query_one(check, &[]).await?;
        Ok(!row.try_get::<_, bool>(1)?)
    }
}

impl Lent {
    fn begin(&self, access: AccessMode) -> String {
        let begin = self.begin.lock().unwrap_or_else(PoisonError::into_inner);
        match access {
            AccessMode::ReadOnly => begin.read_only.clone(),
            AccessMode::ReadWrite => begin.read_write.clone(),
        }
    }

    fn set_server_timeouts(&self, server_timeouts: ServerTimeouts) {
        let mut begin = self.begin.lock().unwrap_or_else(PoisonError::into_inner);
        if begin.server_timeouts != server_timeouts {
            *begin = Begin::with(&self.setup, server_timeouts, self.takes_timeouts);
        }
    }
}

impl Begin {
    fn with(setup: &str, server_timeouts: ServerTimeouts, takes_timeouts: bool) -> Self {
        let timeouts = if takes_timeouts { format!("; {}", server_timeouts.in_transaction()) } else { String::new() };
        Self {
            server_timeouts,
            read_only: format!("BEGIN READ ONLY; {setup}{timeouts}"),
            read_write: format!("BEGIN READ WRITE; {setup}{timeouts}; {AS_THE_ROLE}"),
        }
    }
}
