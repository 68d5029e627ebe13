//! One generation of connections to one database, and a lease on one of them.
//!
//! A generation is made from one set of settings and never changes; a reload makes the next one. Whoever runs a
//! statement holds the generation by an `Arc`, so an old one closes its last connection when its last statement ends:
//! dropping deadpool's last `Pool` drains it, while `Pool::close` would fail those that wait.
//!
//! A [`Lease`] ends in one of two ways. [`Lease::settle`] puts the connection back, clean. Dropping it before that, by
//! a cancelled call, a timeout or a panic, cancels the statement in PostgreSQL and throws the connection away, because
//! a cancellation that arrives late must never hit the next statement. In both the pool's place stays taken until the
//! backend is idle or gone, so there are never more backends than the pool is large. Who may take a place is decided
//! before the pool is asked, in `turns`, so nobody waits in the pool.
//!
//! Calls that have a turn together share the connection: their statements are sent without waiting for each other, each
//! a transaction of its own that leaves nothing. When one of them is dropped the cancellation may hit another one's
//! statement. Then the connection is spoilt, and whoever fails on it runs again on one of its own.

use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use deadpool::Runtime;
use deadpool::managed::{self, PoolError, TimeoutType};
use futures_util::future::join;
use slog::Logger;
use tokio::sync::OnceCell;
use tokio_postgres_rustls::MakeRustlsConnect;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::connection::{Connection, WATCH_US};
use super::dial::Manager;
use super::error::{Clock, Phase, QueryError, causes};
use super::health::Health;
use super::history::History;
use super::page::Limits;
use super::role::{self, Finding};
use super::run::Place;
use super::tls;
pub use super::turns::Waiting;
use super::turns::{self, Full, Turns};
use crate::log::{info, warn};
use crate::settings::{AccessMode, PostgresSettings};

/// What a call may leave behind on a connection, undone. `DISCARD ALL` would also drop the driver's own prepared
/// statements, and cannot be sent together with other commands.
const CLEAN: &str = "CLOSE ALL; RESET SESSION AUTHORIZATION; RESET ALL; UNLISTEN *; DISCARD TEMP; DISCARD SEQUENCES; \
                     SELECT pg_catalog.setseed(pg_catalog.date_part('microseconds', pg_catalog.clock_timestamp()) / 6e7)";

/// How long the cleaning may take before what it waits for is cancelled.
const CLEAN_GRACE: Duration = Duration::from_secs(1);

/// How long a backend is given before it is cancelled once more, at first: the request may have come before its
/// statement, or have hit another one's on the same connection.
const CANCEL_AGAIN: Duration = Duration::from_millis(10);

/// How long a cancelled backend may take to become idle before its connection is closed over its head, which it then
/// notices by itself.
const CANCEL_GRACE: Duration = Duration::from_secs(2);

/// The connections made from one set of settings.
pub struct Generation {
    /// 1 for the first since the process started.
    pub number: u64,
    /// What it was made from.
    pub settings: Arc<PostgresSettings>,
    /// In read-only mode a transaction on its connections is READ ONLY even if nobody has begun it.
    pub access: AccessMode,
    pub(super) pool: Pool,
    pub(super) turns: Arc<Turns<Held>>,
    /// What is known of its statements.
    history: Arc<History>,
    /// By what name this server waits for its own turns; no client has it.
    pub(super) ourselves: Arc<str>,
    pub(super) health: Arc<Health>,
    /// What the role may do too much of, once that was asked.
    role: Mutex<Option<Arc<[Finding]>>>,
    /// Whether somebody has asked, or is asking.
    role_checked: AtomicBool,
    target: Arc<str>,
    tls: MakeRustlsConnect,
    /// What every connection is told first, and again after each cleaning.
    session: Arc<str>,
    /// The leases, and the connections that are being cleaned or cancelled after their call has ended.
    endings: TaskTracker,
    log: Logger,
}

type Pool = managed::Pool<Manager>;

type Object = managed::Object<Manager>;

type Turn = turns::Turn<Held>;

