//! One connection: the driver's client, a handle that opens portals on it, and the statements prepared on it.
//!
//! The driver opens portals through its `Transaction` alone, whose BEGIN is a round trip of its own, and which borrows
//! the client while it lasts. Here one such handle lives as long as its connection, and transactions begin and end by
//! texts of our own. So BEGIN travels together with what follows it, and a portal can be kept as long as its
//! transaction is open, whoever keeps it.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use deadpool_postgres::ClientWrapper;
use futures_util::FutureExt as _;
use futures_util::future::join3;
use pg_guard::{Cleared, Questions};
use self_cell::{MutBorrow, self_cell};
use tokio_postgres::types::BorrowToSql;
use tokio_postgres::{Client, Error, Portal, RowStream, SimpleQueryMessage, Statement, Transaction};

use super::history::{History, Past};
use super::prepared::Prepared;
use crate::settings::AccessMode;

/// How many statements stay prepared on a connection, the last used ones: PostgreSQL keeps some 10 KiB for each.
const PREPARED_MAX: usize = 32;

/// A longer text is not likely to come again, in bytes.
const PREPARED_SQL_BYTES_MAX: usize = 8 << 10;

/// What undoes and tells what a ROLLBACK leaves behind.
const CHECK: &str = "SELECT pg_catalog.pg_advisory_unlock_all(), \
                     EXISTS (SELECT FROM pg_catalog.pg_prepared_statement() WHERE from_sql)";

/// Has a backend look, while a statement runs, whether we are still there: one that cannot be cancelled ends when its
/// connection is closed.
pub(super) const WATCH_US: &str = "; SET client_connection_check_interval = '1s'";

/// The same where PostgreSQL knows that: not before 14, and not on every system.
const TRY_TO_WATCH_US: &str = "\
SELECT CASE WHEN pg_catalog.current_setting('server_version_num')::int >= 140000 \
THEN pg_catalog.set_config('client_connection_check_interval', '1s', false) END IS NOT NULL";

/// One connection to PostgreSQL.
pub struct Connection {
    /// How long it took to open it, everything included; whoever opens it says so.
    pub opened_in: Duration,
    /// Whether its backend looks whether we are still there.
    pub(super) watches_us: bool,
    parts: Parts,
    /// Undoes what a ROLLBACK leaves, and tells what cannot be undone.
    check: Statement,
    /// The statements that gave its session the nets of our clocks.
    nets: Mutex<Arc<str>>,
    /// The guard's questions to the catalogs.
    questions: Questions,
    history: Arc<History>,
    /// The last used at the end.
    prepared: Mutex<VecDeque<Arc<Prepared>>>,
}

/// Where a statement runs.
#[derive(Clone, Copy)]
pub struct ExecTarget<'a> {
    /// On this connection, on which nothing else runs.
    pub connection: &'a Connection,
    /// In this mode.
    pub access: AccessMode,
    /// The connection's transactions are READ ONLY even if nobody begins them.
    pub default_read_only: bool,
    /// What the connection leads to, for the log.
    pub name: &'a str,
}

self_cell!(
    struct Parts {
        owner: MutBorrow<ClientWrapper>,
        #[covariant]
        dependent: Lender,
    }
);

/// What opens portals. A trait, because only so may the lifetime of a future's result be shortened.
trait OpensPortals {
    fn poll_open(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>>;

    /// Present once it is open.
    fn transaction(&self) -> Option<&Transaction<'_>>;
}

type Lender<'a> = Box<dyn OpensPortals + Send + Sync + 'a>;

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

fn lent(parts: &Parts) -> &Transaction<'_> {
    parts.borrow_dependent().transaction().expect("`open` has waited until it is there")
}

impl Connection {
    /// A connection of a client that has just connected; `session` and `nets` are what it is told first, `history` what
    /// is known of statements.
    ///
    /// # Errors
    /// The driver's.
    pub async fn open(
        client: ClientWrapper,
        session: &str,
        nets: Arc<str>,
        history: Arc<History>,
    ) -> Result<Self, Error> {
        let mut parts = Parts::new(MutBorrow::new(client), |client| {
            let client: &mut Client = client.borrow_mut();
            Box::new(Handle::Opening(Box::pin(client.build_transaction().start())))
        });
        poll_fn(|context| parts.with_dependent_mut(|_, lender| lender.poll_open(context))).await?;
        let client = lent(&parts).client();
        let told = format!("ROLLBACK; {session}; {nets}");
        let watch = client.simple_query(TRY_TO_WATCH_US);
        let (told, watches_us, check) = join3(client.batch_execute(&told), watch, client.prepare(CHECK)).await;
        told?;
        let says_so =
            |message: &SimpleQueryMessage| matches!(message, SimpleQueryMessage::Row(row) if row.get(0) == Some("t"));
        Ok(Self {
            opened_in: Duration::ZERO,
            watches_us: watches_us.is_ok_and(|messages| messages.iter().any(says_so)),
            check: check?,
            nets: Mutex::new(nets),
            questions: Questions::default(),
            parts,
            history,
            prepared: Mutex::default(),
        })
    }

