//! One generation of connections to one database.
//!
//! A generation is made for one target in one mode and keeps them; a reload that changes one of them makes the next
//! generation. What runs on the old one finishes there: its leases hold the part that they share with it. Its other
//! connections are closed when it is replaced.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use deadpool::Runtime;
use slog::Logger;
use tokio_postgres_rustls::MakeRustlsConnect;
use tokio_util::task::TaskTracker;

use super::connect::Connector;
use super::fair_queue::{Admission, FairQueue};
use super::health::Health;
use super::lease::Lease;
use super::live::LiveSettings;
use super::shared::{Draining, Pool, PoolStatus, Shared};
use crate::postgres::catalog::role::Finding;
use crate::postgres::error::QueryError;
use crate::settings::{AccessMode, PostgresSettings, TargetSettings};
use crate::tls;

mod watch;

/// The connections to one target in one mode.
pub struct Generation {
    shared: Arc<Shared>,
    /// What the role may do too much of, once that was asked.
    role: Mutex<Option<Arc<[Finding]>>>,
    /// Whether somebody has asked, or is asking.
    role_checked: AtomicBool,
}

impl Generation {
    /// A generation that has no connection yet; nothing is sent.
    ///
    /// # Errors
    /// What in the settings cannot be used, as a sentence for the operator.
    pub fn new(
        number: u64,
        settings: &PostgresSettings,
        access: AccessMode,
        endings: TaskTracker,
        log: &Logger,
    ) -> Result<Self, String> {
        let PostgresSettings { target, pool: sizes, clocks } = settings;
        let tls = tls::client::for_postgres(target.ssl_mode, target.ssl_root_cert.as_deref())?;
        let tls = MakeRustlsConnect::new(tls);
        let session: Arc<str> = format!(
            "{}SET DateStyle = ISO; SET IntervalStyle = postgres; SET bytea_output = hex; SET extra_float_digits = 1; \
             SET standard_conforming_strings = on",
            match access {
                AccessMode::ReadOnly => "SET default_transaction_read_only = on; ",
                AccessMode::ReadWrite => "",
            },
            // The first four give what PostgreSQL shows for us the form that our own encoder has. The fifth: where a
            // string ends must be the same for the guard, which takes no other, and for PostgreSQL.
        )
        .into();
        let log = log.new(slog::o!("generation" => number));
        let live = Arc::new(LiveSettings::new(*sizes, *clocks));
        let pool = Pool::builder(Connector::new(target, live.clone(), tls.clone(), session.clone(), &log))
            .max_size(sizes.size)
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|error| format!("the pool cannot be made: {error}"))?;
        let target_name: Arc<str> = target_name(target).into();
        let health = Arc::new(Health::new(target_name.to_string(), &log));
        let shared = Arc::new(Shared {
            number,
            target: Arc::new(target.clone()),
            target_name,
            access,
            live,
            pool,
            queue: FairQueue::new(sizes.size),
            health,
            asking: tokio::sync::Mutex::default(),
            tls,
            session,
            is_retired: AtomicBool::new(false),
            endings,
            log,
        });
        Ok(Self { shared, role: Mutex::default(), role_checked: AtomicBool::new(false) })
    }

    /// 1 for the first since the process started.
    pub fn number(&self) -> u64 {
        self.shared.number
    }

    /// Whether it is the generation for that target in that mode, whatever its size and its clocks are.
    pub fn is_for(&self, target: &TargetSettings, access: AccessMode) -> bool {
        *self.shared.target == *target && self.shared.access == access
    }

    /// The mode of its connections: in read-only mode a transaction on them is READ ONLY even if nobody has begun it.
    pub fn access(&self) -> AccessMode {
        self.shared.access
    }

    /// Where it connects to, for the log and never for a model.
    pub fn target_name(&self) -> Arc<str> {
        self.shared.target_name.clone()
    }

    /// The same, as the settings say it.
    pub fn target(&self) -> &TargetSettings {
        &self.shared.target
    }

    /// How many connections a start or a reload opens at once.
    pub fn min_size(&self) -> usize {
        self.shared.live.pool().min_size
    }

    /// A connection for one call of that client, when its turn has come.
    ///
    /// # Errors
    /// See [`Shared::lease`].
    pub async fn lease(
        &self,
        client: &Arc<str>,
        waiting_max: usize,
        admission: Admission,
    ) -> Result<Lease, QueryError> {
        self.shared.lease(client, waiting_max, admission, || {}).await
    }

    /// The same. `connecting` is called when the wait is over; a connection may have to be opened then.
    ///
    /// # Errors
    /// See [`Shared::lease`].
    pub async fn lease_telling(
        &self,
        client: &Arc<str>,
        waiting_max: usize,
        admission: Admission,
        connecting: impl FnOnce(),
    ) -> Result<Lease, QueryError> {
        self.shared.lease(client, waiting_max, admission, connecting).await
    }

    /// Open connections until there are as many as its settings want at once (at least one), so that the first calls
    /// need not.
    ///
    /// # Errors
    /// Why the first of them could not be opened.
    pub async fn warm(&self) -> Result<(), QueryError> {
        let _others_wait = self.shared.asking.lock().await;
        let (status, wanted) = (self.shared.status(), self.min_size().max(1));
        if status.size >= wanted {
            return Ok(());
        }
        let in_use = status.size - status.idle;
        let leases = (in_use..wanted).map(|_| self.shared.lease_for_ourselves());
        let opened = futures_util::future::join_all(leases).await;
        let failure = opened.iter().find_map(|lease| lease.as_ref().err().cloned());
        for lease in opened.into_iter().flatten() {
            lease.put_back();
        }
        failure.map_or(Ok(()), Err)
    }

    /// Take over another size and other clocks: the connections stay. What runs keeps the clocks that it began with.
    /// Whether anything is different from before.
    pub fn change(&self, settings: &PostgresSettings) -> bool {
        self.shared.change(settings.pool, settings.clocks)
    }

    /// Another generation serves from now on: only what is in use outlives this, and closes when it comes back.
    pub fn retire(&self) -> Draining {
        self.shared.retire();
        Draining(Arc::downgrade(&self.shared))
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
