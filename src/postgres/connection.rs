//! One connection: the driver's client, a handle that opens portals on it, and its prepared statements.
//!
//! The driver opens portals only through its `Transaction`, which borrows the client and sends BEGIN in a round trip of
//! its own. Here one such handle lives as long as its connection, and transactions begin and end by SQL that this
//! server sends itself. So BEGIN is sent together with the statement after it, and a portal lives as long as its
//! transaction, in whatever place it is stored.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use deadpool_postgres::ClientWrapper;
use futures_util::FutureExt as _;
use futures_util::future::join3;
use pg_guard::{Cleared, PreparedQueries};
use self_cell::{MutBorrow, self_cell};
use tokio_postgres::types::BorrowToSql;
use tokio_postgres::{Client, Error, Portal, RowStream, SimpleQueryMessage, Statement, Transaction};

use super::history::{PastSize, SizeHistory};
use super::inbox::Inbox;
use super::prepared::Prepared;
use crate::settings::AccessMode;

/// How many statements stay prepared on a connection (the most recently used ones): PostgreSQL needs about 10 KiB for
/// each.
const PREPARED_MAX: usize = 32;

/// Statements longer than this, in bytes, are not kept prepared: they are unlikely to come again.
const PREPARED_SQL_BYTES_MAX: usize = 8 << 10;

/// Releases the advisory locks that a ROLLBACK keeps, and returns whether SQL has prepared a statement, which cannot be
/// undone.
const CHECK: &str = "SELECT pg_catalog.pg_advisory_unlock_all(), \
                     EXISTS (SELECT FROM pg_catalog.pg_prepared_statement() WHERE from_sql)";

/// Lets a backend check, while a statement runs, whether its client is still connected: a backend that cannot be
/// cancelled then ends when its connection is closed.
pub(super) const CHECK_CLIENT: &str = "; SET client_connection_check_interval = '1s'";

/// The same for a server that may not know this setting: versions before 14, and some systems.
const TRY_TO_CHECK_CLIENT: &str = "\
SELECT CASE WHEN pg_catalog.current_setting('server_version_num')::int >= 140000 \
THEN pg_catalog.set_config('client_connection_check_interval', '1s', false) END IS NOT NULL";

/// One connection to PostgreSQL.
pub struct Connection {
    /// How long opening it took in all. The code that opens it sets this.
    pub opened_in: Duration,
    /// Whether its backend checks that the client is still connected.
    pub(super) checks_client: bool,
    parts: Parts,
    inbox: Arc<Inbox>,
    /// The prepared statement of [`CHECK`].
    check: Statement,
    /// The SET statements by which its session got PostgreSQL's own timeouts.
    server_timeouts: Mutex<Arc<str>>,
    /// The guard's prepared catalog queries.
    guard_queries: PreparedQueries,
    history: Arc<SizeHistory>,
    /// The most recently used at the end.
    prepared: Mutex<VecDeque<Arc<Prepared>>>,
}

/// The connection and the mode in which a statement runs.
#[derive(Clone, Copy)]
pub struct ExecTarget<'a> {
    /// The connection; nothing else runs on it.
    pub connection: &'a Connection,
    pub access: AccessMode,
    /// Whether a transaction is READ ONLY by default on this connection.
    pub default_read_only: bool,
    /// The name of the server, for the log.
    pub name: &'a str,
}

self_cell!(
    struct Parts {
        owner: MutBorrow<ClientWrapper>,
        #[covariant]
        dependent: PortalOpener,
    }
);

/// Opens portals. It is a trait because that allows shortening the lifetime in a future's result.
trait OpensPortals {
    fn poll_open(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>>;

    /// The driver's handle, once it is open.
    fn transaction(&self) -> Option<&Transaction<'_>>;
}

type PortalOpener<'a> = Box<dyn OpensPortals + Send + Sync + 'a>;

enum Handle<'a, F> {
    Opening(Pin<Box<F>>),
    Open(Transaction<'a>),
}

impl<'a, F: Future<Output = Result<Transaction<'a>, Error>>> OpensPortals for Handle<'a, F> {
    fn poll_open(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        if let Self::Opening(opening) = self {
            *self = Self::Open(ready!(opening.as_mut().poll(context))?);
        }
        Poll::Ready(Ok(()))
    }

    fn transaction(&self) -> Option<&Transaction<'_>> {
        match self {
            Self::Opening(_) => None,
            Self::Open(transaction) => Some(transaction),
        }
    }
}

fn transaction_of(parts: &Parts) -> &Transaction<'_> {
    parts.borrow_dependent().transaction().expect("`open` has waited until it is there")
}

impl Connection {
    /// Sets up a new connection, whose messages come into `inbox`. `session_setup` and `server_timeouts` are SQL that is sent first, `history` is what is
    /// known of statements.
    ///
    /// # Errors
    /// The error of the driver.
    pub async fn open(
        (client, inbox): (ClientWrapper, Arc<Inbox>),
        session_setup: &str,
        server_timeouts: Arc<str>,
        history: Arc<SizeHistory>,
    ) -> Result<Self, Error> {
        let mut parts = Parts::new(MutBorrow::new(client), |client| {
            let client: &mut Client = client.borrow_mut();
            Box::new(Handle::Opening(Box::pin(client.build_transaction().start())))
        });
        poll_fn(|context| parts.with_dependent_mut(|_, opener| opener.poll_open(context))).await?;
        let client = transaction_of(&parts).client();
        let setup = format!("ROLLBACK; {session_setup}; {server_timeouts}");
        let watch = client.simple_query(TRY_TO_CHECK_CLIENT);
        let (set_up, checks_client, check) = join3(client.batch_execute(&setup), watch, client.prepare(CHECK)).await;
        set_up?;
        let is_true =
            |message: &SimpleQueryMessage| matches!(message, SimpleQueryMessage::Row(row) if row.get(0) == Some("t"));
        Ok(Self {
            opened_in: Duration::ZERO,
            checks_client: checks_client.is_ok_and(|messages| messages.iter().any(is_true)),
            check: check?,
            server_timeouts: Mutex::new(server_timeouts),
            guard_queries: PreparedQueries::default(),
            parts,
            inbox,
            history,
            prepared: Mutex::default(),
        })
    }