/// How a pool stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolStatus {
    /// Which generation.
    pub generation: u64,
    /// Connections there may be.
    pub size_max: usize,
    /// Connections there are.
    pub size: usize,
    /// Of these, idle.
    pub idle: usize,
    /// Calls that wait for one.
    pub waiting: usize,
}

impl Generation {
    /// A generation that has no connection yet; nothing is sent.
    ///
    /// # Errors
    /// What in the settings cannot be used, as a sentence for the operator.
    pub fn new(
        number: u64,
        settings: Arc<PostgresSettings>,
        access: AccessMode,
        endings: TaskTracker,
        log: &Logger,
    ) -> Result<Self, String> {
        let tls = tls::connector(settings.ssl_mode, settings.ssl_root_cert.as_deref())?;
        let session: Arc<str> = format!(
            "{}SET DateStyle = ISO; SET IntervalStyle = postgres; SET bytea_output = hex; SET extra_float_digits = 1; \
             SET standard_conforming_strings = on; SET statement_timeout = {}; SET idle_in_transaction_session_timeout = {}",
            match access {
                AccessMode::ReadOnly => "SET default_transaction_read_only = on; ",
                AccessMode::ReadWrite => "",
            },
            // The first four give what PostgreSQL shows for us the form that our own encoder has. The fifth: where a
            // string ends must be the same for the guard, which takes no other, and for PostgreSQL.
            // The nets below our own clock: they hold when we are no longer there to cancel.
            settings.command_timeout.as_millis() + 1000,
            settings.command_timeout.max(settings.cursor_lifetime).as_millis() + 60_000,
        )
        .into();
        let log = log.new(slog::o!("generation" => number));
        let history = Arc::<History>::default();
        let pool = Pool::builder(Manager::new(&settings, tls.clone(), session.clone(), history.clone(), &log))
            .max_size(settings.pool_size)
            // Of several hosts each has its time, which the driver sees to.
            .create_timeout(Some(settings.connect_timeout * settings.hosts.len().max(1) as u32))
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|error| format!("the pool cannot be made: {error}"))?;
        let target: Arc<str> = target(&settings).into();
        let health = Arc::new(Health::new(target.to_string(), &log));
        Ok(Self {
            number,
            access,
            pool,
            turns: Turns::new(settings.pool_size),
            history,
            ourselves: "".into(),
            health,
            settings,
            role: Mutex::default(),
            role_checked: AtomicBool::new(false),
            target,
            tls,
            session,
            endings,
            log,
        })
    }

    /// A connection for one call of that client, when it is its turn; perhaps with other calls, if it waits for that.
    ///
    /// # Errors
    /// `waiting_max` calls wait already and others have fewer of them; none became free, or none could be opened, in time.
    /// Which it may be that has died in the pool unseen: the first statement on it tells.
    pub async fn lease(
        self: &Arc<Self>,
        client: &Arc<str>,
        waiting_max: usize,
        how: Waiting,
    ) -> Result<Lease, QueryError> {
        self.lease_telling(client, waiting_max, how, || {}).await
    }

    /// The same. `connecting` is called when the wait is over; a connection may have to be opened then.
    ///
    /// # Errors
    /// As of [`Self::lease`].
    pub async fn lease_telling(
        self: &Arc<Self>,
        client: &Arc<str>,
        waiting_max: usize,
        how: Waiting,
        connecting: impl FnOnce(),
    ) -> Result<Lease, QueryError> {
        let turn = match self.turns.take_free() {
            Some(turn) => turn,
            None => self.turn(client, waiting_max, how).await?,
        };
        connecting();
        // Of calls that share it, one asks the pool and the others wait for that.
        match turn.place.connection.get_or_try_init(|| self.pool.get()).await {
            Ok(connection) => {
                if Object::metrics(connection).recycle_count == 0 {
                    self.health.opened();
                }
                Ok(Lease { turn: Some(turn), ending: self.endings.token(), generation: self.clone() })
            }
            Err(error) => {
                let error = self.why_no_lease(&error);
                self.health.has_not_opened(&error, &self.settings, self.pool.status().size);
                Err(error)
            }
        }
    }

    async fn turn(&self, client: &Arc<str>, waiting_max: usize, how: Waiting) -> Result<Arc<Turn>, QueryError> {
        let after = self.settings.pool_wait_timeout;
        match tokio::time::timeout(after, self.turns.take(client, waiting_max, how)).await {
            Ok(Ok(turn)) => Ok(turn),
            Ok(Err(Full)) => Err(QueryError::Busy { waiting_max }),
            Err(_) => Err(QueryError::TimedOut { clock: Clock::PoolWait, after }),
        }
    }

    /// Whether a statement that leaves nothing may share a connection, if its answer may hold so much: it went quickly
    /// before.
    pub fn is_quick(&self, sql: &str, limits: Limits) -> bool {
        self.history.is_quick(sql, limits)
    }

    /// Open connections until there are `count` (at least one), so that the first calls need not.
    ///
    /// # Errors
    /// Why the first of them could not be opened.
    pub async fn warm(self: &Arc<Self>, count: usize) -> Result<(), QueryError> {
        let _others_wait = self.health.one_at_a_time().await;
        let leases = (0..count.max(1)).map(|_| self.lease(&self.ourselves, usize::MAX, Waiting::Alone));
        let opened = futures_util::future::join_all(leases).await;
        let failure = opened.iter().find_map(|lease| lease.as_ref().err().cloned());
        for lease in opened.into_iter().flatten() {
            lease.unused();
        }
        failure.map_or(Ok(()), Err)
    }

    /// Remember whether somebody has asked for that, or is asking; whether somebody had before.
    pub fn role_was_checked(&self, is_checked: bool) -> bool {
        self.role_checked.swap(is_checked, Ordering::Relaxed)
    }

    /// What the role may do too much of. Asked once, unless it is to be asked `anew`.
    ///
    /// # Errors
    /// There is no connection, or PostgreSQL does not say.
    pub async fn findings(self: &Arc<Self>, anew: bool) -> Result<Arc<[Finding]>, QueryError> {
        let known = || self.role.lock().unwrap_or_else(PoisonError::into_inner);
        if !anew && let Some(findings) = &*known() {
            return Ok(findings.clone());
        }
        let lease = self.lease(&self.ourselves, usize::MAX, Waiting::Alone).await?;
        let asked = role::findings(lease.connection().client(), self.access);
        let found = tokio::time::timeout(self.settings.command_timeout, asked).await;
        let found =
            found.map_err(|_| QueryError::TimedOut { clock: Clock::Command, after: self.settings.command_timeout })?;
        let found: Arc<[Finding]> =
            found.map_err(|error| QueryError::of(&error, "", Phase::Begin, &self.target()))?.into();
        lease.unused();
        *known() = Some(found.clone());
        Ok(found)
    }

    /// How the pool stands now.
    pub fn status(&self) -> PoolStatus {
        let status = self.pool.status();
        PoolStatus {
            generation: self.number,
            size_max: status.max_size,
            size: status.size,
            idle: status.available,
            waiting: self.turns.waiting(),
        }
    }

    /// Where this generation connects to, for the log and never for a model.
    pub fn target(&self) -> Arc<str> {
        self.target.clone()
    }

    /// Throw the idle connections away.
    fn distrust(&self, why: &str) {
        let idle = self.pool.retain(|_, _| false).removed.len();
        warn!(self.log, "idle connections thrown away"; "why" => why, "idle" => idle);
    }

    fn why_no_lease(&self, error: &PoolError<tokio_postgres::Error>) -> QueryError {
        match error {
            PoolError::Timeout(TimeoutType::Create | TimeoutType::Recycle) => {
                QueryError::TimedOut { clock: Clock::Connect, after: self.settings.connect_timeout }
            }
            PoolError::Backend(error) => QueryError::of(error, "", Phase::Connect, &self.target()),
            other => QueryError::Unavailable {
                why: format!("could not connect to PostgreSQL: {}", causes(other)),
                phase: Phase::Connect,
                target: self.target.to_string(),
                outcome_unknown: false,
            },
        }
    }
}

