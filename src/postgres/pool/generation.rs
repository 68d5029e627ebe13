//! A generation: one pool of connections to one database.
//!
//! A generation has one target and one access mode; a reload that changes one of them creates the next generation.
//! Statements that run on the old one finish there: their leases share ownership of the pool. Its other connections are
//! closed when it is replaced.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use deadpool::Runtime;
use slog::Logger;
use tokio_postgres_rustls::MakeRustlsConnect;
use tokio_util::task::TaskTracker;

use super::ceiling::Ceiling;
use super::connect::Connector;
use super::fair_queue::{Admission, FairQueue};
use super::health_monitor::HealthMonitor;
use super::lease::Lease;
use super::live::LiveSettings;
use super::shared::{Draining, Pool, PoolStatus, SharedPool};
use crate::postgres::catalog::role::Finding;
use crate::postgres::error::QueryError;
use crate::postgres::login::Plain;
use crate::settings::{AccessMode, ClientCertificate, PostgresSettings, TargetSettings};
use crate::tls;

mod watch;

/// The connections to one target in one access mode.
pub struct Generation {
    shared: Arc<SharedPool>,
    /// The findings about the role, after it was checked.
    role: Mutex<Option<Arc<[Finding]>>>,
    /// Whether the role was checked or is being checked.
    role_checked: AtomicBool,
}

impl Generation {
    /// Creates a generation without connections; nothing is sent.
    ///
    /// # Errors
    /// What is wrong with the settings, as a sentence for the operator.
    pub fn new(
        number: u64,
        settings: &PostgresSettings,
        access: AccessMode,
        endings: TaskTracker,
        log: &Logger,
    ) -> Result<Self, String> {
        let PostgresSettings { target, pool: sizes, clocks } = settings;
        let identity = target.client_certificate.as_ref().map(ClientCertificate::identity).transpose()?;
        let tls = tls::client::for_postgres(target.ssl_mode, target.ssl_root_cert.as_deref(), identity)?;
        let tls = MakeRustlsConnect::new(tls);
        let log = log.new(slog::o!("generation" => number));
        let live = Arc::new(LiveSettings::new(*sizes, *clocks));
        let target = Arc::new(target.clone());
        let pool = Pool::builder(Connector::new(target.clone(), access, live.clone(), tls, &log)?)
            .max_size(sizes.size)
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|error| format!("the pool cannot be made: {error}"))?;
        let target_name: Arc<str> = target_name(&target).into();
        let health = Arc::new(HealthMonitor::new(target_name.to_string(), &log));
        let shared = Arc::new(SharedPool {
            number,
            target,
            target_name,
            access,
            live,
            pool,
            queue: FairQueue::new(sizes.size),
            ceiling: Mutex::new(Ceiling::new()),
            health,
            probing: tokio::sync::Mutex::default(),
            is_retired: AtomicBool::new(false),
            endings,
            log,
        });
        Ok(Self { shared, role: Mutex::default(), role_checked: AtomicBool::new(false) })
    }

    /// 1 for the first generation since the process started.
    pub fn number(&self) -> u64 {
        self.shared.number
    }

    /// Whether it has that target and that access mode, whatever its size and its timeouts are.
    pub fn is_for(&self, target: &TargetSettings, access: AccessMode) -> bool {
        *self.shared.target == *target && self.shared.access == access
    }

    /// The access mode of its connections: in read-only mode every transaction on them is READ ONLY by default.
    pub fn access(&self) -> AccessMode {
        self.shared.access
    }

    /// The server and user that it connects to, for the log and never for a model.
    pub fn target_name(&self) -> Arc<str> {
        self.shared.target_name.clone()
    }

    /// Why its newest connection is not encrypted, if POSTGRES_SSL_MODE allows both.
    pub fn plain(&self) -> Option<Plain> {
        self.shared.pool.manager().plain()
    }

    /// Whether the newest connection is encrypted: to the server or, if there is one, to the pooler.
    pub fn is_encrypted(&self) -> bool {
        self.shared.pool.manager().is_encrypted()
    }

    /// The settings of the server and user that it connects to.
    pub fn target(&self) -> &TargetSettings {
        &self.shared.target
    }

    /// How many connections a start or a reload opens at once.
    pub fn min_size(&self) -> usize {
        self.shared.live.pool().min_size
    }

    /// Waits for a connection for one call of that client.
    ///
    /// # Errors
    /// See [`SharedPool::lease`].
    pub async fn lease(
        &self,
        client: &Arc<str>,
        waiting_max: usize,
        admission: Admission,
    ) -> Result<Lease, QueryError> {
        self.shared.lease(client, waiting_max, admission, || {}).await
    }

    /// The same. `connecting` is called when the call has its permit; a connection may have to be opened then.
    ///
    /// # Errors
    /// See [`SharedPool::lease`].
    pub async fn lease_with_notice(
        &self,
        client: &Arc<str>,
        waiting_max: usize,
        admission: Admission,
        connecting: impl FnOnce(),
    ) -> Result<Lease, QueryError> {
        self.shared.lease(client, waiting_max, admission, connecting).await
    }

    /// Open connections up to the configured minimum (at least one), so that the first calls do not have to.
    ///
    /// # Errors
    /// Why the first of them could not be opened.
    pub async fn warm(&self) -> Result<(), QueryError> {
        let _guard = self.shared.probing.lock().await;
        let (status, wanted) = (self.shared.status(), self.min_size().max(1));
        if status.size >= wanted {
            return Ok(());
        }
        let in_use = status.size - status.idle;
        let leases = (in_use..wanted).map(|_| self.shared.internal_lease());
        let opened = futures_util::future::join_all(leases).await;
        let failure = opened.iter().find_map(|lease| lease.as_ref().err().cloned());
        for lease in opened.into_iter().flatten() {
            lease.put_back();
        }
        failure.map_or(Ok(()), Err)
    }

    /// Change the size and the timeouts; the connections stay. Statements that run keep the timeouts with which they
    /// began. Returns whether anything has changed.
    pub fn change(&self, settings: &PostgresSettings) -> bool {
        self.shared.change(settings.pool, settings.clocks)
    }

    /// Another generation serves from now on. Idle connections are closed now, the others when they come back.
    pub fn retire(&self) -> Draining {
        self.shared.retire();
        Draining(Arc::downgrade(&self.shared))
    }

    /// Store whether the role was checked or is being checked. Returns the value from before.
    pub fn role_was_checked(&self, is_checked: bool) -> bool {
        self.role_checked.swap(is_checked, Ordering::Relaxed)
    }

    /// The findings about the role, after [`Self::remember_findings`].
    pub fn known_findings(&self) -> Option<Arc<[Finding]>> {
        self.role.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Store the findings about the role.
    pub fn remember_findings(&self, findings: Arc<[Finding]>) {
        *self.role.lock().unwrap_or_else(PoisonError::into_inner) = Some(findings);
    }

    /// The numbers of the pool.
    pub fn status(&self) -> PoolStatus {
        self.shared.status()
    }
}

fn target_name(target: &TargetSettings) -> String {
    let hosts: Vec<String> = target
        .hosts
        .iter()
        .enumerate()
        .map(|(at, host)| format!("{host}:{}", target.ports.get(at).or(target.ports.first()).unwrap_or(&5432)))
        .collect();
    format!("{}@{}/{}", target.user, hosts.join(","), target.database)
}
