//! One connection: the driver's client, a handle that opens portals on it, and its prepared statements.
//!
//! The driver opens portals only through its `Transaction`, which borrows the client and sends BEGIN in a round trip of
//! its own. Here one such handle lives as long as its connection, and transactions begin and end by SQL that this
//! server sends itself. So BEGIN is sent together with the statement after it, and a portal lives as long as its
//! transaction, in whatever place it is stored.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use deadpool_postgres::ClientWrapper;
use futures_util::FutureExt as _;
use futures_util::future::join;
use pg_guard::{Cleared, SessionFacts};
use self_cell::{MutBorrow, self_cell};
use tokio_postgres::types::BorrowToSql;
use tokio_postgres::{Client, Error, Portal, RowStream, Statement, Transaction};

use super::cancel::{CancelError, Canceller};
use super::cleanup::Cleanup;
use super::history::{PastSize, SizeHistory};
use super::inbox::Inbox;
use super::login::LoginError;
use super::needs::{Need, ServerTimeouts};
use super::pooler;
use super::prepared::Prepared;
use crate::settings::AccessMode;
use session::Session;

mod session;

/// How many statements stay prepared on a connection (the most recently used ones): PostgreSQL needs about 10 KiB for
/// each.
const PREPARED_MAX: usize = 32;

/// Statements longer than this, in bytes, are not kept prepared: they are unlikely to come again.
const PREPARED_SQL_BYTES_MAX: usize = 8 << 10;

/// One connection to PostgreSQL.
pub struct Connection {
    /// How long opening the connection took. The code that opens it sets this.
    pub opened_in: Duration,
    /// The settings that the server has refused when the connection was opened, as sentences for the operator.
    pub warnings: Vec<String>,
    parts: Parts,
    session: Session,
    inbox: Arc<Inbox>,
    canceller: Arc<Canceller>,
    /// What the guard has asked on it.
    guard_session: SessionFacts,
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

/// Opens the driver's handle: it begins a transaction, which the first statement after it must end.
async fn open_parts(client: ClientWrapper) -> Result<Parts, Error> {
    let mut parts = Parts::new(MutBorrow::new(client), |client| {
        let client: &mut Client = client.borrow_mut();
        Box::new(Handle::Opening(Box::pin(client.build_transaction().start())))
    });
    poll_fn(|context| parts.with_dependent_mut(|_, opener| opener.poll_open(context))).await?;
    Ok(parts)
}

fn transaction_of(parts: &Parts) -> &Transaction<'_> {
    parts.borrow_dependent().transaction().expect("`open` has waited until it is there")
}

/// Why a connection cannot be used.
#[derive(Debug)]
pub enum OpenError {
    /// It could not be opened, or was lost.
    Login(LoginError),
    /// There is a pooler, so the connection must be opened in another way.
    IsPooled,
    /// No statement can run on it safely. The text is a sentence for the operator.
    Unusable(String),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Login(error) => error.fmt(f),
            Self::IsPooled => f.write_str("a pooler is in between"),
            Self::Unusable(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for OpenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Login(error) => error.source(),
            Self::IsPooled | Self::Unusable(_) => None,
        }
    }
}

impl From<Error> for OpenError {
    fn from(error: Error) -> Self {
        Self::Login(error.into())
    }
}

impl From<LoginError> for OpenError {
    fn from(error: LoginError) -> Self {
        Self::Login(error)
    }
}

/// A new connection that is not set up yet.
pub struct Dialled {
    pub client: ClientWrapper,
    /// The messages of its backend.
    pub inbox: Arc<Inbox>,
    pub canceller: Arc<Canceller>,
}

/// The properties of a new connection.
pub struct Wanted<'a> {
    pub access: AccessMode,
    /// The settings of its session or, through a pooler, of each transaction.
    pub needs: &'a [Need],
    pub server_timeouts: ServerTimeouts,
    /// What is known about statements.
    pub history: Arc<SizeHistory>,
}