impl Drop for Generation {
    fn drop(&mut self) {
        info!(self.log, "pool closed"; "connections" => self.pool.status().size);
    }
}

fn target(settings: &PostgresSettings) -> String {
    let hosts: Vec<String> = settings
        .hosts
        .iter()
        .enumerate()
        .map(|(at, host)| format!("{host}:{}", settings.ports.get(at).or(settings.ports.first()).unwrap_or(&5432)))
        .collect();
    format!("{}@{}/{}", settings.user, hosts.join(","), settings.database)
}

/// What a call may have left on its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// Nothing, and no transaction.
    Nothing,
    /// A transaction that has done nothing else.
    Transaction,
    /// Its only transaction was rolled back.
    WhatRollbackLeaves,
    /// Anything, in a transaction that has failed or is not wanted.
    Anything,
    /// Anything, and no transaction: it has committed, or ran without one.
    Committed,
    /// A transaction that is to be committed, and what one leaves.
    Uncommitted,
}

impl Left {
    /// What a call leaves in that mode, if it fails.
    pub fn by(access: AccessMode) -> Self {
        match access {
            AccessMode::ReadOnly => Self::WhatRollbackLeaves,
            AccessMode::ReadWrite => Self::Anything,
        }
    }

    /// The same, if it has done what it was to do.
    pub fn by_success(access: AccessMode) -> Self {
        match access {
            AccessMode::ReadOnly => Self::WhatRollbackLeaves,
            AccessMode::ReadWrite => Self::Committed,
        }
    }
}

