//! One generation of connections to one database.
//!
//! A generation is made from one set of settings and never changes; a reload makes the next one. Whoever runs a
//! statement holds the generation by an `Arc`, so an old one closes its last connection when its last statement ends:
//! dropping deadpool's last `Pool` drains it, while `Pool::close` would fail those that wait.
//!
//! Who may take a place is decided before the pool is asked, in `fair_queue`, so nobody waits in the pool.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use deadpool::Runtime;
use deadpool::managed::{self, PoolError, TimeoutType};
use slog::Logger;
use tokio_postgres_rustls::MakeRustlsConnect;
use tokio_util::task::TaskTracker;

use super::catalog::role::Finding;
use super::dial::Manager;
use super::error::{Clock, Phase, QueryError, causes};
use super::health::Health;
use super::lease::{Lease, PooledConnection};
use crate::log::{info, warn};
use crate::settings::{AccessMode, PostgresSettings};
use crate::tls;

pub(super) mod fair_queue;

pub use fair_queue::Admission;
use fair_queue::{FairQueue, Full, Permit};

/// The connections made from one set of settings.
pub struct Generation {
    /// 1 for the first since the process started.
    pub number: u64,
    /// What it was made from.
    pub settings: Arc<PostgresSettings>,
    /// In read-only mode a transaction on its connections is READ ONLY even if nobody has begun it.
    pub access: AccessMode,
    pub(super) pool: Pool,
    pub(super) queue: Arc<FairQueue>,
    /// By what name this server stands in the queue for itself; no client has it.
    pub(super) ourselves: Arc<str>,
    pub(super) health: Arc<Health>,
    /// What the role may do too much of, once that was asked.
    role: Mutex<Option<Arc<[Finding]>>>,
    /// Whether somebody has asked, or is asking.
    role_checked: AtomicBool,
    target: Arc<str>,
    pub(super) tls: MakeRustlsConnect,
    /// What every connection is told first, and again after each cleaning.
    pub(super) session: Arc<str>,
    /// The leases, and the connections that are being cleaned or cancelled after their call has ended.
    endings: TaskTracker,
    pub(super) log: Logger,
}

type Pool = managed::Pool<Manager>;

pub(super) type Object = managed::Object<Manager>;

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
        let tls = tls::client::for_postgres(settings.ssl_mode, settings.ssl_root_cert.as_deref())?;
        let tls = MakeRustlsConnect::new(tls);
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
        let pool = Pool::builder(Manager::new(&settings, tls.clone(), session.clone(), Arc::default(), &log))
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
            queue: FairQueue::new(settings.pool_size),
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

    /// A connection for one call of that client, when its turn has come.
    ///
    /// # Errors
    /// `waiting_max` calls wait already and others have fewer of them; none became free, or none could be opened, in time.
    /// Which it may be that has died in the pool unseen: the first statement on it tells.
    pub async fn lease(
        self: &Arc<Self>,
        client: &Arc<str>,
        waiting_max: usize,
        admission: Admission,
    ) -> Result<Lease, QueryError> {
        self.lease_telling(client, waiting_max, admission, || {}).await
    }

    /// The same. `connecting` is called when the wait is over; a connection may have to be opened then.
    ///
    /// # Errors
    /// As of [`Self::lease`].
    pub async fn lease_telling(
        self: &Arc<Self>,
        client: &Arc<str>,
        waiting_max: usize,
        admission: Admission,
        connecting: impl FnOnce(),
    ) -> Result<Lease, QueryError> {
        let permit = match self.queue.try_acquire() {
            Some(permit) => permit,
            None => self.permit(client, waiting_max, admission).await?,
        };
        connecting();
        let connection = PooledConnection::new(self.connect().await?, permit);
        Ok(Lease::new(connection, self.endings.token(), self.clone()))
    }

    async fn connect(&self) -> Result<Object, QueryError> {
        match self.pool.get().await {
            Ok(connection) => {
                if Object::metrics(&connection).recycle_count == 0 {
                    self.health.opened();
                }
                Ok(connection)
            }
            Err(error) => {
                let error = self.why_no_lease(&error);
                self.health.has_not_opened(&error, &self.settings, self.pool.status().size);
                Err(error)
            }
        }
    }

    async fn permit(&self, client: &Arc<str>, waiting_max: usize, admission: Admission) -> Result<Permit, QueryError> {
        let after = self.settings.pool_wait_timeout;
        match tokio::time::timeout(after, self.queue.acquire(client, waiting_max, admission)).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(Full)) => Err(QueryError::Busy { waiting_max }),
            Err(_) => Err(QueryError::TimedOut { clock: Clock::PoolWait, after }),
        }
    }

    /// Open connections until there are `count` (at least one), so that the first calls need not.
    ///
    /// # Errors
    /// Why the first of them could not be opened.
    pub async fn warm(self: &Arc<Self>, count: usize) -> Result<(), QueryError> {
        let _others_wait = self.health.one_at_a_time().await;
        let leases = (0..count.max(1)).map(|_| self.lease(&self.ourselves, usize::MAX, Admission::Internal));
        let opened = futures_util::future::join_all(leases).await;
        let failure = opened.iter().find_map(|lease| lease.as_ref().err().cloned());
        for lease in opened.into_iter().flatten() {
            lease.unused();
        }
        failure.map_or(Ok(()), Err)
    }

    /// By what name this server stands in the queue for itself; no client has it.
    pub fn ourselves(&self) -> Arc<str> {
        self.ourselves.clone()
    }

    /// Remember whether somebody has asked for that, or is asking; whether somebody had before.
    pub fn role_was_checked(&self, is_checked: bool) -> bool {
        self.role_checked.swap(is_checked, Ordering::Relaxed)
    }

    /// What the role may do too much of, once [`Self::remember_findings`] was told.
    pub fn known_findings(&self) -> Option<Arc<[Finding]>> {
        self.role.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The role may do that too much.
    pub fn remember_findings(&self, findings: Arc<[Finding]>) {
        *self.role.lock().unwrap_or_else(PoisonError::into_inner) = Some(findings);
    }

    /// How the pool stands now.
    pub fn status(&self) -> PoolStatus {
        let status = self.pool.status();
        PoolStatus {
            generation: self.number,
            size_max: status.max_size,
            size: status.size,
            idle: status.available,
            waiting: self.queue.waiting(),
        }
    }

    /// Where this generation connects to, for the log and never for a model.
    pub fn target(&self) -> Arc<str> {
        self.target.clone()
    }

    /// Throw the idle connections away.
    pub(super) fn distrust(&self, why: &str) {
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