impl Connection {
    /// Sets up a new connection that has a session of its own. With `finds_pooler`, it is not set up if there is a
    /// pooler.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub async fn open(dialled: Dialled, wanted: Wanted<'_>, finds_pooler: bool) -> Result<Self, OpenError> {
        let Dialled { client, inbox, canceller } = dialled;
        let pids = match finds_pooler {
            true => Some((pooler::startup_pid(client.cancel_token()).await, pooler::ask_backend_pid(&client).await?)),
            false => None,
        };
        // The two are joined, and the question was sent first, so it costs no round trip of its own.
        let (parts, is_pooled) = join(open_parts(client), async {
            let Some((startup_pid, asked)) = pids else { return Ok(false) };
            Ok(pooler::backend_pid(asked).await?.is_some_and(|pid| startup_pid != Some(pid)))
        })
        .await;
        let parts = match (parts, is_pooled) {
            (Ok(_), Ok(true)) => return Err(OpenError::IsPooled),
            (Ok(parts), _) => parts,
            // The first answer tells the cause, for example that a pooler has no backend.
            (Err(error), is_pooled) => return Err(is_pooled.err().unwrap_or(error).into()),
        };
        let (session, warnings) = Session::own(transaction_of(&parts).client(), &wanted).await?;
        Ok(Self::of(parts, session, (inbox, canceller), warnings, wanted.history))
    }

    /// Sets up a new connection through a pooler.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub async fn open_pooled(dialled: Dialled, wanted: Wanted<'_>) -> Result<Self, OpenError> {
        let Dialled { client, inbox, canceller } = dialled;
        let parts = open_parts(client).await?;
        let (session, warnings) = Session::lent(transaction_of(&parts).client(), &wanted).await?;
        Ok(Self::of(parts, session, (inbox, canceller), warnings, wanted.history))
    }

    fn of(
        parts: Parts,
        session: Session,
        (inbox, canceller): (Arc<Inbox>, Arc<Canceller>),
        warnings: Vec<String>,
        history: Arc<SizeHistory>,
    ) -> Self {
        let (opened_in, guard_session, prepared) = Default::default();
        Self { opened_in, warnings, parts, session, inbox, canceller, guard_session, history, prepared }
    }

    /// Whether a pooler lends its backend for one transaction at a time.
    pub fn is_pooled(&self) -> bool {
        matches!(self.session, Session::Lent(_))
    }

    /// What the guard has asked on it.
    pub fn guard_session(&self) -> &SessionFacts {
        &self.guard_session
    }

    /// The notices of its backend.
    pub fn inbox(&self) -> &Inbox {
        &self.inbox
    }

    /// The process ID of its backend. `None` through a pooler, which gives its clients process IDs of its own.
    pub async fn pid(&self) -> Option<i32> {
        if self.is_pooled() {
            return None;
        }
        pooler::startup_pid(self.client().cancel_token()).await
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

    /// Set PostgreSQL's own timeouts, unless they are set already. The connection must be idle; nothing waits for the
    /// result.
    pub fn set_server_timeouts(&self, server_timeouts: ServerTimeouts) {
        if let Some(sql) = self.session.set_server_timeouts(server_timeouts) {
            self.post(&sql);
        }
    }

    /// The SQL that begins a transaction.
    pub fn begin_sql(&self, access: AccessMode) -> Cow<'static, str> {
        self.session.begin(access)
    }

    /// Begin a transaction.
    ///
    /// # Errors
    /// The error of the driver.
    pub async fn begin(&self, access: AccessMode) -> Result<(), Error> {
        self.client().batch_execute(&self.begin_sql(access)).await
    }

    /// Ends the transaction, and undoes what a call may have left in the session. Returns whether the session is then
    /// clean.
    ///
    /// # Errors
    /// The error of the driver.
    pub async fn clean(&self, cleanup: Cleanup) -> Result<bool, Error> {
        self.session.clean(self.client(), cleanup).await
    }

    /// Checks that the backend answers.
    ///
    /// # Errors
    /// The error of the driver.
    pub async fn ping(&self) -> Result<(), Error> {
        self.client().batch_execute(self.session.ping()).await
    }

    /// Asks the server to cancel the running statement.
    ///
    /// # Errors
    /// The error of the driver.
    pub fn cancel(&self) -> impl Future<Output = Result<(), CancelError>> + use<> {
        let (canceller, token) = (self.canceller.clone(), self.client().cancel_token());
        async move { canceller.cancel(&token).await }
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
        // If a pooler lends the session, the tables of the statement may change without an error that says so.
        if self.is_pooled() || prepared.sql.len() > PREPARED_SQL_BYTES_MAX {
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
        // No code panics while it has the lock.
        self.prepared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