/// One connection, for one call; or one call's part of it.
pub struct Lease {
    /// Present until the lease ends.
    turn: Option<Arc<Turn>>,
    /// Whoever ends the process waits for this lease too, and for what its end begins.
    ending: TaskTrackerToken,
    generation: Arc<Generation>,
}

/// What a turn gives: a connection, once the pool was asked. Dropped, it is back in the pool, or closed if it is spoilt.
#[derive(Default)]
pub(super) struct Held {
    connection: OnceCell<Object>,
    is_spoilt: AtomicBool,
}

impl Held {
    fn connection(&self) -> &Object {
        #[allow(clippy::expect_used)]
        self.connection.get().expect("a lease is made when its connection is there")
    }

    /// It is not to be used again.
    fn spoil(&self) {
        self.is_spoilt.store(true, Ordering::Relaxed);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.is_spoilt.load(Ordering::Relaxed) {
            self.connection.take().map(Object::take);
        }
    }
}

impl Lease {
    /// The connection.
    pub fn connection(&self) -> &Connection {
        self.turn().place.connection()
    }

    fn turn(&self) -> &Turn {
        // The option is emptied only by the methods that consume the lease, and by `drop`.
        #[allow(clippy::expect_used)]
        self.turn.as_ref().expect("a lease that has not ended has its turn")
    }

    /// Whether other calls have the connection too.
    pub fn is_shared(&self) -> bool {
        self.turn().calls > 1
    }

    /// How long it took to open the connection, if that was done for this lease, or for those that share it.
    pub fn opened_in(&self) -> Option<Duration> {
        let connection = self.turn().place.connection();
        Object::metrics(connection).recycled.is_none().then_some(connection.opened_in)
    }

    /// The connection, as a place to run statements.
    pub fn place<'a>(&'a self, access: AccessMode, target: &'a str) -> Place<'a> {
        let default_read_only = self.generation.access == AccessMode::ReadOnly;
        Place { connection: self.connection(), access, default_read_only, target }
    }

    /// The generation it belongs to.
    pub fn generation(&self) -> &Arc<Generation> {
        &self.generation
    }