    /// The guard's prepared catalog queries.
    pub fn guard_queries(&self) -> &PreparedQueries {
        &self.guard_queries
    }

    /// What its backend says besides results.
    pub fn inbox(&self) -> &Inbox {
        &self.inbox
    }

    fn handle(&self) -> &Transaction<'_> {
        transaction_of(&self.parts)
    }

    pub fn client(&self) -> &Client {
        self.handle().client()
    }

    /// Send SQL of this server without waiting for its result.
    pub fn post(&self, text: &str) {
        // The first poll sends it. The driver discards the response of a dropped future.
        let _ = self.client().batch_execute(text).now_or_never();
    }

    /// Set PostgreSQL's own timeouts of this session, unless they are set already. The connection must be idle; nothing
    /// waits for the result.
    pub fn set_server_timeouts(&self, server_timeouts: &Arc<str>) {
        let mut known = self.server_timeouts.lock().unwrap_or_else(PoisonError::into_inner);
        if **known != **server_timeouts {
            self.post(server_timeouts);
            *known = server_timeouts.clone();
        }
    }

    /// The SET statements of the timeouts that its session has.
    pub fn server_timeouts(&self) -> Arc<str> {
        self.server_timeouts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Begin a transaction. `default_read_only` is whether transactions of this session are READ ONLY by default.
    ///
    /// # Errors
    /// The error of the driver.
    pub async fn begin(&self, access: AccessMode, default_read_only: bool) -> Result<(), Error> {
        self.client()
            .batch_execute(match (access, default_read_only) {
                (AccessMode::ReadOnly, _) => "BEGIN READ ONLY",
                // The default of the role or the server stays in force, and a standby can only read.
                (AccessMode::ReadWrite, false) => "BEGIN",
                // The access mode has changed, but the pool is still the old one.
                (AccessMode::ReadWrite, true) => "BEGIN READ WRITE",
            })
            .await
    }

    /// Release session-level advisory locks, the one thing that a ROLLBACK leaves in read-only mode. Returns whether
    /// the session is clean then. It is not if a function has prepared a statement by SQL: that could only be removed
    /// together with all statements of the driver.
    ///
    /// # Errors
    /// The error of the driver.
    pub async fn check(&self) -> Result<bool, Error> {
        let row = self.client().query_one(&self.check, &[]).await?;
        Ok(!row.try_get::<_, bool>(1)?)
    }

    /// Open a portal in the transaction, for a statement that the guard has cleared.
    ///
    /// # Errors
    /// The error of the driver.
    pub async fn bind<P: BorrowToSql>(
        &self,
        _: Cleared<'_>,
        statement: &Statement,
        parameters: &[P],
    ) -> Result<Portal, Error> {
        let parameters = parameters.iter().map(BorrowToSql::borrow_to_sql);
        self.handle().bind_raw(statement, parameters).await
    }

    /// Run a statement that the guard has cleared to its end, without a portal that could be kept: this saves the round
    /// trip between Bind and the rows.
    ///
    /// # Errors
    /// The error of the driver.
    pub async fn stream<P: BorrowToSql>(
        &self,
        _: Cleared<'_>,
        statement: &Statement,
        parameters: &[P],
    ) -> Result<RowStream, Error> {
        self.client().query_raw(statement, parameters.iter().map(BorrowToSql::borrow_to_sql)).await
    }

    /// The next rows of a portal, at most that many; 0 asks for all there are (manual, section 55.7, Execute).
    ///
    /// # Errors
    /// The error of the driver.
    pub async fn fetch(&self, portal: &Portal, rows: usize) -> Result<RowStream, Error> {
        self.handle().query_portal_raw(portal, i32::try_from(rows).unwrap_or(i32::MAX)).await
    }

    /// The prepared statement of this text, if it was kept.
    pub fn prepared(&self, sql: &str) -> Option<Arc<Prepared>> {
        let mut all = self.all_prepared();
        let at = all.iter().position(|prepared| *prepared.sql == *sql)?;
        let prepared = all.remove(at)?;
        all.push_back(prepared.clone());
        Some(prepared)
    }

    /// What is known of the size of a statement's earlier results.
    pub fn past_size(&self, sql: &Arc<str>) -> Arc<PastSize> {
        self.history.of(sql)
    }

    /// Keep a prepared statement in case its text comes again.
    pub fn keep(&self, prepared: Arc<Prepared>) {
        if prepared.sql.len() > PREPARED_SQL_BYTES_MAX {
            return;
        }
        let mut all = self.all_prepared();
        // A batch prepares each of its statements again.
        all.retain(|kept| *kept.sql != *prepared.sql);
        if all.len() == PREPARED_MAX {
            all.pop_front();
        }
        all.push_back(prepared);
    }

    /// Forget a prepared statement: PostgreSQL has lost it, or the tables behind it have changed.
    pub fn forget(&self, sql: &str) {
        self.all_prepared().retain(|prepared| *prepared.sql != *sql);
    }

    fn all_prepared(&self) -> MutexGuard<'_, VecDeque<Arc<Prepared>>> {
        // Nothing panics while it is held.
        self.prepared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