    /// The guard's questions to the catalogs.
    pub fn questions(&self) -> &Questions {
        &self.questions
    }

    fn handle(&self) -> &Transaction<'_> {
        lent(&self.parts)
    }

    pub fn client(&self) -> &Client {
        self.handle().client()
    }

    /// Send a text of ours and do not wait for what comes of it.
    pub fn post(&self, text: &str) {
        // It is sent when it is polled first. Whoever drops the rest has its answer thrown away as it comes.
        let _ = self.client().batch_execute(text).now_or_never();
    }

    /// Give its session these nets, if it has others. It must be idle; nobody waits for that.
    pub fn use_nets(&self, nets: &Arc<str>) {
        let mut known = self.nets.lock().unwrap_or_else(PoisonError::into_inner);
        if **known != **nets {
            self.post(nets);
            *known = nets.clone();
        }
    }

    /// The statements that give its session the nets that it has.
    pub fn nets(&self) -> Arc<str> {
        self.nets.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Begin a transaction. `default_read_only` says what it would be by itself.
    ///
    /// # Errors
    /// The driver's.
    pub async fn begin(&self, access: AccessMode, default_read_only: bool) -> Result<(), Error> {
        self.client()
            .batch_execute(match (access, default_read_only) {
                (AccessMode::ReadOnly, _) => "BEGIN READ ONLY",
                // What the role or the server has by default holds, and a standby can only read.
                (AccessMode::ReadWrite, false) => "BEGIN",
                // The mode has changed, and the pool not yet.
                (AccessMode::ReadWrite, true) => "BEGIN READ WRITE",
            })
            .await
    }

    /// Undo what a ROLLBACK leaves: session-level advisory locks, and in read-only mode nothing else. Whether all is
    /// undone then: a statement that was prepared by SQL from inside a function cannot be, unless together with all that
    /// the driver has prepared.
    ///
    /// # Errors
    /// The driver's.
    pub async fn check(&self) -> Result<bool, Error> {
        let left = self.client().query_one(&self.check, &[]).await?;
        Ok(!left.try_get::<_, bool>(1)?)
    }

    /// Open a portal in the transaction, for a statement that the guard has cleared.
    ///
    /// # Errors
    /// The driver's.
    pub async fn bind<P: BorrowToSql>(
        &self,
        _: Cleared<'_>,
        statement: &Statement,
        parameters: &[P],
    ) -> Result<Portal, Error> {
        let parameters = parameters.iter().map(BorrowToSql::borrow_to_sql);
        self.handle().bind_raw(statement, parameters).await
    }

    /// Run a statement that the guard has cleared to its end, without a portal that could be held: no round trip lies between Bind and its rows.
    ///
    /// # Errors
    /// The driver's.
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
    /// The driver's.
    pub async fn fetch(&self, portal: &Portal, rows: usize) -> Result<RowStream, Error> {
        self.handle().query_portal_raw(portal, i32::try_from(rows).unwrap_or(i32::MAX)).await
    }

    /// The statement of this text, if it was prepared before and kept.
    pub fn prepared(&self, sql: &str) -> Option<Arc<Prepared>> {
        let mut all = self.all_prepared();
        let at = all.iter().position(|prepared| *prepared.sql == *sql)?;
        let prepared = all.remove(at)?;
        all.push_back(prepared.clone());
        Some(prepared)
    }

    /// How a statement went when it ran before.
    pub fn past(&self, sql: &Arc<str>) -> Arc<Past> {
        self.history.of(sql)
    }

    /// Keep a statement for when its text comes again.
    pub fn keep(&self, prepared: Arc<Prepared>) {
        if prepared.sql.len() > PREPARED_SQL_BYTES_MAX {
            return;
        }
        let mut all = self.all_prepared();
        // A batch prepares each of its statements anew.
        all.retain(|kept| *kept.sql != *prepared.sql);
        if all.len() == PREPARED_MAX {
            all.pop_front();
        }
        all.push_back(prepared);
    }

    /// Keep it no longer: PostgreSQL has lost it, or understands it otherwise by now.
    pub fn forget(&self, sql: &str) {
        self.all_prepared().retain(|prepared| *prepared.sql != *sql);
    }

    fn all_prepared(&self) -> MutexGuard<'_, VecDeque<Arc<Prepared>>> {
        // Nothing panics while it is held.
        self.prepared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