    /// The call is over and no statement of it runs: clean the connection of what may be left on it and put it back.
    /// Nobody waits for that.
    pub fn settle(mut self, left: Left) {
        let Some(turn) = self.turn.take() else { return };
        let generation = self.generation.clone();
        if left == Left::Nothing {
            generation.health.answered();
            return;
        }
        self.ending.task_tracker().spawn(async move {
            if generation.turns.waiting() == 0 {
                // The runtime comes back to this when nothing else is ready: when the answer has been written.
                tokio::task::yield_now().await;
            }
            let connection = turn.place.connection();
            let cleaning = clean(connection, left, &generation.session);
            let why = match tokio::time::timeout(CLEAN_GRACE, cleaning).await {
                Ok(Ok(true)) => {
                    generation.health.answered();
                    return;
                }
                Ok(Ok(false)) => "a prepared statement was left on it".to_owned(),
                Ok(Err(error)) => causes(&error),
                // A fetch whose rows nobody wants any more is still under way.
                Err(_) => {
                    cancel(turn, &generation).await;
                    return;
                }
            };
            if !connection.client().is_closed() {
                warn!(generation.log, "connection thrown away: it could not be cleaned"; "why" => why);
            }
            turn.place.spoil();
        });
    }

    /// Nothing was sent: put the connection back as it is.
    pub(super) fn unused(mut self) {
        drop(self.turn.take());
    }

    /// The connection was lost under its call: it is thrown away, and whether the others are of use is to be asked.
    pub fn lost(self) {
        self.generation.health.doubt();
    }

    /// The connection was lost, and its backend has not said why: what lies between us and it may be cut. Neither it nor
    /// those that are idle are used again.
    pub fn cut_off(self) {
        self.generation.distrust("a connection was lost without a word");
        self.lost();
    }

    /// What this connection leads to is not what was asked for any more: neither it nor those that are idle are used again.
    pub fn astray(self) {
        self.generation.distrust("no primary any more");
        self.lost();
    }
}

/// Undo what a call may have left; whether all is undone.
async fn clean(connection: &Connection, left: Left, session: &str) -> Result<bool, tokio_postgres::Error> {
    let watch = if connection.watches_us { WATCH_US } else { "" };
    let end = match left {
        Left::Nothing => return Ok(true),
        Left::Transaction => return connection.client().batch_execute("ROLLBACK").await.map(|()| true),
        Left::WhatRollbackLeaves => "ROLLBACK".to_owned(),
        Left::Anything => format!("ROLLBACK; {CLEAN}; {session}{watch}"),
        // A ROLLBACK with nothing to roll back would be a warning in PostgreSQL's log, for each call.
        Left::Committed => format!("{CLEAN}; {session}{watch}"),
        Left::Uncommitted => format!("COMMIT; {CLEAN}; {session}{watch}"),
    };
    // Joined, they are sent without waiting for each other.
    let (ended, is_clean) = join(connection.client().batch_execute(&end), connection.check()).await;
    ended.and(is_clean)
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(turn) = self.turn.take() else { return };
        turn.place.spoil();
        // Without a runtime the process ends before this call could: closing the connection is all there is to do.
        if tokio::runtime::Handle::try_current().is_err() || turn.place.connection().client().is_closed() {
            self.generation.health.doubt();
            return;
        }
        let generation = self.generation.clone();
        self.ending.task_tracker().spawn(async move { cancel(turn, &generation).await });
    }
}

/// Cancel what runs on a connection and wait until its backend is idle. It is not used again.
async fn cancel(turn: Arc<Turn>, generation: &Generation) {
    turn.place.spoil();
    let began = Instant::now();
    let client = turn.place.connection().client();
    let token = client.cancel_token();
    // Answered once what was sent before it has ended, by an error or not: then the backend is idle.
    let mut idle = pin!(client.batch_execute("ROLLBACK"));
    let cancelled = tokio::time::timeout(CANCEL_GRACE, async {
        let mut pause = CANCEL_AGAIN;
        loop {
            if let Err(error) = token.cancel_query(generation.tls.clone()).await {
                warn!(generation.log, "cancel request failed"; "why" => causes(&error));
            }
            if tokio::time::timeout(pause, &mut idle).await.is_ok() {
                return;
            }
            pause *= 2;
        }
    });
    let in_time = cancelled.await.is_ok();
    if !in_time {
        // What lies between us and it may be cut, and then those that are idle are no better.
        generation.distrust("a backend cannot be cancelled");
    }
    info!(generation.log, "statement cancelled";
        "idle" => in_time, "ms" => began.elapsed().as_millis() as u64, "calls" => turn.calls);
}
